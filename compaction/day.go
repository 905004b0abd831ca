package compaction

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
)

// DayOptions says what a Day is to see.
type DayOptions struct {
	Partition model.Partition
	NameID    uint64 // of the one metric that matters; 0: all do

	// Newest is the seq of the last flush that came to its end. Chunks above it are left alone: the flush that
	// wrote them will be repeated, under the same seq, and may cut them in other places.
	Newest uint64

	// Hidden returns what deletes hide of a series as it was at seq.
	Hidden func(id model.SeriesID, seq uint64) []model.Span
}

// Day walks through a raw partition, series by series, in the order of their keys.
type Day struct {
	opts DayOptions
	it   *pebble.Iterator
	err  error

	id     model.SeriesID
	nameID uint64
	chunks []storedChunk // of the series
	bytes  []byte        // their keys and values

	runs   merge.Runs
	loaded bool
	times  []int64
	values []float64
	pieces []piece
	key    []byte
	value  []byte
}

// storedChunk is a chunk under its key.
type storedChunk struct {
	key      []byte
	seq      uint64
	block    chunk.Block
	bytes    int // of key and value
	isHidden bool
}

// piece is a group of overlapping chunks and where its samples are in the columns.
type piece struct {
	first, last int64 // of the samples, hidden ones included
	from, to    int   // in the columns
	isFull      bool  // one chunk that could not be larger
}

// OpenDay begins a walk. The caller closes it.
func OpenDay(r pebble.Reader, opts DayOptions) (*Day, error) {
	lower, upper := keys.PartitionRange(keys.PrefixChunk, model.TierRaw, opts.Partition)
	if opts.NameID != 0 {
		lower, upper = keys.MetricRange(model.TierRaw, opts.Partition, opts.NameID)
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("read the chunks of partition %d: %w", opts.Partition, err)
	}
	it.First()
	return &Day{opts: opts, it: it}, nil
}

// Close ends the walk and returns what ended it early, if anything did.
func (d *Day) Close() error { return errors.Join(d.err, d.it.Close()) }

// Series returns the current series and the number of its metric's name.
func (d *Day) Series() (id model.SeriesID, nameID uint64) { return d.id, d.nameID }

// Next moves to the next series. It returns false at the end and at a fault, which Close reports.
func (d *Day) Next() bool {
	d.chunks, d.bytes, d.loaded = d.chunks[:0], d.bytes[:0], false
	d.runs.Reset()
	prefixLength := len(keys.AppendSeriesPrefix(nil, 0, 0, 0, 0))
	for ; d.err == nil && d.it.Valid(); d.it.Next() {
		if len(d.chunks) > 0 && !bytes.HasPrefix(d.it.Key(), d.chunks[0].key[:prefixLength]) {
			break
		}
		d.err = d.take()
	}
	if d.err == nil {
		d.err = d.it.Error()
	}
	return d.err == nil && len(d.chunks) > 0
}

// take adds the chunk under the iterator to the series.
func (d *Day) take() error {
	key, err := keys.ParseChunk(d.it.Key())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if key.Seq > d.opts.Newest {
		return nil
	}
	value, err := d.it.ValueAndErr()
	if err != nil {
		return err
	}
	start := len(d.bytes)
	d.bytes = append(append(d.bytes, d.it.Key()...), value...)
	split := start + len(d.it.Key())
	c := storedChunk{key: d.bytes[start:split:split], seq: key.Seq, bytes: len(d.bytes) - start}
	if c.block, err = chunk.Open(c.key, d.bytes[split:len(d.bytes):len(d.bytes)]); err != nil {
		return fmt.Errorf("%w: series %d in partition %d: %w", ErrCorrupt, key.Series, key.Partition, err)
	}
	d.id, d.nameID = key.Series, key.NameID
	hidden := d.opts.Hidden(key.Series, key.Seq)
	for _, span := range hidden {
		c.isHidden = c.isHidden || span.Overlaps(c.block.MinTime(), c.block.MaxTime()+1)
	}
	d.chunks = append(d.chunks, c)
	d.runs.AddBlock(c.block, key.Seq, hidden)
	return nil
}

// Stored returns what the chunks of the current series hold: samples, overwritten and hidden ones included, and
// bytes of keys and values.
func (d *Day) Stored() (samples, bytes int) {
	for i := range d.chunks {
		samples += d.chunks[i].block.Count()
		bytes += d.chunks[i].bytes
	}
	return samples, bytes
}

// Oldest returns the time of the current series' first sample: one that isn't hidden, if its samples were read.
func (d *Day) Oldest() int64 {
	if d.loaded && len(d.times) > 0 {
		return d.times[0]
	}
	oldest := int64(math.MaxInt64)
	for i := range d.chunks {
		oldest = min(oldest, d.chunks[i].block.MinTime())
	}
	return oldest
}

// Samples returns all samples of the current series that are not hidden. The slices are the Day's and hold
// until Next.
func (d *Day) Samples() (times []int64, values []float64, err error) {
	if !d.loaded {
		if err := d.load(); err != nil {
			return nil, nil, fmt.Errorf("%w: series %d in partition %d: %w", ErrCorrupt, d.id, d.opts.Partition, err)
		}
		d.loaded = true
	}
	return d.times, d.values, nil
}

func (d *Day) load() error {
	d.times, d.values, d.pieces = d.times[:0], d.values[:0], d.pieces[:0]
	begin, end := model.TierRaw.Bounds(d.opts.Partition)
	return d.runs.Clusters(begin, end, func(cluster merge.Cluster) error {
		p := piece{from: len(d.times)}
		p.first, p.last = cluster.Bounds()
		block, alone := cluster.Alone()
		p.isFull = alone && block.Count() == chunk.MaxSamples
		var err error
		d.times, d.values, err = cluster.Append(d.times, d.values, begin, end)
		p.to = len(d.times)
		d.pieces = append(d.pieces, p)
		return err
	})
}
