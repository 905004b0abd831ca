package engine

import (
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
	"github.com/flopynet/collector/wal/record"
)

const (
	// A frame takes the batches that wait, up to this many samples.
	maxFrameSamples = 1 << 20
	// Definitions of new series are cut into frames of about this size.
	maxDefinitionBytes = 8 << 20
	// Frames under way: one is encoded, one synced, one applied.
	framesInFlight = 3
)

// frame is a group of commits on its way through the pipeline.
type frame struct {
	payload     []byte
	first, last wal.LSN
	defined     model.SeriesID // see cut
	commits     []*commit
	barrier     *commit // ends the group
	err         error
}

// pipeline is the one way into the log. Three goroutines pass frames on: the builder encodes waiting
// batches, the syncer writes and syncs, the applier makes the samples visible and acknowledges. So the
// next frame is encoded, and the one before applied, while a frame is on its way to the disk, and all
// three see the batches in the order of their LSNs.
type pipeline struct {
	db      *DB
	applier *head.Applier
	free    chan *frame
	toSync  chan *frame
	toApply chan *frame

	next    wal.LSN        // the builder's
	defined model.SeriesID // the builder's: series below are in the log

	applied atomic.Uint64 // LSN up to which reads see everything
}

func newPipeline(db *DB, next wal.LSN, defined model.SeriesID) *pipeline {
	p := &pipeline{
		db:      db,
		applier: db.head.Appliers(1)[0],
		free:    make(chan *frame, framesInFlight),
		toSync:  make(chan *frame, 1),
		toApply: make(chan *frame, 1),
		next:    next,
		defined: defined,
	}
	for range framesInFlight {
		p.free <- new(frame)
	}
	p.applied.Store(uint64(next) - 1)
	return p
}

// run starts the goroutines; they end when db.queue is closed and everything in it was acknowledged.
func (p *pipeline) run() {
	p.db.goroutines.Go(p.build)
	p.db.goroutines.Go(p.sync)
	p.db.goroutines.Go(p.apply)
}

func (p *pipeline) build() {
	defer close(p.toSync)
	for c := range p.db.queue {
		f := <-p.free
		f.payload, f.commits, f.barrier, f.err = f.payload[:0], f.commits[:0], nil, nil
		f.first = p.next
		f = p.addCommit(f, c)
		samples := len(c.ids)
		for f.barrier == nil && samples < maxFrameSamples {
			var more bool
			select {
			case c, more = <-p.db.queue:
			default:
			}
			if !more {
				break
			}
			f = p.addCommit(f, c)
			samples += len(c.ids)
		}
		p.send(f)
	}
}

func (p *pipeline) send(f *frame) {
	f.last = p.next - 1
	f.defined = p.defined
	p.toSync <- f
}

// addCommit encodes a commit into the frame. Definitions of new series that are too many for one frame
// go ahead in frames of their own, each with an empty batch.
func (p *pipeline) addCommit(f *frame, c *commit) *frame {
	if c.barrier != nil {
		f.barrier = c
		return f
	}
	for p.defined <= c.maxID {
		end := min(c.maxID+1, p.defined+4096)
		p.db.active.Definitions(p.defined, end, func(id model.SeriesID, identity []byte) {
			f.payload = record.AppendDefinition(f.payload, id, identity)
		})
		p.defined = end
		if len(f.payload) > maxDefinitionBytes {
			f.payload = record.AppendSamples(f.payload, nil, nil, nil)
			p.next++
			p.send(f)
			f = <-p.free
			f.payload, f.commits, f.barrier, f.err = f.payload[:0], f.commits[:0], nil, nil
			f.first = p.next
		}
	}
	for _, change := range c.units {
		f.payload = record.AppendUnit(f.payload, change.id, change.unit)
	}
	f.payload = record.AppendSamples(f.payload, c.ids, c.times, c.values)
	p.next++
	f.commits = append(f.commits, c)
	return f
}

func (p *pipeline) sync() {
	defer close(p.toApply)
	var tick <-chan time.Time
	if p.db.opts.Sync == SyncInterval {
		ticker := time.NewTicker(p.db.opts.SyncInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case f, more := <-p.toSync:
			if !more {
				return
			}
			f.err = p.write(f)
			p.toApply <- f
		case <-tick:
			if err := p.syncLog(); err != nil {
				p.db.fail(err)
			}
		}
	}
}

// write brings a frame into the log. Once that fails, nothing is written any more.
func (p *pipeline) write(f *frame) error {
	if failure := p.db.failure.Load(); failure != nil {
		return *failure
	}
	var err error
	if len(f.payload) > 0 {
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
	return nil
}

func (p *pipeline) syncLog() error {
	begin := p.db.opts.Now()
	err := p.db.log.Sync()
	p.db.fsyncs.Add(1)
	p.db.fsyncTime.Add(int64(p.db.opts.Now().Sub(begin)))
	return err
}

func (p *pipeline) apply() {
	for f := range p.toApply {
		if f.err == nil {
			for _, c := range f.commits {
				for _, change := range c.units {
					p.db.setUnit(change.id, change.unit)
				}
				p.applier.Apply(c.ids, c.times, c.values)
				p.db.accepted.Add(uint64(len(c.ids)))
			}
			p.applied.Store(uint64(f.last))
		}
		for _, c := range f.commits {
			c.done <- f.err
		}
		if f.barrier != nil {
			if f.err == nil {
				f.barrier.barrier(cut{lsn: f.last, defined: f.defined, accepted: p.db.accepted.Load()})
			}
			f.barrier.done <- f.err
		}
		f.commits = f.commits[:0]
		if p.db.head.Samples() >= int64(p.db.opts.FlushSamples) {
			p.db.requestFlush()
		}
		p.free <- f
	}
}
