package engine

import (
	"context"
	"errors"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// MetricNames returns, in order, the names of the metrics that have series which match and may have samples
// in the range, as Select decides it. The matchers may leave the name open, or match it in any way: none at
// all mean every metric. It is how a read of several metrics begins, each of which is then read by its name.
func (db *DB) MetricNames(ctx context.Context, s Selection) ([]string, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	return db.metricNames(ctx, s)
}

// metricNames is MetricNames for a caller that has entered.
func (db *DB) metricNames(ctx context.Context, s Selection) ([]string, error) {
	return consistently(db, func() (names []string, err error) {
		m, err := db.match(ctx, s, nil)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		err = db.eachValue(ctx, m, m.series, model.NameKey, func(name string, _ *index.Set) error {
			names = append(names, name)
			return nil
		})
		return names, err
	})
}

// eachValue calls fn with the values of a tag key that the series within have, in order, and those that have
// each.
func (db *DB) eachValue(ctx context.Context, m *matched, within *index.Set, key string, fn func(value string, series *index.Set) error) error {
	return index.EachTag(ctx, m.snapshot, m.places, db.active, within, &key, func(_, value string, series *index.Set) error {
		return fn(value, series)
	})
}

// Extent is when the first and the last sample were, in nanoseconds since the epoch: of those in the range
// asked for. Where raw samples have expired, the times of the samples that points were made of are still
// known, and a point that the range cuts counts whole. Found is false where there is no sample; that is so of
// a listed series only if all that is left of it are stale markers. Such a series may be listed once these are
// flushed, when its postings speak for it.
type Extent struct {
	First, Last int64
	Found       bool
}

// widen makes room for two samples.
func (e *Extent) widen(first, last int64) {
	if !e.Found {
		*e = Extent{First: first, Last: last, Found: true}
	}
	e.First, e.Last = min(e.First, first), max(e.Last, last)
}

// Page says which part of a list is wanted: at most Limit entries behind After, or from the start if that is
// zero.
type Page struct {
	After ListCursor
	Limit int
}

// ListCursor is the place of an entry in a list: its text, and of series the id, too. Lists are in this order,
// which a change of the data between two pages doesn't upset.
type ListCursor struct {
	Text   string
	Series model.SeriesID
}

func (c ListCursor) before(text string, id model.SeriesID) bool {
	return c == ListCursor{} || c.Text < text || c.Text == text && c.Series < id
}

// List is a page of a list, and what is behind it.
type List[T any] struct {
	Entries []T
	Total   int // entries of all pages
	More    bool
	Next    ListCursor // of the last entry, when More
}

// add counts an entry and reports whether it is of the page.
func (l *List[T]) add(page Page, text string, id model.SeriesID) bool {
	l.Total++
	switch {
	case !page.After.before(text, id):
		return false
	case len(l.Entries) == page.Limit:
		l.More = true
		return false
	}
	l.Next = ListCursor{text, id}
	return true
}

// NameEntry tells of a metric.
type NameEntry struct {
	Name   string
	Unit   string // of the series that has one and the lowest id
	Series int    // that match and have samples
	Extent        // of all of them

	matching *index.Set
}

// ValueEntry tells of a value of a tag, or a source.
type ValueEntry struct {
	Value  string
	Series int
}

// KeyEntry tells of a tag key.
type KeyEntry struct {
	Key    string
	Values int // different ones
	Series int // that have it
}

// SeriesEntry tells of a series.
type SeriesEntry struct {
	model.Series
	Extent
}

// Names lists the metrics that have series which match and have samples in the range. As with all lists, the
// matchers are as for MetricNames; a series counts if it has a sample in the range that neither a delete nor
// retention hides.
func (db *DB) Names(ctx context.Context, s Selection, page Page) (*List[NameEntry], error) {
	return catalogued(ctx, db, s, func(c *catalogue) (*List[NameEntry], error) {
		list := new(List[NameEntry])
		shown := index.NewSet()
		err := db.eachValue(ctx, c.matched, c.live, model.NameKey, func(name string, series *index.Set) error {
			if list.add(page, name, 0) {
				list.Entries = append(list.Entries, NameEntry{Name: name, Series: series.Len(), matching: series})
				shown.Or(series)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		unsure := index.NewSet()
		for i := range list.Entries {
			e := &list.Entries[i]
			e.Extent = c.inHead(e.matching, unsure)
		}
		spans, err := c.spansOf(shown, unsure)
		if err != nil {
			return nil, err
		}
		for i := range list.Entries {
			e := &list.Entries[i]
			ids := e.matching.AppendTo(nil)
			if e.Unit, err = db.unitOf(ids); err != nil {
				return nil, err
			}
			extents := []Extent{e.Extent}
			if err := c.extents(ctx, spans, e.Name, ids, true, extents); err != nil {
				return nil, err
			}
			e.Extent, e.matching = extents[0], nil
		}
		return list, nil
	})
}

// Values lists the values of a tag key, or the sources, that series have which match and have samples.
func (db *DB) Values(ctx context.Context, s Selection, key string, page Page) (*List[ValueEntry], error) {
	return catalogued(ctx, db, s, func(c *catalogue) (*List[ValueEntry], error) {
		list := new(List[ValueEntry])
		err := db.eachValue(ctx, c.matched, c.live, key, func(value string, series *index.Set) error {
			if list.add(page, value, 0) {
				list.Entries = append(list.Entries, ValueEntry{Value: value, Series: series.Len()})
			}
			return nil
		})
		return list, err
	})
}

// Keys lists the tag keys, the source not among them, that want, if it isn't nil, says true of and that series
// have which match and have samples.
func (db *DB) Keys(ctx context.Context, s Selection, want func(key string) bool, page Page) (*List[KeyEntry], error) {
	return catalogued(ctx, db, s, func(c *catalogue) (*List[KeyEntry], error) {
		list := new(List[KeyEntry])
		var current KeyEntry
		having := index.NewSet()
		end := func() {
			if current.Values > 0 && list.add(page, current.Key, 0) {
				current.Series = having.Len()
				list.Entries = append(list.Entries, current)
			}
		}
		err := index.EachTag(ctx, c.snapshot, c.places, db.active, c.live, nil, func(key, _ string, series *index.Set) error {
			if key == model.NameKey || key == model.SourceKey || want != nil && !want(key) {
				return nil
			}
			if key != current.Key {
				end()
				current, having = KeyEntry{Key: key}, index.NewSet()
			}
			current.Values++
			having.Or(series)
			return nil
		})
		end()
		return list, err
	})
}

// SeriesList lists the series that match and have samples, by metric and, in that, by id.
func (db *DB) SeriesList(ctx context.Context, s Selection, page Page) (*List[SeriesEntry], error) {
	return catalogued(ctx, db, s, func(c *catalogue) (*List[SeriesEntry], error) {
		list := new(List[SeriesEntry])
		var ids []model.SeriesID // of the page
		err := db.eachValue(ctx, c.matched, c.live, model.NameKey, func(name string, series *index.Set) error {
			for id := range series.All() {
				if list.add(page, name, id) {
					list.Entries = append(list.Entries, SeriesEntry{Series: model.Series{ID: id, Name: name}})
					ids = append(ids, id)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		shown := index.NewSet(ids...)
		spans, err := c.spansOf(shown, shown)
		if err != nil {
			return nil, err
		}
		for begin := 0; begin < len(ids); {
			end := begin + 1
			for end < len(ids) && list.Entries[end].Name == list.Entries[begin].Name {
				end++
			}
			if err := c.fill(ctx, spans, list.Entries[begin:end], ids[begin:end]); err != nil {
				return nil, err
			}
			begin = end
		}
		return list, nil
	})
}

// fill completes the entries of series of one metric.
func (c *catalogue) fill(ctx context.Context, spans []span, entries []SeriesEntry, ids []model.SeriesID) error {
	extents := make([]Extent, len(ids))
	if err := c.extents(ctx, spans, entries[0].Name, ids, false, extents); err != nil {
		return err
	}
	series, err := c.db.describe(ids)
	if err != nil {
		return err
	}
	for i := range entries {
		entries[i] = SeriesEntry{Series: series[i], Extent: extents[i]}
	}
	return nil
}
