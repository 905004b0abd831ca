package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// stored is what a pin's snapshot says of partitions and changes.
type stored struct {
	named   bool // the metric has a number, so there may be chunks
	raw     map[model.Partition]partitionMeta
	tiers   [model.Tiers]map[model.Partition]bool
	changes []changedHour // by hour
}

// changedHour names series whose points of an hour no longer hold.
type changedHour struct {
	hour   int64 // its start
	series *index.Set
}

// plan is how the series of a class are read.
type plan struct {
	steps []step
	raw   map[model.Partition]partitionMeta // where they have raw samples
}

// plans returns the plan for each class of the pin's series.
func (q *aggregation) plans(p *pin) ([]plan, error) {
	if err := p.readStored(q.from(), q.request.To); err != nil {
		return nil, err
	}
	plans := make([]plan, len(p.floors))
	for class, floors := range p.floors {
		raw := p.readable(floors)
		tiers := tierPlan{from: q.from(), to: q.request.To, floors: floors, tiers: p.stored.tiers, edges: q.edges(), raw: raw}
		tiers.serves[model.Tier5m] = !q.needs.values && !q.needs.sketch && !q.needs.moments
		tiers.serves[model.Tier1h] = !q.needs.values
		plans[class] = plan{steps: tiers.steps(), raw: raw}
	}
	return plans, nil
}

// edges returns the buckets' edges, and the ends of the range where they cut a bucket.
func (q *aggregation) edges() []int64 {
	r := q.request
	if r.From == r.Edges[0] && r.To == r.Edges[len(r.Edges)-1] {
		return r.Edges
	}
	edges := append(slices.Clone(r.Edges), r.From, r.To)
	slices.Sort(edges)
	return edges
}

// readable returns the raw partitions that series with these floors may have samples in: not those from
// which they were dropped.
func (p *pin) readable(floors floors) map[model.Partition]partitionMeta {
	raw := make(map[model.Partition]partitionMeta, len(p.partitions))
	for _, day := range p.partitions {
		if _, end := model.TierRaw.Bounds(day); end > floors.through {
			raw[day] = p.stored.raw[day]
		}
	}
	return raw
}

// readStored reads from the snapshot which partitions there are in [from, to) and what has changed in them.
func (p *pin) readStored(from, to int64) error {
	p.stored.raw = make(map[model.Partition]partitionMeta)
	p.stored.changes = nil
	rolled := false
	for tier := range model.Tier(model.Tiers) {
		p.stored.tiers[tier] = make(map[model.Partition]bool)
		if from >= to {
			continue
		}
		err := p.eachPartition(tier, from, to, func(number model.Partition, meta partitionMeta) {
			p.stored.tiers[tier][number] = true
			if tier == model.TierRaw {
				p.stored.raw[number] = meta
				rolled = rolled || meta.RolledThrough > 0
			}
		})
		if err != nil {
			return fmt.Errorf("read the partitions of tier %s: %w", tier, err)
		}
	}
	if !rolled {
		return nil
	}
	return index.EachDirty(p.snapshot, model.TierRaw, model.TierRaw.PartitionOf(from), model.TierRaw.PartitionOf(to-1),
		func(d keys.Dirty, set *index.Set) error {
			p.stored.changes = append(p.stored.changes, changedHour{d.Hour * hour, set})
			return nil
		})
}

