package engine

import (
	"math"

	"github.com/flopynet/collector/internal/chunk"
)

// sumOf returns the sum of the values and what it lost to rounding, so that both together are what a sum of twice
// the precision would be (T. Ogita, S. M. Rump and S. Oishi, "Accurate Sum and Dot Product", 2005, Algorithm 4.4).
// It goes in four lanes, since each addition waits for the one before, and has no branches. Where a lane, or all
// together, leave the range of floats, the sum is that of the values in their order, and lost is 0.
func sumOf(values []float64) (sum, lost float64) {
	all := values
	var s0, s1, s2, s3, e0, e1, e2, e3 float64
	for len(values) >= 4 {
		v := values[:4:4]
		t0, t1, t2, t3 := s0+v[0], s1+v[1], s2+v[2], s3+v[3]
		z0, z1, z2, z3 := t0-s0, t1-s1, t2-s2, t3-s3
		e0 += (s0 - (t0 - z0)) + (v[0] - z0)
		e1 += (s1 - (t1 - z1)) + (v[1] - z1)
		e2 += (s2 - (t2 - z2)) + (v[2] - z2)
		e3 += (s3 - (t3 - z3)) + (v[3] - z3)
		s0, s1, s2, s3 = t0, t1, t2, t3
		values = values[4:]
	}
	for _, v := range values {
		t := s0 + v
		z := t - s0
		e0 += (s0 - (t - z)) + (v - z)
		s0 = t
	}
	if sum, lost = joinLanes([...]float64{s0, s1, s2, s3}, (e0+e1)+(e2+e3)); sum-sum == 0 {
		return sum, lost
	}
	sum = 0
	for _, v := range all {
		sum += v
	}
	return sum, 0
}

// joinLanes adds up the sums of four lanes, which have lost so much together.
func joinLanes(lanes [4]float64, before float64) (sum, lost float64) {
	sum, lost = lanes[0], before
	for _, v := range lanes[1:] {
		t := sum + v
		z := t - sum
		lost += (sum - (t - z)) + (v - z)
		sum = t
	}
	return sum, lost
}

// sumWithin is sumOf for values of which none is NaN or of a larger magnitude than bound. Its lanes begin at a power of
// two that outweighs all sums: what rounding takes from a value that is added to a larger one takes half as many
// operations to find (T. J. Dekker, "A floating-point technique for extending the available precision", 1971), and what
// a lane began with is taken off without rounding. What is lost is then known to 2^-88 of a sum of 32 values, and of as
// many as a chunk has to 2^-70; where a sum is too small beside the bound for that, sumOf does it.
func sumWithin(values []float64, bound float64) (sum, lost float64) {
	const smallest, largest, share = 0x1p-900, 0x1p1000, 0x1p-10
	start := 2 * float64(len(values)) * bound
	if !(start > smallest && start < largest) {
		return sumOf(values)
	}
	start = powerAbove(start)
	s0, s1, s2, s3 := start, start, start, start
	var e0, e1, e2, e3 float64
	rest := values
	for len(rest) >= 4 {
		v := rest[:4:4]
		t0, t1, t2, t3 := s0+v[0], s1+v[1], s2+v[2], s3+v[3]
		e0 += v[0] - (t0 - s0)
		e1 += v[1] - (t1 - s1)
		e2 += v[2] - (t2 - s2)
		e3 += v[3] - (t3 - s3)
		s0, s1, s2, s3 = t0, t1, t2, t3
		rest = rest[4:]
	}
	for _, v := range rest {
		t := s0 + v
		e0 += v - (t - s0)
		s0 = t
	}
	sum, lost = joinLanes([...]float64{s0 - start, s1 - start, s2 - start, s3 - start}, (e0+e1)+(e2+e3))
	if math.Abs(sum) < start*share {
		return sumOf(values)
	}
	return sum, lost
}

// powerAbove returns the least power of two that is not below v, which is positive and not subnormal.
func powerAbove(v float64) float64 {
	const mantissa = 1<<52 - 1
	return math.Float64frombits((math.Float64bits(v) + mantissa) &^ mantissa)
}

