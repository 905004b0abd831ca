package engine

import (
	"slices"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// subscription is a Subscription of a live watcher.
type subscription struct {
	Subscription
	watcher *Watcher
	places  []model.Tag // under which interests has it; none: among those that are tried for every series
}

// interests knows which watchers want the updates of a series. It finds out once a series, and forgets when
// subscriptions are added. To find out without trying every subscription, it has each under values that one
// of its filters names: those under which there are fewest.
type interests struct {
	targets    map[model.SeriesID]*target
	nobody     *index.Set // series that nobody wants
	epoch      uint64     // of the store, at which targets were looked up
	generation uint64     // counts when targets had to be found again

	byTag  map[model.Tag][]*subscription // Key = model.NameKey: by metric
	others map[*subscription]struct{}
	events map[*subscription]struct{}
}

// target is a series that somebody wants.
type target struct {
	series     *model.Series
	units      uint64 // changes of units when the series' was looked up
	generation uint64 // of interests, when watchers was found
	watchers   []*Watcher
	prepared   []any // by format
}

func (in *interests) reset() {
	*in = interests{
		generation: in.generation + 1,
		targets:    make(map[model.SeriesID]*target), nobody: index.NewSet(),
		byTag: make(map[model.Tag][]*subscription), others: make(map[*subscription]struct{}), events: make(map[*subscription]struct{}),
	}
}

// renew forgets all series when some of them may have been dropped, so that what is kept is bounded by those there are.
func (in *interests) renew(epoch uint64) {
	if in.epoch != epoch {
		in.epoch = epoch
		clear(in.targets)
		in.nobody = index.NewSet()
	}
}

// forget makes it be found out again who wants what.
func (in *interests) forget() {
	in.generation++
	in.nobody = index.NewSet()
}

// add takes in a subscription.
func (in *interests) add(s *subscription) {
	if s.Events {
		in.events[s] = struct{}{}
	}
	if s.OnlyEvents {
		return
	}
	if s.places = in.places(s); s.places == nil {
		in.others[s] = struct{}{}
	}
	for _, place := range s.places {
		in.byTag[place] = append(in.byTag[place], s)
	}
	in.forget()
}

// places chooses where a subscription is found.
func (in *interests) places(s *subscription) []model.Tag {
	var best []model.Tag
	fewest := 0
	consider := func(key string, values []string) {
		if len(values) == 0 || slices.Contains(values, "") {
			return // series without the tag are found nowhere
		}
		places := make([]model.Tag, 0, len(values))
		most := 0
		for _, value := range values {
			place := model.Tag{Key: key, Value: value}
			if slices.Contains(places, place) {
				continue
			}
			places = append(places, place)
			most = max(most, len(in.byTag[place]))
		}
		if best == nil || most < fewest {
			best, fewest = places, most
		}
	}
	for _, any := range s.AnyOf {
		consider(any.Key, any.Values)
	}
	for _, m := range s.Matchers {
		if m.Op == model.MatchEqual {
			consider(m.Key, []string{m.Value})
		}
	}
	return best
}

// remove takes a subscription out. Series that were found to be wanted by it stay so until forget, or until they are
// found to have a closed watcher.
func (in *interests) remove(s *subscription) {
	delete(in.events, s)
	delete(in.others, s)
	for _, place := range s.places {
		rest := slices.DeleteFunc(in.byTag[place], func(other *subscription) bool { return other == s })
		if len(rest) == 0 {
			delete(in.byTag, place)
		} else {
			in.byTag[place] = rest
		}
	}
}

// target returns who wants a series, or nil. units counts the changes of units so far.
func (in *interests) target(db *DB, id model.SeriesID, units uint64) *target {
	t := in.targets[id]
	if t == nil {
		if in.nobody.Contains(id) {
			return nil
		}
		series, known := db.active.Series(id)
		if !known {
			return nil // deleted and dropped since: it can't be seen
		}
		t = &target{series: &series, units: units}
	}
	if t.generation != in.generation {
		t.generation = in.generation
		if in.find(t); len(t.watchers) == 0 {
			delete(in.targets, id)
			in.nobody.Add(id)
			return nil
		}
		in.targets[id] = t
	}
	if t.units != units {
		t.units = units
		if unit := db.active.Unit(id); unit != t.series.Unit {
			changed := *t.series // updates with the old one may wait still
			changed.Unit = unit
			t.series, t.prepared = &changed, nil
		}
	}
	return t
}

// find finds out who wants the series.
func (in *interests) find(t *target) {
	t.watchers = t.watchers[:0]
	try := func(s *subscription) {
		if s.matches(t.series) && !slices.Contains(t.watchers, s.watcher) {
			t.watchers = append(t.watchers, s.watcher)
		}
	}
	for s := range in.others {
		try(s)
	}
	for _, s := range in.byTag[model.Tag{Key: model.NameKey, Value: t.series.Name}] {
		try(s)
	}
	for _, tag := range t.series.Tags {
		for _, s := range in.byTag[tag] {
			try(s)
		}
	}
}

// compact takes closed watchers out of a target.
func (in *interests) compact(t *target) {
	t.watchers = slices.DeleteFunc(t.watchers, func(w *Watcher) bool { return w.closed })
	if len(t.watchers) == 0 {
		delete(in.targets, t.series.ID)
		in.nobody.Add(t.series.ID)
	}
}

// prepare returns what a format prepared for the series.
func (t *target) prepare(f *formatState) any {
	for len(t.prepared) <= f.slot {
		t.prepared = append(t.prepared, nil)
	}
	if t.prepared[f.slot] == nil {
		t.prepared[f.slot] = f.Prepare(t.series)
	}
	return t.prepared[f.slot]
}
