package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
)

// million returns a million points of a daily cycle with noise, one in five hundred of them wrong.
func million() ([]int64, []float64) {
	random := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, 1_000_000)
	for i := range values {
		values[i] = 50 + 10*math.Sin(2*math.Pi*float64(i)/1440) + random.NormFloat64()
		if random.IntN(500) == 0 {
			values[i] += 20 * random.NormFloat64()
		}
	}
	return minutes(len(values)), values
}

// BenchmarkDetect analyzes a million points by each algorithm.
func BenchmarkDetect(b *testing.B) {
	times, values := million()
	for _, algorithm := range allAlgorithms {
		b.Run(algorithm.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				result, err := Detect(b.Context(), times, values, Options{Algorithm: algorithm, Sensitivity: 0.1})
				if err != nil || result.Points != len(values) {
					b.Fatal(result.Points, err)
				}
				b.ReportMetric(float64(len(result.Anomalies)), "anomalies")
			}
		})
	}
}

// BenchmarkDetectShort analyzes a hundred points, one of them wrong: a request may have ten thousand such series.
func BenchmarkDetectShort(b *testing.B) {
	times, values := minutes(100), noisy(100, 1)
	values[40] = 90
	b.ReportAllocs()
	for b.Loop() {
		if result, err := Detect(b.Context(), times, values, Options{Sensitivity: 0.1}); err != nil || len(result.Anomalies) != 1 {
			b.Fatal(result, err)
		}
	}
}

// BenchmarkForestScores grows a forest and scores every one of a million points, not only those far out.
func BenchmarkForestScores(b *testing.B) {
	times, values := million()
	s, err := newSignals(b.Context(), times, values)
	if err != nil {
		b.Fatal(err)
	}
	points := everyPoint(len(values))
	for b.Loop() {
		if _, err := byForest(b.Context(), s, points); err != nil {
			b.Fatal(err)
		}
	}
}
