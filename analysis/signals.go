package analysis

import (
	"context"
	"math"
	"slices"
)

// The signals of a series, which are the features of the forest. The rule of Detect looks at all but the
// step, which is as large at the point after a spike as at the spike.
const (
	signalValue  = iota
	signalStep   // the value less the one before
	signalAround // the value less the median of the points around it: spikes, and what is wrong at its moment
	signalBefore // the value less the median of the points before it: shifts of level
	signalCount
)

// Windows of the medians, in points.
const (
	aroundWindow    = 7
	outermost       = 2 // points at either end, which have too few neighbours
	maxBeforeWindow = 100
)

// finest is the part of a series' scale, its trend left out, below which its residuals' scale doesn't count. The
// median of the points around cuts off the peaks of a curve; these few percent of its height are no anomaly,
// however smooth it is. Of fewer points than 200 it is a larger part, finestPoints over their number: few residuals
// are often small by chance.
const (
	finest       = 1.0 / 40
	finestPoints = 5.0
)

// signals holds them by point, with their locations.
type signals struct {
	columns   [signalCount][]float64
	locations [signalCount]location
	floor     float64 // differences up to this are noise of the arithmetic
	period    float64 // of the cycle that was taken out, in usual intervals; 0: none was found
}

// newSignals computes the signals of values, which are finite, at least minPoints, and small enough that
// differences don't overflow.
func newSignals(ctx context.Context, times []int64, values []float64) (*signals, error) {
	s := &signals{}
	largest := 0.0
	for _, value := range values {
		largest = max(largest, math.Abs(value))
	}
	s.floor = largest * 1e-12
	places, regular := placesOf(times)
	level := withoutTrend(values, places)
	base := level
	if regular {
		s.period = findPeriod(gridOf(values, places))
	}
	if s.period > 0 {
		base = withoutCycle(level, places, s.period)
	}
	var averaged []float64
	s.columns[signalValue] = values
	tasks := []func(){
		func() { s.columns[signalStep] = steps(values) },
		func() { s.columns[signalAround], averaged = around(base) },
		func() { s.columns[signalBefore] = before(base) },
	}
	if err := inParallel(ctx, len(tasks), func(i int) { tasks[i]() }); err != nil {
		return nil, err
	}
	located := s.columns
	located[signalAround] = averaged[outermost : len(averaged)-outermost]
	var height float64
	err := inParallel(ctx, signalCount+1, func(i int) {
		if i == signalCount {
			height = locate(slices.Clone(level)).scale
		} else {
			s.locations[i] = locate(slices.Clone(located[i]))
		}
	})
	least := max(finest, finestPoints/float64(len(values))) * height
	for _, residual := range [...]int{signalAround, signalBefore} {
		s.locations[residual].scale = max(s.locations[residual].scale, least)
	}
	return s, err
}

func steps(values []float64) []float64 {
	out := make([]float64, len(values))
	for i := 1; i < len(values); i++ {
		out[i] = values[i] - values[i-1]
	}
	return out
}

// around returns each value less the median of its neighbours, as many on one side as on the other: a slope
// is no surprise. They are even in number, so two are in the middle. Of these the nearer counts, since beside a
// shift of level one of them is on the other side. averaged is the value less the mean of the two, whose scale
// is that of noise. The outermost points have too few neighbours to be compared with.
func around(values []float64) (nearest, averaged []float64) {
	nearest, averaged = make([]float64, len(values)), make([]float64, len(values))
	rollingWindow(values, func(i int) (int, int) {
		reach := min(aroundWindow/2, i, len(values)-1-i)
		return i - reach, i + reach + 1
	}, func(i int, window []float64) {
		middle := len(window) / 2
		if middle < outermost {
			return
		}
		x, low, high := values[i], window[middle-1], window[middle+1]
		if x < window[middle] {
			low = window[middle]
		} else if x > window[middle] {
			high = window[middle]
		}
		averaged[i] = x - (low+high)/2
		nearest[i] = x - low
		if math.Abs(high-x) < math.Abs(x-low) {
			nearest[i] = x - high
		}
	})
	return nearest, averaged
}

// before returns each value less the median of the window before it. Early points have a shorter window, and the
// first few are compared with each other.
func before(values []float64) []float64 {
	out := make([]float64, len(values))
	window := max(maxBeforeWindow*len(values)/(maxBeforeWindow*4+len(values)), minPoints)
	rollingWindow(values, func(i int) (int, int) {
		return max(i-window, 0), max(i, minPoints)
	}, func(i int, sorted []float64) { out[i] = values[i] - middleOf(sorted) })
	return out
}

// withoutTrend returns values less a line, behind which medians of other moments would lag. Its slope is the median
// of the slopes between points a quarter of the series apart. A step somewhere is in a third of these at most, so
// it doesn't count as a trend.
func withoutTrend(values []float64, places []int) []float64 {
	apart := len(values) / 4
	slopes := make([]float64, len(values)-apart)
	for i := range slopes {
		slopes[i] = (values[i+apart] - values[i]) / float64(max(places[i+apart]-places[i], 1))
	}
	slope := quantileOf(slopes, 0.5)
	out := make([]float64, len(values))
	for i, value := range values {
		out[i] = value - slope*float64(places[i])
	}
	return out
}

// distance returns how far point i lies from the bulk, in scales, in its value or in its residuals. If there is a
// cycle, the residuals alone count: a value far out that comes with every cycle is no anomaly.
func (s *signals) distance(i int) float64 {
	most := 0.0
	for _, signal := range [...]int{signalValue, signalAround, signalBefore} {
		if signal != signalValue || s.period == 0 {
			most = max(most, s.locations[signal].distance(s.columns[signal][i], s.floor))
		}
	}
	return most
}

// unit returns the scale of a signal; where that is nothing, the mean distance from the median; and where that
// is nothing, too, 1.
func (s *signals) unit(signal int) float64 {
	bulk := s.locations[signal]
	if bulk.scale > s.floor {
		return bulk.scale
	}
	sum := 0.0
	for _, x := range s.columns[signal] {
		sum += math.Abs(x - bulk.median)
	}
	if mean := sum / float64(len(s.columns[signal])); mean > 0 {
		return mean
	}
	return 1
}
