package engine

import (
	"errors"

	"github.com/flopynet/collector/internal/chunk"
)

// buffers are what a worker decodes into. They outlive it, since to clear so much memory takes longer than to decode
// into it.
type buffers struct {
	times  []int64
	values []float64
	scaled chunk.Scaled
	chunks []byte
}

// maxKeptBuffers is how many bytes of buffers are worth keeping.
const maxKeptBuffers = 1 << 20

func (b *buffers) bytes() int {
	return 8*(cap(b.times)+cap(b.values)+cap(b.scaled.Times)+cap(b.scaled.Integers)) + cap(b.chunks)
}

// takeBuffers returns buffers that giveBuffers was given, or none.
func (db *DB) takeBuffers() buffers {
	if b, ok := db.buffers.Get().(*buffers); ok {
		return *b
	}
	return buffers{}
}

func (db *DB) giveBuffers(b buffers) {
	if b.bytes() <= maxKeptBuffers {
		db.buffers.Put(&b)
	}
}

// plainBlock takes in a block without NaN for what a header could serve: by the integers that its values are made of, if
// they are, which takes half as long as by the values, or else without writing out its times, if they are regular. done
// is false if nothing was taken in.
func (t *workerTask) plainBlock(block chunk.Block, group int, from, to int64) (done bool, err error) {
	if done, err = block.DecodeScaled(&t.scaled, to); err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	if done {
		t.out.addScaled(group, &t.scaled, from, to)
	} else {
		var step int64
		if t.values, step, done, err = block.DecodeRegular(t.values[:0]); err != nil {
			return false, errors.Join(ErrCorrupt, err)
		}
		if !done {
			return false, nil
		}
		t.out.addRegular(group, block.Header(), step, t.values, from, to)
	}
	t.explain.ChunksRead++
	t.explain.SamplesDecoded += block.Count()
	t.read += int64(block.Count())
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
	t.values = t.q.db.valueBlocks.get()
	return true
}
