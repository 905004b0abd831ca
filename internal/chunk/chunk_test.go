package chunk

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/flopynet/collector/internal/column"
	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/model"
)

const (
	second = int64(1_000_000_000)
	epoch  = 1_760_000_000 * second // some time of October 2025
)

var testKey = []byte("some key")

func nan(payload uint64) float64 { return math.Float64frombits(0x7ff0000000000000 | payload) }

// roundTrips are named lists of samples; unit is what Encode must choose for them.
var roundTrips = []struct {
	name   string
	unit   Unit
	times  []int64
	values []float64
}{
	{"one sample", 9, []int64{epoch + 1}, []float64{1.5}},
	{"first and last time there is", 0, []int64{model.MinTime, 1, model.MaxTime - 1, model.MaxTime}, []float64{1, 2, 3, 4}},
	{"constant", 9, []int64{0, second, 2 * second, 3 * second}, []float64{7, 7, 7, 7}},
	{"phase that is no second", 9, []int64{7, second + 7, 5*second + 7}, []float64{1, 2, 3}},
	{"milliseconds", 6, []int64{epoch, epoch + second + 1e6, epoch + 2*second}, []float64{1, 2, 3}},
	{"tenths", 8, []int64{epoch, epoch + 1e8, epoch + second}, []float64{1, 2, 3}},
	{"nanoseconds", 0, []int64{epoch, epoch + 1, epoch + 1e9, epoch + 1e9 + 1, epoch + 5e15}, []float64{1, -1, 1, -1, 1}},
	{"specials", 9, []int64{0, second, 2 * second, 3 * second, 4 * second, 5 * second, 6 * second, 7 * second, 8 * second, 9 * second}, []float64{
		0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), nan(1), nan(2), -nan(0x8000000000abc),
		math.SmallestNonzeroFloat64, math.MaxFloat64, math.Float64frombits(0x000fffffffffffff),
	}},
	{"every width of a change of delta", 0,
		[]int64{0, 64, 191, 8_500, 9_001, 540_000, 541_000, 134_758_000, 134_759_000, 1e12, 1e12 + 1, 1e17, 1e17 + 1},
		[]float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
	{"bits at both ends", 9, []int64{0, second, 2 * second, 3 * second, 4 * second}, []float64{
		math.Float64frombits(0), math.Float64frombits(1<<63 | 1), math.Float64frombits(0), math.Float64frombits(1), math.Float64frombits(1 << 63),
	}},
}

func TestRoundTrip(t *testing.T) {
	for _, test := range roundTrips {
		t.Run(test.name, func(t *testing.T) {
			least := math.MaxInt
			for _, c := range codecs {
				stored := c.encode([]byte("before"), testKey, test.times, test.values)
				if !strings.HasPrefix(string(stored), "before") {
					t.Fatal("encoding changed what was in dst")
				}
				stored = stored[len("before"):]
				block := requireStored(t, testKey, stored, test.times, test.values)
				n := len(test.times)
				h := block.Header()
				if h.Codec != c.codec || h.Unit != test.unit || h.Count != n || block.Count() != n ||
					block.MinTime() != test.times[0] || block.MaxTime() != test.times[n-1] {
					t.Errorf("header is %+v", h)
				}
				if c.codec == CodecGorilla {
					gotTimes, gotValues := referenceDecode(stored)
					requireSame(t, gotTimes, gotValues, test.times, test.values)
				}
				if resealed := block.Seal(nil, testKey); string(resealed) != string(stored) {
					t.Errorf("sealed again it is\n%x, not\n%x", resealed, stored)
				}
				least = min(least, len(stored))
			}
			stored := Encode([]byte("before"), testKey, test.times, test.values)[len("before"):]
			requireStored(t, testKey, stored, test.times, test.values)
			if len(stored) != least {
				t.Errorf("Encode takes %d bytes, the smaller codec %d", len(stored), least)
			}
		})
	}
}

