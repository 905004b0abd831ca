package index

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

func TestCatalogExamples(t *testing.T) {
	tags := model.Tags{{Key: "host", Value: "a"}, {Key: "source", Value: "s1"}}
	if got, want := model.AppendIdentity(nil, "cpu_usage", tags), doctest.Example(t, "identity"); !bytes.Equal(got, want) {
		t.Errorf("got %x, the document has %x", got, want)
	}
	got := appendEntry(nil, entry{nameID: 7, unit: "percent", tags: tags})
	if want := doctest.Example(t, "catalogue-entry"); !bytes.Equal(got, want) {
		t.Errorf("got %x, the document has %x", got, want)
	}
}

// names numbers the names of series.
func (o oracle) names() map[string]uint64 {
	names := map[string]uint64{}
	for _, s := range o {
		if _, known := names[s.Name]; !known {
			names[s.Name] = uint64(len(names) + 1)
		}
	}
	return names
}

// putCatalog writes the series and their names.
func putCatalog(t testing.TB, db *pebble.DB, series oracle, hash func([]byte) uint64) (nameOf func(uint64) (string, bool)) {
	t.Helper()
	names := series.names()
	byID := map[uint64]string{}
	commit(t, db, func(b *pebble.Batch) error {
		for name, nameID := range names {
			byID[nameID] = name
			if err := PutName(b, name, nameID); err != nil {
				return err
			}
		}
		for _, s := range series {
			if err := putSeries(b, s, names[s.Name], hash); err != nil {
				return err
			}
		}
		return nil
	})
	return func(nameID uint64) (string, bool) {
		name, ok := byID[nameID]
		return name, ok
	}
}

func TestCatalog(t *testing.T) {
	rng := newRand(t)
	all := randomSeries(rng, 1000)
	known, unknown := all[:len(all)/2], all[len(all)/2:]
	// Hashes of two bits, so that nearly every lookup meets a collision.
	collide := func(identity []byte) uint64 { return uint64(len(identity) % 4) }
	db := openMem(t)
	nameOf := putCatalog(t, db, known, collide)
	putCatalog(t, db, known[:10], collide) // again, as replay does
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}

	for _, s := range known {
		if id, found, err := lookupSeries(db, identityOf(s), collide); err != nil || !found || id != s.ID {
			t.Fatalf("%+v: got %d, %v, %v", s, id, found, err)
		}
	}
	for _, s := range unknown {
		if id, found, err := lookupSeries(db, identityOf(s), collide); err != nil || found {
			t.Fatalf("%+v: got %d, %v, %v", s, id, found, err)
		}
	}

	names, err := LoadNames(db)
	if err != nil || !maps.Equal(names, known.names()) {
		t.Errorf("names %v, %v, want %v", names, err, known.names())
	}

	var want oracle
	for _, s := range known {
		if rng.IntN(3) > 0 {
			want = append(want, s)
		}
	}
	if diff := cmp.Diff(want, load(t, db, nameOf, want.selectIDs(nil))); diff != "" {
		t.Error(diff)
	}
}

