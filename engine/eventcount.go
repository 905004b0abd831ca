package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
)

// EventCounts is how many events match a query.
type EventCounts struct {
	Total       int
	ByComponent map[string]int
	ByLevel     map[string]int
	Damaged     int // events of the range that can't be read; they may or may not match
}

// CountEvents counts the events that match. The query's order, place and bounds don't matter. It looks at each event of the
// range, at some millions a second.
func (db *DB) CountEvents(ctx context.Context, q EventQuery) (*EventCounts, error) {
	counts := &EventCounts{ByComponent: map[string]int{}, ByLevel: map[string]int{}}
	q.After = nil
	components, levels := map[string]*int{}, map[string]*int{}
	damaged, err := db.eachEvent(ctx, &q, func(found *foundEvent) error {
		counts.Total++
		parts := found.parts
		if found.head != nil {
			parts.Component, parts.Level = []byte(found.head.Component), []byte(found.head.Level)
		}
		count(components, parts.Component)
		count(levels, parts.Level)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, n := range components {
		counts.ByComponent[name] = *n
	}
	for name, n := range levels {
		counts.ByLevel[name] = *n
	}
	counts.Damaged = damaged
	return counts, nil
}

// count adds one under a name, without memory for one that is known.
func count(counts map[string]*int, name []byte) {
	n := counts[string(name)]
	if n == nil {
		n = new(int)
		counts[string(name)] = n
	}
	*n++
}

// eachEvent visits the events that match, as eventScan.each does.
func (db *DB) eachEvent(ctx context.Context, q *EventQuery, visit func(*foundEvent) error) (damaged int, err error) {
	if err := db.enter(); err != nil {
		return 0, err
	}
	defer db.leave()
	if !db.clampEvents(q) {
		return 0, nil
	}
	scan, err := db.scanEvents(q)
	if err != nil {
		return 0, fmt.Errorf("read events: %w", err)
	}
	result := &EventResult{}
	err = scan.each(ctx, result, visit)
	if err = errors.Join(err, scan.it.Close()); err != nil {
		return 0, fmt.Errorf("read events: %w", err)
	}
	return result.Damaged, nil
}

// EventsAsWritten returns the events that match in the order of their writing, whatever times they have: with WrittenAfter, whoever
// goes on after the last serial number that it got misses none. Newest and After don't matter.
func (db *DB) EventsAsWritten(ctx context.Context, q EventQuery) (*EventResult, error) {
	if q.Limit < 1 {
		return nil, fmt.Errorf("the limit of a query for events is %d, it must be at least 1", q.Limit)
	}
	q.After, q.Newest = nil, false
	first := firstEvents{most: q.Skip + q.Limit}
	total := 0
	damaged, err := db.eachEvent(ctx, &q, func(found *foundEvent) error {
		total++
		first.add(found)
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := first.sorted()
	result := &EventResult{Total: total, Damaged: damaged, More: len(list) < total}
	size := 0
	for _, place := range list[min(q.Skip, len(list)):] {
		if size >= maxEventResultBytes {
			result.More = true
			break
		}
		event, found, err := db.eventAt(place)
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		if found {
			size += eventBytes(&event)
			result.Next = EventCursor(place.place)
			result.Events, result.Places = append(result.Events, event), append(result.Places, result.Next)
		}
	}
	return result, nil
}

// firstEvents keeps the places of those events that were written first, of many.
type firstEvents struct {
	most int
	list []foundEvent // without their values
}

func (f *firstEvents) add(found *foundEvent) {
	f.list = append(f.list, foundEvent{place: found.place, head: found.head})
	if len(f.list) >= 2*f.most+contextSteps {
		f.list = f.sorted()
	}
}

// sorted returns them in the order of their writing.
func (f *firstEvents) sorted() []foundEvent {
	slices.SortFunc(f.list, func(a, b foundEvent) int {
		return cmp.Compare(EventCursor(a.place).Serial(), EventCursor(b.place).Serial())
	})
	return f.list[:min(f.most, len(f.list))]
}

// eventAt reads an event whose place was found. It may have expired since.
func (db *DB) eventAt(found foundEvent) (event Event, ok bool, err error) {
	if found.head != nil {
		return *found.head, true, nil
	}
	if err := db.enter(); err != nil {
		return Event{}, false, err
	}
	defer db.leave()
	key := keys.AppendEvent(nil, found.place)
	value, closer, err := db.chunks.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return Event{}, false, nil
	}
	if err != nil {
		return Event{}, false, err
	}
	event, err = decodeEvent(key, value)
	return event, err == nil, errors.Join(err, closer.Close())
}
