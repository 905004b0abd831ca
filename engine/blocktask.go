package engine

import (
	"errors"
	"slices"

	"github.com/flopynet/collector/internal/chunk"
)

// scaled takes in a block by the integers that its values are made of, if they are, which takes half as long as by
// the values. done is false if nothing was taken in.
func (t *workerTask) scaled(block chunk.Block, group int, from, to int64) (done bool, err error) {
	var scale chunk.Scale
	t.times, t.integers, scale, done, err = block.DecodeScaled(t.times[:0], t.integers[:0])
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	if !done {
		return false, nil
	}
	t.explain.ChunksRead++
	t.explain.SamplesDecoded += block.Count()
	t.read += int64(block.Count())
	begin, _ := slices.BinarySearch(t.times, from)
	end, _ := slices.BinarySearch(t.times, to)
	if begin < end {
		t.out.addScaled(group, t.times[begin:end], t.integers[begin:end], scale)
	}
	return true, nil
}

// keptSamples is from how many samples on a chunk's values are worth the memory for the largest chunk, in which
// they are kept.
const keptSamples = chunk.MaxSamples / 2

// keep takes in the values that a block without NaN was decoded to, by giving up their memory, if they are enough
// and all of one bucket.
func (t *workerTask) keep(block chunk.Block, group int) bool {
	n := len(t.times)
	if n < keptSamples {
		return false
	}
	bucket := t.out.bucketOf(t.times[0])
	if bucket < 0 || t.times[n-1] >= t.out.edges[bucket+1] {
		return false
	}
	a, _ := block.Header().Aggregate() // of all samples; some may be outside the range
	t.out.partial(group, bucket).take(t.out.needs, t.times, t.values, a.Min, a.Max)
	t.values = nil
	return true
}
