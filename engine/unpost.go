package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/compaction"
	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// emptiedSeries may have nothing left in a partition.
type emptiedSeries struct {
	id     model.SeriesID
	nameID uint64
}

// unpostPartition takes those of the series out of a partition's postings that have nothing left in it.
func (db *DB) unpostPartition(where index.Place, list []emptiedSeries) error {
	if len(list) == 0 {
		return nil
	}
	db.flush.mu.Lock() // a flush could give one of them new samples
	defer db.flush.mu.Unlock()
	gone, err := db.withoutChunks(where, list)
	if err != nil {
		return err
	}
	return db.removePostings(where, gone)
}

// withoutChunks returns those of the series that have no chunk in the partition.
func (db *DB) withoutChunks(where index.Place, list []emptiedSeries) (_ *index.Set, err error) {
	lower, upper := keys.PartitionRange(keys.PrefixChunk, where.Tier, where.Partition)
	it, err := db.chunks.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	gone := index.NewSet()
	var key []byte
	for _, e := range list {
		key = keys.AppendSeriesPrefix(key[:0], where.Tier, where.Partition, e.nameID, e.id)
		if !it.SeekGE(key) || !bytes.HasPrefix(it.Key(), key) {
			gone.Add(e.id)
		}
	}
	return gone, it.Error()
}

// removePostings takes series out of a partition's index. The caller holds flush.mu.
func (db *DB) removePostings(where index.Place, gone *index.Set) error {
	if gone.IsEmpty() {
		return nil
	}
	b := db.chunks.NewBatch()
	defer func() { _ = b.Close() }()
	if err := index.RemoveSeries(db.chunks, b, where.Tier, where.Partition, gone); err != nil {
		return err
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	db.updatePartition(where.Tier, where.Partition, func(p *partition) {
		if p.series != nil {
			p.series = p.series.Clone()
			p.series.AndNot(gone)
		}
	})
	db.jobs.sweep = true
	return nil
}

// cutTiers removes what a delete hides from the points of days whose raw samples are gone. Points of other
// days are made anew with the day.
func (db *DB) cutTiers(ctx context.Context, p pass, t tombstone) error {
	for _, tier := range []model.Tier{model.Tier5m, model.Tier1h} {
		for _, number := range db.partitionsIn(tier, t.From, t.To) {
			// A series whose raw samples are gone here and there has several spans; each takes a round.
			for round, more := 0, true; more; round++ {
				var err error
				if more, err = db.cutPartition(index.Place{Tier: tier, Partition: number}, t, round); err != nil {
					return fmt.Errorf("partition %d of tier %s: %w", number, tier, err)
				}
				if err := db.pause(ctx, p, 0); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// cutPartition removes the span with the number round of each deleted series, and reports whether any has
// a further one.
func (db *DB) cutPartition(where index.Place, t tombstone, round int) (more bool, err error) {
	posted, err := db.partitionSeries(where.Tier, where.Partition)
	if err != nil || posted == nil {
		return false, err
	}
	ids := t.series.Clone()
	ids.And(posted)
	if ids.IsEmpty() {
		return false, nil
	}
	series, err := db.describe(ids.AppendTo(nil))
	if err != nil {
		return false, err
	}
	snapshot := db.chunks.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	writer, err := compaction.OpenTier(snapshot, where.Tier, where.Partition)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	b := db.chunks.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	e := db.expiry.load()
	for _, s := range series {
		spans := db.goneSpans(where, t.Span, e.expired.Through(s.Name, s.Source()))
		if round >= len(spans) {
			continue
		}
		more = more || round+1 < len(spans)
		if _, err := writer.Replace(b, s.ID, db.numberOf(s.Name), spans[round], &rollup.Columns{}, &rollup.Sketches{}); err != nil {
			return false, fmt.Errorf("series %d: %w", s.ID, err)
		}
		if b.Len() >= jobBatchBytes {
			if err := b.Commit(pebble.NoSync); err != nil {
				return false, err
			}
			b.Reset()
		}
	}
	return more, b.Commit(pebble.NoSync)
}

// numberOf returns the number of a metric's name, 0 if it has none.
func (db *DB) numberOf(name string) uint64 {
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	return db.store.names[name]
}

// goneSpans returns the parts of a span in a tier's partition that have no raw samples, those before through
// being gone, in time order.
func (db *DB) goneSpans(where index.Place, span model.Span, through int64) []model.Span {
	begin, end := where.Tier.Bounds(where.Partition)
	from, to := max(span.From, begin), min(span.To, end)
	var spans []model.Span
	for _, day := range daysOf(from, to) {
		dayBegin, dayEnd := model.TierRaw.Bounds(day)
		if _, stored := db.partitionState(model.TierRaw, day); stored && dayEnd > through {
			continue
		}
		part := model.Span{From: max(dayBegin, from), To: min(dayEnd, to)}
		if n := len(spans); n > 0 && spans[n-1].To == part.From {
			spans[n-1].To = part.To
			continue
		}
		spans = append(spans, part)
	}
	return spans
}
