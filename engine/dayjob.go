package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/compaction"
	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// A job commits whenever its batch has this many bytes or series, which bounds its memory and how long it
// keeps to itself.
const (
	jobBatchBytes  = 4 << 20
	jobBatchSeries = 512
)

// dayJob maintains the raw samples of one day and the points that are made of them. It works on a snapshot.
// What is flushed meanwhile is not in it, and stays as it is: the job deletes only the chunks that it read,
// and drops only the marks that it saw.
type dayJob struct {
	db      *DB
	pass    pass
	number  model.Partition
	join    bool        // join chunks
	through int64       // roll up what lies before; 0: what is rolled up stays so
	deletes []tombstone // visit only their series; nil: all

	snapshot   *pebble.Snapshot
	meta       partitionMeta // at the snapshot
	newest     wal.LSN       // of the last flush before the snapshot
	fresh      int
	tombstones []tombstone
	marks      [][]byte // keys
	changed    *index.Set
	broken     index.Set // series whose points are damaged

	day      *compaction.Day
	tiers    []*jobTier
	batch    *pebble.Batch
	visited  int         // series, in all
	stored   storedCount // that the day has now, but for what was flushed since the snapshot
	series   int         // of them in the batch
	done     compaction.Joined
	hours    rollup.Sketches
	began    time.Time
	lastStop time.Time
}

// jobTier is where the points of one tier go.
type jobTier struct {
	tier      model.Tier
	partition model.Partition
	writer    *compaction.Tier
	columns   rollup.Columns
	posted    *index.Set // series that the partition didn't have
	post      []model.SeriesID
}

// run does the job, or what there is of it to do.
func (j *dayJob) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, j.end()) }()
	if err := j.begin(); err != nil {
		return err
	}
	if !j.join && j.through == j.meta.RolledThrough && j.changed.IsEmpty() {
		return nil
	}
	if err := j.open(); err != nil {
		return err
	}
	for j.day.Next() {
		if err := j.visit(); err != nil {
			return err
		}
		if j.batch.Len() < jobBatchBytes && j.series < jobBatchSeries {
			continue
		}
		if err := j.commit(); err != nil {
			return err
		}
		worked := j.db.opts.Now().Sub(j.lastStop)
		if err := j.db.pause(ctx, j.pass, worked); err != nil {
			return err
		}
		j.lastStop = j.db.opts.Now()
	}
	err = j.day.Close()
	j.day = nil
	if err != nil {
		return err
	}
	return j.finish()
}

// begin takes the snapshot. No flush is under way then; those that come later mark what they change before
// through, since they are told that a rollup to there has begun.
func (j *dayJob) begin() error {
	db := j.db
	j.began = db.opts.Now()
	j.lastStop = j.began
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	state, _ := db.partitionState(model.TierRaw, j.number)
	j.meta, j.fresh, j.newest = state.meta, state.fresh, db.flush.checkpoint
	j.through = max(j.through, j.meta.RolledThrough)
	db.updatePartition(model.TierRaw, j.number, func(p *partition) { p.rolling = j.through })
	j.tombstones = db.tombstones.all()
	j.snapshot = db.chunks.NewSnapshot()
	j.changed = index.NewSet()
	return index.EachDirty(j.snapshot, model.TierRaw, j.number, j.number, func(d keys.Dirty, set *index.Set) error {
		j.marks = append(j.marks, keys.AppendDirty(nil, d))
		j.changed.Or(set)
		return nil
	})
}

// end gives up what the job holds.
func (j *dayJob) end() error {
	j.db.updatePartition(model.TierRaw, j.number, func(p *partition) {
		p.rolling = 0
		p.tendedAt = j.pass.now
	})
	var errs []error
	if j.day != nil {
		errs = append(errs, j.day.Close())
	}
	for _, t := range j.tiers {
		errs = append(errs, t.writer.Close())
	}
	if j.batch != nil {
		errs = append(errs, j.batch.Close())
	}
	return errors.Join(append(errs, j.snapshot.Close())...)
}

