package pipeline

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// maxWindows bounds the windows of a run.
const maxWindows = 100_000

// mondayPhase is the first Monday after the epoch: windows of whole weeks begin on Mondays.
const (
	week        = 7 * 24 * 3600 * int64(1e9)
	mondayPhase = 4 * 24 * 3600 * int64(1e9)
)

// floorWindow returns where the window of the width begins that t is in. t is not before the epoch.
func floorWindow(t, width int64) int64 {
	if width%week == 0 {
		if t < mondayPhase {
			return mondayPhase - width
		}
		return t - (t-mondayPhase)%width
	}
	return t - t%width
}

// windowEdges returns the bounds of the windows that cover [from, to). A width of 0 means one window.
func windowEdges(width, from, to int64) ([]int64, error) {
	if width == 0 {
		return []int64{from, to}, nil
	}
	if (to-from)/width > maxWindows {
		return nil, &engine.LimitError{Limit: "windows of a pipeline", Max: maxWindows, Advice: "use a wider window or a shorter range"}
	}
	edges := []int64{floorWindow(from, width)}
	for edges[len(edges)-1] < to {
		next := edges[len(edges)-1]
		if next > math.MaxInt64-width {
			next = to
		} else {
			next += width
		}
		edges = append(edges, next)
	}
	return edges, nil
}

// outcome is what a run computed.
type outcome struct {
	table    *Table
	bindings map[string]string // what its names stand for
	warnings []string
}

// run computes the rows of [from, to). bindings are those of earlier runs, which are not changed. An ambiguous
// name is a *FieldError or, with keep, a warning and null.
func (p *plan) run(ctx context.Context, db *engine.DB, from, to int64, bindings map[string]string, keep bool) (*outcome, error) {
	edges, err := windowEdges(p.width, from, to)
	if err != nil {
		return nil, err
	}
	selection := engine.Selection{Matchers: p.matchers, From: from, To: to}
	names, err := db.MetricNames(ctx, selection)
	if err != nil {
		return nil, err
	}
	if len(names) > maxMetrics {
		return nil, &engine.LimitError{Limit: "metrics of a pipeline", Max: maxMetrics, Advice: "name those that are meant in a filter, or filter by more tags"}
	}
	r := &resolver{bindings: maps.Clone(bindings), keep: keep}
	builder := newTableBuilder(edges, p.grouped())
	for _, name := range names {
		ofName := selection
		ofName.Matchers = append([]*model.Matcher{model.EqualMatcher(model.NameKey, name)}, p.tagMatchers()...)
		result, err := db.Aggregate(ctx, engine.AggregateRequest{
			Selection: ofName, Edges: edges, Functions: p.functions.parsed, GroupBy: p.groupBy, GroupAll: p.groupAll,
		})
		if err != nil {
			return nil, err
		}
		if len(result.Groups) == 0 {
			continue // no samples in the range
		}
		if !result.Exact {
			r.warn(inexact(name, result))
		}
		r.metrics = append(r.metrics, name)
		if err := builder.add(name, p.functions.names, result); err != nil {
			return nil, err
		}
	}
	table := builder.finish()
	for _, o := range p.operations {
		if err := o.apply(ctx, table, r); err != nil {
			return nil, err
		}
	}
	if err := table.checkBytes(); err != nil {
		return nil, err
	}
	return &outcome{table: table, bindings: r.bindings, warnings: r.warnings}, nil
}

// tagMatchers are the matchers but those of the name, which have done their part.
func (p *plan) tagMatchers() []*model.Matcher {
	return slices.DeleteFunc(slices.Clone(p.matchers), func(m *model.Matcher) bool { return m.Key == model.NameKey })
}

func inexact(name string, result *engine.AggregateResult) string {
	if result.Sketched {
		return "percentiles of " + name + " come from sketches, within 1 %"
	}
	return "raw samples of " + name + " have expired; its values come from the nearest rollup"
}
