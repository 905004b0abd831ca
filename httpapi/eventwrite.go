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
	"github.com/flopynet/collector/flopynet"
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

// eventSubmission is what a body of POST /events or POST /policy_decisions holds.
type eventSubmission struct {
	noun      string              // event or decision; the key of an array of them is its plural
	events    []engine.Event      // that can be written
	decisions []flopynet.Decision // what the events are, if they are decisions

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
	return s.acceptEvents(r, "/events", &eventSubmission{noun: "event"}, r.decodeEvent)
}

// decodeOne reads one event of a submission and checks it. One that is refused is returned as far as it was read.
type decodeOne func(given *eventSubmission, raw json.RawMessage) (engine.Event, *engine.EventError)

// acceptEvents reads the body of a request that writes events, stores them and answers. path scopes the client's key.
func (s *Server) acceptEvents(r *request, path string, given *eventSubmission, decode decodeOne) error {
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
		return bodyTooLarge("of "+given.noun+"s", maxEventsBody)
	}
	if err := body.reserve(decodingEvents * int64(len(body.bytes))); err != nil {
		return err
	}
	var claim *once
	if key != nil {
		if claim, err = r.beginOnce(path, key, body.bytes); err != nil {
			return err
		}
		defer claim.end()
		if claim.replayed {
			return nil
		}
	}
	if err := given.decode(body.bytes, decode); err != nil {
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
	var err error
	if given.decisions != nil {
		err = s.testbed.StoreDecisions(ctx, given.decisions, keep)
	} else {
		err = s.db.WriteEventsAnswered(ctx, given.events, keep)
	}
	if err != nil {
		return err
	}
	r.respond(fasthttp.StatusOK, typeJSON, appendEventsAnswer(nil, given, r.received.UnixNano()))
	return nil
}

// noneAccepted is the answer when every event was refused.
func (g *eventSubmission) noneAccepted() error {
	details := []detail{{g.noun + "s_rejected", g.rejected}, {"errors", g.errors}}
	if len(g.warnings) > 0 {
		details = append(details, detail{"warnings", g.warnings})
	}
	if g.limited == g.rejected {
		return newError(fasthttp.StatusUnprocessableEntity, "No "+g.noun+" was accepted: each exceeds a limit", details...)
	}
	return invalidRequest("No "+g.noun+" was accepted", details...)
}

// decode reads one event, an array of them, or an object with an array of them.
func (g *eventSubmission) decode(text []byte, decode decodeOne) error {
	var raw json.RawMessage
	if err := decodeJSONText(text, &raw); err != nil {
		return err
	}
	list, err := g.elements(raw)
	if err != nil {
		return err
	}
	if len(list) > engine.MaxEventsPerWrite {
		return limitExceeded("Too many "+g.noun+"s", g.noun+"s of a request", engine.MaxEventsPerWrite, int64(len(list)), "send them in several requests")
	}
	g.events = make([]engine.Event, 0, len(list))
	for index, element := range list {
		event, fault := decode(g, element)
		if fault == nil {
			g.events = append(g.events, event)
			continue
		}
		g.rejected++
		if fault.Limit {
			g.limited++
		}
		if len(g.errors) < maxListed {
			g.errors = append(g.errors, eventRejection{index, clip(event.ID), fault.Field, fault.Reason})
		}
	}
	return nil
}

// elements returns the events of a body, each as JSON.
func (g *eventSubmission) elements(raw json.RawMessage) ([]json.RawMessage, error) {
	plural := g.noun + "s"
	var list []json.RawMessage
	switch raw[0] {
	case '[':
		return list, json.Unmarshal(raw, &list)
	case '{':
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, err
		}
		wrapped, found := members[plural]
		if !found {
			return []json.RawMessage{raw}, nil
		}
		if wrapped[0] != '[' {
			return nil, invalidField(plural, string(wrapped), "it must be an array of "+plural)
		}
		for key := range members {
			if key != plural {
				g.warn("unknown key %q beside %s is ignored", clip(key), plural)
			}
		}
		return list, json.Unmarshal(wrapped, &list)
	}
	return nil, invalidRequest("The body is not what it should be", detail{"given", clip(string(raw))}, detail{"issue", fmt.Sprintf(
		"it must be %s %s, an array of %s, or an object with an array of %s under the key %s", article(g.noun), g.noun, plural, plural, plural)})
}

// article is the indefinite one of a noun.
func article(noun string) string {
	if noun[0] == 'e' {
		return "an"
	}
	return "a"
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
