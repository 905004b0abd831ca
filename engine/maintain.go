package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/compaction"
	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// jobState belongs to maintenance, of which there is one job at a time.
type jobState struct {
	mu      sync.Mutex
	request chan struct{} // holds one token: a pass is wanted
	sweep   bool          // series may have lost their last samples
	hurried atomic.Int32  // callers of Maintain that wait

	progress atomic.Pointer[jobProgress]
	counters jobCounters

	reclaimable reclaimable
	flushedFor  flushedFor
	stuck       map[wal.LSN]bool // deletes that the last pass could not finish because of damage
}

// jobCounters count since the start.
type jobCounters struct {
	daysJoined, chunksIn, chunksOut, bytesIn, bytesOut atomic.Int64
	daysRolled, points                                 atomic.Int64
	partitionsDropped, seriesDropped, deletesFinished  atomic.Int64
}

// jobProgress tells of the job under way.
type jobProgress struct {
	job    string
	series int // visited so far
	since  time.Time
}

// errStopped ends a job because the store closes or has no room.
var errStopped = errors.New("maintenance was stopped")

// requestMaintenance asks the loop for a pass.
func (db *DB) requestMaintenance() {
	select {
	case db.jobs.request <- struct{}{}:
	default:
	}
}

// maintainLoop runs a pass from time to time, and when one is asked for.
func (db *DB) maintainLoop() {
	var tick <-chan time.Time
	if db.opts.MaintainInterval > 0 {
		ticker := time.NewTicker(db.opts.MaintainInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	request := db.jobs.request
	if db.opts.MaintainInterval < 0 {
		request = nil
	}
	for {
		select {
		case <-db.stop:
			return
		case <-tick:
		case <-request:
		}
		if db.diskFull.Load() || db.failure.Load() != nil {
			continue
		}
		db.maintainOnce()
	}
}

// maintainOnce runs one pass at the share of a processor that maintenance has.
func (db *DB) maintainOnce() {
	if db.enter() != nil {
		return
	}
	defer db.leave()
	err := db.maintain(context.Background(), pass{share: db.opts.MaintainShare})
	if err != nil && !errors.Is(err, errStopped) {
		db.opts.Logger.Error("maintenance failed and will be tried again", "err", err)
	}
}

// Maintain flushes the whole head and then does all maintenance there is to do, at full speed: it joins chunks,
// rolls up what is old enough, finishes deletes and drops what has expired. Writes and reads go on.
func (db *DB) Maintain(ctx context.Context) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if err := db.flushHead(true); err != nil {
		return err
	}
	db.jobs.hurried.Add(1) // a pass that is under way makes haste, too
	defer db.jobs.hurried.Add(-1)
	return db.maintain(ctx, pass{force: true, share: 1})
}

// pass is one round of maintenance.
type pass struct {
	force bool    // do at once what might wait
	share float64 // of one processor
	now   int64
}

// maintain does one round, for who has entered.
func (db *DB) maintain(ctx context.Context, p pass) error {
	db.jobs.mu.Lock()
	defer db.jobs.mu.Unlock()
	defer db.jobs.progress.Store(nil)
	p.now = db.opts.Now().UnixNano()
	finished := db.finishDeletes(ctx, p)
	if finished != nil {
		finished = fmt.Errorf("finish deletes: %w", finished)
	}
	if errors.Is(finished, errStopped) || ctx.Err() != nil {
		return finished
	}
	tended := errors.Join(finished, db.tendDays(ctx, p))
	if errors.Is(tended, errStopped) || ctx.Err() != nil {
		return tended
	}
	if err := db.reclaim(ctx); err != nil { // nothing else hangs on it
		tended = errors.Join(tended, fmt.Errorf("give back disk space: %w", err))
	}
	if err := errors.Join(db.retire(ctx, p), db.retireEvents(ctx, p)); err != nil {
		return errors.Join(tended, fmt.Errorf("drop what has expired: %w", err))
	}
	if !db.jobs.sweep {
		return tended
	}
	swept, err := db.sweepSeries(ctx)
	if err != nil {
		return errors.Join(tended, fmt.Errorf("drop series without samples: %w", err))
	}
	db.jobs.sweep = !swept
	return tended
}

// tendDays tends each day. One that is damaged doesn't keep the others from it.
func (db *DB) tendDays(ctx context.Context, p pass) error {
	changed, err := db.changedDays()
	if err != nil {
		return fmt.Errorf("read what has changed: %w", err)
	}
	var failed []error
	for _, number := range db.partitionsIn(model.TierRaw, model.MinTime, model.MaxTime) {
		err := db.tend(ctx, p, number, changed[number])
		if errors.Is(err, errStopped) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("maintain %s: %w", spellDay(number), err))
		}
	}
	return errors.Join(failed...)
}

