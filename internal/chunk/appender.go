package chunk

import (
	"math"

	"github.com/flopynet/collector/internal/invariants"
	"github.com/flopynet/collector/model"
)

// Appender is an open chunk: an encoder that keeps its state between calls. The zero value is ready for
// use. Its methods must not run at the same time, but the Blocks it gives out may be read while it goes
// on.
type Appender struct {
	buf    []byte // the payload's whole words; only ever appended to
	word   uint64 // the bits behind them, at the top
	used   uint8  // number of those bits, 0 to 63
	unit   Unit
	window window
	count  uint16

	minTime, maxTime int64
	delta            int64  // between the last two times, nanoseconds; 0 at first
	first, last      uint64 // bits of the first and the last value
}

// maxRefined is how many samples an open chunk may hold to be encoded anew when a time doesn't fit its
// unit. A larger one is left as it is, since its times would all take more bits: the caller ends it.
const maxRefined = 512

// Append encodes the longest prefix of the samples that fits and returns its length; the caller begins
// a new chunk with the rest. Fewer than all fit when MaxAppended is reached, and when a time is not a
// whole number of the chunk's units away and the chunk is too large to be encoded anew in finer ones.
// At least one sample fits in an empty chunk. Times are nanoseconds since the epoch from model.MinTime
// to model.MaxTime, strictly increasing and greater than MaxTime; values has as many elements.
// Samples that all fit make the same chunk however they are cut into calls.
func (a *Appender) Append(times []int64, values []float64) (n int) {
	if invariants.Enabled {
		last := model.MinTime - 1
		if a.count > 0 {
			last = a.maxTime
		}
		checkSamples(last, times, values)
	}
	n = min(len(times), MaxAppended-int(a.count))
	if n == 0 {
		return 0
	}
	done := 0
	if a.count == 0 {
		a.start(times[0], values[0])
		done = 1
	}
	if a.count == 1 {
		a.unit = a.unit.refine(a.maxTime, times[done:n])
	}
	for {
		done += a.encode(times[done:n], values[done:n])
		if done == n || a.count > maxRefined {
			return done
		}
		a.recode(a.unit.refine(a.maxTime, times[done:n]))
	}
}

// start takes the first sample, which is in the header only.
func (a *Appender) start(time int64, value float64) {
	a.minTime, a.maxTime = time, time
	a.first = math.Float64bits(value)
	a.last = a.first
	a.window = wholeWindow
	a.unit = MaxUnit
	a.count = 1
}

// recode encodes the samples anew in another unit. The buffer is a new one: blocks may hold the old.
func (a *Appender) recode(unit Unit) {
	var times [decodeStep]int64
	var values [decodeStep]float64
	block := a.Block()
	var decoder decoder
	decoder.init(&block)
	next := Appender{}
	next.start(a.minTime, math.Float64frombits(a.first))
	next.unit = unit
	for left := int(a.count) - 1; left > 0; {
		n := min(left, decodeStep)
		decoder.decode(times[:n], values[:n])
		next.encode(times[:n], values[:n])
		left -= n
	}
	*a = next
}

// Count returns the number of samples.
func (a *Appender) Count() int { return int(a.count) }

// MinTime returns the first sample's time; 0 when there is none.
func (a *Appender) MinTime() int64 { return a.minTime }

// MaxTime returns the last sample's time; 0 when there is none.
func (a *Appender) MaxTime() int64 { return a.maxTime }

// Size returns the length of the payload in bytes, without header and checksum.
func (a *Appender) Size() int { return len(a.buf) + (int(a.used)+7)/8 }

// Block returns the samples appended so far, of which there must be at least one. Nothing is copied and
// nothing appended later changes it.
func (a *Appender) Block() Block {
	if a.count == 0 {
		panic("chunk: Block of an empty Appender")
	}
	return Block{
		header: Header{
			Codec:   CodecGorilla,
			Unit:    a.unit,
			Count:   int(a.count),
			MinTime: a.minTime,
			MaxTime: a.maxTime,
			First:   math.Float64frombits(a.first),
			Last:    math.Float64frombits(a.last),
		},
		words:    a.buf[:len(a.buf):len(a.buf)],
		tail:     a.word,
		tailBits: a.used,
	}
}

// Seal appends the finished chunk, as it is stored under key, to dst. The Appender is left as it was.
func (a *Appender) Seal(dst, key []byte) []byte { return a.Block().Seal(dst, key) }

// Reset makes the Appender empty, with room for a payload of some bytes, so that a series whose last
// chunk was that long doesn't grow its buffer step by step again. It lets go of its memory, which Blocks
// may still be reading.
func (a *Appender) Reset(bytes int) {
	*a = Appender{}
	if bytes > firstBytes {
		a.buf = make([]byte, 0, bytes+8*maxSampleWords)
	}
}
