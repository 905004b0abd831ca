package engine

import (
	"errors"
	"time"
)

// background is the loop of what can't wait: it flushes when asked to or when it is time, watches the disk's
// free space and, with SyncInterval, syncs the log.
func (db *DB) background() {
	flush := time.NewTicker(db.tuned.Load().FlushInterval)
	defer flush.Stop()
	space := time.NewTicker(time.Second)
	defer space.Stop()
	var sync <-chan time.Time
	if db.opts.Sync == SyncInterval {
		ticker := time.NewTicker(db.opts.SyncInterval)
		defer ticker.Stop()
		sync = ticker.C
	}
	for {
		select {
		case <-db.stop:
			return
		case <-sync:
			db.pipe.syncNow()
			continue
		case <-db.retune:
			flush.Reset(db.tuned.Load().FlushInterval)
			continue
		case <-space.C:
			db.checkSpace()
			continue
		case <-flush.C:
		case <-db.flush.request:
		}
		if db.diskFull.Load() || db.failure.Load() != nil {
			continue
		}
		if err := db.Flush(); err != nil && !errors.Is(err, ErrClosed) {
			db.opts.Logger.Error("the flush failed and will be tried again", "err", err)
		}
	}
}
