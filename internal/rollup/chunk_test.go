package rollup

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/flopynet/collector/model"
)

// randomColumns returns any columns that Encode takes.
func randomColumns(random *rand.Rand, tier model.Tier, n int) *Columns {
	var c Columns
	width := tier.Width()
	start := epoch
	decimals := random.IntN(2) == 0
	value := func() float64 {
		if decimals {
			return float64(random.IntN(1e6)-5e5) / 1e3
		}
		return oddFloat(random)
	}
	for range n {
		if random.IntN(10) == 0 {
			start += width * random.Int64N(5)
		}
		c.Starts = append(c.Starts, start)
		nans := max(0, random.Int64N(12)-8)
		count := nans + max(0, random.Int64N(100)-10)
		c.Counts, c.NaNs = append(c.Counts, count), append(c.NaNs, nans)
		c.Stale = append(c.Stale, random.IntN(10) == 0)
		c.FirstTimes = append(c.FirstTimes, start+random.Int64N(width))
		c.LastTimes = append(c.LastTimes, start+random.Int64N(width)/1e6*1e6)
		c.Resets = append(c.Resets, max(0, float64(random.IntN(100)-95)))
		zero := 1.0
		if count == nans && random.IntN(100) > 0 {
			zero = 0
		}
		for _, column := range []*[]float64{&c.Sums, &c.Mins, &c.Maxs, &c.Firsts, &c.Lasts, &c.M2s} {
			*column = append(*column, value())
			if zero == 0 {
				(*column)[len(*column)-1] = 0
			}
		}
		start += width
	}
	return &c
}

// without returns the columns that Decode gives of them.
func (c *Columns) without(want Want, chunk Chunk) *Columns {
	kept := Columns{Starts: c.Starts}
	if want&WantCounts != 0 {
		kept.Counts, kept.NaNs = c.Counts, c.NaNs
	}
	if want&WantStale != 0 {
		kept.Stale = c.Stale
	}
	if want&WantSums != 0 {
		kept.Sums = c.Sums
	}
	if want&WantEnds != 0 {
		kept.Firsts, kept.Lasts, kept.FirstTimes, kept.LastTimes = c.Firsts, c.Lasts, c.FirstTimes, c.LastTimes
	}
	if want&WantMins != 0 {
		kept.Mins = c.Mins
	}
	if want&WantMaxs != 0 {
		kept.Maxs = c.Maxs
	}
	if want&WantResets != 0 && chunk.HasResets() {
		kept.Resets = c.Resets
	}
	if want&WantM2s != 0 && chunk.Tier() == model.Tier1h {
		kept.M2s = c.M2s
	}
	return &kept
}

// requireRoundTrip encodes and decodes all of the points, and each set of columns.
func requireRoundTrip(t *testing.T, tier model.Tier, c *Columns) {
	t.Helper()
	prefix := []byte("before")
	stored := Encode(prefix, testKey, tier, c)
	if string(stored[:len(prefix)]) != "before" {
		t.Fatal("what was in dst is gone")
	}
	stored = stored[len(prefix):]
	chunk, got := decode(t, testKey, stored, WantAll)
	requireSame(t, got, c.without(WantAll, chunk))
	n := c.Len()
	if chunk.Len() != n || chunk.First() != c.Starts[0] || chunk.Last() != c.Starts[n-1] || chunk.Tier() != tier {
		t.Fatalf("%d points from %d to %d of tier %v", chunk.Len(), chunk.First(), chunk.Last(), chunk.Tier())
	}
	for bit := range 8 {
		for _, want := range []Want{1 << bit, WantAll &^ (1 << bit)} {
			_, got := decode(t, testKey, stored, want)
			requireSame(t, got, c.without(want, chunk))
		}
	}
}

func TestRoundTrips(t *testing.T) {
	for shape := range shapes {
		t.Run(shapes[shape].name, func(t *testing.T) {
			for seed := range uint64(4) {
				random := rand.New(rand.NewPCG(seed, 2))
				times, values := samples(random, shape, 1+random.IntN(3000))
				t.Logf("seed %d", seed)
				for _, tier := range tiers {
					var c Columns
					Roll(&c, tier, times, values)
					for lo := 0; lo < c.Len(); lo += MaxPoints {
						var piece Columns
						piece.Append(&c, lo, min(lo+MaxPoints, c.Len()))
						requireRoundTrip(t, tier, &piece)
					}
				}
			}
		})
	}
}

