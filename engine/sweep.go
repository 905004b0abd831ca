package engine

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// sweepSeries drops series that have no samples anywhere any more: from the catalogue and from memory. A
// write that resolved one of them before is told to resolve it again.
func (db *DB) sweepSeries(ctx context.Context) error {
	db.flush.mu.Lock() // no flush and no new postings meanwhile
	defer db.flush.mu.Unlock()
	gone, err := db.sweepable()
	if err != nil || gone.IsEmpty() {
		return err
	}
	series, err := db.describe(gone.AppendTo(nil))
	if err != nil {
		return err
	}
	b := db.chunks.NewBatch()
	defer func() { _ = b.Close() }()
	if err := index.DeleteSeries(db.chunks, b, series); err != nil {
		return err
	}
	names, err := db.emptyNames(gone)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := index.DeleteName(b, name); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	dropped, err := db.dropSeries(b, gone, names)
	if err != nil || !dropped {
		return err
	}
	db.jobs.counters.seriesDropped.Add(int64(gone.Len()))
	db.opts.Logger.Info("dropped series without samples", "series", gone.Len(), "names", len(names))
	return nil
}

// dropSeries commits the batch and forgets the series. At the moment at which they go, no write is between
// the building of its frame and the head; batches that were resolved before are checked from then on, and
// who resolves one of the series waits. It does nothing if one of them has got samples meanwhile.
func (db *DB) dropSeries(b *pebble.Batch, gone *index.Set, names []string) (bool, error) {
	db.resolveMu.Lock()
	defer db.resolveMu.Unlock()
	done, err := db.buryWhileIdle(b, gone)
	if err != nil || !done {
		return false, err
	}
	db.active.Drop(gone)
	db.dropping.Store(nil)
	db.store.mu.Lock()
	defer db.store.mu.Unlock()
	for _, name := range names {
		delete(db.store.nameOf, db.store.names[name])
		delete(db.store.names, name)
	}
	return true, nil
}

// buryWhileIdle commits the batch while the stages of the write path are empty, if the series still have no
// samples.
func (db *DB) buryWhileIdle(b *pebble.Batch, gone *index.Set) (bool, error) {
	release := db.pipe.hold()
	defer release()
	for id := range gone.All() {
		if db.head.Has(id) {
			return false, nil
		}
	}
	db.epoch.Add(1) // reads that miss one of them from now on try again
	// Synced, because the log may define one of them anew any time now: it must not come back beside that.
	if err := b.Commit(pebble.Sync); err != nil {
		return false, err
	}
	db.dropping.Store(gone)
	db.pipe.droppedAt = db.epoch.Add(1)
	return true, nil
}

// isDropped reports whether a series that was once resolved is no more.
func (db *DB) isDropped(id model.SeriesID) bool {
	if gone := db.dropping.Load(); gone != nil && gone.Contains(id) {
		return true
	}
	return !db.active.Has(id)
}

// sweepable returns the series of the catalogue of which neither a partition nor the head has anything, and
// which the log behind the checkpoint can't name. The caller holds flush.mu.
func (db *DB) sweepable() (*index.Set, error) {
	used := index.NewSet()
	for tier := range model.Tier(model.Tiers) {
		for _, number := range db.partitionsIn(tier, model.MinTime, model.MaxTime) {
			series, err := db.partitionSeries(tier, number)
			if err != nil {
				return nil, err
			}
			used.Or(series)
		}
	}
	// What a delete has taken out of the head, and units without samples, the log still names.
	for _, t := range db.tombstones.all() {
		used.Or(t.series)
	}
	db.flush.unitsMu.Lock()
	for id := range db.flush.units {
		used.Add(id)
	}
	db.flush.unitsMu.Unlock()
	gone := index.NewSet()
	err := index.EachEntry(db.chunks, func(id model.SeriesID, _ uint64) error {
		if id < db.flush.defined && !used.Contains(id) && !db.head.Has(id) {
			gone.Add(id)
		}
		return nil
	})
	return gone, err
}

// emptyNames returns the names of which the catalogue has no series but those that go.
func (db *DB) emptyNames(gone *index.Set) ([]string, error) {
	empty := make(map[uint64]bool)
	err := index.EachEntry(db.chunks, func(id model.SeriesID, nameID uint64) error {
		if gone.Contains(id) {
			if _, known := empty[nameID]; !known {
				empty[nameID] = true
			}
		} else {
			empty[nameID] = false
		}
		return nil
	})
	var names []string
	for nameID, isEmpty := range empty {
		if name, found := db.nameOf(nameID); isEmpty && found {
			names = append(names, name)
		}
	}
	return names, err
}
