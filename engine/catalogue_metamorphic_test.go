package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/flopynet/collector/model"
)

// checkNames asks which metrics there are of a selection without its name, and compares with what Select
// finds of each, and with the samples that the oracle has.
func (m *metamorphic) checkNames(selection Selection) {
	selection.Matchers = slices.DeleteFunc(selection.Matchers, func(matcher *model.Matcher) bool { return matcher.Key == model.NameKey })
	if m.random.IntN(2) == 0 {
		name, err := model.NewMatcher(model.NameKey, model.MatchRegexp, pick(m.random, "c.*", "cpu|memory", "disk"))
		if err != nil {
			m.fail("matcher: %v", err)
		}
		selection.Matchers = append(selection.Matchers, name)
	}
	got, err := m.db.MetricNames(context.Background(), selection)
	if err != nil {
		m.fail("metric names: %v", err)
	}
	var want []string
	for _, name := range []string{"cpu", "memory"} {
		ofName := selection
		ofName.Matchers = append(slices.Clone(selection.Matchers), model.EqualMatcher(model.NameKey, name))
		series, err := m.db.Select(context.Background(), ofName)
		if err != nil {
			m.fail("select: %v", err)
		}
		if len(series) > 0 {
			want = append(want, name)
		}
		if rows := m.oracle.rows(ofName); len(rows) > 0 && !slices.Contains(got, name) {
			m.fail("metric names of %v are %q, and %s has %d samples", selection, got, name, len(rows))
		}
	}
	if !slices.Equal(got, want) {
		m.fail("metric names of %v are %q, want %q", selection, got, want)
	}
}

// checkCatalogue reads the lists of series, names, keys and values of a selection, page by page, and compares
// with the oracle.
func (m *metamorphic) checkCatalogue(selection Selection) {
	if m.random.IntN(2) == 0 {
		selection.Matchers = slices.DeleteFunc(selection.Matchers, func(matcher *model.Matcher) bool { return matcher.Key == model.NameKey })
	}
	hides := len(m.policy.Rules) > 0 || m.policy.Default.Raw != 0
	if hides || m.random.IntN(2) == 0 { // points that a range cuts count whole
		selection.From, selection.To = selection.From/hour*hour, min(selection.To/hour+1, model.MaxTime/hour)*hour
	}
	want, optional := m.oracle.listed(selection)
	got, total := m.listSeries(selection)
	if total != len(got) { // a flush in the background may have dropped between two pages what has expired
		if got, total = m.listSeries(selection); total != len(got) {
			m.fail("the list of series of %v says it has %d entries, and has %d", selection, total, len(got))
		}
	}
	for identity, extent := range got {
		if extent.Found && extent != want[identity] || !extent.Found && !optional[identity] {
			m.fail("%v lists %q with %+v, want %+v", selection, identity, extent, want[identity])
		}
	}
	for identity, extent := range want {
		if !got[identity].Found {
			m.fail("%v doesn't list %q with %+v", selection, identity, extent)
		}
	}
	most := make(map[string]Extent)
	for identity, is := range optional {
		if is {
			most[identity] = want[identity]
		}
	}
	m.checkLists(selection, tally(want), tally(most))
}

// listSeries reads the list of series of a selection.
func (m *metamorphic) listSeries(selection Selection) (got map[string]Extent, total int) {
	got = make(map[string]Extent)
	last := ListCursor{}
	total = readList(m, func(page Page) (*List[SeriesEntry], error) {
		return m.db.SeriesList(context.Background(), selection, page)
	},
		func(e SeriesEntry) {
			if !last.before(e.Name, e.ID) {
				m.fail("series %v comes after %v", e.Series, last)
			}
			last = ListCursor{e.Name, e.ID}
			got[string(model.AppendIdentity(nil, e.Name, e.Tags))] = e.Extent
		})
	return got, total
}

// listed returns which series have samples that count in the range, and when; optional are those of which
// there are stale markers alone.
func (o *oracle) listed(sel Selection) (extents map[string]Extent, optional map[string]bool) {
	extents, optional = make(map[string]Extent), make(map[string]bool)
	for _, s := range o.selected(sel.Matchers) {
		identity := string(model.AppendIdentity(nil, s.Name, s.Tags))
		samples := o.keepVisible(s, s.sorted(sel.From, sel.To), true)
		optional[identity] = len(samples) > 0
		samples = slices.DeleteFunc(samples, func(sample model.Sample) bool { return model.IsStale(sample.Value) })
		if len(samples) > 0 {
			extents[identity] = Extent{First: samples[0].Time, Last: samples[len(samples)-1].Time, Found: true}
		}
	}
	return extents, optional
}