// randomSamples returns n samples of a random nature: how times and values go on is drawn anew now and
// then.
func randomSamples(random *rand.Rand, n int) (times []int64, values []float64) {
	time, value := random.Int64N(epoch), 0.0
	unit, step, mode := int64(1), int64(1), 0
	for i := range n {
		if i == 0 || random.IntN(50) == 0 {
			unit = unitNanoseconds[random.IntN(len(unitNanoseconds))]
			step = (1 + random.Int64N(60)) * unit
			mode = random.IntN(6)
		}
		time += step
		if random.IntN(3) == 0 && mode%2 == 1 {
			time += random.Int64N(1<<random.IntN(20)) * unit
		}
		switch mode {
		case 0:
			value = math.Float64frombits(random.Uint64())
		case 1:
			value += random.NormFloat64()
		case 2:
			value = math.Floor(100 * random.Float64())
		case 3:
			value = math.Round(1000*random.Float64()) / 100
		case 4:
			value = math.Float64frombits(math.Float64bits(value) ^ 1<<random.IntN(64))
		}
		times, values = append(times, time), append(values, value)
	}
	return times, values
}

func TestRandomRoundTrips(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		n := 1 + random.IntN(300)
		if seed%50 == 0 {
			n = MaxSamples
		}
		times, values := randomSamples(random, n)
		t.Logf("seed %d", seed)
		requireStored(t, testKey, Encode(nil, testKey, times, values), times, values)
		requireStored(t, testKey, encodeDecimal(nil, testKey, times, values), times, values)
		stored := encodeGorilla(nil, testKey, times, values)
		requireStored(t, testKey, stored, times, values)
		gotTimes, gotValues := referenceDecode(stored)
		requireSame(t, gotTimes, gotValues, times, values)
	}
}

func TestDecodeAppends(t *testing.T) {
	test := roundTrips[4]
	for _, c := range codecs {
		t.Run(c.codec.String(), func(t *testing.T) {
			block := requireStored(t, nil, c.encode(nil, nil, test.times, test.values), test.times, test.values)
			times, values := make([]int64, 2, 100), make([]float64, 2, 100)
			allocations := testing.AllocsPerRun(10, func() {
				times, values = times[:2], values[:2]
				var err error
				if times, values, err = block.Decode(times, values); err != nil {
					t.Fatal(err)
				}
			})
			if allocations != 0 {
				t.Errorf("%v allocations although there is room", allocations)
			}
			requireSame(t, times[2:], values[2:], test.times, test.values)

			block.header.Last++
			times, values, err := block.Decode(times[:1], values[:1])
			if !errors.Is(err, ErrCorrupt) || len(times) != 1 || len(values) != 1 {
				t.Errorf("damaged: error %v, %d times, %d values, want 1 of each", err, len(times), len(values))
			}
		})
	}
}

func TestZeroBlock(t *testing.T) {
	times, values, err := Block{}.Decode(nil, nil)
	if len(times) != 0 || len(values) != 0 || err != nil {
		t.Errorf("got %v, %v, %v", times, values, err)
	}
}

func TestDamage(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.codec.String(), func(t *testing.T) {
			test := roundTrips[4]
			requireDamageFound(t, c.encode(nil, testKey, test.times, test.values))
		})
	}
}

// requireDamageFound damages a chunk under testKey in every way of a kind.
func requireDamageFound(t *testing.T, stored []byte) {
	t.Helper()
	for bit := range 8 * len(stored) {
		damaged := append([]byte(nil), stored...)
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := Open(testKey, damaged); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d flipped: error is %v", bit, err)
		}
	}
	for n := range stored {
		if _, err := Open(testKey, stored[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: error is %v", n, err)
		}
	}
	for _, key := range []string{"", "some kez", "some key "} {
		if _, err := Open([]byte(key), stored); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("under key %q: error is %v", key, err)
		}
	}
}

