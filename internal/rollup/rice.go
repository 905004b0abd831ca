package rollup

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Numbers, encoded in blocks of blockRows (the last one shorter) by the code of Golomb and Rice, with a parameter k
// of its own for each block:
//
//	1 byte  k, 0 to 56, plus 64 if there are outliers; or 255, if all numbers are 0, and that is all
//	a string of bits, the least significant of each byte first, the last byte filled up with zeros: the
//	lowest k bits of each number; then for each number, q zeros and a one
//	outliers: uvarints
//
// where q is the number, shifted right by k. If that is more than 23, q is 24, the low bits are zero, and the
// number is the next of the outliers. The low bits are apart from the rest so that where they are does not
// depend on what was decoded before, and the ones are found a word at a time.
//
// A number is either an unsigned integer or the zigzag form of a signed one.
const (
	blockRows    = 384
	maxParameter = 56 // as many bits can be read at once, see wordAt
	maxQuotient  = 23
	flagOutliers = 64
	allZero      = 255
)

// zigzag makes a number of a signed integer: 0, -1, 1, -2 ... are 0, 1, 2, 3 ...
func zigzag(v int64) int64 { return v<<1 ^ v>>63 }

func unzigzag(number int64) int64 { return int64(uint64(number)>>1) ^ -(number & 1) }

// appendRice appends numbers, which are unsigned whatever their type says.
func appendRice(dst []byte, numbers []int64) []byte {
	for len(numbers) > 0 {
		n := min(len(numbers), blockRows)
		dst = appendRiceBlock(dst, numbers[:n])
		numbers = numbers[n:]
	}
	return dst
}

func appendRiceBlock(dst []byte, numbers []int64) []byte {
	k, cost, outliers := planRice(numbers)
	if cost == 0 {
		return append(dst, allZero)
	}
	if !outliers {
		dst = append(dst, byte(k))
	} else {
		dst = append(dst, byte(k)|flagOutliers)
	}
	w := bitWriter{dst: dst}
	for _, v := range numbers {
		if uint64(v)>>k > maxQuotient {
			v = 0
		}
		w.write(uint64(v)&(1<<k-1), k)
	}
	for _, v := range numbers {
		q := min(uint64(v)>>k, maxQuotient+1)
		w.write(1<<q, uint(q+1))
	}
	dst = w.finish()
	for _, v := range numbers {
		if uint64(v)>>k > maxQuotient {
			dst = binary.AppendUvarint(dst, uint64(v))
		}
	}
	return dst
}

// planRice returns the parameter at which a block is smallest and how many bits it takes then: 0 if all
// numbers are 0.
func planRice(numbers []int64) (k uint, cost int, outliers bool) {
	largest := uint64(0)
	for _, v := range numbers {
		largest |= uint64(v)
	}
	if largest == 0 {
		return 0, 0, false
	}
	cost = 1 << 62
	for try := range uint(min(bits.Len64(largest), maxParameter) + 1) {
		own, over := len(numbers)*int(try+1), false
		for _, v := range numbers {
			q := uint64(v) >> try
			if q > maxQuotient {
				q = maxQuotient + 1 + 8*uint64((bits.Len64(uint64(v))+6)/7)
				over = true
			}
			own += int(q)
		}
		if own < cost {
			k, cost, outliers = try, own, over
		}
	}
	return k, cost, outliers
}

// riceBits returns how many bits appendRice takes, about.
func riceBits(numbers []int64) int {
	total := 0
	for len(numbers) > 0 {
		n := min(len(numbers), blockRows)
		_, cost, _ := planRice(numbers[:n])
		total += cost + 8
		numbers = numbers[n:]
	}
	return total
}

// readRice is the inverse of appendRice, for len(dst) numbers, and returns what is behind them.
func readRice(src []byte, dst []int64) (rest []byte, err error) {
	for len(dst) > 0 {
		n := min(len(dst), blockRows)
		if src, err = readRiceBlock(src, dst[:n]); err != nil {
			return nil, err
		}
		dst = dst[n:]
	}
	return src, nil
}

