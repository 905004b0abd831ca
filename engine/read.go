package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/invariants"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
)

// headRank is above the rank of every chunk, which is its seq.
const headRank = math.MaxUint64 - 16

// pinGroup is how many series a read pins at once, which bounds its memory.
const pinGroup = 4096

// pin is a view of some series that flushes, writes and maintenance don't change. What the head holds and
// what is deleted is taken first, the snapshot of the chunk store second: what a flush moves in between is
// then seen twice, with equal values, and never not at all.
type pin struct {
	found
	views      [][]head.View // by series
	tombstones []tombstone   // that touch the range
	snapshot   *pebble.Snapshot
	nameID     uint64
	stored     stored
	inHead     map[model.Partition]bool // days of which the head has samples
	partitions []model.Partition        // raw ones that hold anything of [from, to), stored or in the head
}

// pin takes a view of the series over [from, to). The caller closes it.
func (db *DB) pin(f found, from, to int64) *pin {
	p := &pin{found: f, views: make([][]head.View, len(f.ids))}
	p.tombstones = touching(db.tombstones.all(), from, to)
	inHead := make(map[model.Partition]bool)
	for i, id := range f.ids {
		p.views[i] = db.head.Views(nil, id)
		for j := range p.views[i] {
			view := &p.views[i][j]
			view.SortLate()
			if invariants.Enabled {
				checkView(id, *view)
			}
			notePartitions(inHead, *view, from, to)
		}
	}
	p.inHead = inHead
	p.partitions = db.partitionsIn(model.TierRaw, from, to)
	for partition := range inHead {
		if _, stored := slices.BinarySearch(p.partitions, partition); !stored {
			p.partitions = append(p.partitions, partition)
		}
	}
	slices.Sort(p.partitions)
	p.partitions = slices.Compact(p.partitions)
	// The number of the name, too, is looked up only now: a flush may have given it since.
	db.store.mu.RLock()
	p.nameID, p.stored.named = db.store.names[f.name]
	db.store.mu.RUnlock()
	p.snapshot = db.chunks.NewSnapshot()
	return p
}

func (p *pin) close() error { return p.snapshot.Close() }

// floor returns the time before which raw samples of series number i are hidden by retention.
func (f *found) floor(i int) int64 {
	if len(f.classes) == 0 {
		return f.floors[0].tiers[model.TierRaw]
	}
	return f.floors[f.classes[i]].tiers[model.TierRaw]
}

// notePartitions adds the partitions of [from, to) in which a view has samples.
func notePartitions(partitions map[model.Partition]bool, view head.View, from, to int64) {
	last := model.Partition(-1)
	note := func(time int64) {
		if partition := model.TierRaw.PartitionOf(time); partition != last && time >= from && time < to {
			partitions[partition] = true
			last = partition
		}
	}
	for _, block := range view.Blocks {
		note(max(block.MinTime(), min(from, block.MaxTime())))
		note(min(block.MaxTime(), max(to-1, block.MinTime())))
	}
	for _, sample := range view.Tail {
		note(sample.Time)
	}
	for _, sample := range view.Late {
		note(sample.Time)
	}
}

// partitionReader reads the raw samples of a pin's series in one partition.
type partitionReader struct {
	pin       *pin
	partition model.Partition
	it        *pebble.Iterator
	from, to  int64 // the partition's part of the range

	runs    merge.Runs
	key     []byte // prefix of a series' chunks
	values  []byte // copies of chunks: an iterator's value is gone with the next step
	skipped int    // chunks outside the range
}

// newPartitionReader opens a reader over that part of [from, to) which is in the partition.
func newPartitionReader(p *pin, partition model.Partition, from, to int64) (*partitionReader, error) {
	begin, end := model.TierRaw.Bounds(partition)
	r := &partitionReader{pin: p, partition: partition, from: max(from, begin), to: min(to, end)}
	if !p.stored.named {
		return r, nil
	}
	lower, upper := keys.MetricRange(model.TierRaw, partition, p.nameID)
	it, err := p.snapshot.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("read chunks: %w", err)
	}
	r.it = it
	return r, nil
}

func (r *partitionReader) close() error {
	if r.it == nil {
		return nil
	}
	return r.it.Close()
}

// load gathers the runs of series number i of the pin, of which no smaller number may be loaded later.
func (r *partitionReader) load(i int) error {
	r.runs.Reset()
	r.values = r.values[:0]
	if r.it != nil {
		if err := r.loadChunks(r.pin.ids[i]); err != nil {
			return fmt.Errorf("series %d: %w", r.pin.ids[i], err)
		}
	}
	for age, view := range r.pin.views[i] {
		addView(&r.runs, view, headRank+2*uint64(age), r.from, r.to, r.hidden(r.pin.ids[i], view.Seq))
	}
	return nil
}

// hidden returns what deletes hide of a series as it was at seq.
func (r *partitionReader) hidden(id model.SeriesID, seq uint64) []model.Span {
	if len(r.pin.tombstones) == 0 {
		return nil
	}
	return hides(r.pin.tombstones, id, seq)
}

// addView adds what the head holds of [from, to) under two ranks, rank and rank+1. The view's late samples
// are sorted.
func addView(runs *merge.Runs, view head.View, rank uint64, from, to int64, hidden []model.Span) {
	for _, block := range view.Blocks {
		if block.MaxTime() >= from && block.MinTime() < to {
			runs.AddBlock(block, rank, hidden)
		}
	}
	runs.AddSamples(within(view.Tail, from, to), rank, hidden)
	runs.AddSamples(within(view.Late, from, to), rank+1, hidden)
}

// within returns the part of sorted samples that lies in [from, to).
func within(samples []model.Sample, from, to int64) []model.Sample {
	byTime := func(s model.Sample, at int64) int { return cmp.Compare(s.Time, at) }
	begin, _ := slices.BinarySearchFunc(samples, from, byTime)
	end, _ := slices.BinarySearchFunc(samples, to, byTime)
	return samples[begin:max(begin, end)]
}

// loadChunks adds the chunks of a series that overlap the range. The iterator mostly moves forward and often
// stands at the series already.
func (r *partitionReader) loadChunks(id model.SeriesID) error {
	r.key = keys.AppendSeriesPrefix(r.key[:0], model.TierRaw, r.partition, r.pin.nameID, id)
	if !r.it.Valid() || bytes.Compare(r.it.Key(), r.key) < 0 {
		r.it.SeekGE(r.key)
	}
	for r.it.Valid() {
		more, err := r.chunkAt(r.key)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		r.it.Next()
	}
	return r.it.Error()
}

// chunkAt adds the chunk under the iterator. It reports whether the series may have more in the range.
func (r *partitionReader) chunkAt(prefix []byte) (more bool, err error) {
	if !bytes.HasPrefix(r.it.Key(), prefix) {
		return false, nil
	}
	key, err := keys.ParseChunk(r.it.Key())
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if key.MinTime >= r.to {
		r.skipped++
		return false, nil
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		return false, err
	}
	header, err := chunk.ReadHeader(value)
	if err == nil && header.MaxTime < r.from {
		r.skipped++
		return true, nil
	}
	start := len(r.values)
	r.values = append(r.values, value...)
	block, err := chunk.Open(r.it.Key(), r.values[start:len(r.values):len(r.values)])
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	r.runs.AddBlock(block, key.Seq, r.hidden(key.Series, key.Seq))
	return true, nil
}
