package engine

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// seeded returns a source of random numbers and prints its seed.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// drawings are kinds of values that sums and extremes may go wrong at.
var drawings = map[string]func(r *rand.Rand) float64{
	"walk":       func(r *rand.Rand) float64 { return math.Round(r.Float64()*1e4) / 100 },
	"magnitudes": func(r *rand.Rand) float64 { return math.Copysign(math.Exp(r.NormFloat64()*30), r.NormFloat64()) },
	"cancelling": func(r *rand.Rand) float64 { return math.Copysign(1e17+float64(r.IntN(100)), r.NormFloat64()) },
	"zeros":      func(r *rand.Rand) float64 { return math.Copysign(0, r.NormFloat64()) },
	"subnormal":  func(r *rand.Rand) float64 { return float64(r.IntN(9)-4) * math.SmallestNonzeroFloat64 },
	"infinities": func(r *rand.Rand) float64 { return []float64{1, 2, math.Inf(1)}[r.IntN(3)] },
	"nan":        func(r *rand.Rand) float64 { return []float64{1, 2, math.NaN(), math.Inf(-1)}[r.IntN(4)] },
}

// exactSum is the sum of finite values, and that of their magnitudes, without rounding.
func exactSum(values []float64) (sum, magnitudes *big.Float) {
	sum, magnitudes = new(big.Float).SetPrec(4000), new(big.Float).SetPrec(4000)
	for _, v := range values {
		sum.Add(sum, big.NewFloat(v))
		magnitudes.Add(magnitudes, big.NewFloat(math.Abs(v)))
	}
	return sum, magnitudes
}

func TestKernelsAreAsNaiveOnes(t *testing.T) {
	r := seeded(t)
	for name, draw := range drawings {
		for n := range 200 {
			values := make([]float64, 1+n)
			for i := range values {
				values[i] = draw(r)
			}
			if got, want := hasNaN(values), slices.ContainsFunc(values, math.IsNaN); got != want {
				t.Fatalf("%s: hasNaN of %v is %v", name, values, got)
			}
			numbers := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
			if got := withoutNaN(values); !slices.Equal(got, numbers) {
				t.Fatalf("%s: without NaN, %v are %v", name, values, got)
			}
			if len(numbers) == 0 {
				continue
			}
			low, high := extremesOf(numbers)
			if low != slices.Min(numbers) || high != slices.Max(numbers) {
				t.Fatalf("%s: extremes of %v are %v and %v", name, numbers, low, high)
			}
			checkSum(t, name, numbers)
		}
	}
}

func checkSum(t *testing.T, name string, values []float64) {
	t.Helper()
	p := partial{}
	p.sum, p.sumError = sumOf(values)
	plain := 0.0
	for _, v := range values {
		plain += v
	}
	if plain-plain != 0 { // infinite, or of infinities of both signs
		if got := p.total(); got != plain && !(got != got && plain != plain) {
			t.Fatalf("%s: the sum of %v is %v, want %v", name, values, got, plain)
		}
		return
	}
	sum, magnitudes := exactSum(values)
	off := new(big.Float).SetPrec(4000)
	off.Sub(off.Add(off, big.NewFloat(p.total())), sum)
	// Rounded once, and the errors themselves are added with rounding.
	bound := new(big.Float).Mul(new(big.Float).Abs(sum), big.NewFloat(0x1p-52))
	bound.Add(bound, new(big.Float).Mul(magnitudes, big.NewFloat(float64(len(values)*len(values))*0x1p-106)))
	if off.Abs(off).Cmp(bound) > 0 {
		t.Fatalf("%s: the sum of %v is %v, want %v", name, values, p.total(), sum)
	}
}

// TestSumOfGiants adds values that cancel each other one by one, but not in the lanes.
func TestSumOfGiants(t *testing.T) {
	for n := range 20 {
		var values []float64
		want := 0.0
		for i := range n {
			values = append(values, []float64{math.MaxFloat64, -math.MaxFloat64}[i%2])
			want += values[i]
		}
		p := partial{}
		if p.sum, p.sumError = sumOf(values); p.total() != want {
			t.Errorf("the sum of %d is %v, want %v", n, p.total(), want)
		}
	}
}

func TestIntegerKernels(t *testing.T) {
	r := seeded(t)
	for n := range 300 {
		values := make([]int64, 1+n)
		sum := int64(0)
		for i := range values {
			values[i] = r.Int64N(1<<54) - 1<<53
			sum += values[i]
		}
		low, high := extremesOfIntegers(values)
		if low != slices.Min(values) || high != slices.Max(values) {
			t.Fatalf("extremes of %v are %v and %v", values, low, high)
		}
		if got := sumOfIntegers(values); got != sum {
			t.Fatalf("the sum of %v is %d, want %d", values, got, sum)
		}
	}
}

func TestCountBefore(t *testing.T) {
	r := seeded(t)
	for range 20_000 {
		times := make([]int64, 1+r.IntN(40))
		at, step := r.Int64N(1e6), 1+r.Int64N(20)
		irregular := r.IntN(3)
		for i := range times {
			times[i] = at
			at += step
			if irregular > 0 && r.IntN(4) == 0 {
				at += r.Int64N(100 * int64(irregular) * int64(irregular))
			}
		}
		end := times[0] + 1 + r.Int64N(at-times[0]+10)
		want := 0
		for want < len(times) && times[want] < end {
			want++
		}
		if got := countBefore(times, end); got != want {
			t.Fatalf("%d of %v lie before %d, want %d", got, times, end, want)
		}
	}
}
