package index

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/flopynet/collector/model"
)

// TestDropModel creates, changes and drops series again and again, compared with a map.
func TestDropModel(t *testing.T) {
	for name, mask := range map[string]uint64{"hashes": ^uint64(0), "collisions": 0} {
		t.Run(name, func(t *testing.T) {
			rng := newRand(t)
			pool := randomSeries(rng, 400)
			a := newActive(1, mask)
			next := model.SeriesID(1)
			known := map[model.SeriesID]model.Series{}
			for range 30 {
				for _, s := range pool {
					if rng.IntN(3) > 0 {
						continue
					}
					unit := s.Unit
					id, created := a.Create(identityOf(s), s.Name, s.Tags)
					if created {
						if id != next {
							t.Fatalf("series %d was created, want %d", id, next)
						}
						next++
					}
					a.SetUnit(id, unit)
					s.ID = id
					known[id] = s
				}
				gone := NewSet(next+5, 1<<40) // not known
				for id := range known {
					if rng.IntN(4) == 0 {
						gone.Add(id)
						delete(known, id)
					}
				}
				if rng.IntN(5) == 0 {
					gone = a.Select(nil)
					clear(known)
				}
				a.Drop(gone)
				checkActive(t, a, known, next)
				for _, s := range pool {
					id, found := a.Lookup(identityOf(s))
					if _, want := known[id]; found != want {
						t.Fatalf("Lookup of %v: %d, %v", s, id, found)
					}
				}
				series := oracle(slices.Collect(maps.Values(known)))
				for range 10 {
					matchers := randomMatchers(t, rng)
					if got, want := idsOf(a.Select(matchers)), series.selectIDs(matchers); !slices.Equal(got, want) {
						t.Fatalf("%v: got %v, want %v", matchers, got, want)
					}
				}
			}
		})
	}
}

// TestDropFindsTheOther drops the first of two series with one identity.
func TestDropFindsTheOther(t *testing.T) {
	a := NewActive(1)
	a.Insert(model.Series{ID: 7, Name: "cpu"})
	a.Insert(model.Series{ID: 9, Name: "cpu"})
	a.Drop(NewSet(7))
	if id, found := a.Lookup(model.AppendIdentity(nil, "cpu", nil)); !found || id != 9 {
		t.Errorf("Lookup: %d, %v, want the other", id, found)
	}
}

// TestDropOfLongSeries drops among series whose records have pages of their own.
func TestDropOfLongSeries(t *testing.T) {
	a := NewActive(1)
	var all []model.Series
	for i, count := range []int{3, pageWords + 10, 5, 2 * pageWords, pageWords - recordHeaderWords - 1, 20} {
		s := model.Series{ID: model.SeriesID(i + 1), Name: "n"}
		for j := range count {
			s.Tags = append(s.Tags, model.Tag{Key: fmt.Sprintf("%06d", j), Value: fmt.Sprint(count)})
		}
		a.Insert(s)
		all = append(all, s)
	}
	for _, gone := range []model.SeriesID{3, 1, 6} {
		a.Drop(NewSet(gone))
		for _, s := range all {
			if s.ID == gone {
				continue
			}
			if got, found := a.Series(s.ID); found && !slices.Equal(got.Tags, s.Tags) {
				t.Errorf("series %d of %d tags came back with %d", s.ID, len(s.Tags), len(got.Tags))
			}
		}
		if _, found := a.Series(gone); found {
			t.Errorf("series %d is still there", gone)
		}
	}
	if got := idsOf(a.Select(nil)); !slices.Equal(got, []model.SeriesID{2, 4, 5}) {
		t.Errorf("series %v are left", got)
	}
}

