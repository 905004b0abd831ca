package index

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/model"
)

// TestActiveModel creates, inserts and changes series, compared with a list; also when all hashes are
// the same.
func TestActiveModel(t *testing.T) {
	for name, mask := range map[string]uint64{"hashes": ^uint64(0), "collisions": 0, "few hashes": 7 << 32} {
		t.Run(name, func(t *testing.T) {
			rng := newRand(t)
			pool := randomSeries(rng, 600)
			a := newActive(1000, mask)
			next := model.SeriesID(1000)
			ids := map[string]model.SeriesID{} // by identity
			known := map[model.SeriesID]model.Series{}
			for range 2000 {
				s := pick(rng, pool)
				identity := identityOf(s)
				id, exists := ids[string(identity)]
				if got, found := a.Lookup(identity); found != exists || got != id {
					t.Fatalf("Lookup(%q) = %d, %v, want %d, %v", identity, got, found, id, exists)
				}
				switch op := rng.IntN(4); {
				case op == 0 && !exists:
					if _, taken := known[s.ID]; taken || s.ID >= next {
						s.ID = next + model.SeriesID(rng.IntN(3))
					}
					next = max(next, s.ID+1)
					a.Insert(s)
					id = s.ID
				case op == 0:
					a.Insert(model.Series{ID: id, Name: s.Name, Tags: s.Tags, Unit: "ignored"})
					s = known[id]
				case op == 1 && exists:
					s = known[id]
					unit := pick(rng, []string{"", "percent", "bytes"})
					if got := a.SetUnit(id, unit); got != (unit != s.Unit) {
						t.Fatalf("SetUnit from %q to %q: %v", s.Unit, unit, got)
					}
					s.Unit = unit
				default:
					got, created := a.Create(identity, s.Name, s.Tags)
					if created == exists || (exists && got != id) || (created && got != next) {
						t.Fatalf("Create(%q) = %d, %v; known as %d, %v; next is %d", identity, got, created, id, exists, next)
					}
					if created {
						next++
						s.Unit = ""
					} else {
						s = known[id]
					}
					id = got
				}
				s.ID = id
				ids[string(identity)], known[id] = id, s
			}
			checkActive(t, a, known, next)
		})
	}
}

