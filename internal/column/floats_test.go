package column

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func nan(payload uint64) float64 { return math.Float64frombits(0x7ff0000000000000 | payload) }

var specials = []float64{
	0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), nan(1), nan(1 << 51), -nan(0x8000000000abc),
	math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.MaxFloat64, -math.MaxFloat64,
	math.Float64frombits(0x000fffffffffffff), 1 << 53, 1<<53 + 2, -1 << 53, 1e300, 1e-300, 0.1 + 0.2, 1e-14, 1e-15,
}

// floatShapes are kinds of columns of floats.
var floatShapes = []struct {
	name string
	next func(random *rand.Rand, last float64) float64
}{
	{"full", func(random *rand.Rand, last float64) float64 { return last + random.NormFloat64() }},
	{"integers", func(random *rand.Rand, last float64) float64 { return math.Round(last + 5*random.NormFloat64()) }},
	{"one decimal", func(random *rand.Rand, last float64) float64 { return math.Round(10*(last+random.NormFloat64())) / 10 }},
	{"six decimals", func(random *rand.Rand, last float64) float64 {
		return math.Round(1e6*(last+random.NormFloat64())) / 1e6
	}},
	{"twelve decimals", func(random *rand.Rand, last float64) float64 { return math.Round(1e12*random.Float64()) / 1e12 }},
	{"some decimals", func(random *rand.Rand, last float64) float64 {
		power := math.Pow10(random.IntN(6))
		return math.Round(power*100*random.Float64()) / power
	}},
	{"constant", func(random *rand.Rand, last float64) float64 { return 3.7 }},
	{"constant, no decimal", func(random *rand.Rand, last float64) float64 { return math.Pi }},
	{"any bits", func(random *rand.Rand, last float64) float64 { return math.Float64frombits(random.Uint64()) }},
	{"specials", func(random *rand.Rand, last float64) float64 { return specials[random.IntN(len(specials))] }},
	{"decimals and specials", func(random *rand.Rand, last float64) float64 {
		if random.IntN(10) == 0 {
			return specials[random.IntN(len(specials))]
		}
		return float64(random.IntN(1000)) / 100
	}},
	{"huge", func(random *rand.Rand, last float64) float64 { return 1e16 + 1e4*float64(random.IntN(1000)) }},
	{"tiny", func(random *rand.Rand, last float64) float64 { return 5e-324 * float64(random.IntN(1000)) }},
	{"scientific", func(random *rand.Rand, last float64) float64 {
		return float64(random.IntN(100)) * math.Pow10(random.IntN(600)-300)
	}},
	{"counter", func(random *rand.Rand, last float64) float64 {
		return max(0, math.Floor(last)) + float64(random.IntN(1000))
	}},
}

func floatsOf(shape int, random *rand.Rand, n int) []float64 {
	values := make([]float64, n)
	last := 100 * random.Float64()
	for i := range values {
		last = floatShapes[shape].next(random, last)
		values[i] = last
	}
	return values
}

func TestFloatsRoundTrip(t *testing.T) {
	for i, shape := range floatShapes {
		t.Run(shape.name, func(t *testing.T) {
			for seed := range uint64(10) {
				random := rand.New(rand.NewPCG(seed, 3))
				for _, n := range lengthsToTry(random) {
					t.Logf("seed %d, %d floats", seed, n)
					requireFloats(t, floatsOf(i, random, n))
				}
			}
		})
	}
}

// TestMixedFloats goes from one shape to another within a column.
func TestMixedFloats(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 4))
		var values []float64
		for range 1 + random.IntN(5) {
			values = append(values, floatsOf(random.IntN(len(floatShapes)), random, 1+random.IntN(400))...)
		}
		t.Logf("seed %d", seed)
		requireFloats(t, values)
	}
}

func TestNoFloats(t *testing.T) {
	if encoded := AppendFloats(nil, nil); len(encoded) != 0 {
		t.Errorf("no floats take %d bytes", len(encoded))
	}
	if rest, err := Floats([]byte("behind"), nil); err != nil || string(rest) != "behind" {
		t.Errorf("got %q, %v", rest, err)
	}
}

// TestForms expects the form that fits a shape best.
func TestForms(t *testing.T) {
	for _, test := range []struct {
		shape string
		form  byte
		bytes float64 // a float
	}{
		{"full", formBits, 7.2},
		{"integers", 0, 0.7},
		{"one decimal", 1, 0.8},
		{"six decimals", 6, 2.95},
		{"twelve decimals", 12, 5.2},
		{"some decimals", 5, 3.05},
		{"constant", 1, 0.01},
		{"constant, no decimal", formBits, 0.01},
		{"any bits", formBits, 8.04},
		{"counter", 0, 1.3},
		{"decimals and specials", 2 | flagExceptions, 2.1},
		{"huge", formBits, 2.95},
	} {
		t.Run(test.shape, func(t *testing.T) {
			for i, shape := range floatShapes {
				if shape.name != test.shape {
					continue
				}
				const n = 3000
				encoded := requireFloats(t, floatsOf(i, rand.New(rand.NewPCG(1, 2)), n))
				if bytes := float64(len(encoded)) / n; encoded[0] != test.form || bytes > test.bytes {
					t.Errorf("form %#x and %.3f bytes a float, want form %#x and at most %.3f", encoded[0], bytes, test.form, test.bytes)
				}
				return
			}
			t.Fatal("no such shape")
		})
	}
}

