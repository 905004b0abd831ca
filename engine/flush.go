package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// flushState belongs to the flush, of which there is one at a time.
type flushState struct {
	mu      sync.Mutex
	request chan struct{} // holds one token: a flush is wanted
	last    atomic.Int64  // when the last one ended, ns since the epoch; 0: none

	checkpoint wal.LSN        // chunks and image hold the log up to here
	defined    model.SeriesID // series below are in the catalogue
	nextName   uint64         // nameID for the next new name
	unsaved    []string       // names whose number a failed flush may not have stored

	unitsMu sync.Mutex
	units   map[model.SeriesID]struct{} // whose unit the catalogue doesn't have yet
}

// setUnit makes a logged unit visible and notes that the catalogue has to learn it: changed or not, since the
// log names the series, which the catalogue then must not forget.
func (db *DB) setUnit(id model.SeriesID, unit string) {
	if db.active.SetUnit(id, unit) {
		db.watch.units.Add(1)
	}
	db.noteUnits(id)
}

// noteUnits makes the next flush store the units of the series.
func (db *DB) noteUnits(ids ...model.SeriesID) {
	db.flush.unitsMu.Lock()
	defer db.flush.unitsMu.Unlock()
	if db.flush.units == nil {
		db.flush.units = make(map[model.SeriesID]struct{})
	}
	for _, id := range ids {
		db.flush.units[id] = struct{}{}
	}
}

// takeUnits returns the series whose unit changed since the last call, by id.
func (db *DB) takeUnits() []model.SeriesID {
	db.flush.unitsMu.Lock()
	defer db.flush.unitsMu.Unlock()
	ids := make([]model.SeriesID, 0, len(db.flush.units))
	for id := range db.flush.units {
		ids = append(ids, id)
	}
	db.flush.units = nil
	slices.Sort(ids)
	return ids
}

// period numbers the spans of FlushInterval. A series that got nothing for a whole one is idle.
func (db *DB) period() int64 { return db.tuned.Load().periodAt(db.opts.Now().UnixNano()) }

// requestFlush asks the background loop for a flush, at most once at a time.
func (db *DB) requestFlush() {
	select {
	case db.flush.request <- struct{}{}:
	default:
	}
}

// Flush writes what the head holds into chunks, but for series with few samples, moves the checkpoint and
// drops the log behind it. It returns when that is durable. Writes go on meanwhile.
func (db *DB) Flush() error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	return db.flushHead(false)
}

// flushHead is Flush for who has entered. With all, series with few samples become chunks, too.
func (db *DB) flushHead(all bool) error {
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	if all {
		// An empty batch gives this flush an LSN of its own: chunks and marks of the same seq as those of the flush
		// before would pass for ones that a job has seen.
		if err := db.pipe.submit(commits.Get().(*commit)); err != nil {
			return err
		}
	}
	var at cut
	var frozen []head.Frozen
	barrier := commits.Get().(*commit)
	barrier.barrier = func(c cut) {
		at = c
		if at.lsn > db.flush.checkpoint {
			db.oldest.freeze()
			frozen = db.head.Freeze(db.period(), uint64(c.lsn))
		}
	}
	if err := db.pipe.submit(barrier); err != nil {
		return err
	}
	if at.lsn > db.flush.checkpoint { // else nothing was written since
		if err := db.flushFrozen(at, frozen, all); err != nil {
			return err
		}
	}
	if err := db.log.Truncate(at.lsn); err != nil {
		return fmt.Errorf("drop the log up to the checkpoint: %w", err)
	}
	return nil
}

// flushFrozen writes a frozen head. When it fails, the head is as if it had never been frozen and the
// checkpoint is where it was; chunks that were written already hold what the log holds too.
func (db *DB) flushFrozen(at cut, frozen []head.Frozen, all bool) error {
	begin := db.opts.Now()
	samples := 0
	for _, series := range frozen {
		samples += series.Count
	}
	f := newFlusher(db, at, samples)
	defer func() { _ = f.batch.Close() }()
	units := db.takeUnits()
	f.split(frozen, all)
	err := f.write(units)
	if err != nil {
		f.abandon()
		db.oldest.thaw(db.oldest.frozen.Load())
		db.noteUnits(units...)
		db.flush.unsaved = f.newNames
		return errors.Join(fmt.Errorf("flush: %w", err), f.dropTables(), db.head.Thaw(append(f.kept, f.written...), db.hiddenSince))
	}
	db.flush.checkpoint, db.flush.defined, db.flush.unsaved = at.lsn, at.defined, nil
	f.publish()
	db.oldest.thaw(f.oldestKept)
	db.head.Release(f.written)
	db.events.release(f.events, at.lsn)
	db.answers.release(f.answers, f.answersBefore)
	if err := db.head.Thaw(f.kept, db.hiddenSince); err != nil {
		return err
	}
	now := db.opts.Now()
	db.flush.last.Store(now.UnixNano())
	db.opts.Logger.Debug("flushed", "lsn", uint64(at.lsn), "series", len(f.written), "kept", len(f.kept),
		"chunks", f.chunks, "events", len(f.events), "took", now.Sub(begin))
	return nil
}
