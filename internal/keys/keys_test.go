package keys

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/model"
)

func TestExamples(t *testing.T) {
	for name, key := range map[string][]byte{
		"key-meta":       AppendMeta(nil, MetaCheckpoint),
		"key-partition":  AppendPartition(nil, model.TierRaw, 20000),
		"key-series":     AppendSeries(nil, 300),
		"key-identity":   AppendIdentity(nil, 0x0123456789abcdef),
		"key-name":       AppendName(nil, "cpu_usage"),
		"key-posting":    AppendPosting(nil, Posting{Partition: 20000, Key: "a\x00b", Value: "c", Piece: 1}),
		"key-all-series": AppendPosting(nil, Posting{Partition: 20000}),
		"key-chunk": AppendChunk(nil, Chunk{
			Partition: 20000, NameID: 7, Series: 300, MinTime: 1_728_000_000_000_000_000, Seq: 42,
		}),
		"key-sketch": AppendSketch(nil, Chunk{
			Tier: model.Tier1h, Partition: 312, NameID: 7, Series: 300, MinTime: 1_728_000_000_000_000_000,
		}),
		"key-dirty":      AppendDirty(nil, Dirty{Partition: 20000, Hour: 480000, LSN: 42, Piece: 1}),
		"key-tombstone":  AppendTombstone(nil, 42),
		"key-head-image": AppendHeadImage(nil, 42, 1),
		"key-event":      AppendEvent(nil, Event{Time: 1_728_000_000_000_000_000, LSN: 42, N: 1}),
		"key-event-id":   AppendEventID(nil, "e1"),
		"key-answer":     AppendAnswer(nil, 42),
	} {
		if want := doctest.Example(t, name); !bytes.Equal(key, want) {
			t.Errorf("%s: got %x, the document has %x", name, key, want)
		}
	}
}

// sample values that are near the edges of their types and of the escaping.
var (
	integers = []int64{math.MinInt64, -1 << 32, -256, -255, -1, 0, 1, 255, 256, 20000, 1 << 32, math.MaxInt64}
	texts    = []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x01", "a\x00b", "a\x01", "ab", "b", "\xff", "\xff\xff"}
)

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func randomPosting(rng *rand.Rand) Posting {
	return Posting{
		Tier: model.Tier(rng.IntN(3)), Partition: model.Partition(pick(rng, integers)),
		Key: pick(rng, texts), Value: pick(rng, texts), Piece: uint64(pick(rng, integers)),
	}
}

func comparePostings(a, b Posting) int {
	return cmp.Or(cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Partition, b.Partition),
		cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Piece, b.Piece))
}

func randomChunk(rng *rand.Rand) Chunk {
	return Chunk{
		Tier: model.Tier(rng.IntN(3)), Partition: model.Partition(pick(rng, integers)),
		NameID: uint64(pick(rng, integers)), Series: model.SeriesID(pick(rng, integers)),
		MinTime: pick(rng, integers), Seq: uint64(pick(rng, integers)),
	}
}

func compareChunks(a, b Chunk) int {
	return cmp.Or(cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.NameID, b.NameID),
		cmp.Compare(a.Series, b.Series), cmp.Compare(a.MinTime, b.MinTime), cmp.Compare(a.Seq, b.Seq))
}