func TestRoundTripsOfAnything(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 3))
		tier := tiers[random.IntN(2)]
		n := 1 + random.IntN(50)
		if seed%50 == 0 {
			n = 1 + random.IntN(MaxPoints)
		}
		t.Logf("seed %d", seed)
		requireRoundTrip(t, tier, randomColumns(random, tier, n))
	}
}

// TestDecodeAppends decodes chunks behind one another that keep different columns.
func TestDecodeAppends(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	a, b := randomColumns(random, model.Tier1h, 20), randomColumns(random, model.Tier1h, 30)
	for i := range b.Starts {
		shift := 1000 * model.Tier1h.Width()
		b.Starts[i], b.FirstTimes[i], b.LastTimes[i] = b.Starts[i]+shift, b.FirstTimes[i]+shift, b.LastTimes[i]+shift
	}
	for name, change := range map[string]func(c *Columns){
		"alike":     func(c *Columns) {},
		"no resets": func(c *Columns) { c.Resets = nil },
		"no M2s":    func(c *Columns) { c.M2s = nil },
	} {
		t.Run(name, func(t *testing.T) {
			for changed := range 2 {
				first, second := *a, *b
				change([]*Columns{&first, &second}[changed])
				var want, got Columns
				for _, each := range []*Columns{&first, &second} {
					want.Append(each, 0, each.Len())
					chunk, err := Open(nil, Encode(nil, nil, model.Tier1h, each))
					if err != nil {
						t.Fatal(err)
					}
					if err := chunk.Decode(&got, WantAll); err != nil {
						t.Fatal(err)
					}
				}
				requireSame(t, &got, &want)
				if name == "alike" && (len(got.Resets) != got.Len() || len(got.M2s) != got.Len()) {
					t.Fatal("Resets or M2s are missing")
				}
				got.Reset()
				if got.Len() != 0 || len(got.Sums) != 0 || len(got.M2s) != 0 {
					t.Fatal("not empty after Reset")
				}
			}
		})
	}
}

// TestResetsAreKeptWhileCheap tells a counter from a gauge.
func TestResetsAreKeptWhileCheap(t *testing.T) {
	for shape, kept := range map[string]bool{"counter": true, "constant": true, "walk": false, "full": false} {
		for i := range shapes {
			if shapes[i].name != shape {
				continue
			}
			random := rand.New(rand.NewPCG(9, 9))
			v := 0.0
			var times []int64
			var values []float64
			for j := range 8640 {
				v = shapes[i].next(random, v)
				times, values = append(times, epoch+int64(j)*10*second), append(values, v)
			}
			var c Columns
			Roll(&c, model.Tier5m, times, values)
			chunk, _ := decode(t, nil, Encode(nil, nil, model.Tier5m, &c), 0)
			if chunk.HasResets() != kept {
				t.Errorf("%s: resets are kept: %v", shape, chunk.HasResets())
			}
		}
	}
}

// TestMostResets pins how many are kept: nine bytes each, up to a byte a point and 16.
func TestMostResets(t *testing.T) {
	for drops, kept := range map[int]bool{0: true, 4: true, 5: false} {
		c := randomColumns(rand.New(rand.NewPCG(8, 8)), model.Tier1h, 24)
		for i := range c.Resets {
			c.Resets[i] = 0
			if i >= 10 && i < 10+drops {
				c.Resets[i] = 7
			}
		}
		chunk, _ := decode(t, nil, Encode(nil, nil, model.Tier1h, c), WantAll)
		if chunk.HasResets() != kept {
			t.Errorf("%d resets are kept: %v", drops, chunk.HasResets())
		}
	}
}