// TestUnlikeSamples: the values that the exponent is first found by need not be like the others.
func TestUnlikeSamples(t *testing.T) {
	const stride = 10
	values := make([]float64, stride*exponentSamples)
	for i := range values {
		if values[i] = float64(i % 7); i%stride != stride/2 {
			values[i] += 0.25
		}
	}
	if encoded := requireFloats(t, values); encoded[0] != 2 {
		t.Errorf("the form is %#x, not 2", encoded[0])
	}
}

// TestScale compares the product that stands for a division with the division.
func TestScale(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 8))
	for e := range scales {
		s := scales[e]
		check := func(x int64) {
			if got, want := s.float(x), float64(x)/math.Pow10(e); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("seed %d: %d / 10^%d is %v, not %v", seed, x, e, got, want)
			}
		}
		for x := int64(-200_000); x <= 200_000; x++ {
			check(x)
		}
		for x := int64(maxScaled - 1000); x <= maxScaled; x++ {
			check(x)
			check(-x)
		}
		for range 1_000_000 {
			check((random.Int64N(2*maxScaled+1) - maxScaled) >> random.IntN(50))
		}
	}
}

// TestScaleNearHalf does that for the quotients that are closest to half way between two floats: of an x
// with x * 2^t = odd * 5^e + c for an odd number of 54 bits and a small c.
func TestScaleNearHalf(t *testing.T) {
	const seed = 9
	random := rand.New(rand.NewPCG(seed, 8))
	for e := 1; e <= maxExponent; e++ {
		tried := 0
		fives := new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(e)), nil)
		for shift := range uint(40) {
			two := new(big.Int).Lsh(big.NewInt(1), shift)
			for c := int64(-3); c <= 3; c++ {
				x := new(big.Int).ModInverse(two, fives)
				x.Mod(x.Mul(x, big.NewInt(c)), fives)
				for range 50 {
					x := x.Int64() + random.Int64N(maxScaled/fives.Int64())*fives.Int64()
					odd := new(big.Int).Mul(big.NewInt(x), two)
					odd.Quo(odd.Sub(odd, big.NewInt(c)), fives)
					if x > maxScaled || odd.BitLen() != 54 || odd.Bit(0) == 0 {
						continue
					}
					tried++
					if got, want := scales[e].float(x), float64(x)/math.Pow10(e); got != want {
						t.Fatalf("seed %d: %d / 10^%d is %v, not %v", seed, x, e, got, want)
					}
				}
			}
		}
		if tried < 100 {
			t.Errorf("only %d such quotients by 10^%d were found", tried, e)
		}
	}
}

func TestDamagedFloats(t *testing.T) {
	three := AppendInts(nil, []int64{1, 2, 4})
	column := func(form byte, behind ...byte) []byte { return append(append([]byte{form}, three...), behind...) }
	for _, test := range []struct {
		name string
		src  []byte
		want string
	}{
		{"nothing", nil, "too early"},
		{"unknown form", column(0x40), "form 0x40"},
		{"bits with an exponent", column(formBits | 1), "form 0x21"},
		{"exponent 15", column(15), "form 0xf"},
		{"no integers", []byte{0}, "too early"},
		{"no exceptions", column(flagExceptions), "too early"},
		{"exception without value", column(flagExceptions, 1, 0, 1, 2, 3, 4, 5, 6, 7), "too early"},
		{"exception behind the last", column(flagExceptions, 1, 3, 1, 2, 3, 4, 5, 6, 7, 8), "behind the last"},
		{"more exceptions than floats", column(flagExceptions, append([]byte{9}, make([]byte, 90)...)...), "behind the last"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Floats(test.src, make([]float64, 3))
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

// FuzzFloats decodes any bytes as a column of some length.
func FuzzFloats(f *testing.F) {
	for i := range floatShapes {
		n := 20 + 30*i
		f.Add(uint16(n), AppendFloats(nil, floatsOf(i, rand.New(rand.NewPCG(1, 2)), n)))
	}
	f.Fuzz(func(t *testing.T, n uint16, src []byte) {
		values := make([]float64, n)
		if _, err := Floats(src, values); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if n > 0 {
			requireFloats(t, values)
		}
	})
}

// FuzzFloatsRoundTrip makes floats of bytes: an exponent and an integer each, and some of bits.
func FuzzFloatsRoundTrip(f *testing.F) {
	f.Add([]byte("\x02\x01\x05\x02\x01\x06\x02\x01\x07\x0f\x01\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var values []float64
		for ; len(data) >= 3; data = data[3:] {
			x := int64(data[1])<<8 | int64(data[2])
			v := float64(x) / math.Pow10(int(data[0]&15))
			if data[0] >= 0xf0 {
				v = math.Float64frombits(uint64(x) << (data[0] & 15 * 4))
			}
			values = append(values, v)
		}
		if len(values) > 0 {
			requireFloats(t, values)
		}
	})
}
