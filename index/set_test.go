package index

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flopynet/collector/model"
)

// setModel is a set of ids, told by a map.
type setModel map[model.SeriesID]bool

func randomID(rng *rand.Rand) model.SeriesID {
	return model.SeriesID(rng.IntN(3))<<pieceBits + model.SeriesID(rng.IntN(300)) + model.SeriesID(rng.IntN(2))<<62
}

func checkSet(t *testing.T, what string, s *Set, want setModel) {
	t.Helper()
	ids := slices.Sorted(maps.Keys(want))
	if got := idsOf(s); !slices.Equal(got, ids) {
		t.Fatalf("%s: All gives %v, want %v", what, got, ids)
	}
	if got := s.AppendTo(nil); !slices.Equal(got, ids) {
		t.Fatalf("%s: AppendTo gives %v, want %v", what, got, ids)
	}
	if s.Len() != len(ids) || s.IsEmpty() != (len(ids) == 0) {
		t.Fatalf("%s: Len %d, IsEmpty %v, want %d", what, s.Len(), s.IsEmpty(), len(ids))
	}
}

// TestSetModel runs random operations on sets and on maps.
func TestSetModel(t *testing.T) {
	rng := newRand(t)
	sets := make([]*Set, 4)
	models := make([]setModel, len(sets))
	for i := range sets {
		sets[i], models[i] = new(Set), setModel{}
	}
	for range 3000 {
		i, j := rng.IntN(len(sets)), rng.IntN(len(sets))
		what := ""
		switch op := rng.IntN(6); {
		case op == 0:
			what = "Add"
			id := randomID(rng)
			sets[i].Add(id)
			models[i][id] = true
		case op == 1:
			what = "AddMany"
			var ids []model.SeriesID
			for range rng.IntN(100) {
				ids = append(ids, randomID(rng))
				models[i][ids[len(ids)-1]] = true
			}
			sets[i].AddMany(ids)
		case op == 2:
			what = "Clone"
			sets[i], models[i] = sets[j].Clone(), maps.Clone(models[j])
		case i == j:
			continue
		case op == 3:
			what = "Or"
			sets[i].Or(sets[j])
			maps.Copy(models[i], models[j])
		case op == 4:
			what = "And"
			sets[i].And(sets[j])
			maps.DeleteFunc(models[i], func(id model.SeriesID, _ bool) bool { return !models[j][id] })
		case op == 5:
			what = "AndNot"
			sets[i].AndNot(sets[j])
			maps.DeleteFunc(models[i], func(id model.SeriesID, _ bool) bool { return models[j][id] })
		}
		for k := range sets {
			checkSet(t, what, sets[k], models[k])
		}
		id := randomID(rng)
		if got := sets[i].Contains(id); got != models[i][id] {
			t.Fatalf("after %s: Contains(%d) is %v", what, id, got)
		}
		if got := sets[i].Intersects(sets[j]); got != models[i].intersects(models[j]) {
			t.Fatalf("after %s: Intersects is %v", what, got)
		}
		var want []model.SeriesID
		for other := range sets[i].All() {
			if other >= id {
				want = append(want, other)
			}
		}
		if got := slices.Collect(sets[i].from(id)); !slices.Equal(got, want) {
			t.Fatalf("after %s: from(%d) is %v, want %v", what, id, got, want)
		}
	}
}

func (m setModel) intersects(other setModel) bool {
	for id := range m {
		if other[id] {
			return true
		}
	}
	return false
}

func TestSetStopsEarly(t *testing.T) {
	s := NewSet(1, 2, 3<<pieceBits)
	for id := range s.All() {
		if id != 1 {
			t.Fatalf("went on to %d", id)
		}
		break
	}
}
