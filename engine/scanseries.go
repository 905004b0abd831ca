package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
)

// maxOpenReaders bounds the partitions that a scan keeps open at once; those beyond are opened for each
// series anew.
const maxOpenReaders = 64

// scanner reads the series of one group.
type scanner struct {
	db     *DB
	series []model.Series
	found  found
	s      Selection
	fn     func(series model.Series, times []int64, values []float64) error

	next   int   // the series to read from,
	from   int64 // and its time
	times  []int64
	values []float64
}

// scanSeries reads the series of part one by one. It pins them anew when the pin has become old.
func (db *DB) scanSeries(ctx context.Context, part found, series []model.Series, s Selection,
	fn func(series model.Series, times []int64, values []float64) error) error {
	c := &scanner{db: db, series: series, found: part, s: s, fn: fn, from: s.From}
	for c.next < len(series) {
		if err := c.pinned(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pinned reads with one pin until that is old, or until all is read.
func (c *scanner) pinned(ctx context.Context) (err error) {
	since := c.db.opts.Now()
	first := c.next
	pin := c.db.pin(c.found.part(first, len(c.found.ids)), c.s.From, c.s.To)
	readers := make([]*partitionReader, len(pin.partitions))
	defer func() {
		for _, r := range readers {
			if r != nil {
				err = errors.Join(err, r.close())
			}
		}
		err = errors.Join(err, pin.close())
	}()
	for ; c.next < len(c.series); c.next, c.from = c.next+1, c.s.From {
		begin, _ := slices.BinarySearch(pin.partitions, model.TierRaw.PartitionOf(c.from))
		for i := begin; i < len(pin.partitions); i++ {
			// At least one day of one series is read for each pin, so that there is progress.
			if c.db.opts.Now().Sub(since) >= maxPinAge && (c.next > first || i > begin) {
				c.from, _ = model.TierRaw.Bounds(pin.partitions[i])
				return nil
			}
			r := readers[i]
			if r == nil {
				if r, err = newPartitionReader(pin, pin.partitions[i], c.s.From, c.s.To); err != nil {
					return err
				}
				readers[i] = r
			}
			if err := c.read(ctx, r, c.next-first); err != nil {
				return err
			}
			if i >= maxOpenReaders {
				readers[i] = nil
				if err := r.close(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// read passes on the samples that series number i of the reader's pin has in its partition.
func (c *scanner) read(ctx context.Context, r *partitionReader, i int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.load(i); err != nil {
		return err
	}
	from := max(r.from, r.pin.floor(i))
	var failed error // fn's
	err := r.runs.Clusters(from, r.to, func(cluster merge.Cluster) error {
		var err error
		c.times, c.values, err = cluster.Append(c.times[:0], c.values[:0], from, r.to)
		if err != nil {
			return err
		}
		c.times, c.values = withoutStale(c.times, c.values)
		if len(c.times) > 0 {
			failed = c.fn(c.series[c.next], c.times, c.values)
		}
		if failed == nil {
			failed = ctx.Err()
		}
		return failed
	})
	if err != nil && failed == nil {
		err = fmt.Errorf("series %d: %w", r.pin.ids[i], errors.Join(ErrCorrupt, err))
	}
	return err
}

// withoutStale takes the stale markers out of the columns.
func withoutStale(times []int64, values []float64) ([]int64, []float64) {
	kept := slices.IndexFunc(values, model.IsStale)
	if kept < 0 {
		return times, values
	}
	for i := kept; i < len(values); i++ {
		if !model.IsStale(values[i]) {
			times[kept], values[kept] = times[i], values[i]
			kept++
		}
	}
	return times[:kept], values[:kept]
}
