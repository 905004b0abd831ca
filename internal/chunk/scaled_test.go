package chunk

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestDecodeScaled compares the integers with the values that Decode gives, and demands that those are left alone that
// are no decimals, or whose sums may not fit.
func TestDecodeScaled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, row := range []struct {
		name string
		draw func(i int) float64
		ok   bool
	}{
		{"decimals", func(int) float64 { return math.Round(r.NormFloat64()*1000) / 100 }, true},
		{"integers", func(int) float64 { return math.Floor(r.Float64() * 1000) }, true},
		{"constant", func(int) float64 { return 0.1 }, true},
		{"large", func(i int) float64 { return float64(1<<40 + i) }, true},
		{"sums that may not fit", func(i int) float64 { return float64(1<<53 - i) }, false},
		{"negative ones", func(i int) float64 { return -float64(1<<53 - i) }, false},
		{"-0", func(i int) float64 { return math.Copysign(0, float64(i%2)-0.5) }, false},
		{"an exception", func(i int) float64 { return []float64{1.5, math.Pi}[i/999] }, false},
		{"NaN", func(i int) float64 { return []float64{1.5, math.NaN()}[i/999] }, false},
		{"infinity", func(i int) float64 { return []float64{1.5, math.Inf(1)}[i/999] }, false},
		{"no decimals", func(int) float64 { return r.Float64() }, false},
	} {
		for _, jitter := range []int64{0, 1000} {
			var times []int64
			var values []float64
			for i := range 1000 {
				at := int64(i) * 1e10
				if jitter > 0 {
					at += r.Int64N(jitter)
				}
				times, values = append(times, at), append(values, row.draw(i))
			}
			key := []byte("key")
			block, err := Open(key, Encode(nil, key, times, values))
			if err != nil {
				t.Fatal(err)
			}
			oldTimes, oldIntegers := []int64{7}, []int64{8, 9}
			gotTimes, integers, scale, ok, err := block.DecodeScaled(oldTimes, oldIntegers)
			if err != nil || ok != row.ok {
				t.Fatalf("%s: %v, %v", row.name, ok, err)
			}
			if !ok {
				if len(gotTimes) != 1 || len(integers) != 2 {
					t.Errorf("%s: %d times and %d integers were appended", row.name, len(gotTimes)-1, len(integers)-2)
				}
				continue
			}
			if !slices.Equal(gotTimes[1:], times) || len(integers) != 2+len(values) {
				t.Errorf("%s: times are not those of the samples", row.name)
			}
			for i, x := range integers[2:] {
				if scale.Float(x) != values[i] {
					t.Fatalf("%s: value %d is %d / %v, want %v", row.name, i, x, scale.Power(), values[i])
				}
			}
		}
	}
}

// TestScaledSums compares sums of integers, cut in two where they are no floats any more, with the quotient.
func TestScaledSums(t *testing.T) {
	key := []byte("key")
	block, err := Open(key, Encode(nil, key, []int64{0, 1, 2}, []float64{0.25, 1.75, 3.03}))
	if err != nil {
		t.Fatal(err)
	}
	_, _, scale, ok, err := block.DecodeScaled(nil, nil)
	if err != nil || !ok || scale.Power() != 100 {
		t.Fatalf("%v, %v, %v", scale.Power(), ok, err)
	}
	for _, sum := range []int64{0, 1, -1, 1<<53 - 1, 1 << 53, 1<<53 + 1, -1<<53 - 1, 1<<62 - 1, -1<<62 + 1, 1<<62 - 1<<26} {
		high, low := scale.Sum(sum)
		if got, want := high+low, float64(sum)/100; math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("%d / 100 is %v + %v, want %v", sum, high, low, want)
		}
		if sum > -1<<53 && sum < 1<<53 && (low != 0 || high != float64(sum)/100) {
			t.Errorf("%d / 100 is %v + %v, want it rounded once", sum, high, low)
		}
	}
}
