package rollup

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flopynet/collector/model"
)

// seeds returns stored chunks of both tiers.
func seeds() (chunks, sketches [][]byte) {
	for shape := range shapes {
		random := rand.New(rand.NewPCG(uint64(shape), 6))
		times, values := samples(random, shape, 300)
		for _, tier := range tiers {
			var c Columns
			Roll(&c, tier, times, values)
			chunks = append(chunks, Encode(nil, testKey, tier, &c))
			chunks = append(chunks, Encode(nil, testKey, tier, randomColumns(random, tier, 5)))
		}
		var s Sketches
		if RollSketches(&s, times, values); s.Len() > 0 {
			sketches = append(sketches, mustEncode(&s))
		}
	}
	return chunks, sketches
}

func FuzzOpen(f *testing.F) {
	chunks, sketches := seeds()
	for _, stored := range append(chunks, sketches...) {
		f.Add(testKey, stored)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if c, err := Open(key, value); err == nil {
			requireSound(t, c)
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if _, err := OpenSketches(key, value); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// requireSound decodes a chunk of any bytes: it fails with ErrCorrupt, or gives complete columns.
func requireSound(t *testing.T, c Chunk) {
	t.Helper()
	for _, want := range []Want{WantAll, WantCounts | WantSums, WantMaxs, WantM2s} {
		var got Columns
		if err := c.Decode(&got, want); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			continue
		}
		if got.Len() != c.Len() || got.Starts[0] != c.First() || got.Starts[c.Len()-1] != c.Last() {
			t.Fatalf("%d points of %d", got.Len(), c.Len())
		}
		if want == WantAll {
			again := Encode(nil, nil, c.Tier(), &got)
			_, twice := decode(t, nil, again, WantAll)
			if !c.HasResets() || len(twice.Resets) == 0 {
				got.Resets = nil // hardly a counter's
				twice.Resets = nil
			}
			requireSame(t, twice, &got)
		}
	}
}

// FuzzDecode gives the decoder what the checksum would keep from it.
func FuzzDecode(f *testing.F) {
	chunks, _ := seeds()
	for _, stored := range chunks {
		f.Add(stored[1 : len(stored)-checksumBytes])
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := parse(src)
		if err == nil {
			requireSound(t, c)
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// FuzzDecodeSketches gives the decoder of sketches what the checksum would keep from it.
func FuzzDecodeSketches(f *testing.F) {
	_, sketches := seeds()
	for _, stored := range sketches {
		f.Add(stored[1 : len(stored)-checksumBytes])
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := parseSketches(src)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		var copied Sketches
		c.AppendTo(&copied)
		if copied.Len() != c.Len() || copied.Starts[0] != c.First() || copied.Starts[c.Len()-1] != c.Last() {
			t.Fatalf("%d sketches of %d", copied.Len(), c.Len())
		}
		stored, err := EncodeSketches(nil, nil, &copied)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return // a sketch that can't be read
		}
		var again Sketches
		reopened, err := OpenSketches(nil, stored)
		if err != nil {
			t.Fatal(err)
		}
		reopened.AppendTo(&again)
		if !slices.Equal(again.Starts, copied.Starts) || string(again.bytes) != string(copied.bytes) {
			t.Fatal("the hours do not come back")
		}
	})
}

// TestDamage changes every byte of stored chunks, and cuts them.
func TestDamage(t *testing.T) {
	times, values := walk(1, 1)
	var c Columns
	var s Sketches
	Roll(&c, model.Tier1h, times, values)
	RollSketches(&s, times, values)
	opens := map[string]func(key, value []byte) error{
		string(Encode(nil, testKey, model.Tier1h, &c)): func(key, value []byte) error { _, err := Open(key, value); return err },
		string(mustEncode(&s)):                         func(key, value []byte) error { _, err := OpenSketches(key, value); return err },
	}
	for stored, open := range opens {
		if err := open(testKey, []byte(stored)); err != nil {
			t.Fatal(err)
		}
		if err := open([]byte("another"), []byte(stored)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("under another key: %v", err)
		}
		for i := range stored {
			damaged := []byte(stored)
			damaged[i] ^= 1 << (i % 8)
			if err := open(testKey, damaged); !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d changed: %v", i, err)
			}
			if err := open(testKey, damaged[:i]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("cut at byte %d: %v", i, err)
			}
		}
	}
}
