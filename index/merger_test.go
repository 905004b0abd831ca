package index

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

func bitmapValue(lows ...uint32) []byte {
	return appendBitmap([]byte{kindBitmap}, roaring.BitmapOf(lows...))
}

func idsValue(ids ...model.SeriesID) []byte { return appendIDs([]byte{kindIDs}, ids) }

func TestValueExamples(t *testing.T) {
	if got, want := bitmapValue(1, 3, 300), doctest.Example(t, "posting-value"); !bytes.Equal(got, want) {
		t.Errorf("got %x, the document has %x", got, want)
	}
	if got, want := idsValue(3, 300), doctest.Example(t, "identity-value"); !bytes.Equal(got, want) {
		t.Errorf("got %x, the document has %x", got, want)
	}
	got := mergeAll(t, keys.AppendIdentity(nil, 1), []byte{9, 9}, idsValue(4), idsValue(3))
	if want := doctest.Example(t, "damaged-value"); !bytes.Equal(got, want) {
		t.Errorf("got %x, the document has %x", got, want)
	}
}

// mergeAll merges operands, oldest first.
func mergeAll(t testing.TB, key []byte, operands ...[]byte) []byte {
	t.Helper()
	merger, err := NewMerger().Merge(key, operands[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, operand := range operands[1:] {
		if err := merger.MergeNewer(operand); err != nil {
			t.Fatal(err)
		}
	}
	value, _, err := merger.Finish(true)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// randomOperand returns a value of the key's kind, or what is none: rarely, if good is set, never.
func randomOperand(rng *rand.Rand, key []byte, good bool) []byte {
	if !good && rng.IntN(4) == 0 {
		return pick(rng, [][]byte{
			nil, {0}, {kindIDs, 0}, {kindBitmap}, {kindBitmap, 1, 2}, {kindDamaged}, {kindDamaged, 0, 0},
			{kindDamaged, 1, kindIDs}, bitmapValue(1<<pieceBits + 5), append(bitmapValue(1), 0),
		})
	}
	if key[0] == keys.PrefixIdentity {
		ids := make([]model.SeriesID, rng.IntN(4))
		for i := range ids {
			ids[i] = 1 + model.SeriesID(rng.IntN(1000))
		}
		slices.Sort(ids)
		return idsValue(slices.Compact(ids)...)
	}
	bitmap := roaring.New()
	for range rng.IntN(4) {
		start := uint64(rng.IntN(1 << pieceBits))
		bitmap.AddRange(start, min(start+uint64(rng.IntN(70_000)), 1<<pieceBits))
		for range rng.IntN(20) {
			bitmap.Add(rng.Uint32N(1 << pieceBits))
		}
	}
	return appendBitmap([]byte{kindBitmap}, bitmap)
}

var mergedKeys = [][]byte{keys.AppendIdentity(nil, 7), keys.AppendPosting(nil, keys.Posting{Key: "host", Value: "a"})}

// TestMergeAnyOrder checks that neither the order of operands, nor how they are grouped, nor repetition
// changes a single byte, with unreadable operands among them.
func TestMergeAnyOrder(t *testing.T) {
	rng := newRand(t)
	for round := range 300 {
		key := mergedKeys[round%len(mergedKeys)]
		operands := make([][]byte, 1+rng.IntN(6))
		for i := range operands {
			operands[i] = randomOperand(rng, key, false)
		}
		operands = append(operands, operands[0]) // one alone would stay as it is
		want := mergeAll(t, key, operands...)
		for range 5 {
			other := append(slices.Clone(operands), operands[rng.IntN(len(operands))])
			rng.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
			for len(other) > 1 {
				i := rng.IntN(len(other) - 1)
				n := 2 + rng.IntN(len(other)-i-1)
				other = slices.Replace(other, i, i+n, mergeAll(t, key, other[i:i+n]...))
			}
			if got := mergeAll(t, key, other[0]); !bytes.Equal(got, want) {
				t.Fatalf("%x merged in another order: %x, want %x", operands, got, want)
			}
		}
	}
}

// TestMergeOlder is for the other direction in which Pebble merges.
func TestMergeOlder(t *testing.T) {
	for _, key := range mergedKeys {
		merger, err := NewMerger().Merge(key, idsValue(5))
		if err != nil {
			t.Fatal(err)
		}
		for _, operand := range [][]byte{idsValue(4), bitmapValue(3)} {
			if err := merger.MergeOlder(operand); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := merger.Finish(false)
		if err != nil {
			t.Fatal(err)
		}
		if want := mergeAll(t, key, bitmapValue(3), idsValue(4), idsValue(5)); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
	}
}

// TestMergeKeepsDamage checks that nothing of an unreadable operand is lost, and that readers see it.
func TestMergeKeepsDamage(t *testing.T) {
	damage := [][]byte{{}, {kindBitmap, 1}, {9, 9}}
	for i, good := range [][]byte{idsValue(3, 4), bitmapValue(3, 4)} {
		key := mergedKeys[i]
		value := mergeAll(t, key, damage[2], good, damage[0], damage[1], damage[1])
		inner, kept, ok := cutDamaged(value)
		if !ok || !slices.EqualFunc(kept, damage, bytes.Equal) || !bytes.Equal(inner, good) {
			t.Errorf("%x: good part %x, kept %x, want %x and %x", value, inner, kept, good, damage)
		}
		_, err := decodeBitmap(key, value)
		if key[0] == keys.PrefixIdentity {
			_, err = decodeIdentity(key, value)
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%x is read with error %v", value, err)
		}
	}
}

// TestMergeInPebble merges through a store that flushes and compacts in between, compared with maps.
func TestMergeInPebble(t *testing.T) {
	rng := newRand(t)
	db := openMem(t)
	const count = 8
	key := func(i int) []byte { return keys.AppendIdentity(nil, uint64(i)) }
	posting := func(i int) []byte {
		return keys.AppendPosting(nil, keys.Posting{Key: "k", Value: string('a' + rune(i))})
	}
	var ids, lows [count]setModel
	for i := range count {
		ids[i], lows[i] = setModel{}, setModel{}
	}
	check := func() {
		t.Helper()
		for i := range count {
			if got, err := seriesOfHash(db, uint64(i)); err != nil || !slices.Equal(got, slices.Sorted(maps.Keys(ids[i]))) {
				t.Fatalf("ids %d: %v, %v, want %v", i, got, err, ids[i])
			}
			got, err := Select(db, 0, 0, []*model.Matcher{model.EqualMatcher("k", string('a'+rune(i)))})
			if err != nil {
				t.Fatal(err)
			}
			checkSet(t, "posting", got, lows[i])
		}
	}
	for round := range 400 {
		commit(t, db, func(b *pebble.Batch) error {
			i, id := rng.IntN(count), model.SeriesID(1+rng.IntN(500))
			ids[i][id], lows[i][id] = true, true
			if rng.IntN(20) == 0 { // as a removal from a bitmap would
				clear(lows[i])
				lows[i][id] = true
				return errors.Join(b.Merge(key(i), idsValue(id), nil), b.Set(posting(i), bitmapValue(uint32(id)), nil))
			}
			return errors.Join(b.Merge(key(i), idsValue(id), nil), b.Merge(posting(i), bitmapValue(uint32(id)), nil))
		})
		shake(t, rng, db)
		if round%20 == 0 {
			check()
		}
	}
	check()
}

// TestPebbleLivesWithDamage checks that an unreadable operand stops neither flush nor compaction, and
// that only readers of its key are told.
func TestPebbleLivesWithDamage(t *testing.T) {
	db := openMem(t)
	bad := keys.AppendPosting(nil, keys.Posting{Key: "k", Value: "bad"})
	good := keys.AppendPosting(nil, keys.Posting{Key: "k", Value: "good"})
	for _, operand := range [][]byte{bitmapValue(1), {kindBitmap, 1}, bitmapValue(2), {}} {
		commit(t, db, func(b *pebble.Batch) error {
			return errors.Join(b.Merge(bad, operand, nil), b.Merge(good, bitmapValue(1), nil))
		})
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := Select(db, 0, 0, []*model.Matcher{model.EqualMatcher("k", "bad")}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
	got, err := Select(db, 0, 0, []*model.Matcher{model.EqualMatcher("k", "good")})
	if err != nil || got.Len() != 1 {
		t.Errorf("the undamaged posting: %v, %v", got, err)
	}
}

// FuzzMergeable checks that any bytes can be merged, and give the same value when merged again.
func FuzzMergeable(f *testing.F) {
	f.Add(false, bitmapValue(1, 3, 300), []byte{9})
	f.Add(true, idsValue(1, 2, 300), []byte{kindDamaged, 1, kindIDs, 1, 9})
	f.Add(true, mergeAll(f, mergedKeys[0], idsValue(4), []byte{9}), idsValue(5))
	f.Fuzz(func(t *testing.T, ids bool, a, b []byte) {
		key := mergedKeys[1]
		if ids {
			key = mergedKeys[0]
		}
		ab := mergeAll(t, key, a, b)
		for _, other := range [][]byte{
			mergeAll(t, key, b, a), mergeAll(t, key, ab), mergeAll(t, key, ab, b), mergeAll(t, key, a, ab),
		} {
			if !bytes.Equal(ab, other) {
				t.Fatalf("%x and %x merge as %x or %x", a, b, ab, other)
			}
		}
	})
}

// FuzzBitmap checks that what is accepted, the library takes to be valid, and that it comes back.
func FuzzBitmap(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		f.Add(randomOperand(rng, mergedKeys[1], true)[1:])
	}
	f.Add(appendBitmap(nil, roaring.New()))
	f.Add(appendBitmap(nil, roaring.BitmapOf(0, 1<<16, 2<<16, 3<<16, 4<<16)))
	f.Fuzz(func(t *testing.T, data []byte) {
		bitmap, err := parseBitmap(data)
		if err != nil {
			if !errors.Is(err, model.ErrBadEncoding) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if err := bitmap.Validate(); err != nil {
			t.Fatalf("%x was accepted: %v", data, err)
		}
		if !bitmap.IsEmpty() && bitmap.Maximum() > pieceMask {
			t.Fatalf("%x has %d", data, bitmap.Maximum())
		}
		again, err := parseBitmap(appendBitmap(nil, bitmap))
		if err != nil || !again.Equals(bitmap) {
			t.Fatalf("%x became %v, %v", data, again, err)
		}
	})
}

// TestBitmapRefuses has one row for each thing that is checked.
func TestBitmapRefuses(t *testing.T) {
	runs := roaring.New()
	runs.AddRange(10, 20)
	runs.AddRange(30, 60_000)
	dense := roaring.New()
	for i := range uint32(30_000) {
		dense.Add(2 * i)
	}
	change := func(bitmap *roaring.Bitmap, at int, to byte) []byte {
		data := appendBitmap(nil, bitmap.Clone())
		if data[at] == to {
			t.Fatalf("byte %d is %x already", at, to)
		}
		data[at] = to
		return data
	}
	for name, data := range map[string][]byte{
		"cookie":            change(roaring.BitmapOf(1, 9), 0, 0),
		"container count":   change(roaring.BitmapOf(1, 9), 4, 2),
		"key too high":      change(roaring.BitmapOf(1, 9), 8, maxContainers),
		"values descend":    change(roaring.BitmapOf(1, 9), 16, 10),
		"value twice":       change(roaring.BitmapOf(1, 9), 16, 9),
		"key twice":         change(roaring.BitmapOf(1, 1<<16), 12, 0),
		"runs touch":        change(runs, 13, 20),
		"runs overlap":      change(runs, 13, 19),
		"run too long":      change(runs, 16, 0xff),
		"run cardinality":   change(runs, 7, 0),
		"bitmap count":      change(dense, 16, 0),
		"a byte too many":   append(appendBitmap(nil, runs), 0),
		"empty array":       {0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0},
		"endless container": {0x3a, 0x30, 0, 0, 0xff, 0xff, 0xff, 0xff},
	} {
		if bitmap, err := parseBitmap(data); err == nil {
			t.Errorf("%s: %v", name, bitmap)
		}
	}
	for _, bitmap := range []*roaring.Bitmap{runs, dense} {
		data := appendBitmap(nil, bitmap)
		for end := range data {
			if checkBitmap(data[:end]) {
				t.Fatalf("accepted %d of %d bytes", end, len(data))
			}
		}
	}
}
