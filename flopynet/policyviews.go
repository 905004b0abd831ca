package flopynet

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// Results of a policy event.
const (
	resultAllowed = "allowed"
	resultDenied  = "denied"
	resultWarning = "warning"
)

// PolicyEvents is what GET /policy/events answers.
type PolicyEvents struct {
	Events []PolicyEvent `json:"events"` // the newest first
	Total  int           `json:"total"`  // that match, before the limit
	Since  *string       `json:"since"`  // as it was given; null: it was not
}

// PolicyEvent is a decision of the policy engine, or what others wrote of a policy.
type PolicyEvent struct {
	Timestamp string  `json:"timestamp"`
	PolicyID  *string `json:"policy_id"`
	EventType string  `json:"event_type"` // policy_executed or policy_violation
	Target    string  `json:"target"`     // whom it is about
	Result    string  `json:"result"`     // allowed, denied or warning
	Details   object  `json:"details"`
}

// policyEventQuery selects the policy engine's decisions of a span, and violations and the like that others wrote for it.
func policyEventQuery(from, to int64) engine.EventQuery {
	return engine.EventQuery{
		From: from, To: to, Newest: true, Components: []string{PolicyEngine}, Types: []string{PolicyExecuted, PolicyViolation},
	}
}

// PolicyEvents returns the newest policy events since a time, that included; nanoseconds since the epoch.
func (t *Testbed) PolicyEvents(ctx context.Context, since int64, limit int) (*PolicyEvents, error) {
	query := policyEventQuery(since, model.MaxTime)
	query.Limit, query.Total = limit, true
	result, err := t.db.Events(ctx, query)
	if err != nil {
		return nil, err
	}
	list := &PolicyEvents{Events: make([]PolicyEvent, 0, len(result.Events)), Total: result.Total}
	for i := range result.Events {
		list.Events = append(list.Events, policyEventOf(&result.Events[i]))
	}
	return list, nil
}

// targets are where the details of a policy event name whom it is about.
type targets struct {
	ClientID text `json:"client_id"`
	Target   text `json:"target"`
}

// policyEventOf makes the view of an event.
func policyEventOf(e *engine.Event) PolicyEvent {
	var fields decisionFields
	var context, details targets
	if e.Details != nil {
		_ = json.Unmarshal(e.Details, &fields) // no field of them fails
		_ = json.Unmarshal(e.Details, &details)
	}
	if fields.Context != nil {
		_ = json.Unmarshal(fields.Context, &context)
	}
	view := PolicyEvent{
		Timestamp: string(timefmt.AppendTime(nil, e.Time)), EventType: e.Type, Details: object(e.Details), Target: e.Component, Result: resultOf(e, &fields),
	}
	if e.Details == nil {
		view.Details = object("{}")
	}
	if id := string(fields.PolicyID); id != "" {
		view.PolicyID = &id
	}
	for _, target := range []text{context.ClientID, context.Target, details.ClientID, details.Target, fields.Component} {
		if target != "" {
			view.Target = string(target)
			break
		}
	}
	return view
}

// resultOf tells what came of it. A violation that is no decision, such as a measurement beyond a threshold, is a warning.
func resultOf(e *engine.Event, fields *decisionFields) string {
	allowed, decided := fields.allowed()
	switch {
	case decided && allowed, !decided && e.Type == PolicyExecuted:
		return resultAllowed
	case decided && !fields.onlyWarned():
		return resultDenied
	}
	return resultWarning
}

// DecisionQuery selects decisions.
type DecisionQuery struct {
	From, To  int64  // [From, To), nanoseconds since the epoch
	PolicyID  string // "": any
	Component string // that asked, as the policy engine calls it; "": any
	Allowed   *bool  // nil: either
	Limit     int    // most decisions in the answer
}

// maxDecisionBytes is what the decisions of an answer take, about, until no more are added.
const maxDecisionBytes = 32 << 20

// Decisions returns the newest decisions that match, each as the policy engine told it, and under the keys that FLOPY-NET's
// dashboard has for them as well. There are fewer than the limit when they are large.
func (t *Testbed) Decisions(ctx context.Context, q DecisionQuery) ([]json.RawMessage, error) {
	query := policyEventQuery(q.From, q.To)
	if q.PolicyID != "" || q.Component != "" {
		query.Details = q.matcher()
	}
	if q.Allowed != nil && *q.Allowed {
		query.Types = []string{PolicyExecuted}
	} else if q.Allowed != nil {
		query.Types = []string{PolicyViolation}
	}
	found, size := []json.RawMessage{}, 0
	for len(found) < q.Limit && size < maxDecisionBytes { // what is large comes in parts
		query.Limit = q.Limit - len(found)
		result, err := t.db.Events(ctx, query)
		if err != nil {
			return nil, err
		}
		for i := range result.Events {
			view := decisionView(&result.Events[i])
			found, size = append(found, view), size+len(view)
		}
		if !result.More {
			break
		}
		query.After = &result.Next
	}
	return found, nil
}

// plainText is text that JSON spells as it is, and so, unless somebody makes an effort, does whoever writes JSON.
var plainText = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`) //nolint:gochecknoglobals // a constant

// matcher returns a function that looks at what is in a decision.
func (q *DecisionQuery) matcher() func(details []byte) bool {
	var parts [][]byte // which a decision has somewhere that matches: most needn't be decoded
	for _, wanted := range []string{q.PolicyID, q.Component} {
		if wanted != PolicyEngine && plainText.MatchString(wanted) {
			parts = append(parts, []byte(wanted))
		}
	}
	return func(details []byte) bool {
		for _, part := range parts {
			if !bytes.Contains(details, part) && !bytes.Contains(details, []byte(`\u`)) {
				return false
			}
		}
		var fields struct {
			PolicyID  text `json:"policy_id"`
			Component text `json:"component"`
		}
		if details != nil && json.Unmarshal(details, &fields) != nil {
			return false
		}
		if fields.Component == "" {
			fields.Component = PolicyEngine // as decisionView has it
		}
		return (q.PolicyID == "" || string(fields.PolicyID) == q.PolicyID) && (q.Component == "" || string(fields.Component) == q.Component)
	}
}

// decisionView returns a decision as it came, completed with what it lacks.
func decisionView(e *engine.Event) json.RawMessage {
	view := map[string]any{}
	var came map[string]json.RawMessage
	if e.Details != nil {
		_ = json.Unmarshal(e.Details, &came) // it is an object
	}
	for key, value := range came {
		view[key] = value
	}
	allowed, word := e.Type == PolicyExecuted, "deny"
	if allowed {
		word = "allow"
	}
	id := strings.TrimPrefix(e.ID, PolicyEngine+"/")
	for key, value := range map[string]any{
		"id": id, "decision_id": id, "timestamp": json.RawMessage(epochText(e.Time)), "component": e.Component, "decision": word, "action": word,
		"result": allowed, "allowed": allowed, "reason": e.Message,
	} {
		if raw, there := came[key]; !there || string(raw) == "null" {
			view[key] = value
		}
	}
	raw, err := json.Marshal(view)
	if err != nil {
		return json.RawMessage("{}") // which what was decoded can't come to
	}
	return raw
}
