package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/model"
)

// lookback is how far before the range rate and increase search for a series' last sample.
const lookback = int64(24 * time.Hour)

// Aggregate computes functions of the samples of each bucket, and each group of series. It stops with
// the context's error when that ends.
func (db *DB) Aggregate(ctx context.Context, r AggregateRequest) (*AggregateResult, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	if err := checkAggregate(&r); err != nil {
		return nil, err
	}
	found, err := db.find(ctx, r.Selection)
	if err != nil {
		return nil, err
	}
	result := &AggregateResult{SeriesCount: len(found.ids)}
	if len(found.ids) == 0 {
		return result, nil
	}
	if result.Unit, err = db.unitOf(found.ids); err != nil {
		return nil, err
	}
	groups, groupOf, err := db.group(&r, found.ids)
	if err != nil {
		return nil, err
	}
	if points := len(groups) * (len(r.Edges) - 1); points > db.opts.MaxResultPoints {
		return nil, &LimitError{Limit: "max_result_points", Max: int64(db.opts.MaxResultPoints),
			Advice: fmt.Sprintf("%d groups of %d buckets were asked for: use a coarser granularity, a shorter range or fewer groups",
				len(groups), len(r.Edges)-1)}
	}
	total := newAccumulator(&r, len(groups))
	q := &aggregation{db: db, request: &r, groupOf: groupOf}
	for begin := 0; begin < len(found.ids); begin += pinGroup {
		end := min(begin+pinGroup, len(found.ids))
		if err := q.pinned(ctx, found, begin, end, total); err != nil {
			return nil, err
		}
	}
	result.Groups = finish(&r, groups, total)
	return result, nil
}

func checkAggregate(r *AggregateRequest) error {
	switch {
	case len(r.Edges) < 2:
		return errors.New("an aggregation needs at least one bucket")
	case !slices.IsSorted(r.Edges):
		return errors.New("the edges of an aggregation must ascend")
	case len(r.Functions) == 0:
		return errors.New("an aggregation needs a function")
	}
	r.From = max(r.From, r.Edges[0], model.MinTime)
	r.To = min(r.To, r.Edges[len(r.Edges)-1], model.MaxTime+1)
	return nil
}

// unitOf returns the unit of the first series that has one.
func (db *DB) unitOf(ids []model.SeriesID) (string, error) {
	for _, id := range ids[:min(len(ids), 16)] {
		series, err := db.describe([]model.SeriesID{id})
		if err != nil {
			return "", err
		}
		if series[0].Unit != "" {
			return series[0].Unit, nil
		}
	}
	return "", nil
}

// group sorts series into groups. It returns the groups' tags in the order of the answer and, for each
// series, the number of its group.
func (db *DB) group(r *AggregateRequest, ids []model.SeriesID) ([]model.Tags, []int, error) {
	groupOf := make([]int, len(ids))
	if !r.GroupAll && len(r.GroupBy) == 0 {
		return []model.Tags{nil}, groupOf, nil
	}
	series, err := db.describe(ids)
	if err != nil {
		return nil, nil, err
	}
	numbers := make(map[string]int)
	var groups []model.Tags
	for i, s := range series {
		tags := s.Tags
		if !r.GroupAll {
			tags = make(model.Tags, 0, len(r.GroupBy))
			for _, key := range slices.Compact(slices.Sorted(slices.Values(r.GroupBy))) {
				tags = append(tags, model.Tag{Key: key, Value: s.Tags.Get(key)})
			}
		}
		identity := string(model.AppendIdentity(nil, "", tags))
		number, known := numbers[identity]
		if !known {
			number = len(groups)
			numbers[identity] = number
			groups = append(groups, tags)
		}
		groupOf[i] = number
	}
	sortGroups(groups, groupOf)
	return groups, groupOf, nil
}

// sortGroups orders groups by their tags' values, so that answers don't depend on ids.
func sortGroups(groups []model.Tags, groupOf []int) {
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return slices.CompareFunc(groups[a], groups[b], func(x, y model.Tag) int {
			return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Value, y.Value))
		})
	})
	place := make([]int, len(groups))
	sorted := make([]model.Tags, len(groups))
	for to, from := range order {
		place[from] = to
		sorted[to] = groups[from]
	}
	copy(groups, sorted)
	for i := range groupOf {
		groupOf[i] = place[groupOf[i]]
	}
}

// aggregation is one Aggregate under way.
type aggregation struct {
	db       *DB
	request  *AggregateRequest
	groupOf  []int        // by series
	gathered atomic.Int64 // values kept for percentiles
}

