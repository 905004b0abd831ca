package httpapi

import (
	"math"
	"time"
)

// mondayPhase is the first Monday after the epoch, which was a Thursday.
const mondayPhase = 4 * day

// bucketEdges returns the bounds of the buckets of the width that cover [from, to): the first is at or
// before from, the last at or after to.
//
// A bucket begins where the zone's wall clock, counted from 1970-01-01T00:00 on that clock (from Monday
// the 5th for whole weeks), shows a multiple of the width. In UTC that is alignment to the epoch. A width
// that divides a day so begins anew at every local midnight, and whole days are calendar days, which last
// 23 or 25 hours when the clocks change. Where a change makes the clock jump into another bucket, that
// bucket begins at the change; an hour that the clock shows twice is two buckets of an hour, or part of
// one longer bucket.
func bucketEdges(width, from, to int64, zone *time.Location) []int64 {
	c := calendar{width: width, zone: zone}
	if width%week == 0 {
		c.phase = mondayPhase
	}
	edges := []int64{c.lastEdge(from)}
	for edge := edges[0]; edge < to; {
		next := c.nextEdge(edge)
		if next <= edge {
			next = to // past what an int64 can hold
		}
		edge = next
		edges = append(edges, edge)
	}
	return edges
}

// calendar finds the edges of buckets on the wall clock of a zone.
type calendar struct {
	width int64
	phase int64
	zone  *time.Location

	// The stretch of time in which the zone keeps one offset, and that offset, all in nanoseconds.
	begin, end, offset int64
}

// enter moves to the stretch of constant offset that holds t.
func (c *calendar) enter(t int64) {
	if c.begin < c.end && t >= c.begin && t < c.end {
		return
	}
	local := time.Unix(0, t).In(c.zone)
	_, seconds := local.Zone()
	begin, end := local.ZoneBounds()
	c.begin, c.end, c.offset = unixNanos(begin, math.MinInt64), unixNanos(end, math.MaxInt64), int64(seconds)*1e9
	if c.end <= t {
		// On the last day of a leap year, in years beyond a zone's table, ZoneBounds gives an end that is
		// past. A stretch that ends too early does no harm.
		c.end = t + int64(time.Hour)
	}
}

// unixNanos is t in nanoseconds, or fallback if t is zero or does not fit.
func unixNanos(t time.Time, fallback int64) int64 {
	if most := int64(math.MaxInt64) / 1e9; t.IsZero() || t.Unix() <= -most || t.Unix() >= most {
		return fallback
	}
	return t.UnixNano()
}

// floor returns the multiple of the width, on the wall clock of the current stretch, that t is in.
func (c *calendar) floor(t int64) int64 {
	wall := t + c.offset - c.phase
	remainder := wall % c.width
	if remainder < 0 {
		remainder += c.width
	}
	return t + c.offset - remainder
}

// lastEdge returns the greatest edge that is not after t.
func (c *calendar) lastEdge(t int64) int64 {
	for {
		c.enter(t)
		if edge := c.floor(t) - c.offset; edge >= c.begin || c.begin == math.MinInt64 {
			return edge
		}
		change := c.begin
		if c.beginsBucket(change) {
			return change
		}
		t = change - 1
	}
}

// nextEdge returns the smallest edge after t, or something not after t if it does not fit an int64.
func (c *calendar) nextEdge(t int64) int64 {
	for {
		c.enter(t)
		edge := c.floor(t) + c.width - c.offset
		if edge < c.end || c.end == math.MaxInt64 || edge < t {
			return edge
		}
		change := c.end
		if c.beginsBucket(change) {
			return change
		}
		t = change
	}
}

// beginsBucket reports whether a change of the offset is the edge of a bucket: when the clock then shows
// a multiple of the width, or jumps into another bucket.
func (c *calendar) beginsBucket(change int64) bool {
	c.enter(change - 1)
	before := c.floor(change - 1)
	c.enter(change)
	after := c.floor(change)
	return after == change+c.offset || after != before
}
