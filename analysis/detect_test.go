package analysis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var allAlgorithms = []Algorithm{IsolationForest, ZScore, MAD, IQR, EWMA, Seasonal}

// noisy returns normal noise around 50, of deviation 1.
func noisy(n int, seed uint64) []float64 {
	random := rand.New(rand.NewPCG(seed, 9))
	values := make([]float64, n)
	for i := range values {
		values[i] = 50 + random.NormFloat64()
	}
	return values
}

// indexes returns the points of anomalies, ascending.
func indexes(r Result) []int {
	var out []int
	for _, a := range r.Anomalies {
		out = append(out, a.Index)
	}
	slices.Sort(out)
	return out
}

func TestSpikesAreFoundByAll(t *testing.T) {
	for _, algorithm := range allAlgorithms {
		values := noisy(300, 1)
		values[40], values[200], values[299] = 80, 20, 75
		got := detect(t, values, Options{Algorithm: algorithm, Sensitivity: 0.1})
		if want := []int{40, 200, 299}; !slices.Equal(indexes(got), want) {
			t.Errorf("%v: %v, want %v", algorithm, got.Anomalies, want)
		}
		sum := -80.0 - 20 - 75
		for _, value := range values {
			sum += value
		}
		if want := sum / 297; math.Abs(got.Baseline-want) > 1e-9 {
			t.Errorf("%v: baseline %v, want %v", algorithm, got.Baseline, want)
		}
		for _, a := range got.Anomalies {
			if a.Deviation != values[a.Index]-got.Baseline || a.Severity != severityOf(a.Score) {
				t.Errorf("%v: %+v", algorithm, a)
			}
		}
	}
}

// TestWhatIsWrongAtItsMoment plants a value that the series often has, where it doesn't belong.
func TestWhatIsWrongAtItsMoment(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 9))
	values := make([]float64, 1000)
	for i := range values {
		values[i] = 50 + 10*math.Sin(2*math.Pi*float64(i)/120) + 0.3*random.NormFloat64()
	}
	values[510] = 50 // at a peak
	for algorithm, want := range map[Algorithm][]int{
		IsolationForest: {510}, Seasonal: {510}, EWMA: {510}, ZScore: nil, MAD: nil, IQR: nil,
	} {
		got := detect(t, values, Options{Algorithm: algorithm, Sensitivity: 0.1})
		if !slices.Equal(indexes(got), want) {
			t.Errorf("%v: %v, want %v", algorithm, got.Anomalies, want)
		}
		if math.Abs(got.Period-120) > 1 {
			t.Errorf("%v: period %v, want 120", algorithm, got.Period)
		}
	}
}

// TestShiftsOfLevel plants a stretch at another level, and then a level that stays.
func TestShiftsOfLevel(t *testing.T) {
	values := noisy(1000, 2)
	for i := 400; i < 430; i++ {
		values[i] += 9
	}
	got := detect(t, values, Options{Sensitivity: 0.1})
	if found := indexes(got); len(found) < 27 || found[0] != 400 || found[len(found)-1] > 429 {
		t.Errorf("of 400 to 429 %v were found", found)
	}
	values = noisy(1000, 3)
	for i := 500; i < 1000; i++ {
		values[i] += 12
	}
	got = detect(t, values, Options{Sensitivity: 0.1})
	if found := indexes(got); len(found) < 10 || found[0] != 500 || found[len(found)-1] > 560 {
		t.Errorf("of the level that begins at 500 %v were found", found)
	}
}

// TestSpikesOnASlope checks that a trend, however steep, hides no spike.
func TestSpikesOnASlope(t *testing.T) {
	for _, n := range []int{60, 1000, 5000} {
		for _, slope := range []float64{0, 0.3, -3, 1000} {
			values := noisy(n, 12)
			for i := range values {
				values[i] += slope * float64(i)
			}
			values[n/3] += 20
			if got := detect(t, values, Options{Sensitivity: 0.1}); !slices.Equal(indexes(got), []int{n / 3}) {
				t.Errorf("%d points, slope %v: %v, want point %d", n, slope, got.Anomalies, n/3)
			}
		}
	}
}

func TestRegularPeaksAreNoAnomalies(t *testing.T) {
	values := noisy(1000, 5)
	for i := 7; i < len(values); i += 12 {
		values[i] += 15
	}
	values[500] += 15 // five after its peak
	if got := detect(t, values, Options{Sensitivity: 0.1}); !slices.Equal(indexes(got), []int{500}) || math.Abs(math.Remainder(got.Period, 12)) > 0.1 {
		t.Errorf("%v, period %v", got.Anomalies, got.Period)
	}
}

// TestNightlyJobs checks that what comes for some minutes a day is a cycle, and only what is new is reported.
func TestNightlyJobs(t *testing.T) {
	for _, length := range []int{3, 30} {
		values := noisy(7*1440, 13)
		for i := range values {
			if i%1440 < length {
				values[i] += 30
			}
		}
		values[5000] += 30
		if got := detect(t, values, Options{Sensitivity: 0.1}); !slices.Equal(indexes(got), []int{5000}) || math.Abs(got.Period-1440) > 0.1 {
			t.Errorf("%d minutes: %v, want point 5000; period %v", length, got.Anomalies, got.Period)
		}
	}
}

