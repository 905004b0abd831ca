package sketch

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

const smallest = math.SmallestNonzeroFloat64

// odd are values at the ends of everything.
var odd = []float64{
	0, math.Copysign(0, -1), 1, -1, 100, 0.01, -0.01, 1e-300, -1e-300, 1e300, -1e300,
	smallest, -smallest, 49 * smallest, 50 * smallest, 51 * smallest, 8191 * smallest, 8192 * smallest, -8193 * smallest,
	0x1p-1022, -0x1p-1022, 0x1p-1022 - smallest, math.MaxFloat64, -math.MaxFloat64,
	math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0xfff8000000000001),
}

// walk returns what a series of the benchmarks holds: a random walk between 0 and 100, rounded to two decimals.
func walk(seed uint64, n int) []float64 {
	random := rand.New(rand.NewPCG(seed, 0))
	v := 100 * random.Float64()
	values := make([]float64, n)
	for i := range values {
		v = min(max(v+random.NormFloat64(), 0), 100)
		values[i] = math.Round(100*v) / 100
	}
	return values
}

// mixture returns values of all magnitudes.
func mixture(random *rand.Rand, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		switch random.IntN(4) {
		case 0:
			values[i] = odd[random.IntN(len(odd))]
		case 1:
			values[i] = math.Float64frombits(random.Uint64())
		case 2:
			values[i] = random.NormFloat64()
		default:
			values[i] = math.Exp(10 * random.NormFloat64())
		}
	}
	return values
}

func requireClose(t *testing.T, v float64) {
	t.Helper()
	bits := math.Float64bits(v)
	got := valueOf(binOfAny(bits))
	if math.Abs(got-v) > RelativeError*v || binOfAny(bits) > maxBin {
		t.Fatalf("%g (%x) is in bin %d, for which %g stands", v, bits, binOfAny(bits), got)
	}
}

// TestEveryBin looks at the ends of every bin: they follow one another, and one number stands for both.
func TestEveryBin(t *testing.T) {
	low := uint64(1) // the bits of the bin's first value
	for bin := int64(1); bin <= maxBin; bin++ {
		if got := binOfAny(low); got != bin {
			t.Fatalf("%x is in bin %d, not %d", low, got, bin)
		}
		// The bin's last value, by bisection.
		end, beyond := low, min(low+1<<mantissaBits/10, uint64(bitsOfInfinity))
		for end+1 < beyond {
			if middle := (end + beyond) / 2; binOfAny(middle) == bin {
				end = middle
			} else {
				beyond = middle
			}
		}
		requireClose(t, math.Float64frombits(low))
		requireClose(t, math.Float64frombits(end))
		if got := binOfAny(math.Float64bits(valueOf(bin))); got != bin {
			t.Fatalf("%g stands for bin %d, but is in %d", valueOf(bin), bin, got)
		}
		low = end + 1
	}
	if low != bitsOfInfinity {
		t.Fatalf("the last bin ends before %x", low)
	}
}

func TestEdges(t *testing.T) {
	for k, edge := range edges {
		// n = 2^52 + edge is the smallest integer with n^35 >= 2^(52*35 + k).
		least := new(big.Int).Lsh(big.NewInt(1), uint(mantissaBits*octaveBins+k))
		n := big.NewInt(int64(edge) + 1<<mantissaBits)
		power := big.NewInt(octaveBins)
		atLeast := new(big.Int).Exp(n, power, nil).Cmp(least) >= 0
		less := new(big.Int).Exp(n.Sub(n, big.NewInt(1)), power, nil).Cmp(least) < 0
		if !atLeast || !less {
			t.Errorf("edge %d is %#x", k, edge)
		}
	}
}

// sortedNumbers returns the values that are not NaN, in order.
func sortedNumbers(values []float64) []float64 {
	sorted := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(sorted)
	return sorted
}

