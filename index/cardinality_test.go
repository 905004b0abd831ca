package index

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// cardinality counts the slow way.
func (o oracle) cardinality(top int) CardinalityReport {
	names, keys, tags := map[string]int{}, map[string]int{}, map[model.Tag]int{}
	for _, s := range o {
		names[s.Name]++
		for _, tag := range s.Tags {
			keys[tag.Key]++
			tags[tag]++
		}
	}
	report := CardinalityReport{Series: len(o), NameCount: len(names), KeyCount: len(keys), TagCount: len(tags)}
	for name, series := range names {
		report.Names = append(report.Names, NameCardinality{name, series})
	}
	for key, series := range keys {
		values := 0
		for tag := range tags {
			if tag.Key == key {
				values++
			}
		}
		report.Keys = append(report.Keys, KeyCardinality{key, values, series})
	}
	for tag, series := range tags {
		report.Tags = append(report.Tags, TagCardinality{tag.Key, tag.Value, series})
	}
	slices.SortFunc(report.Names, func(a, b NameCardinality) int {
		return cmp.Or(b.Series-a.Series, cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(report.Keys, func(a, b KeyCardinality) int {
		return cmp.Or(b.Values-a.Values, b.Series-a.Series, cmp.Compare(a.Key, b.Key))
	})
	slices.SortFunc(report.Tags, func(a, b TagCardinality) int {
		return cmp.Or(b.Series-a.Series, cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
	})
	report.Names, report.Keys, report.Tags = first(report.Names, top), first(report.Keys, top), first(report.Tags, top)
	return report
}

// first returns the first entries of a list, nil if there is none.
func first[T any](list []T, top int) []T {
	return append([]T(nil), list[:min(top, len(list))]...)
}

func seriesOf(a *Active) (all oracle) {
	for id := range a.Select(nil).All() {
		s, _ := a.Series(id)
		all = append(all, s)
	}
	return all
}

// TestCardinality spreads series over partitions and memory, so that some are in several and some, of
// memory, are not to be counted.
func TestCardinality(t *testing.T) {
	rng := newRand(t)
	for range 15 {
		all := randomSeries(rng, rng.IntN(300))
		db := openMem(t)
		active := NewActive(1)
		keep := new(Set)
		places := []Place{{model.TierRaw, 20000}, {model.TierRaw, 20001}, {model.Tier5m, 2500}, {model.Tier1h, 312}, {model.TierRaw, 7}}
		stored := make([]oracle, len(places))
		var counted oracle
		for _, s := range all {
			found := false
			for i := range places[:4] { // the last has nothing
				if rng.IntN(4) == 0 {
					stored[i] = append(stored[i], s)
					found = found || i > 0 // the first is not asked
				}
			}
			if rng.IntN(3) == 0 {
				active.Insert(s)
				if rng.IntN(2) == 0 {
					keep.Add(s.ID)
					found = true
				}
			}
			if found {
				counted = append(counted, s)
			}
		}
		for i, place := range places {
			putPostings(t, rng, db, place, stored[i])
		}
		keep.Add(1 << 50) // not known
		for _, top := range []int{0, 1, 5, 1000} {
			got, err := Cardinality(context.Background(), db, places[1:], active, keep.Contains, top)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(counted.cardinality(top), got); diff != "" {
				t.Fatalf("top %d: %s", top, diff)
			}
		}
		got, err := Cardinality(context.Background(), db, places[:1], nil, nil, 10)
		if diff := gocmp.Diff(stored[0].cardinality(10), got); err != nil || diff != "" {
			t.Fatalf("of the first partition: %v %s", err, diff)
		}
		got, err = Cardinality(context.Background(), db, nil, active, nil, 10)
		if want := seriesOf(active).cardinality(10); err != nil || gocmp.Diff(want, got) != "" {
			t.Fatalf("of memory: %v %s", err, gocmp.Diff(want, got))
		}
	}
}

func TestCardinalityReportsDamage(t *testing.T) {
	for name, damage := range map[string]func(b *pebble.Batch) error{
		"key, the first": func(b *pebble.Batch) error {
			return b.Set(append(keys.AppendTagKeyPrefix(nil, 0, 0, ""), 'x'), nil, nil)
		},
		"key": func(b *pebble.Batch) error {
			return b.Set(append(keys.AppendTagKeyPrefix(nil, 0, 0, "host"), 'x'), nil, nil)
		},
		"value": func(b *pebble.Batch) error {
			return b.Set(keys.AppendPosting(nil, keys.Posting{Key: "host", Value: "a"}), []byte{9}, nil)
		},
	} {
		db := openMem(t)
		commit(t, db, func(b *pebble.Batch) error {
			var builder PostingsBuilder
			builder.Add(model.Series{ID: 1, Name: "cpu", Tags: model.Tags{{Key: "host", Value: "b"}}})
			return errors.Join(builder.Write(b, 0, 0), damage(b))
		})
		if _, err := Cardinality(context.Background(), db, []Place{{0, 0}}, nil, nil, 10); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", name, err)
		}
	}
}
