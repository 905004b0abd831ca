package chunk

import (
	"fmt"
	"slices"

	"github.com/flopynet/collector/internal/column"
)

// DecodeRegular decodes a stored block as Decode does, but appends the values alone: the times are regular, the first
// is MinTime and step nanoseconds lie between two. ok is false, and nothing was decoded, if they aren't, or the block
// is one for which that can't be told beforehand. An error wraps ErrCorrupt; values are then as they were.
func (b Block) DecodeRegular(values []float64) (decoded []float64, step int64, ok bool, err error) {
	n := b.header.Count
	if b.header.Codec != CodecDecimal || n < 2 {
		return values, 0, false, nil
	}
	step, rest, ok, err := regularTimes(b.words, &b.header)
	if !ok || err != nil {
		return values, 0, false, err
	}
	old := len(values)
	decoded = slices.Grow(values, n)[:old+n]
	if rest, err = column.Floats(rest, decoded[old:]); err != nil {
		return values, 0, false, fmt.Errorf("%w: values: %w", ErrCorrupt, err)
	}
	if err = b.checkValues(rest, decoded[old], decoded[old+n-1]); err != nil {
		return values, 0, false, err
	}
	return decoded, step, true, nil
}
