package flopynet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"sync"

	"github.com/flopynet/collector/engine"
)

const flEventsState = FLServer + "/events"

// flEvents polls the FL server's events.
type flEvents struct {
	peer     *peer
	recorder *recorder
	timeless error // what this poll has to complain of

	mu       sync.Mutex
	position flEventPosition // changed by the poller alone
}

// known returns how far the events have been read, and what of them is known.
func (e *flEvents) known() flEventPosition {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.position
}

// flEventPosition is how far the events have been read, as it is kept.
type flEventPosition struct {
	LastEventID string `json:"last_event_id"` // of the last event that is stored; "": none

	// What the server said of its configuration when it started last, and when; ns.
	Config   object `json:"config,omitempty"`
	ConfigAt int64  `json:"config_at,omitempty"`
}

// flEventsAnswer is the answer to GET /events.
type flEventsAnswer struct {
	Events      *list[flEvent] `json:"events"`
	LastEventID text           `json:"last_event_id"` // the newest of all, whatever the page has
}

// flEvent is one of its events.
type flEvent struct {
	ID        text   `json:"event_id"`
	Timestamp moment `json:"timestamp"`
	Type      text   `json:"event_type"`
	Details   object `json:"details"`
}

// poll stores the events that came after the last one. A server that doesn't know that one any more tells all that it has,
// which does no harm: an event is stored once, by its id.
func (e *flEvents) poll(ctx context.Context) error {
	e.timeless = nil
	for range eventPages {
		query := url.Values{}
		if e.position.LastEventID != "" {
			query.Set("since_event_id", e.position.LastEventID)
		}
		var answer flEventsAnswer
		limit, err := e.peer.page(ctx, "/events", query, eventPage, &answer)
		if err != nil {
			return err
		}
		if answer.Events == nil {
			return fmt.Errorf("GET /events: its answer has no events")
		}
		position, timeless, err := e.store(ctx, *answer.Events, limit)
		if err != nil {
			return err
		}
		if timeless > 0 {
			e.timeless = fmt.Errorf("GET /events: events without a time that could be one are left out")
		}
		if position == "" || position == e.position.LastEventID {
			return e.timeless
		}
		next := e.position
		next.LastEventID = position
		next.noteConfig(*answer.Events)
		if err := saveState(e.recorder.db, flEventsState, next); err != nil {
			return err
		}
		e.mu.Lock()
		e.position = next
		e.mu.Unlock()
		if position == string(answer.LastEventID) || len(*answer.Events) < limit {
			return e.timeless
		}
	}
	return e.timeless
}

// store makes events durable and returns the id of the last, "" where there is none. Those without a time are left out, since
// when they came is no time for them; the id is then of one before, so that they are asked for again, unless a
// whole page of others is in the way.
func (e *flEvents) store(ctx context.Context, given list[flEvent], limit int) (last string, timeless int, err error) {
	events := make([]engine.Event, 0, len(given))
	newest := ""
	for i := range given {
		one := &given[i]
		if one.Timestamp.isPlausible() {
			events = append(events, one.event())
		} else {
			timeless++
		}
		if one.ID == "" || len(one.ID) > maxPeerIDBytes {
			continue
		}
		if newest = string(one.ID); timeless == 0 {
			last = newest
		}
	}
	if last == "" && len(given) >= limit {
		last = newest
	}
	return last, timeless, e.recorder.events(ctx, events)
}

// noteConfig keeps the newest configuration that events tell, which come in the order in which they happened.
func (p *flEventPosition) noteConfig(events list[flEvent]) {
	for i := range events {
		if one := &events[i]; one.Type == "CONFIG_LOADED" && one.Timestamp.isPlausible() {
			if config := one.Details.scalars(); config != nil {
				p.Config, p.ConfigAt = config, one.Timestamp.ns
			}
		}
	}
}

// event is what is stored of it.
func (e *flEvent) event() engine.Event {
	kind := string(e.Type)
	if kind == "" {
		kind = "UNKNOWN"
	}
	content, _ := json.Marshal([]any{e.ID, e.Timestamp.ns, e.Type, e.Details}) // texts, a number and an object
	return engine.Event{
		ID: eventID(FLServer, string(e.ID), content), Time: e.Timestamp.ns, Component: FLServer, Type: kind, Level: levelOf(kind),
		Message: messageOf(e.Details), Details: []byte(e.Details),
	}
}