// open begins the walk through the day and its places in the other tiers.
func (j *dayJob) open() (err error) {
	opts := compaction.DayOptions{Partition: j.number, Newest: uint64(j.newest),
		Hidden: func(id model.SeriesID, seq uint64) []model.Span { return hides(j.tombstones, id, seq) }}
	if j.day, err = compaction.OpenDay(j.snapshot, opts); err != nil {
		return err
	}
	begin, _ := model.TierRaw.Bounds(j.number)
	for _, tier := range []model.Tier{model.Tier5m, model.Tier1h} {
		t := &jobTier{tier: tier, partition: tier.PartitionOf(begin), posted: index.NewSet()}
		if t.writer, err = compaction.OpenTier(j.snapshot, tier, t.partition); err != nil {
			return err
		}
		j.tiers = append(j.tiers, t)
	}
	j.batch = j.db.chunks.NewBatch()
	j.report()
	return nil
}

// visit does what there is to do for the current series of the walk.
func (j *dayJob) visit() error {
	before := j.done
	err := j.work()
	samples, bytes := j.day.Stored()
	joined := j.done
	j.stored.add(samples+joined.SamplesOut-before.SamplesOut-joined.SamplesIn+before.SamplesIn,
		bytes+joined.BytesOut-before.BytesOut-joined.BytesIn+before.BytesIn, j.day.Oldest())
	return err
}

// work does what there is to do for the current series.
func (j *dayJob) work() error {
	id, nameID := j.day.Series()
	deleted := slices.ContainsFunc(j.deletes, func(t tombstone) bool { return t.series.Contains(id) })
	if j.deletes != nil && !deleted {
		return nil
	}
	begin, end := model.TierRaw.Bounds(j.number)
	// What a delete hides may go with the chunks below, so that nobody comes back here for the points.
	touched := slices.ContainsFunc(j.tombstones, func(t tombstone) bool { return t.Overlaps(begin, end) && t.series.Contains(id) })
	if !touched && !j.changed.Contains(id) {
		begin = max(begin, j.meta.RolledThrough) // what lies before holds
	}
	if begin < j.through || touched {
		if err := j.roll(id, nameID, begin); errors.Is(err, compaction.ErrCorrupt) {
			// Its points can't be made anew beside damaged ones. Samples answer for it, as for what has changed.
			j.db.opts.Logger.Error("a series is not rolled up", "day", spellDay(j.number), "series", uint64(id), "err", err)
			j.broken.Add(id)
			if touched { // what is hidden stays in the chunks as well, and the tombstone in force
				return nil
			}
		} else if err != nil {
			return fmt.Errorf("roll up series %d: %w", id, err)
		}
	}
	if j.join {
		done, err := j.day.Join(j.batch, uint64(j.meta.Compacted))
		if err != nil {
			return fmt.Errorf("join the chunks of series %d: %w", id, err)
		}
		j.done.Add(done)
	}
	j.series++
	j.visited++
	return nil
}

// report tells how far the job is.
func (j *dayJob) report() {
	j.db.jobs.progress.Store(&jobProgress{job: "compact and roll up " + spellDay(j.number), series: j.visited, since: j.began})
}

// roll makes the series' points from begin to through anew, and leaves none behind.
func (j *dayJob) roll(id model.SeriesID, nameID uint64, begin int64) error {
	times, values, err := j.day.Samples()
	if err != nil {
		return err
	}
	from, _ := slices.BinarySearch(times, begin)
	to, _ := slices.BinarySearch(times, max(begin, j.through))
	// Behind through lie at most points of a job that was stopped, of samples that may have been deleted since.
	_, end := model.TierRaw.Bounds(j.number)
	times, values = times[from:to], values[from:to]
	j.hours.Reset()
	rollup.RollSketches(&j.hours, times, values)
	for _, t := range j.tiers {
		t.columns.Reset()
		rollup.Roll(&t.columns, t.tier, times, values)
		j.db.jobs.counters.points.Add(int64(t.columns.Len()))
		remain, err := t.writer.Replace(j.batch, id, nameID, model.Span{From: begin, To: end}, &t.columns, &j.hours)
		if err != nil {
			return err
		}
		if !remain {
			continue
		}
		known, err := j.db.partitionSeries(t.tier, t.partition)
		if err != nil {
			return err
		}
		if (known == nil || !known.Contains(id)) && !t.posted.Contains(id) {
			t.posted.Add(id)
			t.post = append(t.post, id)
		}
	}
	return nil
}

