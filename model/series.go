package model

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SeriesID numbers a series. IDs start at 1, ascend in the order in which series were first seen, and
// are never used again.
type SeriesID uint64

// Series is the identity of a series (Name and Tags, with the source among the tags) and its unit,
// which is metadata: it does not take part in the identity.
type Series struct {
	ID   SeriesID
	Name string
	Tags Tags
	Unit string
}

// Source returns the source of the series.
func (s Series) Source() string { return s.Tags.Get(SourceKey) }

// LimitError says that a text is longer, or that there are more of something, than is allowed.
type LimitError struct {
	What  string // what is limited, such as "tag value"
	Got   int
	Limit int
	Unit  string // of Got and Limit, such as "bytes"
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s has %d %s, at most %d are allowed", e.What, e.Got, e.Unit, e.Limit)
}

// TextError says that a name, key or value holds what it must not.
type TextError struct{ What, Reason string }

func (e *TextError) Error() string { return e.What + " " + e.Reason }

// CheckSeries reports the first fault of a series' name and tags: emptiness, length (LimitError),
// control characters or invalid UTF-8 (TextError). Tags must be normalized.
func CheckSeries(name string, tags Tags) error {
	if err := checkText("name", name, MaxNameBytes); err != nil {
		return err
	}
	count := len(tags)
	if tags.Get(SourceKey) != "" {
		count--
	}
	if count > MaxTags {
		return &LimitError{What: "series", Got: count, Limit: MaxTags, Unit: "tags"}
	}
	for _, tag := range tags {
		if err := checkText("tag key", tag.Key, MaxTagKeyBytes); err != nil {
			return err
		}
		if tag.Value == "" || !plain(tag.Value, MaxTagValueBytes) {
			what := "value of tag " + clip(tag.Key)
			if tag.Key == SourceKey {
				what = "source"
			}
			return checkText(what, tag.Value, MaxTagValueBytes)
		}
	}
	return nil
}

// CheckUnit reports what is wrong with a unit. The empty unit is allowed.
func CheckUnit(unit string) error {
	if unit == "" {
		return nil
	}
	return checkText("unit", unit, MaxNameBytes)
}

func checkText(what, text string, limit int) error {
	switch {
	case text == "":
		return &TextError{What: what, Reason: "is empty"}
	case plain(text, limit):
		return nil
	case len(text) > limit:
		return &LimitError{What: what, Got: len(text), Limit: limit, Unit: "bytes"}
	case !utf8.ValidString(text):
		return &TextError{What: what, Reason: "is not valid UTF-8"}
	}
	return &TextError{What: what, Reason: fmt.Sprintf("%s has a control character", clip(text))}
}

// plain reports whether text is valid, not too long and without control characters.
func plain(text string, limit int) bool {
	return len(text) <= limit && utf8.ValidString(text) && !strings.ContainsFunc(text, isControl)
}

// isControl knows the control characters of Unicode, C0 and C1.
func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// clip shortens text for a message.
func clip(text string) string {
	const maxBytes = 40
	if len(text) > maxBytes {
		end := maxBytes
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		return fmt.Sprintf("%q...", text[:end])
	}
	return fmt.Sprintf("%q", text)
}