func (p *pin) eachPartition(tier model.Tier, from, to int64, fn func(model.Partition, partitionMeta)) error {
	it, err := p.snapshot.NewIter(&pebble.IterOptions{
		LowerBound: keys.AppendPartition(nil, tier, tier.PartitionOf(from)),
		UpperBound: keys.AppendPartition(nil, tier, tier.PartitionOf(to-1)+1),
	})
	if err != nil {
		return err
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		var number model.Partition
		var value []byte
		var meta partitionMeta
		if _, number, err = keys.ParsePartition(it.Key()); err == nil {
			value, err = it.ValueAndErr()
		}
		if err == nil {
			meta, err = decodePartitionMeta(value)
		}
		if err == nil {
			fn(number, meta)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// tierReader reads the points of a pin's series for one step.
type tierReader struct {
	pin  *pin
	step step
	want rollup.Want

	it, sketches *pebble.Iterator // sketches: nil unless they are needed
	columns      rollup.Columns
	hours        rollup.Sketches
	key          []byte
	chunks       int // read for the series loaded
}

func newTierReader(p *pin, s step, n needs) (_ *tierReader, err error) {
	r := &tierReader{pin: p, step: s, want: n.columns}
	if !p.stored.named {
		return r, nil
	}
	lower, upper := keys.MetricRange(s.tier, s.partition, p.nameID)
	if r.it, err = p.snapshot.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); err != nil {
		return nil, fmt.Errorf("read points: %w", err)
	}
	if n.sketch {
		lower, upper := keys.SketchRange(s.tier, s.partition, p.nameID)
		if r.sketches, err = p.snapshot.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); err != nil {
			return nil, errors.Join(fmt.Errorf("read sketches: %w", err), r.it.Close())
		}
	}
	return r, nil
}

func (r *tierReader) close() error {
	var err error
	if r.it != nil {
		err = r.it.Close()
	}
	if r.sketches != nil {
		err = errors.Join(err, r.sketches.Close())
	}
	return err
}

// load reads the points, and sketches, of series number i that begin in the step.
func (r *tierReader) load(i int) error {
	r.columns.Reset()
	r.hours.Reset()
	r.chunks = 0
	id := r.pin.ids[i]
	if r.it == nil {
		return nil
	}
	r.key = keys.AppendSeriesPrefix(r.key[:0], r.step.tier, r.step.partition, r.pin.nameID, id)
	if err := r.each(r.it, r.readPoints); err != nil {
		return fmt.Errorf("series %d: points: %w", id, err)
	}
	if r.sketches != nil {
		r.key[0] = keys.PrefixSketch
		if err := r.each(r.sketches, r.readSketches); err != nil {
			return fmt.Errorf("series %d: sketches: %w", id, err)
		}
	}
	return nil
}

// each calls fn for the keys that begin with r.key, until it says that there is no more to be had.
func (r *tierReader) each(it *pebble.Iterator, fn func(key, value []byte) (more bool, err error)) error {
	if !it.Valid() || bytes.Compare(it.Key(), r.key) < 0 {
		it.SeekGE(r.key)
	}
	for ; it.Valid() && bytes.HasPrefix(it.Key(), r.key); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		r.chunks++
		if more, err := fn(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

func (r *tierReader) readPoints(key, value []byte) (more bool, err error) {
	c, err := rollup.Open(key, value)
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	if c.Last() < r.step.from || c.First() >= r.step.to {
		return c.First() < r.step.to, nil
	}
	if err := c.Decode(&r.columns, r.want); err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	return true, nil
}

func (r *tierReader) readSketches(key, value []byte) (more bool, err error) {
	c, err := rollup.OpenSketches(key, value)
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	if c.Last() < r.step.from || c.First() >= r.step.to {
		return c.First() < r.step.to, nil
	}
	c.AppendTo(&r.hours)
	return true, nil
}

// changed returns the spans of a step, in time order and of whole hours, in which the points of series
// number i don't tell the truth, beside those noted already: it has samples there that are not flushed, or
// changes not rolled up again.
func (t *workerTask) changed(i int, s step) []model.Span {
	id := t.pin.ids[i]
	for _, change := range t.pin.stored.changes {
		if change.hour < s.to && change.hour+hour > s.from && change.series.Contains(id) {
			t.noteSpan(s, change.hour, change.hour+1)
		}
	}
	for _, deleted := range t.pin.tombstones {
		if deleted.series.Contains(id) {
			t.noteSpan(s, deleted.From, deleted.To)
		}
	}
	for _, view := range t.pin.views[i] {
		for _, block := range view.Blocks {
			t.noteSamples(s, block.MinTime(), block.MaxTime()+1)
		}
		for _, samples := range [][]model.Sample{view.Tail, view.Late} {
			for _, sample := range samples {
				t.noteSamples(s, sample.Time, sample.Time+1)
			}
		}
	}
	return joinSpans(t.spans)
}

// noteBreaks notes the points that rate, increase and delta can't be had from: there the samples have to
// tell. Where these are gone, the answer is not exact.
func (t *workerTask) noteBreaks(s step, c *rollup.Columns) {
	lo, hi := pointsIn(c.Starts, s.from, s.to)
	for i := lo; i < hi; i++ {
		if followable(c, i) {
			continue
		}
		if _, stored := t.raw[model.TierRaw.PartitionOf(c.Starts[i])]; stored {
			t.noteSpan(s, c.Starts[i], c.Starts[i]+s.tier.Width())
		} else {
			t.q.inexact.Store(true)
		}
	}
}

// noteSamples is noteSpan for what the head holds, which is nothing where raw samples have expired.
func (t *workerTask) noteSamples(s step, from, to int64) {
	if _, known := t.raw[model.TierRaw.PartitionOf(from)]; known {
		t.noteSpan(s, from, to)
	}
}

// noteSpan adds the hours that [from, to) touches within the step.
func (t *workerTask) noteSpan(s step, from, to int64) {
	from, to = max(from-from%hour, s.from), min(to+(hour-to%hour)%hour, s.to)
	if from >= to {
		return
	}
	if n := len(t.spans); n > 0 && t.spans[n-1].From <= from && from <= t.spans[n-1].To {
		t.spans[n-1].To = max(t.spans[n-1].To, to)
		return
	}
	t.spans = append(t.spans, model.Span{From: from, To: to})
}

// joinSpans sorts spans and joins those that touch.
func joinSpans(spans []model.Span) []model.Span {
	slices.SortFunc(spans, func(a, b model.Span) int { return cmp.Compare(a.From, b.From) })
	joined := spans[:0]
	for _, span := range spans {
		if n := len(joined); n > 0 && span.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, span.To)
			continue
		}
		joined = append(joined, span)
	}
	return joined
}

// points takes in the points of a series for the reader's step, and raw samples where points don't hold.
func (t *workerTask) points(r *tierReader, i int) error {
	if err := r.load(i); err != nil {
		return err
	}
	t.explain.ChunksRead += r.chunks
	s := r.step
	t.spans = t.spans[:0]
	if t.states != nil {
		t.noteBreaks(s, &r.columns)
	}
	cursor := s.from
	for _, span := range t.changed(i, s) {
		if err := t.addPoints(r, i, cursor, span.From); err != nil {
			return err
		}
		if err := t.rawSpan(i, span); err != nil {
			return err
		}
		cursor = span.To
	}
	return t.addPoints(r, i, cursor, s.to)
}

// addPoints takes in the loaded points of [from, to).
func (t *workerTask) addPoints(r *tierReader, i int, from, to int64) error {
	lo, hi := pointsIn(r.columns.Starts, from, to)
	t.explain.Points[r.step.tier] += hi - lo
	t.out.addPoints(t.groupOf[i], t.state(i), r.step.tier, &r.columns, lo, hi)
	if !t.out.needs.sketch {
		return nil
	}
	lo, hi = pointsIn(r.hours.Starts, from, to)
	for n := lo; n < hi; n++ {
		bucket, _ := t.out.bucketOfPoint(r.hours.Starts[n], hour)
		if bucket < 0 {
			continue
		}
		if _, err := t.out.partial(t.groupOf[i], bucket).sketched().MergeBinary(r.hours.At(n)); err != nil {
			return fmt.Errorf("series %d: %w", t.pin.ids[i], errors.Join(ErrCorrupt, err))
		}
	}
	return nil
}

// rawSpan takes in the raw samples of a series in a span.
func (t *workerTask) rawSpan(i int, span model.Span) error {
	for _, day := range daysOf(span.From, span.To) {
		if _, found := t.raw[day]; !found {
			continue
		}
		r, err := newPartitionReader(t.pin, day, max(span.From, t.q.from()), min(span.To, t.q.request.To))
		if err != nil {
			return err
		}
		if err := errors.Join(t.samples(r, i), r.close()); err != nil {
			return err
		}
	}
	return nil
}
