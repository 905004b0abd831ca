package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// seriesLimits bounds how many series there are and how fast new ones come.
type seriesLimits struct {
	mu      sync.Mutex
	minute  int64 // the one that is counted
	begun   int   // series that began in it
	warned  int64 // minute of the last warning
	refused atomic.Uint64
}

// admit counts n new series, or refuses them with a *LimitError.
func (l *seriesLimits) admit(db *DB, n int) error {
	if db.opts.MaxSeries == 0 && db.opts.MaxNewSeries == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	minute := db.opts.Now().UnixNano() / int64(time.Minute)
	if limit := db.opts.MaxSeries; limit > 0 && db.active.Len()+n > limit {
		return l.refuse(db, minute, &LimitError{Limit: "max_series", Max: int64(limit),
			Advice: "drop tags with many values (GET /metrics/cardinality names them) or raise it"})
	}
	if minute != l.minute {
		l.minute, l.begun = minute, 0
	}
	if limit := db.opts.MaxNewSeries; limit > 0 && l.begun+n > limit {
		return l.refuse(db, minute, &LimitError{Limit: "max_new_series_per_minute", Max: int64(limit),
			Advice: "retry in a minute, or raise it"})
	}
	l.begun += n
	return nil
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
