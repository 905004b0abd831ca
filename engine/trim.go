package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/compaction"
	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// trimmed says how far a partition was trimmed, by class of the policy set then.
type trimmed struct {
	policy int64
	upTo   []int64
}

// trimStep is how much more of a class has to have expired before a partition is trimmed again: whole days,
// and a share of how long it is kept, so that what stays too long is a small part of what stays.
func trimStep(kept time.Duration) int64 { return max(24*hour, int64(kept)/16) }

// trimPartition removes from a partition of points what has expired, while the rest of it is kept: a partition
// of hours spans 64 days, which is long for who keeps two. Series of which nothing is left leave the
// partition's index.
func (db *DB) trimPartition(ctx context.Context, p pass, e *expiry, where index.Place, due int64) error {
	upTo := db.trimTargets(e, where, due)
	if upTo == nil {
		return nil
	}
	posted, err := db.partitionSeries(where.Tier, where.Partition)
	if err != nil || posted == nil {
		return err
	}
	series, err := db.describe(posted.AppendTo(nil))
	if err != nil {
		return err
	}
	begin, _ := where.Tier.Bounds(where.Partition)
	t := &trimmer{db: db, where: where, begin: begin, days: db.partitionsIn(model.TierRaw, begin, slices.Max(upTo))}
	for _, s := range series {
		expired := t.expired(upTo[e.policy.ClassOf(s.Name, s.Source())], e.expired.Through(s.Name, s.Source()))
		if expired > begin {
			t.work = append(t.work, trimWork{emptiedSeries{s.ID, db.numberOf(s.Name)}, expired})
		}
	}
	if err := t.run(ctx, p); err != nil {
		return err
	}
	db.updatePartition(where.Tier, where.Partition, func(p *partition) { p.trimmed = trimmed{e.changed, upTo} })
	return nil
}

// trimTargets returns up to where a partition may be trimmed, by class, or nil if that isn't worth it yet.
func (db *DB) trimTargets(e *expiry, where index.Place, due int64) []int64 {
	begin, end := where.Tier.Bounds(where.Partition)
	state, found := db.partitionState(where.Tier, where.Partition)
	if !found {
		return nil
	}
	last := state.trimmed
	if last.policy != e.changed || len(last.upTo) != e.policy.Classes() {
		last = trimmed{policy: e.changed, upTo: make([]int64, e.policy.Classes())}
	}
	upTo, worth := make([]int64, e.policy.Classes()), false
	for class := range upTo {
		floor := e.policy.Floor(class, where.Tier, due)
		upTo[class] = min(floor-floor%model.TierRaw.PartitionWidth(), end)
		from := max(last.upTo[class], begin)
		worth = worth || upTo[class] > from && (upTo[class] == end || upTo[class]-from >= trimStep(e.policy.Of(class).Tier(where.Tier)))
	}
	if !worth {
		return nil
	}
	return upTo
}

// trimmer trims one partition, on a snapshot.
type trimmer struct {
	db    *DB
	where index.Place
	begin int64
	days  []model.Partition // raw ones that are stored
	work  []trimWork
}

// trimWork is to remove what a series has before a time.
type trimWork struct {
	emptiedSeries
	before int64
}

// expired returns how far the points of a series may go: not where its raw samples are still stored, since
// the day counts as rolled up.
func (t *trimmer) expired(upTo, through int64) int64 {
	for _, day := range t.days {
		if begin, end := model.TierRaw.Bounds(day); end > through {
			return min(upTo, begin)
		}
	}
	return upTo
}

func (t *trimmer) run(ctx context.Context, p pass) (err error) {
	slices.SortFunc(t.work, func(a, b trimWork) int { return cmp.Or(cmp.Compare(a.nameID, b.nameID), cmp.Compare(a.id, b.id)) })
	snapshot := t.db.chunks.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	writer, err := compaction.OpenTier(snapshot, t.where.Tier, t.where.Partition)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	b := t.db.chunks.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	var emptied []emptiedSeries
	began := t.db.opts.Now()
	for _, w := range t.work {
		span := model.Span{From: t.begin, To: w.before}
		remain, err := writer.Replace(b, w.id, w.nameID, span, &rollup.Columns{}, &rollup.Sketches{})
		if err != nil {
			return fmt.Errorf("series %d: %w", w.id, err)
		}
		if !remain {
			emptied = append(emptied, w.emptiedSeries)
		}
		if b.Len() < jobBatchBytes {
			continue
		}
		if err := b.Commit(pebble.NoSync); err != nil {
			return err
		}
		b.Reset()
		if err := t.db.pause(ctx, p, t.db.opts.Now().Sub(began)); err != nil {
			return err
		}
		began = t.db.opts.Now()
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	return t.db.unpostPartition(t.where, emptied)
}
