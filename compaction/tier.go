package compaction

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// Tier replaces points in one partition of a tier, and, in that of hours, sketches. Series have to come in
// ascending order of name number and id.
type Tier struct {
	tier      model.Tier
	partition model.Partition
	points    shelf[rollup.Columns, *rollup.Columns]
	sketches  *shelf[rollup.Sketches, *rollup.Sketches] // nil where there are none
}

// OpenTier begins a walk through a partition. The caller closes it.
func OpenTier(r pebble.Reader, tier model.Tier, partition model.Partition) (_ *Tier, err error) {
	t := &Tier{tier: tier, partition: partition}
	t.points = shelf[rollup.Columns, *rollup.Columns]{prefix: keys.PrefixChunk, open: openPoints,
		starts: func(c *rollup.Columns) []int64 { return c.Starts },
		encode: func(dst, key []byte, c *rollup.Columns) ([]byte, error) { return rollup.Encode(dst, key, tier, c), nil }}
	if t.points.it, err = openShelf(r, t.points.prefix, tier, partition); err != nil {
		return nil, err
	}
	if tier != model.Tier1h {
		return t, nil
	}
	t.sketches = &shelf[rollup.Sketches, *rollup.Sketches]{prefix: keys.PrefixSketch, open: openSketches,
		starts: func(c *rollup.Sketches) []int64 { return c.Starts }, encode: rollup.EncodeSketches}
	if t.sketches.it, err = openShelf(r, t.sketches.prefix, tier, partition); err != nil {
		return nil, errors.Join(err, t.points.it.Close())
	}
	return t, nil
}

func openShelf(r pebble.Reader, prefix byte, tier model.Tier, partition model.Partition) (*pebble.Iterator, error) {
	lower, upper := keys.PartitionRange(prefix, tier, partition)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("read partition %d of tier %s: %w", partition, tier, err)
	}
	return it, nil
}

func openPoints(key, value []byte) (group[*rollup.Columns], error) {
	c, err := rollup.Open(key, value)
	return group[*rollup.Columns]{c.First(), c.Last(), c.Len(),
		func(dst *rollup.Columns) error { return c.Decode(dst, rollup.WantAll) }}, err
}

func openSketches(key, value []byte) (group[*rollup.Sketches], error) {
	c, err := rollup.OpenSketches(key, value)
	if err != nil {
		return group[*rollup.Sketches]{}, err
	}
	return group[*rollup.Sketches]{c.First(), c.Last(), c.Len(),
		func(dst *rollup.Sketches) error { c.AppendTo(dst); return nil }}, nil
}

// Close ends the walk.
func (t *Tier) Close() error {
	err := t.points.it.Close()
	if t.sketches != nil {
		err = errors.Join(err, t.sketches.it.Close())
	}
	return err
}

// Replace puts these points, and for hours sketches, in the place of all that a series has in the span. It
// reports whether the series has any points in the partition afterwards.
func (t *Tier) Replace(b *pebble.Batch, id model.SeriesID, nameID uint64, span model.Span,
	points *rollup.Columns, sketches *rollup.Sketches,
) (remain bool, err error) {
	key := keys.Chunk{Tier: t.tier, Partition: t.partition, NameID: nameID, Series: id}
	if remain, err = t.points.replace(b, key, span, points); err != nil || t.sketches == nil {
		return remain, err
	}
	_, err = t.sketches.replace(b, key, span, sketches)
	return remain, err
}

// buckets is a list of points or of sketches, in time order.
type buckets[T any] interface {
	*T
	Reset()
	Len() int
	Append(from *T, lo, hi int)
}

// group is a stored list.
type group[B any] struct {
	first, last int64 // starts of its first and last bucket
	length      int
	decode      func(B) error
}

