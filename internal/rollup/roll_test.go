package rollup

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flopynet/collector/internal/sketch"
	"github.com/flopynet/collector/model"
)

// bucket is a trivial model of a point: the samples.
type bucket struct {
	times  []int64 // without stale markers
	values []float64
	stale  bool
}

func buckets(width int64, times []int64, values []float64) (starts []int64, all map[int64]*bucket) {
	all = map[int64]*bucket{}
	for i, time := range times {
		start := time / width * width
		b := all[start]
		if b == nil {
			b = &bucket{}
			all[start] = b
			starts = append(starts, start)
		}
		if model.IsStale(values[i]) {
			b.stale = true
			continue
		}
		b.times, b.values = append(b.times, time), append(b.values, values[i])
	}
	return starts, all
}

// exactSum adds without rounding, of values that are finite.
func exactSum(values []float64) *big.Float {
	sum := new(big.Float).SetPrec(4096)
	for _, v := range values {
		sum.Add(sum, new(big.Float).SetPrec(4096).SetFloat64(v))
	}
	return sum
}

// near reports whether a is b, or close to it where scale is the size of what was added up.
func near(a, b, scale float64) bool {
	return a == b || a != a && b != b || math.Abs(a-b) <= 1e-13*scale
}

func (b *bucket) compare(t *testing.T, c *Columns, i int, tier model.Tier) {
	t.Helper()
	numbers := slices.DeleteFunc(slices.Clone(b.values), math.IsNaN)
	want := Columns{
		Counts: []int64{int64(len(b.values))}, NaNs: []int64{int64(len(b.values) - len(numbers))}, Stale: []bool{b.stale},
		Firsts: []float64{0}, Lasts: []float64{0}, FirstTimes: []int64{c.Starts[i]}, LastTimes: []int64{c.Starts[i]},
		Mins: []float64{0}, Maxs: []float64{0},
	}
	if n := len(b.values); n > 0 {
		want.Firsts[0], want.Lasts[0] = b.values[0], b.values[n-1]
		want.FirstTimes[0], want.LastTimes[0] = b.times[0], b.times[n-1]
	}
	magnitude, resets, sum := 0.0, 0.0, 0.0
	for j, v := range numbers {
		magnitude += math.Abs(v)
		sum += v
		if j > 0 && v < numbers[j-1] {
			resets += numbers[j-1]
		}
	}
	if len(numbers) > 0 {
		want.Mins[0], want.Maxs[0] = slices.Min(numbers), slices.Max(numbers)
	}
	if math.IsInf(want.Mins[0], 0) || math.IsInf(want.Maxs[0], 0) {
		resets = math.NaN()
	}
	if !math.IsInf(magnitude, 0) {
		sum, _ = exactSum(numbers).Float64()
	}
	if !near(c.Sums[i], sum, magnitude) || !near(c.Resets[i], resets, magnitude) {
		t.Fatalf("sum %g and resets %g of %v, want %g and %g", c.Sums[i], c.Resets[i], numbers, sum, resets)
	}
	if tier == model.Tier1h {
		b.compareM2(t, c.M2s[i], numbers, sum)
	} else if len(c.M2s) > 0 {
		t.Fatal("M2 is there")
	}
	got := Columns{
		Counts: c.Counts[i : i+1], NaNs: c.NaNs[i : i+1], Stale: c.Stale[i : i+1], Firsts: c.Firsts[i : i+1], Lasts: c.Lasts[i : i+1],
		FirstTimes: c.FirstTimes[i : i+1], LastTimes: c.LastTimes[i : i+1], Mins: c.Mins[i : i+1], Maxs: c.Maxs[i : i+1],
	}
	requireSame(t, &got, &want)
}

