package engine

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/invariants"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
	"github.com/flopynet/collector/wal/record"
)

const (
	// Definitions of new series are cut into frames of about this size. The largest takes 80 KiB.
	maxDefinitionBytes = 8 << 20
	definitionStep     = 64
	// Events and answers of several batches share a frame up to about this many bytes, so that with as many samples
	// as a batch may have it stays below wal.MaxFrameBytes.
	sharedFrameBytes = 8 << 20
	// A frame's buffer that grew larger is not kept.
	keepFrameBytes = 4 << 20
	// A smaller payload takes one block of the disk anyway.
	minCompressBytes = 512
)

// commit is a batch, or a barrier, on its way through the pipeline.
type commit struct {
	ids    []model.SeriesID
	times  []int64
	values []float64
	units  []unitChange
	maxID  model.SeriesID
	epoch  uint64 // when the ids were resolved

	deletion *deletion   // instead of samples
	events   *eventBatch // likewise
	answer   *Answer     // to be kept with samples or events; nil: none

	lsn wal.LSN // that the build stage gives it

	barrier func(cut) // instead of samples: runs when all before it is applied and nothing behind it is
	taken   bool      // a leader has it; guarded by the build stage
	err     error     // why it alone is not in its frame
	done    chan error
}

var commits = sync.Pool{New: func() any { return &commit{done: make(chan error, 1)} }}

// cut is the position at which a barrier stands.
type cut struct {
	lsn     wal.LSN        // of the last batch before it
	defined model.SeriesID // series below are defined in the log at or before lsn
	segment uint64         // of the log: it and those before hold all up to lsn, and nothing behind it

	accepted uint64 // samples accepted up to lsn, since the data directory was made
}

// frame is a group of commits on its way to the log.
type frame struct {
	payload     []byte
	spare       []byte  // scratch for compression
	first, last wal.LSN // last = first - 1: nothing to write
	defined     model.SeriesID
	commits     []*commit
	barrier     *commit // ends the group
	segment     uint64  // that the barrier closed
	err         error
}

var frames = sync.Pool{New: func() any { return new(frame) }}

// pipeline is the one way into the log. It has three stages, each of which holds one frame at a time:
//
//	build   encode the batches that wait, with the definitions they need
//	write   append the frame to the log and fsync it
//	apply   make the samples visible
//
// Whoever finds the build stage free leads: it takes all batches that wait, carries their frame through
// the stages and acknowledges them. It enters a stage before it leaves the one before, so frames can't
// overtake one another, and the next frame is encoded, and the one before applied, while a frame is on
// its way to the disk. A writer that is alone does everything itself, without waking another goroutine.
type pipeline struct {
	db      *DB
	applier *head.Applier

	waitingMu sync.Mutex
	waiting   []*commit

	build   chan struct{} // holds a token while the stage is taken
	closed  bool          // guarded by build, like the next three
	next    wal.LSN
	defined model.SeriesID // series below are in the log
	group   []*commit      // scratch

	droppedAt uint64 // epoch that the last dropping of series began; guarded by build

	writing  sync.Mutex
	applying sync.Mutex

	applied atomic.Uint64 // LSN up to which reads see everything
}

func newPipeline(db *DB, next wal.LSN, defined model.SeriesID) *pipeline {
	p := &pipeline{
		db:      db,
		applier: db.head.Appliers(1)[0],
		build:   make(chan struct{}, 1),
		next:    next,
		defined: defined,
	}
	p.applied.Store(uint64(next) - 1)
	return p
}

// submit returns when the commit is acknowledged. The commit goes back to the pool.
func (p *pipeline) submit(c *commit) error {
	p.waitingMu.Lock()
	p.waiting = append(p.waiting, c)
	p.waitingMu.Unlock()
	err := p.wait(c)
	*c = commit{done: c.done}
	commits.Put(c)
	return err
}

// wait returns the commit's outcome, leading frames until the commit was in one.
func (p *pipeline) wait(c *commit) error {
	for {
		select {
		case err := <-c.done:
			return err
		case p.build <- struct{}{}:
		}
		if c.taken {
			<-p.build
			return <-c.done
		}
		p.lead()
	}
}

// close lets nothing more in and waits until what was let in is acknowledged.
func (p *pipeline) close() {
	p.build <- struct{}{}
	p.closed = true
	<-p.build
	p.writing.Lock()
	p.applying.Lock()
	defer p.writing.Unlock()
	defer p.applying.Unlock()
}

