package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
)

// errTooManyValues says that exact percentiles would gather more than Options.MaxExactSamples.
var errTooManyValues = errors.New("too many samples for exact percentiles")

// aggregation is one request under way.
type aggregation struct {
	db      *DB
	request *AggregateRequest
	found   found
	needs   needs
	groups  int
	groupOf []int // by series

	budget   *budget
	gathered atomic.Int64 // values kept for percentiles
	inexact  atomic.Bool
	explain  Explain
}

func (q *aggregation) exact() bool { return !q.inexact.Load() && !q.needs.sketch }

// run aggregates everything that was found.
func (q *aggregation) run(ctx context.Context) (*accumulator, error) {
	if err := q.checkPoints(); err != nil {
		return nil, err
	}
	q.explain = Explain{Series: len(q.found.ids)}
	q.gathered.Store(0)
	q.budget = q.db.newBudget()
	defer q.budget.close()
	if err := q.budget.spend(0, q.seriesBytes()); err != nil {
		return nil, err
	}
	total := newAccumulator(q.request, q.groups, q.needs)
	for begin := 0; begin < len(q.found.ids); begin += pinGroup {
		end := min(begin+pinGroup, len(q.found.ids))
		if err := q.pinned(ctx, begin, end, total); err != nil {
			return nil, err
		}
	}
	if q.needs.values {
		q.percentiles(total)
	}
	return total, nil
}

// seriesBytes is about what is held for the series before anything of them is read.
func (q *aggregation) seriesBytes() int64 {
	each := int64(sampleBytes)
	if q.request.GroupAll || len(q.request.GroupBy) > 0 {
		each += seriesBytes
	}
	return int64(len(q.found.ids)) * each
}

// from is where reading begins: before the range, if the samples before it matter.
func (q *aggregation) from() int64 {
	if q.needs.lookback {
		return max(q.request.From-lookback, model.MinTime)
	}
	return q.request.From
}

// pinned aggregates series [begin, end) of what was found, spread over workers, into total.
func (q *aggregation) pinned(ctx context.Context, begin, end int, total *accumulator) error {
	p := q.db.pin(q.found.part(begin, end), q.from(), q.request.To)
	defer func() { _ = p.close() }()
	plans, err := q.plans(p)
	if err != nil {
		return err
	}
	// Each worker may come to hold every bucket of every group, so many buckets mean few workers.
	points, series := q.groups*(len(q.request.Edges)-1), end-begin
	workers := max(1, min(q.db.tuned.Load().Workers, series, q.db.opts.MaxResultPoints/points))
	tasks := make([]workerTask, workers)
	errs := make([]error, workers)
	var running sync.WaitGroup
	for w := range workers {
		tasks[w] = workerTask{q: q, pin: p, plans: plans, groupOf: q.groupOf[begin:end],
			begin: series * w / workers, end: series * (w + 1) / workers,
			out: newAccumulator(q.request, q.groups, q.needs)}
		if w == workers-1 { // the caller has nothing else to do
			errs[w] = tasks[w].run(ctx)
		} else {
			running.Go(func() { errs[w] = tasks[w].run(ctx) })
		}
	}
	running.Wait()
	q.explain.Workers = max(q.explain.Workers, workers)
	for w := range tasks {
		total.merge(tasks[w].out)
		q.explain.add(&tasks[w].explain)
	}
	return errors.Join(errs...)
}

// workerTask aggregates series [begin, end) of a pin.
type workerTask struct {
	q          *aggregation
	pin        *pin
	plans      []plan // by class of the series
	groupOf    []int  // by series of the pin
	begin, end int
	out        *accumulator
	buffers
	ctx context.Context //nolint:containedctx // of the task's run, which is over when it ends

	raw        map[model.Partition]partitionMeta // of the class under way
	through    int64                             // before it, theirs were dropped
	states     []seriesState                     // by series of the task, if rate, increase or delta need them
	spans      []model.Span
	gathered   int64 // of out, already in q.gathered
	read       int64 // samples and points, not yet in q.budget
	held       int64 // bytes that are in q.budget
	valueBytes int64 // of the values gathered
	explain    Explain
}

// run reads step by step, so that the samples of each series come in time order.
func (t *workerTask) run(ctx context.Context) error {
	t.ctx = ctx
	t.buffers = t.q.db.takeBuffers()
	defer func() { t.q.db.giveBuffers(t.buffers) }()
	if t.out.needs.changes {
		t.states = make([]seriesState, t.end-t.begin)
		for i := range t.states {
			t.states[i].bucket = -1
		}
	}
	for class, plan := range t.plans {
		t.raw, t.through = plan.raw, plan.through
		for _, s := range plan.steps {
			if err := t.step(ctx, class, s); err != nil {
				return err
			}
		}
	}
	for i := range t.states {
		t.out.fold(t.groupOf[t.begin+i], &t.states[i])
	}
	return nil
}

