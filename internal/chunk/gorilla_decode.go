package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	// decodeStep is how many samples are decoded at a time where they are only passed through: 4 KiB
	// on the stack.
	decodeStep = 256

	// pieceBytes is how much of a payload is decoded at a time, from an array: an index below its length,
	// a constant, needs no check, which decodes half as much again. It is a power of two.
	pieceBytes = 1024

	// runBits is before where in a piece a sample must begin so that all of it lies in the piece.
	runBits = 8*pieceBytes - maxSampleBits
)

// decoder decodes a block's samples behind the first, in pieces of any size. It is safe with bytes that
// no encoder wrote; check tells whether what was decoded can be relied on.
type decoder struct {
	src  []byte // from the piece's first byte on, without last
	last uint64 // the block's tail
	pos  uint   // in the piece, in bits
	end  uint   // of the payload, counted from the piece's first bit
	unit int64  // nanoseconds

	time, delta int64
	value       uint64
	window      window

	order     int64 // negative: times did not increase
	badWindow bool
	short     bool // the payload ended before the samples did

	piece [pieceBytes + 8]byte // src, last and zeros, as far as there is room; a word can be read anywhere
}

func (d *decoder) init(b *Block) {
	d.src, d.last = b.words, b.tail
	d.end = 8*uint(len(b.words)) + uint(b.tailBits)
	d.unit = b.header.Unit.Nanoseconds()
	d.time = b.header.MinTime
	d.value = math.Float64bits(b.header.First)
	d.window = wholeWindow
	d.advance()
}

// decode decodes the block's next len(times) samples; values is as long. Where the payload ends before,
// the rest is left as it is.
func (d *decoder) decode(times []int64, values []float64) {
	done := d.run(times, values)
	for done < len(times) {
		if d.pos >= d.end {
			d.short = true
			return
		}
		d.advance()
		done += d.run(times[done:], values[done:])
	}
}

// advance makes the piece begin at the byte of the next sample.
func (d *decoder) advance() {
	from := min(d.pos/8, uint(len(d.src)))
	d.src = d.src[from:]
	d.pos -= 8 * from
	d.end -= 8 * from
	n := copy(d.piece[:], d.src)
	if n < len(d.piece) {
		var last [8]byte
		binary.BigEndian.PutUint64(last[:], d.last)
		n += copy(d.piece[n:], last[:])
		clear(d.piece[n:])
	}
}

// run decodes samples that begin before the end and before runBits of the piece, and returns how many.
// It mirrors Appender.encode.
func (d *decoder) run(times []int64, values []float64) int {
	piece, limit := &d.piece, min(d.end, runBits)
	pos, unit, order := d.pos, d.unit, d.order
	time, delta, value := d.time, d.delta, d.value
	leading, length := uint(d.window.leading), uint(d.window.length)
	mask := ^uint64(0) << ((64 - length) & 63)

	values = values[:len(times)]
	done := 0
	for done < len(times) && pos < limit {
		code := bitsAt(piece, pos)
		if code>>61 == 0b010 && length <= 57-3 {
			// The usual sample, apart because it is twice as fast so: same delta, same window, all of
			// it in the bits at hand.
			time += delta
			order |= (delta - 1) | time
			value ^= (code << 3 & mask) >> (leading & 63)
			pos += 3 + length
			times[done], values[done] = time, math.Float64frombits(value)
			done++
			continue
		}
		if code>>63 == 0 {
			code <<= 1
			pos++
		} else {
			change, width, wide := timeChange(code)
			code <<= width
			pos += width
			if wide {
				change = int64(wordAt(piece, pos))
				pos += 64
				code = bitsAt(piece, pos)
			}
			delta += change * unit
		}
		time += delta
		order |= (delta - 1) | time
		times[done] = time

		if code>>63 == 0 {
			pos++
		} else {
			pos += 2
			if code>>62 == 0b11 {
				leading = uint(code << 2 >> 59)
				length = uint(code<<7>>58) + 1
				mask = ^uint64(0) << ((64 - length) & 63)
				d.badWindow = d.badWindow || leading+length > 64
				pos += windowBits
			}
			value ^= (wordAt(piece, pos) & mask) >> (leading & 63)
			pos += length
		}
		values[done] = math.Float64frombits(value)
		done++
	}
	d.pos, d.order = pos, order
	d.time, d.delta, d.value = time, delta, value
	d.window = window{leading: uint8(leading), length: uint8(length)}
	return done
}

// timeChange reads the code, longer than a bit, of a change of delta in units, and returns the code's width.
// With wide it was the prefix alone, which 64 bits follow. The widths are found by branches rather than
// in a table: where the next code begins is then predicted, instead of having to wait for a load.
func timeChange(code uint64) (change int64, width uint, wide bool) {
	switch {
	case code>>62 == 0b10:
		return int64(code<<2) >> (64 - 7), 2 + 7, false
	case code>>61 == 0b110:
		return int64(code<<3) >> (64 - 14), 3 + 14, false
	case code>>60 == 0b1110:
		return int64(code<<4) >> (64 - 20), 4 + 20, false
	case code>>59 == 0b11110:
		return int64(code<<5) >> (64 - 28), 5 + 28, false
	default:
		return 0, 5, true
	}
}

// bitsAt returns the bits from pos on, the first 57 at least; the others are zero.
func bitsAt(piece *[pieceBytes + 8]byte, pos uint) uint64 {
	return binary.BigEndian.Uint64(piece[pos/8%pieceBytes:]) << (pos % 8)
}

// wordAt returns the 64 bits from pos on.
func wordAt(piece *[pieceBytes + 8]byte, pos uint) uint64 {
	at := pos / 8 % pieceBytes
	return binary.BigEndian.Uint64(piece[at:])<<(pos%8) | uint64(piece[at+8])>>(8-pos%8)
}

// check reports whether all that was decoded, the whole block, is what its header says.
func (d *decoder) check(h *Header) error {
	switch {
	case d.badWindow:
		return fmt.Errorf("%w: a value's window exceeds 64 bits", ErrCorrupt)
	case d.order < 0:
		return fmt.Errorf("%w: times don't increase", ErrCorrupt)
	case d.short || d.pos > d.end || d.end-d.pos >= 8:
		return fmt.Errorf("%w: %d samples and the payload don't end together", ErrCorrupt, h.Count)
	case d.time != h.MaxTime:
		return fmt.Errorf("%w: the last time is %d, not the header's %d", ErrCorrupt, d.time, h.MaxTime)
	case d.value != math.Float64bits(h.Last):
		return fmt.Errorf("%w: the last value is not the header's", ErrCorrupt)
	}
	return nil
}
