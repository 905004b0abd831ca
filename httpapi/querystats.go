package httpapi

import (
	"sync/atomic"
	"time"
)

// queryStats measures the queries that were answered.
type queryStats struct {
	answered *meter
	count    atomic.Int64
	time     atomic.Int64 // total, ns
}

func newQueryStats(now time.Time) *queryStats { return &queryStats{answered: newMeter(now)} }

func (q *queryStats) note(now time.Time, took time.Duration) {
	q.answered.add(now, 1)
	q.count.Add(1)
	q.time.Add(int64(took))
}

// average returns how long a query took on average. ok is false if there was none.
func (q *queryStats) average() (average time.Duration, ok bool) {
	count := q.count.Load()
	if count == 0 {
		return 0, false
	}
	return time.Duration(q.time.Load() / count), true
}
