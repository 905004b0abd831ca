package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/invariants"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// headRank is above the rank of every chunk, which is its seq.
const headRank = math.MaxInt - 16

// pinGroup is how many series a read pins at once, which bounds its memory.
const pinGroup = 4096

// pin is a view of some series that flushes and writes don't change. What the head holds is taken
// first, the snapshot of the chunk store second: what a flush moves in between is then seen twice, with
// equal values, and never not at all.
type pin struct {
	found
	views      [][]head.View // by series
	snapshot   *pebble.Snapshot
	nameID     uint64
	stored     bool              // the metric has a nameID, so there may be chunks
	partitions []model.Partition // that hold anything of [from, to), stored or in the head
}

// pin takes a view of the series over [from, to). The caller closes it.
func (db *DB) pin(f found, from, to int64) *pin {
	p := &pin{found: f, views: make([][]head.View, len(f.ids))}
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
	p.partitions = db.partitionsIn(from, to)
	for partition := range inHead {
		if _, stored := slices.BinarySearch(p.partitions, partition); !stored {
			p.partitions = append(p.partitions, partition)
		}
	}
	slices.Sort(p.partitions)
	p.partitions = slices.Compact(p.partitions)
	// The number of the name, too, is looked up only now: a flush may have given it since.
	db.store.mu.RLock()
	p.nameID, p.stored = db.store.names[f.name]
	db.store.mu.RUnlock()
	p.snapshot = db.chunks.NewSnapshot()
	return p
}

func (p *pin) close() error { return p.snapshot.Close() }

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

// partitionReader reads the series of a pin in one partition, in ascending order of series.
type partitionReader struct {
	pin       *pin
	partition model.Partition
	it        *pebble.Iterator
	from, to  int64 // the partition's part of the range

	merger merger
	key    []byte // prefix of a series' chunks
	values []byte // copies of chunks: an iterator's value is gone with the next step
}

// newPartitionReader opens a reader over that part of [from, to) which is in the partition.
func newPartitionReader(p *pin, partition model.Partition, from, to int64) (*partitionReader, error) {
	begin, end := model.TierRaw.Bounds(partition)
	r := &partitionReader{pin: p, partition: partition, from: max(from, begin), to: min(to, end)}
	if !p.stored {
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

// load fills the merger with the runs of series number i of the pin.
func (r *partitionReader) load(i int) error {
	r.merger.reset()
	r.values = r.values[:0]
	if r.it != nil {
		if err := r.loadChunks(r.pin.ids[i]); err != nil {
			return fmt.Errorf("series %d: %w", r.pin.ids[i], err)
		}
	}
	for age, view := range r.pin.views[i] {
		r.merger.addView(view, headRank+2*age, r.from, r.to)
	}
	return nil
}

// loadChunks adds the chunks of a series that overlap the range. The iterator moves forward only; it
// often stands at the series already.
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
		return false, nil
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		return false, err
	}
	header, err := chunk.ReadHeader(value)
	if err == nil && header.MaxTime < r.from {
		return true, nil
	}
	start := len(r.values)
	r.values = append(r.values, value...)
	block, err := chunk.Open(r.it.Key(), r.values[start:len(r.values):len(r.values)])
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	r.merger.addBlock(block, int(key.Seq))
	return true, nil
}
