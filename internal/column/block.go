package column

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	blockSize   = 128
	unpackSlack = 8 // bytes that unpack and the reader of unary codes may look at behind their own

	// A block's first byte: the width in the low six bits and two flags. All of them set is the one width
	// that has no room there, 64, which needs no high parts.
	widthMask  = 1<<6 - 1
	flagSparse = 1 << 6
	flagDense  = 1 << 7
	wholeWidth = 0xff

	// A list of sparse high parts begins with a byte: their number less one, and whether one of them is
	// neither 1 nor -1. Each has a byte of position and sign.
	flagLarge    = 1 << 7
	flagNegative = 1 << 7

	// maxLowBytes and maxUnaryBytes are the most that the two parts of a block can take.
	maxLowBytes   = blockSize * 8
	maxUnaryBytes = blockSize * maxUnaryBits / 8
)

// centreShift returns by how many bits a block's centre is stored shifted: it is that many steps of a
// sixty-fourth of what width bits can tell apart, so it seldom takes more than a byte.
func centreShift(width uint) uint { return max(width, 6) - 6 }

// base is what is added to a block's unsigned low parts.
func base(width uint, centre int64) int64 {
	return centre<<centreShift(width) - int64(uint64(1)<<width>>1)
}

// decodeBlock decodes the first n integers of a block into dst and returns what must be added to each,
// and the bytes behind the block. What dst holds behind n means nothing.
func decodeBlock(src []byte, dst *[blockSize]int64, n int) (add int64, rest []byte, err error) {
	if len(src) == 0 {
		return 0, nil, errShort
	}
	head := src[0]
	width, sparse, dense := uint(head&widthMask), head&flagSparse != 0, head&flagDense != 0
	if head == wholeWidth {
		width, sparse, dense = 64, false, false
	}
	centre, size := binary.Varint(src[1:])
	if size <= 0 {
		return 0, nil, errShort
	}
	src = src[1+size:]
	if width == 0 {
		if !dense {
			clear(dst[:n])
		}
	} else if src, err = unpackLow(src, dst, width, n); err != nil {
		return 0, nil, err
	}
	if dense {
		if src, err = addDense(src, dst, width, n); err != nil {
			return 0, nil, err
		}
	}
	if sparse {
		if src, err = addSparse(src, dst, width, n); err != nil {
			return 0, nil, err
		}
	}
	return base(width, centre), src, nil
}

// unpackLow unpacks the n low parts at the start of src.
func unpackLow(src []byte, dst *[blockSize]int64, width uint, n int) (rest []byte, err error) {
	size := (n*int(width) + 7) / 8
	if len(src) < size {
		return nil, errShort
	}
	groups := (n + 7) / 8
	if len(src) >= groups*int(width)+unpackSlack {
		unpack(src, dst, width, groups)
		return src[size:], nil
	}
	var padded [maxLowBytes + unpackSlack]byte
	copy(padded[:], src[:size])
	unpack(padded[:], dst, width, groups)
	return src[size:], nil
}

// addSparse adds the high parts listed at the start of src.
func addSparse(src []byte, dst *[blockSize]int64, width uint, n int) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	large, count := src[0]&flagLarge != 0, int(src[0]&^flagLarge)+1
	src = src[1:]
	if len(src) < count {
		return nil, errShort
	}
	positions, src := src[:count], src[count:]
	for _, b := range positions {
		position, high := int(b&^flagNegative), uint64(1)
		if position >= n {
			return nil, fmt.Errorf("%w: a high part for integer %d of a block of %d", ErrCorrupt, position, n)
		}
		if large {
			more, size := binary.Uvarint(src)
			if size <= 0 {
				return nil, errShort
			}
			src = src[size:]
			high += more
		}
		if b&flagNegative != 0 {
			high = -high
		}
		dst[position] += int64(high << width)
	}
	return src, nil
}

// appendBlock appends the values, at most blockSize of them, as planned.
func appendBlock(dst []byte, values []int64, p plan) []byte {
	head := byte(wholeWidth)
	if p.width < 64 {
		head = byte(p.width)
	}
	at := len(dst)
	dst = binary.AppendVarint(append(dst, head), p.centre)
	add := base(p.width, p.centre)
	var highs [blockSize]int64
	dst = appendLow(dst, values, highs[:len(values)], add, p.width)
	if p.width == 64 {
		return dst
	}
	if p.dense {
		dst[at] |= flagDense
		dst = appendDense(dst, highs[:len(values)])
	}
	large, count := false, 0
	for _, high := range highs {
		if high != 0 {
			count++
			large = large || high != 1 && high != -1
		}
	}
	if count > 0 {
		dst[at] |= flagSparse
		dst = appendSparse(dst, highs[:], count, large)
	}
	return dst
}

// appendLow appends the low parts of the values less add, and leaves the high parts in highs.
func appendLow(dst []byte, values, highs []int64, add int64, width uint) []byte {
	var word uint64
	used := uint(0)
	mask := uint64(math.MaxUint64)
	if width < 64 {
		mask = 1<<width - 1
	}
	for i, v := range values {
		v -= add
		low := uint64(v) & mask
		highs[i] = v >> width // no more than the sign at a width of 64
		word |= low << used
		used += width
		if used >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, word)
			used -= 64
			word = low >> (width - used) // 0 if nothing is left
		}
	}
	for ; used > 0; used -= min(used, 8) {
		dst = append(dst, byte(word))
		word >>= 8
	}
	return dst
}

func appendSparse(dst []byte, highs []int64, count int, large bool) []byte {
	head := byte(count - 1)
	if large {
		head |= flagLarge
	}
	dst = append(dst, head)
	for i, high := range highs {
		switch {
		case high > 0:
			dst = append(dst, byte(i))
		case high < 0:
			dst = append(dst, byte(i)|flagNegative)
		}
	}
	if !large {
		return dst
	}
	for _, high := range highs {
		switch {
		case high > 0:
			dst = binary.AppendUvarint(dst, uint64(high)-1)
		case high < 0:
			dst = binary.AppendUvarint(dst, -uint64(high)-1)
		}
	}
	return dst
}
