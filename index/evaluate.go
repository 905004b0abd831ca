package index

import (
	"cmp"
	"slices"

	"github.com/flopynet/collector/model"
)

// postings is where evaluate finds series by tag: a partition on disk, or Active.
type postings interface {
	// all returns every series, in a set that is the caller's.
	all() (*Set, error)
	// addTag adds the series with this tag to dst.
	addTag(dst *Set, key, value string) error
	// addValues adds the series with this key and a value for which want is true to dst. want may also be
	// asked about "".
	addValues(dst *Set, key string, want func(value string) bool) error
}

// step is one matcher made ready. A matcher that refuses the empty value keeps the series that have one
// of its values; one that accepts it, and with it series without the tag, drops the series that have one
// of the values it refuses. Either way the step names values, all of them not empty, and so reads
// postings of series that have the tag.
type step struct {
	key      string
	drops    bool
	literals []string                // the values, if they are few and known
	want     func(value string) bool // else, which of the key's values they are
}

func newStep(m *model.Matcher) step {
	s := step{key: m.Key, drops: m.MatchesEmpty(), want: m.Matches}
	if s.drops {
		s.want = func(value string) bool { return !m.Matches(value) }
	}
	negated := m.Op == model.MatchNotEqual || m.Op == model.MatchNotRegexp
	if negated != s.drops {
		return s // the values are all but a few
	}
	if m.Op == model.MatchEqual || m.Op == model.MatchNotEqual {
		s.literals = []string{m.Value}
		return s
	}
	found, _ := literals(m.Value)
	// A surrogate in a class becomes U+FFFD as a string, which the expression does not match.
	s.literals = slices.DeleteFunc(found, func(value string) bool { return !s.want(value) })
	return s
}

// cost orders steps: one posting, a few, all of a key's; and what keeps before what drops, which needs
// something to drop from.
func (s step) cost() int {
	cost := len(s.literals)
	if cost == 0 {
		cost = maxLiterals + 1
	}
	if s.drops {
		cost += maxLiterals + 1
	}
	return cost
}

// addTo adds the series that have one of the step's values to dst.
func (s step) addTo(dst *Set, from postings) error {
	if len(s.literals) == 0 {
		return from.addValues(dst, s.key, s.want)
	}
	for _, value := range s.literals {
		if err := from.addTag(dst, s.key, value); err != nil {
			return err
		}
	}
	return nil
}

// evaluate returns the series that satisfy every matcher, cheapest first.
func evaluate(from postings, matchers []*model.Matcher) (*Set, error) {
	steps := make([]step, len(matchers))
	for i, m := range matchers {
		steps[i] = newStep(m)
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.cost(), b.cost()) })

	var result *Set
	if len(steps) == 0 || steps[0].drops {
		all, err := from.all()
		if err != nil {
			return nil, err
		}
		result = all
	}
	for _, s := range steps {
		if result != nil && result.IsEmpty() {
			return result, nil
		}
		series := new(Set)
		if err := s.addTo(series, from); err != nil {
			return nil, err
		}
		switch {
		case result == nil:
			result = series
		case s.drops:
			result.AndNot(series)
		default:
			result.And(series)
		}
	}
	return result, nil
}
