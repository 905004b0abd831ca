package chunk

import (
	"fmt"
	"math"
	"slices"

	"github.com/flopynet/collector/internal/column"
)

// Scale turns the integers that a block's values are made of into these.
type Scale = column.Scale

// maxIntegerSum bounds the sums of integers. It leaves room for what rounding does to their estimate.
const maxIntegerSum = 1 << 62

// DecodeScaled is Decode for a stored block of decimals, and appends the integers that the values are made of: to
// add up or compare these takes half as long. Any of them together have a sum in the range of int64. ok is false, and
// nothing is appended, if there are no such integers or NaN is among the values.
func (b Block) DecodeScaled(times, integers []int64) (_, _ []int64, scale Scale, ok bool, err error) {
	if b.header.Codec != CodecDecimal {
		return times, integers, scale, false, nil
	}
	if _, _, values, regular := column.Progression(b.words); regular && !b.summable(values) {
		return times, integers, scale, false, nil // before any time is decoded
	}
	n, oldTimes, oldIntegers := b.header.Count, len(times), len(integers)
	newTimes := slices.Grow(times, n)[:oldTimes+n]
	values, err := decodeTimes(b.words, newTimes[oldTimes:], &b.header)
	if err != nil || !b.summable(values) {
		return times, integers, scale, false, err
	}
	newIntegers := slices.Grow(integers, n)[:oldIntegers+n]
	rest, err := column.Scaled(values, newIntegers[oldIntegers:])
	if err != nil {
		return times, integers, scale, false, fmt.Errorf("%w: values: %w", ErrCorrupt, err)
	}
	scale, _ = column.ScaleOf(values)
	first, last := scale.Float(newIntegers[oldIntegers]), scale.Float(newIntegers[oldIntegers+n-1])
	if err := b.checkValues(rest, first, last); err != nil {
		return times, integers, scale, false, err
	}
	return newTimes, newIntegers, scale, true, nil
}

// summable reports whether a column of values is one of integers whose sums are in the range of int64.
func (b *Block) summable(values []byte) bool {
	scale, ok := column.ScaleOf(values)
	a, clean := b.header.Aggregate()
	return ok && clean && max(math.Abs(a.Min), math.Abs(a.Max))*scale.Power()*float64(a.Count) < maxIntegerSum
}