func load(t *testing.T, r pebble.Reader, nameOf func(uint64) (string, bool), ids []model.SeriesID) oracle {
	t.Helper()
	var got oracle
	if err := LoadSeries(r, nameOf, ids, func(s model.Series) error {
		got = append(got, s)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLookupWithRealHash(t *testing.T) {
	db := openMem(t)
	s := model.Series{ID: 5, Name: "cpu", Tags: model.Tags{{Key: "host", Value: "a"}}}
	commit(t, db, func(b *pebble.Batch) error {
		return errors.Join(PutName(b, s.Name, 1), PutSeries(b, s, 1))
	})
	if id, found, err := LookupSeries(db, identityOf(s)); err != nil || !found || id != 5 {
		t.Errorf("got %d, %v, %v", id, found, err)
	}
	if _, found, err := LookupSeries(db, model.AppendIdentity(nil, "cpu", nil)); err != nil || found {
		t.Errorf("an unknown series: %v, %v", found, err)
	}
}

func TestPutUnit(t *testing.T) {
	db := openMem(t)
	s := model.Series{ID: 5, Name: "cpu", Tags: model.Tags{{Key: "host", Value: "a"}}}
	nameOf := putCatalog(t, db, oracle{s}, func([]byte) uint64 { return 1 })
	for _, unit := range []string{"percent", "", "%"} {
		s.Unit = unit
		commit(t, db, func(b *pebble.Batch) error { return PutUnit(b, s, 1) })
		if diff := cmp.Diff(oracle{s}, load(t, db, nameOf, []model.SeriesID{5})); diff != "" {
			t.Error(diff)
		}
	}
}

func TestLoadSeriesStopsAtError(t *testing.T) {
	db := openMem(t)
	nameOf := putCatalog(t, db, oracle{{ID: 5, Name: "a"}, {ID: 6, Name: "a"}}, func([]byte) uint64 { return 1 })
	enough := errors.New("enough")
	calls := 0
	err := LoadSeries(db, nameOf, []model.SeriesID{5, 6}, func(model.Series) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}

// TestCatalogDamage has one row for each way in which the catalogue can be at odds with itself.
func TestCatalogDamage(t *testing.T) {
	constant := func([]byte) uint64 { return 1 }
	for _, row := range []struct {
		name   string
		damage func(b *pebble.Batch) error
		lookup string // what the errors of lookup and load say; empty: none
		load   string
	}{
		{"none", func(*pebble.Batch) error { return nil }, "", ""},
		{"entry missing", func(b *pebble.Batch) error { return b.Delete(keys.AppendSeries(nil, 6), nil) },
			"series 6 is not in the catalogue", "series 6 is not in the catalogue"},
		{"entry empty", func(b *pebble.Batch) error { return b.Set(keys.AppendSeries(nil, 6), nil, nil) },
			"series 6: malformed", "series 6: malformed"},
		{"entry cut short", func(b *pebble.Batch) error { return b.Set(keys.AppendSeries(nil, 6), []byte{1, 5}, nil) },
			"series 6: malformed", "series 6: malformed"},
		{"unknown name number", func(b *pebble.Batch) error { return PutUnit(b, model.Series{ID: 6}, 99) },
			"", "unknown id 99"},
		{"ids damaged", func(b *pebble.Batch) error { return b.Merge(keys.AppendIdentity(nil, 1), []byte{9}, nil) },
			"1 parts of its value", ""},
		{"ids of no kind", func(b *pebble.Batch) error { return b.Set(keys.AppendIdentity(nil, 1), nil, nil) },
			"no known kind", ""},
		{"name number too long", func(b *pebble.Batch) error { return b.Set(keys.AppendName(nil, "a"), []byte{1, 1}, nil) },
			"name id", ""},
	} {
		db := openMem(t)
		series := oracle{{ID: 5, Name: "a"}, {ID: 6, Name: "b"}, {ID: 7, Name: "c"}}
		nameOf := putCatalog(t, db, series, constant)
		commit(t, db, row.damage)
		check := func(what, want string, err error) {
			t.Helper()
			if want == "" && err != nil || want != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %s has error %v, want %q", row.name, what, err, want)
			}
		}
		var lookupErr error
		for _, s := range slices.Backward(series) {
			_, _, err := lookupSeries(db, identityOf(s), constant)
			lookupErr = errors.Join(lookupErr, err)
		}
		check("lookup", row.lookup, lookupErr)
		check("load", row.load, LoadSeries(db, nameOf, []model.SeriesID{5, 6, 7}, func(model.Series) error { return nil }))
		_, err := LoadNames(db)
		want := ""
		if row.name == "name number too long" {
			want = "name id"
		}
		check("names", want, err)
	}
}

// FuzzParseEntry checks that what is accepted comes back byte for byte.
func FuzzParseEntry(f *testing.F) {
	f.Add(appendEntry(nil, entry{nameID: 300, unit: "percent", tags: model.Tags{{Key: "host", Value: "a"}}}))
	f.Add([]byte{0x80, 0})
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := parseEntry(value)
		if err != nil {
			if !errors.Is(err, model.ErrBadEncoding) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if again := appendEntry(nil, e); !bytes.Equal(again, value) {
			t.Fatalf("%x was read as %+v, which is %x", value, e, again)
		}
	})
}
