package engine

import (
	"fmt"
	"os"
	"time"

	"github.com/flopynet/collector/model"
)

// A batch that is larger than one record of the log can be becomes several, one behind the other. The
// largest samples take 30 bytes, the largest unit 270, so that a frame stays below wal.MaxFrameBytes.
const (
	maxBatchSamples = 1 << 20
	maxBatchUnits   = 1 << 16
)

// Epoch changes whenever ids or retention classes that were asked for may no longer hold: when series were
// dropped, and when the retention policy was changed. Who keeps any reads it before asking.
func (db *DB) Epoch() uint64 { return db.epoch.Load() }

// RetentionClassOf returns the class of the series of a metric from a source. It holds within an Epoch.
func (db *DB) RetentionClassOf(name, source string) RetentionClass {
	return db.expiry.load().classOf(name, source)
}

// CheckTime reports as a *TimeError why a sample of this time, in nanoseconds since the epoch, can't be
// written to a series of this class. It doesn't allocate when it can.
func (db *DB) CheckTime(class RetentionClass, ns int64) error {
	switch {
	case ns < model.MinTime:
		return &TimeError{Time: ns, Reason: "is before 1970-01-01, the earliest time that can be stored"}
	case ns >= model.MaxTime: // ranges end before it
		return &TimeError{Time: ns, Reason: "is not before 2262-04-11, the end of what can be stored"}
	case ns < class.through:
		return &TimeError{Time: ns, Reason: "is in a day whose raw samples have expired and were dropped"}
	case class.raw != 0 && class.raw < KeepForever && ns < db.opts.Now().UnixNano()-int64(class.raw):
		return &TimeError{Time: ns, Reason: "is older than the retention of " + spell(class.raw)}
	}
	return nil
}

// spell writes a duration in days where it is some whole days.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	if d > day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// Write returns once the batch is in the log, synced as Options.Sync says, and visible to reads. After an
// error some of a batch of more than a million samples may be stored; writing it again changes nothing.
func (db *DB) Write(b *Batch) error {
	if b.Len() == 0 && len(b.units) == 0 && b.answer == nil {
		return nil
	}
	if err := checkAnswerSize(b.answer); err != nil {
		return err
	}
	if err := db.admit(b.Len()); err != nil {
		return err
	}
	defer db.waiting.Add(-int64(b.Len()))
	for samples, units := 0, 0; ; {
		c := commits.Get().(*commit)
		nextSamples, nextUnits := min(samples+maxBatchSamples, b.Len()), min(units+maxBatchUnits, len(b.units))
		c.ids, c.times, c.values = b.ids[samples:nextSamples], b.times[samples:nextSamples], b.values[samples:nextSamples]
		c.units = b.units[units:nextUnits]
		c.maxID, c.epoch = b.maxID, b.epoch
		last := nextSamples == b.Len() && nextUnits == len(b.units)
		if last { // an answer must not be there without all that it answers
			c.answer = b.answer
		}
		if err := db.pipe.submit(c); err != nil {
			return err
		}
		if last {
			return nil
		}
		samples, units = nextSamples, nextUnits
	}
}

// admit reserves room for n waiting samples, or says why nothing can be written now. A batch that finds
// nothing waiting is always let in, whatever its size.
func (db *DB) admit(n int) error {
	if err := db.writeError(); err != nil {
		return err
	}
	waiting := db.waiting.Add(int64(n))
	if waiting > int64(db.tuned.Load().MaxWaitingSamples) && waiting != int64(n) {
		db.waiting.Add(-int64(n))
		return ErrBusy
	}
	for peak := db.peak.Load(); waiting > peak && !db.peak.CompareAndSwap(peak, waiting); peak = db.peak.Load() {
	}
	return nil
}

// TakeWaitingPeak returns the most samples that waited for their acknowledgement at one moment since the last
// call.
func (db *DB) TakeWaitingPeak() int64 {
	now := db.waiting.Load()
	return max(now, db.peak.Swap(now))
}

// maxEventHeads is how many times Options.FlushEventBytes unflushed events and answers may take before writes stop.
const maxEventHeads = 4

// writeError says why writes are refused, or nil.
func (db *DB) writeError() error {
	if err := db.failure.Load(); err != nil {
		return *err
	}
	if db.diskFull.Load() {
		return ErrDiskFull
	}
	if db.log.Size() > db.opts.MaxWALBytes || db.head.Samples() > int64(db.opts.MaxHeadSamples) ||
		db.unflushedBytes() > maxEventHeads*db.opts.FlushEventBytes {
		db.requestFlush()
		return ErrBehind
	}
	return nil
}

// die ends the process when going on would put data at risk. What was acknowledged is in the log.
func (db *DB) die(message string, err error) {
	db.opts.Logger.Error(message, "err", err)
	os.Exit(1)
}

// fail stops writes for good: after a failed write or fsync nobody knows what the disk holds.
func (db *DB) fail(err error) {
	wrapped := fmt.Errorf("%w: %w", ErrFailed, err)
	if db.failure.CompareAndSwap(nil, &wrapped) {
		db.opts.Logger.Error("writes stop until a restart", "err", err)
		db.dropBallast(err)
	}
}
