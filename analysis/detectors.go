package analysis

import (
	"context"
	"math"
	"slices"
)

// detector scores points of a series; each score is in 0..1.
type detector func(ctx context.Context, s *signals, points []int32) ([]float64, error)

var detectors = [...]detector{
	IsolationForest: byForest,
	ZScore:          zscore,
	MAD:             mad,
	IQR:             iqr,
	EWMA:            ewma,
	Seasonal:        seasonal,
}

// scoreOf maps a distance in some detector's unit to a score. The customary threshold of each, which is about
// three, scores 0.6; 11 units 0.85; 65 units 0.97.
func scoreOf(distance float64) float64 {
	if math.IsInf(distance, 1) {
		return 1
	}
	return distance / (distance + 2)
}

func each(points []int32, distance func(i int) float64) []float64 {
	scores := make([]float64, len(points))
	for k, i := range points {
		scores[k] = scoreOf(distance(int(i)))
	}
	return scores
}

// zscore counts standard deviations from the mean.
func zscore(_ context.Context, s *signals, points []int32) ([]float64, error) {
	values := s.columns[signalValue]
	mean, squares := 0.0, 0.0
	for i, x := range values {
		delta := x - mean
		mean += delta / float64(i+1)
		squares += delta * (x - mean)
	}
	deviation := math.Sqrt(squares / float64(len(values)))
	return each(points, func(i int) float64 {
		if deviation <= s.floor {
			return 0
		}
		return math.Abs(values[i]-mean) / deviation
	}), nil
}

// mad counts median absolute deviations, as multiples of a standard deviation, from the median: the modified
// z-score of Iglewicz and Hoaglin ("How to Detect and Handle Outliers", 1993).
func mad(_ context.Context, s *signals, points []int32) ([]float64, error) {
	return distances(s, signalValue, points), nil
}

// iqr counts half interquartile ranges beyond the nearer quartile: Tukey's fences, at 1.5 ranges, are at 3.
func iqr(_ context.Context, s *signals, points []int32) ([]float64, error) {
	values, bulk := s.columns[signalValue], s.locations[signalValue]
	half := (bulk.highQuartile - bulk.lowQuartile) / 2
	return each(points, func(i int) float64 {
		beyond := max(bulk.lowQuartile-values[i], values[i]-bulk.highQuartile)
		switch {
		case beyond <= s.floor:
			return 0
		case half <= s.floor:
			return math.Inf(1)
		}
		return beyond / half
	}), nil
}

// Parameters of ewma.
const (
	ewmaWeight = 0.3
	ewmaClip   = 3 // scales
)

// ewma counts scales between a point and the exponentially weighted mean of those before it. The mean takes in
// a surprise only up to a few scales of it, so that a spike isn't followed by false ones.
func ewma(_ context.Context, s *signals, points []int32) ([]float64, error) {
	values := s.columns[signalValue]
	errors := ewmaErrors(values, math.Inf(1))
	bulk := locate(slices.Clone(errors))
	errors = ewmaErrors(values, ewmaClip*bulk.scale)
	bulk = locate(slices.Clone(errors))
	return each(points, func(i int) float64 { return bulk.distance(errors[i], s.floor) }), nil
}

// ewmaErrors returns each value less what the mean foretold, which is corrected by clip at most.
func ewmaErrors(values []float64, clip float64) []float64 {
	errors := make([]float64, len(values))
	level := locate(slices.Clone(values[:minPoints])).median
	for i, value := range values {
		errors[i] = value - level
		level += ewmaWeight * min(max(errors[i], -clip), clip)
	}
	return errors
}

// seasonal counts scales between a point and what the cycle lets expect at its place; in a series without a
// cycle, between it and the points before.
func seasonal(_ context.Context, s *signals, points []int32) ([]float64, error) {
	return distances(s, signalBefore, points), nil
}

func distances(s *signals, signal int, points []int32) []float64 {
	column, bulk := s.columns[signal], s.locations[signal]
	return each(points, func(i int) float64 { return bulk.distance(column[i], s.floor) })
}