// hold waits until nothing is under way in the stages, and keeps it so until release is called.
func (p *pipeline) hold() (release func()) {
	p.build <- struct{}{}
	p.writing.Lock()
	p.applying.Lock()
	return func() {
		p.applying.Unlock()
		p.writing.Unlock()
		<-p.build
	}
}

// lead carries the waiting commits through the stages. The caller holds the build stage.
func (p *pipeline) lead() {
	// A panic on the way would leave the stages taken and every writer waiting. It can only mean that our
	// own code is wrong, so the process ends: what is acknowledged is in the log.
	defer func() {
		if fault := recover(); fault != nil {
			p.db.die("fault in the write path", fmt.Errorf("%v\n%s", fault, debug.Stack()))
		}
	}()
	f := frames.Get().(*frame)
	f.payload, f.commits, f.barrier, f.err = f.payload[:0], f.commits[:0], nil, nil
	p.take()
	if p.closed {
		f.err = ErrClosed
	}
	p.encode(f)

	p.writing.Lock()
	<-p.build
	if f.err == nil {
		f.err = p.write(f)
	}
	p.applying.Lock()
	p.writing.Unlock()
	p.apply(f)
	p.applying.Unlock()

	for _, c := range f.commits {
		c.done <- cmp.Or(c.err, f.err)
	}
	clear(f.commits)
	if cap(f.payload) > keepFrameBytes {
		f.payload = nil
	}
	if cap(f.spare) > keepFrameBytes {
		f.spare = nil
	}
	frames.Put(f)
}

// take moves waiting commits into the group: up to the first barrier, or until they are as large as a
// group may be.
func (p *pipeline) take() {
	p.group = p.group[:0]
	p.waitingMu.Lock()
	defer p.waitingMu.Unlock()
	samples, units, bytes := 0, 0, 0
	most := p.db.tuned.Load().MaxGroupSamples
	for _, c := range p.waiting {
		samples += len(c.ids)
		units += len(c.units)
		if c.events != nil {
			bytes += c.events.size
		}
		if c.answer != nil {
			bytes += len(c.answer.Body)
		}
		if len(p.group) > 0 && (samples > most || units > maxBatchUnits || bytes > sharedFrameBytes) {
			break
		}
		c.taken = true
		p.group = append(p.group, c)
		if c.barrier != nil {
			break
		}
	}
	rest := copy(p.waiting, p.waiting[len(p.group):])
	clear(p.waiting[rest:])
	p.waiting = p.waiting[:rest]
}

// encode fills the frame with the group.
func (p *pipeline) encode(f *frame) {
	f.first = p.next
	for _, c := range p.group {
		f.commits = append(f.commits, c)
		if c.barrier != nil {
			f.barrier = c
			break
		}
		if f.err != nil {
			continue
		}
		if c.epoch < p.droppedAt && p.namesDropped(c) {
			c.err = ErrStaleSeries
			c.ids, c.times, c.values, c.units, c.deletion, c.answer, c.maxID = nil, nil, nil, nil, nil, nil, 0
		}
		p.define(f, c.maxID)
		start := len(f.payload)
		for _, change := range c.units {
			f.payload = record.AppendUnit(f.payload, change.id, change.unit)
		}
		if c.answer != nil {
			f.payload = record.AppendAnswer(f.payload, c.answer)
		}
		switch {
		case c.deletion != nil:
			f.payload = record.AppendDelete(f.payload, c.deletion.From, c.deletion.To, c.deletion.ids)
		case c.events != nil:
			f.payload = record.AppendEvents(f.payload, c.events.events)
		default:
			f.payload = record.AppendSamples(f.payload, c.ids, c.times, c.values)
		}
		if len(f.payload) > wal.MaxFrameBytes {
			// An empty batch takes its place, so that the definitions before it reach the log all the same.
			f.payload = record.AppendSamples(f.payload[:start], nil, nil, nil)
			c.err = &LimitError{Limit: "frame_bytes", Max: wal.MaxFrameBytes, Advice: "write smaller batches"}
		}
		c.lsn = p.next
		p.next++
	}
	f.last, f.defined = p.next-1, p.defined
	p.compress(f)
}

// compress makes the frame's payload smaller where that is worth it.
func (p *pipeline) compress(f *frame) {
	if p.db.tuned.Load().Uncompressed || len(f.payload) < minCompressBytes {
		return
	}
	packed, ok := record.AppendCompressed(f.spare[:0], f.payload)
	f.spare = packed
	if ok {
		f.payload, f.spare = f.spare, f.payload
	}
}

