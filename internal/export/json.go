package export

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/model"
)

// jsonText spells rows as objects: an array of them, or one a line. What isn't finite is a string.
type jsonText struct {
	text
	metric bool // each row tells its metric
	lines  bool
	begun  bool
}

func newJSON(p *Plan, out io.Writer) *jsonText {
	j := &jsonText{metric: p.MetricColumn, lines: p.Format == NDJSON,
		text: text{out: out, unit: p.EpochUnit, buffer: make([]byte, 0, pieceBytes+pieceBytes/8)}}
	if !j.lines {
		j.buffer = append(j.buffer, '[')
	}
	return j
}

func (j *jsonText) write(s *model.Series, times []int64, values []float64) error {
	if s.ID != j.series {
		if err := j.begin(s); err != nil {
			return err
		}
	}
	buffer := j.buffer
	for i, at := range times {
		if j.begun {
			buffer = append(buffer, j.lead...)
		} else {
			j.begun = true
			buffer = append(buffer, bytes.TrimLeft(j.lead, ",\n")...)
		}
		buffer = append(j.appendTime(buffer, at), j.middle...)
		buffer = append(numfmt.AppendJSON(buffer, values[i]), j.tail...)
		if len(buffer) >= pieceBytes {
			j.buffer = buffer
			if err := j.flush(); err != nil {
				return err
			}
			buffer = j.buffer
		}
	}
	j.buffer = buffer
	return nil
}

// begin spells what the rows of a series have in common.
func (j *jsonText) begin(s *model.Series) error {
	j.series = s.ID
	quote := ""
	if j.unit == 0 {
		quote = `"`
	}
	j.lead = j.lead[:0]
	if !j.lines {
		j.lead = append(j.lead, ",\n"...)
	}
	j.lead = append(append(j.lead, `{"timestamp":`...), quote...)
	j.middle = append(append(j.middle[:0], quote...), ',')
	if j.metric {
		name, err := marshal(s.Name)
		if err != nil {
			return err
		}
		j.middle = append(append(append(j.middle, `"metric":`...), name...), ',')
	}
	j.middle = append(j.middle, `"value":`...)
	var source any // null, if there is none
	if given, has := sourceOf(s); has {
		source = given
	}
	tags := make(map[string]string, len(s.Tags))
	for _, tag := range s.Tags {
		if tag.Key != model.SourceKey {
			tags[tag.Key] = tag.Value
		}
	}
	sourceText, err := marshal(source)
	if err != nil {
		return err
	}
	tagsText, err := marshal(tags)
	if err != nil {
		return err
	}
	j.tail = append(append(j.tail[:0], `,"source":`...), sourceText...)
	j.tail = append(append(append(j.tail, `,"tags":`...), tagsText...), '}')
	if j.lines {
		j.tail = append(j.tail, '\n')
	}
	return nil
}

func (j *jsonText) close() error {
	if !j.lines {
		j.buffer = append(j.buffer, "]\n"...)
	}
	return j.flush()
}

// marshal is json.Marshal without the escapes that are for web pages.
func marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	spelling := json.NewEncoder(&text)
	spelling.SetEscapeHTML(false)
	err := spelling.Encode(value)
	return bytes.TrimRight(text.Bytes(), "\n"), err
}
