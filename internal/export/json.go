package export

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/flopynet/collector/model"
)

// jsonText spells rows as objects: an array of them, or one a line. What isn't finite is a string.
type jsonText struct {
	text
	plan  *Plan
	texts []column
	lines bool
	begun bool // a row was written
}

func newJSON(p *Plan, out io.Writer) *jsonText {
	j := &jsonText{plan: p, texts: p.texts(), lines: p.Format == NDJSON, text: text{out: out, unit: p.EpochUnit, json: true}}
	j.spell = j.spellRow
	return j
}

func (j *jsonText) size() size {
	frame := numbersBytes + len(`{"timestamp":"","value":}`)
	return sizeOf(func(s *model.Series) int {
		bytes := frame
		for _, column := range j.texts {
			bytes += len(column.of(s)) + len(`"metric":"",`)
		}
		if j.plan.Columns == nil {
			for _, tag := range s.Tags {
				bytes += len(tag.Key) + len(tag.Value) + len(`"":"",`)
			}
		}
		return bytes
	})
}

// begin writes nothing: an array begins with its first row.
func (j *jsonText) begin() error { return nil }

const arrayBetween = ",\n" // of an array, before each row but the first

func (j *jsonText) write(b *batch) error {
	if !j.lines && !j.begun {
		j.begun = true
		b.text = b.text[len(arrayBetween)-1:]
		b.text[0] = '['
	}
	return j.text.write(b)
}

func (j *jsonText) spellRow(row *rowText, s *model.Series) error {
	quote := ""
	if j.unit == 0 {
		quote = `"`
	}
	if !j.lines {
		row.lead = append(row.lead, arrayBetween...)
	}
	row.lead = append(append(row.lead, `{"timestamp":`...), quote...)
	row.middle = append(append(row.middle, quote...), ',')
	if j.plan.metric {
		name, err := marshal(s.Name)
		if err != nil {
			return err
		}
		row.middle = append(append(append(row.middle, `"metric":`...), name...), ',')
	}
	row.middle = append(row.middle, `"value":`...)
	if j.plan.source {
		var source any // null, if there is none
		if given, has := sourceOf(s); has {
			source = given
		}
		text, err := marshal(source)
		if err != nil {
			return err
		}
		row.tail = append(append(row.tail, `,"source":`...), text...)
	}
	if j.plan.Columns == nil || len(j.plan.tags) > 0 {
		text, err := marshal(j.tags(s))
		if err != nil {
			return err
		}
		row.tail = append(append(row.tail, `,"tags":`...), text...)
	}
	row.tail = append(row.tail, '}')
	if j.lines {
		row.tail = append(row.tail, '\n')
	}
	return nil
}

// tags returns the tags that are told of a series.
func (j *jsonText) tags(s *model.Series) map[string]string {
	tags := make(map[string]string, len(s.Tags))
	if j.plan.Columns == nil {
		for _, tag := range s.Tags {
			if tag.Key != model.SourceKey {
				tags[tag.Key] = tag.Value
			}
		}
		return tags
	}
	for _, tag := range j.plan.tags {
		if value := s.Tags.Get(tag.key); value != "" {
			tags[tag.key] = value
		}
	}
	return tags
}

func (j *jsonText) close() error {
	end := "]\n"
	switch {
	case j.lines:
		return nil
	case !j.begun:
		end = "[]\n"
	}
	_, err := io.WriteString(j.out, end)
	return err
}

// marshal is json.Marshal without the escapes that are for web pages.
func marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	spelling := json.NewEncoder(&text)
	spelling.SetEscapeHTML(false)
	err := spelling.Encode(value)
	return bytes.TrimRight(text.Bytes(), "\n"), err
}
