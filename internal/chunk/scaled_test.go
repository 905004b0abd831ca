package chunk

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
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
		{"decimals", func(int) float64 { return float64(r.IntN(10_001)-5000) / 100 }, true},
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
			for _, end := range []int64{model.MaxTime + 1, times[500], times[500] + 1, times[999], times[0], times[0] + 1, 0} {
				var got Scaled
				if ok, err := block.DecodeScaled(&got, end); err != nil || ok != row.ok {
					t.Fatalf("%s: %v, %v", row.name, ok, err)
				}
				if row.ok {
					requireScaled(t, row.name, &got, times, values, end)
				}
			}
		}
	}
}

// requireScaled demands that all samples before end are there, and none that is not among them all.
func requireScaled(t *testing.T, name string, got *Scaled, times []int64, values []float64, end int64) {
	t.Helper()
	n := len(got.Integers)
	if n < len(times) && times[n] < end {
		t.Fatalf("%s: %d samples, the next is at %d, before %d", name, n, times[n], end)
	}
	if got.Step == 0 && len(got.Times) != n {
		t.Fatalf("%s: %d times of %d samples", name, len(got.Times), n)
	}
	for i, x := range got.Integers {
		at := got.First + int64(i)*got.Step
		if got.Step == 0 {
			at = got.Times[i]
		}
		if at != times[i] || got.Scale.Float(x) != values[i] {
			t.Fatalf("%s: sample %d is %d / %v at %d, want %v at %d", name, i, x, got.Scale.Power(), at, values[i], times[i])
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
	var got Scaled
	if ok, err := block.DecodeScaled(&got, 3); err != nil || !ok || got.Scale.Power() != 100 {
		t.Fatalf("%v, %v, %v", got.Scale.Power(), ok, err)
	}
	scale := got.Scale
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
