package export

import (
	"io"
	"slices"
	"strings"

	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// pieceBytes is about how much text is gathered before it is written.
const pieceBytes = 256 << 10

// text is what the encoders of text have in common.
type text struct {
	out  io.Writer
	unit int64 // of times; 0: RFC 3339
	json bool  // numbers that JSON doesn't have are strings

	// spell spells what the rows of a series have in common.
	spell func(row *rowText, s *model.Series) error
}

// rowText is what the rows of a series have in common. A row is: lead, time, middle, value, tail.
type rowText struct{ lead, middle, tail []byte }

// numbersBytes is about how long the time and the value of a row are together.
const numbersBytes = 28

// sizeOf is that of batches of text, with rows of about so many bytes.
func sizeOf(rowBytes func(*model.Series) int) size {
	return size{rows: pieceBytes / numbersBytes, textBytes: pieceBytes, rowBytes: rowBytes}
}

func (t *text) prepare(b *batch) error {
	times := timefmt.Appender{Unit: t.unit}
	done := 0
	for i := range b.runs {
		b.row = rowText{b.row.lead[:0], b.row.middle[:0], b.row.tail[:0]}
		if err := t.spell(&b.row, &b.runs[i].series); err != nil {
			return err
		}
		end := done + b.runs[i].rows
		b.text = t.appendRows(b.text, &times, &b.row, b.times[done:end], b.values[done:end])
		done = end
	}
	return nil
}

// appendRows spells rows of a series.
func (t *text) appendRows(dst []byte, at *timefmt.Appender, row *rowText, times []int64, values []float64) []byte {
	between := slices.Concat(row.tail, row.lead)
	dst = append(dst, row.lead...)
	for i, ns := range times {
		dst = append(at.Append(dst, ns), row.middle...)
		if v := values[i]; t.json {
			dst = numfmt.AppendJSON(dst, v)
		} else {
			dst = numfmt.Append(dst, v)
		}
		dst = append(dst, between...)
	}
	return dst[:len(dst)-len(row.lead)]
}

func (t *text) write(b *batch) error {
	_, err := t.out.Write(b.text)
	return err
}

// csvText spells rows as RFC 4180 has them, but with a bare line feed, as most tools do.
type csvText struct {
	text
	plan  *Plan
	texts []column
}

func newCSV(p *Plan, out io.Writer) *csvText {
	c := &csvText{plan: p, texts: p.texts(), text: text{out: out, unit: p.EpochUnit}}
	c.spell = c.spellRow
	return c
}

func (c *csvText) size() size {
	return sizeOf(func(s *model.Series) int {
		bytes := numbersBytes
		for _, column := range c.texts {
			bytes += 1 + len(column.of(s))
		}
		return bytes
	})
}

// begin writes the header.
func (c *csvText) begin() error {
	header := []byte("timestamp,")
	if c.plan.metric {
		header = append(header, "metric,"...)
	}
	header = append(header, "value"...)
	if c.plan.source {
		header = append(header, ",source"...)
	}
	for _, tag := range c.plan.tags {
		header = c.appendField(append(header, ','), tag.name)
	}
	_, err := c.out.Write(append(header, '\n'))
	return err
}

func (c *csvText) spellRow(row *rowText, s *model.Series) error {
	row.middle = append(row.middle, ',')
	if c.plan.metric {
		row.middle = append(c.appendField(row.middle, s.Name), ',')
	}
	if c.plan.source {
		source, _ := sourceOf(s)
		row.tail = c.appendField(append(row.tail, ','), source)
	}
	for _, tag := range c.plan.tags {
		row.tail = c.appendField(append(row.tail, ','), s.Tags.Get(tag.key))
	}
	row.tail = append(row.tail, '\n')
	return nil
}

func (c *csvText) close() error { return nil }

// appendField appends a text, in quotation marks if it needs them.
func (c *csvText) appendField(dst []byte, text string) []byte {
	if c.plan.SafeCSV && text != "" && strings.IndexByte("=+-@", text[0]) >= 0 {
		text = "'" + text
	}
	if !strings.ContainsAny(text, ",\"\r\n") {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(text, `"`, `""`)...)
	return append(dst, '"')
}
