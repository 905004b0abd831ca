package column

import (
	"encoding/binary"
	"math/bits"
)

const (
	// maxUnaryBits is the longest code: that of 5. A larger high part is listed apart, as in a sparse block.
	maxUnaryBits = 11

	lanes      = 7 // of an entry's bytes, for integers
	countShift = 8 * lanes
	sizeShift  = countShift + 3
)

// unaryTable holds, for each run of maxUnaryBits bits, the codes that end in it: in the lowest bytes up
// to seven integers, in the highest how many they are and, from the fourth bit on, how many bits they
// take. So one look decodes several integers.
var unaryTable = makeUnaryTable()

func makeUnaryTable() *[1 << maxUnaryBits]uint64 {
	var table [1 << maxUnaryBits]uint64
	for word := range table {
		entry, count, used := uint64(0), 0, 0
		for rest := uint(word); rest != 0 && count < lanes; count++ {
			zeros := bits.TrailingZeros(rest)
			entry |= uint64(uint8(unzigzag(uint64(zeros)))) << (8 * count)
			rest >>= zeros + 1
			used += zeros + 1
		}
		table[word] = entry | uint64(count)<<countShift | uint64(used)<<sizeShift
	}
	return &table
}

func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// addDense adds the n high parts in unary codes at the start of src to the low parts, of which there are
// none at a width of zero.
func addDense(src []byte, dst *[blockSize]int64, width uint, n int) (rest []byte, err error) {
	var highs [blockSize + 8]byte // an entry is stored whole
	var size int
	if len(src) >= maxUnaryBytes+unpackSlack {
		size = readUnary((*[maxUnaryBytes + unpackSlack]byte)(src), &highs, n)
	} else {
		size = readLastUnary(src, &highs, n)
	}
	if size == 0 {
		return nil, errShort
	}
	if width == 0 {
		for i, high := range highs[:n] {
			dst[i] = int64(int8(high))
		}
		return src[size:], nil
	}
	for i, high := range highs[:n] {
		dst[i] += int64(int8(high)) << (width & 63)
	}
	return src[size:], nil
}

// readLastUnary is readUnary for a src that isn't as long as codes can be. No code ends in the zeros that
// it is filled up with.
func readLastUnary(src []byte, highs *[blockSize + 8]byte, n int) int {
	var padded [maxUnaryBytes + unpackSlack]byte
	copy(padded[:], src)
	return readUnary(&padded, highs, n)
}

// readUnary decodes n codes into highs and returns how many bytes they take, 0 if src has fewer of them.
func readUnary(src *[maxUnaryBytes + unpackSlack]byte, highs *[blockSize + 8]byte, n int) int {
	table := unaryTable
	position, done := uint(0), 0
	for done+5*lanes <= n {
		if position > 8*maxUnaryBytes {
			return 0
		}
		before := position
		word := binary.LittleEndian.Uint64(src[position/8:]) >> (position % 8)
		for range 5 { // 55 of the 57 bits or more there are
			entry := table[word&(1<<maxUnaryBits-1)]
			binary.LittleEndian.PutUint64(highs[done:], entry)
			size := uint(entry >> sizeShift)
			done += int(entry >> countShift & lanes)
			word >>= size
			position += size
		}
		if position == before {
			return 0 // no code is so long
		}
	}
	for done < n {
		if position > 8*maxUnaryBytes {
			return 0
		}
		word := binary.LittleEndian.Uint64(src[position/8:]) >> (position % 8)
		entry := table[word&(1<<maxUnaryBits-1)]
		count := int(entry >> countShift & lanes)
		if count == 0 {
			return 0
		}
		if done+count <= n {
			binary.LittleEndian.PutUint64(highs[done:], entry)
			position += uint(entry >> sizeShift)
			done += count
			continue
		}
		zeros := bits.TrailingZeros64(word)
		highs[done] = byte(unzigzag(uint64(zeros)))
		position += uint(zeros) + 1
		done++
	}
	return int(position+7) / 8
}

// appendDense appends the high parts in unary codes and sets them to zero, except those too large for
// a code, in whose place there is a zero.
func appendDense(dst []byte, highs []int64) []byte {
	var word uint64
	used := uint(0)
	for i, high := range highs {
		zeros := uint(0)
		if code := zigzag(high); code < maxUnaryBits {
			zeros, highs[i] = uint(code), 0
		}
		word |= 1 << (used + zeros)
		used += zeros + 1
		for ; used >= 8; used -= 8 {
			dst = append(dst, byte(word))
			word >>= 8
		}
	}
	if used > 0 {
		dst = append(dst, byte(word))
	}
	return dst
}
