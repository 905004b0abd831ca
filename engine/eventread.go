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
	"github.com/flopynet/collector/wal/record"
)

// EventQuery selects events by time and by what is in them. A list that is empty lets everything pass.
type EventQuery struct {
	From, To   int64 // [From, To), nanoseconds since the epoch
	Types      []string
	Components []string
	Levels     []string

	// Details reports whether an event is wanted by its details, nil if it has none; they must not be kept. nil: any.
	Details func(details []byte) bool

	// WrittenAfter selects those events that were written after the one of this serial number. 0: all.
	WrittenAfter uint64

	Newest bool         // the newest first; else the oldest. Events of one time are in the order of their writing, or against it
	After  *EventCursor // nil: from the beginning
	Skip   int          // so many of those that match are passed over
	Limit  int          // most events in the result; at least 1. There are fewer when they are large
	Total  bool         // count all that match, too
}

// EventCursor is the place of an event in the order of all.
type EventCursor keys.Event

// Serial is the event's serial number: it grows with each event that is written, whatever time that has, and stays below
// 2^53, which any program reads exactly, for 5e11 writes.
func (c EventCursor) Serial() uint64 { return c.LSN<<serialBits | c.N }

// serialBits is enough for the events of one write.
const serialBits = 14

var _ [1<<serialBits - MaxEventsPerWrite]struct{} // or a serial number would be of two events

// EventResult is the answer to an EventQuery.
type EventResult struct {
	Events  []Event
	Places  []EventCursor // of Events
	More    bool          // there are more behind Next
	Next    EventCursor   // of the last of Events
	Total   int           // how many match in the range, wherever After is; only if it was asked for
	Damaged int           // events of the range that can't be read; they may or may not match
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
	if !db.clampEvents(&q) {
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

// clampEvents takes out of a query's range what can't be seen, and reports whether something is left.
func (db *DB) clampEvents(q *EventQuery) bool {
	q.From, q.To = max(q.From, db.eventFloor()), min(q.To, model.MaxTime)
	return q.From < q.To
}

// eventScan walks over the events of a range, in the order of the query.
type eventScan struct {
	db    *DB
	query *EventQuery
	it    *pebble.Iterator
	head  []placedEvent // what is left of it, in the scan's order

	visited bool // what it stands at was returned

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

// matches doesn't decode an event to see whether it is wanted: it may be one of very many that are counted only.
func (s *eventScan) matches(found *foundEvent) bool {
	details := found.parts.Details
	if e := found.head; e != nil {
		if !wanted(s.types, e.Type) || !wanted(s.components, e.Component) || !wanted(s.levels, e.Level) {
			return false
		}
		details = e.Details
	} else if parts := &found.parts; !wanted(s.types, parts.Type) || !wanted(s.components, parts.Component) || !wanted(s.levels, parts.Level) {
		return false
	}
	return s.query.Details == nil || s.query.Details(details)
}

// wanted reports whether a set has a name, or is empty.
func wanted[T string | []byte](set map[string]bool, name T) bool {
	return len(set) == 0 || set[string(name)]
}

// maxEventResultBytes is what the events of a result take in memory, about, until no more are added.
const maxEventResultBytes = 16 << 20

// contextSteps is how many events are looked at between two looks at the context.
const contextSteps = 1024

func (s *eventScan) gather(ctx context.Context) (*EventResult, error) {
	result, size, skip := &EventResult{}, 0, s.query.Skip
	err := s.each(ctx, result, func(found *foundEvent) error {
		result.Total++
		if s.query.After != nil && s.order(found.place, keys.Event(*s.query.After)) <= 0 {
			return nil
		}
		if skip > 0 {
			skip--
			return nil
		}
		if len(result.Events) < s.query.Limit && size < maxEventResultBytes {
			event, err := found.decode()
			if err != nil {
				return err
			}
			size += eventBytes(&event)
			result.Next = EventCursor(found.place)
			result.Events, result.Places = append(result.Events, event), append(result.Places, result.Next)
			return nil
		}
		result.More = true
		if !s.query.Total {
			return errNoMoreEvents
		}
		return nil
	})
	return result, err
}

// each calls visit with each event that matches, until it returns an error; errNoMoreEvents is a good end. The event is
// visit's until it returns. What is damaged is counted and logged.
func (s *eventScan) each(ctx context.Context, result *EventResult, visit func(*foundEvent) error) error {
	for step := 0; ; step++ {
		if step%contextSteps == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		found, err := s.next()
		if err == nil && s.matches(&found) && EventCursor(found.place).Serial() > s.query.WrittenAfter {
			err = visit(&found)
		}
		switch {
		case err == nil:
		case errors.Is(err, errNoMoreEvents):
			return nil
		case errors.Is(err, ErrCorrupt):
			s.db.opts.Logger.Error("an event is damaged and left out", "err", err)
			result.Damaged++
		default:
			return err
		}
	}
}

// foundEvent is an event that a scan has come to.
type foundEvent struct {
	place keys.Event
	head  *Event // nil: it is in the chunk store

	key, value []byte            // there, until the scan goes on
	parts      record.EventParts // of value
}

// decode returns the event, with memory of its own.
func (f *foundEvent) decode() (Event, error) {
	if f.head != nil {
		return *f.head, nil
	}
	return decodeEvent(f.key, f.value)
}

var errNoMoreEvents = errors.New("there are no more events")

// next returns the next event. Behind one that is damaged, which it returns ErrCorrupt for, it goes on.
func (s *eventScan) next() (foundEvent, error) {
	if s.visited {
		s.visited = false
		s.step()
	}
	if !s.it.Valid() {
		if err := s.it.Error(); err != nil {
			return foundEvent{}, err
		}
		if len(s.head) == 0 {
			return foundEvent{}, errNoMoreEvents
		}
		return s.nextOfHead(), nil
	}
	s.visited = true
	found := foundEvent{key: s.it.Key()}
	var err error
	if found.place, err = keys.ParseEvent(found.key); err != nil {
		return foundEvent{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if len(s.head) > 0 {
		order := s.order(s.head[0].place, found.place)
		s.visited = order == 0 // then a flush has just written it
		if order <= 0 {
			return s.nextOfHead(), nil
		}
		s.visited = true
	}
	if EventCursor(found.place).Serial() <= s.query.WrittenAfter {
		return found, nil // it isn't wanted, and its value needn't be read
	}
	if found.value, err = s.it.ValueAndErr(); err != nil {
		return foundEvent{}, err
	}
	found.parts, err = peekEvent(found.key, found.value)
	return found, err
}

func (s *eventScan) nextOfHead() foundEvent {
	first := &s.head[0]
	s.head = s.head[1:]
	return foundEvent{place: first.place, head: &first.event}
}

func (s *eventScan) step() {
	if s.query.Newest {
		s.it.Prev()
	} else {
		s.it.Next()
	}
}