// TestDropGivesMemoryBack compares what is left with an Active that never had more.
func TestDropGivesMemoryBack(t *testing.T) {
	const count, left = 50_000, 500
	fill := func(a *Active, from, to int) {
		for i := from; i < to; i++ {
			s := hostSeries(i, 0)
			a.Create(identityOf(s), s.Name, s.Tags)
		}
	}
	before := liveBytes()
	small := NewActive(1)
	fill(small, 0, left)
	smallBytes := liveBytes() - before

	before = liveBytes()
	a := NewActive(1)
	fill(a, 0, count)
	large := liveBytes() - before
	func() {
		gone := a.Select(nil)
		for id := range model.SeriesID(left) {
			gone.AndNot(NewSet(id + 1))
		}
		a.Drop(gone)
	}()
	after := liveBytes() - before
	if a.Len() != left || after > 2*smallBytes {
		t.Errorf("%d series take %d bytes; %d took %d, and %d alone take %d", a.Len(), after, count, large, left, smallBytes)
	}
	runtime.KeepAlive(a)
	runtime.KeepAlive(small)
}

// TestDropRace has creators and readers race with drops of the even ids below a bound.
func TestDropRace(t *testing.T) {
	const start, rounds = 2000, 40
	a := NewActive(1)
	create := func(i int) {
		s := hostSeries(i, 0)
		if id, created := a.Create(identityOf(s), s.Name, s.Tags); !created || id != model.SeriesID(i+1) {
			t.Errorf("series %d was created as %d, %v", i+1, id, created)
		}
	}
	gone := new(Set)
	for i := range start {
		create(i)
		if i%2 == 1 {
			gone.Add(model.SeriesID(i + 1))
		}
	}
	hosts := []*model.Matcher{regexpMatcher("hostname", "host_.*")}
	var done atomic.Bool
	var others sync.WaitGroup
	created := start
	others.Go(func() {
		for ; !done.Load(); created++ {
			create(created)
		}
	})
	others.Go(func() {
		for !done.Load() {
			without := a.Select(nil)
			without.AndNot(a.Select(hosts))
			without.AndNot(gone) // which may have been dropped between the two
			if !without.IsEmpty() {
				t.Errorf("series %v have no host", without.AppendTo(nil))
				return
			}
			for i := 0; i < start; i += 50 {
				if id, found := a.Lookup(identityOf(hostSeries(i, 0))); !found || id != model.SeriesID(i+1) {
					t.Errorf("series %d is found as %d, %v", i+1, id, found)
					return
				}
			}
			a.Definitions(1, start, func(id model.SeriesID, identity []byte) {
				if len(identity) == 0 {
					t.Errorf("series %d has no identity", id)
				}
			})
		}
	})
	for range rounds {
		a.Drop(gone)
		for i := 1; i < start; i += 100 { // bring a few back, as the catalogue would
			s := hostSeries(i, 0)
			s.ID = model.SeriesID(i + 1)
			a.Insert(s)
		}
	}
	done.Store(true)
	others.Wait()
	for i := range created {
		id, found := a.Lookup(identityOf(hostSeries(i, 0)))
		if stays := i >= start || i%2 == 0 || i%100 == 1; found != stays || found && id != model.SeriesID(i+1) {
			t.Fatalf("series %d is found as %d, %v", i+1, id, found)
		}
	}
	if a.Next() != model.SeriesID(created+1) {
		t.Errorf("Next is %d", a.Next())
	}
}

// TestUnitsDuringDrop changes units at every moment of a drop: none may be lost.
func TestUnitsDuringDrop(t *testing.T) {
	const series = 4000
	a := NewActive(1)
	for i := range series {
		s := hostSeries(i, 0)
		a.Create(identityOf(s), s.Name, s.Tags)
	}
	for round := range 20 {
		unit := fmt.Sprint("unit", round)
		var both sync.WaitGroup
		both.Go(func() {
			for id := model.SeriesID(series); id > 100; id-- {
				if !a.SetUnit(id, unit) {
					t.Errorf("the unit of %d was %s already", id, unit)
				}
			}
		})
		both.Go(func() { a.Drop(NewSet(model.SeriesID(round + 1))) })
		both.Wait()
		for id := model.SeriesID(101); id <= series; id++ {
			if got := a.Unit(id); got != unit {
				t.Fatalf("the unit of %d is %q, want %q", id, got, unit)
			}
		}
	}
}
