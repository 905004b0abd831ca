package column

import (
	"math"
	"math/rand/v2"
	"testing"
)

const benchmarkLength = 8640

// report adds values/s and bytes to a benchmark that handles n values an iteration.
func report(b *testing.B, encoded int) {
	b.ReportMetric(benchmarkLength*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mvalues/s")
	b.ReportMetric(float64(encoded)/benchmarkLength, "bytes/value")
	b.ReportAllocs()
}

func BenchmarkInts(b *testing.B) {
	for _, shape := range shapes {
		values := shape.make(rand.New(rand.NewPCG(1, 2)), benchmarkLength)
		encoded := requireInts(b, values)
		b.Run(shape.name+"/decode", func(b *testing.B) {
			got := make([]int64, len(values))
			for b.Loop() {
				if _, err := Ints(encoded, got); err != nil {
					b.Fatal(err)
				}
			}
			report(b, len(encoded))
			requireEqual(b, got, values)
		})
		b.Run(shape.name+"/encode", func(b *testing.B) {
			var got []byte
			for b.Loop() {
				got = AppendInts(got[:0], values)
			}
			report(b, len(got))
		})
	}
}

// BenchmarkFloats handles the random walks of the workload: full, in hundredths, and whole.
func BenchmarkFloats(b *testing.B) {
	for _, walk := range []struct {
		name  string
		round func(float64) float64
	}{
		{"full", func(v float64) float64 { return v }},
		{"dec2", func(v float64) float64 { return math.Round(v*100) / 100 }},
		{"int", math.Floor},
	} {
		random := rand.New(rand.NewPCG(1, 2))
		values := make([]float64, benchmarkLength)
		v := 100 * random.Float64()
		for i := range values {
			values[i] = walk.round(v)
			v = min(max(v+random.NormFloat64(), 0), 100)
		}
		encoded := requireFloats(b, values)
		b.Run(walk.name+"/decode", func(b *testing.B) {
			got := make([]float64, len(values))
			for b.Loop() {
				if _, err := Floats(encoded, got); err != nil {
					b.Fatal(err)
				}
			}
			report(b, len(encoded))
			requireSameFloats(b, got, values)
		})
		b.Run(walk.name+"/encode", func(b *testing.B) {
			var got []byte
			for b.Loop() {
				got = AppendFloats(got[:0], values)
			}
			report(b, len(got))
		})
	}
}
