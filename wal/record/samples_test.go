package record

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/flopynet/collector/model"
)

type batch struct {
	name   string
	ids    []model.SeriesID
	times  []int64
	values []float64
	max    float64 // bytes a sample the record may take; 0: not checked
}

// seededBatch returns n samples of series 1, 2, ... up to seriesCount, again and again, a step of time
// for each round, with the value that a function gives.
func seededBatch(name string, limit float64, n, seriesCount int, value func(*rand.Rand) float64) batch {
	rng := rand.New(rand.NewPCG(1, 2))
	b := batch{name: name, max: limit}
	for i := range n {
		b.ids = append(b.ids, model.SeriesID(1+i%seriesCount))
		b.times = append(b.times, 1_700_000_000_000_000_000+int64(i/seriesCount)*10_000_000_000)
		b.values = append(b.values, value(rng))
	}
	return b
}

func decimalValue(digits int) func(*rand.Rand) float64 {
	return func(rng *rand.Rand) float64 {
		value, _ := strconv.ParseFloat(strconv.FormatFloat(rng.Float64()*100, 'f', digits, 64), 64)
		return value
	}
}

func fullValue(rng *rand.Rand) float64 { return rng.Float64() * 100 }

// exampleBatches are shapes that matter, with what they may cost.
func exampleBatches() []batch {
	mixed := []func(*rand.Rand) float64{decimalValue(0), decimalValue(2), fullValue, decimalValue(6)}
	batches := []batch{
		seededBatch("dec2", 2.6, 5000, 500, decimalValue(2)),
		seededBatch("int", 1.6, 5000, 500, decimalValue(0)),
		seededBatch("full", 8.1, 5000, 500, fullValue),
		seededBatch("dec6", 4.6, 5000, 500, decimalValue(6)),
		seededBatch("zeros", 0.6, 5000, 500, func(*rand.Rand) float64 { return 0 }),
		seededBatch("mixed", 4.9, 5000, 500, func(rng *rand.Rand) float64 { return mixed[rng.IntN(4)](rng) }),
		seededBatch("backfill of one series", 2.6, 5000, 1, decimalValue(2)),
		seededBatch("one sample", 22, 1, 1, decimalValue(2)),
		seededBatch("odd count", 0, 3, 3, decimalValue(1)),
	}
	jitter := seededBatch("jitter in milliseconds", 5.6, 5000, 1, decimalValue(2))
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range jitter.times {
		jitter.times[i] += rng.Int64N(3000) * 1_000_000
	}
	anyOrder := seededBatch("ids in any order", 4.6, 5000, 1000, decimalValue(2))
	rng.Shuffle(len(anyOrder.ids), func(i, j int) {
		anyOrder.ids[i], anyOrder.ids[j] = anyOrder.ids[j], anyOrder.ids[i]
	})
	return append(batches, jitter, anyOrder, hardValues(), hardNumbers())
}

// hardValues holds floats that a decimal mode easily gets wrong.
func hardValues() batch {
	values := []float64{
		0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0x7ff0000000000002),
		math.Float64frombits(0xffffffffffffffff), math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64,
		math.MaxFloat64, 2.2250738585072014e-308, 1e-12, 1e-13, 0.1, 0.2, 0.1 + 0.2, 0.3, 1.0 / 3, 1e15, 1e15 + 0.5,
		1 << 50, 1<<50 + 0.25, 1 << 53, 1<<53 + 2, -(1 << 53), 1<<55 - 1<<2, 1 << 55, -(1 << 55), 1 << 62, -(1 << 63), 1 << 63,
		1e22, 1e23, 123456789.123456789, 4503599627370497.5, 0.000001, 999999.999999, -0.5, 5e-324, 1125899906842623.9,
	}
	b := batch{name: "hard values", values: values}
	for i := range values {
		b.ids, b.times = append(b.ids, model.SeriesID(i+1)), append(b.times, 0)
	}
	return b
}

// hardNumbers holds ids and times whose differences overflow.
func hardNumbers() batch {
	return batch{
		name:   "hard ids and times",
		ids:    []model.SeriesID{math.MaxUint64, 0, 1 << 63, 0, math.MaxUint64 >> 1, 5, 5, 5, 3, 1},
		times:  []int64{math.MinInt64, math.MaxInt64, 0, -1, math.MinInt64, math.MinInt64, 1, math.MaxInt64, -1000, 1000},
		values: make([]float64, 10),
	}
}

