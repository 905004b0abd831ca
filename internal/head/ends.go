package head

import (
	"math"

	"github.com/flopynet/collector/model"
)

// Ends are the times of the first and the last sample of a series in memory, in nanoseconds since the epoch.
type Ends struct{ First, Last int64 }

// widen makes room for two samples.
func (e *Ends) widen(first, last int64) {
	e.First, e.Last = min(e.First, first), max(e.Last, last)
}

// Ends returns when the first and the last sample of the series are, stale markers not counted, without looking at
// those between. ok is false if the head has none, and if it would have to look: where there is a stale marker at
// the end of a block or among the late samples. Both samples are visible as Views has them, but for what was
// deleted since they were frozen.
func (h *Head) Ends(id model.SeriesID) (ends Ends, ok bool) {
	sh := &h.shards[shardOf(id)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	s := sh.find(id)
	if s == nil || s.cur == nil && s.frozen == nil {
		return Ends{}, false
	}
	ends = Ends{math.MaxInt64, math.MinInt64}
	for _, d := range [...]*data{s.frozen, s.cur} {
		if d != nil && !d.widen(&ends) {
			return Ends{}, false
		}
	}
	return ends, true
}

// widen makes room for what d has, and reports whether the ends of all its parts are samples. Where they are, so is
// the first of all: a newer part that has a marker at the time of an older one's first begins before it.
func (d *data) widen(ends *Ends) bool {
	if n := len(d.closed); n > 0 {
		first, last := d.closed[0].Header(), d.closed[n-1].Header()
		if model.IsStale(first.First) || model.IsStale(last.Last) {
			return false
		}
		ends.widen(first.MinTime, last.MaxTime)
	}
	if d.open.Count() > 0 {
		h := d.open.Block().Header()
		if model.IsStale(h.First) || model.IsStale(h.Last) {
			return false
		}
		ends.widen(h.MinTime, h.MaxTime)
	}
	if n := len(d.tail); n > 0 {
		first, last := d.tail[0], d.tail[n-1]
		if model.IsStale(first.Value) || model.IsStale(last.Value) {
			return false
		}
		ends.widen(first.Time, last.Time)
	}
	for _, sample := range d.late {
		if model.IsStale(sample.Value) {
			return false
		}
		ends.widen(sample.Time, sample.Time)
	}
	return true
}
