package rollup

import (
	"encoding/binary"
	"fmt"

	"github.com/flopynet/collector/internal/sketch"
	"github.com/flopynet/collector/model"
)

// Sketches are the distributions of the values of one series, an hour each. Hours ascend; those without samples, or
// with nothing but NaN, are absent.
type Sketches struct {
	Starts []int64 // of the hours, nanoseconds since the epoch

	bytes   []byte // encoded sketches, one behind the other
	ends    []int  // of each, in bytes
	scratch sketch.Sketch
}

// Len returns the number of hours.
func (s *Sketches) Len() int { return len(s.Starts) }

// At returns hour i's sketch as sketch.MergeBinary takes it. It is valid until s changes.
func (s *Sketches) At(i int) []byte { return s.bytes[s.begin(i):s.ends[i]] }

func (s *Sketches) begin(i int) int {
	if i == 0 {
		return 0
	}
	return s.ends[i-1]
}

// Reset empties the sketches and keeps their memory.
func (s *Sketches) Reset() {
	s.Starts, s.bytes, s.ends = s.Starts[:0], s.bytes[:0], s.ends[:0]
}

// Append copies the sketches of hours lo to hi (exclusive) of from.
func (s *Sketches) Append(from *Sketches, lo, hi int) {
	for i := lo; i < hi; i++ {
		s.add(from.Starts[i], from.At(i))
	}
}

func (s *Sketches) add(start int64, encoded []byte) {
	s.Starts = append(s.Starts, start)
	s.bytes = append(s.bytes, encoded...)
	s.ends = append(s.ends, len(s.bytes))
}

// RollSketches appends the sketches of the hours of one series' samples, at strictly increasing times. The samples
// must be all of their hours'.
func RollSketches(dst *Sketches, times []int64, values []float64) {
	for len(times) > 0 {
		start, n := bucketOf(times, model.Tier1h.Width())
		dst.scratch.Reset()
		dst.scratch.AddAll(values[:n])
		if dst.scratch.Count() > 0 {
			dst.Starts = append(dst.Starts, start)
			dst.bytes = dst.scratch.AppendBinary(dst.bytes)
			dst.ends = append(dst.ends, len(dst.bytes))
		}
		times, values = times[n:], values[n:]
	}
}

// A stored chunk of sketches:
//
//	1 byte   1, the version of the format
//	uvarint  count of hours, less one
//	uvarint  start of the first hour, in hours
//	uvarint  how many hours between the first and the last are absent
//	starts, unless that is 0: uvarint length; a column of integers, in hours
//	the sketches
//	4 bytes  CRC32C of the key, followed by the value up to here

// EncodeSketches appends the sketches as one chunk, as it is stored under key, to dst. There must be 1 to
// MaxPoints of them; anything else is the caller's mistake and panics.
func EncodeSketches(dst, key []byte, s *Sketches) []byte {
	n, width := s.Len(), model.Tier1h.Width()
	if n < 1 || n > MaxPoints {
		panic(fmt.Sprintf("rollup: EncodeSketches was given %d sketches, not 1 to %d", n, MaxPoints))
	}
	start := len(dst)
	dst = append(dst, version)
	dst = appendRange(dst, s.Starts, width)
	if absent(s.Starts, width) > 0 {
		starts := appendStarts(nil, s.Starts, width)
		dst = binary.AppendUvarint(dst, uint64(len(starts)))
		dst = append(dst, starts...)
	}
	dst = append(dst, s.bytes...)
	return binary.BigEndian.AppendUint32(dst, checksum(key, dst[start:]))
}

// SketchChunk is a stored run of sketches. It shares the memory it was opened from.
type SketchChunk struct {
	count   int
	first   int64
	starts  []int64 // nil if no hour is absent
	payload []byte
}

// Len returns the number of hours, 1 to MaxPoints.
func (c SketchChunk) Len() int { return c.count }

// First returns the start of the first hour, in nanoseconds since the epoch.
func (c SketchChunk) First() int64 { return c.first }

// Last returns the start of the last hour.
func (c SketchChunk) Last() int64 { return c.start(c.count - 1) }

func (c SketchChunk) start(i int) int64 {
	if c.starts != nil {
		return c.starts[i]
	}
	return c.first + int64(i)*model.Tier1h.Width()
}

// All yields each hour's start and its sketch as sketch.MergeBinary takes it.
func (c SketchChunk) All(yield func(start int64, encoded []byte) bool) {
	src := c.payload
	for i := range c.count {
		rest, err := sketch.Skip(src)
		if err != nil {
			panic("rollup: " + err.Error() + ", though OpenSketches looked at it")
		}
		if !yield(c.start(i), src[:len(src)-len(rest)]) {
			return
		}
		src = rest
	}
}

// AppendTo copies all sketches to dst.
func (c SketchChunk) AppendTo(dst *Sketches) {
	for start, encoded := range c.All {
		dst.add(start, encoded)
	}
}

// OpenSketches checks a stored chunk of sketches against its key. An error wraps ErrCorrupt and says what is
// wrong. The sketches themselves are checked by sketch.MergeBinary.
func OpenSketches(key, value []byte) (SketchChunk, error) {
	src, err := open(key, value)
	if err != nil {
		return SketchChunk{}, err
	}
	return parseSketches(src)
}

// parseSketches reads what is between version and checksum.
func parseSketches(src []byte) (SketchChunk, error) {
	width := model.Tier1h.Width()
	r, src, err := readRange(src, width)
	if err != nil {
		return SketchChunk{}, err
	}
	c := SketchChunk{count: r.count, first: r.first}
	if r.absent > 0 {
		length, n := binary.Uvarint(src)
		if n <= 0 || length > uint64(len(src)-n) {
			return SketchChunk{}, fmt.Errorf("%w: the length of starts is missing or too large", ErrCorrupt)
		}
		end := n + int(length)
		c.starts = make([]int64, c.count)
		if err := r.readStarts(src[n:end], c.starts, width); err != nil {
			return SketchChunk{}, err
		}
		src = src[end:]
	}
	c.payload = src
	for range c.count {
		if src, err = sketch.Skip(src); err != nil {
			return SketchChunk{}, nothingLeft(nil, err)
		}
	}
	return c, nothingLeft(src, nil)
}
