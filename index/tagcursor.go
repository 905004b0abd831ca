package index

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// tagCursor goes through tags by key, then value, which is the order of postings.
type tagCursor interface {
	// tag returns the current tag; ok is false behind the last.
	tag() (tag model.Tag, ok bool)
	// take adds the series that have the current tag to dst and moves to the next tag.
	take(dst *Set) error
	close() error
}

func compareTags(a, b model.Tag) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
}

// eachTag calls fn with every tag that a cursor has, in order, and the series that it has by any of them,
// until it returns an error or the context ends.
func eachTag(ctx context.Context, cursors []tagCursor, fn func(key, value string, series *Set) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var least model.Tag
		found := false
		for _, c := range cursors {
			if tag, ok := c.tag(); ok && (!found || compareTags(tag, least) < 0) {
				least, found = tag, true
			}
		}
		if !found {
			return nil
		}
		series := new(Set)
		for _, c := range cursors {
			if tag, ok := c.tag(); ok && tag == least {
				if err := c.take(series); err != nil {
					return err
				}
			}
		}
		if err := fn(least.Key, least.Value, series); err != nil {
			return err
		}
	}
}

// partitionCursor is a tagCursor over the postings of a partition. The iterator stands at the first piece of
// the current tag.
type partitionCursor struct {
	partitionPostings
	prefix  []byte // of the keys to go through; nil: all
	current keys.Posting
	valid   bool
}

// newPartitionCursor returns a cursor over the tags with this key, or over all if it is nil.
func newPartitionCursor(r pebble.Reader, place Place, key *string) (*partitionCursor, error) {
	p, err := openPartition(r, place.Tier, place.Partition)
	if err != nil {
		return nil, err
	}
	c := &partitionCursor{partitionPostings: *p}
	if key == nil {
		c.it.First()
	} else {
		c.prefix = keys.AppendTagKeyPrefix(nil, place.Tier, place.Partition, *key)
		c.it.SeekGE(c.prefix)
	}
	if err := c.parse(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// parse reads the key at the iterator.
func (c *partitionCursor) parse() (err error) {
	if c.valid = c.it.Valid() && bytes.HasPrefix(c.it.Key(), c.prefix); !c.valid {
		if err := c.it.Error(); err != nil {
			return fmt.Errorf("postings of partition %d: %w", c.partition, err)
		}
		return nil
	}
	if c.current, err = keys.ParsePosting(c.it.Key()); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

func (c *partitionCursor) tag() (model.Tag, bool) {
	return model.Tag{Key: c.current.Key, Value: c.current.Value}, c.valid
}

func (c *partitionCursor) take(dst *Set) error {
	for taken, _ := c.tag(); c.valid; {
		if next, _ := c.tag(); next != taken {
			break
		}
		value, err := c.it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("postings of partition %d: %w", c.partition, err)
		}
		bitmap, err := decodeBitmap(c.it.Key(), value)
		if err != nil {
			return err
		}
		dst.addPiece(c.current.Piece, bitmap)
		c.it.Next()
		if err := c.parse(); err != nil {
			return err
		}
	}
	return nil
}

func (c *partitionCursor) close() error { return c.it.Close() }

// openCursors returns cursors over the tags of the places: those with this key, or all if it is nil.
func openCursors(r pebble.Reader, places []Place, key *string) ([]tagCursor, error) {
	var cursors []tagCursor
	for _, place := range places {
		c, err := newPartitionCursor(r, place, key)
		if err != nil {
			return nil, errors.Join(err, closeCursors(cursors))
		}
		cursors = append(cursors, c)
	}
	return cursors, nil
}

func closeCursors(cursors []tagCursor) error {
	var errs []error
	for _, c := range cursors {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// EachTag calls fn with every tag, in the order of key and value, that one of the series within has by the
// postings of a place or of active, and those of the series that have it; names are tags with the key
// model.NameKey. With a key, it is only about the tags with that one. It ends with fn's first error, or the
// context's.
//
// The postings of all places are read side by side, so memory is that of one tag's series and of an iterator
// for each place.
func EachTag(ctx context.Context, r pebble.Reader, places []Place, active *Active, within *Set, key *string,
	fn func(key, value string, series *Set) error,
) (err error) {
	cursors, err := openCursors(r, places, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeCursors(cursors)) }()
	cursors = append(cursors, newActiveCursor(active.postingsWithin(within), key))
	return eachTag(ctx, cursors, func(key, value string, series *Set) error {
		series.And(within)
		if series.IsEmpty() || key == allKey && value == allValue {
			return nil
		}
		return fn(key, value, series)
	})
}

// activeCursor is a tagCursor over the series of Active as they were when it was made.
type activeCursor struct {
	activePostings
	pages   symbolPages
	numbers []uint32 // of the symbols, by tag
	next    int      // in numbers; -1: the posting of all series
}

// newActiveCursor returns a cursor over the universe of p and its tags with this key, or all if it is nil. It looks
// at the series or at the tags there are, whichever are fewer, and at no others.
func newActiveCursor(p activePostings, key *string) *activeCursor {
	c := &activeCursor{activePostings: p, next: -1}
	if key != nil {
		c.next = 0
	}
	c.mu.RLock()
	count := int(c.known.symbols.count)
	var candidates []uint32
	if key != nil {
		if known := c.known.symbols.byKey[*key]; known != nil {
			candidates = known.symbols
		}
		count = len(candidates)
	}
	c.pages = c.known.symbols.pages
	c.mu.RUnlock()
	switch {
	case c.universe.Len() < count:
		c.numbers = c.symbolsOfSeries(key)
	case key != nil:
		c.numbers = slices.Clone(candidates)
	default:
		c.numbers = make([]uint32, count)
		for i := range c.numbers {
			c.numbers[i] = uint32(i)
		}
	}
	slices.SortFunc(c.numbers, func(a, b uint32) int { return compareTags(c.symbol(a), c.symbol(b)) })
	return c
}

// symbolsOfSeries returns the symbols that series of the universe have: those with this key, or all if it is nil.
func (c *activeCursor) symbolsOfSeries(key *string) (numbers []uint32) {
	for ids := range slices.Chunk(c.universe.AppendTo(nil), recordsAtOnce) {
		c.mu.RLock()
		for _, id := range ids {
			r, _ := c.known.find(id)
			for _, number := range r.symbols() {
				if key == nil || c.symbol(number).Key == *key {
					numbers = append(numbers, number)
				}
			}
		}
		c.mu.RUnlock()
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// symbol returns the tag of a symbol, which never changes.
func (c *activeCursor) symbol(number uint32) model.Tag {
	s := c.pages.at(number)
	return model.Tag{Key: s.key.name, Value: s.value}
}

func (c *activeCursor) tag() (model.Tag, bool) {
	switch {
	case c.next < 0:
		return model.Tag{Key: allKey, Value: allValue}, true
	case c.next < len(c.numbers):
		return c.symbol(c.numbers[c.next]), true
	}
	return model.Tag{}, false
}

func (c *activeCursor) take(dst *Set) error {
	if c.next < 0 {
		dst.Or(c.universe)
	} else {
		c.mu.RLock()
		c.pages.at(c.numbers[c.next]).series.addCommonTo(dst, c.universe)
		c.mu.RUnlock()
	}
	c.next++
	return nil
}

func (c *activeCursor) close() error { return nil }