func (b *bucket) compareM2(t *testing.T, got float64, numbers []float64, sum float64) {
	t.Helper()
	if len(numbers) == 0 {
		if got != 0 {
			t.Fatalf("M2 is %g of nothing", got)
		}
		return
	}
	mean, m2, squares := sum/float64(len(numbers)), 0.0, 0.0
	for _, v := range numbers {
		m2 += (v - mean) * (v - mean)
		squares += v * v
	}
	if math.IsInf(squares, 0) || squares != squares {
		return // no distance from the mean is a number, or they overflow
	}
	if math.Abs(got-m2) > 1e-13*squares {
		t.Fatalf("M2 is %g of %v, want %g", got, numbers, m2)
	}
}

func TestRollAgainstModel(t *testing.T) {
	for shape := range shapes {
		t.Run(shapes[shape].name, func(t *testing.T) {
			for seed := range uint64(5) {
				random := rand.New(rand.NewPCG(seed, 1))
				times, values := samples(random, shape, random.IntN(2000))
				t.Logf("seed %d", seed)
				for _, tier := range tiers {
					var c Columns
					Roll(&c, tier, times, values)
					starts, all := buckets(tier.Width(), times, values)
					if !slices.Equal(c.Starts, starts) {
						t.Fatalf("starts are %v, want %v", c.Starts, starts)
					}
					for i, start := range starts {
						all[start].compare(t, &c, i, tier)
					}
				}
				compareSketches(t, times, values)
			}
		})
	}
}

func compareSketches(t *testing.T, times []int64, values []float64) {
	t.Helper()
	var got Sketches
	RollSketches(&got, times, values)
	starts, all := buckets(model.Tier1h.Width(), times, values)
	i := 0
	for _, start := range starts {
		var want sketch.Sketch
		want.AddAll(all[start].values)
		if want.Count() == 0 {
			continue
		}
		if i == got.Len() || got.Starts[i] != start || string(got.At(i)) != string(want.AppendBinary(nil)) {
			t.Fatalf("sketch %d of the hours %v is not that of %d", i, got.Starts, start)
		}
		i++
	}
	if i != got.Len() {
		t.Fatalf("%d sketches, want %d", got.Len(), i)
	}
}

// TestRollInfinities pins sums that are no longer finite.
func TestRollInfinities(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		values []float64
		sum    float64
	}{
		{[]float64{1, inf, 2}, inf},
		{[]float64{-inf, 5}, -inf},
		{[]float64{inf, -inf}, math.NaN()},
		{[]float64{math.MaxFloat64, math.MaxFloat64}, inf},
		{[]float64{1e100, 1, -1e100}, 1},
	} {
		var c Columns
		times := make([]int64, len(test.values))
		for i := range times {
			times[i] = epoch + int64(i)
		}
		Roll(&c, model.Tier1h, times, test.values)
		if math.Float64bits(c.Sums[0]) != math.Float64bits(test.sum) {
			t.Errorf("the sum of %v is %v, want %v", test.values, c.Sums[0], test.sum)
		}
	}
}

// TestM2IsCompensated has a mean that is far from a float64.
func TestM2IsCompensated(t *testing.T) {
	var c Columns
	Roll(&c, model.Tier1h, []int64{epoch, epoch + 1, epoch + 2}, []float64{1e15 + 1, 1e15 + 2, 1e15 + 2})
	if want := 2.0 / 3; math.Abs(c.M2s[0]-want) > 1e-15 {
		t.Errorf("M2 is %v, want %v", c.M2s[0], want)
	}
}

// TestRollAppends rolls in two pieces, cut at a bucket.
func TestRollAppends(t *testing.T) {
	times, values := walk(1, 1)
	var whole, pieces Columns
	var wholeSketches, pieceSketches Sketches
	Roll(&whole, model.Tier1h, times, values)
	RollSketches(&wholeSketches, times, values)
	for _, at := range [][2]int{{0, 3600}, {3600, 8640}} {
		Roll(&pieces, model.Tier1h, times[at[0]:at[1]], values[at[0]:at[1]])
		RollSketches(&pieceSketches, times[at[0]:at[1]], values[at[0]:at[1]])
	}
	requireSame(t, &pieces, &whole)
	if string(mustEncode(&pieceSketches)) != string(mustEncode(&wholeSketches)) {
		t.Error("the sketches differ")
	}
}
