package index

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// split cuts the series in two at random.
func (o oracle) split(rng *rand.Rand) (kept, gone oracle) {
	limit := rng.IntN(11)
	for _, s := range o {
		if rng.IntN(10) < limit {
			gone = append(gone, s)
		} else {
			kept = append(kept, s)
		}
	}
	return kept, gone
}

func (o oracle) set() *Set {
	set := new(Set)
	for _, s := range o {
		set.Add(s.ID)
	}
	return set
}

// countKeys returns how many keys begin with the byte, and checks that no posting is empty.
func countKeys(t *testing.T, db *pebble.DB, prefix byte) int {
	t.Helper()
	lower, upper := keys.Range([]byte{prefix})
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for it.First(); it.Valid(); it.Next() {
		count++
		if prefix == keys.PrefixPosting {
			if bitmap, err := decodeBitmap(it.Key(), it.Value()); err != nil || bitmap.IsEmpty() {
				t.Errorf("posting %x: %v", it.Key(), err)
			}
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return count
}

// TestRemoveSeries removes series again and again, beside other partitions that keep them, and lets them
// come back: what matchers find is as if they had never been there.
func TestRemoveSeries(t *testing.T) {
	rng := newRand(t)
	all := randomSeries(rng, 500)
	db := openMem(t)
	place := Place{model.Tier5m, 2500}
	others := []Place{{model.Tier5m, 2499}, {model.Tier5m, 2501}, {model.TierRaw, 2500}}
	for _, other := range others {
		putPostings(t, rng, db, other, all)
	}
	for range 30 {
		putPostings(t, rng, db, place, all)
		kept, gone := all.split(rng)
		for _, some := range []oracle{gone[:len(gone)/2], gone} { // some are gone already, the second time
			commit(t, db, func(b *pebble.Batch) error {
				return RemoveSeries(db, b, place.Tier, place.Partition, some.set())
			})
			shake(t, rng, db)
		}
		if len(kept) == 0 {
			if n, one := countKeys(t, db, keys.PrefixPosting), len(others); n%one != 0 {
				t.Errorf("%d postings in %d partitions of the same series", n, one)
			}
		}
		for range 20 {
			matchers := randomMatchers(t, rng)
			got, err := Select(db, place.Tier, place.Partition, matchers)
			if want := kept.selectIDs(matchers); err != nil || !slices.Equal(idsOf(got), want) {
				t.Fatalf("%v: got %d series, %v, want %d", matchers, got.Len(), err, len(want))
			}
		}
	}
	for _, other := range others {
		got, err := PartitionSeries(db, other.Tier, other.Partition)
		if err != nil || got.Len() != len(all) {
			t.Errorf("%+v: %d series, %v, want %d", other, got.Len(), err, len(all))
		}
	}
}

// TestRemoveSeriesWritesLittle checks that only postings that change are written, and empty ones not at all.
func TestRemoveSeriesWritesLittle(t *testing.T) {
	db := openMem(t)
	commit(t, db, func(b *pebble.Batch) error {
		var builder PostingsBuilder
		for i := range 20 {
			builder.Add(model.Series{ID: model.SeriesID(1 + i), Name: "cpu", Tags: model.Tags{{Key: "host", Value: fmt.Sprint(i)}}})
		}
		return builder.Write(b, 0, 0)
	})
	b := db.NewBatch()
	if err := RemoveSeries(db, b, 0, 0, NewSet(3, 99)); err != nil {
		t.Fatal(err)
	}
	const changed = 3 // all series, the name, the host
	if b.Count() != changed {
		t.Errorf("%d operations, want %d", b.Count(), changed)
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if got := countKeys(t, db, keys.PrefixPosting); got != 2+19 {
		t.Errorf("%d postings are left, want %d", got, 2+19)
	}
}

func TestRemoveSeriesReportsDamage(t *testing.T) {
	for name, damage := range map[string]func(b *pebble.Batch) error{
		"key": func(b *pebble.Batch) error {
			return b.Set(append(keys.AppendTagKeyPrefix(nil, 0, 0, "host"), 'x'), nil, nil)
		},
		"value": func(b *pebble.Batch) error {
			return b.Set(keys.AppendPosting(nil, keys.Posting{Key: "host", Value: "a"}), []byte{9}, nil)
		},
	} {
		db := openMem(t)
		commit(t, db, damage)
		b := db.NewBatch()
		if err := RemoveSeries(db, b, 0, 0, NewSet(1)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", name, err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeleteSeries deletes and writes series again, also when hashes collide.
func TestDeleteSeries(t *testing.T) {
	for name, hash := range map[string]func([]byte) uint64{
		"hashes":     xxhash.Sum64,
		"few hashes": func(identity []byte) uint64 { return xxhash.Sum64(identity) % 50 },
		"collisions": func([]byte) uint64 { return 7 },
	} {
		t.Run(name, func(t *testing.T) {
			rng := newRand(t)
			all := randomSeries(rng, 300)
			db := openMem(t)
			for range 10 {
				nameOf := putCatalog(t, db, all, hash)
				shake(t, rng, db)
				kept, gone := all.split(rng)
				rng.Shuffle(len(gone), func(i, j int) { gone[i], gone[j] = gone[j], gone[i] })
				for range 2 { // the second time there is nothing left to do
					commit(t, db, func(b *pebble.Batch) error { return deleteSeries(db, b, gone, hash) })
				}
				for _, s := range gone {
					if id, found, err := lookupSeries(db, identityOf(s), hash); err != nil || found {
						t.Fatalf("series %d is still there as %d, %v", s.ID, id, err)
					}
				}
				for _, s := range kept {
					if id, found, err := lookupSeries(db, identityOf(s), hash); err != nil || !found || id != s.ID {
						t.Fatalf("series %d became %d, %v, %v", s.ID, id, found, err)
					}
				}
				if diff := cmp.Diff(kept, load(t, db, nameOf, kept.set().AppendTo(nil))); diff != "" {
					t.Fatal(diff)
				}
				if n := countKeys(t, db, keys.PrefixSeries); n != len(kept) {
					t.Errorf("%d entries, want %d", n, len(kept))
				}
				if n := countKeys(t, db, keys.PrefixIdentity); len(kept) == 0 && n != 0 {
					t.Errorf("%d hashes are left", n)
				}
			}
		})
	}
}

func TestDeleteSeriesWithRealHash(t *testing.T) {
	db := openMem(t)
	s := model.Series{ID: 5, Name: "cpu", Tags: model.Tags{{Key: "host", Value: "a"}}}
	commit(t, db, func(b *pebble.Batch) error { return errors.Join(PutName(b, s.Name, 1), PutSeries(b, s, 1)) })
	commit(t, db, func(b *pebble.Batch) error { return DeleteSeries(db, b, []model.Series{s}) })
	for _, prefix := range []byte{keys.PrefixSeries, keys.PrefixIdentity} {
		if n := countKeys(t, db, prefix); n != 0 {
			t.Errorf("%d keys of prefix %02x are left", n, prefix)
		}
	}
	commit(t, db, func(b *pebble.Batch) error { return DeleteName(b, s.Name) })
	if names, err := LoadNames(db); err != nil || len(names) != 0 {
		t.Errorf("names %v, %v", names, err)
	}
}

func TestDeleteSeriesReportsDamage(t *testing.T) {
	db := openMem(t)
	s := model.Series{ID: 5, Name: "cpu"}
	commit(t, db, func(b *pebble.Batch) error {
		return b.Merge(keys.AppendIdentity(nil, xxhash.Sum64(identityOf(s))), []byte{9}, nil)
	})
	b := db.NewBatch()
	if err := DeleteSeries(db, b, []model.Series{s}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
