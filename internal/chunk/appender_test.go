package chunk

import (
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
)

// TestAppendInPieces appends random samples in random pieces and expects each chunk to be, byte for byte,
// what is made of its samples at once.
func TestAppendInPieces(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		times, values := randomSamples(random, 1+random.IntN(1500))
		t.Logf("seed %d", seed)
		for first := 0; first < len(times); {
			var a Appender
			n, full := 0, false
			for !full && first+n < len(times) {
				end := min(len(times), first+n+1+random.IntN(40))
				fit := a.Append(times[first+n:end], values[first+n:end])
				full = first+n+fit < end
				n += fit
			}
			if n == 0 || n < maxRefined && full || a.Count() != n || a.MinTime() != times[first] || a.MaxTime() != times[first+n-1] {
				t.Fatalf("%d samples fit; the appender has %d, from %d to %d", n, a.Count(), a.MinTime(), a.MaxTime())
			}
			want := encodeGorilla(nil, testKey, times[first:first+n], values[first:first+n])
			if got := a.Seal(nil, testKey); string(got) != string(want) {
				t.Fatalf("samples %d to %d: sealed\n%x\nencoded\n%x", first, first+n, got, want)
			}
			if size := len(want) - headerBytes - checksumBytes; a.Size() != size {
				t.Fatalf("size is %d, the payload has %d bytes", a.Size(), size)
			}
			first += n
		}
	}
}

func TestAppendEndsAtMaxAppended(t *testing.T) {
	times, values := workloads[0].samples(MaxAppended + 10)
	var a Appender
	if n := a.Append(times, values); n != MaxAppended || a.Count() != MaxAppended {
		t.Errorf("%d samples fit, count is %d", n, a.Count())
	}
	if n := a.Append(times[MaxAppended:], values[MaxAppended:]); n != 0 {
		t.Errorf("%d more fit", n)
	}
	if n := a.Append(nil, nil); n != 0 {
		t.Errorf("%d of none fit", n)
	}
}

// TestFinerTime appends a time that doesn't fit the unit to chunks as large as are encoded anew, and
// larger.
func TestFinerTime(t *testing.T) {
	for _, test := range []struct{ count, fit int }{{1, 3}, {2, 3}, {maxRefined, 3}, {maxRefined - 1, 3}, {maxRefined + 1, 1}} {
		times, values := workloads[0].samples(test.count + 3)
		times[test.count+1] += 1_000_000
		var a Appender
		a.Append(times[:test.count], values[:test.count])
		before := a.Block()
		fit := a.Append(times[test.count:], values[test.count:])
		if test.count == maxRefined && fit == 1 {
			fit = 3 // the first of the three made it too large
		}
		if fit != test.fit {
			t.Errorf("behind %d samples %d fit, want %d", test.count, fit, test.fit)
		}
		gotTimes, gotValues, err := before.Decode(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		requireSame(t, gotTimes, gotValues, times[:test.count], values[:test.count])
	}
}

// TestBlockBesideAppends decodes blocks while the appender goes on; the race detector watches.
func TestBlockBesideAppends(t *testing.T) {
	times, values := workloads[0].samples(2000)
	times[100]++ // encoded anew here
	var a Appender
	var readers sync.WaitGroup
	for i := 0; i < len(times); {
		i += a.Append(times[i:min(i+7, len(times))], values[i:min(i+7, len(times))])
		block := a.Block()
		readers.Go(func() {
			gotTimes, gotValues, err := block.Decode(nil, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for at := range gotTimes {
				if gotTimes[at] != times[at] || gotValues[at] != values[at] {
					t.Errorf("block of %d samples: sample %d is wrong", block.Count(), at)
					return
				}
			}
		})
	}
	readers.Wait()
}

func TestReset(t *testing.T) {
	times, values := workloads[0].samples(500)
	var a Appender
	a.Append(times, values)
	block := a.Block()
	a.Reset(0)
	if a.Count() != 0 || a.Size() != 0 {
		t.Errorf("count %d, size %d after Reset", a.Count(), a.Size())
	}
	a.Append([]int64{5, 6}, []float64{1, 2})
	gotTimes, gotValues, err := block.Decode(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, gotTimes, gotValues, times, values)
}

// TestSealRefusesDisorder: what can't be decoded must not be sealed.
func TestSealRefusesDisorder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("neither Append nor Seal panicked")
		}
	}()
	var a Appender
	a.Append([]int64{10, 5, 20}, []float64{1, 2, 3})
	a.Seal(nil, nil)
}

func TestAppenderIsSmall(t *testing.T) {
	if size := reflect.TypeFor[Appender]().Size(); size > 80 {
		t.Errorf("an Appender has %d bytes", size)
	}
	times, values := workloads[0].samples(4)
	var a Appender
	a.Append(times[:1], values[:1])
	if cap(a.buf) != 0 {
		t.Errorf("a buffer of %d bytes for one sample", cap(a.buf))
	}
	a.Append(times[1:], values[1:])
	if cap(a.buf) != firstBytes {
		t.Errorf("a buffer of %d bytes for four samples", cap(a.buf))
	}
}

func TestUnitRefine(t *testing.T) {
	for _, test := range []struct {
		start Unit
		last  int64
		times []int64
		want  Unit
	}{
		{9, 0, nil, 9},
		{9, 5, []int64{second + 5, 3*second + 5}, 9},
		{9, 0, []int64{60 * second}, 9},
		{9, 0, []int64{second, 2 * second, 2*second + 1e8}, 8},
		{9, 0, []int64{1e6, second}, 6},
		{6, 0, []int64{second, 2 * second}, 6},
		{6, 0, []int64{1, second}, 0},
	} {
		if got := test.start.refine(test.last, test.times); got != test.want {
			t.Errorf("from %v, %d, %v: got %v, want %v", test.start, test.last, test.times, got, test.want)
		}
	}
}
