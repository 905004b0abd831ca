package sketch

import (
	"slices"
	"testing"
)

const hour = 360 // samples

func BenchmarkAddAll(b *testing.B) {
	values := walk(1, 24*hour)
	var s Sketch
	for b.Loop() {
		s.Reset()
		s.AddAll(values)
	}
	requireCount(b, &s, len(values))
	b.ReportMetric(float64(len(values))*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}

// stored returns the encoded sketches of n hours and how many bins they have in all.
func stored(n int) (src []byte, bins int) {
	for values := range slices.Chunk(walk(1, n*hour), hour) {
		var s Sketch
		s.AddAll(values)
		src = s.AppendBinary(src)
		for range s.positive.ascend {
			bins++
		}
	}
	return src, bins
}

func BenchmarkMergeBinary(b *testing.B) {
	const hours = 24 * 100
	src, bins := stored(hours)
	var s Sketch
	for b.Loop() {
		s.Reset()
		for rest := src; len(rest) > 0; {
			var err error
			if rest, err = s.MergeBinary(rest); err != nil {
				b.Fatal(err)
			}
		}
	}
	requireCount(b, &s, hours*hour)
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/hours, "ns/sketch")
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(bins), "ns/bin")
}

func BenchmarkAppendBinary(b *testing.B) {
	var s Sketch
	s.AddAll(walk(1, hour))
	var dst []byte
	for b.Loop() {
		dst = s.AppendBinary(dst[:0])
	}
	var copied Sketch
	if _, err := copied.MergeBinary(dst); err != nil {
		b.Fatal(err)
	}
	requireCount(b, &copied, hour)
}

func BenchmarkQuantile(b *testing.B) {
	var s Sketch
	s.AddAll(walk(1, 24*hour))
	sum := 0.0
	for b.Loop() {
		sum += s.Quantile(0.99)
	}
	if sum <= 0 || sum > 101*float64(b.N) {
		b.Fatal(sum)
	}
}

func requireCount(b *testing.B, s *Sketch, want int) {
	b.Helper()
	if s.Count() != int64(want) {
		b.Fatalf("count is %d, want %d", s.Count(), want)
	}
}
