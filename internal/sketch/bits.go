package sketch

import (
	"encoding/binary"
	"math/bits"
)

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

// unary appends n zeros and a one.
func (w *bitWriter) unary(n uint64) {
	for ; n >= 32; n -= 32 {
		w.write(0, 32)
	}
	w.write(1<<n, uint(n+1))
}

func (w *bitWriter) finish() []byte {
	if w.used > 0 {
		w.dst = append(w.dst, byte(w.word))
	}
	return w.dst
}

// decoder reads the parts of an encoded sketch. After a failure it goes on with nothing.
type decoder struct {
	src    []byte // with the bytes behind the sketch
	at     int
	end    int    // of the sketch; no part but the last one has to keep to it
	total  int64  // of all counts
	failed string // what was wrong first
}

func (d *decoder) fail(what string) {
	if d.failed == "" {
		d.failed = what
	}
	d.at = len(d.src)
}

// count reads a number of values.
func (d *decoder) count() int64 {
	n, used := binary.Uvarint(d.src[d.at:])
	if used <= 0 || n > maxCount {
		d.fail("a count is missing or too large")
		return 0
	}
	d.at += used
	d.total += int64(n)
	return int64(n)
}

// side adds the bins of one sign.
func (d *decoder) side(to *side) {
	more, n := binary.Uvarint(d.src[d.at:])
	d.at += max(n, 0)
	parameters, m := binary.Uvarint(d.src[d.at:])
	d.at += max(m, 0)
	offset, l := binary.Varint(d.src[d.at:])
	d.at += max(l, 0)
	first := offset + binOfOne
	switch {
	case n <= 0 || m <= 0 || l <= 0 || d.at > d.end:
		d.fail("the head of its bins is missing")
	case more >= maxBin || parameters > maxCountParameter*(maxGapParameter+1)+maxGapParameter:
		d.fail("it has too many bins, or a parameter is too large")
	case first < 1 || first > maxBin:
		d.fail("the first bin is out of range")
	default:
		d.bins(to, uint64(first), int(more)+1, uint(parameters%(maxGapParameter+1)), uint(parameters/(maxGapParameter+1)))
	}
}

// bins adds the bins of a string of bits. It is what a query over sketches spends its time in.
//
// Sums of counts can't wrap around: what is above their low bits are at most 2^23 zeros together.
func (d *decoder) bins(to *side, bin uint64, n int, gaps, counts uint) {
	src := d.src[d.at:min(d.end+8, len(d.src))]
	if 8*len(src) < n*int(gaps+counts+2) {
		d.fail("it ends within its bins")
		return
	}
	low, lowBits := uint(0), gaps+counts // where the next low bits are, and how many
	high := uint(n) * lowBits            // where the next one is sought
	base := high &^ 7                    // of word
	word := wordAt(src, base) >> (high - base) << (high - base)
	gapMask, countMask := uint64(1)<<gaps-1, uint64(1)<<counts-1
	number, p := bin>>pageBits, to.page(int64(bin>>pageBits))
	total := uint64(n)
	for range n {
		v := wordAt(src, low)
		low += lowBits
		for word == 0 {
			if base += 64; base >= 8*uint(len(src)) {
				d.fail("it ends within its bins")
				return
			}
			word = wordAt(src, base)
		}
		one := base + uint(bits.TrailingZeros64(word))
		word &= word - 1
		bin += v&gapMask | uint64(one-high)<<(gaps&63)
		high = one + 1
		for word == 0 {
			if base += 64; base >= 8*uint(len(src)) {
				d.fail("it ends within its bins")
				return
			}
			word = wordAt(src, base)
		}
		one = base + uint(bits.TrailingZeros64(word))
		word &= word - 1
		count := v>>(gaps&63)&countMask | uint64(one-high)<<(counts&63)
		high = one + 1
		if bin>>pageBits != number {
			if number = bin >> pageBits; number > maxBin>>pageBits {
				break // bin is too large
			}
			p = to.page(int64(number))
		}
		p[bin&pageMask] += int64(count + 1)
		total += count
		bin++
	}
	switch {
	case bin > maxBin+1:
		d.fail("a bin is out of range")
	case total > maxCount || d.total > maxCount:
		d.fail("a count is too large")
	default:
		d.total += int64(total)
		d.at += int(high+7) / 8
	}
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
