package engine

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/internal/chunk"
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
	"positive":   func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64() * 4) },
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
			bound := max(math.Abs(low), math.Abs(high))
			checkSumWithin(t, name, numbers, bound)
			checkSumWithin(t, name, numbers, bound*math.Exp(r.Float64()*20))
		}
	}
}

// checkSumWithin compares with the exact sum before the last rounding.
func checkSumWithin(t *testing.T, name string, values []float64, bound float64) {
	t.Helper()
	sum, lost := sumWithin(values, bound)
	if slices.ContainsFunc(values, func(v float64) bool { return math.IsInf(v, 0) }) || math.IsInf(sum, 0) {
		wantSum, wantLost := sumOf(values)
		if math.Float64bits(sum) != math.Float64bits(wantSum) || math.Float64bits(lost) != math.Float64bits(wantLost) {
			t.Fatalf("%s: the sum of %v is %v + %v, want %v + %v", name, values, sum, lost, wantSum, wantLost)
		}
		return
	}
	want, magnitudes := exactSum(values)
	off := new(big.Float).SetPrec(4000).SetFloat64(sum)
	off.Sub(off.Add(off, big.NewFloat(lost)), want)
	n2 := float64(len(values) * len(values))
	bounds := new(big.Float).Mul(new(big.Float).Abs(want), big.NewFloat(n2*0x1p-98))
	bounds.Add(bounds, new(big.Float).Mul(magnitudes, big.NewFloat(n2*0x1p-106)))
	if off.Abs(off).Cmp(bounds) > 0 {
		t.Fatalf("%s: the sum of %v within %v is %v + %v, want %v", name, values, bound, sum, lost, want)
	}
}

// TestSumWithinOfManyValues goes to as many as a chunk has, all of them as large as the bound or nearly so.
func TestSumWithinOfManyValues(t *testing.T) {
	r := seeded(t)
	for _, sign := range []float64{1, -1} {
		values := make([]float64, chunk.MaxSamples)
		for i := range values {
			values[i] = sign * (1 - r.Float64()*r.Float64()*0x1p-20)
		}
		checkSumWithin(t, "many", values, 1)
	}
}

// TestAddRegular compares with samples whose times are written out.
func TestAddRegular(t *testing.T) {
	r := seeded(t)
	n := needsOf([]Function{{Kind: Avg}, {Kind: Min}, {Kind: Max}, {Kind: Count}, {Kind: First}, {Kind: Last}}, false)
	for range 500 {
		first, step := 1000+r.Int64N(1000), 1+r.Int64N(9)
		times, values := make([]int64, 2+r.IntN(300)), []float64(nil)
		for i := range times {
			times[i] = first + int64(i)*step
			values = append(values, r.NormFloat64()+1)
		}
		block, err := chunk.Open(nil, chunk.Encode(nil, nil, times, values))
		if err != nil {
			t.Fatal(err)
		}
		request := AggregateRequest{Edges: []int64{500}}
		for request.Edges[len(request.Edges)-1] < 7000 {
			request.Edges = append(request.Edges, request.Edges[len(request.Edges)-1]+1+r.Int64N(200))
		}
		request.From, request.To = first+r.Int64N(400)-200, first+r.Int64N(3000)
		got, want := newAccumulator(&request, 1, n), newAccumulator(&request, 1, n)
		got.addRegular(0, block.Header(), step, values, request.From, request.To)
		for i, at := range times {
			if at >= request.From && at < request.To {
				want.partial(0, want.bucketOf(at)).add(n, times[i:i+1], values[i:i+1], true)
			}
		}
		for bucket := range len(request.Edges) - 1 {
			a, b := *got.partial(0, bucket), *want.partial(0, bucket)
			if math.Abs(a.total()-b.total()) > 1e-15*float64(b.count) {
				t.Fatalf("bucket %d of %v has the sum %v, want %v", bucket, request.Edges, a.total(), b.total())
			}
			a.sum, a.sumError, b.sum, b.sumError = 0, 0, 0, 0
			if a != b {
				t.Fatalf("bucket %d of %v is %+v, want %+v", bucket, request.Edges, a, b)
			}
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
