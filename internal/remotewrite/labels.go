package remotewrite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flopynet/collector/model"
)

// The labels that mean something. Prometheus gives the name of a scrape's configuration as job, which stays a tag.
const (
	nameLabel   = "__name__"
	sourceLabel = model.SourceKey
	jobLabel    = "job"
)

// maxLabels bounds the labels of a series, beyond the tags that one may have: values can be empty.
const maxLabels = 4 * model.MaxTags

// labelError says what is wrong with labels, other than texts and limits.
type labelError struct{ reason string }

func (e *labelError) Error() string { return e.reason }

// identity returns the name and the tags, with the source, of the series with these labels. The strings are parts of text, which is
// the labels as a string. A *SyntaxError comes before any other.
func (d *Decoder) identity(labels []byte, text string) (name string, tags model.Tags, err error) {
	part := func(bytes []byte) string {
		if len(bytes) == 0 {
			return ""
		}
		at := cap(labels) - cap(bytes)
		return text[at : at+len(bytes)]
	}
	var source, job, previous string
	count := 0
	d.tags = d.tags[:0]
	for rest := labels; len(rest) > 0; count++ {
		f, next, fault := cutField(rest)
		if fault < 0 {
			return "", nil, d.syntaxError(rest, fault)
		}
		rawKey, rawValue, fault := readLabel(f.bytes)
		if fault < 0 {
			return "", nil, d.syntaxError(f.bytes, fault)
		}
		rest = next
		if err != nil || count >= maxLabels {
			continue
		}
		key, value := part(rawKey), part(rawValue)
		if err = checkOrder(count, previous, key); err != nil || value == "" {
			previous = key
			continue
		}
		previous = key
		switch key {
		case nameLabel:
			name = value
			continue
		case sourceLabel:
			source = value
		case jobLabel:
			job = value
		}
		d.tags = append(d.tags, model.Tag{Key: key, Value: value})
	}
	switch {
	case err != nil:
		return name, nil, err
	case count > maxLabels:
		return name, nil, &model.LimitError{What: "series", Got: count, Limit: maxLabels, Unit: "labels"}
	case name == "":
		return "", nil, &labelError{"the label " + nameLabel + " is missing"}
	case source == "":
		d.addSource(job)
	}
	return name, d.tags, nil
}

// checkOrder checks that a label's name comes behind that of the label before.
func checkOrder(index int, previous, key string) error {
	switch {
	case key == "":
		return &labelError{"a label has no name"}
	case index == 0 || previous < key:
		return nil
	case previous == key:
		return &labelError{"the label " + clip(key) + " is there twice"}
	}
	return &labelError{fmt.Sprintf("the labels are not sorted by name: %s comes behind %s", clip(key), clip(previous))}
}

// addSource puts the source among the tags of a series that names none.
func (d *Decoder) addSource(job string) {
	if job == "" {
		job = DefaultSource
	}
	at, _ := slices.BinarySearchFunc(d.tags, model.SourceKey, func(tag model.Tag, key string) int { return strings.Compare(tag.Key, key) })
	d.tags = slices.Insert(d.tags, at, model.Tag{Key: model.SourceKey, Value: job})
}

// valueOf returns the value of a label, nil if there is none. The labels may be malformed.
func valueOf(labels []byte, name string) []byte {
	for len(labels) > 0 {
		f, next, fault := cutField(labels)
		if fault < 0 {
			return nil
		}
		key, value, fault := readLabel(f.bytes)
		if fault < 0 {
			return nil
		}
		if string(key) == name {
			return value
		}
		labels = next
	}
	return nil
}

// nameOf returns the metric's name as far as it can be shown.
func nameOf(labels []byte) string {
	return strings.ToValidUTF8(shorten(string(valueOf(labels, nameLabel)), model.MaxNameBytes), "\uFFFD")
}

// permits reports whether the source of the series at hand may be written, or refuses the series.
func (d *Decoder) permits(labels []byte) bool {
	source := valueOf(labels, sourceLabel)
	if len(source) == 0 {
		source = valueOf(labels, jobLabel)
	}
	if len(source) == 0 {
		source = []byte(DefaultSource)
	}
	if d.permitted != "" && d.permitted == string(source) {
		return true
	}
	text := string(source)
	if d.permit(text) {
		d.permitted = text
		return true
	}
	d.rejectSeries(labels, &labelError{"source is " + clip(text) + ", which the key may not write as"})
	return false
}

// clip quotes text, shortened, for a message.
func clip(text string) string { return fmt.Sprintf("%q", shorten(text, 40)) }

func shorten(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return text[:bytes] + "..."
}