// TestFarPointsOfLongSeries checks points that hardly any tree has in its sample: how far they lie counts.
func TestFarPointsOfLongSeries(t *testing.T) {
	values := noisy(50_000, 10)
	values[10_000] += 9
	values[30_000] += 1000
	found := detect(t, values, Options{Sensitivity: 0.1}).Anomalies
	if len(found) != 2 || found[0].Index != 30_000 || found[0].Severity != Critical || found[1].Severity != High {
		t.Errorf("%+v", found)
	}
}

// TestEWMATakesInSurprisesSlowly checks that a spike isn't taken for the new level, and that a level is.
func TestEWMATakesInSurprisesSlowly(t *testing.T) {
	values := noisy(200, 11)
	values[50] += 500
	for i := 100; i < 200; i++ {
		values[i] += 20
	}
	s, err := newSignals(t.Context(), minutes(len(values)), values)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := ewma(t.Context(), s, everyPoint(len(values)))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range map[int]struct{ low, high float64 }{50: {0.98, 1}, 51: {0, minScore}, 52: {0, minScore}, 100: {0.85, 1}, 104: {minScore, 1}, 130: {0, minScore}} {
		if scores[i] < c.low || scores[i] > c.high {
			t.Errorf("point %d scores %.3f, want %v to %v", i, scores[i], c.low, c.high)
		}
	}
}

func TestSensitivityBoundsTheShare(t *testing.T) {
	values := noisy(100, 6)
	for i := range 20 {
		values[(i*i*7)%97] = 80 + float64(i) // at no regular time
	}
	highest := (19 * 19 * 7) % 97
	for _, algorithm := range allAlgorithms {
		for _, sensitivity := range []float64{0.009, 0.01, 0.03, 0.07, 0.1, 0.29, 0.5} {
			found := detect(t, values, Options{Algorithm: algorithm, Sensitivity: sensitivity}).Anomalies
			if most := int(sensitivity*100 + 1e-9); len(found) > most {
				t.Errorf("%v, sensitivity %v: %d of 100 points", algorithm, sensitivity, len(found))
			} else if algorithm == MAD && len(found) != min(most, 20) {
				t.Errorf("sensitivity %v: %d of 100 points, 20 are wrong", sensitivity, len(found))
			} else if algorithm == MAD && most == 1 && found[0].Index != highest {
				t.Errorf("sensitivity %v: %+v is not the highest", sensitivity, found[0])
			}
		}
	}
	for i := range 40 {
		values = append(values, math.Inf(1-i%2*2))
	}
	values = append(values, noisy(60, 6)...)
	if found := detect(t, values, Options{Sensitivity: 29.0 / 200}).Anomalies; len(found) != 29 { // 29.0 / 200 * 200 is below 29
		t.Errorf("%d of 200 points, 29 may be reported", len(found))
	}
	for _, sensitivity := range []float64{0, -0.1, 0.51, math.NaN(), math.Inf(1)} {
		if _, err := Detect(t.Context(), minutes(100), values, Options{Sensitivity: sensitivity}); err == nil || !strings.Contains(err.Error(), "sensitivity") {
			t.Errorf("sensitivity %v: %v", sensitivity, err)
		}
	}
}

// TestOddSeries checks what is defined for values that are hard to compute with.
func TestOddSeries(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	flat := func(n int, value float64, others map[int]float64) []float64 {
		values := slices.Repeat([]float64{value}, n)
		for i, other := range others {
			values[i] = other
		}
		return values
	}
	scaled := func(factor float64) []float64 {
		values := noisy(100, 7)
		values[60] = 90
		for i := range values {
			values[i] *= factor
		}
		return values
	}
	for name, c := range map[string]struct {
		values []float64
		want   []int
		points int
	}{
		"empty":                      {nil, nil, 0},
		"too few":                    {flat(minPoints-1, 1, map[int]float64{4: 100}), nil, 0},
		"too few that are finite":    {flat(40, nan, map[int]float64{4: 100, 5: inf}), nil, 0},
		"just enough":                {flat(minPoints, 1, map[int]float64{4: 100}), []int{4}, minPoints},
		"constant":                   {flat(100, 3.3, nil), nil, 100},
		"zeros":                      {flat(100, 0, nil), nil, 100},
		"the last bit of a constant": {flat(100, 0.3, map[int]float64{50: math.Nextafter(0.3, 1), 70: math.Nextafter(0.3, 0)}), nil, 100},
		"a spike on a constant":      {flat(100, 3.3, map[int]float64{50: 3.4}), []int{50}, 100},
		"a spike on zeros":           {flat(100, 0, map[int]float64{50: 1e-300}), []int{50}, 100},
		"an outage":                  {flat(100, 1, map[int]float64{70: 0, 71: 0, 72: 0, 73: 0}), []int{70, 71, 72, 73}, 100},
		"NaN between":                {flat(100, 1, map[int]float64{3: nan, 20: nan, 50: 9}), []int{50}, 98},
		"infinite values":            {flat(100, 1, map[int]float64{3: inf, 20: -inf}), []int{3, 20}, 100},
		"infinite values alone":      {flat(100, inf, nil), nil, 0},
		"huge":                       {scaled(1e305), []int{60}, 100},
		"the largest of both signs":  {flat(100, math.MaxFloat64, map[int]float64{9: -math.MaxFloat64}), []int{9}, 100},
		"tiny":                       {scaled(1e-305), []int{60}, 100},
		"denormal":                   {flat(100, 5e-324, map[int]float64{9: 5e-323}), []int{9}, 100},
		"rarely, at no regular time": {flat(100, 0, map[int]float64{11: 1, 42: 1, 90: 1}), []int{11, 42, 90}, 100},
	} {
		for _, algorithm := range allAlgorithms {
			got := detect(t, c.values, Options{Algorithm: algorithm, Sensitivity: 0.1})
			if !slices.Equal(indexes(got), c.want) || got.Points != c.points {
				t.Errorf("%s, %v: %v of %d points, want %v of %d", name, algorithm, got.Anomalies, got.Points, c.want, c.points)
			}
			if math.IsNaN(got.Baseline) != (c.points == 0) || math.IsInf(got.Baseline, 0) {
				t.Errorf("%s, %v: baseline %v", name, algorithm, got.Baseline)
			}
			for _, a := range got.Anomalies {
				if !(a.Score >= minScore && a.Score <= 1) {
					t.Errorf("%s, %v: score %v", name, algorithm, a.Score)
				}
			}
		}
	}
}

