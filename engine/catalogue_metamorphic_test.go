package engine

import (
	"context"
	"slices"

	"github.com/flopynet/collector/model"
)

// checkNames asks which metrics there are of a selection without its name, and compares with what Select
// finds of each, and with the samples that the oracle has.
func (m *metamorphic) checkNames(selection Selection) {
	selection.Matchers = slices.DeleteFunc(selection.Matchers, func(matcher *model.Matcher) bool { return matcher.Key == model.NameKey })
	if m.random.IntN(2) == 0 {
		name, err := model.NewMatcher(model.NameKey, model.MatchRegexp, pick(m.random, "c.*", "cpu|memory", "disk"))
		if err != nil {
			m.fail("matcher: %v", err)
		}
		selection.Matchers = append(selection.Matchers, name)
	}
	got, err := m.db.MetricNames(context.Background(), selection)
	if err != nil {
		m.fail("metric names: %v", err)
	}
	var want []string
	for _, name := range []string{"cpu", "memory"} {
		ofName := selection
		ofName.Matchers = append(slices.Clone(selection.Matchers), model.EqualMatcher(model.NameKey, name))
		series, err := m.db.Select(context.Background(), ofName)
		if err != nil {
			m.fail("select: %v", err)
		}
		if len(series) > 0 {
			want = append(want, name)
		}
		if rows := m.oracle.rows(ofName); len(rows) > 0 && !slices.Contains(got, name) {
			m.fail("metric names of %v are %q, and %s has %d samples", selection, got, name, len(rows))
		}
	}
	if !slices.Equal(got, want) {
		m.fail("metric names of %v are %q, want %q", selection, got, want)
	}
}
