package export

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestNumbers compares with encoding/json, whose spelling is ours, and reads back every bit.
func TestNumbers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var n numbers
	check := func(v float64) {
		t.Helper()
		got := string(n.append(nil, v))
		want, err := json.Marshal(v)
		if err != nil { // JSON has no such number
			want = strconv.AppendFloat(nil, v, 'g', -1, 64)
		}
		if got != string(want) {
			t.Fatalf("%x is %s, want %s", math.Float64bits(v), got, want)
		}
		back, err := strconv.ParseFloat(got, 64)
		if err != nil || math.Float64bits(back) != math.Float64bits(v) && !math.IsNaN(v) {
			t.Fatalf("%s is read as %v, %v", got, back, err)
		}
	}
	for _, v := range []float64{0, math.Copysign(0, -1), 1e-6, 9.99999e-7, 1e15, -1e15, 999999999999999, 1e21, 1e20, 5e-324,
		math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1), 0.1, 0.30000000000000004, 1 << 53, 1<<53 + 2, 123456.789012, 0.000001, 1.0000001} {
		check(v)
		check(-v)
	}
	for range 500_000 {
		switch random.IntN(6) {
		case 0:
			check(math.Float64frombits(random.Uint64()))
		case 1:
			check(float64(random.Int64N(2e15) - 1e15))
		case 2:
			check(random.NormFloat64())
		default:
			power := math.Pow(10, float64(random.IntN(9)))
			check(math.Round(random.NormFloat64()*1000*power) / power)
		}
	}
}

func BenchmarkNumbers(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	dec2, full := make([]float64, 4096), make([]float64, 4096)
	for i := range dec2 {
		dec2[i] = math.Round(random.NormFloat64()*1e4) / 100
		full[i] = random.NormFloat64()
	}
	for name, values := range map[string][]float64{"dec2": dec2, "full": full} {
		b.Run(name, func(b *testing.B) {
			var n numbers
			var dst []byte
			for i := 0; b.Loop(); i++ {
				dst = n.append(dst[:0], values[i%len(values)])
			}
		})
	}
}
