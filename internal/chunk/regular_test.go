package chunk

import (
	"math"
	"slices"
	"testing"
)

// TestDecodeRegular compares with Decode, and demands that blocks are left alone whose times are not regular.
func TestDecodeRegular(t *testing.T) {
	for _, w := range workloads {
		for _, n := range []int{1, 2, 3, 128, 129, 130, 1000, daySamples} {
			times, values := w.samples(n)
			if n > 3 {
				values[n/2] = math.NaN()
			}
			block, err := Open(nil, Encode(nil, nil, times, values))
			if err != nil {
				t.Fatal(err)
			}
			requireRegular(t, block, block.header.Codec == CodecDecimal && (w.jitter == 0 && n > 1 || n == 2))
			if n >= 128 && w.jitter == 0 && block.header.Codec != CodecDecimal {
				t.Errorf("%d samples are in %v", n, block.header.Codec)
			}
		}
	}
	times, values := workloads[0].samples(1000)
	stored := Encode(nil, nil, times, values)
	block, err := Open(nil, stored)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(block.words) {
		block.words[i] ^= 0xff // Open would find it out, so they change after that
		if got, _, ok, err := block.DecodeRegular([]float64{7}); (err != nil || !ok) && len(got) != 1 {
			t.Fatalf("with byte %d changed, %d values are left, %v, %v", i, len(got), ok, err)
		}
		if block.words[i] ^= 0xff; i > 100 {
			break
		}
	}
}

// requireRegular demands what Decode gives, behind what is there already.
func requireRegular(t *testing.T, block Block, want bool) {
	t.Helper()
	times, values, err := block.Decode(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, step, ok, err := block.DecodeRegular([]float64{7})
	if err != nil || ok != want || got[0] != 7 {
		t.Fatalf("%d samples: %v, %v, want %v", len(times), ok, err, want)
	}
	if !ok {
		if len(got) != 1 {
			t.Fatalf("%d values were left", len(got)-1)
		}
		return
	}
	same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
	if !slices.EqualFunc(got[1:], values, same) {
		t.Fatal("the values are not those of Decode")
	}
	for i, time := range times {
		if block.MinTime()+int64(i)*step != time {
			t.Fatalf("time %d is %d, want %d", i, block.MinTime()+int64(i)*step, time)
		}
	}
}
