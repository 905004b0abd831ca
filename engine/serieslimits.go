package engine

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/index"
)

// seriesLimits bounds how many series there are and how fast new ones come.
type seriesLimits struct {
	mu      sync.Mutex
	minute  int64 // the one that is counted
	begun   int   // series that began in it
	warned  int64 // minute of the last warning
	refused atomic.Uint64
}

// create makes the series of the list that have no id yet, unless a limit is reached: it returns nil, or what is
// to be said of those that it left without one. One that another call has just made gets the id of that.
func (l *seriesLimits) create(db *DB, list []index.Wanted) error {
	limits := db.tuned.Load()
	if limits.MaxSeries == 0 && limits.MaxNewSeries == 0 {
		db.active.CreateAll(list, len(list))
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	minute := db.opts.Now().UnixNano() / int64(time.Minute)
	if minute != l.minute {
		l.minute, l.begun = minute, 0
	}
	room, limit := math.MaxInt, (*LimitError)(nil)
	if limits.MaxNewSeries > 0 {
		room = max(0, limits.MaxNewSeries-l.begun)
		limit = &LimitError{Limit: "max_new_series_per_minute", Max: int64(limits.MaxNewSeries),
			Advice: "retry in a minute, or raise it"}
	}
	if left := max(0, limits.MaxSeries-db.active.Len()); limits.MaxSeries > 0 && left <= room {
		room = left
		limit = &LimitError{Limit: "max_series", Max: int64(limits.MaxSeries),
			Advice: "drop tags with many values (GET /metrics/cardinality names them) or raise it"}
	}
	made, left := db.active.CreateAll(list, room)
	l.begun += made
	if left == 0 {
		return nil
	}
	return l.refuse(db, minute, left, limit)
}

// refuse counts refusals and logs the first of a minute. The caller holds mu.
func (l *seriesLimits) refuse(db *DB, minute int64, count int, err *LimitError) error {
	l.refused.Add(uint64(count))
	if l.warned != minute {
		l.warned = minute
		db.opts.Logger.Warn("new series are refused", "err", err)
	}
	return err
}
