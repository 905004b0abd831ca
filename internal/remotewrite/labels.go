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
	count, ascending := 0, true
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
		if count >= maxLabels {
			continue
		}
		tag := model.Tag{Key: part(rawKey), Value: part(rawValue)}
		ascending = ascending && (count == 0 || d.tags[count-1].Key < tag.Key)
		d.tags = append(d.tags, tag)
	}
	if count > maxLabels {
		return "", nil, &model.LimitError{What: "series", Got: count, Limit: maxLabels, Unit: "labels"}
	}
	if !ascending {
		slices.SortStableFunc(d.tags, func(a, b model.Tag) int { return strings.Compare(a.Key, b.Key) })
	}
	name, err = d.assign()
	return name, d.tags, err
}

// assign takes from tags, which are all labels in order, the name and those that are empty, and adds the source.
func (d *Decoder) assign() (name string, err error) {
	var source, job string
	kept := d.tags[:0]
	for i, tag := range d.tags {
		switch {
		case tag.Key == "":
			return name, &labelError{"a label has no name"}
		case i+1 < len(d.tags) && d.tags[i+1].Key == tag.Key:
			return name, &labelError{"the label " + clip(tag.Key) + " is there twice"}
		case tag.Value == "":
			continue
		case tag.Key == nameLabel:
			name = tag.Value
			continue
		case tag.Key == sourceLabel:
			source = tag.Value
		case tag.Key == jobLabel:
			job = tag.Value
		}
		kept = append(kept, tag)
	}
	d.tags = kept
	if name == "" {
		return "", &labelError{"the label " + nameLabel + " is missing"}
	}
	if source == "" {
		d.addSource(job)
	}
	return name, nil
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