func spellDay(number model.Partition) string {
	begin, _ := model.TierRaw.Bounds(number)
	return time.Unix(0, begin).UTC().Format(time.DateOnly)
}

// settled is how long nothing must have come to a day before it is worth working on it, and restless after
// which time that is done all the same.
const (
	settled  = int64(time.Minute)
	restless = int64(10 * time.Minute)
)

// crowded is how many chunks for each series make a day worth joining before it is over.
const crowded = 8

// changedDays returns the days with samples that are to be rolled up again.
func (db *DB) changedDays() (map[model.Partition]bool, error) {
	days := make(map[model.Partition]bool)
	err := index.EachDirty(db.chunks, model.TierRaw, 0, model.TierRaw.PartitionOf(model.MaxTime), func(d keys.Dirty, _ *index.Set) error {
		days[d.Partition] = true
		return nil
	})
	return days, err
}

// tend joins the chunks of a day and rolls it up, if it is time for either.
func (db *DB) tend(ctx context.Context, p pass, number model.Partition, changed bool) error {
	state, found := db.partitionState(model.TierRaw, number)
	if !found || !p.force && p.now-state.flushedAt < settled && p.now-state.tendedAt < restless {
		return nil
	}
	_, end := model.TierRaw.Bounds(number)
	over := p.now-int64(db.opts.RollupDelay) >= end
	job := dayJob{db: db, pass: p, number: number, through: db.rollable(number, state.meta, p.now)}
	if state.meta.Flushed > state.meta.Compacted {
		isCrowded, err := db.isCrowded(number, state.fresh)
		if err != nil {
			return err
		}
		job.join = p.force || over || isCrowded
	}
	if !job.join && !changed && job.through == state.meta.RolledThrough {
		return nil
	}
	err := job.run(ctx)
	if over {
		db.jobs.reclaimable.add(number, job.done.BytesIn-job.done.BytesOut)
	}
	return err
}

// isCrowded reports whether so many chunks came to a day since they were joined that it should be done again.
func (db *DB) isCrowded(number model.Partition, fresh int) (bool, error) {
	if fresh < crowded {
		return false, nil
	}
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	series, err := db.partitionSeries(model.TierRaw, number)
	if err != nil || series == nil {
		return false, err
	}
	return fresh >= crowded*max(1, series.Len()), nil
}

// rollable returns the time through which a day can be rolled up: whole hours that ended RollupDelay ago.
func (db *DB) rollable(number model.Partition, meta partitionMeta, now int64) int64 {
	begin, end := model.TierRaw.Bounds(number)
	through := min(end, (now-int64(db.opts.RollupDelay))/hour*hour)
	if through <= begin {
		return meta.RolledThrough
	}
	return max(meta.RolledThrough, through)
}

