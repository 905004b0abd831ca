package chunk

import (
	"math"
	"math/rand/v2"
	"testing"
)

// workload is a series as the benchmarks have them: a random walk from 0 to 100 with steps N(0, 1).
type workload struct {
	name   string
	jitter int64 // largest distance of a time from the regular one, in milliseconds
	round  func(float64) float64
}

var workloads = []workload{
	{"full", 0, func(v float64) float64 { return v }},
	{"dec2", 0, func(v float64) float64 { return math.Round(v*100) / 100 }},
	{"int", 0, math.Floor},
	{"full-jitter", 5, func(v float64) float64 { return v }},
	{"dec2-jitter", 5, func(v float64) float64 { return math.Round(v*100) / 100 }},
}

// daySamples is how many samples a series has in a day, one each ten seconds.
const daySamples = 8640

func (w workload) samples(n int) (times []int64, values []float64) { return w.series(1, n) }

// series returns the first n samples of one of many series.
func (w workload) series(seed uint64, n int) (times []int64, values []float64) {
	random := rand.New(rand.NewPCG(seed, 2))
	v := 100 * random.Float64()
	for i := range n {
		time := 1_760_000_000_000_000_000 + int64(i)*10_000_000_000
		if w.jitter > 0 {
			time += (random.Int64N(2*w.jitter+1) - w.jitter) * 1_000_000
		}
		times = append(times, time)
		values = append(values, w.round(v))
		v = min(max(v+random.NormFloat64(), 0), 100)
	}
	return times, values
}

// report adds samples/s to a benchmark that handles n samples an iteration, in encoded bytes each time.
func report(b *testing.B, n, encoded int) {
	b.SetBytes(int64(16 * n))
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
	b.ReportMetric(float64(encoded)/float64(n), "bytes/sample")
	b.ReportAllocs()
}

func BenchmarkDecode(b *testing.B) {
	for _, w := range workloads {
		for _, c := range codecs {
			b.Run(w.name+"/"+c.codec.String(), func(b *testing.B) {
				times, values := w.samples(daySamples)
				stored := c.encode(nil, nil, times, values)
				block, err := Open(nil, stored)
				if err != nil {
					b.Fatal(err)
				}
				var gotTimes []int64
				var gotValues []float64
				for b.Loop() {
					gotTimes, gotValues, err = block.Decode(gotTimes[:0], gotValues[:0])
					if err != nil {
						b.Fatal(err)
					}
				}
				report(b, len(times), len(stored))
				requireSame(b, gotTimes, gotValues, times, values)
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	times, values := workloads[0].samples(daySamples)
	stored := Encode(nil, nil, times, values)
	for b.Loop() {
		block, err := Open(nil, stored)
		if err != nil || block.Count() != len(times) {
			b.Fatal(err, block.Count())
		}
	}
	report(b, len(times), len(stored))
}

func BenchmarkAppend(b *testing.B) {
	for _, w := range workloads {
		for _, piece := range []struct {
			name string
			size int
		}{{"16", 16}, {"1", 1}} {
			b.Run(w.name+"/"+piece.name, func(b *testing.B) {
				times, values := w.samples(MaxAppended)
				var a Appender
				for b.Loop() {
					a.Reset(0)
					for i := 0; i < len(times); i += piece.size {
						a.Append(times[i:i+piece.size], values[i:i+piece.size])
					}
				}
				report(b, len(times), a.Size())
				gotTimes, gotValues, err := a.Block().Decode(nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				requireSame(b, gotTimes, gotValues, times, values)
			})
		}
	}
}

// BenchmarkEncode encodes a day in either codec, and in the one that Encode takes.
func BenchmarkEncode(b *testing.B) {
	type encoder func(dst, key []byte, times []int64, values []float64) []byte
	run := func(b *testing.B, w workload, name string, encode encoder) {
		b.Run(w.name+"/"+name, func(b *testing.B) {
			times, values := w.samples(daySamples)
			var stored []byte
			for b.Loop() {
				stored = encode(stored[:0], nil, times, values)
			}
			report(b, len(times), len(stored))
			requireStored(b, nil, stored, times, values)
		})
	}
	for _, w := range workloads {
		for _, c := range codecs {
			run(b, w, c.codec.String(), c.encode)
		}
		run(b, w, "smaller", Encode)
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			times, values := w.samples(MaxAppended)
			var a Appender
			a.Append(times, values)
			var stored []byte
			for b.Loop() {
				stored = a.Seal(stored[:0], nil)
			}
			report(b, len(times), len(stored))
			requireStored(b, nil, stored, times, values)
		})
	}
}
