package model

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func manyTags(n int) Tags {
	tags := make(Tags, n)
	for i := range tags {
		tags[i] = Tag{Key: fmt.Sprintf("key%03d", i), Value: "v"}
	}
	return tags
}

func TestCheckSeries(t *testing.T) {
	source := Tag{SourceKey, "s"}
	for _, row := range []struct {
		what string
		name string
		tags Tags
		want string // part of the error; empty: none
	}{
		{"plain", "cpu", Tags{{"host", "a"}}, ""},
		{"no tags", "cpu", nil, ""},
		{"longest", strings.Repeat("n", MaxNameBytes), Tags{{strings.Repeat("k", MaxTagKeyBytes), strings.Repeat("v", MaxTagValueBytes)}}, ""},
		{"most tags", "cpu", manyTags(MaxTags), ""},
		{"most tags and the source", "cpu", append(manyTags(MaxTags), source), ""},
		{"any script", "温度", Tags{{"où", "été"}}, ""},
		{"control character of the second set", "cpu", Tags{{"k", "a\u0085"}}, "control character"},
		{"no name", "", nil, "name is empty"},
		{"long name", strings.Repeat("n", MaxNameBytes+1), nil, "name has 257 bytes, at most 256"},
		{"long key", "cpu", Tags{{strings.Repeat("k", MaxTagKeyBytes+1), "v"}}, "tag key has 257 bytes"},
		{"long value", "cpu", Tags{{"k", strings.Repeat("v", MaxTagValueBytes+1)}}, `value of tag "k" has 1025 bytes`},
		{"too many tags", "cpu", manyTags(MaxTags + 1), "series has 65 tags, at most 64"},
		{"too many tags beside the source", "cpu", append(manyTags(MaxTags+1), source), "series has 65 tags"},
		{"newline in name", "a\nb", nil, "control character"},
		{"delete in key", "cpu", Tags{{"a\x7f", "v"}}, "control character"},
		{"zero in value", "cpu", Tags{{"k", "a\x00"}}, "control character"},
		{"bad UTF-8", "cpu", Tags{{"k", "\xff"}}, "not valid UTF-8"},
	} {
		err := CheckSeries(row.name, row.tags)
		if row.want == "" {
			if err != nil {
				t.Errorf("%s: %v", row.what, err)
			}
			continue
		}
		var limit *LimitError
		var text *TextError
		if !errors.As(err, &limit) && !errors.As(err, &text) {
			t.Errorf("%s: error %v is neither LimitError nor TextError", row.what, err)
		} else if !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %q does not say %q", row.what, err, row.want)
		}
	}
}

func TestCheckUnit(t *testing.T) {
	for unit, good := range map[string]bool{"": true, "percent": true, "°C": true, "a\tb": false, strings.Repeat("u", MaxNameBytes+1): false} {
		if err := CheckUnit(unit); (err == nil) != good {
			t.Errorf("%.20q: %v", unit, err)
		}
	}
}

func TestClipKeepsCharacters(t *testing.T) {
	key := strings.Repeat("é", 100)
	err := CheckSeries("cpu", Tags{{key, "\xff"}})
	if err == nil || strings.Contains(err.Error(), `\x`) || !utf8.ValidString(err.Error()) {
		t.Errorf("the message cuts a character: %v", err)
	}
	key = "x" + key
	err = CheckSeries("cpu", Tags{{key, "\xff"}})
	if err == nil || strings.Contains(err.Error(), `\x`) {
		t.Errorf("the message cuts a character: %v", err)
	}
}
