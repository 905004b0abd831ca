package analysis

import (
	"math"
	"math/bits"
	"math/cmplx"
	"slices"
)

const (
	// maxSpectrumPoints bounds the series whose autocorrelation is computed; of a longer one, means of
	// neighbours are taken. What recurs within a few of these neighbours is not found.
	maxSpectrumPoints = 1 << 15

	minPeriod      = 4    // points
	minCycles      = 3    // how often a cycle must be seen
	aboutAsHigh    = 0.85 // one peak beside another
	maxCyclesAway  = 8    // where points are missing in nearer ones
	minCorrelation = 0.25 // of the series with itself, a period later; of short ones more, since noise has some, too
)

// How many scales from the median values are let lie when a cycle is looked for: a few outliers would hide one. But
// if a cycle is nothing except what lies far out, as a short job each night, it takes more.
const (
	reach    = 3
	farReach = 30
)

// findPeriod returns the period of the cycle that a series has, in places of its grid, or 0: the first peak of
// its autocorrelation that is about as high as the highest.
func findPeriod(grid []float64) float64 {
	if len(grid) < minCycles*minPeriod {
		return 0
	}
	width := (len(grid) + maxSpectrumPoints - 1) / maxSpectrumPoints
	coarse := blockMeans(withoutGaps(grid), width)
	correlation := autocorrelation(flatten(slices.Clone(coarse), reach))
	lag := firstPeak(correlation, len(coarse)/minCycles)
	if lag == 0 {
		correlation = autocorrelation(flatten(coarse, farReach))
		// Two or three outliers may make a peak, and another at twice the lag, but no third.
		lag = firstPeak(correlation, len(coarse)/6-2)
		for _, later := range [...]int{2 * lag, 3 * lag} {
			if lag == 0 || slices.Max(correlation[later-2:later+3]) < correlation[lag]/2 {
				return 0
			}
		}
	}
	return sharpen(correlation, lag) * float64(width)
}

func blockMeans(values []float64, width int) []float64 {
	means := make([]float64, 0, len(values)/width)
	for i := 0; i+width <= len(values); i += width {
		sum := 0.0
		for _, value := range values[i : i+width] {
			sum += value
		}
		means = append(means, sum/float64(width))
	}
	return means
}

// flatten takes the mean and the linear trend out of values, and pulls in what lies further out than some scales,
// all of which would hide a cycle. It changes values.
func flatten(values []float64, reach float64) []float64 {
	bulk := locate(slices.Clone(values))
	low, high := bulk.median-reach*bulk.scale, bulk.median+reach*bulk.scale
	n := float64(len(values))
	middle := (n - 1) / 2
	sum, moment := 0.0, 0.0
	for i, value := range values {
		value = min(max(value, low), high)
		values[i] = value
		sum += value
		moment += (float64(i) - middle) * value
	}
	mean, slope := sum/n, moment/(n*(n*n-1)/12)
	for i := range values {
		values[i] -= mean + slope*(float64(i)-middle)
	}
	return values
}

// autocorrelation returns the correlation of values with themselves by lag, up to half of their length, by
// the theorem of Wiener and Khinchin. All are 0 if the values don't vary.
func autocorrelation(values []float64) []float64 {
	n := len(values)
	size := 1 << bits.Len(uint(2*n-1))
	spectrum := make([]complex128, size)
	for i, value := range values {
		spectrum[i] = complex(value, 0)
	}
	transform(spectrum)
	for i, x := range spectrum {
		spectrum[i] = complex(real(x)*real(x)+imag(x)*imag(x), 0)
	}
	transform(spectrum) // of a symmetric input: the inverse, but for a factor
	out := make([]float64, n/2)
	power := real(spectrum[0]) / float64(n)
	for lag := range out {
		if power > 0 {
			out[lag] = real(spectrum[lag]) / float64(n-lag) / power
		}
	}
	return out
}

// transform is the fast Fourier transform of Cooley and Tukey, in place; the length is a power of two.
func transform(x []complex128) {
	n := len(x)
	shift := 64 - bits.Len(uint(n-1))
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); j > i {
			x[i], x[j] = x[j], x[i]
		}
	}
	roots := make([]complex128, n/2)
	for i := range roots {
		roots[i] = cmplx.Rect(1, -2*math.Pi*float64(i)/float64(n))
	}
	for half := 1; half < n; half *= 2 {
		stride := n / (2 * half)
		for begin := 0; begin < n; begin += 2 * half {
			for k := range half {
				a, b := x[begin+k], x[begin+k+half]*roots[k*stride]
				x[begin+k], x[begin+k+half] = a+b, a-b
			}
		}
	}
}

