package numfmt

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// check compares with encoding/json, which has its digits from strconv, and reads back every bit.
func check(t *testing.T, v float64) {
	t.Helper()
	got := string(Append([]byte("x"), v))[1:]
	want, err := json.Marshal(v)
	quoted := string(want)
	if err != nil { // JSON has no such number
		want = strconv.AppendFloat(nil, v, 'g', -1, 64)
		quoted = `"` + string(want) + `"`
	}
	if got != string(want) {
		t.Fatalf("%x is %s, want %s", math.Float64bits(v), got, want)
	}
	if inJSON := string(AppendJSON(nil, v)); inJSON != quoted {
		t.Fatalf("%x is %s in JSON, want %s", math.Float64bits(v), inJSON, quoted)
	}
	back, err := strconv.ParseFloat(got, 64)
	if err != nil || math.Float64bits(back) != math.Float64bits(v) && !math.IsNaN(v) {
		t.Fatalf("%s is read as %v, %v", got, back, err)
	}
}

func TestAppendEdges(t *testing.T) {
	edges := []float64{0, 1e-6, 9.99999e-7, 1e9, 1e15, 999999999999999, 1e21, 1e20, 5e-324, math.MaxFloat64, math.NaN(), math.Inf(1),
		0.1, 0.30000000000000004, 1 << 53, 1<<53 + 2, 1<<53 - 1, 123456.789012, 0.000001, 1.0000001, 9007199254740991.5, 5e-7, 4.9999999e-7, 0.5, 0.25, 1e-7, 1e-9, 1e-10, 1e22, 1e100}
	for exponent := -30; exponent <= 70; exponent++ { // where a neighbour is only half as far
		edges = append(edges, math.Ldexp(1, exponent))
	}
	for power := -12; power <= 23; power++ {
		v, err := strconv.ParseFloat("1e"+strconv.Itoa(power), 64)
		if err != nil {
			t.Fatal(err)
		}
		edges = append(edges, v, v/2, 5*v, v/1e6)
	}
	for _, v := range edges {
		for _, near := range []float64{v, math.Nextafter(v, math.Inf(1)), math.Nextafter(v, math.Inf(-1))} {
			check(t, near)
			check(t, -near)
		}
	}
}

func TestAppendManyKinds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 500_000 {
		switch random.IntN(8) {
		case 0:
			check(t, math.Float64frombits(random.Uint64()))
		case 1:
			check(t, float64(random.Int64N(2e15)-1e15))
		case 2:
			check(t, random.NormFloat64())
		case 3: // all sizes that the search is for
			check(t, math.Ldexp(1+random.Float64(), random.IntN(76)-21))
		case 4: // few bits: half-way cases
			check(t, math.Ldexp(float64(random.IntN(1<<12)), random.IntN(60)-40))
		default:
			power := math.Pow(10, float64(random.IntN(14)))
			check(t, math.Round(random.NormFloat64()*1000*power)/power)
		}
	}
}

func FuzzAppend(f *testing.F) {
	for _, v := range []float64{0, 0.1, -12.34, 1.0 / 3, 1e-7, 1e21, 1 << 53, math.Inf(-1)} {
		f.Add(math.Float64bits(v))
	}
	f.Fuzz(func(t *testing.T, word uint64) {
		check(t, math.Float64frombits(word))
		// The same digits at a size that isn't left to strconv.
		check(t, math.Float64frombits(word&(1<<52-1)|(1003+(word>>52)%74)<<52))
	})
}

// TestAppendKeepsWhatIsThere appends where there is little room, and none.
func TestAppendKeepsWhatIsThere(t *testing.T) {
	for room := range 40 {
		dst := append(make([]byte, 0, 3+room), "abc"...)
		for _, v := range []float64{-1.25, 1e-300, 1.0 / 3, math.NaN(), -123456789.123456} {
			want := "abc" + strconv.FormatFloat(v, 'g', -1, 64)
			if v == -123456789.123456 {
				want = "abc-123456789.123456"
			}
			if got := string(Append(dst, v)); got != want {
				t.Fatalf("with room for %d: %s, want %s", room, got, want)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []struct {
		name string
		next func() float64
	}{
		{"int", func() float64 { return math.Floor(random.Float64() * 100) }},
		{"dec2", func() float64 { return math.Round(random.Float64()*1e4) / 100 }},
		{"dec6", func() float64 { return math.Round(random.Float64()*1e8) / 1e6 }},
		{"full", func() float64 { return random.Float64() * 100 }},
		{"tiny", func() float64 { return random.Float64() * 1e-9 }},
	}
	for _, kind := range kinds {
		values := make([]float64, 4096)
		for i := range values {
			values[i] = kind.next()
		}
		dst := make([]byte, 0, 64)
		b.Run(kind.name+"/ours", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				dst = Append(dst[:0], values[i%len(values)])
			}
		})
		b.Run(kind.name+"/strconv", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				dst = appendAny(dst[:0], values[i%len(values)])
			}
		})
	}
}
