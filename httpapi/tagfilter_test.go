package httpapi

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/model"
)

func TestParseTagFilters(t *testing.T) {
	for _, test := range []struct {
		text string
		want []tagFilter
	}{
		{"host:a", []tagFilter{{Key: "host", Values: []string{"a"}}}},
		{"host:a,zone:eu", []tagFilter{{Key: "host", Values: []string{"a"}}, {Key: "zone", Values: []string{"eu"}}}},
		{"url:http://x:80/", []tagFilter{{Key: "url", Values: []string{"http://x:80/"}}}},
		{"host:a|b|", []tagFilter{{Key: "host", Values: []string{"a", "b", ""}}}},
		{"host!:a", []tagFilter{{Key: "host", Not: true, Values: []string{"a"}}}},
		{"host:~a+,zone!:~(x|y)", []tagFilter{{Key: "host", Regex: "a+"}, {Key: "zone", Not: true, Regex: "(x|y)"}}},
		{`host:~a{1\,3}\d\.\\`, []tagFilter{{Key: "host", Regex: `a{1,3}\d\.\\`}}},
		{"host:", []tagFilter{{Key: "host"}}},
		{"host!:,zone:", []tagFilter{{Key: "host", Not: true}, {Key: "zone"}}},
		{`a\:b:c\,d\|e\\f`, []tagFilter{{Key: "a:b", Values: []string{`c,d|e\f`}}}},
		{"a!b!!:c", []tagFilter{{Key: "a!b!", Not: true, Values: []string{"c"}}}},
		{`a\!:\~b`, []tagFilter{{Key: "a!", Values: []string{"~b"}}}},
		{"größe:ä ö", []tagFilter{{Key: "größe", Values: []string{"ä ö"}}}},
		{"a:!b", []tagFilter{{Key: "a", Values: []string{"!b"}}}},
	} {
		got, err := parseTagFilters(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestParseTagFiltersRefuses(t *testing.T) {
	many := strings.Repeat("a:b,", maxTagFilters) + "a:b"
	for _, test := range []struct {
		text     string
		position int
		issue    string
	}{
		{"", 0, "empty"},
		{"host", 0, "no colon"},
		{"host!", 0, "no colon"},
		{":a", 0, "key is empty"},
		{"!:a", 0, "key is empty"},
		{"a:b,", 4, "empty"},
		{"a:b,,c:d", 4, "empty"},
		{`a:b\d`, 3, "backslash"},
		{`a:b\`, 3, "backslash"},
		{"a:~", 3, "empty"},
		{"a:~(", 3, "missing closing"},
		{"a:~b)|(c", 3, "unexpected )"},
		{"a:~x{2000}", 3, "repeat"},
		{"a:~" + strings.Repeat("x", maxRegexBytes+1), 3, "at most 1024"},
		{"a:~" + strings.Repeat("[a-z]{900}", 20), 3, "steps"},
		{"a:b,c:\xffd", 6, "UTF-8"},
		{many, 4 * maxTagFilters, "more than 64"},
	} {
		_, err := parseTagFilters(test.text)
		fault, ok := errors.AsType[*filterError](err)
		if !ok || fault.position != test.position || !strings.Contains(err.Error(), test.issue) {
			t.Errorf("%.60s: %v, want position %d and %q", test.text, err, test.position, test.issue)
		}
	}
}

func TestFilterMatchers(t *testing.T) {
	for _, test := range []struct {
		filter  string
		matches string
		refuses string
	}{
		{"k:a", "a", "b||aa"},
		{"k!:a", "b||aa", "a"},
		{"k:a.c|b", "a.c|b", "abc||a.cb"},
		{"k:a|", "a|", "b"},
		{"k!:a|b", "c|", "a|b"},
		{"k:~a.c", "abc|a.c", "xabc|abcx|"},
		{"k:~a|bc", "a|bc", "ac|abc"},
		{"k!:~a.*", "b|", "a|abc"},
		{"k:", "", "a"},
		{"k!:", "a", ""},
	} {
		filters, err := parseTagFilters(test.filter)
		if err != nil {
			t.Fatal(err)
		}
		m, err := filters[0].matcher()
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range strings.Split(test.matches, "|") {
			if !m.Matches(value) {
				t.Errorf("%s does not match %q", test.filter, value)
			}
		}
		for _, value := range strings.Split(test.refuses, "|") {
			if m.Matches(value) {
				t.Errorf("%s matches %q", test.filter, value)
			}
		}
	}
}

func TestParseSourceFilter(t *testing.T) {
	for text, want := range map[string]tagFilter{
		"fl_server":  {Key: model.SourceKey, Values: []string{"fl_server"}},
		"a|b":        {Key: model.SourceKey, Values: []string{"a", "b"}},
		"a,b:c":      {Key: model.SourceKey, Values: []string{"a,b:c"}},
		"~a{1,2}|b":  {Key: model.SourceKey, Regex: "a{1,2}|b"},
		`\~a\|b`:     {Key: model.SourceKey, Values: []string{"~a|b"}},
		"experiment": {Key: model.SourceKey, Values: []string{"experiment"}},
	} {
		got, err := parseSourceFilter(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

func FuzzParseTagFilter(f *testing.F) {
	for _, seed := range []string{
		"host:a", "a:b,c!:d", "a:~x.*,b!:~(y|z)", "a:", "a!:", `a\:b:c\,d\|e\\f\!\~`, "a:b|c|", `a:~\d{1\,2}\\`, "a!b!!:c", "::", `\`, "0:|\xaa",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filters, err := parseTagFilters(text)
		if err != nil {
			if fault, ok := errors.AsType[*filterError](err); !ok || fault.position > len(text) || fault.Error() == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		var spelt []string
		for _, filter := range filters {
			spelt = append(spelt, filter.String())
			m, err := filter.matcher()
			if err != nil {
				t.Fatalf("%q is accepted, but has no matcher: %v", text, err)
			}
			m.Matches("host-1")
		}
		again, err := parseTagFilters(strings.Join(spelt, ","))
		if err != nil {
			t.Fatalf("%q is spelt %q: %v", text, spelt, err)
		}
		if diff := cmp.Diff(filters, again); diff != "" {
			t.Fatalf("%q is spelt %q (-want +got):\n%s", text, spelt, diff)
		}
	})
}
