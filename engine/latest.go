package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
)

// LatestSample is the newest sample of a series.
type LatestSample struct {
	Series model.Series
	model.Sample
}

// Latest returns the newest sample in the range of each series that satisfies the matchers, of one metric or of many, by
// series id. Stale markers don't count; NaN does. More than maxSeries series are a *LimitError.
func (db *DB) Latest(ctx context.Context, s Selection, maxSeries int) ([]LatestSample, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	s.From, s.To = max(s.From, model.MinTime), min(s.To, model.MaxTime+1)
	return consistently(db, func() ([]LatestSample, error) { return db.latest(ctx, s, maxSeries) })
}

func (db *DB) latest(ctx context.Context, s Selection, maxSeries int) ([]LatestSample, error) {
	m, err := db.match(ctx, s, nil)
	if err != nil {
		return nil, err
	}
	set := m.series
	if err := m.close(); err != nil {
		return nil, err
	}
	if set.Len() > maxSeries {
		return nil, &LimitError{Limit: "max_latest_series", Max: int64(maxSeries), Advice: "name fewer metrics or sources, or filter by tags"}
	}
	series, err := db.describe(set.AppendTo(nil))
	if err != nil {
		return nil, err
	}
	found := make([]LatestSample, len(series))
	has := make([]bool, len(series))
	byName := make(map[string][]int)
	for i := range series {
		found[i].Series = series[i]
		byName[series[i].Name] = append(byName[series[i].Name], i)
	}
	for name, places := range byName {
		for group := range slices.Chunk(places, pinGroup) {
			if err := db.latestOf(ctx, s, name, group, found, has); err != nil {
				return nil, err
			}
		}
	}
	kept := found[:0]
	for i := range found {
		if has[i] {
			kept = append(kept, found[i])
		}
	}
	return kept, nil
}

// latestOf fills in those of found, all of one metric, that places names.
func (db *DB) latestOf(ctx context.Context, s Selection, name string, places []int, all []LatestSample, has []bool) (err error) {
	f := found{name: name, ids: make([]model.SeriesID, len(places))}
	for i, place := range places {
		f.ids[i] = all[place].Series.ID
	}
	if err := db.classify(&f); err != nil {
		return err
	}
	pin := db.pin(f, s.From, s.To)
	defer func() { err = errors.Join(err, pin.close()) }()
	search := latestSearch{places: places, all: all, has: has}
	for _, partition := range slices.Backward(pin.partitions) {
		if search.found == len(places) {
			break
		}
		if err := search.partition(ctx, pin, partition, s.From, s.To); err != nil {
			return err
		}
	}
	return nil
}

// latestSearch goes through partitions, the newest first.
type latestSearch struct {
	places []int
	all    []LatestSample
	has    []bool
	found  int

	clusters []merge.Cluster
	times    []int64
	values   []float64
}

func (l *latestSearch) partition(ctx context.Context, p *pin, number model.Partition, from, to int64) (err error) {
	r, err := newPartitionReader(p, number, from, to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for i, place := range l.places {
		if l.has[place] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.load(i); err != nil {
			return err
		}
		sample, ok, err := l.last(&r.runs, max(r.from, p.floor(i)), r.to)
		if err != nil {
			return fmt.Errorf("series %d: %w", p.ids[i], errors.Join(ErrCorrupt, err))
		}
		if ok {
			l.all[place].Sample, l.has[place] = sample, true
			l.found++
		}
	}
	return nil
}

// last returns the newest visible sample of the runs. It decodes no more than it must.
func (l *latestSearch) last(runs *merge.Runs, from, to int64) (_ model.Sample, ok bool, err error) {
	l.clusters = l.clusters[:0]
	err = runs.Clusters(from, to, func(c merge.Cluster) error {
		l.clusters = append(l.clusters, c)
		return nil
	})
	for _, cluster := range slices.Backward(l.clusters) {
		if err != nil {
			break
		}
		l.times, l.values, err = cluster.Append(l.times[:0], l.values[:0], from, to)
		for k := len(l.times) - 1; k >= 0 && err == nil; k-- {
			if !model.IsStale(l.values[k]) {
				return model.Sample{Time: l.times[k], Value: l.values[k]}, true, nil
			}
		}
	}
	return model.Sample{}, false, err
}