// requireQuantiles compares with the samples themselves.
func requireQuantiles(t *testing.T, s *Sketch, values []float64) {
	t.Helper()
	sorted := sortedNumbers(values)
	if s.Count() != int64(len(sorted)) {
		t.Fatalf("count is %d, want %d", s.Count(), len(sorted))
	}
	if len(sorted) == 0 {
		if got := s.Quantile(0.5); got == got {
			t.Fatalf("a quantile of nothing is %g", got)
		}
		return
	}
	for i := range 201 {
		q := float64(i) / 200
		rank := q * float64(len(sorted)-1)
		a, b := sorted[int(rank)], sorted[min(int(rank)+1, len(sorted)-1)]
		if rank == math.Trunc(rank) {
			b = a
		}
		got := s.Quantile(q)
		if math.IsInf(a, -1) && math.IsInf(b, 1) {
			if got == got {
				t.Fatalf("quantile %g between infinities is %g", q, got)
			}
			continue
		}
		if !(got >= a-RelativeError*math.Abs(a) && got <= b+RelativeError*math.Abs(b)) && got != a && got != b {
			t.Fatalf("quantile %g is %g, between %g and %g", q, got, a, b)
		}
		exact := a + (b-a)*(rank-math.Trunc(rank))
		if a*b > 0 && !math.IsInf(exact, 0) && math.Abs(got-exact) > (RelativeError+1e-15)*math.Abs(exact) {
			t.Fatalf("quantile %g is %g, want %g", q, got, exact)
		}
	}
}

func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	lists := map[string][]float64{
		"nothing":  nil,
		"NaN":      {math.NaN()},
		"one":      {7},
		"constant": slices.Repeat([]float64{-3.25}, 100),
		"zeros":    {0, 0, math.Copysign(0, -1)},
		"signs":    {-1, 1},
		"infinite": {math.Inf(-1), math.Inf(1)},
		"extremes": {-math.MaxFloat64, math.MaxFloat64},
		"odd":      odd,
		"walk":     walk(1, 360),
		"mixture":  mixture(random, 5000),
	}
	for name, values := range lists {
		t.Run(name, func(t *testing.T) {
			var s Sketch
			s.AddAll(values)
			requireQuantiles(t, &s, values)
			if s.Bytes() > 1400<<10 {
				t.Errorf("%d bytes are held", s.Bytes())
			}
		})
	}
}

func TestQuantileOfOddRank(t *testing.T) {
	var s Sketch
	s.AddAll([]float64{1, 2, 4})
	for q, want := range map[float64]float64{-1: 1, 0: 1, 0.25: 1.5, 0.5: 2, 0.75: 3, 1: 4, 2: 4} {
		if got := s.Quantile(q); math.Abs(got-want) > RelativeError*want {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
	if got := s.Quantile(math.NaN()); got == got {
		t.Errorf("quantile NaN is %g", got)
	}
}

func TestResetKeepsMemory(t *testing.T) {
	var s Sketch
	values := mixture(rand.New(rand.NewPCG(3, 4)), 1000)
	s.AddAll(values)
	held := s.Bytes()
	s.Reset()
	requireQuantiles(t, &s, nil)
	if got := s.AppendBinary(nil); string(got) != "\x01\x00" {
		t.Errorf("a reset sketch is encoded as %x", got)
	}
	if allocs := testing.AllocsPerRun(10, func() { s.Reset(); s.AddAll(values) }); allocs != 0 || s.Bytes() != held {
		t.Errorf("%v allocations; %d bytes are held after %d", allocs, s.Bytes(), held)
	}
	requireQuantiles(t, &s, values)
}

// TestMergesAreTheUnion splits values at random, merges sketches in either form and compares with one
// sketch of all values.
func TestMergesAreTheUnion(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 5))
		values := mixture(random, random.IntN(300))
		if seed%2 == 0 {
			values = walk(seed, random.IntN(1000))
		}
		var whole, merged, decoded Sketch
		whole.AddAll(values)
		var stored []byte
		parts := 0
		for rest := values; len(rest) > 0; parts++ {
			n := 1 + random.IntN(len(rest))
			var part Sketch
			part.AddAll(rest[:n])
			merged.Merge(&part)
			stored = part.AppendBinary(stored)
			rest = rest[n:]
		}
		skipped := stored
		for rest := stored; parts > 0; parts-- {
			var err error
			if rest, err = decoded.MergeBinary(rest); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if skipped, err = Skip(skipped); err != nil || len(skipped) != len(rest) {
				t.Fatalf("seed %d: Skip leaves %d bytes, MergeBinary %d: %v", seed, len(skipped), len(rest), err)
			}
		}
		if len(skipped) != 0 {
			t.Fatalf("seed %d: %d bytes are left", seed, len(skipped))
		}
		want := whole.AppendBinary(nil)
		for _, s := range []*Sketch{&merged, &decoded} {
			if got := s.AppendBinary(nil); string(got) != string(want) {
				t.Fatalf("seed %d: merged\n%x\nwhole\n%x", seed, got, want)
			}
			requireQuantiles(t, s, values)
		}
	}
}
