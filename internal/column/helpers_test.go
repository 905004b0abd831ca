package column

import (
	"math"
	"math/rand/v2"
	"testing"
)

// shapes are kinds of columns of integers.
var shapes = []struct {
	name string
	make func(random *rand.Rand, n int) []int64
}{
	{"constant", func(random *rand.Rand, n int) []int64 { return progression(random.Int64(), 0, n) }},
	{"progression", func(random *rand.Rand, n int) []int64 { return progression(-5, 10_000, n) }},
	{"progression that overflows", func(random *rand.Rand, n int) []int64 { return progression(math.MaxInt64-3, math.MaxInt64/3, n) }},
	{"falling", func(random *rand.Rand, n int) []int64 { return progression(1<<40, -1<<30, n) }},
	{"line with noise", func(random *rand.Rand, n int) []int64 {
		return each(progression(7, 1000, n), func(_ int, v int64) int64 { return v + random.Int64N(11) - 5 })
	}},
	{"falling line with noise", func(random *rand.Rand, n int) []int64 {
		return each(progression(7, -1000, n), func(_ int, v int64) int64 { return v + random.Int64N(11) - 5 })
	}},
	{"noise", func(random *rand.Rand, n int) []int64 {
		return each(make([]int64, n), func(int, int64) int64 { return random.Int64N(1000) })
	}},
	{"any", func(random *rand.Rand, n int) []int64 {
		return each(make([]int64, n), func(int, int64) int64 { return int64(random.Uint64()) })
	}},
	{"any length", func(random *rand.Rand, n int) []int64 {
		return each(make([]int64, n), func(int, int64) int64 { return int64(random.Uint64()) >> random.IntN(64) })
	}},
	{"small walk", func(random *rand.Rand, n int) []int64 { return sums(normal(random, 1, n)) }},
	{"walk", func(random *rand.Rand, n int) []int64 { return sums(normal(random, 100, n)) }},
	{"wide walk", func(random *rand.Rand, n int) []int64 { return sums(normal(random, 1e12, n)) }},
	{"speed of a walk", func(random *rand.Rand, n int) []int64 { return sums(sums(normal(random, 20, n))) }},
	{"counter with resets", func(random *rand.Rand, n int) []int64 {
		last := int64(0)
		return each(make([]int64, n), func(int, int64) int64 {
			if last += 50 + random.Int64N(9); random.IntN(300) == 0 {
				last = 0
			}
			return last
		})
	}},
	{"walk with outliers", func(random *rand.Rand, n int) []int64 {
		return each(sums(normal(random, 1, n)), func(_ int, v int64) int64 {
			if random.IntN(40) == 0 {
				return int64(random.Uint64()) >> random.IntN(64)
			}
			return v
		})
	}},
	{"state that seldom changes", func(random *rand.Rand, n int) []int64 {
		last := int64(0)
		return each(make([]int64, n), func(int, int64) int64 {
			if random.IntN(100) == 0 {
				last = random.Int64N(4)
			}
			return last
		})
	}},
	{"ends of the range", func(random *rand.Rand, n int) []int64 {
		return each(make([]int64, n), func(i int, _ int64) int64 {
			return []int64{math.MinInt64, math.MaxInt64, 0, -1, 1, math.MinInt64 + 1}[random.IntN(6)]
		})
	}},
}

func progression(first, step int64, n int) []int64 {
	return each(make([]int64, n), func(i int, _ int64) int64 { return first + int64(i)*step })
}

func normal(random *rand.Rand, deviation float64, n int) []int64 {
	return each(make([]int64, n), func(int, int64) int64 { return int64(math.Round(deviation * random.NormFloat64())) })
}

func sums(values []int64) []int64 {
	sum := int64(0)
	return each(values, func(_ int, v int64) int64 { sum += v; return sum })
}

func each(values []int64, change func(i int, v int64) int64) []int64 {
	for i, v := range values {
		values[i] = change(i, v)
	}
	return values
}

// lengthsToTry are those at which blocks end, and some others.
func lengthsToTry(random *rand.Rand) []int {
	return []int{1, 2, 3, blockSize - 1, blockSize, blockSize + 1, blockSize + 2, 2*blockSize + 1, 1 + random.IntN(2000)}
}

// requireInts encodes the values and requires them back, from the decoder and from the reference.
func requireInts(t testing.TB, values []int64) []byte {
	t.Helper()
	encoded := AppendInts([]byte("before"), values)
	if string(encoded[:6]) != "before" {
		t.Fatal("AppendInts changed what was in dst")
	}
	encoded = encoded[6:]
	got := make([]int64, len(values))
	rest, err := Ints(append(encoded, "behind"...), got)
	if err != nil || string(rest) != "behind" {
		t.Fatalf("decoding %d integers: error %v, rest %q", len(values), err, rest)
	}
	requireEqual(t, got, values)
	ref := reference{src: encoded}
	requireEqual(t, ref.ints(len(values)), values)
	if len(ref.src) > 0 {
		t.Fatalf("the reference leaves %d bytes", len(ref.src))
	}
	for n := range min(len(encoded), 300) {
		if _, err := Ints(encoded[:n], got); err == nil {
			t.Fatalf("cut to %d of %d bytes it is decoded", n, len(encoded))
		}
	}
	return encoded
}

func requireEqual(t testing.TB, got, want []int64) {
	t.Helper()
	for i, v := range want {
		if got[i] != v {
			t.Fatalf("integer %d of %d is %d, not %d", i, len(want), got[i], v)
		}
	}
}

// requireFloats is requireInts for floats.
func requireFloats(t testing.TB, values []float64) []byte {
	t.Helper()
	encoded := AppendFloats([]byte("before"), values)
	if string(encoded[:6]) != "before" {
		t.Fatal("AppendFloats changed what was in dst")
	}
	encoded = encoded[6:]
	got := make([]float64, len(values))
	rest, err := Floats(append(encoded, "behind"...), got)
	if err != nil || string(rest) != "behind" {
		t.Fatalf("decoding %d floats: error %v, rest %q", len(values), err, rest)
	}
	requireSameFloats(t, got, values)
	ref := reference{src: encoded}
	requireSameFloats(t, ref.floats(len(values)), values)
	if len(ref.src) > 0 {
		t.Fatalf("the reference leaves %d bytes", len(ref.src))
	}
	for n := range min(len(encoded), 300) {
		if _, err := Floats(encoded[:n], got); err == nil {
			t.Fatalf("cut to %d of %d bytes it is decoded", n, len(encoded))
		}
	}
	return encoded
}

func requireSameFloats(t testing.TB, got, want []float64) {
	t.Helper()
	for i, v := range want {
		if math.Float64bits(got[i]) != math.Float64bits(v) {
			t.Fatalf("float %d of %d is %v (%x), not %v (%x)", i, len(want), got[i], math.Float64bits(got[i]), v, math.Float64bits(v))
		}
	}
}
