package engine

import (
	"sort"

	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// addPoints takes in points [lo, hi) of one series, in time order. A point that begins before the range, as
// those do that are only the nearest there are, counts for the range's first bucket.
func (a *accumulator) addPoints(group int, state *seriesState, tier model.Tier, c *rollup.Columns, lo, hi int) {
	if state == nil && a.needs.columns&^(rollup.WantCounts|rollup.WantSums) == 0 {
		a.addSums(group, tier, c, lo, hi)
		return
	}
	bucket := -2
	end := int64(0) // of the bucket
	for i := lo; i < hi; i++ {
		if start := c.Starts[i]; bucket == -2 || start >= end {
			bucket, end = a.bucketOfPoint(start, tier.Width())
		}
		if bucket >= 0 {
			a.partial(group, bucket).addPoint(c, i, a.needs)
		}
		if state != nil {
			a.changePoint(group, bucket, state, c, i)
		}
	}
}

// addSums is addPoints for counts and sums alone, which most queries are about. Points of neighbouring buckets, as
// they are where buckets are as wide as points, are added without looking for the bucket of each.
func (a *accumulator) addSums(group int, tier model.Tier, c *rollup.Columns, lo, hi int) {
	for i := lo; i < hi; {
		bucket, end := a.bucketOfPoint(c.Starts[i], tier.Width())
		if bucket < 0 {
			i++
			continue
		}
		page := a.page(group, bucket)
		edges := a.edges[bucket-bucket%bucketPage:]
		for at := bucket % bucketPage; ; {
			p := &page[at]
			for ; i < hi && c.Starts[i] < end; i++ {
				p.count += c.Counts[i]
				p.finite += c.Counts[i] - c.NaNs[i]
				if len(c.Sums) > 0 {
					p.addSum(c.Sums[i]) // 0 where nothing is finite
				}
			}
			if at++; i == hi || at == len(page) || c.Starts[i] >= edges[at+1] {
				break
			}
			end = edges[at+1]
		}
	}
}

// bucketOfPoint returns the bucket that a point of this width counts for, and where that ends; -1 is before
// the range.
func (a *accumulator) bucketOfPoint(start, width int64) (bucket int, end int64) {
	if start < a.from {
		if start+width <= a.from {
			return -1, a.from
		}
		start = a.from
	}
	bucket = a.bucketOf(start)
	return bucket, a.edges[bucket+1]
}

// changePoint follows a series through a point for rate, increase and delta, as change does through
// samples.
func (a *accumulator) changePoint(group, bucket int, state *seriesState, c *rollup.Columns, i int) {
	if bucket != state.bucket {
		a.fold(group, state)
		state.bucket = bucket
	}
	first, last := c.Firsts[i], c.Lasts[i]
	if c.Counts[i] == c.NaNs[i] || first != first || last != last {
		return
	}
	if state.samples == 0 {
		state.first = first
	}
	if state.seen {
		state.rise(first)
		state.elapsed += c.FirstTimes[i] - state.previous.Time
	}
	state.increase += last - first
	if len(c.Resets) > 0 {
		state.increase += c.Resets[i]
	}
	// The elapsed time counts from the first sample that has a predecessor.
	state.elapsed += c.LastTimes[i] - c.FirstTimes[i]
	state.samples += c.Counts[i] - c.NaNs[i]
	state.last = last
	state.previous, state.seen = model.Sample{Time: c.LastTimes[i], Value: last}, true
}

// rise adds the step from the sample before. A value lower than that is a counter that was reset to zero.
func (s *seriesState) rise(v float64) {
	if v >= s.previous.Value {
		s.increase += v - s.previous.Value
	} else {
		s.increase += v
	}
}

// pointsIn returns the points of [from, to).
func pointsIn(starts []int64, from, to int64) (lo, hi int) {
	lo = sort.Search(len(starts), func(i int) bool { return starts[i] >= from })
	hi = lo + sort.Search(len(starts)-lo, func(i int) bool { return starts[lo+i] >= to })
	return lo, hi
}

// followable reports whether rate, increase and delta can be had from a point: where there is a stale
// marker, NaN or infinity, only the samples tell what came before and what after.
func followable(c *rollup.Columns, i int) bool {
	if len(c.Resets) == 0 || c.Stale[i] || c.NaNs[i] > 0 {
		return false
	}
	sum := c.Firsts[i] + c.Lasts[i] + c.Resets[i]
	return sum-sum == 0
}
