package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
	"github.com/flopynet/collector/wal/record"
)

// replayQueue is how many decoded batches may wait for an applier.
const replayQueue = 8

// replay applies image and log to the head. One goroutine reads and decodes; each applier has some of
// the head's shards and a goroutine of its own, and sees the batches in order.
type replay struct {
	db         *DB
	checkpoint wal.LSN
	lsn        wal.LSN        // of the last batch applied
	defined    model.SeriesID // ids from here on are new to the catalogue
	known      []uint64       // bit set of the series that are active
	unknown    []model.SeriesID
	samples    int
	eventCount int

	lost        map[model.SeriesID]bool // series that nothing defines
	lostSamples int

	workers []chan *replayBatch
	free    chan *replayBatch
	idle    sync.WaitGroup // batches under way
	running sync.WaitGroup // workers
}

type replayBatch struct {
	ids     []model.SeriesID
	times   []int64
	values  []float64
	pending atomic.Int32 // workers that have it still before them
}

func newReplay(db *DB, meta checkpointMeta) *replay {
	r := &replay{
		db:         db,
		checkpoint: meta.LSN,
		lsn:        meta.LSN,
		defined:    meta.Defined,
		lost:       make(map[model.SeriesID]bool),
		free:       make(chan *replayBatch, replayQueue),
	}
	for range replayQueue {
		r.free <- new(replayBatch)
	}
	for _, applier := range db.head.Appliers(db.tuned.Load().Workers) {
		applier.SetPeriod(db.period())
		queue := make(chan *replayBatch, replayQueue)
		r.workers = append(r.workers, queue)
		r.running.Go(func() { r.work(applier, queue) })
	}
	return r
}

func (r *replay) work(applier *head.Applier, queue chan *replayBatch) {
	for batch := range queue {
		applier.Apply(batch.ids, batch.times, batch.values)
		if batch.pending.Add(-1) == 0 {
			r.free <- batch
		}
		r.idle.Done()
	}
}

// drain waits until everything decoded so far is in the head.
func (r *replay) drain() { r.idle.Wait() }

func (r *replay) close() {
	for _, queue := range r.workers {
		close(queue)
	}
	r.running.Wait()
}

// apply hands a copy of the columns to the appliers.
func (r *replay) apply(ids []model.SeriesID, times []int64, values []float64) error {
	batch := <-r.free
	batch.ids = append(batch.ids[:0], ids...)
	batch.times = append(batch.times[:0], times...)
	batch.values = append(batch.values[:0], values...)
	return r.dispatch(batch)
}

func (r *replay) dispatch(batch *replayBatch) error {
	known, err := r.know(batch.ids)
	if err != nil {
		return err
	}
	if !known {
		r.dropLost(batch)
	}
	r.samples += len(batch.ids)
	r.db.oldest.note(batch.times)
	batch.pending.Store(int32(len(r.workers)))
	r.idle.Add(len(r.workers))
	for _, queue := range r.workers {
		queue <- batch
	}
	return nil
}

// frame applies one frame of the log.
func (r *replay) frame(f wal.Frame) error {
	reader := record.NewReader(f.Payload)
	for lsn := f.First; reader.Next(); {
		if err := r.record(lsn, reader); err != nil {
			return fmt.Errorf("frame of LSN %d to %d: %w", f.First, f.Last, err)
		}
		if reader.Kind().HasLSN() {
			lsn++
		}
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("frame of LSN %d to %d: %w", f.First, f.Last, err)
	}
	return r.flushIfFull()
}

// record applies one record; lsn is its own, or, if it has none, that of the next batch.
func (r *replay) record(lsn wal.LSN, reader *record.Reader) error {
	switch reader.Kind() {
	case record.KindDefinition:
		id, identity, err := reader.Definition()
		if err != nil {
			return err
		}
		return r.define(id, identity)
	case record.KindUnit:
		id, unit, err := reader.Unit()
		if err != nil {
			return err
		}
		known, err := r.know([]model.SeriesID{id})
		if known {
			r.db.setUnit(id, unit)
		}
		return err
	case record.KindDelete:
		if lsn <= r.checkpoint {
			return nil
		}
		r.lsn = lsn
		return r.delete(reader)
	case record.KindAnswer:
		if lsn <= r.checkpoint {
			return nil
		}
		answer, err := reader.Answer()
		if err == nil {
			r.db.answers.add(lsn, answer, false)
		}
		return err
	case record.KindEvents:
		if lsn <= r.checkpoint {
			return nil
		}
		r.lsn = lsn
		return r.events(reader)
	default: // KindSamples: a reader stops at a kind that it doesn't know
		if lsn <= r.checkpoint {
			return nil
		}
		r.lsn = lsn
		return r.batch(reader)
	}
}

func (r *replay) define(id model.SeriesID, identity []byte) error {
	name, tags, err := model.DecodeIdentity(identity)
	if err != nil {
		return fmt.Errorf("definition of series %d: %w", id, err)
	}
	if id >= r.defined {
		r.db.active.Insert(model.Series{ID: id, Name: name, Tags: tags})
		r.mark(id)
		r.defined = id + 1
	}
	return nil
}

