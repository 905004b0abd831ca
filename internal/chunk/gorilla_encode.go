package chunk

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// window is the part of a value's 64 bits in which it differs from the value before.
type window struct {
	leading uint8 // zero bits before it, at most maxLeading
	length  uint8 // 1 to 64
}

var wholeWindow = window{leading: 0, length: 64}

const (
	maxLeading = 31 // in 5 bits
	windowBits = 5 + 6

	minSampleBits = 1 + 1      // same delta, same value
	maxSampleBits = (5 + 64) + // longest code of a time
		(2 + windowBits + 64) // of a value
	maxSampleWords = (63 + maxSampleBits) / 64 // that it can complete

	firstBytes = 64 // of an Appender's buffer; it doubles from there
)

// encode encodes samples behind those there are, until a time doesn't fit the unit, and returns how many
// it took. The state is kept in locals: fields would be written to memory for every sample.
func (a *Appender) encode(times []int64, values []float64) int {
	buf, word, used := a.buf, a.word, uint(a.used)
	last, delta, time := a.last, a.delta, a.maxTime
	leading, length := uint(a.window.leading), uint(a.window.length)
	unit := a.unit.Nanoseconds()

	values = values[:len(times)]
	done := 0
	for i, next := range times {
		if cap(buf)-len(buf) < 8*maxSampleWords {
			buf = grow(buf)
		}
		// code collects the bits before the value's own, at most 33 + 13 of them.
		code, width := uint64(0), uint(1)
		if change := next - time - delta; change != 0 {
			units := change / unit
			if units*unit != change {
				break
			}
			var wide bool
			if code, width, wide = timeCode(units); wide {
				buf, word, used = putBits(buf, word, used, code, width)
				buf, word, used = putBits(buf, word, used, uint64(units), 64)
				code, width = 0, 0
			}
			delta += change
		}
		time = next

		value := math.Float64bits(values[i])
		xor := value ^ last
		last = value
		significant := uint(0)
		if xor == 0 {
			code, width = code<<1, width+1
		} else {
			lead := min(uint(bits.LeadingZeros64(xor)), maxLeading)
			trail := uint(bits.TrailingZeros64(xor))
			own := 64 - lead - trail
			if lead >= leading && lead+own <= leading+length && length <= own+windowBits {
				code, width = code<<2|0b10, width+2
			} else {
				leading, length = lead, own
				code = code<<(2+windowBits) | 0b11<<windowBits | uint64(lead)<<6 | uint64(own-1)
				width += 2 + windowBits
			}
			xor >>= (64 - leading - length) & 63
			significant = length
		}
		if width+significant <= 64 {
			buf, word, used = putBits(buf, word, used, code<<significant|xor, width+significant)
		} else {
			buf, word, used = putBits(buf, word, used, code, width)
			buf, word, used = putBits(buf, word, used, xor, significant)
		}
		done++
	}
	a.buf, a.word, a.used = buf, word, uint8(used)
	a.last, a.delta, a.maxTime = last, delta, time
	a.window = window{leading: uint8(leading), length: uint8(length)}
	a.count += uint16(done)
	return done
}

// timeCode returns the code of a change of delta and its width in bits. wide is set when the code is the
// prefix alone and the 64 bits of units have to follow it.
func timeCode(units int64) (code uint64, width uint, wide bool) {
	u := uint64(units)
	switch size := bits.Len64(uint64(units^units>>63)) + 1; { // with the sign
	case size <= 7:
		return 0b10<<7 | u&(1<<7-1), 2 + 7, false
	case size <= 14:
		return 0b110<<14 | u&(1<<14-1), 3 + 14, false
	case size <= 20:
		return 0b1110<<20 | u&(1<<20-1), 4 + 20, false
	case size <= 28:
		return 0b11110<<28 | u&(1<<28-1), 5 + 28, false
	default:
		return 0b11111, 5, true
	}
}

// putBits appends the low n bits of v, which has no others, to whole words in buf and the used bits at
// the top of word.
func putBits(buf []byte, word uint64, used uint, v uint64, n uint) ([]byte, uint64, uint) {
	free := 64 - used
	if n < free {
		return buf, word | v<<(free-n), used + n
	}
	rest := n - free
	buf = binary.BigEndian.AppendUint64(buf, word|v>>rest)
	return buf, v << (64 - rest), rest
}

// grow returns buf with twice the room: over 4,096 samples that adds 3 ns to the 6 that a sample takes.
// Growing by a quarter at a time, as append does, would add 7, and leave less room unused.
func grow(buf []byte) []byte {
	grown := make([]byte, len(buf), max(firstBytes, 2*cap(buf)))
	copy(grown, buf)
	return grown
}