// firstPeak returns the smallest lag at which the correlation peaks about as high as anywhere up to longest; 0: it
// is nowhere high enough. A peak rises from a valley; it need not be one of no correlation, since a short cycle may
// ride on slow changes.
func firstPeak(correlation []float64, longest int) int {
	longest = min(longest, len(correlation)-2)
	enough := max(minCorrelation, 4/math.Sqrt(float64(2*len(correlation))))
	lowest, highest := math.Inf(1), 0.0
	rises := make([]bool, longest+1) // so far above the lowest before
	for lag := 1; lag <= longest; lag++ {
		lowest = min(lowest, correlation[lag])
		if rises[lag] = lag >= minPeriod && correlation[lag]-lowest >= enough; rises[lag] {
			highest = max(highest, correlation[lag])
		}
	}
	if highest < enough {
		return 0
	}
	best := minPeriod
	for !rises[best] || correlation[best] < aboutAsHigh*highest {
		best++
	}
	for lag := best; lag <= longest && correlation[lag] >= aboutAsHigh*highest; lag++ {
		if correlation[lag] > correlation[best] {
			best = lag
		}
	}
	if correlation[best+1] > correlation[best] {
		return 0 // the peak is yet to come
	}
	return best
}

// sharpen returns the period whose first peak is at a lag, from the peaks at ever higher multiples of it: their
// places tell it to a fraction of a point.
func sharpen(correlation []float64, lag int) float64 {
	period := peakAt(correlation, lag, lag/8)
	for cycles := 2; ; cycles++ {
		expected := period * float64(cycles)
		reach := 1 + period/float64(8*cycles)
		begin, end := int(expected-reach), int(expected+reach)+1
		if end >= len(correlation) {
			return period
		}
		best := begin
		for at := begin; at <= end; at++ {
			if correlation[at] > correlation[best] {
				best = at
			}
		}
		if correlation[best] < minCorrelation/2 {
			return period
		}
		period = peakAt(correlation, best, lag/8) / float64(cycles)
	}
}

// peakAt returns where the parabola has its vertex that fits the correlations from a lag on to where they have
// halved, or up to reach, best: a broad peak's highest point is a matter of noise, and a narrow one's feet aren't its own.
func peakAt(correlation []float64, lag, reach int) float64 {
	reach = min(reach, len(correlation)-1-lag)
	for x := 1; x < reach; x++ {
		if min(correlation[lag-x], correlation[lag+x]) < correlation[lag]/2 {
			reach = x
		}
	}
	squares := 0.0
	for x := -reach; x <= reach; x++ {
		squares += float64(x * x)
	}
	mean := squares / float64(2*reach+1)
	slope, bend := 0.0, 0.0
	spread := 0.0
	for x := -reach; x <= reach; x++ {
		curve := float64(x*x) - mean
		slope += float64(x) * correlation[lag+x]
		bend += curve * correlation[lag+x]
		spread += curve * curve
	}
	if bend >= 0 {
		return float64(lag) // no peak; or no more than the lag itself
	}
	vertex := -slope / squares / (2 * bend / spread)
	return float64(lag) + min(max(vertex, -float64(reach)), float64(reach))
}

// withoutCycle returns each value less the median of what stands at its place in the five nearest other cycles, or
// in as many as there are. Unlike a table of the cycle's phases, this follows a cycle that changes.
func withoutCycle(values []float64, places []int, period float64) []float64 {
	out := make([]float64, len(values))
	grid := gridOf(values, places)
	var others [5]float64
	for i := range values {
		count := 0
		for k := 1; count < len(others) && k <= maxCyclesAway; k++ {
			whole, part := math.Modf(float64(k) * period)
			away := int(whole)
			for _, at := range [...][2]int{{places[i] - away, -1}, {places[i] + away, 1}} {
				if further := at[0] + at[1]; count < len(others) && further >= 0 && further < len(grid) {
					if other := between(grid[at[0]], grid[further], part); !math.IsNaN(other) {
						others[count] = other
						count++
					}
				}
			}
		}
		if found := others[:count]; count > 0 {
			slices.Sort(found)
			out[i] = values[i] - middleOf(found)
		}
	}
	return out
}
