package analysis

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// minPoints is how many finite values a series must have to be analysed: of fewer, nobody can say what is
// usual.
const minPoints = 10

// minScore and minDistance are what a point must reach to be reported, by its score and in robust scales from
// the median. For minDistance see distanceFor.
const (
	minScore    = 0.6
	minDistance = 5.0
)

// MaxSensitivity is the most that Options.Sensitivity may be: what is more common than that is the rule.
const MaxSensitivity = 0.5

// Options says how to look for anomalies.
type Options struct {
	Algorithm   Algorithm
	Sensitivity float64 // the largest share of the points that may be reported, above 0, up to MaxSensitivity
}

// Anomaly is a point that is reported.
type Anomaly struct {
	Index     int // of the point in the series
	Score     float64
	Severity  Severity
	Deviation float64 // the value less Result.Baseline; may be infinite
}

// Result is what was found in a series.
type Result struct {
	Anomalies []Anomaly // the highest score first, equal ones in the order of their points
	Baseline  float64   // the mean of the finite values that are not reported; NaN: there are none
	Points    int       // that were looked at; 0: there are too few
	Period    float64   // of the cycle that the series has, in its usual intervals; 0: none was found
}

// Detect finds the anomalies of a series, given as times in nanoseconds, ascending, and values, as many. It
// ends early with the context's error. Any values will do: NaN is left out, infinite values are anomalies of
// score 1.
//
// A point is reported if its score is at least 0.6, if its value lies at least five robust scales from the
// series' median, or else from the median of the points around or before it, once the cycle is taken out;
// and if not too many other points have a higher score: floor(Sensitivity * points) are reported at most. A
// robust scale is the larger of 1.4826 MAD and IQR/1.349. Of very many points of noise, and of very few, some
// reach five scales by chance; there it takes more (distanceFor).
func Detect(ctx context.Context, times []int64, values []float64, o Options) (Result, error) {
	if !(o.Sensitivity > 0 && o.Sensitivity <= MaxSensitivity) {
		return Result{}, fmt.Errorf("sensitivity is %v, it must be above 0 and at most %v", o.Sensitivity, MaxSensitivity)
	}
	series := usable(times, values)
	if len(series.values) < minPoints {
		return Result{Baseline: math.NaN()}, ctx.Err()
	}
	found, period, err := series.candidates(ctx, o.Algorithm)
	if err != nil {
		return Result{}, err
	}
	for _, i := range series.infinite {
		found = append(found, Anomaly{Index: i, Score: 1})
	}
	slices.SortFunc(found, func(a, b Anomaly) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Index, b.Index))
	})
	result := Result{Points: len(series.values) + len(series.infinite), Period: period}
	// The product may be a hair below a whole number that it should be.
	most := int(o.Sensitivity*float64(result.Points) + 1e-9)
	result.Anomalies = found[:min(len(found), most)]
	result.Baseline = series.meanWithout(result.Anomalies)
	for i := range result.Anomalies {
		a := &result.Anomalies[i]
		a.Severity = severityOf(a.Score)
		a.Deviation = values[a.Index] - result.Baseline
	}
	return result, nil
}

// distanceFor returns how many scales it takes among n points. Noise reaches five scales by chance: in one of
// some hundred normal series of a thousand points, and in most of a million; and where points are few, the scale
// itself is uncertain. With this, about one series of noise in ten thousand has a false report, whatever its
// length.
func distanceFor(n int) float64 {
	const falseReports = 1e-4
	const signals = 3 // that may be far out
	byLength := math.Sqrt2 * math.Erfcinv(falseReports/signals/float64(n))
	few := 10 / float64(n)
	return max(minDistance, byLength) * (1 + few + 2*few*few)
}

// usableSeries is a series without what can't be computed with.
type usableSeries struct {
	times    []int64
	values   []float64 // finite, and so small that sums and differences are, too
	index    []int     // of these in the series as given
	exponent int       // values are 2^exponent too small
	infinite []int     // indexes of infinite values
}

func usable(times []int64, values []float64) usableSeries {
	s := usableSeries{times: make([]int64, 0, len(values)), values: make([]float64, 0, len(values)), index: make([]int, 0, len(values))}
	largest := 0.0
	for i, value := range values {
		switch {
		case math.IsNaN(value):
		case math.IsInf(value, 0):
			s.infinite = append(s.infinite, i)
		default:
			s.times, s.values, s.index = append(s.times, times[i]), append(s.values, value), append(s.index, i)
			largest = max(largest, math.Abs(value))
		}
	}
	const soonTooLarge, soonTooSmall = 1e100, 1e-100 // squared sums would leave the floats' range
	if largest > soonTooLarge || largest > 0 && largest < soonTooSmall {
		_, s.exponent = math.Frexp(largest)
		for i := range s.values {
			s.values[i] = math.Ldexp(s.values[i], -s.exponent)
		}
	}
	return s
}

// candidates scores the points that lie far enough out, and returns those that score high enough.
func (s *usableSeries) candidates(ctx context.Context, algorithm Algorithm) ([]Anomaly, float64, error) {
	signals, err := newSignals(ctx, s.times, s.values)
	if err != nil {
		return nil, 0, err
	}
	var far []int32
	least := distanceFor(len(s.values))
	for i := range s.values {
		if signals.distance(i) >= least {
			far = append(far, int32(i))
		}
	}
	if len(far) == 0 {
		return nil, signals.period, ctx.Err()
	}
	scores, err := detectors[algorithm](ctx, signals, far)
	if err != nil {
		return nil, 0, err
	}
	var found []Anomaly
	for k, i := range far {
		if scores[k] >= minScore {
			found = append(found, Anomaly{Index: s.index[i], Score: scores[k]})
		}
	}
	return found, signals.period, nil
}

// meanWithout returns the mean of the finite values of the points that are not reported.
func (s *usableSeries) meanWithout(reported []Anomaly) float64 {
	without := make(map[int]bool, len(reported))
	for _, a := range reported {
		without[a.Index] = true
	}
	sum, count := 0.0, 0
	for i, value := range s.values {
		if !without[s.index[i]] {
			sum += value
			count++
		}
	}
	return math.Ldexp(sum/float64(count), s.exponent)
}
