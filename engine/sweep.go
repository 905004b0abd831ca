package engine

import (
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// sweepGroup is how many series are dropped at once: meanwhile no new ones begin.
const sweepGroup = 32 << 10

// sweepSeries drops series that have no samples anywhere any more: from the catalogue and from memory. A
// write that resolved one of them before is told to resolve it again. It reports whether all were dropped.
func (db *DB) sweepSeries(ctx context.Context) (all bool, err error) {
	db.flush.mu.Lock() // no flush and no new postings meanwhile
	defer db.flush.mu.Unlock()
	gone, err := db.sweepable()
	if err != nil {
		return false, err
	}
	names, err := db.emptyNames(gone)
	if err != nil {
		return false, err
	}
	for group := range slices.Chunk(gone.AppendTo(nil), sweepGroup) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		dropped, err := db.dropSeries(group)
		if err != nil || !dropped {
			return false, err
		}
	}
	if gone.IsEmpty() && len(names) == 0 {
		return true, nil
	}
	db.jobs.counters.seriesDropped.Add(int64(gone.Len()))
	db.opts.Logger.Info("dropped series without samples", "series", gone.Len(), "names", len(names))
	return true, db.dropNames(names)
}

// dropSeries drops some series. At the moment at which they go, no write is between the building of its
// frame and the head; batches that were resolved before are checked from then on, and who resolves one of
// the series waits. It does nothing if one of them has got samples meanwhile.
func (db *DB) dropSeries(ids []model.SeriesID) (bool, error) {
	series, err := db.describe(ids)
	if err != nil {
		return false, err
	}
	b := db.chunks.NewBatch()
	defer func() { _ = b.Close() }()
	if err := index.DeleteSeries(db.chunks, b, series); err != nil {
		return false, err
	}
	gone := index.NewSet(ids...)
	db.resolveMu.Lock()
	defer db.resolveMu.Unlock()
	done, err := db.buryWhileIdle(b, gone)
	if err != nil || !done {
		return false, err
	}
	db.active.Drop(gone)
	db.head.Trim()
	db.dropping.Store(nil)
	return true, nil
}

// dropNames forgets the numbers of metric names that no series has.
func (db *DB) dropNames(names []string) error {
	b := db.chunks.NewBatch()
	defer func() { _ = b.Close() }()
	for _, name := range names {
		if err := index.DeleteName(b, name); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	db.store.mu.Lock()
	defer db.store.mu.Unlock()
	for _, name := range names {
		delete(db.store.nameOf, db.store.names[name])
		delete(db.store.names, name)
	}
	return nil
}

// buryWhileIdle commits the batch while the stages of the write path are empty, if the series still have no
// samples.
func (db *DB) buryWhileIdle(b *pebble.Batch, gone *index.Set) (bool, error) {
	release := db.pipe.hold()
	defer release()
	named := db.namedInLog()
	for id := range gone.All() {
		if db.head.Has(id) || named.Contains(id) {
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
	used.Or(db.namedInLog())
	gone := index.NewSet()
	err := index.EachEntry(db.chunks, func(id model.SeriesID, _ uint64) error {
		if id < db.flush.defined && !used.Contains(id) && !db.head.Has(id) {
			gone.Add(id)
		}
		return nil
	})
	return gone, err
}

// namedInLog returns series that the log may name though the head has nothing of them: what a delete has taken out of
// it, and units without samples.
func (db *DB) namedInLog() *index.Set {
	named := index.NewSet()
	for _, t := range db.tombstones.all() {
		named.Or(t.series)
	}
	db.flush.unitsMu.Lock()
	defer db.flush.unitsMu.Unlock()
	for id := range db.flush.units {
		named.Add(id)
	}
	return named
}

// emptyNames returns the names that no series of the catalogue has but those that go. The caller holds
// flush.mu.
func (db *DB) emptyNames(gone *index.Set) ([]string, error) {
	used := make(map[uint64]bool)
	err := index.EachEntry(db.chunks, func(id model.SeriesID, nameID uint64) error {
		if !gone.Contains(id) {
			used[nameID] = true
		}
		return nil
	})
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	var names []string
	for name, nameID := range db.store.names {
		if !used[nameID] && !slices.Contains(db.flush.unsaved, name) {
			names = append(names, name)
		}
	}
	return names, err
}
