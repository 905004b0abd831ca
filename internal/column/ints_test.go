package column

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestIntsRoundTrip(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			for seed := range uint64(10) {
				random := rand.New(rand.NewPCG(seed, 1))
				for _, n := range lengthsToTry(random) {
					t.Logf("seed %d, %d integers", seed, n)
					requireInts(t, shape.make(random, n))
				}
			}
		})
	}
}

func TestNoInts(t *testing.T) {
	if encoded := AppendInts(nil, nil); len(encoded) != 0 {
		t.Errorf("no integers take %d bytes", len(encoded))
	}
	if rest, err := Ints([]byte("behind"), nil); err != nil || string(rest) != "behind" {
		t.Errorf("got %q, %v", rest, err)
	}
}

// TestModes expects the mode that fits a shape best, and about the bits a residual then takes.
func TestModes(t *testing.T) {
	const n = 8640
	for _, test := range []struct {
		shape string
		mode  mode
		bits  float64
	}{
		{"constant", modeProgression, 0.02},
		{"progression", modeProgression, 0.02},
		{"progression that overflows", modeProgression, 0.03},
		{"line with noise", modeLine, 4.2},
		{"falling line with noise", modeLine, 4.2},
		{"noise", modeLine, 10.3},
		{"small walk", modeDelta, 2.45},
		{"walk", modeDelta, 9.25},
		{"wide walk", modeDelta, 42.6},
		{"speed of a walk", modeDeltaDelta, 7.2},
		{"counter with resets", modeDelta, 4.3},
		{"state that seldom changes", modeDelta, 0.45},
	} {
		t.Run(test.shape, func(t *testing.T) {
			for _, shape := range shapes {
				if shape.name != test.shape {
					continue
				}
				encoded := requireInts(t, shape.make(rand.New(rand.NewPCG(1, 2)), n))
				if bits := 8 * float64(len(encoded)) / n; mode(encoded[0]) != test.mode || bits > test.bits {
					t.Errorf("mode %d and %.3f bits an integer, want mode %d and at most %.3f", encoded[0], bits, test.mode, test.bits)
				}
				return
			}
			t.Fatal("no such shape")
		})
	}
}

// TestBlockKinds writes blocks in each way there is, whether it is a good one or not.
func TestBlockKinds(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, shape := range shapes {
		for width := range uint(65) {
			for _, dense := range []bool{false, true} {
				n := 1 + random.IntN(blockSize)
				values := shape.make(random, n)
				p := plan{width: width, centre: random.Int64N(100) - 50, dense: dense && width < 63}
				encoded := appendBlock(nil, values, p)
				var got [blockSize]int64
				for behind := range 2 {
					src := slices.Concat(encoded, make([]byte, behind*2000))
					add, rest, err := decodeBlock(src, &got, n)
					if err != nil || len(rest) != behind*2000 {
						t.Fatalf("%s, %+v: error %v, %d bytes left", shape.name, p, err, len(rest))
					}
					for i := range got {
						got[i] += add
					}
					requireEqual(t, got[:n], values)
				}
				requireEqual(t, (&reference{src: encoded}).block(n), values)
			}
		}
	}
}

func TestDamagedInts(t *testing.T) {
	for _, test := range []struct {
		name string
		src  []byte
		want string
	}{
		{"nothing", nil, "too early"},
		{"unknown mode", []byte{4, 0, 0}, "mode 4"},
		{"no step", []byte{0, 0}, "too early"},
		{"varint of 11 bytes", []byte{0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0}, "too early"},
		{"no blocks", []byte{2, 0}, "too early"},
		{"no low parts", []byte{2, 0, 9, 0, 1, 2}, "too early"},
		{"no unary codes", []byte{2, 0, flagDense, 0}, "too early"},
		{"a unary code too long", append([]byte{2, 0, flagDense, 0, 0, 0}, make([]byte, 500)...), "too early"},
		{"a unary code too long behind others", append([]byte{2, 0, flagDense, 0, 0xff, 0, 0}, make([]byte, 500)...), "too early"},
		{"no list", []byte{2, 0, flagSparse, 0}, "too early"},
		{"list too short", []byte{2, 0, flagSparse, 0, 5, 1, 2}, "too early"},
		{"list without the large parts", []byte{2, 0, flagSparse, 0, flagLarge | 1, 1, 2, 0}, "too early"},
		{"a position behind the block", []byte{2, 0, flagSparse, 0, 0, 99}, "integer 99 of a block of 99"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Ints(test.src, make([]int64, 100))
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestProgression(t *testing.T) {
	src := append(AppendInts(nil, progression(5, -3, 1000)), "behind"...)
	if first, step, rest, ok := Progression(src); !ok || first != 5 || step != -3 || string(rest) != "behind" {
		t.Errorf("got %d, %d, %q, %t", first, step, rest, ok)
	}
	for _, src := range [][]byte{nil, {0}, {0, 1}, AppendInts(nil, []int64{1, 2, 4})} {
		if _, _, _, ok := Progression(src); ok {
			t.Errorf("%x is taken for a progression", src)
		}
	}
}

// FuzzInts decodes any bytes as a column of some length.
func FuzzInts(f *testing.F) {
	for i, shape := range shapes {
		n := 20 + 30*i
		f.Add(uint16(n), AppendInts(nil, shape.make(rand.New(rand.NewPCG(1, 2)), n)))
	}
	f.Fuzz(func(t *testing.T, n uint16, src []byte) {
		values := make([]int64, n)
		rest, err := Ints(src, values)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if n == 0 {
			return
		}
		ref := reference{src: src}
		requireEqual(t, ref.ints(int(n)), values)
		if len(ref.src) != len(rest) {
			t.Fatalf("%d bytes are left, the reference leaves %d", len(rest), len(ref.src))
		}
		requireInts(t, values)
	})
}

// FuzzIntsRoundTrip makes integers of bytes: each byte tells how long the next difference is.
func FuzzIntsRoundTrip(f *testing.F) {
	f.Add([]byte("\x01\x05\x01\x05\x01\x06\x03\x00\x01\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var values []int64
		last := int64(0)
		for len(data) > 0 {
			size := min(int(data[0]%9), len(data)-1)
			difference := int64(0)
			for _, b := range data[1 : 1+size] {
				difference = difference<<8 | int64(b)
			}
			last += difference
			values, data = append(values, last), data[1+size:]
		}
		if len(values) > 0 {
			requireInts(t, values)
		}
	})
}