// readList reads all pages of a list, hands the entries to each and returns the total.
func readList[T any](m *metamorphic, read func(Page) (*List[T], error), each func(T)) (total int) {
	page := Page{Limit: pick(m.random, 3+m.random.IntN(8), 50, 50, 50)}
	for {
		list, err := read(page)
		if err != nil {
			m.fail("list: %v", err)
		}
		for _, entry := range list.Entries {
			each(entry)
		}
		if !list.More {
			return list.Total
		}
		if len(list.Entries) != page.Limit {
			m.fail("a page has %d entries of %d and says there are more", len(list.Entries), page.Limit)
		}
		page.After = list.Next
	}
}

// tallies are what the lists of names, values and keys say of some series.
type tallies struct {
	names  map[string]NameEntry
	values map[string]map[string]int // by key
	keys   map[string]KeyEntry
}

// tally counts some series by identity.
func tally(series map[string]Extent) tallies {
	t := tallies{make(map[string]NameEntry), make(map[string]map[string]int), make(map[string]KeyEntry)}
	for identity, extent := range series {
		name, tags, err := model.DecodeIdentity([]byte(identity))
		if err != nil {
			panic(err)
		}
		e := t.names[name]
		e.Name, e.Series = name, e.Series+1
		switch {
		case !extent.Found:
		case !e.Found:
			e.Extent = extent
		default:
			e.First, e.Last = min(e.First, extent.First), max(e.Last, extent.Last)
		}
		t.names[name] = e
		for _, tag := range tags {
			if t.values[tag.Key] == nil {
				t.values[tag.Key] = make(map[string]int)
			}
			t.values[tag.Key][tag.Value]++
			t.keys[tag.Key] = KeyEntry{Key: tag.Key, Values: len(t.values[tag.Key]), Series: t.keys[tag.Key].Series + 1}
		}
	}
	delete(t.keys, model.SourceKey)
	return t
}

// checkLists compares the lists of names, values and keys with what they must and may have. These differ by series
// of which there are stale markers alone: a flush in the background begins to list them between any two lists.
func (m *metamorphic) checkLists(selection Selection, least, most tallies) {
	between := func(what string, got, least, most int) {
		if got < least || got > most {
			m.fail("%v: %s is %d, want from %d to %d", selection, what, got, least, most)
		}
	}
	ctx := context.Background()
	total := readList(m, func(page Page) (*List[NameEntry], error) { return m.db.Names(ctx, selection, page) }, func(e NameEntry) {
		between(fmt.Sprintf("the count of series of the name %+v", e), e.Series, max(1, least.names[e.Name].Series), most.names[e.Name].Series)
		if want := least.names[e.Name].Extent; e.Extent != want {
			m.fail("%v lists the name %+v, want %+v", selection, e, want)
		}
	})
	between("the count of names", total, len(least.names), len(most.names))
	total = readList(m, func(page Page) (*List[KeyEntry], error) { return m.db.Keys(ctx, selection, nil, page) }, func(e KeyEntry) {
		least, most := least.keys[e.Key], most.keys[e.Key]
		between(fmt.Sprintf("the count of values of the key %+v", e), e.Values, max(1, least.Values), most.Values)
		between(fmt.Sprintf("the count of series of the key %+v", e), e.Series, max(1, least.Series), most.Series)
	})
	between("the count of keys", total, len(least.keys), len(most.keys))
	for _, key := range []string{"host", model.SourceKey, "absent"} {
		total = readList(m, func(page Page) (*List[ValueEntry], error) { return m.db.Values(ctx, selection, key, page) }, func(e ValueEntry) {
			between(fmt.Sprintf("the count of series of %s=%s", key, e.Value), e.Series, max(1, least.values[key][e.Value]), most.values[key][e.Value])
		})
		between("the count of values of "+key, total, len(least.values[key]), len(most.values[key]))
	}
}
