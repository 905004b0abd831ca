package model

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// MatchOp is how a matcher compares.
type MatchOp uint8

// The four comparisons. Regular expressions are RE2 and match the whole value.
const (
	MatchEqual MatchOp = iota
	MatchNotEqual
	MatchRegexp
	MatchNotRegexp
)

func (op MatchOp) String() string { return [...]string{"=", "!=", "=~", "!~"}[op] }

// Matcher selects series by one tag, or by the metric's name with Key = NameKey, or by the source with
// Key = SourceKey. A series without the tag is matched as if its value were "".
type Matcher struct {
	Key   string
	Op    MatchOp
	Value string // the text or the expression, as given

	re *regexp.Regexp
}

// NewMatcher compiles a matcher. The error is that of regexp.Compile, with the key named.
func NewMatcher(key string, op MatchOp, value string) (*Matcher, error) {
	m := &Matcher{Key: key, Op: op, Value: value}
	if op == MatchRegexp || op == MatchNotRegexp {
		re, err := compileWhole(value)
		if err != nil {
			return nil, fmt.Errorf("regular expression %q for %q: %w", value, key, err)
		}
		m.re = re
	}
	return m, nil
}

// compileWhole compiles an expression that must match a text from its beginning to its end, with "."
// matching newlines too. It is parsed by itself first, so that it can't close the parentheses around it.
func compileWhole(expression string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, err
	}
	return regexp.Compile("^(?:" + tree.String() + ")$")
}

// EqualMatcher is NewMatcher for MatchEqual, which cannot fail.
func EqualMatcher(key, value string) *Matcher {
	return &Matcher{Key: key, Op: MatchEqual, Value: value}
}

// Matches reports whether value satisfies the matcher.
func (m *Matcher) Matches(value string) bool {
	switch m.Op {
	case MatchEqual:
		return value == m.Value
	case MatchNotEqual:
		return value != m.Value
	case MatchRegexp:
		return m.re.MatchString(value)
	default:
		return !m.re.MatchString(value)
	}
}

// MatchesEmpty reports whether series without the tag are selected.
func (m *Matcher) MatchesEmpty() bool { return m.Matches("") }

func (m *Matcher) String() string { return fmt.Sprintf("%q%s%q", m.Key, m.Op, m.Value) }

// MatchSeries reports whether the series satisfies every matcher.
func MatchSeries(s Series, matchers []*Matcher) bool {
	for _, m := range matchers {
		value := s.Name
		if m.Key != NameKey {
			value = s.Tags.Get(m.Key)
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}
