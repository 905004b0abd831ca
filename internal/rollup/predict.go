package rollup

// What follows turns columns of integers into residuals, the zigzag forms of their differences to a prediction, and back: the same
// loop does both, so that encoder and decoder predict alike. A prediction is from what was decoded before: the
// column's rows before, and whole columns that come before it in this order: counts, sums, lasts,
// firsts, mins, maxs. Sums come first since averages need only them, and the other columns lose little by it: a
// mean of samples that follow a random walk tells where they ended about as well as the end tells the mean.
//
// Integers wrap around, so any can be told by its residual. What is computed in floating point is
// rounded after each operation, alike on every processor.

// method says how a column is predicted. The encoder takes the one with the smallest residuals.
type method uint8

// methods is how many there are, by column.
const (
	sumMethods   = 2
	lastMethods  = 3
	firstMethods = 2
)

// direction says what a loop does.
type direction bool

const (
	predict direction = false // in holds the integers, out gets the residuals
	restore direction = true  // in holds the residuals, out gets the integers
)

// predictSums expects 0: the mean to stay as it was; 1: sums to go on changing as they did. The first sum is
// known.
func predictSums(out, in []int64, m method, d direction, counts []int64, first int64) {
	if len(in) == 0 {
		return
	}
	before, change, count := first, int64(0), counts[0]
	for i, v := range in {
		expected := before + change
		if counts[i] != count && m == 0 {
			expected += (counts[i] - count) * (before / count)
			count = counts[i]
		}
		if d == restore {
			v = unzigzag(v) + expected
			out[i] = v
		} else {
			out[i] = zigzag(v - expected)
		}
		if m == 1 {
			change = v - before
		}
		before = v
	}
}

// predictLasts expects 0: the last before, or the mean of the first point; 1: the end of a random walk that starts there and has
// this mean, and the next; 2: lasts to go on changing as they did.
//
// For 1: of a walk from a through n samples whose mean is m, the end is 1.5 m - 0.5 a on average, with a variance
// of n/4 steps; the mean of the next n is another estimate of the end, with n/3. Weighted by
// their precision that is (6 m - 2 a + 3 next) / 7, for which (7 m - 2 a + 3 next) / 8 is good enough and faster.
func predictLasts(out, in []int64, m method, d direction, counts, sums []int64) {
	if len(in) == 0 {
		return
	}
	if m == 1 {
		predictEnds(out, in, d, counts, sums)
		return
	}
	before, change := sums[0]/counts[0], int64(0)
	for i, v := range in {
		expected := before
		if m == 2 {
			expected += change
		}
		if d == restore {
			v = unzigzag(v) + expected
			out[i] = v
		} else {
			out[i] = zigzag(v - expected)
		}
		before, change = v, v-before
	}
}

func predictEnds(out, in []int64, d direction, counts, sums []int64) {
	mean := float64(sums[0]) / float64(counts[0])
	before := int64(mean)
	for i, v := range in {
		var expected int64
		if i+1 < len(in) {
			next := float64(sums[i+1]) / float64(counts[i+1])
			expected = (int64(float64(7*mean)+float64(3*next)) - 2*before) >> 3
			mean = next
		} else {
			expected = (int64(3*mean) - before) >> 1
		}
		if d == restore {
			v = unzigzag(v) + expected
			out[i] = v
		} else {
			out[i] = zigzag(v - expected)
		}
		before = v
	}
}

// predictFirsts expects 0: the last before; 1: a change since then as that at the row before.
func predictFirsts(out, in []int64, m method, d direction, lasts []int64) {
	if len(in) == 0 {
		return
	}
	before, step := lasts[0], int64(0)
	for i, v := range in {
		expected := before
		if m == 1 {
			expected += step
		}
		if d == restore {
			v = unzigzag(v) + expected
			out[i] = v
		} else {
			out[i] = zigzag(v - expected)
		}
		step = v - before
		before = lasts[i]
	}
}

// predictMins expects the lower of the ends. Its residuals, how far the least sample is below, are not negative. It
// is its own inverse.
func predictMins(out, in []int64, firsts, lasts []int64) {
	for i, v := range in {
		out[i] = min(firsts[i], lasts[i]) - v
	}
}

// predictMaxs expects the higher of the ends. Its residuals are not negative.
func predictMaxs(out, in []int64, d direction, firsts, lasts []int64) {
	for i, v := range in {
		top := max(firsts[i], lasts[i])
		if d == restore {
			out[i] = v + top
		} else {
			out[i] = v - top
		}
	}
}