// pinned aggregates series [begin, end) of what was found, spread over workers, into total.
func (q *aggregation) pinned(ctx context.Context, all found, begin, end int, total *accumulator) error {
	from := q.request.From
	if total.needs.lookback {
		from = max(from-lookback, model.MinTime)
	}
	part := all
	part.ids = all.ids[begin:end]
	p := q.db.pin(part, from, q.request.To)
	defer func() { _ = p.close() }()
	// Each worker may come to hold every bucket of every group, so many buckets mean few workers.
	points := len(total.groups) * (len(q.request.Edges) - 1)
	workers := max(1, min(q.db.opts.Workers, len(part.ids), q.db.opts.MaxResultPoints/points))
	accumulators := make([]*accumulator, workers)
	errs := make([]error, workers)
	var running sync.WaitGroup
	for w := range workers {
		accumulators[w] = newAccumulator(q.request, len(total.groups))
		running.Go(func() {
			task := workerTask{q: q, pin: p, groupOf: q.groupOf[begin:end], out: accumulators[w]}
			errs[w] = task.run(ctx, from, len(part.ids)*w/workers, len(part.ids)*(w+1)/workers)
		})
	}
	running.Wait()
	for w := range workers {
		total.merge(accumulators[w])
	}
	return errors.Join(errs...)
}

// finish computes the functions of the buckets that have samples.
func finish(r *AggregateRequest, groups []model.Tags, total *accumulator) []Group {
	var out []Group
	for number, tags := range groups {
		g := Group{Tags: tags}
		for page, partials := range total.groups[number] {
			for i := range partials {
				p := &partials[i]
				if p.count == 0 {
					continue
				}
				g.Buckets = append(g.Buckets, page*bucketPage+i)
				for _, f := range r.Functions {
					g.Values = append(g.Values, p.value(f))
				}
			}
		}
		if len(g.Buckets) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// workerTask aggregates some series of a pin.
type workerTask struct {
	q       *aggregation
	pin     *pin
	groupOf []int // by series of the pin
	out     *accumulator

	states   []seriesState // by series of the task, if rate, increase or delta need them
	times    []int64
	values   []float64
	gathered int64 // of out, already in q.gathered
}

// run reads series [begin, end) of the pin, partition by partition, so that the samples of each series
// come in time order.
func (t *workerTask) run(ctx context.Context, from int64, begin, end int) error {
	if t.out.needs.changes {
		t.states = make([]seriesState, end-begin)
		for i := range t.states {
			t.states[i].bucket = -1
		}
	}
	for _, partition := range t.pin.partitions {
		if err := t.partition(ctx, partition, from, begin, end); err != nil {
			return err
		}
	}
	for i := range t.states {
		t.out.fold(t.groupOf[begin+i], &t.states[i])
	}
	return nil
}

func (t *workerTask) partition(ctx context.Context, partition model.Partition, from int64, begin, end int) (err error) {
	r, err := newPartitionReader(t.pin, partition, from, t.q.request.To)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for i := begin; i < end; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.load(i); err != nil {
			return err
		}
		var state *seriesState
		if t.states != nil {
			state = &t.states[i-begin]
		}
		err := r.merger.clusters(r.from, r.to, func(cluster []run) error {
			return t.cluster(cluster, t.groupOf[i], state, r.from, r.to)
		})
		if err != nil {
			return fmt.Errorf("series %d: %w", t.pin.ids[i], err)
		}
		if err := t.budget(); err != nil {
			return err
		}
	}
	return nil
}

// cluster takes in overlapping runs of one series, by a chunk's header where that is enough.
func (t *workerTask) cluster(cluster []run, group int, state *seriesState, from, to int64) error {
	if only := &cluster[0]; len(cluster) == 1 && only.stored && t.out.needs.headerServes() && only.min >= from && only.max < to {
		if a, exact := only.block.Header().Aggregate(); exact {
			if bucket := t.out.bucketOf(only.min); only.max < t.out.edges[bucket+1] {
				t.out.partial(group, bucket).addHeader(a, only.min, only.max)
				return nil
			}
		}
	}
	var err error
	t.times, t.values, err = mergeCluster(cluster, t.times[:0], t.values[:0], from, to)
	if err != nil {
		return errors.Join(ErrCorrupt, err)
	}
	if t.out.needs.values {
		t.gathered += int64(len(t.values))
	}
	t.out.addRun(group, state, t.times, t.values)
	return nil
}

// budget stops a request whose percentiles would gather too many values.
func (t *workerTask) budget() error {
	if t.gathered == 0 {
		return nil
	}
	gathered := t.q.gathered.Add(t.gathered)
	t.gathered = 0
	if gathered > int64(t.q.db.opts.MaxExactSamples) {
		return &LimitError{Limit: "max_exact_samples", Max: int64(t.q.db.opts.MaxExactSamples),
			Advice: "exact percentiles need all samples in memory: use a shorter range, fewer series or another aggregation"}
	}
	return nil
}
