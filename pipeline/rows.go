package pipeline

import (
	"encoding/json"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// AppendJSON appends the rows as a JSON array: timestamp, source and tags if there are groups, each column,
// value if there was a formula, crossed if there was a threshold. Missing values are null; those that are not
// finite become "NaN", "+Inf" and "-Inf".
func (t *Table) AppendJSON(dst []byte) []byte {
	names := make([][]byte, len(t.Columns))
	for i, name := range t.Columns {
		names[i] = append(appendString([]byte{','}, name), ':')
	}
	groups := make([][]byte, len(t.Groups))
	for i, tags := range t.Groups {
		groups[i] = appendGroup(nil, tags)
	}
	dst = append(dst, '[')
	for i := range t.Rows {
		row := &t.Rows[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"timestamp":"`...)
		dst = append(timefmt.AppendTime(dst, row.Time), '"')
		if t.grouped {
			dst = append(dst, groups[row.Group]...)
		}
		for column, value := range row.Values {
			dst = appendValue(append(dst, names[column]...), value)
		}
		if t.valued {
			dst = appendValue(append(dst, `,"value":`...), row.Value)
		}
		if t.marked {
			dst = append(dst, `,"crossed":`...)
			if row.Crossed == "" {
				dst = append(dst, "null"...)
			} else {
				dst = appendString(dst, row.Crossed)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendGroup appends the tags of a group, with the source, if it is among them, in its own place.
func appendGroup(dst []byte, tags model.Tags) []byte {
	for _, tag := range tags {
		if tag.Key == model.SourceKey {
			dst = appendString(append(dst, `,"source":`...), tag.Value)
		}
	}
	dst = append(dst, `,"tags":{`...)
	first := true
	for _, tag := range tags {
		if tag.Key == model.SourceKey {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(append(appendString(dst, tag.Key), ':'), tag.Value)
	}
	return append(dst, '}')
}

func appendString(dst []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can be marshalled
	}
	return append(dst, quoted...)
}

func appendValue(dst []byte, value float64) []byte {
	if engine.IsMissing(value) {
		return append(dst, "null"...)
	}
	return numfmt.AppendJSON(dst, value)
}