// shelf is where the lists of one kind are.
type shelf[T any, B buckets[T]] struct {
	prefix byte
	open   func(key, value []byte) (group[B], error)
	encode func(dst, key []byte, buckets B) ([]byte, error)
	starts func(B) []int64
	it     *pebble.Iterator

	groups     []group[B] // of the series
	keys       [][]byte
	all, one   T
	key, value []byte
}

// replace puts fresh buckets in the place of those in the span. A list that grows takes in its neighbours
// while they are not longer, so that days added one by one are written again only as often as the length of
// their list doubles, and few lists remain.
func (s *shelf[T, B]) replace(b *pebble.Batch, key keys.Chunk, span model.Span, fresh B) (remain bool, err error) {
	if err := s.load(key); err != nil {
		return false, err
	}
	first, last := 0, len(s.groups) // groups [first, last) are replaced
	for first < last && s.groups[first].last < span.From {
		first++
	}
	for last > first && s.groups[last-1].first >= span.To {
		last--
	}
	if first == last && fresh.Len() == 0 {
		return len(s.groups) > 0, nil
	}
	length := fresh.Len()
	for _, g := range s.groups[first:last] {
		length += g.length
	}
	for grown := true; grown; {
		grown = false
		if first > 0 && s.groups[first-1].length <= length {
			first--
			length, grown = length+s.groups[first].length, true
		}
		if last < len(s.groups) && s.groups[last].length <= length {
			length, grown = length+s.groups[last].length, true
			last++
		}
	}
	all := B(&s.all)
	all.Reset()
	if err := s.gather(all, s.groups[first:last], span, fresh); err != nil {
		return false, err
	}
	for _, old := range s.keys[first:last] {
		if err := b.Delete(old, nil); err != nil {
			return false, err
		}
	}
	if all.Len() > 0 {
		key.MinTime = s.starts(all)[0]
		s.key = keys.AppendChunk(s.key[:0], key)
		s.key[0] = s.prefix
		if s.value, err = s.encode(s.value[:0], s.key, all); err != nil {
			return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if err := b.Set(s.key, s.value, nil); err != nil {
			return false, err
		}
	}
	return all.Len() > 0 || last-first < len(s.groups), nil
}

// load finds the lists of a series.
func (s *shelf[T, B]) load(key keys.Chunk) error {
	s.groups, s.keys = s.groups[:0], s.keys[:0]
	s.key = keys.AppendSeriesPrefix(s.key[:0], key.Tier, key.Partition, key.NameID, key.Series)
	s.key[0] = s.prefix
	if !s.it.Valid() || bytes.Compare(s.it.Key(), s.key) < 0 {
		s.it.SeekGE(s.key)
	}
	for ; s.it.Valid() && bytes.HasPrefix(s.it.Key(), s.key); s.it.Next() {
		value, err := s.it.ValueAndErr()
		if err != nil {
			return err
		}
		stored := bytes.Clone(s.it.Key())
		g, err := s.open(stored, bytes.Clone(value))
		if err != nil {
			return fmt.Errorf("%w: series %d: %w", ErrCorrupt, key.Series, err)
		}
		s.groups, s.keys = append(s.groups, g), append(s.keys, stored)
	}
	return s.it.Error()
}

// gather joins what lies before the span, what is fresh, and what lies behind it.
func (s *shelf[T, B]) gather(all B, groups []group[B], span model.Span, fresh B) error {
	placed := false
	one := B(&s.one)
	for _, g := range groups {
		one.Reset()
		if err := g.decode(one); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		starts := s.starts(one)
		before, _ := slices.BinarySearch(starts, span.From)
		behind, _ := slices.BinarySearch(starts, span.To)
		all.Append(&s.one, 0, before)
		if !placed && (behind < one.Len() || g.first >= span.To) {
			all.Append((*T)(fresh), 0, fresh.Len())
			placed = true
		}
		all.Append(&s.one, behind, one.Len())
	}
	if !placed {
		all.Append((*T)(fresh), 0, fresh.Len())
	}
	return nil
}
