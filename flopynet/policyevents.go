package flopynet

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	"github.com/flopynet/collector/engine"
)

const policyEventsState = PolicyEngine + "/events"

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
	for range eventPages {
		query := url.Values{}
		if e.position.LastID != "" {
			query.Set("since_event_id", e.position.LastID)
		}
		var answer struct {
			Events *list[policyEvent] `json:"events"`
			// There is a last_event_id too, of the last event that the engine has: it may be pages away.
		}
		asked := e.peer.now().UnixNano()
		limit, err := e.peer.page(ctx, "/events", query, eventPage, &answer)
		if err != nil {
			return err
		}
		if answer.Events == nil {
			return errors.New("GET /events: its answer has no events")
		}
		given := *answer.Events
		last := lastID(given)
		if len(given) == 0 || last != "" && last == e.position.LastID { // one that tells all it has again and again has nothing new
			return nil
		}
		events := make([]engine.Event, 0, len(given))
		for i := range given {
			events = append(events, given[i].event(asked))
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
		if e.position = position; len(given) < limit {
			return nil
		}
	}
	return nil
}

// lastID is that of the last event behind which a next page may begin; "": there is none.
func lastID(events []policyEvent) string {
	for _, event := range slices.Backward(events) {
		if event.ID != "" && len(event.ID) <= maxPeerIDBytes {
			return string(event.ID)
		}
	}
	return ""
}

// event is the event as we keep it.
func (e *policyEvent) event(at int64) engine.Event {
	kind := string(e.Type)
	if kind == "" {
		kind = "event"
	}
	content, _ := json.Marshal([]any{e.Type, e.Timestamp.ns, e.Details}) // texts, a number and an object
	return engine.Event{
		ID: eventID(PolicyEngine, string(e.ID), content), Time: e.Timestamp.or(at), Component: PolicyEngine, Type: kind,
		Level: e.level(), Message: messageOf(e.Details), Details: e.Details,
	}
}

// level derives the level of an event: the engine gives it none.
func (e *policyEvent) level() string {
	level := levelOf(string(e.Type))
	var known struct {
		Result struct {
			Allowed flag `json:"allowed"`
		} `json:"result"`
	}
	if level == engine.DefaultEventLevel && json.Unmarshal(e.Details.orEmpty(), &known) == nil && known.Result.Allowed.known && !known.Result.Allowed.value {
		return eventLevelWarning
	}
	return level
}
