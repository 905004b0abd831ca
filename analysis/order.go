package analysis

import (
	"math"
	"slices"
)

// location says where the bulk of a sample lies, and how wide it is, whatever a minority does.
type location struct {
	median, lowQuartile, highQuartile float64

	// scale is the larger of 1.4826 MAD and IQR/1.349, which both estimate the standard deviation of normal
	// data. If both are 0, since more than half of the values are equal, it is the distance within which nine
	// tenths are, over 1.645: that of rounded noise, still. 0: nine tenths are equal.
	scale float64
}

// locate returns the location of values, which are finite and at least one. It sorts them.
func locate(values []float64) location {
	slices.Sort(values)
	l := location{median: quantile(values, 0.5), lowQuartile: quantile(values, 0.25), highQuartile: quantile(values, 0.75)}
	l.scale = max(1.4826*deviationAt(values, l.median, 0.5), (l.highQuartile-l.lowQuartile)/1.349)
	if last := float64(len(values) - 1); l.scale == 0 && last > 0 {
		l.scale = deviationAt(values, l.median, math.Floor(0.9*last)/last) / 1.645
	}
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

// deviationAt returns a quantile of the absolute deviations of sorted values from their median.
func deviationAt(sorted []float64, median, q float64) float64 {
	// The deviations ascend from the median outwards on both sides, so they are merged from there.
	above, _ := slices.BinarySearch(sorted, median)
	below := above - 1
	rank := q * float64(len(sorted)-1)
	var previous, last float64
	for range min(int(rank)+2, len(sorted)) {
		previous = last
		if below < 0 || above < len(sorted) && sorted[above]-median <= median-sorted[below] {
			last = sorted[above] - median
			above++
		} else {
			last = median - sorted[below]
			below--
		}
	}
	if int(rank)+1 == len(sorted) {
		return last
	}
	return previous + (rank-math.Floor(rank))*(last-previous)
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
