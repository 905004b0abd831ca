package export

import (
	"errors"
	"io"
	"slices"

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
	out     *largeWriter
	writer  *ipc.Writer
	schema  *arrow.Schema
	rows    int // of a batch, at most
	kinds   []*arrow.DictionaryType
	metric  bool // is the first column of text, and stands before the values
	scratch []int32
	columns [][]byte // numbers of a column of text, row by row
}

var (
	arrowDictionary = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	smallDictionary = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	arrowTimestamp  = &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
)

func newArrow(p *Plan, out io.Writer) *arrowStream {
	texts := p.texts()
	a := &arrowStream{out: &largeWriter{out: out}, rows: min(arrowRows, arrowCells/max(len(texts), 1)), metric: p.metric, columns: make([][]byte, len(texts))}
	fields := []arrow.Field{{Name: columnTimestamp, Type: arrowTimestamp}}
	for i, column := range texts {
		kind := arrowDictionary
		if p.small[i] {
			kind = smallDictionary
		}
		a.kinds = append(a.kinds, kind)
		fields = append(fields, arrow.Field{Name: column.name, Type: kind, Nullable: column.key != model.NameKey})
	}
	fields = slices.Insert(fields, a.valueAt(), arrow.Field{Name: columnValue, Type: arrow.PrimitiveTypes.Float64})
	a.schema = arrow.NewSchema(fields, nil)
	return a
}

// valueAt is which column has the values.
func (a *arrowStream) valueAt() int {
	if a.metric {
		return 2
	}
	return 1
}

func (a *arrowStream) size() size { return size{rows: a.rows, groupRows: a.rows} }

func (a *arrowStream) begin() error {
	a.writer = ipc.NewWriter(a.out, ipc.WithSchema(a.schema), ipc.WithAllocator(memory.NewGoAllocator()))
	return nil
}

func (a *arrowStream) prepare(*batch) error { return nil }

// write writes a record batch.
func (a *arrowStream) write(b *batch) error {
	rows := len(b.times)
	columns := []arrow.Array{newArrowArray(arrowTimestamp, rows, 0, nil, arrow.Int64Traits.CastToBytes(b.times))}
	for i := range b.dictionaries {
		columns = append(columns, a.text(b, i))
	}
	columns = slices.Insert(columns, a.valueAt(), newArrowArray(arrow.PrimitiveTypes.Float64, rows, 0, nil, arrow.Float64Traits.CastToBytes(b.values)))
	defer func() {
		for _, column := range columns {
			column.Release()
		}
	}()
	record := array.NewRecord(a.schema, columns, int64(rows))
	defer record.Release()
	return a.writer.Write(record)
}

func (a *arrowStream) close() error { return errors.Join(a.writer.Close(), a.out.Flush()) }

// text returns a column of text as an array.
func (a *arrowStream) text(b *batch, column int) arrow.Array {
	// The writer keeps the dictionary, to see whether the next is another.
	texts := b.dictionaries[column].texts
	offsets, content := make([]int32, 1, len(texts)+1), []byte(nil)
	for _, text := range texts {
		content = append(content, text...)
		offsets = append(offsets, int32(len(content)))
	}
	dictionary := newArrowArray(arrow.BinaryTypes.String, len(texts), 0, nil, arrow.Int32Traits.CastToBytes(offsets), content)
	defer dictionary.Release()
	kind, rows := a.kinds[column], len(b.times)
	a.scratch = b.numbersOf(a.scratch, column)
	valid, nulls := b.validOf(column, a.scratch)
	if kind == smallDictionary {
		a.columns[column] = slices.Grow(a.columns[column][:0], rows)[:rows]
		fillRuns(a.columns[column], b.runs, a.scratch, func(number int32) byte { return byte(number) })
	} else {
		a.columns[column] = slices.Grow(a.columns[column][:0], 4*rows)[:4*rows]
		fillRuns(arrow.Int32Traits.CastFromBytes(a.columns[column]), b.runs, a.scratch, func(number int32) int32 { return number })
	}
	indices := newArrowArray(kind.IndexType, rows, nulls, valid, a.columns[column])
	defer indices.Release()
	return array.NewDictionaryArray(kind, indices, dictionary)
}

// validOf returns the bitmap of the rows that have a text in a column, nil if all have, and how many have none.
func (b *batch) validOf(column int, numbers []int32) (valid []byte, nulls int) {
	if !b.dictionaries[column].missing {
		return nil, 0
	}
	valid = make([]byte, bitutil.BytesForBits(int64(len(b.times))))
	row := 0
	for i, number := range numbers {
		n := b.runs[i].rows
		if number < 0 {
			nulls += n
		} else {
			bitutil.SetBitsTo(valid, int64(row), int64(n), true)
		}
		row += n
	}
	return valid, nulls
}

// fillRuns spells out the number of each run, row by row; that of no text becomes 0.
func fillRuns[T byte | int32](dst []T, runs []run, numbers []int32, of func(int32) T) {
	for i, number := range numbers {
		part := dst[:runs[i].rows]
		dst = dst[len(part):]
		part[0] = of(max(number, 0))
		for filled := 1; filled < len(part); filled *= 2 {
			copy(part[filled:], part[:filled])
		}
	}
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
