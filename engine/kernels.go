package engine

// sumOf returns the sum of the values and what it lost to rounding, so that both together are what a sum of twice
// the precision would be (T. Ogita, S. M. Rump and S. Oishi, "Accurate Sum and Dot Product", 2005, Algorithm 4.4).
// It goes in four lanes, since each addition waits for the one before, and has no branches. Where an infinity is
// among the values, or a sum is one, lost is not a number. Of nothing but numbers the sum is one too, unless
// infinities of both signs meet.
func sumOf(values []float64) (sum, lost float64) {
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
	lost = (e0 + e1) + (e2 + e3)
	sum = s0
	for _, v := range [...]float64{s1, s2, s3} {
		t := sum + v
		z := t - sum
		lost += (sum - (t - z)) + (v - z)
		sum = t
	}
	return sum, lost
}

// extremesOf returns the least and the greatest of at least one value, none of which is NaN.
func extremesOf(values []float64) (low, high float64) {
	low, high = values[0], values[0]
	for _, v := range values {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	return low, high
}

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
