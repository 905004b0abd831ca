package rollup

import (
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