func TestSamplesRoundTrip(t *testing.T) {
	for _, b := range exampleBatches() {
		t.Run(b.name, func(t *testing.T) {
			size := checkRoundTrip(t, b)
			if got := float64(size) / float64(len(b.ids)); b.max > 0 && got > b.max {
				t.Errorf("%.2f bytes a sample, want at most %.2f", got, b.max)
			}
		})
	}
}

// TestDecimalsArePacked checks that every decimal of few digits is found to be one, not only kept.
func TestDecimalsArePacked(t *testing.T) {
	const seed = 20261123
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200_000 {
		scale := 1 + rng.IntN(maxScale)
		digits := rng.Int64N(1 << (1 + rng.IntN(41)))
		value := float64(digits) / float64(powersOfTen[scale])
		if class, _ := pack(value, float64(powersOfTen[scale])); class == classRaw {
			t.Fatalf("seed %d: %v is stored raw at scale %d", seed, value, scale)
		}
		if needed, ok := decimals(value, 0); value != math.Trunc(value) && (!ok || int(needed) > scale) {
			t.Fatalf("seed %d: %v has %d decimals at most, found %d, %v", seed, value, scale, needed, ok)
		}
	}
}

func TestAppendSamplesKeepsWhatPrecedes(t *testing.T) {
	dst := append(make([]byte, 0, 4), "abc"...)
	if got := AppendSamples(dst, []model.SeriesID{1}, []int64{2}, []float64{3.5}); string(got[:3]) != "abc" {
		t.Errorf("the destination's bytes became %q", got[:3])
	}
}

func TestAppendSamplesPanicsOnUnequalColumns(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	AppendSamples(nil, []model.SeriesID{1}, nil, nil)
}

func TestSamplesReuseMemory(t *testing.T) {
	b := seededBatch("", 0, 1000, 100, decimalValue(2))
	payload := AppendSamples(nil, b.ids, b.times, b.values)
	ids, times, values := make([]model.SeriesID, 0, 1000), make([]int64, 0, 1000), make([]float64, 0, 1000)
	allocations := testing.AllocsPerRun(10, func() {
		payload = AppendSamples(payload[:0], b.ids, b.times, b.values)
		reader := NewReader(payload)
		reader.Next()
		if _, _, _, err := reader.Samples(ids, times, values); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 1 { // the Reader
		t.Errorf("%v allocations", allocations)
	}
}

// checkRoundTrip encodes a batch, decodes it into dirty memory and compares bit for bit. It returns the
// record's size.
func checkRoundTrip(t *testing.T, b batch) int {
	t.Helper()
	payload := AppendSamples(nil, b.ids, b.times, b.values)
	if again := AppendSamples(nil, b.ids, b.times, b.values); !slices.Equal(payload, again) {
		t.Fatal("the same batch gave different bytes")
	}
	reader := NewReader(payload)
	if !reader.Next() {
		t.Fatalf("no record: %v", reader.Err())
	}
	ids, times, values, err := reader.Samples([]model.SeriesID{9, 9}, []int64{9}, []float64{9, 9, 9})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, b.ids) || !slices.Equal(times, b.times) {
		t.Fatalf("ids or times differ: %v at %v became %v at %v", b.ids, b.times, ids, times)
	}
	if len(values) != len(b.values) {
		t.Fatalf("%d values became %d", len(b.values), len(values))
	}
	for i, want := range b.values {
		if math.Float64bits(values[i]) != math.Float64bits(want) {
			t.Fatalf("value %d: %x (%v) became %x (%v)", i, math.Float64bits(want), want, math.Float64bits(values[i]), values[i])
		}
	}
	return len(payload)
}

// FuzzSamplesRoundTrip takes 17 bytes a sample: how to derive it from the one before, and the numbers.
func FuzzSamplesRoundTrip(f *testing.F) {
	f.Add([]byte("seventeen bytes, and seventeen more"))
	f.Add(make([]byte, 17*40))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b batch
		var id model.SeriesID
		var time int64
		for ; len(data) >= 17; data = data[17:] {
			number, valueBits := binary.LittleEndian.Uint64(data[1:]), binary.LittleEndian.Uint64(data[9:])
			switch data[0] & 3 {
			case 0:
				id++
			case 1:
				time += 1_000_000
			case 2:
				id, time = id+model.SeriesID(number&63), time+int64(number%1000)*1_000_000_000
			default:
				id, time = model.SeriesID(number), int64(number*3)
			}
			value := math.Float64frombits(valueBits)
			if data[0]&4 != 0 {
				value = float64(int32(valueBits)) / float64(powersOfTen[data[0]>>4%(maxScale+1)])
			}
			b.ids, b.times, b.values = append(b.ids, id), append(b.times, time), append(b.values, value)
		}
		checkRoundTrip(t, b)
	})
}