// TestM2sByTheirSquares tells when M2s take half the bytes of floats.
func TestM2sByTheirSquares(t *testing.T) {
	for _, test := range []struct {
		name  string
		value func(random *rand.Rand) float64
		form  byte
	}{
		{"small", func(r *rand.Rand) float64 { return float64(r.IntN(1e4)) / 100 }, momentsSquares},
		{"wide", func(r *rand.Rand) float64 { return float64(r.IntN(1e7)-5e6) / 10 }, momentsSquares},
		{"large", func(r *rand.Rand) float64 { return 1e8 + float64(r.IntN(100)) }, momentsPlain},
		{"full", func(r *rand.Rand) float64 { return r.Float64() }, momentsPlain},
	} {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(10, 10))
			times, values := walk(1, 2)
			for i := range values {
				values[i] = test.value(random)
			}
			var c Columns
			Roll(&c, model.Tier1h, times, values)
			requireRoundTrip(t, model.Tier1h, &c)
			chunk, _ := decode(t, nil, Encode(nil, nil, model.Tier1h, &c), 0)
			if src, _ := chunk.column(kindM2s); src[0] != test.form {
				t.Errorf("form %d, want %d", src[0], test.form)
			}
		})
	}
}

// TestPointsWithoutNumbers has hours of nothing but stale markers and NaN between others.
func TestPointsWithoutNumbers(t *testing.T) {
	times, values := walk(2, 1)
	for i := range values {
		switch i / 360 {
		case 1, 5:
			values[i] = math.Float64frombits(stale)
		case 3, 23:
			values[i] = math.NaN()
		}
	}
	keep := func(lo, hi int) (hours int) {
		var c Columns
		var s Sketches
		for _, tier := range tiers {
			c.Reset()
			Roll(&c, tier, times[lo:hi], values[lo:hi])
			requireRoundTrip(t, tier, &c)
		}
		RollSketches(&s, times[lo:hi], values[lo:hi])
		if c.Len() != (hi-lo)/360 || s.Len() > 0 && s.Starts[0]%(3600*second) != 0 {
			t.Fatalf("%d points", c.Len())
		}
		return s.Len()
	}
	if got := keep(0, 8640); got != 20 {
		t.Errorf("%d sketches, want 20", got)
	}
	if got := keep(0, 3*360); got != 2 { // decimals all the same: NaN has ends of its own, stale markers have not
		t.Errorf("%d sketches, want 2", got)
	}
	if got := keep(360, 720); got != 0 {
		t.Errorf("%d sketches of stale markers", got)
	}
}

// TestRegularColumnsCostNothing pins what a constant series takes, whatever its length.
func TestRegularColumnsCostNothing(t *testing.T) {
	for _, n := range []int{1, 24, 288, 2304} {
		var c Columns
		times := make([]int64, 30*n)
		values := make([]float64, len(times))
		for i := range times {
			times[i], values[i] = epoch+3*second+int64(i)*10*second, 12.5
		}
		Roll(&c, model.Tier5m, times, values)
		if size, most := len(Encode(nil, nil, model.Tier5m, &c)), 80; size > most {
			t.Errorf("%d points of a constant take %d bytes, want at most %d", n, size, most)
		}
	}
}

func TestEncodePanics(t *testing.T) {
	good := func() *Columns { return randomColumns(rand.New(rand.NewPCG(5, 5)), model.Tier5m, 3) }
	for name, spoil := range map[string]func(c *Columns){
		"empty":     func(c *Columns) { *c = Columns{} },
		"unsorted":  func(c *Columns) { c.Starts[2] = c.Starts[1] },
		"off":       func(c *Columns) { c.Starts[0]++ },
		"short":     func(c *Columns) { c.Mins = c.Mins[:2] },
		"many NaNs": func(c *Columns) { c.NaNs[1] = c.Counts[1] + 1 },
		"negative":  func(c *Columns) { c.NaNs[1] = -1 },
	} {
		c := good()
		Encode(nil, nil, model.Tier5m, c)
		spoil(c)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Encode(nil, nil, model.Tier5m, c)
		}()
	}
}

// TestPatches makes sums whose last place is not that of the decimal.
func TestPatches(t *testing.T) {
	times, values := walk(3, 2)
	var c Columns
	Roll(&c, model.Tier1h, times, values)
	for i := range c.Sums {
		if i%3 == 0 {
			c.Sums[i] = math.Nextafter(c.Sums[i], math.Inf(1-i%2*2))
			c.M2s[i] = math.Nextafter(c.M2s[i], 0)
		}
	}
	requireRoundTrip(t, model.Tier1h, &c)
	chunk, _ := decode(t, nil, Encode(nil, nil, model.Tier1h, &c), 0)
	if chunk.flags&flagDecimals == 0 {
		t.Error("values are not taken as decimals")
	}
}
