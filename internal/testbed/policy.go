package testbed

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// policy is a policy the engine has.
type policy struct {
	id, name, kind string
	priority       int
}

// policies are those that FLOPY-NET brings which this scenario meets, and some that it doesn't.
var policies = []policy{
	{"default-net-sec-001", "base_network_security", "network_security", 100},
	{"default-client-reg-003", "fl_client_registration", "fl_client_start", 85},
	{"default-client-eval-004", "fl_client_evaluation_policy", "fl_client_evaluation", 80},
	{"default-client-train-005", "fl_client_training_policy", "fl_client_training", 80},
	{"default-server-control-006", "fl_server_control_policy", "fl_server_control", 95},
	{"default-training-params-007", "fl_training_parameters_policy", "fl_training_parameters", 75},
	{"default-client-selection-008", "fl_client_selection_policy", "fl_server_client_filter", 70},
	{"advanced-qos-011", "advanced_qos_policy", "network_qos", 85},
}

const (
	mostDecisions    = 1000
	mostPolicyEvents = 500
	mostApplications = 1000
)

// policyEngine is the engine: all it ever did, and what it has in memory.
type policyEngine struct {
	line      *timeline
	seed      uint64
	allEvents []Event
	all       []Decision
	logged    int            // events, those included that are forgotten
	decided   func(Decision) // nil: nobody is told

	version int // is in a file, and survives

	began        time.Time
	events       []Event
	decisions    []Decision
	applications []application
	checks       struct{ total, allowed, denied int }
	kinds        []string // of policies that were asked for, in the order of the first
	latest       time.Time
}

// application is a check, also one that no policy covers.
type application struct {
	at         time.Time
	allowed    bool
	evaluation time.Duration
}

// start starts the process, and again after a restart.
func (e *policyEngine) start() {
	*e = policyEngine{
		line: e.line, seed: e.seed, allEvents: e.allEvents, all: e.all, logged: e.logged, decided: e.decided, version: e.version,
		began: e.line.now,
	}
	for _, p := range policies {
		e.log("POLICY_LOADED", object{"policy_id": p.id, "policy_type": p.kind, "source": "merged_policies"})
	}
	e.log("ENGINE_START", object{"version": e.version, "policies_loaded": len(policies)})
}

// log appends an event, and forgets the oldest fifth when the buffer is full.
func (e *policyEngine) log(kind string, details object) {
	e.logged++
	event := Event{ID: uuid(e.seed, "policy event", e.began.UnixMicro(), e.logged), Type: kind, Time: e.line.now, Details: details}
	e.allEvents = append(e.allEvents, event)
	e.events = append(e.events, event)
	if len(e.events) > mostPolicyEvents {
		e.events = append([]Event(nil), e.events[mostPolicyEvents/5:]...)
	}
}

// update changes a policy.
func (e *policyEngine) update(id string) {
	e.version++
	e.log("POLICY_UPDATED", object{"policy_id": id, "policy_type": "fl_client_training", "version": e.version})
}

// check answers a question. denial is why it is denied; empty: it is allowed. Nobody asks twice in a microsecond
// about the same, so the random numbers may follow from the time.
func (e *policyEngine) check(kind string, context object, denial string) bool {
	r := random(e.seed, "check", kind, e.line.now.UnixMicro(), context["client_id"])
	evaluation := time.Duration(between(r, 150, 900)) * time.Microsecond
	request := fmt.Sprintf("req_%d", e.line.now.Unix())
	allowed := denial == ""
	context["timestamp"] = epoch(e.line.now)
	var applied *policy
	for i := range policies {
		if policies[i].kind == kind {
			applied = &policies[i]
		}
	}
	e.record(kind, application{e.line.now, allowed, evaluation})
	elapsed := milliseconds(evaluation)
	if applied == nil {
		e.log("POLICY_EVAL_RESULT", object{"request_id": request, "policy_type": kind, "elapsed_ms": elapsed, "result": object{
			"allowed": true, "reason": "No policies of type " + kind + " found", "policies_checked": []string{}, "violations": []string{},
		}})
		return true
	}
	reason := "Allowed by 1 rule(s)"
	if !allowed {
		reason = fmt.Sprintf("Policy '%s' rule 1: %s", applied.name, denial)
	}
	component := "fl-client"
	if context["server_id"] != nil {
		component = "fl-server"
	}
	decision := Decision{
		ID:       e.newID(r),
		PolicyID: applied.id, PolicyName: applied.name, PolicyType: kind, Component: component, Time: e.line.now,
		Context: context, Allowed: allowed, Reason: reason, Evaluation: evaluation, RequestID: request,
	}
	e.all = append(e.all, decision)
	if e.decisions = append(e.decisions, decision); len(e.decisions) > mostDecisions {
		e.decisions = e.decisions[len(e.decisions)-mostDecisions:]
	}
	if e.decided != nil {
		e.decided(decision)
	}
	if !allowed { // what is longer than 1,000 characters is cut to a summary
		e.log("POLICY_EVAL_RESULT", object{"summary": fmt.Sprintf("{'request_id': '%s', 'policy_type': '%s', 'result': "+
			"{'allowed': False, 'reason': \"%s\", 'policies_checked': 1, 'rule_evaluations': [{'policy_id': '%s'", request, kind, reason, applied.id)})
		return false
	}
	e.log("POLICY_EVAL_RESULT", object{"request_id": request, "policy_type": kind, "elapsed_ms": elapsed, "result": object{
		"allowed": true, "reason": reason, "policies_checked": 1, "evaluation_time": pyFloat(evaluation.Seconds()),
	}})
	return true
}

// newID is the id of a decision. Those of FLOPY-NET's can be the same within a millisecond; these are not, so that
// they can be counted.
func (e *policyEngine) newID(r *rand.Rand) string {
	for {
		id := fmt.Sprintf("decision_%d_%d", e.line.now.UnixMilli(), 1000+r.IntN(9000))
		taken := false
		for i := len(e.all) - 1; i >= 0 && e.line.now.Sub(e.all[i].Time) < time.Millisecond; i-- {
			taken = taken || e.all[i].ID == id
		}
		if !taken {
			return id
		}
	}
}

func (e *policyEngine) record(kind string, a application) {
	e.checks.total++
	if a.allowed {
		e.checks.allowed++
	} else {
		e.checks.denied++
	}
	known := false
	for _, k := range e.kinds {
		known = known || k == kind
	}
	if !known {
		e.kinds = append(e.kinds, kind)
	}
	e.latest = a.at
	if e.applications = append(e.applications, a); len(e.applications) > mostApplications {
		e.applications = e.applications[len(e.applications)-mostApplications:]
	}
}
