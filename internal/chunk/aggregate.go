package chunk

import "math"

// summary gathers a chunk's aggregates over its values in time order. The sum is A. Neumaier's
// compensated one ("Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974). It
// depends on the values and their order alone, not on how they are cut into calls of add. Partial sums
// beyond the range of float64 are infinite, as in a plain sum.
//
// Aggregates are computed when a chunk is sealed, from the decoded values. That takes 4.6 ns a sample
// against 2.1 in Append, but every open chunk is 32 bytes smaller, and a sealing that tries another
// codec has the values at hand anyway.
type summary struct {
	nan             bool
	sum, correction float64
	min, max        float64
}

func newSummary() summary { return summary{min: math.Inf(1), max: math.Inf(-1)} }

func (s *summary) add(values []float64) {
	sum, correction, least, most := s.sum, s.correction, s.min, s.max
	for _, v := range values {
		total := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			correction += (sum - total) + v
		} else {
			correction += (v - total) + sum
		}
		sum = total
		if v < least {
			least = v
		}
		if v > most {
			most = v
		}
		if v != v {
			s.nan = true
		}
	}
	s.sum, s.correction, s.min, s.max = sum, correction, least, most
}

// fill writes the aggregates into a header. Beside a NaN they mean nothing and are zero, and a sum that
// is not a number (of opposite infinities) is math.NaN(): so equal samples make equal bytes on every
// processor.
func (s *summary) fill(h *Header) {
	h.summed = true
	if s.nan {
		h.Flags |= FlagNaN
		return
	}
	h.min, h.max = s.min, s.max
	switch {
	case math.IsInf(s.sum, 0):
		h.sum = s.sum // the correction is NaN: infinity less infinity
	case math.IsNaN(s.sum):
		h.sum = math.NaN()
	default:
		h.sum = s.sum + s.correction
	}
}
