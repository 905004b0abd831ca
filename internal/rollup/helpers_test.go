package rollup

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flopynet/collector/model"
)

const (
	second = int64(1e9)
	epoch  = 1_700_006_400 * second // midnight
	stale  = 0x7ff0000000000002
)

var (
	testKey = []byte("key")
	tiers   = []model.Tier{model.Tier5m, model.Tier1h}
)

// walk returns days of what a series of the benchmarks holds: a random walk between 0 and 100, rounded to
// two decimals, every ten seconds.
func walk(seed uint64, days int) (times []int64, values []float64) {
	random := rand.New(rand.NewPCG(seed, 0))
	v := 100 * random.Float64()
	for i := range days * 8640 {
		v = min(max(v+random.NormFloat64(), 0), 100)
		times = append(times, epoch+int64(i)*10*second)
		values = append(values, math.Round(100*v)/100)
	}
	return times, values
}

// shapes are kinds of series.
var shapes = []struct {
	name string
	next func(random *rand.Rand, v float64) float64
}{
	{"walk", func(r *rand.Rand, v float64) float64 {
		return math.Round(100*min(max(v+r.NormFloat64(), 0), 100)) / 100
	}},
	{"full", func(r *rand.Rand, v float64) float64 { return v + r.NormFloat64() }},
	{"int", func(r *rand.Rand, v float64) float64 { return math.Floor(v + r.NormFloat64()) }},
	{"constant", func(r *rand.Rand, v float64) float64 { return 42.5 }},
	{"counter", func(r *rand.Rand, v float64) float64 {
		if r.IntN(500) == 0 {
			return 0
		}
		return math.Floor(v) + float64(r.IntN(1000))
	}},
	{"bytes", func(r *rand.Rand, v float64) float64 { return math.Floor(v) + 1e13 + float64(r.IntN(1e6)) }},
	{"tiny", func(r *rand.Rand, v float64) float64 { return float64(r.IntN(1e6)) / 1e12 }},
	{"steps", func(r *rand.Rand, v float64) float64 {
		if r.IntN(100) == 0 {
			return float64(r.IntN(5))
		}
		return math.Floor(v)
	}},
	{"signs", func(r *rand.Rand, v float64) float64 { return float64(r.IntN(3)-1) * 0.1 }},
	{"odd", func(r *rand.Rand, v float64) float64 { return oddFloat(r) }},
	{"mixed", func(r *rand.Rand, v float64) float64 {
		if r.IntN(50) == 0 {
			return oddFloat(r)
		}
		return float64(r.IntN(1000)) / 10
	}},
	{"stale", func(r *rand.Rand, v float64) float64 {
		if r.IntN(3) > 0 {
			return math.Float64frombits(stale)
		}
		return float64(r.IntN(1000)) / 10
	}},
}

func oddFloat(random *rand.Rand) float64 {
	odd := []float64{
		0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(stale),
		math.Float64frombits(0xfff8000000000123), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 1e15, 1 << 53,
	}
	if random.IntN(4) == 0 {
		return math.Float64frombits(random.Uint64())
	}
	return odd[random.IntN(len(odd))]
}

// samples returns n samples of a shape. Their times are seldom far apart, and often at the edges of buckets.
func samples(random *rand.Rand, shape, n int) (times []int64, values []float64) {
	time, v := epoch+random.Int64N(3600*second), 50.0
	step := []int64{1, 10 * second, 15 * second, 60 * second, 7_001_000_000}[random.IntN(5)]
	if random.IntN(2) == 0 {
		time -= time % step
	}
	for range n {
		v = shapes[shape].next(random, v)
		times, values = append(times, time), append(values, v)
		time += step
		switch random.IntN(200) {
		case 0:
			time += random.Int64N(7200 * second)
		case 1:
			time += 299*second - (time+299*second)%(300*second) + second // the first of a bucket
		case 2:
			time += 300*second - time%(300*second) - 1 // the last
		}
		if v != v || math.IsInf(v, 0) {
			v = 50
		}
	}
	return times, values
}

// sameFloats compares bit for bit.
var sameFloats = cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })

func requireSame(t testing.TB, got, want *Columns) {
	t.Helper()
	if diff := cmp.Diff(want, got, sameFloats, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Columns{})); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

func decode(t testing.TB, key, stored []byte, want Want) (Chunk, *Columns) {
	t.Helper()
	c, err := Open(key, stored)
	if err != nil {
		t.Fatal(err)
	}
	got := dirty()
	if err := c.Decode(got, want); err != nil {
		t.Fatal(err)
	}
	return c, got
}

// dirty returns empty columns whose memory is full of what is no point's, so that nothing counts on zeros.
func dirty() *Columns {
	full := func() []float64 { return slices.Repeat([]float64{-77.7}, MaxPoints) }
	integers := func() []int64 { return slices.Repeat([]int64{-77}, MaxPoints) }
	c := Columns{
		Starts: integers(), Counts: integers(), NaNs: integers(), Stale: slices.Repeat([]bool{true}, MaxPoints),
		Sums: full(), Mins: full(), Maxs: full(), Firsts: full(), Lasts: full(), FirstTimes: integers(), LastTimes: integers(),
		Resets: full(), M2s: full(),
		scratch: scratch{counts: integers(), nans: integers(), difference: integers(), decimals: decimals{room: slices.Repeat([]int64{-77}, 8*MaxPoints)}},
	}
	c.Reset()
	return &c
}

// mustEncode stores sketches that were just made.
func mustEncode(s *Sketches) []byte {
	stored, err := EncodeSketches(nil, testKey, s)
	if err != nil {
		panic(err)
	}
	return stored
}
