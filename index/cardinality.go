package index

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/model"
)

// Place is a partition of a tier.
type Place struct {
	Tier      model.Tier
	Partition model.Partition
}

// CardinalityReport tells what most series are made of. Lists are longest first, and by name where counts
// are equal.
type CardinalityReport struct {
	Series int // in all

	NameCount int // metric names in all
	KeyCount  int // tag keys; the name is none
	TagCount  int // pairs of tag key and value

	Names []NameCardinality // with the most series
	Keys  []KeyCardinality  // with the most values
	Tags  []TagCardinality  // with the most series
}

// NameCardinality is the number of series that have a metric's name.
type NameCardinality struct {
	Name   string
	Series int
}

// KeyCardinality is the number of values that a tag key has, and of the series that have it.
type KeyCardinality struct {
	Key    string
	Values int
	Series int
}

// TagCardinality is the number of series that have a tag.
type TagCardinality struct {
	Key    string
	Value  string
	Series int
}

// Cardinality counts the series of which any of the places has a posting, and those of active that keep
// says true of, each once, until the context ends. Its lists have at most top entries. active may be nil, and so may keep, for all
// of active; no lock is held while keep is called.
//
// The postings of all places are read side by side, one tag at a time: so memory is that of one tag's and
// one key's series, of an iterator for each place, and of four bytes for each tag of active.
func Cardinality(ctx context.Context, r pebble.Reader, places []Place, active *Active, keep func(model.SeriesID) bool, top int) (report CardinalityReport, err error) {
	cursors, err := openCursors(r, places, nil)
	if err != nil {
		return CardinalityReport{}, err
	}
	defer func() { err = errors.Join(err, closeCursors(cursors)) }()
	if active != nil {
		known := active.postings()
		if keep != nil {
			known.universe = known.universe.filter(keep)
		}
		cursors = append(cursors, newActiveCursor(known, nil))
	}
	t := tally{top: max(0, top)}
	if err := eachTag(ctx, cursors, t.add); err != nil {
		return CardinalityReport{}, err
	}
	t.endKey()
	return t.report, nil
}

// tally counts the series of tags, which come in the order of their keys.
type tally struct {
	top    int
	report CardinalityReport

	// Of the tag key that is being counted.
	key    string
	values int
	series Set
}

func (t *tally) add(key, value string, series *Set) error {
	if key != t.key {
		t.endKey()
	}
	t.key = key
	count := series.Len()
	switch {
	case count == 0: // only series of Active that are not to be counted
	case key == allKey && value == allValue: // the name's key is empty as well, but no name is
		t.report.Series = count
	case key == model.NameKey:
		t.report.NameCount++
		t.report.Names = insertTop(t.report.Names, NameCardinality{value, count}, t.top, func(a, b NameCardinality) int {
			return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name))
		})
	default:
		t.values++
		t.series.Or(series)
		t.report.TagCount++
		t.report.Tags = insertTop(t.report.Tags, TagCardinality{key, value, count}, t.top, func(a, b TagCardinality) int {
			return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
		})
	}
	return nil
}

// endKey counts the tag key whose last tag was added.
func (t *tally) endKey() {
	if t.values == 0 {
		return
	}
	t.report.KeyCount++
	k := KeyCardinality{Key: t.key, Values: t.values, Series: t.series.Len()}
	t.report.Keys = insertTop(t.report.Keys, k, t.top, func(a, b KeyCardinality) int {
		return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(b.Series, a.Series), cmp.Compare(a.Key, b.Key))
	})
	t.values, t.series = 0, Set{}
}

// insertTop puts an entry at its place in a sorted list, which it keeps at limit entries.
func insertTop[T any](list []T, entry T, limit int, compare func(a, b T) int) []T {
	at, _ := slices.BinarySearchFunc(list, entry, compare)
	if at >= limit {
		return list
	}
	if len(list) == limit {
		list = list[:limit-1]
	}
	return slices.Insert(list, at, entry)
}
