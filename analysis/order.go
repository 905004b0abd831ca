package analysis

import (
	"math"
	"slices"
)

// location says where the bulk of a sample lies, and how wide it is, whatever a minority does.
type location struct {
	median, lowQuartile, highQuartile float64

	// scale is the larger of 1.4826 MAD and IQR/1.349, which both estimate the standard deviation of normal
	// data. 0: more than half of the points are equal.
	scale float64
}

// locate returns the location of values, which are finite and at least one. It sorts them.
func locate(values []float64) location {
	slices.Sort(values)
	l := location{median: quantile(values, 0.5), lowQuartile: quantile(values, 0.25), highQuartile: quantile(values, 0.75)}
	l.scale = max(1.4826*medianDeviation(values, l.median), (l.highQuartile-l.lowQuartile)/1.349)
	return l
}

// distance returns how many scales x lies from the median. Where the scale is no more than noise of the
// arithmetic, which is floor, everything that is further away than that is infinitely far.
func (l location) distance(x, floor float64) float64 {
	d := math.Abs(x - l.median)
	switch {
	case d <= floor:
		return 0
	case l.scale <= floor:
		return math.Inf(1)
	}
	return d / l.scale
}

// quantile interpolates linearly between the ranks of sorted values.
func quantile(sorted []float64, q float64) float64 {
	rank := q * float64(len(sorted)-1)
	low := int(rank)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (rank-float64(low))*(sorted[low+1]-sorted[low])
}

// medianDeviation returns the median of the absolute deviations from the median of sorted values.
func medianDeviation(sorted []float64, median float64) float64 {
	// The deviations ascend from the median outwards on both sides, so they are merged from there.
	above, _ := slices.BinarySearch(sorted, median)
	below := above - 1
	next := func() float64 {
		if below < 0 || above < len(sorted) && sorted[above]-median <= median-sorted[below] {
			above++
			return sorted[above-1] - median
		}
		below--
		return median - sorted[below+1]
	}
	half := len(sorted) / 2
	var previous, last float64
	for range half + 1 {
		previous, last = last, next()
	}
	if len(sorted)%2 == 1 {
		return last
	}
	return (previous + last) / 2
}

// rollingWindow calls take for each i with the values of window i, sorted. bounds tells the windows' ends,
// which never step back.
func rollingWindow(values []float64, bounds func(i int) (begin, end int), take func(i int, sorted []float64)) {
	var window []float64
	begin, end := 0, 0
	for i := range values {
		newBegin, newEnd := bounds(i)
		for ; end < newEnd; end++ {
			at, _ := slices.BinarySearch(window, values[end])
			window = slices.Insert(window, at, values[end])
		}
		for ; begin < newBegin; begin++ {
			at, _ := slices.BinarySearch(window, values[begin])
			window = slices.Delete(window, at, at+1)
		}
		take(i, window)
	}
}
