package tsdb

import (
	"context"
	"math"
	"testing"

	"github.com/flopynet/collector/engine"
)

// TestAllocations holds what happens for each sample to allocate nothing: a handful for a batch of 1,000, a
// chunk of 4,080 or a query of 864,000 samples.
func TestAllocations(t *testing.T) {
	s := openOurs(t, rounds(1000, metrics, dec2), neverFlush)
	for range 1000 { // now and then a series needs a larger buffer, more rarely the longer it is
		s.write()
	}
	d := newCodecData(t, walks(dec2))
	open, sealed := d.decodeOurs(d.open()), d.decodeOurs(d.sealed())
	queried := openOurs(t, rounds(daySteps, 1, dec2), engine.Options{MaintainInterval: -1, Workers: 1})
	for range daySteps {
		queried.write()
	}
	if err := queried.db.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		most float64
		fn   func()
	}{
		{"a write of 1,000 samples", 20, func() { s.write() }},
		{"encoding 100 chunks", 1000, d.encodeOurs},
		{"decoding 100 open chunks", 0, open},
		{"decoding 100 sealed chunks", 0, sealed},
		{"a query of 100 series, 864,000 samples", 1000, func() { queried.averages(5 * minute) }},
	} {
		got := testing.AllocsPerRun(50, test.fn)
		t.Logf("%-40s %v allocations, at most %v", test.name, got, test.most)
		if got > test.most {
			t.Errorf("%s: %v allocations, at most %v are meant", test.name, got, test.most)
		}
	}
	queried.close()
	s.close()
}

// TestBytesPerSample holds a day of 1,000 series to what it may take on disk, chunks and index together. The data is
// always the same.
func TestBytesPerSample(t *testing.T) {
	for name, test := range map[string]struct {
		round func(float64) float64
		most  float64
	}{
		"full": {full, 6.5}, "dec2": {dec2, 1.20}, "int": {math.Floor, 0.34},
	} {
		s := openOurs(t, rounds(daySteps, metrics, test.round), engine.Options{MaintainInterval: -1})
		samples := 0
		for range daySteps {
			samples += s.write()
		}
		if err := s.db.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
		usage, err := s.db.Usage()
		if err != nil {
			t.Fatal(err)
		}
		per := func(bytes uint64) float64 { return float64(bytes) / float64(samples) }
		got := per(usage.RawChunks + usage.RawPostings + usage.Catalogue)
		t.Logf("%s: %.4f bytes a sample, at most %v; points %.4f, sketches %.4f", name, got, test.most, per(usage.Points5m+usage.Points1h), per(usage.Sketches))
		if got > test.most {
			t.Errorf("%s: a sample takes %.4f bytes, at most %v are meant", name, got, test.most)
		}
		s.close()
	}
}
