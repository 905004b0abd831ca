package chunk

import (
	"math"
	"testing"
)

// codecs are the encoders by codec; Encode takes the better one.
var codecs = []struct {
	codec  Codec
	encode func(dst, key []byte, times []int64, values []float64) []byte
}{
	{CodecGorilla, encodeGorilla},
	{CodecDecimal, encodeDecimal},
}

func encodeGorilla(dst, key []byte, times []int64, values []float64) []byte {
	header := headerOf(times, values)
	header.Codec = CodecGorilla
	a := Appender{buf: append(dst, make([]byte, headerBytes)...)}
	a.encodeAll(header.Unit, times, values)
	return complete(a.buf, len(dst), key, header, a.word, a.used)
}

func encodeDecimal(dst, key []byte, times []int64, values []float64) []byte {
	header := headerOf(times, values)
	stored := appendDecimal(append(dst, make([]byte, headerBytes)...), header.Unit, times, values)
	return complete(stored, len(dst), key, header, 0, 0)
}

// requireSame fails unless both lists of samples are the same, bit for bit.
func requireSame(t testing.TB, gotTimes []int64, gotValues []float64, times []int64, values []float64) {
	t.Helper()
	if len(gotTimes) != len(times) || len(gotValues) != len(values) {
		t.Fatalf("got %d times and %d values, want %d", len(gotTimes), len(gotValues), len(times))
	}
	for i := range times {
		if gotTimes[i] != times[i] || math.Float64bits(gotValues[i]) != math.Float64bits(values[i]) {
			t.Fatalf("sample %d is (%d, %x), want (%d, %x)", i,
				gotTimes[i], math.Float64bits(gotValues[i]), times[i], math.Float64bits(values[i]))
		}
	}
}

// requireStored fails unless a stored chunk holds these samples.
func requireStored(t testing.TB, key, stored []byte, times []int64, values []float64) Block {
	t.Helper()
	block, err := Open(key, stored)
	if err != nil {
		t.Fatal(err)
	}
	gotTimes, gotValues, err := block.Decode(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, gotTimes, gotValues, times, values)
	return block
}
