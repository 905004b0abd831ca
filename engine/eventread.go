package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// EventQuery selects events by time and by what is in them. A list that is empty lets everything pass.
type EventQuery struct {
	From, To   int64 // [From, To), nanoseconds since the epoch
	Types      []string
	Components []string
	Levels     []string

	Newest bool         // the newest first; else the oldest. Events of one time are in the order of their writing, or against it
	After  *EventCursor // nil: from the beginning
	Limit  int          // most events in the result; at least 1. There are fewer when they are large
	Total  bool         // count all that match, too
}

// EventCursor is the place of an event in the order of all.
type EventCursor keys.Event

// EventResult is the answer to an EventQuery.
type EventResult struct {
	Events  []Event
	More    bool        // there are more behind Next
	Next    EventCursor // of the last of Events
	Total   int         // how many match in the range, wherever After is; only if it was asked for
	Damaged int         // events of the range that can't be read; they may or may not match
}

// Events returns events that match. A damaged event costs only itself: the result counts it and the log names it.
// Memory is bounded by the limit and by what is not flushed yet.
func (db *DB) Events(ctx context.Context, q EventQuery) (*EventResult, error) {
	if q.Limit < 1 {
		return nil, fmt.Errorf("the limit of a query for events is %d, it must be at least 1", q.Limit)
	}
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	q.From, q.To = max(q.From, db.eventFloor()), min(q.To, model.MaxTime)
	if q.From >= q.To {
		return &EventResult{}, nil
	}
	scan, err := db.scanEvents(&q)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	result, err := scan.gather(ctx)
	if err = errors.Join(err, scan.it.Close()); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return result, nil
}

// eventScan walks over the events of a range, in the order of the query.
type eventScan struct {
	db    *DB
	query *EventQuery
	it    *pebble.Iterator
	head  []placedEvent // what is left of it, in the scan's order

	types, components, levels map[string]bool
}

// scanEvents begins a scan. The head is looked at before the chunk store: what a flush moves in between is seen
// twice, under one key, and never not at all.
func (db *DB) scanEvents(q *EventQuery) (*eventScan, error) {
	s := &eventScan{db: db, query: q, types: setOf(q.Types), components: setOf(q.Components), levels: setOf(q.Levels)}
	from, to := keys.Event{Time: q.From}, keys.Event{Time: q.To}
	if q.After != nil && !q.Total { // else what is before it is counted
		at := keys.Event(*q.After)
		if q.Newest {
			to = lesser(to, at)
		} else {
			at.N++
			if comparePlaces(at, from) > 0 {
				from = at
			}
		}
	}
	for _, placed := range db.events.view() {
		if comparePlaces(placed.place, from) >= 0 && comparePlaces(placed.place, to) < 0 {
			s.head = append(s.head, placed)
		}
	}
	slices.SortFunc(s.head, func(a, b placedEvent) int { return s.order(a.place, b.place) })
	var err error
	s.it, err = db.chunks.NewIter(&pebble.IterOptions{
		LowerBound: keys.AppendEvent(nil, from), UpperBound: keys.AppendEvent(nil, to)})
	if err != nil {
		return nil, err
	}
	if q.Newest {
		s.it.Last()
	} else {
		s.it.First()
	}
	return s, nil
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, element := range list {
		set[element] = true
	}
	return set
}

func comparePlaces(a, b keys.Event) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.LSN, b.LSN), cmp.Compare(a.N, b.N))
}

func lesser(a, b keys.Event) keys.Event {
	if comparePlaces(a, b) < 0 {
		return a
	}
	return b
}

// order compares places as the scan meets them.
func (s *eventScan) order(a, b keys.Event) int {
	if s.query.Newest {
		return comparePlaces(b, a)
	}
	return comparePlaces(a, b)
}

func (s *eventScan) matches(e *Event) bool {
	return (len(s.types) == 0 || s.types[e.Type]) && (len(s.components) == 0 || s.components[e.Component]) &&
		(len(s.levels) == 0 || s.levels[e.Level])
}

// maxEventResultBytes is what the events of a result take in memory, about, until no more are added.
const maxEventResultBytes = 16 << 20

// contextSteps is how many events are looked at between two looks at the context.
const contextSteps = 1024

func (s *eventScan) gather(ctx context.Context) (*EventResult, error) {
	result, size := &EventResult{}, 0
	for step := 0; ; step++ {
		if step%contextSteps == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		placed, err := s.next()
		if errors.Is(err, errNoMoreEvents) {
			return result, nil
		}
		if errors.Is(err, ErrCorrupt) {
			s.db.opts.Logger.Error("an event is damaged and left out", "err", err)
			result.Damaged++
			continue
		}
		if err != nil {
			return nil, err
		}
		if !s.matches(&placed.event) {
			continue
		}
		result.Total++
		if s.query.After != nil && s.order(placed.place, keys.Event(*s.query.After)) <= 0 {
			continue
		}
		if len(result.Events) < s.query.Limit && size < maxEventResultBytes {
			size += eventBytes(&placed.event)
			result.Events = append(result.Events, placed.event)
			result.Next = EventCursor(placed.place)
			continue
		}
		result.More = true
		if !s.query.Total {
			return result, nil
		}
	}
}

var errNoMoreEvents = errors.New("there are no more events")

// next returns the next event. Behind one that is damaged, which it returns ErrCorrupt for, it goes on.
func (s *eventScan) next() (placedEvent, error) {
	if !s.it.Valid() {
		if err := s.it.Error(); err != nil {
			return placedEvent{}, err
		}
		if len(s.head) == 0 {
			return placedEvent{}, errNoMoreEvents
		}
		return s.nextOfHead(), nil
	}
	place, err := keys.ParseEvent(s.it.Key())
	if err != nil {
		s.step()
		return placedEvent{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if len(s.head) > 0 {
		order := s.order(s.head[0].place, place)
		if order == 0 { // a flush has just written it
			s.step()
		}
		if order <= 0 {
			return s.nextOfHead(), nil
		}
	}
	defer s.step()
	value, err := s.it.ValueAndErr()
	if err != nil {
		return placedEvent{}, err
	}
	event, err := decodeEvent(s.it.Key(), value)
	return placedEvent{place, event}, err
}

func (s *eventScan) nextOfHead() placedEvent {
	first := s.head[0]
	s.head = s.head[1:]
	return first
}

func (s *eventScan) step() {
	if s.query.Newest {
		s.it.Prev()
	} else {
		s.it.Next()
	}
}
