package flopynet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/flopynet/collector/engine"
)

const (
	policyEventsState = PolicyEngine + "/events"

	eventsPerPage = 500
	maxEventPages = 20 // in one poll
)

// policyEventPosition is how far the policy engine's events are stored. It is kept in the engine's state.
type policyEventPosition struct {
	LastID string `json:"last_id"` // of the last event that was stored; "": none
}

// policyEventPoll reads the policy engine's events. Behind an event that it has forgotten, the engine tells all that it has.
type policyEventPoll struct {
	testbed  *Testbed
	peer     *peer
	position policyEventPosition
}

// policyEvent is an event as the policy engine spells it.
type policyEvent struct {
	ID        text   `json:"id"`
	Type      text   `json:"type"`
	Timestamp moment `json:"timestamp"`
	Details   object `json:"details"`
}

// poll stores what came since the last poll. The position is moved with each page, when that is durable.
func (e *policyEventPoll) poll(ctx context.Context) error {
	for range maxEventPages {
		query := url.Values{"limit": {fmt.Sprint(eventsPerPage)}}
		if e.position.LastID != "" {
			query.Set("since_event_id", e.position.LastID)
		}
		var answer struct {
			Events list[policyEvent] `json:"events"`
			// There is a last_event_id too, of the last event that the engine has: it may be pages away.
		}
		asked := e.peer.now().UnixNano()
		if err := e.peer.get(ctx, "/events", query, maxLargeAnswerBytes, &answer); err != nil {
			return err
		}
		if len(answer.Events) == 0 {
			return nil
		}
		last := string(answer.Events[len(answer.Events)-1].ID)
		if last != "" && last == e.position.LastID { // an engine that tells all it has again and again: it has nothing new
			return nil
		}
		events := make([]engine.Event, 0, len(answer.Events))
		for i := range answer.Events {
			events = append(events, answer.Events[i].event(asked))
		}
		if err := e.testbed.decisions.recorder.events(ctx, events); err != nil {
			return err
		}
		if last == "" { // there is no going on from there
			return nil
		}
		position := policyEventPosition{last}
		if err := saveState(e.testbed.db, policyEventsState, position); err != nil {
			return err
		}
		if e.position = position; len(answer.Events) < eventsPerPage {
			return nil
		}
	}
	return nil
}

// event is the event as we keep it. One without an ID is known by its content.
func (e *policyEvent) event(at int64) engine.Event {
	raw, _ := json.Marshal([]any{e.Type, e.Timestamp.ns, e.Details})
	event := engine.Event{
		ID: decisionID(string(e.ID), raw), Time: e.Timestamp.or(at), Component: PolicyEngine, Type: string(e.Type), Details: e.Details,
		Level: policyEventLevel(string(e.Type), e.Details),
	}
	var known struct {
		Reason  text `json:"reason"`
		Message text `json:"message"`
	}
	if e.Details != nil && json.Unmarshal(e.Details, &known) == nil {
		event.Message = string(known.Message)
		if event.Message == "" {
			event.Message = string(known.Reason)
		}
	}
	if event.Type == "" {
		event.Type = "event"
	}
	return event
}

// policyEventLevel derives the level of an event: the engine gives it none.
func policyEventLevel(kind string, details object) string {
	kind = strings.ToUpper(kind)
	switch {
	case containsAny(kind, "ERROR", "FAIL", "EXCEPTION"):
		return "error"
	case containsAny(kind, "DENIED", "DENY", "VIOLATION", "STOPPED", "PAUSED", "WARN"):
		return "warning"
	}
	var known struct {
		Result struct {
			Allowed flag `json:"allowed"`
		} `json:"result"`
	}
	if details != nil && json.Unmarshal(details, &known) == nil && known.Result.Allowed.known && !known.Result.Allowed.value {
		return "warning"
	}
	return engine.DefaultEventLevel
}

func containsAny(text string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
