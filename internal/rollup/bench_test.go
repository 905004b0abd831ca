package rollup

import (
	"testing"

	"github.com/flopynet/collector/internal/sketch"
	"github.com/flopynet/collector/model"
)

func BenchmarkRoll(b *testing.B) {
	times, values := walk(1, 1)
	for _, tier := range tiers {
		b.Run(tier.String(), func(b *testing.B) {
			b.ReportAllocs()
			var c Columns
			for b.Loop() {
				c.Reset()
				Roll(&c, tier, times, values)
			}
			report(b, len(values))
			if total := total(c.Counts); total != int64(len(values)) {
				b.Fatalf("%d samples", total)
			}
		})
	}
}

func BenchmarkRollSketches(b *testing.B) {
	times, values := walk(1, 1)
	b.ReportAllocs()
	var s Sketches
	for b.Loop() {
		s.Reset()
		RollSketches(&s, times, values)
	}
	report(b, len(values))
	if s.Len() != 24 {
		b.Fatal(s.Len())
	}
}

func BenchmarkEncode(b *testing.B) {
	times, values := walk(1, 1)
	for _, tier := range tiers {
		b.Run(tier.String(), func(b *testing.B) {
			b.ReportAllocs()
			var c Columns
			Roll(&c, tier, times, values)
			var stored []byte
			for b.Loop() {
				stored = Encode(stored[:0], testKey, tier, &c)
			}
			report(b, len(values))
			_, got := decode(b, testKey, stored, WantCounts)
			if total(got.Counts) != int64(len(values)) {
				b.Fatal("it does not come back")
			}
		})
	}
}

const yearDays = 365

// year returns a year of points of an hour, in chunks of 64 days, and as many sketches.
func year() (chunks, sketches [][]byte) {
	times, values := walk(1, yearDays)
	var points Columns
	var all Sketches
	Roll(&points, model.Tier1h, times, values)
	RollSketches(&all, times, values)
	for lo := 0; lo < points.Len(); lo += 64 * 24 {
		hi := min(lo+64*24, points.Len())
		var c Columns
		var s Sketches
		c.Append(&points, lo, hi)
		s.Append(&all, lo, hi)
		chunks = append(chunks, Encode(nil, testKey, model.Tier1h, &c))
		sketches = append(sketches, mustEncode(&s))
	}
	return chunks, sketches
}

func BenchmarkDecodeYear(b *testing.B) {
	chunks, _ := year()
	for _, test := range []struct {
		name string
		want Want
	}{{"average", WantCounts | WantSums}, {"minimum", WantMins}, {"all", WantAll}} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			var c Columns
			for b.Loop() {
				c.Reset()
				for _, stored := range chunks {
					chunk, err := Open(testKey, stored)
					if err != nil {
						b.Fatal(err)
					}
					if err := chunk.Decode(&c, test.want); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(c.Len())*float64(b.N)/b.Elapsed().Seconds(), "points/s")
			if c.Len() != yearDays*24 || test.want&WantCounts != 0 && total(c.Counts) != yearDays*8640 {
				b.Fatalf("%d points", c.Len())
			}
		})
	}
}

func BenchmarkMergeYearOfSketches(b *testing.B) {
	_, chunks := year()
	b.ReportAllocs()
	var s sketch.Sketch
	for b.Loop() {
		s.Reset()
		for _, stored := range chunks {
			c, err := OpenSketches(testKey, stored)
			if err != nil {
				b.Fatal(err)
			}
			for _, day := range c.Days() {
				for _, encoded := range day.Hours {
					if _, err := s.MergeBinary(encoded); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/(yearDays*24), "ns/sketch")
	if s.Count() != yearDays*8640 {
		b.Fatal(s.Count())
	}
}

func total(counts []int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func report(b *testing.B, samples int) {
	b.ReportMetric(float64(samples)*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}
