package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// A sketch, encoded:
//
//	uvarint length of the rest
//	1 byte  which of the following parts are there: bit 0 zeros, 1 infinities, 2 negative, 3 positive
//	zeros:      uvarint count
//	infinities: uvarint count of -Inf, uvarint count of +Inf
//	negative and positive, of the n bins that hold values, the sign left out:
//	    uvarint n - 1
//	    uvarint 18 c + g, the parameters of counts (0 to 38) and gaps (0 to 17)
//	    varint  the first one, less the bin of 1.0
//	    a string of bits, the least significant of each byte first, the last byte filled up with zeros
//
// Each of the n bins has a gap, how many empty bins are between it and the one before (0 for the first), and its
// count, less one. The string has first the lowest g bits of the gap and the lowest c bits of the
// count, for each bin; then what is above them, for each bin, gap and count: as many zeros, and a one. That
// is the code of Golomb and Rice, taken apart so that where the low bits are does not depend on what was
// decoded before, and the ones are found a word at a time.
//
// An empty sketch is 01 00.
const (
	hasZeros = 1 << iota
	hasInfinities
	hasNegative
	hasPositive
)

const (
	maxGapParameter   = 17
	maxCountParameter = 38 // the low bits of a gap and a count can be read at once, see wordAt

	// No sum of counts overflows that keeps to these limits, and no sketch comes near to them.
	maxCount  = 1 << 56
	maxLength = 1 << 20
)

// binOfOne is the bin of 1.0.
const binOfOne = exactBins + (1023+firstNormal)*octaveBins

// ErrCorrupt is wrapped by every error about bytes that are not a sketch as this package writes them.
var ErrCorrupt = errors.New("damaged sketch")

// AppendBinary appends the encoded sketch to dst.
func (s *Sketch) AppendBinary(dst []byte) []byte {
	parts := byte(0)
	start := len(dst)
	dst = append(dst, 0, 0)
	if s.zeros > 0 {
		parts |= hasZeros
		dst = binary.AppendUvarint(dst, uint64(s.zeros))
	}
	if s.minusInf > 0 || s.plusInf > 0 {
		parts |= hasInfinities
		dst = binary.AppendUvarint(dst, uint64(s.minusInf))
		dst = binary.AppendUvarint(dst, uint64(s.plusInf))
	}
	end := len(dst)
	if dst = s.negative.appendBinary(dst); len(dst) > end {
		parts |= hasNegative
	}
	end = len(dst)
	if dst = s.positive.appendBinary(dst); len(dst) > end {
		parts |= hasPositive
	}
	dst[start+1] = parts
	return insertLength(dst, start)
}

// insertLength puts the number of bytes behind dst[start] there, as a uvarint.
func insertLength(dst []byte, start int) []byte {
	length := uint64(len(dst) - start - 1)
	for extra := (bits.Len64(length|1)+6)/7 - 1; extra > 0; extra-- {
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
	}
	binary.PutUvarint(dst[start:], length)
	return dst
}

// appendBinary appends nothing if there are no values.
func (s *side) appendBinary(dst []byte) []byte {
	gaps, counts, first, n := s.parameters()
	if n == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(n-1))
	dst = binary.AppendUvarint(dst, uint64(counts*(maxGapParameter+1)+gaps))
	dst = binary.AppendVarint(dst, first-binOfOne)
	w := bitWriter{dst: dst}
	for gap, count := range s.gaps {
		w.write(gap&(1<<gaps-1), gaps)
		w.write(count&(1<<counts-1), counts)
	}
	for gap, count := range s.gaps {
		w.unary(gap >> gaps)
		w.unary(count >> counts)
	}
	return w.finish()
}

// gaps yields of each bin that holds values how many empty ones are before it, up to the one that is not
// empty, and its count, less one.
func (s *side) gaps(yield func(gap, count uint64) bool) {
	next := int64(0)
	for bin, count := range s.ascend {
		if next == 0 {
			next = bin
		}
		if !yield(uint64(bin-next), uint64(count-1)) {
			return
		}
		next = bin + 1
	}
}

// parameters returns the parameters that make the code of gaps and counts shortest, the first bin that
// holds values, and how many do.
func (s *side) parameters() (gaps, counts uint, first int64, n int) {
	for bin := range s.ascend {
		first = bin
		break
	}
	var gapHeights, countHeights [maxCountParameter + 1]uint64 // sums of what is above the low bits
	for gap, count := range s.gaps {
		for k := 0; gap > 0 && k < len(gapHeights); k++ {
			gapHeights[k] += gap
			gap >>= 1
		}
		for k := 0; count > 0 && k < len(countHeights); k++ {
			countHeights[k] += count
			count >>= 1
		}
		n++
	}
	return cheapest(gapHeights[:maxGapParameter+1], n), cheapest(countHeights[:], n), first, n
}

// cheapest returns the number of low bits for which these and what is above them take least of n values.
func cheapest(heights []uint64, n int) uint {
	best := 0
	for k := range heights {
		if heights[k]+uint64(n*k) < heights[best]+uint64(n*best) {
			best = k
		}
	}
	return uint(best)
}

// Skip returns what is behind an encoded sketch, which it does not check further.
func Skip(src []byte) (rest []byte, err error) {
	length, n := binary.Uvarint(src)
	if n <= 0 || length == 0 || length > maxLength || length > uint64(len(src)-n) {
		return nil, fmt.Errorf("%w: its length is missing or wrong, %d bytes are left", ErrCorrupt, len(src))
	}
	return src[n+int(length):], nil
}

// MergeBinary adds what an encoded sketch at the start of src counted and returns what is behind it. An
// error wraps ErrCorrupt; then s may have changed, and means nothing until Reset.
func (s *Sketch) MergeBinary(src []byte) (rest []byte, err error) {
	if rest, err = Skip(src); err != nil {
		return nil, err
	}
	_, n := binary.Uvarint(src)
	d := decoder{src: src, at: n + 1, end: len(src) - len(rest)}
	parts := src[n]
	if parts&hasZeros != 0 {
		s.zeros += d.count()
	}
	if parts&hasInfinities != 0 {
		s.minusInf += d.count()
		s.plusInf += d.count()
	}
	if parts&hasNegative != 0 {
		d.side(&s.negative)
	}
	if parts&hasPositive != 0 {
		d.side(&s.positive)
	}
	switch {
	case parts >= hasPositive<<1:
		return nil, fmt.Errorf("%w: parts %#x are unknown to this version", ErrCorrupt, parts)
	case d.failed != "":
		return nil, fmt.Errorf("%w: %s", ErrCorrupt, d.failed)
	case d.at != d.end:
		return nil, fmt.Errorf("%w: it has %d bytes, but its parts have %d", ErrCorrupt, d.end, d.at)
	case s.count > maxCount-d.total:
		return nil, fmt.Errorf("%w: it counts %d values, more than %d with the %d that are there", ErrCorrupt, d.total, int64(maxCount), s.count)
	}
	s.count += d.total
	return rest, nil
}
