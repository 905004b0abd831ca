package engine

import (
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/quantile"
)

// distribution keeps the values of a bucket, for percentiles. Those of long runs stay where they were decoded;
// those of short ones are gathered. None is NaN.
type distribution struct {
	pieces    [][]float64
	tail      []float64
	low, high float64 // of all values
	count     int

	quantiles []float64 // what has come of it: by the request's functions
}

// maxTail is from how many values on a tail is a piece: growing it further would copy much.
const maxTail = 1 << 16

// valueBlocks keep the memory that chunks are decoded to, if their values are kept. So the percentiles of
// millions of samples don't leave that much behind each time, nor wait for it to be cleared.
type valueBlocks struct{ pool sync.Pool }

// get returns an empty slice with room for the largest chunk.
func (b *valueBlocks) get() []float64 {
	if block, ok := b.pool.Get().(*[chunk.MaxSamples]float64); ok {
		return block[:0]
	}
	return make([]float64, 0, chunk.MaxSamples)
}

// put takes back what get returned, and leaves anything else to the garbage collector.
func (b *valueBlocks) put(block []float64) {
	if cap(block) == chunk.MaxSamples {
		b.pool.Put((*[chunk.MaxSamples]float64)(block[:chunk.MaxSamples]))
	}
}

// bound widens the bounds by those of further values.
func (d *distribution) bound(values int, low, high float64) {
	if d.count == 0 {
		d.low, d.high = low, high
	}
	d.low, d.high = min(d.low, low), max(d.high, high)
	d.count += values
}

// add copies values, at least one of them.
func (d *distribution) add(values []float64) {
	low, high := extremesOf(values)
	d.bound(len(values), low, high)
	d.tail = append(d.tail, values...)
	if len(d.tail) >= maxTail {
		d.pieces, d.tail = append(d.pieces, d.tail), nil
	}
}

// take keeps values, whose memory the caller gives up. No value is outside the bounds.
func (d *distribution) take(values []float64, low, high float64) {
	d.bound(len(values), low, high)
	d.pieces = append(d.pieces, values)
}

// merge takes in the values of other, which is not used any more.
func (d *distribution) merge(other *distribution) {
	d.bound(other.count, other.low, other.high)
	d.pieces = append(d.pieces, other.pieces...)
	if len(other.tail) > 0 {
		d.pieces = append(d.pieces, other.tail)
	}
}

// compute finds the percentiles among the functions, and gives back the values' memory.
func (d *distribution) compute(functions []Function, workers int, blocks *valueBlocks) {
	var qs []float64
	for _, f := range functions {
		if f.Kind == Quantile {
			qs = append(qs, f.Quantile)
		}
	}
	if len(d.tail) > 0 {
		d.pieces = append(d.pieces, d.tail)
	}
	found := quantile.Of(quantile.Values{Pieces: d.pieces, Low: d.low, High: d.high}, qs, workers)
	d.quantiles = make([]float64, len(functions))
	for i, f := range functions {
		if f.Kind == Quantile {
			d.quantiles[i], found = found[0], found[1:]
		}
	}
	for _, piece := range d.pieces {
		blocks.put(piece)
	}
	d.pieces, d.tail = nil, nil
}

// manyValues is how many values are worth finding their percentiles side by side.
const manyValues = 1 << 15

// percentiles computes those of all buckets: of several side by side if they are many, else each by all workers.
func (q *aggregation) percentiles(total *accumulator) {
	var all []*distribution
	for _, pages := range total.groups {
		for _, page := range pages {
			for i := range page {
				if d := page[i].values; d != nil {
					all = append(all, d)
				}
			}
		}
	}
	workers, functions, blocks := q.db.tuned.Load().Workers, q.request.Functions, &q.db.valueBlocks
	if len(all) < 2*workers || q.gathered.Load() < manyValues {
		for _, d := range all {
			d.compute(functions, workers, blocks)
		}
		return
	}
	var next atomic.Int64
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				all[i].compute(functions, 1, blocks)
			}
		})
	}
	running.Wait()
}
