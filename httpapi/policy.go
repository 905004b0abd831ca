package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/model"
)

// Limits of the list of GET /policy/events.
const (
	defaultPolicyEvents = 50
	maxPolicyEvents     = 1000
)

func policyRoutes() []route {
	return []route{
		{method: fasthttp.MethodPost, path: "/policy_decisions", about: "take decisions of the policy engine", role: roleWrite, mutates: true, handler: (*Server).postPolicyDecisions},
		{method: fasthttp.MethodGet, path: "/policy/events", about: "decisions and violations of policies", role: roleRead, handler: (*Server).getPolicyEvents},
	}
}

// getPolicyEvents answers GET /policy/events.
func (s *Server) getPolicyEvents(r *request) error {
	p, err := parseParams(r.http.QueryArgs(), paramSet{"limit": false, "since": false, "timeout": false})
	if err != nil {
		return err
	}
	limit, err := p.integer("limit", 1, maxPolicyEvents, defaultPolicyEvents)
	if err != nil {
		return err
	}
	timeout, err := parseTimeout(p, s.options.QueryTimeout)
	if err != nil {
		return err
	}
	from, since := model.MinTime, p.get("since")
	if since != "" {
		if from, err = p.time("since", r.received.UnixNano()); err != nil {
			return err
		}
	}
	ctx, cancel := r.context(timeout)
	defer cancel()
	list, err := s.testbed.PolicyEvents(ctx, from, limit)
	if err != nil {
		return err
	}
	list.Since = nullableText(since)
	r.respondLarge(typeJSON, append(appendJSON(nil, list), '\n'))
	return nil
}

// postPolicyDecisions answers POST /policy_decisions, to which the policy engine sends each decision as it makes it.
func (s *Server) postPolicyDecisions(r *request) error {
	return s.acceptEvents(r, "/policy_decisions", &eventSubmission{noun: "decision", decisions: []flopynet.Decision{}}, r.decodeDecision)
}

// decisionKinds are the types of a decision's fields, by the first byte of what may stand there; those that aren't listed may be anything.
func decisionKinds(field string) (starts, want string) {
	switch field {
	case "id":
		return `"-0123456789`, "a string or a number"
	case "policy_id", "policy_name", "component", "decision", "reason", "action_taken":
		return `"`, "a string"
	case "context":
		return `{`, "an object"
	case "result", "allowed":
		return `tf`, "true or false"
	case "execution_time":
		return `-0123456789`, "a number of milliseconds"
	}
	return "", ""
}

// decodeDecision reads a decision and checks it.
func (r *request) decodeDecision(given *eventSubmission, raw json.RawMessage) (engine.Event, *engine.EventError) {
	if raw[0] != '{' {
		return engine.Event{}, &engine.EventError{Reason: "the decision is " + clip(string(raw)) + ", want an object"}
	}
	at, fault := r.checkDecision(raw)
	if fault != nil {
		return engine.Event{}, fault
	}
	text, reason := compactObject(raw) // with memory of its own: the body's goes
	if reason != "" {
		return engine.Event{}, &engine.EventError{Reason: reason}
	}
	decision := flopynet.NewDecision(text, at)
	decision.Event.Time = at
	if fault := r.server.db.CheckEvent(&decision.Event); fault != nil {
		fault.Field = map[string]string{"event_id": "id", "message": "reason", "timestamp": "timestamp"}[fault.Field] // "": it is the whole
		return decision.Event, fault
	}
	if !r.mayWriteAs(flopynet.PolicyEngine) {
		return decision.Event, &engine.EventError{Reason: "is of " + flopynet.PolicyEngine + ", which the key may not write as"}
	}
	given.decisions = append(given.decisions, decision)
	return decision.Event, nil
}

// checkDecision says what is wrong with a decision's fields, and tells its time: that of receipt if it has none.
func (r *request) checkDecision(raw json.RawMessage) (at int64, fault *engine.EventError) {
	at = r.received.UnixNano()
	policy := false
	err := eachMember(raw, reflect.TypeFor[map[string]any](), func(key string, value json.RawMessage) error {
		reason := ""
		starts, want := decisionKinds(key)
		switch {
		case value[0] == 'n':
		case key == "timestamp":
			at, reason = r.eventTime(value)
		case starts != "" && !strings.Contains(starts, string(value[0])):
			reason = fmt.Sprintf("is %s, want %s", clip(string(value)), want)
		case key == "policy_id":
			policy = string(value) != `""`
		}
		if reason != "" && fault == nil {
			fault = &engine.EventError{Field: key, Reason: reason}
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, &engine.EventError{Reason: err.Error()}
	case fault != nil:
	case !policy:
		fault = &engine.EventError{Field: "policy_id", Reason: "is missing; name the policy that was applied"}
	case !flopynet.SaysYesOrNo(raw):
		fault = &engine.EventError{Field: "result", Reason: "is missing; give true or false, or allow or deny as decision"}
	}
	return at, fault
}