// extremesOf returns the least and the greatest of at least one value, none of which is NaN; -0 is less than 0. It
// compares integers in the order of the floats, which takes no branch: few values have new extremes at every turn,
// and a processor guesses these badly.
func extremesOf(values []float64) (low, high float64) {
	least := ordered(values[0])
	most, least2, most2 := least, least, least
	for len(values) >= 2 {
		a, b := ordered(values[0]), ordered(values[1])
		least, most = min(least, a), max(most, a)
		least2, most2 = min(least2, b), max(most2, b)
		values = values[2:]
	}
	for _, v := range values {
		least, most = min(least, ordered(v)), max(most, ordered(v))
	}
	return unordered(min(least, least2)), unordered(max(most, most2))
}

// ordered maps floats to integers that are in the same order.
func ordered(v float64) int64 {
	bits := int64(math.Float64bits(v))
	return bits ^ int64(uint64(bits>>63)>>1)
}

// unordered is the inverse of ordered.
func unordered(x int64) float64 { return math.Float64frombits(uint64(x ^ int64(uint64(x>>63)>>1))) }

// hasNaN reports whether a value is NaN.
func hasNaN(values []float64) bool {
	for _, v := range values {
		if v != v {
			return true
		}
	}
	return false
}

// withoutNaN returns the values that are not NaN: the same slice, if all are.
func withoutNaN(values []float64) []float64 {
	if !hasNaN(values) {
		return values
	}
	var numbers []float64
	for _, v := range values {
		if v == v {
			numbers = append(numbers, v)
		}
	}
	return numbers
}

// sumOfIntegers returns the sum of integers, which must be in the range of int64.
func sumOfIntegers(values []int64) int64 {
	var s0, s1, s2, s3 int64
	for len(values) >= 4 {
		v := values[:4:4]
		s0 += v[0]
		s1 += v[1]
		s2 += v[2]
		s3 += v[3]
		values = values[4:]
	}
	for _, v := range values {
		s0 += v
	}
	return s0 + s1 + s2 + s3
}

// extremesOfIntegers returns the least and the greatest of at least one integer.
func extremesOfIntegers(values []int64) (low, high int64) {
	low, high = values[0], values[0]
	low2, high2 := low, high
	for len(values) >= 2 {
		a, b := values[0], values[1]
		low, high = min(low, a), max(high, a)
		low2, high2 = min(low2, b), max(high2, b)
		values = values[2:]
	}
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	return min(low, low2), max(high, high2)
}

// countBefore returns how many of the ascending times lie before end; the first of them does. Times are regular as
// a rule, so it looks first at where the end is then.
func countBefore(times []int64, end int64) int {
	last := len(times) - 1
	if times[last] < end {
		return last + 1
	}
	guess := int(float64(end-times[0]) / float64(times[last]-times[0]) * float64(last))
	if guess > 0 && guess <= last {
		if times[guess] < end && guess < last {
			guess++ // the quotient is rounded down
		}
		if times[guess] >= end && times[guess-1] < end {
			return guess
		}
	}
	low, high := 1, last // times[low-1] < end <= times[high]
	for low < high {
		if middle := int(uint(low+high) / 2); times[middle] < end {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// scaledTime returns the time of sample number i.
func scaledTime(s *chunk.Scaled, i int) int64 {
	if s.Step == 0 {
		return s.Times[i]
	}
	return s.First + int64(i)*s.Step
}

// scaledBefore returns how many samples lie before end, of which at do for certain.
func scaledBefore(s *chunk.Scaled, at int, end int64) int {
	switch all := len(s.Integers); {
	case s.Step > 0:
		return regularBefore(s.First, s.Step, all, end)
	case at == all || s.Times[at] >= end:
		return at
	default:
		return at + countBefore(s.Times[at:], end)
	}
}

// regularBefore returns how many of all samples lie before end, the first of which is at first and each other one step
// behind the one before.
func regularBefore(first, step int64, all int, end int64) int {
	if end <= first {
		return 0
	}
	return int(min(int64(all), (end-first-1)/step+1))
}
