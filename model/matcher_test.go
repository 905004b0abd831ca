package model

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatcher(t *testing.T) {
	for _, row := range []struct {
		op      MatchOp
		given   string
		matches string // values separated by spaces, "-" being the empty value
		refuses string
	}{
		{MatchEqual, "a", "a", "- b aa"},
		{MatchEqual, "", "-", "a"},
		{MatchNotEqual, "a", "- b aa", "a"},
		{MatchNotEqual, "", "a", "-"},
		{MatchRegexp, "a|b", "a b", "- ab aa ba c"},
		{MatchRegexp, "a.*", "a ab", "- ba"},
		{MatchRegexp, "", "-", "a"},
		{MatchRegexp, "(?i)ab", "ab AB aB", "- abc"},
		{MatchRegexp, ".*", "- a", ""},
		{MatchRegexp, ".+", "a a\nb", "-"},
		{MatchRegexp, "^a$", "a", "ab"},
		{MatchRegexp, "(?m)a$", "a", "a\nb"},
		{MatchRegexp, `\Qa.b`, "a.b", "axb"},
		{MatchRegexp, `a\x29`, "a)", "a"},
		{MatchNotRegexp, "a|b", "- ab c", "a b"},
		{MatchNotRegexp, "a?", "b", "- a"},
	} {
		m, err := NewMatcher("key", row.op, row.given)
		if err != nil {
			t.Errorf("%s %q: %v", row.op, row.given, err)
			continue
		}
		check := func(values string, want bool) {
			for _, value := range strings.Split(values, " ") {
				if value == "" {
					continue
				}
				value = strings.TrimPrefix(value, "-")
				if got := m.Matches(value); got != want {
					t.Errorf("%v: Matches(%q) = %v", m, value, got)
				}
				if value == "" && m.MatchesEmpty() != want {
					t.Errorf("%v: MatchesEmpty() = %v", m, !want)
				}
			}
		}
		check(row.matches, true)
		check(row.refuses, false)
	}
}

// TestMatcherRefusesBadExpressions has, beside plain faults, expressions that are well formed only
// between the parentheses of another one.
func TestMatcherRefusesBadExpressions(t *testing.T) {
	for _, expression := range []string{"(", ")", "a)(b", "a)|(?:b", "[a", "*", `a\`, "\xff"} {
		for _, op := range []MatchOp{MatchRegexp, MatchNotRegexp} {
			m, err := NewMatcher("host", op, expression)
			if err == nil {
				t.Errorf("%v was accepted", m)
			} else if !strings.Contains(err.Error(), `"host"`) {
				t.Errorf("%v does not name the key", err)
			}
		}
	}
}

// FuzzMatcher compares with the longest match of the bare expression, which must span the whole value.
func FuzzMatcher(f *testing.F) {
	for _, seed := range []string{"a|ab", "(?i)a.*b", "a)|(b", `\Qa`, "(?m)^a$", "[a-c]+", "(?U)a+"} {
		f.Add(seed, "ab")
	}
	f.Fuzz(func(t *testing.T, expression, value string) {
		m, err := NewMatcher("key", MatchRegexp, expression)
		plain, plainErr := regexp.Compile(expression)
		if (err == nil) != (plainErr == nil) {
			t.Fatalf("%q: error %v, alone %v", expression, err, plainErr)
		}
		if err != nil {
			return
		}
		if strings.Contains(value, "\n") || strings.Contains(expression, "(?") {
			return // flags may make the two differ
		}
		plain.Longest()
		at := plain.FindStringIndex(value)
		if want := at != nil && at[0] == 0 && at[1] == len(value); m.Matches(value) != want {
			t.Fatalf("%v: Matches(%q) = %v, want %v", m, value, !want, want)
		}
	})
}

func TestMatchSeries(t *testing.T) {
	s := Series{Name: "cpu", Tags: Tags{{"host", "a"}, {SourceKey, "s1"}}}
	not := func(key, value string) *Matcher {
		m, err := NewMatcher(key, MatchNotEqual, value)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, row := range []struct {
		name     string
		matchers []*Matcher
		want     bool
	}{
		{"none", nil, true},
		{"name", []*Matcher{EqualMatcher(NameKey, "cpu")}, true},
		{"other name", []*Matcher{EqualMatcher(NameKey, "mem")}, false},
		{"source", []*Matcher{EqualMatcher(SourceKey, "s1")}, true},
		{"absent tag is empty", []*Matcher{EqualMatcher("rack", "")}, true},
		{"absent tag is not a value", []*Matcher{not("rack", "r1")}, true},
		{"absent tag is not non-empty", []*Matcher{not("rack", "")}, false},
		{"all must match", []*Matcher{EqualMatcher(NameKey, "cpu"), EqualMatcher("host", "b")}, false},
	} {
		if got := MatchSeries(s, row.matchers); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
	if s.Source() != "s1" {
		t.Errorf("source %q", s.Source())
	}
}
