package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/model"
)

// seriesLimits bounds how many series there are and how fast new ones come.
type seriesLimits struct {
	mu      sync.Mutex
	minute  int64 // the one that is counted
	begun   int   // series that began in it
	warned  int64 // minute of the last warning
	refused atomic.Uint64
}

// create makes a series, or refuses it with a *LimitError. One that another call has just made is returned.
func (l *seriesLimits) create(db *DB, identity []byte, name string, tags model.Tags) (model.SeriesID, error) {
	limits := db.tuned.Load()
	if limits.MaxSeries == 0 && limits.MaxNewSeries == 0 {
		id, _ := db.active.Create(identity, name, tags)
		return id, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, found := db.active.Lookup(identity); found {
		return id, nil
	}
	minute := db.opts.Now().UnixNano() / int64(time.Minute)
	if limit := limits.MaxSeries; limit > 0 && db.active.Len() >= limit {
		return 0, l.refuse(db, minute, &LimitError{Limit: "max_series", Max: int64(limit),
			Advice: "drop tags with many values (GET /metrics/cardinality names them) or raise it"})
	}
	if minute != l.minute {
		l.minute, l.begun = minute, 0
	}
	if limit := limits.MaxNewSeries; limit > 0 && l.begun >= limit {
		return 0, l.refuse(db, minute, &LimitError{Limit: "max_new_series_per_minute", Max: int64(limit),
			Advice: "retry in a minute, or raise it"})
	}
	l.begun++
	id, _ := db.active.Create(identity, name, tags)
	return id, nil
}

// refuse counts a refusal and logs the first of a minute. The caller holds mu.
func (l *seriesLimits) refuse(db *DB, minute int64, err *LimitError) error {
	l.refused.Add(1)
	if l.warned != minute {
		l.warned = minute
		db.opts.Logger.Warn("new series are refused", "err", err)
	}
	return err
}
