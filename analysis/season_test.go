package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestPeriods looks for cycles of many lengths, in noise, on a slope, with spikes.
func TestPeriods(t *testing.T) {
	for _, n := range []int{100, 1000, 100_000} {
		for _, period := range []float64{6, 12, 24.5, 33.3, 144, 288, 1440, 10_080} {
			if period > float64(n)/minCycles || n == 100_000 && period < 24 {
				continue // too long, or within a few of the neighbours that are taken together
			}
			random := rand.New(rand.NewPCG(uint64(n), 3))
			values := make([]float64, n)
			for i := range values {
				phase := 2 * math.Pi * float64(i) / period
				values[i] = 5*math.Sin(phase) + 2*math.Cos(2*phase) + random.NormFloat64() + 20*float64(i)/float64(n)
				if random.IntN(100) == 0 {
					values[i] += 100
				}
			}
			// A fraction of a point is known if there are many cycles; so many points are taken together.
			within := 0.05 + period*period/float64(n)/10 + float64(n/maxSpectrumPoints)/2
			if got := findPeriod(values); math.Abs(got-period) > within {
				t.Errorf("%d points with a period of %v: %v was found", n, period, got)
			}
		}
	}
}

// TestShortCycleOnSlowChanges checks that a correlation which stays above nothing for long hides no cycle.
func TestShortCycleOnSlowChanges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	values := make([]float64, 4000)
	for i := range values {
		values[i] = 20*math.Sin(float64(i)/500) + random.NormFloat64()
		if i%60 < 10 {
			values[i] += 40
		}
	}
	if got := findPeriod(values); math.Abs(got-60) > 0.1 {
		t.Errorf("a period of %v was found, want 60", got)
	}
}

func TestNoPeriod(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 3))
		noise := make([]float64, 500)
		for i := range noise {
			noise[i] = random.NormFloat64()
		}
		if got := findPeriod(noise); got != 0 {
			t.Errorf("seed %d: noise has a period of %v", seed, got)
		}
	}
	wave := make([]float64, 500)
	for i := range wave {
		wave[i] = math.Sin(float64(i) / 3)
	}
	if got := findPeriod(wave); math.Abs(got-6*math.Pi) > 0.1 {
		t.Errorf("a sine has a period of %v", got)
	}
	if got := findPeriod(make([]float64, 500)); got != 0 {
		t.Errorf("a constant has a period of %v", got)
	}
}

// TestCycleWithGaps leaves points out of a cycle with a slope, one by one and many at a time: what is wrong
// is found, and the points beside a gap aren't wrong.
func TestCycleWithGaps(t *testing.T) {
	for name, isMissing := range map[string]func(random *rand.Rand, i int) bool{
		"one in thirty": func(random *rand.Rand, _ int) bool { return random.IntN(30) == 0 },
		"a short gap":   func(_ *rand.Rand, i int) bool { return i >= 3000 && i < 3020 },
		"a long gap":    func(_ *rand.Rand, i int) bool { return i >= 3000 && i < 4000 },
		"two gaps":      func(_ *rand.Rand, i int) bool { return i >= 1000 && i < 1070 || i >= 3000 && i < 3033 },
	} {
		random := rand.New(rand.NewPCG(5, 3))
		var times []int64
		var values []float64
		wrong := 0
		for i := range 5000 {
			if isMissing(random, i) {
				continue
			}
			value := 10*math.Sin(2*math.Pi*float64(i)/288) + random.NormFloat64() + 0.1*float64(i)
			if i == 2522 { // at a peak
				wrong, value = len(values), value-12
			}
			jitter := time.Duration(random.IntN(6000)) * time.Millisecond
			times, values = append(times, int64(time.Duration(i)*time.Minute+jitter)), append(values, value)
		}
		got, err := Detect(t.Context(), times, values, Options{Sensitivity: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(indexes(got), []int{wrong}) || math.Abs(got.Period-288) > 1 {
			t.Errorf("%s: %v, want point %d; period %v", name, got.Anomalies, wrong, got.Period)
		}
	}
}

// TestPlaces checks which times have a grid.
func TestPlaces(t *testing.T) {
	irregular, crowded := make([]int64, 100), make([]int64, 100)
	random := rand.New(rand.NewPCG(1, 3))
	for i := 1; i < 100; i++ {
		irregular[i] = irregular[i-1] + int64(random.ExpFloat64()*60e9)
		crowded[i] = crowded[i-1] + 60e9
	}
	crowded[99] += 200 * 60e9
	for name, c := range map[string]struct {
		times   []int64
		want    []int
		regular bool
	}{
		"a gap":          {[]int64{5, 15, 25, 35, 65, 75, 85, 95, 105, 115, 125, 135}, []int{0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13}, true},
		"jitter":         {[]int64{0, 11, 19, 31, 40, 50, 60, 70, 80, 90, 100}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, true},
		"one moment":     {make([]int64, 10), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, false},
		"irregular":      {irregular, nil, false},
		"too long a gap": {crowded, nil, false},
	} {
		places, regular := placesOf(c.times)
		if regular != c.regular || c.want != nil && !slices.Equal(places, c.want) || len(places) != len(c.times) {
			t.Errorf("%s: %v, %v; want %v, %v", name, places, regular, c.want, c.regular)
		}
	}
}

func TestAutocorrelationAsDefined(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	for _, n := range []int{5, 64, 100} {
		values := make([]float64, n)
		power := 0.0
		for i := range values {
			values[i] = random.NormFloat64()
			power += values[i] * values[i] / float64(n)
		}
		for lag, got := range autocorrelation(values) {
			want := 0.0
			for i := range n - lag {
				want += values[i] * values[i+lag] / float64(n-lag) / power
			}
			if math.Abs(got-want) > 1e-12 {
				t.Errorf("%d values, lag %d: %v, want %v", n, lag, got, want)
			}
		}
	}
}