func checkActive(t *testing.T, a *Active, known map[model.SeriesID]model.Series, next model.SeriesID) {
	t.Helper()
	if a.Len() != len(known) || a.Next() != next {
		t.Errorf("Len %d, Next %d, want %d, %d", a.Len(), a.Next(), len(known), next)
	}
	for id, want := range known {
		got, found := a.Series(id)
		if diff := cmp.Diff(want, got, cmp.Comparer(slices.Equal[model.Tags])); !found || diff != "" {
			t.Errorf("series %d: %v %s", id, found, diff)
		}
		if a.Unit(id) != want.Unit {
			t.Errorf("unit of %d is %q, want %q", id, a.Unit(id), want.Unit)
		}
	}
	if s, found := a.Series(next); found || a.Unit(next) != "" || a.SetUnit(next, "x") {
		t.Errorf("series %v is known", s)
	}
	var want, got []string
	from, to := next/3, next-100
	for id := range NewSet(a.Select(nil).AppendTo(nil)...).All() {
		if from <= id && id < to {
			want = append(want, fmt.Sprintf("%d %x", id, identityOf(known[id])))
		}
	}
	a.Definitions(from, to, func(id model.SeriesID, identity []byte) {
		got = append(got, fmt.Sprintf("%d %x", id, identity))
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("definitions: %s", diff)
	}
}

// TestDefinitionsInSteps has more of them than are copied at once, and gaps.
func TestDefinitionsInSteps(t *testing.T) {
	for _, count := range []int{0, 1, definitionsAtOnce - 1, definitionsAtOnce, definitionsAtOnce + 1, 3 * definitionsAtOnce} {
		a := NewActive(1)
		var want, got []model.SeriesID
		for i := range count {
			id := model.SeriesID(10 + 3*i)
			a.Insert(model.Series{ID: id, Name: fmt.Sprint("m", i)})
			want = append(want, id)
		}
		a.Definitions(0, a.Next(), func(id model.SeriesID, identity []byte) {
			got = append(got, id)
			// A writer must not be locked out meanwhile.
			a.SetUnit(id, "x")
		})
		if !slices.Equal(got, want) {
			t.Errorf("%d series: got %v", count, got)
		}
	}
}

// TestActiveKeepsCopies checks that what was passed may be overwritten, as request buffers are.
func TestActiveKeepsCopies(t *testing.T) {
	a := NewActive(1)
	s := model.Series{Name: "cpu", Tags: model.Tags{{Key: "host", Value: "a"}}}
	identity := identityOf(s)
	tags := slices.Clone(s.Tags)
	id, _ := a.Create(identity, s.Name, tags)
	want := identityOf(s)
	clear(identity)
	clear(tags)
	if got, found := a.Lookup(want); !found || got != id {
		t.Errorf("got %d, %v", got, found)
	}
	got, _ := a.Series(id)
	clear(got.Tags)
	if again, _ := a.Series(id); !slices.Equal(again.Tags, s.Tags) {
		t.Errorf("the tags became %v", again.Tags)
	}
}

// TestLongSeries has more tags, and longer ones, than a page of records or a small length can hold.
func TestLongSeries(t *testing.T) {
	a := NewActive(1)
	var all []model.Series
	for _, count := range []int{3, pageWords + 10, 5, 20} {
		s := model.Series{ID: a.Next(), Name: strings.Repeat("n", 300)}
		for i := range count {
			s.Tags = append(s.Tags, model.Tag{Key: fmt.Sprintf("%06d%d", i, count), Value: strings.Repeat("v", 200)})
		}
		a.Create(identityOf(s), s.Name, s.Tags)
		all = append(all, s)
	}
	for _, s := range all {
		if id, found := a.Lookup(identityOf(s)); !found || id != s.ID {
			t.Errorf("Lookup of %d tags: %d, %v", len(s.Tags), id, found)
		}
		if got, _ := a.Series(s.ID); !slices.Equal(got.Tags, s.Tags) {
			t.Errorf("series of %d tags came back with %d", len(s.Tags), len(got.Tags))
		}
	}
}

// TestInsertTwiceTheSame is what damage elsewhere could lead to: one identity, two ids.
func TestInsertTwiceTheSame(t *testing.T) {
	a := NewActive(1)
	a.Insert(model.Series{ID: 7, Name: "cpu"})
	a.Insert(model.Series{ID: 9, Name: "cpu"})
	if id, found := a.Lookup(model.AppendIdentity(nil, "cpu", nil)); !found || id != 7 {
		t.Errorf("Lookup: %d, %v, want the first", id, found)
	}
	if got := idsOf(a.Select(nil)); !slices.Equal(got, []model.SeriesID{7, 9}) {
		t.Errorf("Select: %v", got)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	a := NewActive(1)
	s := hostSeries(0, 0)
	identity := identityOf(s)
	a.Create(identity, s.Name, s.Tags)
	if n := testing.AllocsPerRun(100, func() {
		if _, found := a.Lookup(identity); !found {
			t.Error("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestActiveRace has creators of the same series race with one another and with readers. Readers must
// see whole series only.
func TestActiveRace(t *testing.T) {
	const writers, series = 4, 3000
	a := NewActive(1)
	ids := make([][]model.SeriesID, writers)
	not := func(key, value string) []*model.Matcher {
		m, err := model.NewMatcher(key, model.MatchNotRegexp, value)
		if err != nil {
			t.Fatal(err)
		}
		return []*model.Matcher{m}
	}
	var creating, reading sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		creating.Go(func() {
			for i := range series {
				s := hostSeries(i, w%2)
				id, _ := a.Create(identityOf(s), s.Name, s.Tags)
				ids[w] = append(ids[w], id)
				a.SetUnit(id, fmt.Sprint("unit", i%3))
			}
		})
	}
	reading.Go(func() {
		matchers := not("hostname", "host_.*|x") // none: every series has such a host
		for {
			select {
			case <-done:
				return
			default:
			}
			if got := a.Select(matchers); !got.IsEmpty() {
				t.Errorf("%d series seem to have no host", got.Len())
				return
			}
			for id := range a.Select(nil).All() {
				if s, found := a.Series(id); !found || len(s.Tags) != 11 {
					t.Errorf("series %d is known in part", id)
					return
				}
			}
			from := a.Next() / 2
			a.Definitions(from, a.Next(), func(id model.SeriesID, identity []byte) {
				if got, found := a.Lookup(identity); !found || got != id {
					t.Errorf("definition of %d leads to %d, %v", id, got, found)
				}
			})
		}
	})
	creating.Wait()
	close(done)
	reading.Wait()
	for w := range writers {
		if !slices.Equal(ids[w], ids[w%2]) {
			t.Errorf("creators %d and %d got different ids", w, w%2)
		}
	}
	if a.Len() != 2*series || a.Next() != 2*series+1 {
		t.Errorf("Len %d, Next %d", a.Len(), a.Next())
	}
}

// TestCreateAll makes series several at a time, some of them twice, some sharing the slice of their tags, and
// compares with what making them one by one gives.
func TestCreateAll(t *testing.T) {
	for _, mask := range []uint64{^uint64(0), 7 << 40} {
		rng := newRand(t)
		pool := randomSeries(rng, 500)
		all, single := newActive(1, mask), newActive(1, mask)
		for range 60 {
			var list []Wanted
			for range 1 + rng.IntN(3*wantedAtOnce/2) {
				s := pick(rng, pool)
				if n := len(list); n > 0 && rng.IntN(2) == 0 {
					s.Tags = list[n-1].Tags
				}
				list = append(list, Wanted{Identity: identityOf(s), Name: s.Name, Tags: s.Tags})
			}
			unknown := all.LookupAll(list)
			room := rng.IntN(80)
			made, left := all.CreateAll(list, room)
			if made > room || left > 0 && made < room {
				t.Fatalf("%d of %d were made where there was room for %d, %d are left", made, unknown, room, left)
			}
			for i, w := range list {
				want, found := single.Lookup(w.Identity)
				if !found && made > 0 {
					want, _ = single.Create(w.Identity, w.Name, w.Tags)
					made--
				}
				if w.ID != want {
					t.Fatalf("series %d of the list has the id %d, want %d", i, w.ID, want)
				}
				if want == 0 {
					left--
				}
			}
			if made != 0 || left != 0 {
				t.Fatalf("%d more are said to be made, %d to be left", made, left)
			}
		}
		known := map[model.SeriesID]model.Series{}
		for id := model.SeriesID(1); id < single.Next(); id++ {
			known[id], _ = single.Series(id)
		}
		checkActive(t, all, known, single.Next())
	}
}
