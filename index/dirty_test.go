package index

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// TestDirtyModel marks series at random and deletes marks, compared with a map.
func TestDirtyModel(t *testing.T) {
	rng := newRand(t)
	db := openMem(t)
	marks := map[keys.Dirty]setModel{}
	for range 400 {
		tier, partition := model.Tier(rng.IntN(2)), model.Partition(100+rng.IntN(6))
		hour, lsn := int64(partition)*24+rng.Int64N(3), uint64(1+rng.IntN(3))
		set := new(Set)
		for range rng.IntN(5) {
			id := randomID(rng)
			set.Add(id)
			number, _ := split(id)
			d := keys.Dirty{Tier: tier, Partition: partition, Hour: hour, LSN: lsn, Piece: number}
			if marks[d] == nil {
				marks[d] = setModel{}
			}
			marks[d][id] = true
		}
		before := set.Clone()
		commit(t, db, func(b *pebble.Batch) error { return PutDirty(b, tier, partition, hour, lsn, set) })
		if !slices.Equal(idsOf(set), idsOf(before)) {
			t.Fatal("the set was changed")
		}
		shake(t, rng, db)

		from := model.Partition(99 + rng.IntN(7))
		to := from + model.Partition(rng.IntN(4)) - 1
		var got []keys.Dirty
		var last []byte
		err := EachDirty(db, tier, from, to, func(d keys.Dirty, set *Set) error {
			got = append(got, d)
			key := keys.AppendDirty(nil, d)
			if bytes.Compare(key, last) <= 0 {
				t.Fatalf("%+v is out of order", d)
			}
			last = key
			checkSet(t, "EachDirty", set, marks[d])
			if rng.IntN(20) == 0 {
				delete(marks, d)
				return db.Delete(key, pebble.NoSync)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got { // those deleted meanwhile were there, too
			if d.Tier != tier || d.Partition < from || d.Partition > to {
				t.Fatalf("%+v is not in [%d, %d] of tier %d", d, from, to, tier)
			}
		}
		var left []keys.Dirty
		if err := EachDirty(db, tier, from, to, func(d keys.Dirty, _ *Set) error { left = append(left, d); return nil }); err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(slices.Collect(maps.Keys(marks)), func(d keys.Dirty) bool {
			return d.Tier != tier || d.Partition < from || d.Partition > to
		})
		slices.SortFunc(want, func(a, b keys.Dirty) int {
			return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.LSN, b.LSN), cmp.Compare(a.Piece, b.Piece))
		})
		if !slices.Equal(left, want) {
			t.Fatalf("in [%d, %d] of tier %d are the marks %v, want %v", from, to, tier, left, want)
		}
	}
}

func TestEachDirtyStops(t *testing.T) {
	db := openMem(t)
	commit(t, db, func(b *pebble.Batch) error {
		return errors.Join(PutDirty(b, 0, 5, 1, 1, NewSet(1)), PutDirty(b, 0, 5, 1, 2, NewSet(1)))
	})
	enough := errors.New("enough")
	calls := 0
	err := EachDirty(db, 0, 5, 5, func(keys.Dirty, *Set) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}

func TestEachDirtyReportsDamage(t *testing.T) {
	key := keys.AppendDirty(nil, keys.Dirty{Partition: 5, Hour: 1})
	for name, damage := range map[string]func(b *pebble.Batch) error{
		"key":   func(b *pebble.Batch) error { return b.Set(key[:len(key)-1], bitmapValue(1), nil) },
		"value": func(b *pebble.Batch) error { return b.Merge(key, []byte{9}, nil) },
	} {
		db := openMem(t)
		commit(t, db, damage)
		err := EachDirty(db, 0, 0, 9, func(keys.Dirty, *Set) error { return nil })
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", name, err)
		}
	}
}
