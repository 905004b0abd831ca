package sketch

import (
	"math"
	"unsafe"
)

// Sketch counts values in bins. The zero value is an empty sketch. It holds at most 1.3 MiB, and that only for
// values of all magnitudes and both signs; those of a usual metric take one to four KiB.
type Sketch struct {
	count              int64 // of all values, NaN left out
	zeros              int64 // of either sign
	minusInf, plusInf  int64
	negative, positive side
}

// AddAll counts the values. NaN is left out.
func (s *Sketch) AddAll(values []float64) {
	const none = -1
	number, p := int64(none), (*page)(nil) // the page of the last positive value
	nans := 0
	for _, v := range values {
		bits := math.Float64bits(v)
		if bits-smallestNormal >= bitsOfInfinity-smallestNormal { // not positive and normal
			if v != v {
				nans++
			} else {
				s.addOther(bits)
			}
			continue
		}
		bin := binOf(bits)
		if bin>>pageBits != number {
			number = bin >> pageBits
			p = s.positive.page(number)
		}
		p[bin&pageMask]++
	}
	s.count += int64(len(values) - nans)
}

// addOther counts a value that is negative, zero, subnormal or infinite.
func (s *Sketch) addOther(bits uint64) {
	signed, absolute := bits > absoluteMask, bits&absoluteMask
	switch {
	case absolute == 0:
		s.zeros++
		return
	case absolute == bitsOfInfinity && signed:
		s.minusInf++
		return
	case absolute == bitsOfInfinity:
		s.plusInf++
		return
	}
	to := &s.positive
	if signed {
		to = &s.negative
	}
	bin := binOfAny(absolute)
	to.page(bin >> pageBits)[bin&pageMask]++
}

// Merge adds what o counted.
func (s *Sketch) Merge(o *Sketch) {
	s.count += o.count
	s.zeros += o.zeros
	s.minusInf += o.minusInf
	s.plusInf += o.plusInf
	s.negative.merge(&o.negative)
	s.positive.merge(&o.positive)
}

// Count returns how many values were counted.
func (s *Sketch) Count() int64 { return s.count }

// Reset empties the sketch and keeps its memory.
func (s *Sketch) Reset() {
	s.count, s.zeros, s.minusInf, s.plusInf = 0, 0, 0, 0
	s.negative.reset()
	s.positive.reset()
}

// Bytes returns how much memory the sketch holds.
func (s *Sketch) Bytes() int {
	return int(unsafe.Sizeof(*s)) + s.negative.bytes() + s.positive.bytes()
}
