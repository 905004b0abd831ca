package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// A scan reads all that a selection has, series by series, in memory that doesn't grow with the data. Its
// selection may match any number of metrics: the matchers for model.NameKey may be of any kind, or absent.

// maxPinAge is how old a scan's view may become before it takes another: what is dropped meanwhile keeps its
// room on the disk while a view still has it, and a scan waits for its caller.
const maxPinAge = time.Minute

// scanGroup is how many series times days a scan pins at once, at most: one pin costs about as much as
// reading some hundreds of them.
const scanGroup = 4096

// Scan calls fn with all raw samples of the series that match, as Samples would return them: metric by
// metric in the order of their names, series by series in that of their ids, and in time order within a
// series, in blocks of a chunk or so and a day at most. The slices are fn's until it returns; the series'
// strings are shared, its tags are fn's to keep.
//
// A sample that is written, or deleted, while the scan goes on may or may not be seen. The scan ends with fn's
// first error, or with the context's, which is looked at between blocks. fn may take its time, but must not
// use the DB, whose Close waits for it.
func (db *DB) Scan(ctx context.Context, s Selection, fn func(series model.Series, times []int64, values []float64) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	s.From, s.To = max(s.From, model.MinTime), min(s.To, model.MaxTime+1)
	if s.From >= s.To {
		return nil
	}
	days := 1 + len(db.partitionsIn(model.TierRaw, s.From, s.To))
	return db.eachFound(ctx, s, max(1, scanGroup/days), func(part found, series []model.Series) error {
		return db.scanSeries(ctx, part, series, s, fn)
	})
}

// ScanSeries calls fn with each series that matches, in the order of Scan. What it says of Scan's fn and of the
// context holds here, too.
func (db *DB) ScanSeries(ctx context.Context, s Selection, fn func(model.Series) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	return db.eachFound(ctx, s, pinGroup, func(_ found, series []model.Series) error {
		for _, one := range series {
			if err := fn(one); err != nil {
				return err
			}
		}
		return nil
	})
}

// ScanBuckets is Aggregate for each matching series by itself, in the order of Scan: fn gets the series that
// have samples in the range. The request's groups are ignored. exact says what AggregateResult.Exact does, so
// far. What Scan says of fn and of the context holds here, too.
func (db *DB) ScanBuckets(ctx context.Context, r AggregateRequest, fn func(series model.Series, g Group) error) (exact bool, err error) {
	if err := db.enter(); err != nil {
		return false, err
	}
	defer db.leave()
	if err := checkAggregate(&r); err != nil {
		return false, err
	}
	exact = true
	size := min(pinGroup, max(1, db.opts.MaxResultPoints/sketchPoints/(len(r.Edges)-1)))
	err = db.eachFound(ctx, r.Selection, size, func(part found, series []model.Series) error {
		q := &aggregation{db: db, request: &r, found: part, groups: len(series), groupOf: make([]int, len(series)), needs: needsOf(r.Functions, false)}
		for i := range series {
			q.groupOf[i] = i
		}
		total, err := q.runFitting(ctx)
		if err != nil {
			return err
		}
		exact = exact && q.exact()
		for i := range series {
			if g := finishGroup(&r, series[i].Tags, total.groups[i]); len(g.Buckets) > 0 {
				if err := fn(series[i], g); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return exact, err
}

// eachFound calls fn with what a selection finds, metric by metric, at most size series at once.
func (db *DB) eachFound(ctx context.Context, s Selection, size int, fn func(part found, series []model.Series) error) error {
	if _, err := metricName(s.Matchers); err == nil {
		return db.eachFoundOf(ctx, s, size, fn)
	}
	names, err := db.metricNames(ctx, s)
	if err != nil {
		return err
	}
	for _, name := range names {
		one := s
		one.Matchers = append([]*model.Matcher{model.EqualMatcher(model.NameKey, name)}, slices.DeleteFunc(slices.Clone(s.Matchers), isNameMatcher)...)
		if err := db.eachFoundOf(ctx, one, size, fn); err != nil {
			return err
		}
	}
	return nil
}

// eachFoundOf is eachFound for a single metric. When a series that was found is dropped before it is looked
// at, it finds again what is left.
func (db *DB) eachFoundOf(ctx context.Context, s Selection, size int, fn func(part found, series []model.Series) error) error {
	done := model.SeriesID(0)
	for tries := 0; ; tries++ {
		epoch := db.Epoch()
		all, err := db.find(ctx, s)
		if err != nil {
			return err
		}
		begin, _ := slices.BinarySearch(all.ids, done+1)
		for ; begin < len(all.ids) && err == nil; begin += size {
			part := all.part(begin, min(begin+size, len(all.ids)))
			var series []model.Series
			if series, err = db.describe(part.ids); err != nil {
				break
			}
			if err = fn(part, series); err != nil {
				return err
			}
			done, tries = part.ids[len(part.ids)-1], 0
		}
		if err == nil || !errors.Is(err, index.ErrCorrupt) || db.Epoch() == epoch || tries == attempts {
			return err
		}
	}
}

func isNameMatcher(m *model.Matcher) bool { return m.Key == model.NameKey }