// TestSameInputSameAnswer compares runs on one and on several processors, and series times a power of two.
func TestSameInputSameAnswer(t *testing.T) {
	values := noisy(5000, 8)
	for i := 100; i < 5000; i += 100 {
		values[i-i*i/100%37] += float64(i) / 100 // at no regular time
	}
	larger := slices.Clone(values)
	for i := range larger {
		larger[i] *= 1 << 20
	}
	for _, algorithm := range allAlgorithms {
		o := Options{Algorithm: algorithm, Sensitivity: 0.1}
		first := detect(t, values, o)
		before := runtime.GOMAXPROCS(1)
		second := detect(t, values, o)
		runtime.GOMAXPROCS(5)
		third := detect(t, values, o)
		runtime.GOMAXPROCS(before)
		if len(first.Anomalies) < 10 || !reflect.DeepEqual(first, second) || !reflect.DeepEqual(first, third) {
			t.Errorf("%v: %d anomalies; on one processor %d, on five %d", algorithm, len(first.Anomalies), len(second.Anomalies), len(third.Anomalies))
		}
		if !slices.Equal(indexes(detect(t, larger, o)), indexes(first)) {
			t.Errorf("%v: other anomalies in another unit", algorithm)
		}
		slices.SortFunc(first.Anomalies, func(a, b Anomaly) int { return a.Index - b.Index })
		sorted := slices.IsSortedFunc(second.Anomalies, func(a, b Anomaly) int {
			return cmpOr(b.Score-a.Score, float64(a.Index-b.Index))
		})
		if !sorted {
			t.Errorf("%v: not the highest score first", algorithm)
		}
	}
}

func cmpOr(differences ...float64) int {
	for _, d := range differences {
		if d != 0 {
			return int(math.Copysign(1, d))
		}
	}
	return 0
}

// untilAsked is a context that ends when it has been asked for its error so often.
type untilAsked struct {
	context.Context
	left int
}

func (c *untilAsked) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestDetectStops ends the context at every moment at which an analysis looks at it.
func TestDetectStops(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	values := noisy(3000, 9)
	for i := range 300 {
		values[i*10] += 1000 * float64(i+1)
	}
	for _, algorithm := range allAlgorithms {
		asked := 0
		for ; ; asked++ {
			_, err := Detect(&untilAsked{t.Context(), asked}, minutes(len(values)), values, Options{Algorithm: algorithm, Sensitivity: 0.5})
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if algorithm == IsolationForest && asked < forestTrees || asked < signalCount {
			t.Errorf("%v looked at its context %d times", algorithm, asked)
		}
	}
}

func TestNames(t *testing.T) {
	for _, algorithm := range allAlgorithms {
		if parsed, err := ParseAlgorithm(fmt.Sprint(algorithm)); err != nil || parsed != algorithm {
			t.Errorf("%v: %v, %v", algorithm, parsed, err)
		}
	}
	if _, err := ParseAlgorithm("forest"); err == nil || !strings.Contains(err.Error(), "isolation_forest, zscore, mad, iqr, ewma, seasonal") {
		t.Errorf("an unknown name: %v", err)
	}
	for score, want := range map[float64]string{0.6: "low", 0.69: "low", 0.7: "medium", 0.84: "medium", 0.85: "high", 0.96: "high", 0.97: "critical", 1: "critical"} {
		if got := severityOf(score).String(); got != want {
			t.Errorf("%v is %s, want %s", score, got, want)
		}
	}
}
