package rollup

import (
	"encoding/binary"
	"fmt"

	"github.com/flopynet/collector/internal/column"
	"github.com/flopynet/collector/model"
)

// bucketRange is how many buckets a chunk has and where they are.
type bucketRange struct {
	count       int
	first, last int64 // starts of buckets
	absent      int64 // buckets between them
}

// appendRange appends a range, as three uvarints: the count, less one; the first start, in widths; how
// many buckets are absent. Starts must be 1 to MaxPoints ascending multiples of width.
func appendRange(dst []byte, starts []int64, width int64) []byte {
	n := len(starts)
	dst = binary.AppendUvarint(dst, uint64(n-1))
	dst = binary.AppendUvarint(dst, uint64(starts[0]/width))
	return binary.AppendUvarint(dst, uint64(absent(starts, width)))
}

func absent(starts []int64, width int64) int64 {
	n := len(starts)
	return (starts[n-1]-starts[0])/width - int64(n-1)
}

// readRange is the inverse of appendRange and returns what is behind it.
func readRange(src []byte, width int64) (r bucketRange, rest []byte, err error) {
	var numbers [3]uint64
	for i := range numbers {
		var n int
		if numbers[i], n = binary.Uvarint(src); n <= 0 {
			return r, nil, errShort
		}
		src = src[n:]
	}
	more, first, absent := numbers[0], numbers[1], numbers[2]
	limit := uint64(model.MaxTime / width)
	if more >= MaxPoints || first > limit || absent > limit || first+more+absent > limit {
		return r, nil, fmt.Errorf("%w: %d buckets from bucket %d on don't fit, %d of them absent", ErrCorrupt, more+absent+1, first, absent)
	}
	r.count = int(more) + 1
	r.first = int64(first) * width
	r.last = r.first + int64(more+absent)*width
	r.absent = int64(absent)
	return r, src, nil
}

// appendStarts appends the starts as a column of integers, in widths.
func appendStarts(dst []byte, starts []int64, width int64) []byte {
	buckets := make([]int64, len(starts))
	for i, start := range starts {
		buckets[i] = start / width
	}
	return column.AppendInts(dst, buckets)
}

// readStarts reads what appendStarts wrote, and nothing else, and checks it against the range. Where no bucket
// is absent, nothing was written.
func (r bucketRange) readStarts(src []byte, dst []int64, width int64) error {
	if r.absent == 0 {
		for i := range dst {
			dst[i] = r.first + int64(i)*width
		}
		return nothingLeft(src, nil)
	}
	if err := nothingLeft(column.Ints(src, dst)); err != nil {
		return err
	}
	before := int64(-1)
	for i, bucket := range dst {
		if bucket <= before || bucket > model.MaxTime/width {
			return fmt.Errorf("%w: bucket %d follows bucket %d", ErrCorrupt, bucket, before)
		}
		before = bucket
		dst[i] = bucket * width
	}
	if first, last := dst[0], dst[len(dst)-1]; first != r.first || last != r.last {
		return fmt.Errorf("%w: starts are from %d to %d, not from %d to %d", ErrCorrupt, first, last, r.first, r.last)
	}
	return nil
}