// state returns what is remembered of series number i, or nil.
func (t *workerTask) state(i int) *seriesState {
	if t.states == nil {
		return nil
	}
	return &t.states[i-t.begin]
}

// step takes in the task's series of a class, for one step of their plan.
func (t *workerTask) step(ctx context.Context, class int, s step) (err error) {
	var raw *partitionReader
	var points *tierReader
	if s.tier == model.TierRaw {
		if raw, err = newPartitionReader(t.pin, s.partition, s.from, s.to); err == nil {
			raw.values = t.chunks
			defer func() { t.chunks = raw.values }()
		}
	} else {
		points, err = newTierReader(t.pin, s, t.out.needs)
	}
	if err != nil {
		return err
	}
	t.explain.Tiers[s.tier] = true
	for i := t.begin; i < t.end && err == nil; i++ {
		if t.pin.classes != nil && t.pin.classes[i] != class {
			continue
		}
		if err = ctx.Err(); err != nil {
			break
		}
		if raw != nil {
			err = t.samples(raw, i)
		} else {
			err = t.points(points, i)
		}
		if err == nil {
			err = t.spend()
		}
	}
	if raw != nil {
		t.explain.ChunksSkipped += raw.skipped
		return errors.Join(err, raw.close())
	}
	return errors.Join(err, points.close())
}

// samples takes in the raw samples of a series that are in the reader's range.
func (t *workerTask) samples(r *partitionReader, i int) error {
	if err := r.load(i); err != nil {
		return err
	}
	err := r.runs.Clusters(r.from, r.to, func(cluster merge.Cluster) error {
		return t.cluster(cluster, t.groupOf[i], t.state(i), r.from, r.to)
	})
	if err != nil {
		return fmt.Errorf("series %d: %w", t.pin.ids[i], err)
	}
	return nil
}

// cluster takes in overlapping runs of one series, by a chunk's header where that is enough.
func (t *workerTask) cluster(cluster merge.Cluster, group int, state *seriesState, from, to int64) error {
	block, alone := cluster.Alone()
	if alone && t.out.needs.headerServes() && t.header(block, group, from, to) {
		t.explain.ChunksSkipped++
		return nil
	}
	err := t.spend() // chunk by chunk: a series may have very many
	if err != nil {
		return err
	}
	clean := false
	if alone {
		if _, clean = block.Header().Aggregate(); clean && t.out.needs.scaledServes() {
			if done, err := t.plainBlock(block, group, from, to); done || err != nil {
				return err
			}
		}
	}
	keeps := clean && state == nil && t.out.needs.values && block.Count() >= keptSamples
	if keeps && cap(t.values) != chunk.MaxSamples {
		t.values = t.q.db.valueBlocks.get()
	}
	t.times, t.values, err = cluster.Append(t.times[:0], t.values[:0], from, to)
	if err != nil {
		return errors.Join(ErrCorrupt, err)
	}
	blocks, decoded := cluster.Blocks()
	t.explain.ChunksRead += blocks
	t.explain.SamplesDecoded += decoded
	t.read += int64(max(decoded, len(t.times)))
	if t.out.needs.values {
		t.gathered += int64(len(t.values))
	}
	if keeps && t.keep(block, group) {
		return nil
	}
	t.out.addRun(group, state, t.times, t.values, clean)
	return nil
}

// header takes in a block by its header's aggregates, if it lies within one bucket.
func (t *workerTask) header(block chunk.Block, group int, from, to int64) bool {
	if block.MinTime() < from || block.MaxTime() >= to {
		return false
	}
	a, exact := block.Header().Aggregate()
	if !exact {
		return false
	}
	bucket := t.out.bucketOf(block.MinTime())
	if block.MaxTime() >= t.out.edges[bucket+1] {
		return false
	}
	t.out.partial(group, bucket).addHeader(a, block.MinTime(), block.MaxTime())
	return true
}

// spend accounts for what was read and is held since the last time. It stops a request that is over its budget,
// that nobody waits for any more, or whose percentiles would gather too many values.
func (t *workerTask) spend() error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	gathered := int64(0)
	if t.gathered > 0 {
		gathered = t.q.gathered.Add(t.gathered)
		t.valueBytes += t.gathered * sampleBytes
		t.gathered = 0
	}
	held := t.out.bytes + t.valueBytes + int64(t.bytes())
	err := t.q.budget.spend(t.read, held-t.held)
	t.read, t.held = 0, held
	if gathered > int64(t.q.db.opts.MaxExactSamples) {
		return errTooManyValues
	}
	return err
}
