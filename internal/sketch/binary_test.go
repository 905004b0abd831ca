package sketch

import (
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func encode(values ...float64) []byte {
	var s Sketch
	s.AddAll(values)
	return s.AppendBinary(nil)
}

// TestBytes pins the encoding to examples.
func TestBytes(t *testing.T) {
	examples := []struct {
		name   string
		values []float64
		want   string
	}{
		{"nothing", nil, "01 00"},
		{"zeros", []float64{0, 0, math.Copysign(0, -1)}, "02 01 03"},
		{"infinities", []float64{math.Inf(1), math.Inf(-1), math.Inf(1)}, "03 02 01 02"},
		{"one", []float64{1}, "05 08 00 00 00 03"},
		{"both signs", []float64{-1, 1}, "09 0c 00 00 00 03 00 00 00 03"},
		// Bins 0 (twice), 35 and 36 of the octave of one: gaps 0, 34, 0 with 3 low bits, counts 1, 0, 0 with none.
		{"gaps", []float64{1, 1.01, 2, 2.05}, "07 08 02 03 00 10 0a 0f"},
		{"many", slices.Repeat([]float64{1}, 1<<15+1), "08 08 00 fc01 00 00 40 02"},
	}
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			if got, want := hex.EncodeToString(encode(e.values...)), strings.ReplaceAll(e.want, " ", ""); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestSize holds the encoding to its budget: the workload of the benchmarks, an hour at a time.
func TestSize(t *testing.T) {
	const series, hours, samples = 50, 24, 360
	bytes, bins := 0, 0
	for seed := range uint64(series) {
		for hour := range slices.Chunk(walk(seed, hours*samples), samples) {
			var s Sketch
			s.AddAll(hour)
			bytes += len(s.AppendBinary(nil))
			for range s.positive.ascend {
				bins++
			}
		}
	}
	mean := float64(bytes) / (series * hours)
	t.Logf("%.1f bytes for %.1f bins", mean, float64(bins)/(series*hours))
	if mean > 40 {
		t.Errorf("%.1f bytes an hour, want at most 40", mean)
	}
}

func TestDamage(t *testing.T) {
	damaged := []struct{ name, text, want string }{
		{"nothing", "", "length"},
		{"no length", "80", "length"},
		{"length 0", "00", "length"},
		{"huge length", "81 80 40", "length"},
		{"cut", "05 08 00 00 00", "length"},
		{"unknown part", "01 10", "parts"},
		{"left over", "02 00 00", "has 3 bytes"},
		{"no zeros", "01 01", "count"},
		{"too many zeros", "0a 01 ff ff ff ff ff ff ff ff 7f", "count"},
		{"no infinities", "02 02 01", "count"},
		{"no bins", "01 08", "head"},
		{"no parameters", "02 08 00", "head"},
		{"no first bin", "03 08 00 00", "head"},
		{"head leads behind the end", "02 08 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00 00", "head"},
		{"too many bins", "07 08 ff ff 7f 00 00 03", "too many"},
		{"parameter too large", "06 08 00 be 05 00 03", "parameter"},
		{"first bin is 0", "07 08 00 00 9d c4 05 03", "first bin"},
		{"first bin is too high", "07 08 00 00 80 b0 04 03", "first bin"},
		{"no bits", "04 08 00 00 00", "within"},
		{"no ones", "05 08 00 00 00 00", "within"},
		{"one one", "05 08 00 00 00 02", "within"},
		{"more bins than bits", "05 08 09 00 00 03", "within"},
		{"last bin is too high", "07 08 01 00 fe af 04 0f", "out of range"},
		{"gap leads out of the bins", "09 08 01 11 00 00 00 00 00 6c", "out of range"},
	}
	for _, d := range damaged {
		t.Run(d.name, func(t *testing.T) {
			src, err := hex.DecodeString(strings.ReplaceAll(d.text, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			var s Sketch
			if _, err := s.MergeBinary(src); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), d.want) {
				t.Errorf("got %v, want something about %q", err, d.want)
			}
		})
	}
}

func TestTooManyValuesTogether(t *testing.T) {
	s := Sketch{count: maxCount, zeros: maxCount}
	if _, err := s.MergeBinary(encode(1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestTooManyValuesInABin(t *testing.T) {
	for _, n := range []int64{maxCount, maxCount + 1} {
		s := Sketch{count: n}
		s.positive.page(3)[5] = n
		_, err := new(Sketch).MergeBinary(s.AppendBinary(nil))
		if (err == nil) != (n == maxCount) || n > maxCount && !strings.Contains(err.Error(), "too large") {
			t.Errorf("%d values: %v", n, err)
		}
	}
}

func FuzzMergeBinary(f *testing.F) {
	for _, values := range [][]float64{nil, {0}, {1}, odd, walk(1, 360), {math.Inf(1), -2}, slices.Repeat([]float64{3}, 1<<16)} {
		f.Add(encode(values...))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var s Sketch
		rest, err := s.MergeBinary(src)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			s.Reset()
			if s.Count() != 0 {
				t.Fatal("not empty after Reset")
			}
			return
		}
		if skipped, err := Skip(src); err != nil || len(skipped) != len(rest) {
			t.Fatalf("Skip leaves %d bytes, MergeBinary %d: %v", len(skipped), len(rest), err)
		}
		for _, q := range []float64{0, 0.3, 1} {
			if v := s.Quantile(q); v != v && s.Count() > 0 && s.minusInf+s.plusInf == 0 {
				t.Fatalf("quantile %g is NaN", q)
			}
		}
		total := int64(0)
		for _, n := range s.ascend {
			total += n
		}
		if total != s.Count() {
			t.Fatalf("bins count %d values of %d", total, s.Count())
		}
		again := s.AppendBinary(nil)
		var copied Sketch
		if rest, err := copied.MergeBinary(again); err != nil || len(rest) > 0 {
			t.Fatalf("%x comes back with %d bytes left: %v", again, len(rest), err)
		}
		if string(copied.AppendBinary(nil)) != string(again) {
			t.Fatalf("%x changes", again)
		}
	})
}

// FuzzAddAll makes values of bytes.
func FuzzAddAll(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\xf0\x3f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var values []float64
		for ; len(data) >= 8 && len(values) < 100; data = data[8:] {
			values = append(values, math.Float64frombits(uint64(data[0])|uint64(data[1])<<8|uint64(data[2])<<16|
				uint64(data[3])<<24|uint64(data[4])<<32|uint64(data[5])<<40|uint64(data[6])<<48|uint64(data[7])<<56))
		}
		var s, copied Sketch
		s.AddAll(values)
		requireQuantiles(t, &s, values)
		if _, err := copied.MergeBinary(s.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		requireQuantiles(t, &copied, values)
	})
}