// namesDropped reports whether a commit that was resolved before series were dropped writes to one of them.
// A delete may well name series that are gone.
func (p *pipeline) namesDropped(c *commit) bool {
	return slices.ContainsFunc(c.ids, p.db.isDropped) ||
		slices.ContainsFunc(c.units, func(change unitChange) bool { return p.db.isDropped(change.id) })
}

// define encodes the definitions of the series up to maxID that the log lacks. When they are too many for
// one frame, what there is so far is written ahead, with an empty batch at its end.
func (p *pipeline) define(f *frame, maxID model.SeriesID) {
	for p.defined <= maxID {
		end := min(maxID+1, p.defined+definitionStep)
		p.db.active.Definitions(p.defined, end, func(id model.SeriesID, identity []byte) {
			f.payload = record.AppendDefinition(f.payload, id, identity)
		})
		p.defined = end
		if len(f.payload) < maxDefinitionBytes {
			continue
		}
		f.payload = record.AppendSamples(f.payload, nil, nil, nil)
		f.last = p.next
		p.next++
		p.compress(f)
		p.writing.Lock()
		f.err = errors.Join(f.err, p.write(f))
		p.writing.Unlock()
		f.payload, f.first = f.payload[:0], p.next
	}
}

// write brings a frame into the log. Once that fails, nothing is written any more. The caller holds the
// write stage.
func (p *pipeline) write(f *frame) error {
	if failure := p.db.failure.Load(); failure != nil {
		return *failure
	}
	var err error
	if f.first <= f.last {
		err = p.db.log.Append(f.first, f.last, f.payload)
	}
	// What a flush is about to write to chunks must not be lost from the log behind its back: the log
	// would give its LSNs away again.
	if err == nil && (f.barrier != nil || p.db.opts.Sync == SyncAlways) {
		err = p.syncLog()
	}
	if err != nil {
		p.db.fail(err)
		return *p.db.failure.Load()
	}
	if f.barrier != nil {
		f.segment = p.db.log.Rotate() // so that all before the barrier can be dropped
	}
	return nil
}

// syncLog makes the log durable. The caller holds the write stage.
func (p *pipeline) syncLog() error {
	begin := p.db.opts.Now()
	err := p.db.log.Sync()
	p.db.fsyncs.note(p.db.opts.Now().Sub(begin))
	return err
}

// syncNow is syncLog for the background loop.
func (p *pipeline) syncNow() {
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.db.failure.Load() != nil {
		return
	}
	if err := p.syncLog(); err != nil {
		p.db.fail(err)
	}
}

// apply makes a frame's samples visible. The caller holds the apply stage.
func (p *pipeline) apply(f *frame) {
	if f.err != nil {
		return
	}
	if invariants.Enabled {
		p.checkOrder(f)
	}
	p.applier.SetPeriod(p.db.period())
	for _, c := range f.commits {
		if c.barrier != nil {
			break
		}
		if c.err == nil {
			c.err = p.applyCommit(c)
		}
	}
	p.applied.Store(uint64(f.last))
	p.db.watch.published()
	if f.barrier != nil {
		f.barrier.barrier(cut{lsn: f.last, defined: f.defined, segment: f.segment, accepted: p.db.accepted.Load()})
	}
	if p.db.head.Samples() >= int64(p.db.opts.FlushSamples) || p.db.unflushedBytes() >= p.db.opts.FlushEventBytes {
		p.db.requestFlush()
	}
}

// applyCommit makes one commit visible. It is in the log, so an error doesn't undo it.
func (p *pipeline) applyCommit(c *commit) error {
	if c.deletion != nil {
		return p.db.applyDelete(p.applier, c.lsn, c.deletion)
	}
	if c.events == nil {
		p.applySamples(c)
	} else if err := p.db.applyEvents(c.lsn, c.events); err != nil {
		return err
	}
	if c.answer != nil {
		p.db.answers.add(c.lsn, c.answer, false)
	}
	return nil
}

func (p *pipeline) applySamples(c *commit) {
	for _, change := range c.units {
		p.db.setUnit(change.id, change.unit)
	}
	p.db.changes.note(c.times, uint64(c.lsn))
	p.db.oldest.note(c.times)
	p.applier.Apply(c.ids, c.times, c.values)
	p.db.accepted.Add(uint64(len(c.ids)))
	p.db.watch.publishSamples(c)
}
