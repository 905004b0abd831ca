package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flopynet/collector/internal/sketch"
	"github.com/flopynet/collector/model"
)

// lookback is how far before the range rate and increase search for a series' last sample.
const lookback = int64(24 * time.Hour)

// sketchPoints is how many points of a result weigh as much as one with a sketch.
const sketchPoints = 16

// manyHours is how many hours of series a request for percentiles may span before it is worth counting
// their samples first.
const manyHours = 2000

// Aggregate computes functions of the samples of each bucket, and each group of series. It stops with
// the context's error when that ends. The result may come from a cache: it is not to be changed.
func (db *DB) Aggregate(ctx context.Context, r AggregateRequest) (*AggregateResult, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	if err := checkAggregate(&r); err != nil {
		return nil, err
	}
	return db.cached(&r, func() (*AggregateResult, error) {
		return consistently(db, func() (*AggregateResult, error) { return db.aggregate(ctx, &r) })
	})
}

func checkAggregate(r *AggregateRequest) error {
	switch {
	case len(r.Edges) < 2:
		return errors.New("an aggregation needs at least one bucket")
	case !slices.IsSorted(r.Edges):
		return errors.New("the edges of an aggregation must ascend")
	case len(r.Functions) == 0:
		return errors.New("an aggregation needs a function")
	}
	r.From = max(r.From, r.Edges[0], model.MinTime)
	r.To = min(r.To, r.Edges[len(r.Edges)-1], model.MaxTime+1)
	return nil
}

// aggregate is Aggregate without the cache, for a request that was checked.
func (db *DB) aggregate(ctx context.Context, r *AggregateRequest) (*AggregateResult, error) {
	begin := db.opts.Now()
	found, err := db.find(ctx, r.Selection)
	if err != nil {
		return nil, err
	}
	result := &AggregateResult{SeriesCount: len(found.ids), Exact: true, RetentionBound: found.expiredThrough() > r.From}
	if len(found.ids) == 0 {
		return result, nil
	}
	result.unitIDs = slices.Clone(found.ids[:min(len(found.ids), 16)])
	if result.Unit, err = db.unitOf(result.unitIDs); err != nil {
		return nil, err
	}
	q := &aggregation{db: db, request: r, found: found, needs: needsOf(r.Functions, false)}
	groups, groupOf, err := db.group(r, found.ids)
	if err != nil {
		return nil, err
	}
	q.groupOf, q.groups = groupOf, len(groups)
	planned := db.opts.Now()
	total, err := q.runFitting(ctx)
	if err != nil {
		return nil, err
	}
	result.Groups = finish(r, groups, total)
	result.Exact, result.Sketched, result.Explain = q.exact(), q.needs.sketch, q.explain
	result.Explain.Find, result.Explain.Read = planned.Sub(begin), db.opts.Now().Sub(planned)
	if q.needs.sketch {
		result.ErrorBound = sketch.RelativeError
	}
	return result, nil
}

// runFitting is run, with percentiles from sketches where exact ones can't be had.
func (q *aggregation) runFitting(ctx context.Context) (*accumulator, error) {
	if q.needs.values {
		if err := q.chooseSketches(ctx); err != nil {
			return nil, err
		}
	}
	total, err := q.run(ctx)
	if errors.Is(err, errTooManyValues) {
		q.useSketches()
		total, err = q.run(ctx)
	}
	return total, err
}

// chooseSketches decides whether percentiles come from sketches: where raw samples no longer cover the range,
// or are too many.
func (q *aggregation) chooseSketches(ctx context.Context) error {
	hours := (q.request.To - q.request.From) / hour * int64(len(q.found.ids))
	if hours > manyHours {
		count, err := q.db.countSamples(ctx, q.request.Selection)
		if err != nil {
			return err
		}
		if count > int64(q.db.opts.MaxExactSamples) {
			q.useSketches()
			return nil
		}
	}
	p := q.db.pin(q.found.part(0, 1), q.request.From, q.request.To)
	defer func() { _ = p.close() }()
	plans, err := q.plans(p)
	if err != nil {
		return err
	}
	for _, plan := range plans {
		if slices.ContainsFunc(plan.steps, func(s step) bool { return s.tier != model.TierRaw }) {
			q.useSketches()
		}
	}
	return nil
}

// useSketches lets percentiles come from sketches.
func (q *aggregation) useSketches() { q.needs = needsOf(q.request.Functions, true) }

// checkPoints refuses a result that would take too much memory.
func (q *aggregation) checkPoints() error {
	limit, buckets := q.db.opts.MaxResultPoints, len(q.request.Edges)-1
	if q.needs.sketch {
		limit /= sketchPoints
	}
	if q.groups*buckets <= limit {
		return nil
	}
	return &LimitError{Limit: "max_result_points", Max: int64(limit),
		Advice: fmt.Sprintf("%d groups of %d buckets were asked for: use a coarser granularity, a shorter range or fewer groups",
			q.groups, buckets)}
}

// finish computes the functions of the groups that have samples.
func finish(r *AggregateRequest, groups []model.Tags, total *accumulator) []Group {
	var out []Group
	for number, tags := range groups {
		if g := finishGroup(r, tags, total.groups[number]); len(g.Buckets) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// finishGroup computes the functions of a group's buckets that have samples.
func finishGroup(r *AggregateRequest, tags model.Tags, pages [][]partial) Group {
	buckets := 0
	for _, partials := range pages {
		for i := range partials {
			if partials[i].count > 0 {
				buckets++
			}
		}
	}
	g := Group{Tags: tags, Buckets: make([]int, 0, buckets), Values: make([]float64, 0, buckets*len(r.Functions))}
	for page, partials := range pages {
		for i := range partials {
			p := &partials[i]
			if p.count == 0 {
				continue
			}
			g.Buckets = append(g.Buckets, page*bucketPage+i)
			for number, f := range r.Functions {
				g.Values = append(g.Values, p.value(f, number))
			}
		}
	}
	return g
}
