package httpapi

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/flopynet/collector/model"
)

// The grammar of tag filters:
//
//	filters = filter { "," filter }                all must hold
//	filter  = key ( ":" | "!:" ) [ operand ]       split at the first colon
//	operand = "~" regex                            RE2, matching the whole value
//	        | value { "|" value }                  any of them
//
// An operand that is missing means that the tag is: "key:" selects the series without it, "key!:" those
// with it. In keys and values a backslash takes the meaning from any of , : | ! ~ \ after it. In a
// regular expression only "\," is ours, a comma; every other backslash is the expression's own.

// Limits of filters.
const (
	maxTagFilters       = 64
	maxRegexBytes       = 1024
	maxRegexInstruction = 10_000
)

// escapable are the characters that a backslash may precede.
const escapable = `,:|!~\`

// tagFilter is a filter as it was read. Of Regex and Values one is in use; neither: the tag is absent, or
// with Not, present.
type tagFilter struct {
	Key    string
	Not    bool
	Regex  string
	Values []string
}

// filterError says where in the text a filter is wrong.
type filterError struct {
	text     string
	position int // in bytes, from 0
	issue    string
}

func (e *filterError) Error() string {
	part := e.text[min(e.position, len(e.text)):]
	if part == "" {
		return fmt.Sprintf("at its end: %s", e.issue)
	}
	return fmt.Sprintf("at character %d, %q: %s", e.position+1, clip(part), e.issue)
}

// filterScanner reads filters from front to back.
type filterScanner struct {
	text string
	at   int
}

// parseTagFilters reads a list of filters. The error is a *filterError.
func parseTagFilters(text string) ([]tagFilter, error) {
	s := &filterScanner{text: text}
	if err := s.checkUTF8(); err != nil {
		return nil, err
	}
	var filters []tagFilter
	for {
		filter, err := s.filter()
		if err != nil {
			return nil, err
		}
		filters = append(filters, filter)
		if s.at == len(s.text) {
			return filters, nil
		}
		s.at++ // the comma
		if len(filters) == maxTagFilters {
			return nil, s.fault(s.at, fmt.Sprintf("there are more than %d filters", maxTagFilters))
		}
	}
}

// parseSourceFilter reads the operand of a filter for the source, in which commas need no backslash.
func parseSourceFilter(text string) (tagFilter, error) {
	s := &filterScanner{text: text}
	filter := tagFilter{Key: model.SourceKey}
	if err := s.checkUTF8(); err != nil {
		return tagFilter{}, err
	}
	if err := s.operand(&filter, false); err != nil {
		return tagFilter{}, err
	}
	return filter, nil
}

func (s *filterScanner) checkUTF8() error {
	for i, r := range s.text {
		if r != utf8.RuneError {
			continue
		}
		if _, size := utf8.DecodeRuneInString(s.text[i:]); size == 1 {
			return s.fault(i, "it is not valid UTF-8")
		}
	}
	return nil
}

func (s *filterScanner) fault(position int, issue string) error {
	return &filterError{text: s.text, position: position, issue: issue}
}

func (s *filterScanner) filter() (tagFilter, error) {
	var filter tagFilter
	start := s.at
	key, stop, err := s.word(",:!")
	if err != nil {
		return filter, err
	}
	for stop == '!' && !strings.HasPrefix(s.text[s.at:], "!:") {
		// An exclamation mark elsewhere in a key is part of it.
		s.at++
		var more string
		if more, stop, err = s.word(",:!"); err != nil {
			return filter, err
		}
		key += "!" + more
	}
	filter.Key = key
	filter.Not = stop == '!'
	switch {
	case key == "" && stop != ':' && stop != '!':
		return filter, s.fault(start, "a filter is empty; write key:value")
	case key == "":
		return filter, s.fault(start, "the key is empty; write key:value")
	case stop != ':' && stop != '!':
		return filter, s.fault(start, "there is no colon; write key:value")
	case filter.Not:
		s.at++
	}
	s.at++
	return filter, s.operand(&filter, true)
}

// operand reads what follows the colon, up to the end or, in a list, a comma.
func (s *filterScanner) operand(filter *tagFilter, inList bool) error {
	if strings.HasPrefix(s.text[s.at:], "~") {
		s.at++
		return s.regex(filter, inList)
	}
	stops := "|"
	if inList {
		stops = "|,"
	}
	start := s.at
	for {
		value, stop, err := s.word(stops)
		if err != nil {
			return err
		}
		filter.Values = append(filter.Values, value)
		if stop != '|' {
			break
		}
		s.at++
	}
	if s.at == start {
		filter.Values = nil
	}
	return nil
}

// word reads up to one of the stops or the end, where it stays; stop is 0 at the end.
func (s *filterScanner) word(stops string) (word string, stop byte, err error) {
	var text strings.Builder
	for ; s.at < len(s.text); s.at++ {
		b := s.text[s.at]
		if strings.IndexByte(stops, b) >= 0 {
			return text.String(), b, nil
		}
		if b == '\\' {
			if s.at+1 == len(s.text) || strings.IndexByte(escapable, s.text[s.at+1]) < 0 {
				return "", 0, s.fault(s.at, `a backslash must precede one of `+escapable+`; write \\ for a backslash`)
			}
			s.at++
			b = s.text[s.at]
		}
		text.WriteByte(b)
	}
	return text.String(), 0, nil
}

func (s *filterScanner) regex(filter *tagFilter, inList bool) error {
	start := s.at
	var text strings.Builder
	for ; s.at < len(s.text); s.at++ {
		b := s.text[s.at]
		if b == ',' && inList {
			break
		}
		if b == '\\' && s.at+1 < len(s.text) {
			s.at++
			if b = s.text[s.at]; b != ',' {
				text.WriteByte('\\')
			}
		}
		text.WriteByte(b)
	}
	filter.Regex = text.String()
	if issue := checkRegex(filter.Regex); issue != "" {
		return s.fault(start, issue)
	}
	return nil
}

// checkRegex returns what is wrong with a regular expression, or "". Beyond what NewMatcher checks, it
// bounds the size of its program, which decides what a match costs.
func checkRegex(expression string) string {
	if expression == "" {
		return "the regular expression is empty"
	}
	if len(expression) > maxRegexBytes {
		return fmt.Sprintf("the regular expression has %d bytes, at most %d are allowed", len(expression), maxRegexBytes)
	}
	tree, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return err.Error()
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return err.Error()
	}
	if len(program.Inst) > maxRegexInstruction {
		return fmt.Sprintf("the regular expression compiles to %d steps, at most %d are allowed", len(program.Inst), maxRegexInstruction)
	}
	return ""
}

// matcher makes the engine's matcher of a filter.
func (f tagFilter) matcher() (*model.Matcher, error) {
	op, pattern := model.MatchEqual, model.MatchRegexp
	if f.Not {
		op, pattern = model.MatchNotEqual, model.MatchNotRegexp
	}
	switch {
	case f.Regex != "":
		return model.NewMatcher(f.Key, pattern, f.Regex)
	case len(f.Values) == 0:
		return model.NewMatcher(f.Key, op, "")
	case len(f.Values) == 1:
		return model.NewMatcher(f.Key, op, f.Values[0])
	}
	quoted := make([]string, len(f.Values))
	for i, value := range f.Values {
		quoted[i] = regexp.QuoteMeta(value)
	}
	return model.NewMatcher(f.Key, pattern, strings.Join(quoted, "|"))
}

// String spells the filter so that it reads back as the same.
func (f tagFilter) String() string {
	text := escapeWord(f.Key)
	if f.Not {
		text += "!"
	}
	text += ":"
	if f.Regex != "" {
		return text + "~" + escapeRegex(f.Regex)
	}
	for i, value := range f.Values {
		if i > 0 {
			text += "|"
		}
		text += escapeWord(value)
	}
	return text
}

func escapeWord(word string) string {
	var text strings.Builder
	for _, b := range []byte(word) {
		if strings.IndexByte(escapable, b) >= 0 {
			text.WriteByte('\\')
		}
		text.WriteByte(b)
	}
	return text.String()
}

// escapeRegex puts a backslash before the commas of an expression. It steps over the expression's own
// pairs, none of which is "\,".
func escapeRegex(expression string) string {
	var text strings.Builder
	for i := 0; i < len(expression); i++ {
		switch {
		case expression[i] == ',':
			text.WriteByte('\\')
		case expression[i] == '\\' && i+1 < len(expression):
			text.WriteByte('\\')
			i++
		}
		text.WriteByte(expression[i])
	}
	return text.String()
}