// commit makes what the batch holds visible, with the postings that it needs.
func (j *dayJob) commit() error {
	for _, t := range j.tiers {
		if len(t.post) == 0 {
			continue
		}
		series, err := j.db.describe(t.post)
		if err != nil {
			return err
		}
		var postings index.PostingsBuilder
		for i := range series {
			postings.Add(series[i])
		}
		if err := putPartition(j.batch, t.tier, t.partition, partitionMeta{}); err != nil {
			return err
		}
		if err := postings.Write(j.batch, t.tier, t.partition); err != nil {
			return err
		}
	}
	if err := j.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	j.batch.Reset()
	j.series = 0
	for _, t := range j.tiers {
		if len(t.post) > 0 {
			j.db.updatePartition(t.tier, t.partition, func(p *partition) {
				if p.series != nil {
					p.series.AddMany(t.post)
				}
			})
			t.post = t.post[:0]
		}
	}
	j.report()
	return nil
}

// finish commits what is left, then the day's new state.
func (j *dayJob) finish() error {
	if err := j.commit(); err != nil {
		return err
	}
	if j.deletes == nil {
		if err := j.finishState(); err != nil {
			return err
		}
	} else if !j.broken.IsEmpty() {
		return fmt.Errorf("%w: %d series have damaged points", compaction.ErrCorrupt, j.broken.Len())
	} else if err := j.finishCount(); err != nil {
		return err
	}
	j.count()
	return nil
}

// finishState says what holds of the day from now on, and drops the marks that were seen.
func (j *dayJob) finishState() error {
	db := j.db
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	state, _ := db.partitionState(model.TierRaw, j.number)
	state.meta.RolledThrough, state.meta.Stored = j.through, j.storedNow(state.meta.Stored)
	if j.join {
		state.meta.Compacted = j.newest
	}
	for _, key := range j.marks {
		if err := j.batch.Delete(key, nil); err != nil {
			return err
		}
	}
	if err := j.markBroken(); err != nil {
		return err
	}
	if err := putPartition(j.batch, model.TierRaw, j.number, state.meta); err != nil {
		return err
	}
	if err := j.batch.Commit(pebble.Sync); err != nil {
		return err
	}
	db.updatePartition(model.TierRaw, j.number, func(p *partition) {
		p.meta = state.meta
		if j.join {
			p.fresh -= j.fresh
		}
	})
	return nil
}

// storedNow returns what the day holds when the state says so much of it.
func (j *dayJob) storedNow(state storedCount) storedCount {
	now := j.stored
	now.Known = true
	now.merge(state.since(j.meta.Stored))
	return now
}

// finishCount notes what a job that was for deletes alone has left.
func (j *dayJob) finishCount() error {
	db := j.db
	db.flush.mu.Lock()
	defer db.flush.mu.Unlock()
	state, _ := db.partitionState(model.TierRaw, j.number)
	state.meta.Stored = j.storedNow(state.meta.Stored)
	if err := putPartition(j.batch, model.TierRaw, j.number, state.meta); err != nil {
		return err
	}
	if err := j.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	j.batch.Reset()
	db.updatePartition(model.TierRaw, j.number, func(p *partition) { p.meta.Stored = state.meta.Stored })
	return nil
}

// markBroken marks the series that could not be rolled up in all hours that are said to be.
func (j *dayJob) markBroken() error {
	begin, _ := model.TierRaw.Bounds(j.number)
	for at := begin / hour; at < j.through/hour && !j.broken.IsEmpty(); at++ {
		if err := index.PutDirty(j.batch, model.TierRaw, j.number, at, uint64(j.newest), &j.broken); err != nil {
			return err
		}
	}
	return nil
}

// count adds the job to the counters and the log.
func (j *dayJob) count() {
	c := &j.db.jobs.counters
	if j.join {
		c.daysJoined.Add(1)
	}
	if j.through > j.meta.RolledThrough || !j.changed.IsEmpty() {
		c.daysRolled.Add(1)
	}
	c.chunksIn.Add(int64(j.done.ChunksIn))
	c.chunksOut.Add(int64(j.done.ChunksOut))
	c.bytesIn.Add(int64(j.done.BytesIn))
	c.bytesOut.Add(int64(j.done.BytesOut))
	rolled := "never"
	if j.through > 0 {
		rolled = time.Unix(0, j.through).UTC().Format(time.RFC3339)
	}
	j.db.opts.Logger.Info("maintained a day", "day", spellDay(j.number), "series", j.visited, "chunks_before", j.done.ChunksIn,
		"chunks_after", j.done.ChunksOut, "bytes_before", j.done.BytesIn, "bytes_after", j.done.BytesOut,
		"rolled_through", rolled, "took", j.db.opts.Now().Sub(j.began))
}