// TestOrder checks that keys come back as they went in and sort as their fields do.
func TestOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		p, q := randomPosting(rng), randomPosting(rng)
		pKey, qKey := AppendPosting(nil, p), AppendPosting(nil, q)
		if got, want := bytes.Compare(pKey, qKey), comparePostings(p, q); got != want {
			t.Fatalf("%+v and %+v compare as %d, their keys as %d", p, q, want, got)
		}
		if got, err := ParsePosting(pKey); err != nil || got != p {
			t.Fatalf("%+v came back as %+v, %v", p, got, err)
		}
		tail := pKey[len(AppendTagKeyPrefix(nil, p.Tier, p.Partition, p.Key)):]
		if value, piece, err := ParsePostingTail(tail); err != nil || value != p.Value || piece != p.Piece {
			t.Fatalf("tail of %+v came back as %q %d, %v", p, value, piece, err)
		}
		c, d := randomChunk(rng), randomChunk(rng)
		cKey, dKey := AppendChunk(nil, c), AppendChunk(nil, d)
		if got, want := bytes.Compare(cKey, dKey), compareChunks(c, d); got != want {
			t.Fatalf("%+v and %+v compare as %d, their keys as %d", c, d, want, got)
		}
		if got, err := ParseChunk(cKey); err != nil || got != c {
			t.Fatalf("%+v came back as %+v, %v", c, got, err)
		}
	}
}

// TestStringsDoNotNest checks that no string's encoding is a prefix of another's.
func TestStringsDoNotNest(t *testing.T) {
	for _, a := range texts {
		for _, b := range texts {
			x, y := appendString(nil, a), appendString(nil, b)
			if a != b && bytes.HasPrefix(x, y) {
				t.Errorf("the encoding of %q begins with that of %q", a, b)
			}
			if got, want := bytes.Compare(x, y), cmp.Compare(a, b); got != want {
				t.Errorf("%q and %q compare as %d, encoded as %d", a, b, want, got)
			}
		}
	}
}

