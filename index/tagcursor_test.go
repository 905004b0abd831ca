package index

import (
	"context"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/model"
)

// taggedSeries is a tag and the series that have it.
type taggedSeries struct {
	Tag model.Tag
	IDs []model.SeriesID
}

// eachTag finds the slow way what EachTag does.
func (o oracle) eachTag(within *Set, key *string) []taggedSeries {
	having := map[model.Tag][]model.SeriesID{}
	for _, s := range o {
		if !within.Contains(s.ID) {
			continue
		}
		for _, tag := range append(slices.Clone(s.Tags), model.Tag{Key: model.NameKey, Value: s.Name}) {
			if key == nil || tag.Key == *key {
				having[tag] = append(having[tag], s.ID)
			}
		}
	}
	var all []taggedSeries
	for _, tag := range slices.SortedFunc(maps.Keys(having), compareTags) {
		slices.Sort(having[tag])
		all = append(all, taggedSeries{tag, having[tag]})
	}
	return all
}

// TestEachTag spreads series over partitions and memory, and asks for the tags of few of them and of many.
func TestEachTag(t *testing.T) {
	rng := newRand(t)
	for range 20 {
		all := randomSeries(rng, rng.IntN(300))
		db := openMem(t)
		active := NewActive(1)
		places := []Place{{model.TierRaw, 20000}, {model.Tier1h, 312}}
		stored := make([]oracle, len(places))
		var known oracle
		for _, s := range all {
			for i := range places {
				if rng.IntN(3) == 0 {
					stored[i] = append(stored[i], s)
				}
			}
			if rng.IntN(2) == 0 {
				active.Insert(s)
			}
			if active.Has(s.ID) || slices.ContainsFunc(stored, func(o oracle) bool { return len(o) > 0 && o[len(o)-1].ID == s.ID }) {
				known = append(known, s)
			}
		}
		for i, place := range places {
			putPostings(t, rng, db, place, stored[i])
		}
		for _, one := range []int{1, 3, 50, 1000} { // of so many
			within := NewSet(1 << 50) // not known
			for _, s := range all {
				if rng.IntN(one) == 0 {
					within.Add(s.ID)
				}
			}
			for _, key := range []*string{nil, new(string), &testKeys[1], &testValues[0]} { // a name's key is ""
				var got []taggedSeries
				err := EachTag(context.Background(), db, places, active, within, key, func(key, value string, series *Set) error {
					got = append(got, taggedSeries{model.Tag{Key: key, Value: value}, idsOf(series)})
					return nil
				})
				if diff := gocmp.Diff(known.eachTag(within, key), got); err != nil || diff != "" {
					t.Fatalf("one of %d: %v %s", one, err, diff)
				}
			}
		}
	}
}

// TestActiveCursorLooksAtFew counts the series and the tags that are looked at for the tags of one host's series: the
// same beside two hundred series as beside twenty thousand, and no others than those that there are.
func TestActiveCursorLooksAtFew(t *testing.T) {
	const metrics = 10
	for _, hosts := range []int{20, 2000} {
		active := NewActive(1)
		for _, s := range workload(hosts*metrics, metrics) {
			active.Insert(s)
		}
		within := active.Select([]*model.Matcher{model.EqualMatcher("hostname", "host_7")})
		for key, want := range map[string]int{"hostname": 1, model.NameKey: metrics, "absent": 0} {
			c := newActiveCursor(active.postingsWithin(within), &key)
			if got := len(c.numbers); got != want || c.universe.Len() != metrics {
				t.Errorf("of %d hosts, one has %d series and key %q %d tags; looked at are %d and %d", hosts, metrics, key, want, c.universe.Len(), got)
			}
		}
		all, want := newActiveCursor(active.postingsWithin(within), nil), metrics+len(hostSeries(7, 0).Tags)
		if got := len(all.numbers); got != want {
			t.Errorf("of %d hosts, one has %d tags and names; looked at are %d", hosts, want, got)
		}
	}
}
