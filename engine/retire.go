package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/compaction"
	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// retire drops the partitions, and the series in them, that have expired. Raw samples go only once they are
// rolled up as far as any points are to outlive them.
func (db *DB) retire(ctx context.Context, p pass) error {
	e := db.expiry.load()
	due := p.now - int64(db.opts.RetentionGrace)
	if due < e.changed {
		return nil
	}
	if err := db.flushBefore(p, e, due); err != nil {
		return err
	}
	var failed []error
	for tier := range model.Tier(model.Tiers) {
		if e.policy.Shortest(tier) == KeepForever {
			continue
		}
		for _, number := range db.partitionsIn(tier, model.MinTime, model.MaxTime) {
			gone, err := db.retirePartition(ctx, p, e, index.Place{Tier: tier, Partition: number}, due)
			if errors.Is(err, errStopped) || ctx.Err() != nil {
				return err
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("partition %d of tier %s: %w", number, tier, err))
			}
			if tier == model.TierRaw && !gone {
				break // days go in their order: what is noted as dropped is all there was before a time
			}
			if err := db.pause(ctx, p, 0); err != nil {
				return err
			}
		}
	}
	failed = append(failed, db.pruneExpired())
	if db.jobs.sweep {
		// Deletes have to be in tables before the chunk store looks for what they leave to be dropped.
		_, err := db.chunks.AsyncFlush()
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// flushedFor says which days a flush of the whole head was for.
type flushedFor struct{ policy, due int64 }

// flushBefore flushes the whole head if raw samples are about to go: what it holds of their days goes with them,
// so it has to be rolled up before. Nothing comes to these days any more, so one flush is enough for a day.
func (db *DB) flushBefore(p pass, e *expiry, due int64) error {
	last := db.jobs.flushedFor
	if last.policy != e.changed {
		last.due = 0
	}
	isNew := func(day model.Partition) bool {
		_, end := model.TierRaw.Bounds(day)
		return db.isDue(e, index.Place{Tier: model.TierRaw, Partition: day}, due) &&
			len(e.expiredClasses(model.TierRaw, end, due)) > len(e.expiredClasses(model.TierRaw, end, last.due))
	}
	if !slices.ContainsFunc(db.partitionsIn(model.TierRaw, model.MinTime, model.MaxTime), isNew) {
		return nil
	}
	if !p.force { // who forces a pass has flushed
		if err := db.flushHead(true); err != nil {
			return err
		}
	}
	db.jobs.flushedFor = flushedFor{e.changed, due}
	return nil
}

// expiredClasses returns the classes of which nothing before end is kept in a tier.
func (e *expiry) expiredClasses(tier model.Tier, end, due int64) []int {
	var classes []int
	for class := range e.policy.Classes() {
		if end <= e.policy.Floor(class, tier, due) {
			classes = append(classes, class)
		}
	}
	return classes
}

// retirePartition drops what has expired of a partition, and reports whether all of that is gone.
func (db *DB) retirePartition(ctx context.Context, p pass, e *expiry, where index.Place, due int64) (gone bool, err error) {
	if db.expiry.load().changed != e.changed {
		return false, nil // another policy holds by now
	}
	if !db.isDue(e, where, due) {
		if where.Tier == model.TierRaw {
			return true, nil
		}
		return true, db.trimPartition(ctx, p, e, where, due)
	}
	_, end := where.Tier.Bounds(where.Partition)
	classes := e.expiredClasses(where.Tier, end, due)
	if where.Tier == model.TierRaw {
		if ready, err := db.rolledForGood(ctx, p, e, where.Partition, classes, due); err != nil || !ready {
			return false, err
		}
	}
	if len(classes) == e.policy.Classes() {
		err := db.dropPartition(e, where, end)
		return err == nil, err
	}
	if err := db.dropClasses(e, where, classes, end); err != nil {
		return false, err
	}
	db.updatePartition(where.Tier, where.Partition, func(p *partition) {
		p.retired = retireCheck{policy: e.changed, classes: len(classes), flushed: p.flushedAt}
	})
	return true, nil
}

// isDue reports whether some class of a partition has expired and was not dropped from it yet.
func (db *DB) isDue(e *expiry, where index.Place, due int64) bool {
	_, end := where.Tier.Bounds(where.Partition)
	classes := e.expiredClasses(where.Tier, end, due)
	state, found := db.partitionState(where.Tier, where.Partition)
	check := retireCheck{policy: e.changed, classes: len(classes), flushed: state.flushedAt}
	return found && len(classes) > 0 && state.retired != check
}

// retireCheck says under which circumstances a partition was last looked at.
type retireCheck struct {
	policy  int64 // when it was set
	classes int   // expired ones
	flushed int64
}

// rolledForGood reports whether all is rolled up that points are to outlive: no hour is left out, changed
// since, or touched by a delete that isn't finished. What damage keeps from that is given up: waiting for it would
// keep this day and all that come after it for ever.
func (db *DB) rolledForGood(ctx context.Context, p pass, e *expiry, number model.Partition, classes []int, due int64) (bool, error) {
	begin, end := model.TierRaw.Bounds(number)
	if !slices.ContainsFunc(classes, func(class int) bool { return e.policy.Floor(class, model.Tier1h, due) < end }) {
		return true, nil
	}
	job := dayJob{db: db, pass: p, number: number, through: end}
	if err := job.run(ctx); isDamage(err) {
		db.opts.Logger.Error("a damaged day expires; what was not rolled up of it is lost", "day", spellDay(number), "err", err)
		return true, nil
	} else if err != nil {
		return false, err
	}
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	clean := true
	err := index.EachDirty(db.chunks, model.TierRaw, number, number, func(_ keys.Dirty, changed *index.Set) error {
		changed.AndNot(&job.broken)
		clean = clean && changed.IsEmpty()
		return nil
	})
	for _, t := range touching(db.tombstones.all(), begin, end) {
		clean = clean && db.jobs.stuck[t.lsn]
	}
	return clean, err
}

// dropPartition drops all there is of a partition.
func (db *DB) dropPartition(e *expiry, where index.Place, end int64) error {
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	b := db.chunks.NewBatch()
	defer func() { _ = b.Close() }()
	for _, prefix := range []byte{keys.PrefixChunk, keys.PrefixSketch, keys.PrefixPosting, keys.PrefixDirty} {
		lower, upper := keys.PartitionRange(prefix, where.Tier, where.Partition)
		if err := b.DeleteRange(lower, upper, nil); err != nil {
			return err
		}
	}
	if err := b.Delete(keys.AppendPartition(nil, where.Tier, where.Partition), nil); err != nil {
		return err
	}
	classes := make([]int, e.policy.Classes())
	for class := range classes {
		classes[class] = class
	}
	if err := db.commitExpired(b, e, where.Tier, classes, end); err != nil {
		return err
	}
	db.store.mu.Lock()
	delete(db.store.partitions[where.Tier], where.Partition)
	db.store.mu.Unlock()
	db.jobs.sweep = true
	db.jobs.counters.partitionsDropped.Add(1)
	db.opts.Logger.Info("dropped an expired partition", "tier", where.Tier.String(), "partition", int64(where.Partition))
	return nil
}

// commitExpired commits a batch that drops raw samples, or points, together with the note that says so. The
// note comes into force first: reads then look for points and don't miss the samples.
func (db *DB) commitExpired(b *pebble.Batch, e *expiry, tier model.Tier, classes []int, end int64) error {
	if tier != model.TierRaw {
		return b.Commit(pebble.Sync)
	}
	before := db.expiry.load().expired
	expired := before
	for _, class := range classes {
		expired = expired.Note(e.policy, class, end)
	}
	err := b.Set(keys.AppendMeta(nil, keys.MetaExpired), expired.AppendBinary(nil), nil)
	if err != nil {
		return err
	}
	db.setExpired(expired)
	if err := b.Commit(pebble.Sync); err != nil {
		db.setExpired(before)
		return err
	}
	return nil
}

func (db *DB) setExpired(expired *compaction.Expired) {
	db.expiry.replace(func(e expiry) expiry {
		e.expired = expired
		return e
	})
	db.epoch.Add(1)
}

// dropClasses drops the series of some classes from a partition that has others as well.
func (db *DB) dropClasses(e *expiry, where index.Place, classes []int, end int64) error {
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	posted, err := db.partitionSeries(where.Tier, where.Partition)
	if err != nil {
		return err
	}
	series, err := db.describe(posted.AppendTo(nil))
	if err != nil {
		return err
	}
	gone := index.NewSet()
	b := db.chunks.NewBatch()
	defer func() { _ = b.Close() }()
	for _, s := range series {
		if !slices.Contains(classes, e.policy.ClassOf(s.Name, s.Source())) {
			continue
		}
		gone.Add(s.ID)
		lower, upper := keys.SeriesRange(where.Tier, where.Partition, db.numberOf(s.Name), s.ID)
		if err := b.DeleteRange(lower, upper, nil); err != nil {
			return err
		}
		if where.Tier == model.Tier1h {
			lower, upper := append([]byte(nil), lower...), append([]byte(nil), upper...)
			lower[0], upper[0] = keys.PrefixSketch, keys.PrefixSketch
			if err := b.DeleteRange(lower, upper, nil); err != nil {
				return err
			}
		}
	}
	if gone.IsEmpty() {
		return nil
	}
	if err := db.commitExpired(b, e, where.Tier, classes, end); err != nil {
		return err
	}
	return db.removePostings(where, gone)
}

// pruneExpired forgets what was dropped in days of which nothing at all is left.
func (db *DB) pruneExpired() error {
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	oldest := model.MaxTime
	for tier := range model.Tier(model.Tiers) {
		for _, number := range db.partitionsIn(tier, model.MinTime, model.MaxTime) {
			begin, _ := tier.Bounds(number)
			oldest = min(oldest, begin)
		}
	}
	expired := db.expiry.load().expired
	pruned := expired.Prune(oldest)
	if pruned == expired || oldest == model.MaxTime {
		return nil
	}
	if err := db.chunks.Set(keys.AppendMeta(nil, keys.MetaExpired), pruned.AppendBinary(nil), pebble.Sync); err != nil {
		return err
	}
	db.setExpired(pruned)
	return nil
}