func TestRanges(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	inside := func(lower, upper, key []byte) bool {
		return bytes.Compare(lower, key) <= 0 && (upper == nil || bytes.Compare(key, upper) < 0)
	}
	for range 20_000 {
		c, d := randomChunk(rng), randomChunk(rng)
		key := AppendChunk(nil, d)
		samePartition := c.Tier == d.Tier && c.Partition == d.Partition
		lower, upper := PartitionRange(PrefixChunk, c.Tier, c.Partition)
		if got := inside(lower, upper, key); got != samePartition {
			t.Fatalf("partition of %+v has %+v: %v", c, d, got)
		}
		sameMetric := samePartition && c.NameID == d.NameID
		lower, upper = MetricRange(c.Tier, c.Partition, c.NameID)
		if got := inside(lower, upper, key); got != sameMetric {
			t.Fatalf("metric of %+v has %+v: %v", c, d, got)
		}
		lower, upper = SeriesRange(c.Tier, c.Partition, c.NameID, c.Series)
		if got, want := inside(lower, upper, key), sameMetric && c.Series == d.Series; got != want {
			t.Fatalf("series of %+v has %+v: %v", c, d, got)
		}
		p, q := randomPosting(rng), randomPosting(rng)
		lower, upper = Range(AppendTagPrefix(nil, p.Tier, p.Partition, p.Key, p.Value))
		q.Piece = p.Piece
		if got := inside(lower, upper, AppendPosting(nil, q)); got != (p == q) {
			t.Fatalf("tag of %+v has %+v: %v", p, q, got)
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	for _, row := range []struct{ prefix, want []byte }{
		{nil, nil},
		{[]byte{0}, []byte{1}},
		{[]byte{1, 0xff}, []byte{2}},
		{[]byte{1, 0xfe, 0xff}, []byte{1, 0xff}},
		{[]byte{0xff, 0xff}, nil},
	} {
		given := bytes.Clone(row.prefix)
		if got := PrefixEnd(given); !bytes.Equal(got, row.want) || (got == nil) != (row.want == nil) {
			t.Errorf("PrefixEnd(%x) = %x, want %x", row.prefix, got, row.want)
		}
		if !bytes.Equal(given, row.prefix) {
			t.Errorf("PrefixEnd changed %x to %x", row.prefix, given)
		}
	}
}

// roundTrips parses and appends again, for each kind of key.
var roundTrips = map[string]func(key []byte) ([]byte, error){
	"meta": func(key []byte) ([]byte, error) {
		name, err := ParseMeta(key)
		return AppendMeta(nil, name), err
	},
	"partition": func(key []byte) ([]byte, error) {
		tier, partition, err := ParsePartition(key)
		return AppendPartition(nil, tier, partition), err
	},
	"series": func(key []byte) ([]byte, error) {
		id, err := ParseSeries(key)
		return AppendSeries(nil, id), err
	},
	"identity": func(key []byte) ([]byte, error) {
		hash, err := ParseIdentity(key)
		return AppendIdentity(nil, hash), err
	},
	"name": func(key []byte) ([]byte, error) {
		name, err := ParseName(key)
		return AppendName(nil, name), err
	},
	"posting": func(key []byte) ([]byte, error) {
		p, err := ParsePosting(key)
		return AppendPosting(nil, p), err
	},
	"posting tail": func(tail []byte) ([]byte, error) {
		value, piece, err := ParsePostingTail(tail)
		return appendUint64(appendString(nil, value), piece), err
	},
	"chunk": func(key []byte) ([]byte, error) {
		c, err := ParseChunk(key)
		return AppendChunk(nil, c), err
	},
	"event": func(key []byte) ([]byte, error) {
		e, err := ParseEvent(key)
		return AppendEvent(nil, e), err
	},
	"event id": func(key []byte) ([]byte, error) {
		id, err := ParseEventID(key)
		return AppendEventID(nil, id), err
	},
	"answer": func(key []byte) ([]byte, error) {
		lsn, err := ParseAnswer(key)
		return AppendAnswer(nil, lsn), err
	},
	"head image": func(key []byte) ([]byte, error) {
		checkpoint, n, err := ParseHeadImage(key)
		return AppendHeadImage(nil, checkpoint, n), err
	},
}

func exampleKeys() [][]byte {
	return [][]byte{
		AppendMeta(nil, "a\x00b"), AppendPartition(nil, 1, -5), AppendSeries(nil, 1<<40), AppendIdentity(nil, 1),
		AppendName(nil, "cpu"), AppendPosting(nil, Posting{Key: "a\x00", Value: "\x00b", Piece: 2}),
		AppendChunk(nil, Chunk{MinTime: 5, Seq: 6}), AppendHeadImage(nil, 3, 4),
		AppendEvent(nil, Event{Time: -3, LSN: 7, N: 2}), AppendEventID(nil, "a\x00b"), AppendAnswer(nil, 9),
	}
}

// TestRefused checks that no kind of key is taken for another, cut short or longer.
func TestRefused(t *testing.T) {
	refuse := func(key []byte) {
		t.Helper()
		for kind, roundTrip := range roundTrips {
			if kind == "posting tail" {
				continue
			}
			if _, err := roundTrip(key); !errors.Is(err, ErrBadKey) {
				t.Errorf("%x as %s: error %v, want ErrBadKey", key, kind, err)
			}
		}
	}
	for _, key := range exampleKeys() {
		accepted := 0
		for kind, roundTrip := range roundTrips {
			if _, err := roundTrip(key); err == nil && kind != "posting tail" {
				accepted++
			}
		}
		if accepted != 1 {
			t.Errorf("%x is taken for %d kinds of key", key, accepted)
		}
		for end := range key {
			refuse(key[:end])
		}
		refuse(append(slices.Clip(key), 0))
	}
}

// FuzzParse checks that what is parsed is appended again byte for byte.
func FuzzParse(f *testing.F) {
	for _, key := range exampleKeys() {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		for kind, roundTrip := range roundTrips {
			if got, err := roundTrip(key); err == nil && !bytes.Equal(got, key) {
				t.Errorf("%x as %s becomes %x", key, kind, got)
			}
		}
	})
}

func TestParseChunkDoesNotAllocate(t *testing.T) {
	key := AppendChunk(nil, Chunk{Series: 9, MinTime: 5, Seq: 6})
	if n := testing.AllocsPerRun(100, func() {
		if c, err := ParseChunk(key); err != nil || c.Series != 9 {
			t.Error(c, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
