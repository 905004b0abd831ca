package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
)

const (
	// maxEventsBody bounds the bodies of POST /events; it is far above what the events of one request may take.
	maxEventsBody = 64 << 20
	// decodingEvents is how many times its length a body of events takes while it is read, about.
	decodingEvents = 3
	// maxListed bounds the errors and the warnings of an answer.
	maxListed = 100
)

// eventSubmission is what a body of POST /events holds.
type eventSubmission struct {
	events   []engine.Event // that can be written
	rejected int
	limited  int // of them for limits alone
	errors   []eventRejection
	warnings []string
}

// eventRejection says why an event was refused.
type eventRejection struct {
	Index   int    `json:"index"`
	EventID string `json:"event_id,omitempty"`
	Field   string `json:"field"`
	Reason  string `json:"reason"`
}

// postEvents answers POST /events.
func (s *Server) postEvents(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	if err := r.checkJSON(); err != nil {
		return err
	}
	key, err := r.idempotencyKey()
	if err != nil {
		return err
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	defer body.release()
	if len(body.bytes) > maxEventsBody {
		return bodyTooLarge("of events", maxEventsBody)
	}
	if err := body.reserve(decodingEvents * int64(len(body.bytes))); err != nil {
		return err
	}
	var claim *once
	if key != nil {
		if claim, err = r.beginOnce("/events", key, body.bytes); err != nil {
			return err
		}
		defer claim.end()
		if claim.replayed {
			return nil
		}
	}
	given, err := r.decodeEvents(body.bytes)
	if err != nil {
		return err
	}
	return s.storeEvents(r, given, claim)
}

// storeEvents makes the events durable and answers.
func (s *Server) storeEvents(r *request, given *eventSubmission, claim *once) error {
	if len(given.events) == 0 && given.rejected > 0 {
		return given.noneAccepted()
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	var keep func() *engine.Answer
	if claim != nil {
		keep = func() *engine.Answer {
			return claim.answer(fasthttp.StatusOK, typeJSON, appendEventsAnswer(nil, given, r.received.UnixNano()))
		}
	}
	if err := s.db.WriteEventsAnswered(ctx, given.events, keep); err != nil {
		return err
	}
	r.respond(fasthttp.StatusOK, typeJSON, appendEventsAnswer(nil, given, r.received.UnixNano()))
	return nil
}

// noneAccepted is the answer when every event was refused.
func (g *eventSubmission) noneAccepted() error {
	details := []detail{{"events_rejected", g.rejected}, {"errors", g.errors}}
	if len(g.warnings) > 0 {
		details = append(details, detail{"warnings", g.warnings})
	}
	if g.limited == g.rejected {
		return newError(fasthttp.StatusUnprocessableEntity, "No event was accepted: each exceeds a limit", details...)
	}
	return invalidRequest("No event was accepted", details...)
}

// decodeEvents reads one event, an array of them, or {"events": [...]}.
func (r *request) decodeEvents(text []byte) (*eventSubmission, error) {
	var raw json.RawMessage
	if err := decodeJSONText(text, &raw); err != nil {
		return nil, err
	}
	given := &eventSubmission{}
	list, err := given.elements(raw)
	if err != nil {
		return nil, err
	}
	if len(list) > engine.MaxEventsPerWrite {
		return nil, limitExceeded("Too many events", "events of a request", engine.MaxEventsPerWrite, int64(len(list)), "send them in several requests")
	}
	given.events = make([]engine.Event, 0, len(list))
	for index, element := range list {
		event, fault := r.decodeEvent(given, element)
		if fault == nil {
			given.events = append(given.events, event)
			continue
		}
		given.rejected++
		if fault.Limit {
			given.limited++
		}
		if len(given.errors) < maxListed {
			given.errors = append(given.errors, eventRejection{index, clip(event.ID), fault.Field, fault.Reason})
		}
	}
	return given, nil
}

// elements returns the events of a body, each as JSON.
func (g *eventSubmission) elements(raw json.RawMessage) ([]json.RawMessage, error) {
	const shape = "it must be an event, an array of events, or an object with an array of events under the key events"
	var list []json.RawMessage
	switch raw[0] {
	case '[':
		return list, json.Unmarshal(raw, &list)
	case '{':
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, err
		}
		wrapped, found := members["events"]
		if !found {
			return []json.RawMessage{raw}, nil
		}
		if wrapped[0] != '[' {
			return nil, invalidField("events", string(wrapped), "it must be an array of events")
		}
		for key := range members {
			if key != "events" {
				g.warn("unknown key %q beside events is ignored", clip(key))
			}
		}
		return list, json.Unmarshal(wrapped, &list)
	}
	return nil, invalidRequest("The body is not what it should be", detail{"given", clip(string(raw))}, detail{"issue", shape})
}

// warn adds a warning, once.
func (g *eventSubmission) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(g.warnings) < maxListed && !slices.Contains(g.warnings, text) {
		g.warnings = append(g.warnings, text)
	}
}

// decodeEvent reads an event and checks it. One that is refused is returned as far as it was read.
func (r *request) decodeEvent(given *eventSubmission, raw json.RawMessage) (engine.Event, *engine.EventError) {
	event := engine.Event{Time: r.received.UnixNano()}
	if raw[0] != '{' {
		return event, &engine.EventError{Field: "", Reason: "the event is " + clip(string(raw)) + ", want an object"}
	}
	var fault *engine.EventError
	texts := map[string]*string{"event_id": &event.ID, "component": &event.Component, "event_type": &event.Type,
		"level": &event.Level, "message": &event.Message}
	err := eachMember(raw, reflect.TypeFor[engine.Event](), func(key string, value json.RawMessage) error {
		reason := ""
		switch into := texts[key]; {
		case into != nil && value[0] == 'n', value[0] == 'n' && (key == "timestamp" || key == "details"):
		case into != nil && value[0] != '"':
			reason = "is " + clip(string(value)) + ", want a string"
		case into != nil:
			return json.Unmarshal(value, into)
		case key == "timestamp":
			event.Time, reason = r.eventTime(value)
		case key == "details":
			event.Details, reason = compactObject(value)
		default:
			given.warn("unknown key %q in an event is ignored; what else there is to say belongs into details", clip(key))
		}
		if reason != "" && fault == nil {
			fault = &engine.EventError{Field: key, Reason: reason}
		}
		return nil
	})
	switch {
	case err != nil:
		return event, &engine.EventError{Reason: err.Error()}
	case fault != nil:
		return event, fault
	}
	if fault = r.server.db.CheckEvent(&event); fault == nil && !r.mayWriteAs(event.Component) {
		fault = &engine.EventError{Field: "component", Reason: fmt.Sprintf("is %q, which the key may not write as", event.Component)}
	}
	return event, fault
}

// eventTime reads an event's time, or says why it can't.
func (r *request) eventTime(raw json.RawMessage) (ns int64, reason string) {
	var t bodyTime
	err := t.UnmarshalJSON(raw)
	if fault, ok := errors.AsType[*fieldFault](err); ok {
		return 0, "is " + clip(fault.given) + "; " + fault.issue
	}
	if err == nil {
		ns, err = timefmt.ParseTime(t.text, r.received.UnixNano())
	}
	if err != nil {
		return 0, "is " + clip(string(raw)) + ": " + err.Error()
	}
	return ns, ""
}

// compactObject returns an object without white space between its parts, or says that it isn't one.
func compactObject(raw json.RawMessage) (text []byte, reason string) {
	if raw[0] != '{' {
		return nil, "is " + clip(string(raw)) + ", want an object"
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return nil, err.Error()
	}
	return out.Bytes(), ""
}
