package lineproto

import (
	"slices"
	"strings"

	"github.com/flopynet/collector/model"
)

// identify is identity for a raw key of any length.
func (d *Decoder) identify(key []byte) *fault {
	if len(key) > maxLineKeyBytes {
		return d.faultOf(&model.LimitError{What: "measurement with its tags", Got: len(key) - 1, Limit: maxLineKeyBytes, Unit: "bytes"})
	}
	return d.identity(string(key))
}

// identity takes the measurement and the tags of a raw key apart, which has the space behind it. The texts are parts
// of the key, if they can be.
func (d *Decoder) identity(key string) *fault {
	l := &d.line
	l.tags = l.tags[:0]
	raw, rest, more := cut(key[:len(key)-1], ',')
	if raw == "" {
		return d.fault("there is no measurement before the tags")
	}
	l.measurement = unescape(raw, isEscapedInMeasurement)
	for more {
		var tag string
		tag, rest, more = cut(rest, ',')
		name, value, ok := cut(tag, '=')
		switch {
		case tag == "":
			return d.fault("a tag is missing behind a comma, want key=value")
		case !ok || name == "" || value == "":
			return d.fault("the tag %s is not of the form key=value", clip([]byte(tag)))
		}
		if _, _, again := cut(value, '='); again {
			return d.fault(`the value of the tag %s has a = without a \ before it`, clip([]byte(name)))
		}
		l.tags = append(l.tags, model.Tag{Key: unescape(name, isEscaped), Value: unescape(value, isEscaped)})
	}
	return d.settleTags()
}

// settleTags sorts the tags, which must not be there twice, and adds the source if there is none.
func (d *Decoder) settleTags() *fault {
	l := &d.line
	count := len(l.tags)
	l.source = DefaultSource
	if i := slices.IndexFunc(l.tags, func(tag model.Tag) bool { return tag.Key == model.SourceKey }); i >= 0 {
		l.source = l.tags[i].Value
	} else {
		l.tags = append(l.tags, model.Tag{Key: model.SourceKey, Value: l.source})
		count++
	}
	l.tags = model.Normalize(l.tags)
	if len(l.tags) < count {
		return d.fault("a tag is there twice")
	}
	if err := model.CheckSeries(l.measurement, l.tags); err != nil {
		return d.faultOf(err)
	}
	return nil
}

// cut splits what is raw at the first separator that has no backslash before it.
func cut(raw string, separator byte) (before, after string, found bool) {
	for i := 0; i < len(raw); i++ {
		switch {
		case raw[i] == separator:
			return raw[:i], raw[i+1:], true
		case raw[i] == '\\' && i+1 < len(raw) && isEscaped(raw[i+1]):
			i++
		}
	}
	return raw, "", false
}

// isEscaped reports whether a backslash before the byte, in keys and in values of tags, makes it an ordinary one.
func isEscaped(b byte) bool { return b == ' ' || b == ',' || b == '=' }

// isEscapedInMeasurement is isEscaped for measurements, in which = is an ordinary byte, and the backslash before it too.
func isEscapedInMeasurement(b byte) bool { return b == ' ' || b == ',' }

// unescape returns the text of what is raw. escaped says what a backslash escapes.
func unescape(raw string, escaped func(byte) bool) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	text := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' && i+1 < len(raw) && escaped(raw[i+1]) {
			i++
		}
		text = append(text, raw[i])
	}
	return string(text)
}
