package export

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/metadata"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"github.com/flopynet/collector/model"
)

// parquetRows is how many rows a row group has, and pageRows how many a page has, which is a batch. Of a row group,
// the pages are in memory as they will be in the file.
const (
	parquetRows = 512 << 10
	pageRows    = 64 << 10
)

const parquetMagic = "PAR1"

// parquetFile writes a Parquet file. Its pages are made here, many at a time, from runs of rows; the library has
// their headers and the file's metadata.
type parquetFile struct {
	out     *countingSink
	columns []parquetColumn
	zstd    compress.Codec
	props   *parquet.WriterProperties
	footer  *metadata.FileMetaDataBuilder
	group   parquetGroup
	groups  int
}

// parquetColumn says what a column has: times, values, or the texts of a column of these.
type parquetColumn struct {
	text     int // which column of text; or one of the following
	optional bool
}

const (
	timesColumn  = -1
	valuesColumn = -2
)

// parquetGroup is a row group in the making.
type parquetGroup struct {
	rows         int
	pages        [][]parquetPage // by column
	dictionaries []*dictionary
}

// parquetPage is a page of a column, compressed, and what its statistics need.
type parquetPage struct {
	data         []byte
	uncompressed int
	rows, nulls  int
	encoding     parquet.Encoding

	low, high int64 // bits of the least and the greatest
	ordered   bool  // there are such
}

// countingSink is where the library writes to.
type countingSink struct {
	largeWriter
	written int64
}

func (s *countingSink) Write(p []byte) (int, error) {
	n, err := s.largeWriter.Write(p)
	s.written += int64(n)
	return n, err
}

// Tell returns how much was written.
func (s *countingSink) Tell() int64 { return s.written }

func newParquet(p *Plan, out io.Writer) (*parquetFile, error) {
	f := &parquetFile{out: &countingSink{largeWriter: largeWriter{out: out}}}
	nanoseconds := schema.NewTimestampLogicalType(true, schema.TimeUnitNanos)
	var fields schema.FieldList
	add := func(name string, column parquetColumn, logical schema.LogicalType, physical parquet.Type) error {
		repetition := parquet.Repetitions.Required
		if column.optional {
			repetition = parquet.Repetitions.Optional
		}
		node, err := schema.NewPrimitiveNodeLogical(name, repetition, logical, physical, -1, -1)
		fields, f.columns = append(fields, node), append(f.columns, column)
		return err
	}
	err := add(columnTimestamp, parquetColumn{text: timesColumn}, nanoseconds, parquet.Types.Int64)
	values := func() error {
		return add(columnValue, parquetColumn{text: valuesColumn}, schema.NoLogicalType{}, parquet.Types.Double)
	}
	if !p.metric {
		err = errors.Join(err, values())
	}
	for i, column := range p.texts() {
		isMetric := column.key == model.NameKey
		err = errors.Join(err, add(column.name, parquetColumn{text: i, optional: !isMetric}, schema.StringLogicalType{}, parquet.Types.ByteArray))
		if isMetric {
			err = errors.Join(err, values())
		}
	}
	root, failed := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("the schema of the Parquet file: %w", err)
	}
	f.props = parquet.NewWriterProperties(
		parquet.WithVersion(parquet.V2_LATEST), // what nanoseconds need
		parquet.WithCreatedBy("collector"),
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithEncodingFor(columnTimestamp, parquet.Encodings.DeltaBinaryPacked),
	)
	f.footer = metadata.NewFileMetadataBuilder(schema.NewSchema(root), f.props, nil)
	f.zstd, err = compress.GetCodec(compress.Codecs.Zstd)
	return f, err
}

func (f *parquetFile) size() size { return size{rows: pageRows, groupRows: parquetRows} }

func (f *parquetFile) begin() error {
	_, err := io.WriteString(f.out, parquetMagic)
	return err
}

// prepare makes the pages of a batch.
func (f *parquetFile) prepare(b *batch) error {
	b.pages = make([]parquetPage, len(f.columns))
	for i, column := range f.columns {
		var page parquetPage
		switch column.text {
		case timesColumn:
			page, b.text = timesPage(b.text[:0], b.times)
		case valuesColumn:
			page, b.text = valuesPage(b.text[:0], b.values)
		default:
			page, b.text = textPage(b.text[:0], b, column)
		}
		page.rows, page.uncompressed = len(b.times), len(b.text)
		b.packed = f.zstd.Encode(b.packed, b.text)
		page.data = bytes.Clone(b.packed)
		b.pages[i] = page
	}
	return nil
}

// write adds a batch to the row group, and writes that if this is its last.
func (f *parquetFile) write(b *batch) error {
	if f.group.pages == nil {
		f.group.pages = make([][]parquetPage, len(f.columns))
	}
	for i, page := range b.pages {
		f.group.pages[i] = append(f.group.pages[i], page)
	}
	f.group.rows += len(b.times)
	f.group.dictionaries = b.dictionaries
	if b.ends {
		return f.writeGroup()
	}
	return nil
}

// writeGroup writes the row group.
func (f *parquetFile) writeGroup() error {
	group := f.group
	f.group = parquetGroup{}
	begin := f.out.Tell()
	about := f.footer.AppendRowGroup()
	about.SetNumRows(group.rows)
	for i, column := range f.columns {
		chunk := about.NextColumnChunk()
		out, err := file.NewPageWriter(f.out, compress.Codecs.Zstd, 0, chunk, int16(f.groups), int16(i), memory.DefaultAllocator, false, nil, nil)
		if err != nil {
			return err
		}
		var texts *dictionary
		if column.text >= 0 {
			texts = group.dictionaries[column.text]
			if _, err := out.WriteDictionaryPage(texts.page()); err != nil {
				return err
			}
		}
		for _, page := range group.pages[i] {
			levels := parquet.Encodings.RLE
			data := file.NewDataPageV1(memory.NewBufferBytes(page.data), int32(page.rows), page.encoding, levels, levels, int32(page.uncompressed))
			if _, err := out.WriteDataPage(data); err != nil {
				return err
			}
		}
		chunk.SetStats(statisticsOf(group.pages[i], texts, column.text == valuesColumn))
		if err := out.Close(texts != nil, false); err != nil {
			return err
		}
	}
	f.groups++
	return errors.Join(about.Finish(f.out.Tell()-begin, int16(f.groups-1)), f.out.Flush())
}

// close writes what is left, and the footer.
func (f *parquetFile) close() error {
	if f.group.rows > 0 {
		if err := f.writeGroup(); err != nil {
			return err
		}
	}
	footer, err := f.footer.Finish()
	if err != nil {
		return err
	}
	n, err := footer.WriteTo(f.out, nil)
	if err != nil {
		return err
	}
	if n > math.MaxUint32 {
		return fmt.Errorf("the footer of the Parquet file has %d bytes, which is too much", n)
	}
	_, err = f.out.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(n)), parquetMagic...))
	return errors.Join(err, f.out.Flush())
}

// page returns the dictionary as a page.
func (d *dictionary) page() *file.DictionaryPage {
	var content []byte
	for _, text := range d.texts {
		content = append(binary.LittleEndian.AppendUint32(content, uint32(len(text))), text...)
	}
	return file.NewDictionaryPage(memory.NewBufferBytes(content), int32(len(d.texts)), parquet.Encodings.Plain)
}
