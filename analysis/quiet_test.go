package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// minutes returns times a minute apart.
func minutes(n int) []int64 {
	times := make([]int64, n)
	for i := range times {
		times[i] = int64(i) * int64(time.Minute)
	}
	return times
}

// detect finds anomalies in values that are a minute apart.
func detect(t testing.TB, values []float64, o Options) Result {
	t.Helper()
	result, err := Detect(t.Context(), minutes(len(values)), values, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// quietKinds are series with nothing wrong about them.
var quietKinds = []struct {
	name  string
	value func(random *rand.Rand, i int, phase float64) float64
}{
	{"noise", func(random *rand.Rand, _ int, _ float64) float64 { return 50 + random.NormFloat64() }},
	{"sine with noise", func(random *rand.Rand, i int, phase float64) float64 {
		return 50 + 10*math.Sin(float64(i)/11+phase) + random.NormFloat64()
	}},
	{"constant", func(_ *rand.Rand, _ int, phase float64) float64 { return phase / 3 }},
	{"sine", func(_ *rand.Rand, i int, phase float64) float64 { return 10 * math.Sin(float64(i)/11+phase) }},
	{"slope with noise", func(random *rand.Rand, i int, _ float64) float64 { return 0.3*float64(i) + random.NormFloat64() }},
	{"slope", func(_ *rand.Rand, i int, phase float64) float64 { return phase - 0.37*float64(i) }},
	{"rounded noise", func(random *rand.Rand, _ int, _ float64) float64 { return math.Round(3 * random.NormFloat64()) }},
	{"uniform", func(random *rand.Rand, _ int, _ float64) float64 { return random.Float64() }},
	{"noise of the arithmetic", func(random *rand.Rand, _ int, _ float64) float64 { return 0.3 + 5e-17*float64(random.IntN(4)) }},
}

// TestQuietSeriesHaveNoAnomalies draws a hundred series of each kind and length. By the rule, a few in ten
// thousand may have a false report; these seeds have none.
func TestQuietSeriesHaveNoAnomalies(t *testing.T) {
	for _, kind := range quietKinds {
		for _, n := range []int{minPoints, 60, 200, 1000} {
			for seed := range uint64(100) {
				random := rand.New(rand.NewPCG(seed, 4))
				values := make([]float64, n)
				for i := range values {
					values[i] = kind.value(random, i, float64(seed))
				}
				if found := detect(t, values, Options{Sensitivity: 0.1}).Anomalies; len(found) > 0 {
					t.Errorf("%s, %d points, seed %d: %v of %v", kind.name, n, seed, found, values[found[0].Index])
				}
			}
		}
	}
}

// TestFewPointsOfNoise counts false reports where the scale itself is uncertain: by the rule, five of ten
// thousand series at most.
func TestFewPointsOfNoise(t *testing.T) {
	const count = 10_000
	for _, n := range []int{minPoints, 15, 20, 60} {
		wrong := 0
		for seed := range uint64(count) {
			if len(detect(t, noisy(n, seed), Options{Sensitivity: 0.1}).Anomalies) > 0 {
				wrong++
			}
		}
		if wrong > 5 {
			t.Errorf("%d points: %d of %d series of noise have a report", n, wrong, count)
		}
	}
}

// TestOthersOnQuietSeries holds the other algorithms to the same for what the product promises of the default.
func TestOthersOnQuietSeries(t *testing.T) {
	for algorithm := ZScore; algorithm <= Seasonal; algorithm++ {
		for _, kind := range quietKinds[:3] {
			for seed := range uint64(100) {
				random := rand.New(rand.NewPCG(seed, 4))
				values := make([]float64, 300)
				for i := range values {
					values[i] = kind.value(random, i, float64(seed))
				}
				if found := detect(t, values, Options{Algorithm: algorithm, Sensitivity: 0.5}).Anomalies; len(found) > 0 {
					t.Errorf("%v, %s, seed %d: %v", algorithm, kind.name, seed, found)
				}
			}
		}
	}
}
