package engine

import (
	"fmt"

	"github.com/flopynet/collector/model"
)

// maxBatchSamples is how many samples one record of the log takes; a larger batch becomes several.
const maxBatchSamples = 1 << 20

// Resolve returns the id of the series with this identity and gives it one if it is new. tags must be
// normalized and hold the source; name and tags must have passed model.CheckSeries. A new series
// becomes durable with the first batch that writes to it.
func (db *DB) Resolve(name string, tags model.Tags) (model.SeriesID, error) {
	identity := model.AppendIdentity(make([]byte, 0, 256), name, tags)
	if id, found := db.active.Lookup(identity); found {
		return id, nil
	}
	id, found, err := db.lookupStored(identity)
	if err != nil {
		return 0, fmt.Errorf("look up series %q: %w", name, err)
	}
	if found {
		return id, nil
	}
	id, _ = db.active.Create(identity, name, tags)
	return id, nil
}

// CheckTime reports as a *TimeError why a sample of this time, in nanoseconds since the epoch, can't be
// written. It doesn't allocate when it can.
func (db *DB) CheckTime(ns int64) error {
	switch {
	case ns < model.MinTime:
		return &TimeError{Time: ns, Reason: "is before 1970-01-01, the earliest time that can be stored"}
	case ns > model.MaxTime:
		return &TimeError{Time: ns, Reason: "is after 2262-04-11, the latest time that can be stored"}
	case db.opts.Retention > 0 && ns < db.opts.Now().Add(-db.opts.Retention).UnixNano():
		return &TimeError{Time: ns, Reason: fmt.Sprintf("is older than the retention of %s", db.opts.Retention)}
	}
	return nil
}

// Write returns once the batch is in the log, synced as Options.Sync says, and visible to reads.
func (db *DB) Write(b *Batch) error {
	if b.Len() == 0 {
		return nil
	}
	if err := db.admit(b.Len()); err != nil {
		return err
	}
	defer db.waiting.Add(-int64(b.Len()))
	for from := 0; from < b.Len(); from += maxBatchSamples {
		to := min(from+maxBatchSamples, b.Len())
		c := commits.Get().(*commit)
		c.ids, c.times, c.values = b.ids[from:to], b.times[from:to], b.values[from:to]
		c.maxID = b.maxID
		if from == 0 {
			c.units = b.units
		}
		if err := db.pipe.submit(c); err != nil {
			return err
		}
	}
	return nil
}

// admit reserves room for n waiting samples, or says why nothing can be written now. A batch that finds
// nothing waiting is always let in, whatever its size.
func (db *DB) admit(n int) error {
	if err := db.writeError(); err != nil {
		return err
	}
	waiting := db.waiting.Add(int64(n))
	if waiting > int64(db.opts.MaxWaitingSamples) && waiting != int64(n) {
		db.waiting.Add(-int64(n))
		return ErrBusy
	}
	return nil
}

// writeError says why writes are refused, or nil.
func (db *DB) writeError() error {
	if err := db.failure.Load(); err != nil {
		return *err
	}
	if db.diskFull.Load() {
		return ErrDiskFull
	}
	if db.log.Size() > db.opts.MaxWALBytes {
		db.requestFlush()
		return ErrBehind
	}
	return nil
}

// fail stops writes for good: after a failed write or fsync nobody knows what the disk holds.
func (db *DB) fail(err error) {
	wrapped := fmt.Errorf("%w: %w", ErrFailed, err)
	if db.failure.CompareAndSwap(nil, &wrapped) {
		db.opts.Logger.Error("writes stop until a restart", "err", err)
		db.dropBallast(err)
	}
}
