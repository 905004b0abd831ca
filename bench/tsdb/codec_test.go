package tsdb

import (
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/flopynet/collector/internal/chunk"
)

// A Prometheus chunk has 120 samples, one of ours up to 4,096.
const (
	prometheusChunk = 120
	codecSamples    = 4080 // a multiple of 120 below 4,096
)

func codecData(round func(float64) float64) ([]int64, []float64) {
	w := newWalk(1, round)
	times, values := make([]int64, codecSamples), make([]float64, codecSamples)
	for i := range times {
		times[i], values[i] = start+int64(i)*step, w.next(0)
	}
	return times, values
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.N)*codecSamples/b.Elapsed().Seconds(), "samples/s")
}

// BenchmarkDecode decodes 4,080 samples of one series.
func BenchmarkDecode(b *testing.B) {
	for _, variant := range variants {
		times, values := codecData(variant.round)
		b.Run(variant.name+"/collector", func(b *testing.B) {
			block, err := chunk.Open(nil, chunk.Encode(nil, nil, times, values))
			if err != nil {
				b.Fatal(err)
			}
			var gotTimes []int64
			var gotValues []float64
			for b.Loop() {
				if gotTimes, gotValues, err = block.Decode(gotTimes[:0], gotValues[:0]); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
			for i := range times {
				if gotTimes[i] != times[i] || gotValues[i] != values[i] {
					b.Fatalf("sample %d is (%d, %v)", i, gotTimes[i], gotValues[i])
				}
			}
		})
		b.Run(variant.name+"/prometheus", func(b *testing.B) {
			chunks := encodePrometheus(b, times, values)
			gotTimes, gotValues := make([]int64, codecSamples), make([]float64, codecSamples)
			var it chunkenc.Iterator
			for b.Loop() {
				i := 0
				for _, c := range chunks {
					it = c.Iterator(it)
					for it.Next() != chunkenc.ValNone {
						gotTimes[i], gotValues[i] = it.At()
						i++
					}
				}
			}
			report(b)
			for i := range times {
				if gotTimes[i] != times[i]/1e6 || gotValues[i] != values[i] {
					b.Fatalf("sample %d is (%d, %v)", i, gotTimes[i], gotValues[i])
				}
			}
		})
	}
}

// BenchmarkEncode encodes 4,080 samples of one series; ours as the head does, sixteen at a time.
func BenchmarkEncode(b *testing.B) {
	for _, variant := range variants {
		times, values := codecData(variant.round)
		b.Run(variant.name+"/collector", func(b *testing.B) {
			for b.Loop() {
				var a chunk.Appender
				for i := 0; i < codecSamples; i += 16 {
					if n := a.Append(times[i:i+16], values[i:i+16]); n != 16 {
						b.Fatalf("%d samples were appended", n)
					}
				}
			}
			report(b)
		})
		b.Run(variant.name+"/prometheus", func(b *testing.B) {
			for b.Loop() {
				encodePrometheus(b, times, values)
			}
			report(b)
		})
	}
}

func encodePrometheus(b *testing.B, times []int64, values []float64) []*chunkenc.XORChunk {
	var chunks []*chunkenc.XORChunk
	for from := 0; from < len(times); from += prometheusChunk {
		c := chunkenc.NewXORChunk()
		app, err := c.Appender()
		if err != nil {
			b.Fatal(err)
		}
		for i := from; i < from+prometheusChunk; i++ {
			app.Append(0, times[i]/1e6, values[i])
		}
		chunks = append(chunks, c)
	}
	return chunks
}
