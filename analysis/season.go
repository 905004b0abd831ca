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
	minCorrelation = 0.25 // of the series with itself, a period later; of short ones more, since noise has some, too
)

// findPeriod returns the period of the cycle that a series has, in points, or 0: the first peak of its
// autocorrelation that is about as high as the highest.
func findPeriod(times []int64, values []float64) float64 {
	if len(values) < minCycles*minPeriod || !isRegular(times) {
		return 0
	}
	width := (len(values) + maxSpectrumPoints - 1) / maxSpectrumPoints
	coarse := flatten(blockMeans(values, width))
	correlation := autocorrelation(coarse)
	lag := firstPeak(correlation, len(coarse)/minCycles)
	if lag == 0 || width == 1 {
		return sharpen(correlation, lag)
	}
	return refine(flatten(slices.Clone(values)), lag, width)
}

// isRegular reports whether points follow one another at one interval, nearly all of them, so that lags in
// points are lags in time.
func isRegular(times []int64) bool {
	intervals := make([]int64, 0, len(times)-1)
	for i := 1; i < len(times); i++ {
		intervals = append(intervals, times[i]-times[i-1])
	}
	usual := slices.Clone(intervals)
	slices.Sort(usual)
	typical := usual[len(usual)/2]
	span := float64(times[len(times)-1] - times[0])
	return typical > 0 && math.Abs(span/float64(typical)/float64(len(intervals))-1) < 0.01
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

// flatten takes the mean and the linear trend out of values, and pulls in what lies far out, all of which
// would hide a cycle. It changes values.
func flatten(values []float64) []float64 {
	bulk := locate(slices.Clone(values))
	low, high := bulk.median-3*bulk.scale, bulk.median+3*bulk.scale
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

// firstPeak returns the smallest lag, after the correlation has first vanished, at which it peaks about as
// high as anywhere up to longest; 0: it is nowhere high enough.
func firstPeak(correlation []float64, longest int) int {
	longest = min(longest, len(correlation)-2)
	begin := 1
	for begin <= longest && correlation[begin] > 0 {
		begin++
	}
	begin = max(begin, minPeriod)
	highest := 0.0
	for lag := begin; lag <= longest; lag++ {
		highest = max(highest, correlation[lag])
	}
	if highest < max(minCorrelation, 4/math.Sqrt(float64(2*len(correlation)))) {
		return 0
	}
	for lag := begin; lag <= longest; lag++ {
		here := correlation[lag]
		if here >= 0.9*highest && here >= correlation[lag-1] && here >= correlation[lag+1] {
			return lag
		}
	}
	return 0
}

// sharpen returns the period whose first peak is at a lag, from peaks at ever higher multiples of it: their places
// tell it to a fraction of a point.
func sharpen(correlation []float64, lag int) float64 {
	period := float64(lag)
	for cycles := 2; lag > 0; cycles++ {
		expected := period * float64(cycles)
		reach := 1 + period/float64(8*cycles)
		begin, end := int(expected-reach), int(expected+reach)+1
		if end >= len(correlation) {
			break
		}
		best := begin
		for at := begin; at <= end; at++ {
			if correlation[at] > correlation[best] {
				best = at
			}
		}
		if correlation[best] < minCorrelation/2 {
			break
		}
		period = float64(best) / float64(cycles)
	}
	return period
}

// refine returns the lag in points that correlates best, of those that a lag in blocks of some width stands
// for.
func refine(values []float64, blocks, width int) float64 {
	best, highest := 0, math.Inf(-1)
	const products = 16 // of each block; all would take longer than everything else
	stride := max(width/products, 1) | 1
	for lag := max((blocks-1)*width, minPeriod); lag <= (blocks+1)*width; lag++ {
		sum, count := 0.0, 0
		for i := 0; i+lag < len(values); i += stride {
			sum += values[i] * values[i+lag]
			count++
		}
		if mean := sum / float64(count); mean > highest {
			best, highest = lag, mean
		}
	}
	return float64(best)
}

// withoutCycle returns each value less the median of what stands at its place in the five nearest other cycles, or
// in as many as there are. Unlike a table of the cycle's phases, this follows a cycle that changes.
func withoutCycle(values []float64, period float64) []float64 {
	out := make([]float64, len(values))
	var others [5]float64
	cycles := int(float64(len(values)) / period)
	for i := range values {
		count := 0
		for k := 1; count < len(others) && k <= cycles; k++ {
			whole, part := math.Modf(float64(k) * period)
			away := int(whole)
			if at := i - away; at >= 1 {
				others[count] = between(values[at], values[at-1], part)
				count++
			}
			if at := i + away; at+1 < len(values) && count < len(others) {
				others[count] = between(values[at], values[at+1], part)
				count++
			}
		}
		if found := others[:count]; count > 0 {
			slices.Sort(found)
			out[i] = values[i] - quantile(found, 0.5)
		}
	}
	return out
}

func between(near, far, part float64) float64 { return near + part*(far-near) }
