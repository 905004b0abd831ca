package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
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
			if got := findPeriod(minutes(n), values); math.Abs(got-period) > within {
				t.Errorf("%d points with a period of %v: %v was found", n, period, got)
			}
		}
	}
}

func TestNoPeriod(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 3))
		noise := make([]float64, 500)
		for i := range noise {
			noise[i] = random.NormFloat64()
		}
		if got := findPeriod(minutes(500), noise); got != 0 {
			t.Errorf("seed %d: noise has a period of %v", seed, got)
		}
	}
	wave := make([]float64, 500)
	for i := range wave {
		wave[i] = math.Sin(float64(i) / 3)
	}
	if got := findPeriod(minutes(500), wave); math.Abs(got-6*math.Pi) > 0.1 {
		t.Errorf("a sine has a period of %v", got)
	}
	gaps := minutes(500)
	for i := range gaps[200:] {
		gaps[200+i] += 100 * 60e9
	}
	if got := findPeriod(gaps, wave); got != 0 {
		t.Errorf("points with a gap have a period of %v", got)
	}
	if got := findPeriod(minutes(500), make([]float64, 500)); got != 0 {
		t.Errorf("a constant has a period of %v", got)
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