func readRiceBlock(src []byte, dst []int64) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	head := src[0]
	src = src[1:]
	if head == allZero {
		clear(dst)
		return src, nil
	}
	k := uint(head &^ flagOutliers)
	if k > maxParameter {
		return nil, fmt.Errorf("%w: a block of numbers begins with %#x, which is unknown to this version", ErrCorrupt, head)
	}
	if uint(len(dst))*(k+1) > 8*uint(len(src)) {
		return nil, errShort
	}
	high, err := readHighs(src, dst, uint(len(dst))*k, k)
	if err != nil {
		return nil, err
	}
	addLows(src, dst, k)
	src = src[(high+7)/8:]
	if head&flagOutliers != 0 {
		return readOutliers(src, dst, k)
	}
	return src, nil
}

// readHighs reads what of numbers is above the lowest k bits, and returns the first bit behind it.
func readHighs(src []byte, dst []int64, high, k uint) (end uint, err error) {
	base := high &^ 7 // of word
	word := wordAt(src, base) >> (high - base) << (high - base)
	for i := range dst {
		for word == 0 {
			if base += 64; base >= 8*uint(len(src)) {
				return 0, errShort
			}
			word = wordAt(src, base)
		}
		one := base + uint(bits.TrailingZeros64(word))
		word &= word - 1
		dst[i] = int64(one-high) << (k & 63)
		high = one + 1
	}
	return high, nil
}

// addLows adds the lowest k bits of numbers, as many at a time as fit a word.
func addLows(src []byte, dst []int64, k uint) {
	if k == 0 {
		return
	}
	low, mask := uint(0), uint64(1)<<(k&63)-1
	for ; len(dst) >= 4 && k <= 14; dst = dst[4:] {
		word := wordAt(src, low)
		low += 4 * k
		dst[0] += int64(word & mask)
		word >>= k & 63
		dst[1] += int64(word & mask)
		word >>= k & 63
		dst[2] += int64(word & mask)
		word >>= k & 63
		dst[3] += int64(word & mask)
	}
	for ; len(dst) >= 2 && k <= 28; dst = dst[2:] {
		word := wordAt(src, low)
		low += 2 * k
		dst[0] += int64(word & mask)
		dst[1] += int64(word >> (k & 63) & mask)
	}
	for i := range dst {
		dst[i] += int64(wordAt(src, low) & mask)
		low += k
	}
}

func readOutliers(src []byte, dst []int64, k uint) (rest []byte, err error) {
	for i, v := range dst {
		if uint64(v)>>k <= maxQuotient {
			continue
		}
		u, n := binary.Uvarint(src)
		if n <= 0 {
			return nil, errShort
		}
		dst[i] = int64(u)
		src = src[n:]
	}
	return src, nil
}

// bitWriter appends bits to dst, the least significant of a byte first.
type bitWriter struct {
	dst  []byte
	word uint64 // the lowest used bits are not in dst yet
	used uint   // less than 8
}

// write appends the lowest n bits of v, at most 56; higher ones are zero.
func (w *bitWriter) write(v uint64, n uint) {
	w.word |= v << w.used
	for w.used += n; w.used >= 8; w.used -= 8 {
		w.dst = append(w.dst, byte(w.word))
		w.word >>= 8
	}
}

func (w *bitWriter) finish() []byte {
	if w.used > 0 {
		w.dst = append(w.dst, byte(w.word))
	}
	return w.dst
}

// wordAt returns at least 57 bits from a bit on, and all 64 from the start of a byte on. Behind the end of
// src there are zeros.
func wordAt(src []byte, at uint) uint64 {
	if i := at / 8; i+8 <= uint(len(src)) {
		return binary.LittleEndian.Uint64(src[i:]) >> (at % 8)
	}
	return lastWordAt(src, at)
}

func lastWordAt(src []byte, at uint) uint64 {
	i := at / 8
	if i >= uint(len(src)) {
		return 0
	}
	var word [8]byte
	copy(word[:], src[i:])
	return binary.LittleEndian.Uint64(word[:]) >> (at % 8)
}
