package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOrderAsSorted compares selection and windows with sorting.
func TestOrderAsSorted(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		values := make([]float64, 1+random.IntN(200))
		for i := range values {
			switch seed % 5 {
			case 0:
				values[i] = random.NormFloat64()
			case 1:
				values[i] = float64(random.IntN(3))
			case 2:
				values[i] = float64(i)
			case 3: // up and down again: the middle is a bad pivot
				values[i] = -math.Abs(float64(i - len(values)/2))
			case 4: // mostly equal
				values[i] = float64(random.IntN(6) / 5)
			}
		}
		sorted := slices.Sorted(slices.Values(values))
		for _, q := range []float64{0, 0.25, 0.5, 0.9, 1} {
			rank := q * float64(len(values)-1)
			low := sorted[int(rank)]
			want := low + (rank-math.Floor(rank))*(sorted[int(math.Ceil(rank))]-low)
			if got := quantileOf(slices.Clone(values), q); got != want {
				t.Errorf("seed %d: quantile %v is %v, want %v", seed, q, got, want)
			}
		}
		checkLocation(t, seed, locate(slices.Clone(values)), sorted)
		rollingWindow(values, func(i int) (int, int) { return max(i-5, 0), min(i+3, len(values)) }, func(i int, window []float64) {
			if want := slices.Sorted(slices.Values(values[max(i-5, 0):min(i+3, len(values))])); !slices.Equal(window, want) {
				t.Errorf("seed %d: window %d is %v, want %v", seed, i, window, want)
			}
		})
	}
}

func checkLocation(t *testing.T, seed uint64, got location, sorted []float64) {
	t.Helper()
	at := func(sorted []float64, q float64) float64 { return quantileOf(slices.Clone(sorted), q) }
	median := at(sorted, 0.5)
	var deviations []float64
	for _, x := range sorted {
		deviations = append(deviations, math.Abs(x-median))
	}
	slices.Sort(deviations)
	scale := max(1.4826*at(deviations, 0.5), (at(sorted, 0.75)-at(sorted, 0.25))/1.349)
	if scale == 0 {
		scale = deviations[9*(len(sorted)-1)/10] / 1.645
	}
	if want := (location{median, at(sorted, 0.25), at(sorted, 0.75), scale}); got != want {
		t.Errorf("seed %d: location %+v, want %+v", seed, got, want)
	}
}

// TestDistance checks the rule for scales of nothing.
func TestDistance(t *testing.T) {
	for _, c := range []struct{ scale, x, want float64 }{
		{2, 10, 0}, {2, 20, 5}, {2, 0, 5}, {0, 10, 0}, {0, 10 + 1e-13, 0}, {0, 11, math.Inf(1)}, {1e-13, 11, math.Inf(1)},
	} {
		if got := (location{median: 10, scale: c.scale}).distance(c.x, 1e-12); got != c.want {
			t.Errorf("%v at a scale of %v: %v, want %v", c.x, c.scale, got, c.want)
		}
	}
}
