package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"github.com/flopynet/collector/model"
)

// parquetRows is how many rows a row group has: it is in memory before it is written. A page has about
// pageRows, which are written at once.
const (
	parquetRows = 512 << 10
	pageRows    = 64 << 10
)

// parquetFile writes a Parquet file.
type parquetFile struct {
	out    *bufio.Writer // keeps the first error, some of which the library loses
	writer *file.Writer
	batch  *batch
	text   arrowText
	levels []int16
}

func newParquet(p *Plan, out io.Writer) (*parquetFile, error) {
	names := p.textNames()
	nanoseconds := schema.NewTimestampLogicalType(true, schema.TimeUnitNanos)
	var fields schema.FieldList
	add := func(name string, repetition parquet.Repetition, logical schema.LogicalType, physical parquet.Type) error {
		node, err := schema.NewPrimitiveNodeLogical(name, repetition, logical, physical, -1, -1)
		fields = append(fields, node)
		return err
	}
	err := add("timestamp", parquet.Repetitions.Required, nanoseconds, parquet.Types.Int64)
	if p.MetricColumn {
		err = errors.Join(err, add(names[0], parquet.Repetitions.Required, schema.StringLogicalType{}, parquet.Types.ByteArray))
		names = names[1:]
	}
	err = errors.Join(err, add("value", parquet.Repetitions.Required, schema.NoLogicalType{}, parquet.Types.Double))
	for _, name := range names {
		err = errors.Join(err, add(name, parquet.Repetitions.Optional, schema.StringLogicalType{}, parquet.Types.ByteArray))
	}
	root, failed := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("the schema of the Parquet file: %w", err)
	}
	f := &parquetFile{out: bufio.NewWriterSize(out, pieceBytes), batch: newBatch(p, parquetRows)}
	f.writer = file.NewParquetWriter(f.out, root, file.WithWriterProps(parquet.NewWriterProperties(
		parquet.WithVersion(parquet.V2_LATEST), // what nanoseconds need
		parquet.WithCreatedBy("collector"),
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithBatchSize(pageRows),
		parquet.WithDictionaryFor("timestamp", false),
		parquet.WithEncodingFor("timestamp", parquet.Encodings.DeltaBinaryPacked),
		parquet.WithDictionaryFor("value", false),
	)))
	return f, nil
}

func (f *parquetFile) write(s *model.Series, times []int64, values []float64) error {
	return f.batch.gather(s, times, values, f.flush)
}

// flush writes the batch as a row group.
func (f *parquetFile) flush() error {
	group := f.writer.AppendRowGroup()
	column, err := group.NextColumn()
	if err != nil {
		return err
	}
	if _, err := column.(*file.Int64ColumnChunkWriter).WriteBatch(f.batch.times, nil, nil); err != nil {
		return err
	}
	texts := f.batch.texts
	if f.batch.plan.MetricColumn {
		if err := f.writeText(group, &texts[0], false); err != nil {
			return err
		}
		texts = texts[1:]
	}
	if column, err = group.NextColumn(); err != nil {
		return err
	}
	if _, err := column.(*file.Float64ColumnChunkWriter).WriteBatch(f.batch.values, nil, nil); err != nil {
		return err
	}
	for i := range texts {
		if err := f.writeText(group, &texts[i], true); err != nil {
			return err
		}
	}
	return errors.Join(group.Close(), f.out.Flush())
}

// writeText writes a column of text, page by page, so that each page has its own statistics.
func (f *parquetFile) writeText(group file.SerialRowGroupWriter, c *textColumn, optional bool) error {
	next, err := group.NextColumn()
	if err != nil {
		return err
	}
	column := next.(*file.ByteArrayColumnChunkWriter)
	rows := len(f.batch.times)
	whole := f.text.array(c, f.batch.runs, rows).(*array.Dictionary)
	defer whole.Release()
	encoder, direct := column.CurrentEncoder().(interface{ PutDictionary(arrow.Array) error })
	if !direct {
		return errors.New("a column of text has no dictionary")
	}
	if err := encoder.PutDictionary(whole.Dictionary()); err != nil {
		return err
	}
	levels := f.expandLevels(c, rows)
	for begin := 0; begin < rows; begin += pageRows {
		end := min(begin+pageRows, rows)
		indices := array.NewSlice(whole.Indices(), int64(begin), int64(end))
		var part []int16
		if optional {
			part = levels[begin:end]
		}
		err := f.writePage(column, c, indices, part)
		indices.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// writePage writes a page of a column of text, and first what its statistics need: the library has them from
// the values, and is given numbers of the dictionary.
func (f *parquetFile) writePage(column *file.ByteArrayColumnChunkWriter, c *textColumn, indices arrow.Array, levels []int16) error {
	statistics := column.PageStatistics()
	statistics.IncNulls(int64(indices.NullN()))
	statistics.IncNumValues(int64(indices.Len() - indices.NullN()))
	if low, high, some := c.extremes(indices.(*array.Int32)); some {
		extremes := array.NewStringBuilder(memory.NewGoAllocator())
		defer extremes.Release()
		extremes.Append(low)
		extremes.Append(high)
		both := extremes.NewArray()
		defer both.Release()
		if err := statistics.UpdateFromArrow(both, false); err != nil {
			return err
		}
	}
	return column.WriteDictIndices(indices, levels, nil)
}

// extremes returns the least and the greatest text of a page.
func (c *textColumn) extremes(indices *array.Int32) (low, high string, some bool) {
	before := int32(-1)
	for i, number := range indices.Int32Values() {
		if number == before || indices.IsNull(i) {
			continue
		}
		before = number
		text := c.dictionary[number]
		if !some || text < low {
			low = text
		}
		if !some || text > high {
			high = text
		}
		some = true
	}
	return low, high, some
}

// expandLevels spells out which rows have a value: 1, or 0 for none.
func (f *parquetFile) expandLevels(c *textColumn, rows int) []int16 {
	f.levels = f.levels[:0]
	for i, n := range f.batch.runs {
		level := int16(1)
		if c.runs[i] < 0 {
			level = 0
		}
		for range n {
			f.levels = append(f.levels, level)
		}
	}
	return f.levels[:rows]
}

func (f *parquetFile) close() error {
	var err error
	if len(f.batch.times) > 0 {
		err = f.flush()
	}
	// Close alone would lose the footer's error.
	return errors.Join(err, f.writer.FlushWithFooter(), f.writer.Close(), f.out.Flush())
}
