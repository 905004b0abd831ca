package sketch

import "math"

// Quantile returns the value at rank q * (Count - 1), interpolated linearly between the two neighbouring
// ranks (Hyndman and Fan's type 7), each taken within RelativeError. So it is within RelativeError of a
// value between the two samples, and, when these have the same sign, of what the samples themselves would
// give. q below 0 and above 1 counts as 0 and 1. Of an empty sketch, and between infinities of either sign,
// it is NaN.
func (s *Sketch) Quantile(q float64) float64 {
	if s.count == 0 || q != q {
		return math.NaN()
	}
	rank := min(max(q, 0), 1) * float64(s.count-1)
	low := min(int64(rank), s.count-1)
	fraction := rank - float64(low)
	a, b := s.neighbours(low)
	switch step := b - a; {
	case fraction <= 0 || a == b:
		return a
	case math.IsInf(step, 0): // an end is infinite, or they are too far apart for their difference
		return a*(1-fraction) + b*fraction
	case fraction < 0.5:
		return a + step*fraction
	default:
		return b - step*(1-fraction)
	}
}

// neighbours returns the numbers that stand for the values of this rank and the next; the same twice if
// it is the last.
func (s *Sketch) neighbours(rank int64) (a, b float64) {
	found := false
	seen := int64(0)
	for value, n := range s.ascend {
		seen += n
		if !found && rank < seen {
			a, found = value, true
		}
		if found {
			b = value
			if rank+1 < seen {
				break
			}
		}
	}
	return a, b
}

// ascend yields the numbers that stand for values, in ascending order, and of how many.
func (s *Sketch) ascend(yield func(value float64, n int64) bool) {
	if s.minusInf > 0 && !yield(math.Inf(-1), s.minusInf) {
		return
	}
	for bin, n := range s.negative.descend {
		if !yield(-valueOf(bin), n) {
			return
		}
	}
	if s.zeros > 0 && !yield(0, s.zeros) {
		return
	}
	for bin, n := range s.positive.ascend {
		if !yield(valueOf(bin), n) {
			return
		}
	}
	if s.plusInf > 0 {
		yield(math.Inf(1), s.plusInf)
	}
}