// finishDeletes rewrites what tombstones hide, in every tier, and then drops them.
func (db *DB) finishDeletes(ctx context.Context, p pass) error {
	db.flush.mu.Lock()
	checkpoint := db.flush.checkpoint
	db.flush.mu.Unlock()
	done := slices.DeleteFunc(slices.Clone(db.tombstones.all()), func(t tombstone) bool { return t.lsn > checkpoint })
	if len(done) == 0 {
		return nil
	}
	var failed []error
	db.jobs.stuck = make(map[wal.LSN]bool)
	for _, number := range db.partitionsIn(model.TierRaw, model.MinTime, model.MaxTime) {
		begin, end := model.TierRaw.Bounds(number)
		hit := touching(done, begin, end)
		if len(hit) == 0 {
			continue
		}
		job := dayJob{db: db, pass: p, number: number, join: true, deletes: hit}
		err := job.run(ctx)
		if errors.Is(err, errStopped) || ctx.Err() != nil {
			return err
		}
		if err != nil { // these stay in force, the others don't wait for them
			failed = append(failed, fmt.Errorf("%s: %w", spellDay(number), err))
			done = slices.DeleteFunc(done, func(t tombstone) bool { return t.Overlaps(begin, end) })
			for _, t := range hit {
				db.jobs.stuck[t.lsn] = isDamage(err)
			}
		}
	}
	for _, t := range slices.Clone(done) {
		err := db.cutTiers(ctx, p, t)
		if errors.Is(err, errStopped) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			failed = append(failed, err)
			done = slices.DeleteFunc(done, func(other tombstone) bool { return other.lsn == t.lsn })
			db.jobs.stuck[t.lsn] = isDamage(err)
		}
	}
	if err := db.unpostDeleted(done); err != nil {
		return err
	}
	if len(done) == 0 {
		return errors.Join(failed...)
	}
	return errors.Join(append(failed, db.dropTombstones(done))...)
}

// isDamage reports whether another try will fail in the same way.
func isDamage(err error) bool {
	return errors.Is(err, compaction.ErrCorrupt) || errors.Is(err, ErrCorrupt) || pebble.IsCorruptionError(err)
}

// unpostDeleted takes series of finished deletes out of the postings of partitions in which nothing of them is left,
// whichever job, of this process or an earlier one, took the last of it.
func (db *DB) unpostDeleted(done []tombstone) error {
	for tier := range model.Tier(model.Tiers) {
		for _, number := range db.partitionsIn(tier, model.MinTime, model.MaxTime) {
			begin, end := tier.Bounds(number)
			ids := index.NewSet()
			for _, t := range touching(done, begin, end) {
				ids.Or(t.series)
			}
			if err := db.unpostEmpty(index.Place{Tier: tier, Partition: number}, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

func (db *DB) unpostEmpty(where index.Place, ids *index.Set) error {
	if ids.IsEmpty() {
		return nil
	}
	db.flush.mu.Lock()
	posted, err := db.partitionSeries(where.Tier, where.Partition)
	if err == nil && posted != nil {
		ids.And(posted)
	}
	db.flush.mu.Unlock()
	if err != nil || posted == nil {
		return err
	}
	series, err := db.describe(ids.AppendTo(nil))
	if err != nil {
		return err
	}
	var list []emptiedSeries
	for _, s := range series {
		list = append(list, emptiedSeries{s.ID, db.numberOf(s.Name)})
	}
	return db.unpostPartition(where, list)
}

// dropTombstones forgets tombstones that hide nothing any more.
func (db *DB) dropTombstones(done []tombstone) error {
	b := db.chunks.NewBatch()
	defer func() { _ = b.Close() }()
	var lsns []wal.LSN
	for _, t := range done {
		if err := b.Delete(keys.AppendTombstone(nil, uint64(t.lsn)), nil); err != nil {
			return err
		}
		lsns = append(lsns, t.lsn)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	db.tombstones.remove(lsns)
	db.jobs.sweep = true
	db.jobs.counters.deletesFinished.Add(int64(len(done)))
	db.opts.Logger.Info("finished deletes", "deletes", len(done))
	return nil
}

// pause keeps maintenance to its share of a processor after work of some length, and says whether to go on.
func (db *DB) pause(ctx context.Context, p pass, worked time.Duration) error {
	if db.diskFull.Load() {
		return fmt.Errorf("%w: %w", errStopped, ErrDiskFull)
	}
	rest := time.Duration(0)
	if p.share < 1 && db.jobs.hurried.Load() == 0 {
		rest = time.Duration(float64(worked) * (1 - p.share) / p.share)
	}
	select { // both may be ready below, and then either might be taken
	case <-db.stop:
		return fmt.Errorf("%w: %w", errStopped, ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil || rest == 0 {
		return err
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-db.stop:
		return fmt.Errorf("%w: %w", errStopped, ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
