package engine

import (
	"errors"
	"time"
)

// maintain is the one background loop: it flushes when asked to or when it is time, and watches the
// disk's free space.
func (db *DB) maintain() {
	flush := time.NewTicker(db.opts.FlushInterval)
	defer flush.Stop()
	space := time.NewTicker(time.Second)
	defer space.Stop()
	for {
		select {
		case <-db.stop:
			return
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
