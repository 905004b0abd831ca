package export

import (
	"bufio"
	"errors"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/flopynet/collector/model"
)

// A record batch has arrowRows rows, or fewer if there are so many columns that their numbers in the dictionaries
// would exceed arrowCells: all columns of a batch are in memory at once.
const (
	arrowRows  = 64 << 10
	arrowCells = 2 << 20
)

// arrowStream writes an IPC stream. Each record batch has dictionaries of its own, of the texts that are in it:
// a stream may replace them, and so none grows without bound. Those that stay the same aren't sent again.
type arrowStream struct {
	buffered *bufio.Writer
	writer   *ipc.Writer
	schema   *arrow.Schema
	batch    *batch
	texts    []arrowText
}

// arrowText is the memory of a column of text.
type arrowText struct {
	indices []int32
	valid   []byte // bitmap; nil: all are
	offsets []int32
	bytes   []byte
}

var arrowDictionary = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}

var arrowTimestamp = &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}

func newArrow(p *Plan, out io.Writer) *arrowStream {
	fields := []arrow.Field{{Name: "timestamp", Type: arrowTimestamp}}
	names := p.textNames()
	if p.MetricColumn {
		fields = append(fields, arrow.Field{Name: names[0], Type: arrowDictionary})
		names = names[1:]
	}
	fields = append(fields, arrow.Field{Name: "value", Type: arrow.PrimitiveTypes.Float64})
	for _, name := range names {
		fields = append(fields, arrow.Field{Name: name, Type: arrowDictionary, Nullable: true})
	}
	a := &arrowStream{buffered: bufio.NewWriterSize(out, pieceBytes), schema: arrow.NewSchema(fields, nil)}
	a.batch = newBatch(p, min(arrowRows, arrowCells/len(p.textNames())))
	a.texts = make([]arrowText, len(a.batch.texts))
	a.writer = ipc.NewWriter(a.buffered, ipc.WithSchema(a.schema), ipc.WithAllocator(memory.NewGoAllocator()))
	return a
}

func (a *arrowStream) write(s *model.Series, times []int64, values []float64) error {
	return a.batch.gather(s, times, values, a.flush)
}

// flush writes the batch.
func (a *arrowStream) flush() error {
	rows := len(a.batch.times)
	columns := []arrow.Array{newArrowArray(arrowTimestamp, rows, 0, nil, arrow.Int64Traits.CastToBytes(a.batch.times))}
	defer func() {
		for _, column := range columns {
			column.Release()
		}
	}()
	values := newArrowArray(arrow.PrimitiveTypes.Float64, rows, 0, nil, arrow.Float64Traits.CastToBytes(a.batch.values))
	texts := a.batch.texts
	if a.batch.plan.MetricColumn {
		columns = append(columns, a.texts[0].array(&texts[0], a.batch.runs, rows), values)
	} else {
		columns = append(columns, values)
	}
	for i := len(columns) - 2; i < len(texts); i++ {
		columns = append(columns, a.texts[i].array(&texts[i], a.batch.runs, rows))
	}
	record := array.NewRecord(a.schema, columns, int64(rows))
	defer record.Release()
	return a.writer.Write(record)
}

func (a *arrowStream) close() error {
	var err error
	if len(a.batch.times) > 0 {
		err = a.flush()
	}
	return errors.Join(err, a.writer.Close(), a.buffered.Flush())
}

// array returns the column as an array, which shares the memory of t.
func (t *arrowText) array(c *textColumn, runs []int, rows int) arrow.Array {
	t.offsets, t.bytes = append(t.offsets[:0], 0), t.bytes[:0]
	for _, text := range c.dictionary {
		t.bytes = append(t.bytes, text...)
		t.offsets = append(t.offsets, int32(len(t.bytes)))
	}
	// The writer keeps the dictionary, to see whether the next is another: it must not share what changes.
	dictionary := newArrowArray(arrow.BinaryTypes.String, len(c.dictionary), 0, nil,
		append([]byte(nil), arrow.Int32Traits.CastToBytes(t.offsets)...), append([]byte(nil), t.bytes...))
	defer dictionary.Release()
	nulls := t.expand(c, runs, rows)
	indices := newArrowArray(arrow.PrimitiveTypes.Int32, rows, nulls, t.valid, arrow.Int32Traits.CastToBytes(t.indices))
	defer indices.Release()
	return array.NewDictionaryArray(arrowDictionary, indices, dictionary)
}

// expand spells out the runs, row by row, and returns how many rows have no value.
func (t *arrowText) expand(c *textColumn, runs []int, rows int) (nulls int) {
	if cap(t.indices) < rows {
		t.indices = make([]int32, rows)
	}
	t.indices, t.valid = t.indices[:rows], nil
	if c.missing {
		t.valid = make([]byte, bitutil.BytesForBits(int64(rows)))
	}
	row := 0
	for i, n := range runs {
		number := c.runs[i]
		part := t.indices[row : row+n]
		if number < 0 {
			nulls += n
			number = 0
		} else if t.valid != nil {
			bitutil.SetBitsTo(t.valid, int64(row), int64(n), true)
		}
		for j := range part {
			part[j] = number
		}
		row += n
	}
	return nulls
}

// newArrowArray makes an array of buffers that are ours.
func newArrowArray(kind arrow.DataType, n, nulls int, valid []byte, buffers ...[]byte) arrow.Array {
	all := make([]*memory.Buffer, 1, 3)
	if valid != nil {
		all[0] = memory.NewBufferBytes(valid)
	}
	for _, buffer := range buffers {
		all = append(all, memory.NewBufferBytes(buffer))
	}
	data := array.NewData(kind, n, all, nil, nulls, 0)
	defer data.Release()
	return array.MakeFromData(data)
}
