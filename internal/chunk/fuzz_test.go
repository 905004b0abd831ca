package chunk

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/flopynet/collector/internal/column"
	"github.com/flopynet/collector/model"
)

// requireSound decodes a block of any bytes: it must fail with ErrCorrupt or give what its header says.
func requireSound(t *testing.T, block Block) {
	t.Helper()
	times, values, err := block.Decode(nil, nil)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		return
	}
	if len(times) != block.Count() || len(values) != block.Count() {
		t.Fatalf("%d times and %d values of %d", len(times), len(values), block.Count())
	}
	last := int64(-1)
	for _, time := range times {
		if time <= last || time > model.MaxTime {
			t.Fatalf("time %d follows %d", time, last)
		}
		last = time
	}
	if times[0] != block.MinTime() || last != block.MaxTime() {
		t.Fatalf("times are from %d to %d, not from %d to %d", times[0], last, block.MinTime(), block.MaxTime())
	}
	var scaled Scaled
	if ok, err := block.DecodeScaled(&scaled, model.MaxTime+1); err != nil {
		t.Fatal(err)
	} else if ok {
		requireScaled(t, "any bytes", &scaled, times, values, model.MaxTime+1)
	}
	if _, _, ok, err := block.DecodeRegular(nil); ok || err != nil {
		requireRegular(t, block, true)
	}
}

func FuzzOpen(f *testing.F) {
	for _, test := range roundTrips {
		for _, c := range codecs {
			f.Add(testKey, c.encode(nil, testKey, test.times, test.values))
		}
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if block, err := Open(key, value); err == nil {
			requireSound(t, block)
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// FuzzDecodePayload gives the decoder what the checksum would keep from it. The range of times and the
// last value are those the payload leads to, where it leads anywhere, so that the checks at the end
// don't hide what happens before.
func FuzzDecodePayload(f *testing.F) {
	for _, test := range roundTrips {
		stored := encodeGorilla(nil, nil, test.times, test.values)
		f.Add(uint16(len(test.times)), uint8(test.unit), test.times[0], stored[headerBytes:len(stored)-checksumBytes], uint64(0), uint8(0))
	}
	f.Add(uint16(100), uint8(0), int64(0), make([]byte, 1500), ^uint64(0), uint8(63))
	f.Fuzz(func(t *testing.T, count uint16, unit uint8, minTime int64, payload []byte, tail uint64, tailBits uint8) {
		block := Block{
			header: Header{
				Codec: CodecGorilla, Unit: Unit(unit) % (MaxUnit + 1), Count: 1 + int(count)%MaxSamples,
				MinTime: max(0, minTime), MaxTime: model.MaxTime,
			},
			words: payload, tail: tail, tailBits: tailBits % 64,
		}
		requireSound(t, block)
		var d decoder
		d.init(&block)
		d.decode(make([]int64, block.Count()-1), make([]float64, block.Count()-1))
		block.header.MaxTime, block.header.Last = d.time, math.Float64frombits(d.value)
		if block.header.MaxTime <= model.MaxTime {
			requireSound(t, block)
		}
	})
}

// FuzzDecodeColumns is FuzzDecodePayload for the decimal codec.
func FuzzDecodeColumns(f *testing.F) {
	for _, test := range roundTrips {
		stored := encodeDecimal(nil, nil, test.times, test.values)
		f.Add(uint16(len(test.times)), uint8(test.unit), test.times[0], stored[headerBytes:len(stored)-checksumBytes])
	}
	f.Fuzz(func(t *testing.T, count uint16, unit uint8, minTime int64, payload []byte) {
		block := Block{
			header: Header{
				Codec: CodecDecimal, Unit: Unit(unit) % (MaxUnit + 1), Count: 1 + int(count)%MaxSamples,
				MinTime: max(0, minTime), MaxTime: model.MaxTime,
			},
			words: payload,
		}
		requireSound(t, block)
		times, values := make([]int64, block.Count()), make([]float64, block.Count())
		rest, err := column.Ints(payload, times)
		if err != nil {
			return
		}
		if rest, err = column.Floats(rest, values); err != nil {
			return
		}
		last, unitNanoseconds := times[len(times)-1], block.header.Unit.Nanoseconds()
		if last < 0 || last > (model.MaxTime-block.MinTime())/unitNanoseconds {
			return
		}
		block.words = payload[:len(payload)-len(rest)]
		block.header.MaxTime = block.MinTime() + last*unitNanoseconds
		block.header.First, block.header.Last = values[0], values[len(values)-1]
		requireSound(t, block)
	})
}

// FuzzRoundTrip makes samples of bytes: per sample a shape, a step and a change of the value.
func FuzzRoundTrip(f *testing.F) {
	f.Add(int64(0), uint8(9), []byte("\x00\x0a\x01\x00\x0a\x02\x00\x0a\x03"))
	f.Add(epoch, uint8(6), []byte("\x0c\x0a\x01\x34\x0a\x02\xff\x0a\x03\x81\xff\xff"))
	f.Fuzz(func(t *testing.T, start int64, unit uint8, data []byte) {
		time, bits := max(0, start)%model.MaxTime, uint64(0)
		var times []int64
		var values []float64
		for ; len(data) >= 3 && len(times) < MaxAppended; data = data[3:] {
			shape, step, change := data[0], int64(data[1])+1, uint64(data[2])
			step <<= shape & 3 * 12
			if shape&4 == 0 {
				step *= unitNanoseconds[unit%uint8(len(unitNanoseconds))]
			}
			if step <= 0 || time > model.MaxTime-step {
				break
			}
			time += step
			bits ^= change << (shape >> 3 * 2)
			times, values = append(times, time), append(values, math.Float64frombits(bits))
		}
		if len(times) == 0 {
			return
		}
		requireStored(t, testKey, Encode(nil, testKey, times, values), times, values)
		requireStored(t, testKey, encodeDecimal(nil, testKey, times, values), times, values)
		stored := encodeGorilla(nil, testKey, times, values)
		requireStored(t, testKey, stored, times, values)
		gotTimes, gotValues := referenceDecode(stored)
		requireSame(t, gotTimes, gotValues, times, values)

		var a Appender
		half := len(times) / 2
		n := a.Append(times[:half], values[:half])
		n += a.Append(times[n:], values[n:])
		sealed := a.Seal(nil, testKey)
		if n == len(times) && string(sealed) != string(stored) {
			t.Fatalf("appended in two pieces:\n%x, encoded:\n%x", sealed, stored)
		}
		if binary.BigEndian.Uint32(sealed[4:]) != uint32(n) {
			t.Fatalf("%d samples were appended, the header has %x", n, sealed[4:8])
		}
	})
}