// TestLies opens chunks whose checksum is right and whose content is not.
func TestLies(t *testing.T) {
	times, values := []int64{0, 10 * second, 20 * second, 30 * second}, []float64{1, 2, 3, 3}
	put64 := func(at int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], v); return b }
	}
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return b }
	}
	put8 := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = v; return b }
	}
	tests := []struct {
		name string
		edit func(body []byte) []byte // all but the checksum
		want string
	}{
		{"codec", put8(0, 9), "codec 9 is unknown"},
		{"unit", put8(1, 10), "time unit is 10^10 ns"},
		{"unit too fine", put8(1, 8), "last time"},
		{"flags", put8(3, 2), "flags 0x2"},
		{"no samples", put32(4, 0), "count is 0"},
		{"too many samples", put32(4, MaxSamples+1), "count is 16385"},
		{"more samples than bits", put32(4, MaxSamples), "don't fit times"},
		{"more samples than bits, long range", func(b []byte) []byte { return put32(4, 1000)(put64(16, uint64(5000*second))(b)) }, "can't hold 1000 samples"},
		{"one sample less", put32(4, 3), "don't end together"},
		{"one sample more", put32(4, 5), "last time is 40000000000"},
		{"one sample, two times", func(b []byte) []byte { return put32(4, 1)(b)[:64] }, "don't fit times"},
		{"min time negative", put64(8, 1<<63), "are not a range"},
		{"times crossed", put64(16, 0), "don't fit times"},
		{"max time too late", put64(16, uint64(model.MaxTime+1)), "are not a range"},
		{"max time of no unit", put64(16, uint64(30*second+1)), "don't fit times"},
		{"max time wrong", put64(16, uint64(31*second)), "last time is 30000000000"},
		{"last value wrong", put64(56, 0), "last value"},
		{"payload too long", func(b []byte) []byte { return append(b, make([]byte, 8)...) }, "don't end together"},
		{"payload far too long", func(b []byte) []byte { return append(b, make([]byte, 100)...) }, "can't hold 4 samples"},
		{"payload too short", func(b []byte) []byte { return b[:len(b)-1] }, "don't end together"},
		{"no delta", put8(64, 0x80), "times don't increase"},
		{"window over 64 bits", func(b []byte) []byte { b[66] |= 0xfc; return b }, "window exceeds 64 bits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stored := encodeGorilla(nil, nil, times, values)
			stored = test.edit(stored[:len(stored)-checksumBytes])
			stored = binary.BigEndian.AppendUint32(stored, checksum(nil, stored))
			block, err := Open(nil, stored)
			if err == nil {
				_, _, err = block.Decode(nil, nil)
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestLiesOfColumns is TestLies for what is other in the decimal codec.
func TestLiesOfColumns(t *testing.T) {
	values := []float64{1, 2, 3, 0}
	for _, test := range []struct {
		name    string
		units   []int64
		values  []float64
		max     int64 // in seconds
		payload func([]byte) []byte
		want    string
	}{
		{name: "regular, first time", units: []int64{1, 2, 3, 4}, max: 3, want: "are not the header's"},
		{name: "regular, last time", units: []int64{0, 1, 2, 3}, max: 4, want: "are not the header's"},
		{name: "regular, step", units: []int64{0, 2, 4, 6}, max: 3, want: "are not the header's"},
		{name: "regular, all the same", units: []int64{0, 0, 0, 0}, max: 3, want: "are not the header's"},
		{name: "first time", units: []int64{1, 2, 3, 5}, max: 5, want: "first time"},
		{name: "last time", units: []int64{0, 1, 2, 5}, max: 4, want: "last time is 5 units"},
		{name: "same time twice", units: []int64{0, 1, 1, 4}, max: 4, want: "don't increase"},
		{name: "times before the first", units: []int64{0, -2, -1, 4}, max: 4, want: "don't increase"},
		{name: "times that overflow", units: []int64{0, math.MaxInt64, math.MinInt64, 4}, max: 4, want: "don't increase"},
		{name: "times that overflow twice", units: []int64{0, math.MaxInt64, -5, 4}, max: 4, want: "don't increase"},
		{name: "first value", units: []int64{0, 1, 2, 4}, max: 4, values: []float64{9, 2, 3, 0}, want: "first value"},
		{name: "last value", units: []int64{0, 1, 2, 4}, max: 4, values: []float64{1, 2, 3, 9}, want: "last value"},
		{name: "sign of the last value", units: []int64{0, 1, 2, 4}, max: 4, values: []float64{1, 2, 3, math.Copysign(0, -1)}, want: "last value"},
		{name: "a byte more", units: []int64{0, 1, 2, 4}, max: 4, payload: func(p []byte) []byte { return append(p, 0) }, want: "don't end together"},
		{name: "a byte less", units: []int64{0, 1, 2, 4}, max: 4, payload: func(p []byte) []byte { return p[:len(p)-1] }, want: "values"},
		{name: "nothing", units: []int64{0, 1, 2, 4}, max: 4, payload: func(p []byte) []byte { return nil }, want: "times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.values == nil {
				test.values = values
			}
			header := headerOf([]int64{0, 1, 2, 3}, values)
			header.Unit, header.MinTime, header.MaxTime = MaxUnit, epoch, epoch+test.max*second
			columns := column.AppendFloats(column.AppendInts(nil, test.units), test.values)
			if test.payload != nil {
				columns = test.payload(columns)
			}
			stored := complete(append(make([]byte, headerBytes), columns...), 0, nil, header, 0, 0)
			block, err := Open(nil, stored)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = block.Decode(nil, nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestEncodeTakesTheSmaller has samples of which Encode finds out by a few what they take in either codec.
func TestEncodeTakesTheSmaller(t *testing.T) {
	const n = 5000
	random := rand.New(rand.NewPCG(1, 2))
	times, signs, decimals := make([]int64, n), make([]float64, n), make([]float64, n)
	for i := range times {
		times[i] = int64(i) * second
		signs[i] = math.Copysign(math.Pi, random.NormFloat64()) // a bit changes, or none
		decimals[i] = float64(random.IntN(1000)) / 10
	}
	for _, test := range []struct {
		values []float64
		want   Codec
	}{{signs, CodecGorilla}, {decimals, CodecDecimal}, {make([]float64, n), CodecDecimal}} {
		block := requireStored(t, nil, Encode(nil, nil, times, test.values), times, test.values)
		if got := block.Header().Codec; got != test.want {
			t.Errorf("values like %v: the codec is %v, not %v", test.values[:3], got, test.want)
		}
	}
}

func TestEncodePanics(t *testing.T) {
	for _, test := range []struct {
		name   string
		times  []int64
		values []float64
	}{
		{"nothing", nil, nil},
		{"too many", make([]int64, MaxSamples+1), make([]float64, MaxSamples+1)},
		{"a value missing", []int64{1, 2}, []float64{1}},
		{"twice the same time", []int64{1, 1}, []float64{1, 2}},
		{"time too early", []int64{-1}, []float64{1}},
		{"time too late", []int64{model.MaxTime + 1}, []float64{1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("Encode did not panic")
				}
			}()
			Encode(nil, nil, test.times, test.values)
		})
	}
}

func TestFormatExample(t *testing.T) {
	want := doctest.Example(t, "chunk-gorilla")
	times := []int64{epoch, epoch + 10*second, epoch + 20*second, epoch + 31*second, epoch + 41*second}
	values := []float64{1.5, 1.5, 2.25, 3.5, 3}
	if got := encodeGorilla(nil, []byte("key"), times, values); string(got) != string(want) {
		t.Errorf("encoded to\n%x, the document has\n%x", got, want)
	}
	requireStored(t, []byte("key"), want, times, values)
}

func TestDecimalExample(t *testing.T) {
	want := doctest.Example(t, "chunk-decimal")
	values := []float64{20.1, 20.2, 20.2, 20.3, 20.1, 20.2, 99.9, 99.8, 1.0 / 3, 99.9, 99.7, 99.8}
	times := make([]int64, len(values))
	for i, milliseconds := range []int64{0, 3, -2, 6, -5, 1, 4, -7, 2, 6, -3, 5} {
		times[i] = epoch + int64(i)*10*second + milliseconds*1_000_000
	}
	if got := Encode(nil, []byte("key"), times, values); string(got) != string(want) {
		t.Errorf("encoded to\n%x, the example is\n%x", got, want)
	}
	requireStored(t, []byte("key"), want, times, values)
}
