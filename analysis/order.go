package analysis

import (
	"math"
	"math/bits"
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

// locate returns the location of values, which are finite and at least one. It changes them.
func locate(values []float64) location {
	l := location{median: quantileOf(values, 0.5), lowQuartile: quantileOf(values, 0.25), highQuartile: quantileOf(values, 0.75)}
	for i, value := range values {
		values[i] = math.Abs(value - l.median)
	}
	l.scale = max(1.4826*quantileOf(values, 0.5), (l.highQuartile-l.lowQuartile)/1.349)
	if l.scale == 0 {
		rank := 9 * (len(values) - 1) / 10
		selectRank(values, rank)
		l.scale = values[rank] / 1.645
	}
	return l
}

// quantileOf returns a quantile of values, between whose ranks it interpolates linearly. It reorders them.
func quantileOf(values []float64, q float64) float64 {
	rank, part := math.Modf(q * float64(len(values)-1))
	low := int(rank)
	selectRank(values, low)
	if part == 0 {
		return values[low]
	}
	return between(values[low], slices.Min(values[low+1:]), part)
}

// selectRank reorders values so that the one of a rank is in its place, and none behind it is smaller, by Hoare's
// quickselect; sorting would take ten times as long.
func selectRank(values []float64, rank int) {
	begin, end := 0, len(values)
	for rounds := 2 * bits.Len(uint(end)); end-begin > 12 && rounds > 0; rounds-- {
		low, high := begin, end-1
		ends := [3]float64{values[low], values[begin+(end-begin)/2], values[high]}
		slices.Sort(ends[:])
		pivot := ends[1]
		for low <= high {
			for values[low] < pivot {
				low++
			}
			for values[high] > pivot {
				high--
			}
			if low <= high {
				values[low], values[high] = values[high], values[low]
				low, high = low+1, high-1
			}
		}
		switch {
		case rank <= high:
			end = high + 1
		case rank >= low:
			begin = low
		default:
			return // between them all are equal to the pivot
		}
	}
	slices.Sort(values[begin:end]) // little is left, or unlucky pivots left too much
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

// middleOf returns the median of sorted values.
func middleOf(sorted []float64) float64 {
	n := len(sorted)
	return between(sorted[(n-1)/2], sorted[n/2], 0.5)
}

func between(a, b, part float64) float64 { return a + part*(b-a) }
