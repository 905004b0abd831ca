package record

import (
	"math"
	"testing"

	"github.com/flopynet/collector/model"
)

func BenchmarkAppendSamples(b *testing.B) {
	for _, batch := range benchmarkBatches() {
		b.Run(batch.name, func(b *testing.B) {
			var payload []byte
			b.ReportAllocs()
			for b.Loop() {
				payload = AppendSamples(payload[:0], batch.ids, batch.times, batch.values)
			}
			reportSamples(b, len(batch.ids), len(payload))
		})
	}
}

func BenchmarkDecodeSamples(b *testing.B) {
	for _, batch := range benchmarkBatches() {
		b.Run(batch.name, func(b *testing.B) {
			payload := AppendSamples(nil, batch.ids, batch.times, batch.values)
			var ids []model.SeriesID
			var times []int64
			var values []float64
			b.ReportAllocs()
			for b.Loop() {
				reader := NewReader(payload)
				if !reader.Next() {
					b.Fatal(reader.Err())
				}
				var err error
				if ids, times, values, err = reader.Samples(ids, times, values); err != nil {
					b.Fatal(err)
				}
			}
			for i, value := range values {
				if ids[i] != batch.ids[i] || times[i] != batch.times[i] || math.Float64bits(value) != math.Float64bits(batch.values[i]) {
					b.Fatalf("sample %d is wrong", i)
				}
			}
			reportSamples(b, len(batch.ids), len(payload))
		})
	}
}

// benchmarkBatches are the example batches of many samples, and one of few.
func benchmarkBatches() []batch {
	var batches []batch
	for _, batch := range exampleBatches() {
		if len(batch.ids) >= 1000 {
			batches = append(batches, batch)
		}
	}
	return append(batches,
		seededBatch("ten of dec2", 0, 10, 10, decimalValue(2)), seededBatch("ten of full", 0, 10, 10, fullValue))
}

func reportSamples(b *testing.B, samples, size int) {
	perSecond := float64(samples) * float64(b.N) / b.Elapsed().Seconds()
	b.SetBytes(int64(size))
	b.ReportMetric(perSecond/1e6, "Msamples/s")
	b.ReportMetric(1e9/perSecond, "ns/sample")
	b.ReportMetric(float64(size)/float64(samples), "B/sample")
}
