package flopynet

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Types of the events that decisions of the policy engine become.
const (
	PolicyExecuted  = "policy_executed"  // something was allowed
	PolicyViolation = "policy_violation" // something was not
)

// Decision is a decision of the policy engine. It is the same one whether we asked for it or were sent it.
type Decision struct {
	Event engine.Event // with the decision, as it came, as its details

	policyID, component string
	executionTime       number // in milliseconds
	client              sighting
}

// decisionFields is what we read of a decision.
type decisionFields struct {
	ID            text   `json:"id"`
	PolicyID      text   `json:"policy_id"`
	Component     text   `json:"component"`
	Timestamp     moment `json:"timestamp"`
	Context       object `json:"context"`
	Decision      text   `json:"decision"`
	Result        flag   `json:"result"`
	Allowed       flag   `json:"allowed"`
	Reason        text   `json:"reason"`
	ActionTaken   text   `json:"action_taken"`
	ExecutionTime number `json:"execution_time"`
}

// NewDecision reads a decision with tolerance: what isn't there or isn't what it should be is left out. raw is a JSON
// object, which the decision keeps. at is when it came, in nanoseconds since the epoch: its time if it names none itself. One that says
// neither yes nor no is a no, as it is for the policy engine.
func NewDecision(raw []byte, at int64) Decision {
	var fields decisionFields
	_ = json.Unmarshal(raw, &fields) // no field of them fails
	d := Decision{
		Event: engine.Event{
			ID: eventID(PolicyEngine, string(fields.ID), canonical(raw)), Time: fields.Timestamp.or(at), Component: PolicyEngine,
			Type: PolicyViolation, Level: eventLevelWarning, Message: string(fields.Reason), Details: raw,
		},
		policyID: string(fields.PolicyID), component: string(fields.Component), executionTime: fields.ExecutionTime,
	}
	allowed, _ := fields.allowed()
	if allowed {
		d.Event.Type, d.Event.Level = PolicyExecuted, engine.DefaultEventLevel
	}
	d.client = sightingIn(fields.Context, min(d.Event.Time, at), allowed) // one seen in a time to come would be there till then
	return d
}

// allowed says whether a decision is a yes, and whether it says so at all.
func (f *decisionFields) allowed() (yes, known bool) {
	switch word := strings.ToLower(string(f.Decision)); {
	case f.Result.known:
		return f.Result.value, true
	case f.Allowed.known:
		return f.Allowed.value, true
	case strings.HasPrefix(word, "allow"):
		return true, true
	case strings.HasPrefix(word, "den"):
		return false, true
	}
	return false, false
}

// SaysYesOrNo reports whether a decision, a JSON object, tells what was decided.
func SaysYesOrNo(raw []byte) bool {
	var fields decisionFields
	_ = json.Unmarshal(raw, &fields)
	_, known := fields.allowed()
	return known
}

// canonical spells JSON in one way, whatever the order of its keys was: the policy engine sends a decision with them in
// one order and answers with them in another. What is too large to be kept whole is left as it came.
func canonical(raw []byte) []byte {
	if len(raw) > engine.MaxEventDetailsBytes {
		return raw
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return raw
	}
	spelt, err := json.Marshal(value)
	if err != nil {
		return raw
	}
	return spelt
}

// point is the sample of how long a decision took; there is none if it doesn't tell.
func (d *Decision) point() (p point, ok bool) {
	if !d.executionTime.known {
		return point{}, false
	}
	tags := model.Tags{}
	for _, tag := range []model.Tag{{Key: "policy_id", Value: d.policyID}, {Key: "component", Value: d.component}} {
		if tag.Value != "" {
			tags = append(tags, tag)
		}
	}
	return point{name: "execution_time", unit: "ms", tags: tags, time: d.Event.Time, value: d.executionTime.value}, true
}

// onlyWarned reports whether a decision that is a no was carried out as a warning or as a line of a log. FLOPY-NET's engine
// repeats the reason in action_taken, which says nothing about it.
func (f *decisionFields) onlyWarned() bool {
	if f.ActionTaken == f.Reason {
		return false
	}
	for word := range strings.FieldsFuncSeq(strings.ToLower(string(f.ActionTaken)), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if strings.HasPrefix(word, "warn") || word == "log" || word == "logged" || word == "logging" {
			return true
		}
	}
	return false
}
