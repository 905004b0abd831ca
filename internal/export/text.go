package export

import (
	"io"
	"strings"

	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// pieceBytes is about how much text is gathered before it is written.
const pieceBytes = 256 << 10

// text is what the encoders of text have in common. A row is: lead, time, middle, value, tail.
type text struct {
	out    io.Writer
	buffer []byte
	times  timefmt.Appender
	unit   int64 // of times; 0: RFC 3339

	series             model.SeriesID // of which these are
	lead, middle, tail []byte
}

// flush writes what was gathered.
func (t *text) flush() error {
	if len(t.buffer) == 0 {
		return nil
	}
	_, err := t.out.Write(t.buffer)
	t.buffer = t.buffer[:0]
	return err
}

func (t *text) appendTime(dst []byte, ns int64) []byte {
	if t.unit == 0 {
		return t.times.AppendTime(dst, ns)
	}
	return timefmt.AppendEpoch(dst, ns, t.unit)
}

// csvText spells rows as RFC 4180 has them, but with a bare line feed, as most tools do.
type csvText struct {
	text
	plan *Plan
}

func newCSV(p *Plan, out io.Writer) *csvText {
	c := &csvText{plan: p, text: text{out: out, unit: p.EpochUnit, buffer: make([]byte, 0, pieceBytes+pieceBytes/8)}}
	c.buffer = append(c.buffer, "timestamp,"...)
	if p.MetricColumn {
		c.buffer = append(c.buffer, "metric,"...)
	}
	c.buffer = append(c.buffer, "value,source"...)
	for _, name := range p.columns {
		c.buffer = c.appendField(append(c.buffer, ','), name)
	}
	c.buffer = append(c.buffer, '\n')
	return c
}

func (c *csvText) write(s *model.Series, times []int64, values []float64) error {
	if s.ID != c.series {
		c.begin(s)
	}
	buffer := c.buffer
	for i, at := range times {
		buffer = append(c.appendTime(buffer, at), c.middle...)
		buffer = append(numfmt.Append(buffer, values[i]), c.tail...)
		if len(buffer) >= pieceBytes {
			c.buffer = buffer
			if err := c.flush(); err != nil {
				return err
			}
			buffer = c.buffer
		}
	}
	c.buffer = buffer
	return nil
}

// begin spells what the rows of a series have in common.
func (c *csvText) begin(s *model.Series) {
	c.series = s.ID
	c.middle = append(c.middle[:0], ',')
	if c.plan.MetricColumn {
		c.middle = append(c.appendField(c.middle, s.Name), ',')
	}
	source, _ := sourceOf(s)
	c.tail = c.appendField(append(c.tail[:0], ','), source)
	for _, key := range c.plan.keys {
		c.tail = c.appendField(append(c.tail, ','), s.Tags.Get(key))
	}
	c.tail = append(c.tail, '\n')
}

func (c *csvText) close() error { return c.flush() }

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