// batch applies one samples record.
func (r *replay) batch(reader *record.Reader) error {
	batch := <-r.free
	var err error
	batch.ids, batch.times, batch.values, err = reader.Samples(batch.ids, batch.times, batch.values)
	if err != nil {
		r.free <- batch
		return err
	}
	r.db.accepted.Add(uint64(len(batch.ids)))
	return r.dispatch(batch)
}

// delete applies one delete record, behind all samples before it.
func (r *replay) delete(reader *record.Reader) error {
	from, to, ids, err := reader.Delete()
	if err != nil {
		return err
	}
	r.drain()
	return r.db.applyDelete(r.db.head.Appliers(1)[0], r.lsn, &deletion{Span: model.Span{From: from, To: to}, ids: ids})
}

// events applies one record of events. Nothing remembers which IDs were the clients'.
func (r *replay) events(reader *record.Reader) error {
	events, err := reader.Events()
	if err != nil {
		return err
	}
	batch := &eventBatch{events: events, named: slices.Repeat([]bool{true}, len(events))}
	if err := r.db.findStored(batch); err != nil {
		return err
	}
	r.eventCount += len(events)
	return r.db.applyEvents(r.lsn, batch)
}

// know makes sure that all series of a batch are active, loading them from the catalogue. It returns
// whether all are; what nothing defines is noted as lost.
func (r *replay) know(ids []model.SeriesID) (bool, error) {
	r.unknown = r.unknown[:0]
	for _, id := range ids {
		if !r.isMarked(id) && !r.lost[id] {
			r.mark(id)
			r.unknown = append(r.unknown, id)
		}
	}
	if len(r.unknown) > 0 {
		slices.Sort(r.unknown)
		if err := r.load(r.unknown); err != nil {
			return false, err
		}
	}
	if len(r.lost) == 0 {
		return true, nil
	}
	return !slices.ContainsFunc(ids, func(id model.SeriesID) bool { return r.lost[id] }), nil
}

// load makes series of the catalogue active. When one is missing, it goes on one by one.
func (r *replay) load(ids []model.SeriesID) error {
	err := index.LoadSeries(r.db.chunks, r.db.nameOf, ids, func(series model.Series) error {
		r.db.active.Insert(series)
		return nil
	})
	if !errors.Is(err, index.ErrCorrupt) {
		return err
	}
	if len(ids) == 1 {
		r.db.opts.Logger.Error("a series has samples and no definition", "series", uint64(ids[0]), "err", err)
		r.unmark(ids[0])
		r.lost[ids[0]] = true
		return nil
	}
	for _, id := range ids {
		if err := r.load([]model.SeriesID{id}); err != nil {
			return err
		}
	}
	return nil
}

// dropLost removes the samples of lost series from a batch.
func (r *replay) dropLost(batch *replayBatch) {
	kept := 0
	for i, id := range batch.ids {
		if r.lost[id] {
			r.lostSamples++
			continue
		}
		batch.ids[kept], batch.times[kept], batch.values[kept] = id, batch.times[i], batch.values[i]
		kept++
	}
	batch.ids, batch.times, batch.values = batch.ids[:kept], batch.times[:kept], batch.values[:kept]
}

// finish says whether what was found may stand. Samples without a definition are an error, unless a
// damaged frame can have held it: then they can't be saved, the rest can, and it is said what is lost.
func (r *replay) finish(result wal.ReplayResult) error {
	for _, damage := range result.Damage {
		r.db.opts.Logger.Error("the write-ahead log is damaged; what this part of it held is lost",
			"file", damage.File, "offset", damage.Offset, "reason", damage.Reason)
	}
	if len(r.lost) == 0 {
		return nil
	}
	if len(result.Damage) == 0 {
		return fmt.Errorf("%w: the write-ahead log has %d samples of %d series that nothing defines", ErrCorrupt, r.lostSamples, len(r.lost))
	}
	r.db.opts.Logger.Error("samples are lost because the definitions of their series were in a damaged part of the log",
		"samples", r.lostSamples, "series", len(r.lost))
	for id := range r.lost {
		r.db.active.Reserve(id + 1) // their ids must not come to mean other series
	}
	return nil
}

func (r *replay) isMarked(id model.SeriesID) bool {
	word := uint64(id) / 64
	return word < uint64(len(r.known)) && r.known[word]&(1<<(id%64)) != 0
}

func (r *replay) unmark(id model.SeriesID) { r.known[uint64(id)/64] &^= 1 << (id % 64) }

func (r *replay) mark(id model.SeriesID) {
	word := uint64(id) / 64
	if word >= uint64(len(r.known)) {
		r.known = append(r.known, make([]uint64, word+1-uint64(len(r.known))+64)...)
	}
	r.known[word] |= 1 << (id % 64)
}

// flushIfFull keeps the head within its bounds while a long log is replayed.
func (r *replay) flushIfFull() error {
	full := r.db.head.Samples() >= 2*int64(r.db.opts.FlushSamples) || r.db.unflushedBytes() >= 2*r.db.opts.FlushEventBytes
	if !full || len(r.lost) > 0 {
		return nil // nothing becomes final before it is known whether what is lost may be
	}
	r.drain()
	at := cut{lsn: r.lsn, defined: r.defined, accepted: r.db.accepted.Load()}
	if at.lsn == r.db.flush.checkpoint {
		return nil
	}
	r.db.oldest.freeze()
	return r.db.flushFrozen(at, r.db.head.Freeze(r.db.period(), uint64(at.lsn)), false)
}
