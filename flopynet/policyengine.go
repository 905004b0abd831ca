package flopynet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// monitorPolicyEngine adds the pollers of the policy engine, and takes up their positions.
func (t *Testbed) monitorPolicyEngine(p *peer) {
	db, logger := t.db, t.options.Logger
	e := &policyMonitor{
		testbed: t, peer: p, recorder: t.decisions.recorder,
		decisions: decisionPoll{testbed: t, peer: p, position: restored[decisionPosition](db, logger, decisionsState)},
		hours:     hourPoll{testbed: t, peer: p, position: restored[hourPosition](db, logger, hoursState)},
		events:    policyEventPoll{testbed: t, peer: p, position: restored[policyEventPosition](db, logger, policyEventsState)},
	}
	t.parameters.peer = p
	t.poll(p, "health", t.options.PolicyEngine.Interval, e.recorder, e.poll)
	if t.gate != nil && t.options.PolicyEngine.Interval < 0 { // it isn't to be polled, but must be asked for the others
		t.poll(p, "check", defaultInterval, e.recorder, func(ctx context.Context) error { return t.gate.ask(ctx, p) })
	}
	t.poll(p, "events", t.options.EventInterval, e.recorder, e.pollEvents)
}

// policyMonitor polls the policy engine.
type policyMonitor struct {
	testbed  *Testbed
	peer     *peer
	recorder *recorder

	decisions decisionPoll
	hours     hourPoll
	events    policyEventPoll
}

// poll asks for all but the events. Of an engine that denies the collecting of metrics only the health is asked.
func (e *policyMonitor) poll(ctx context.Context) error {
	var parts []func(context.Context) error
	if gate := e.testbed.gate; gate != nil { // first: the other pollers wait for it
		parts = append(parts, func(ctx context.Context) error { return gate.ask(ctx, e.peer) })
	}
	return errorsOf(ctx, append(parts, e.peer.check, e.allowed(e.pollMetrics), e.allowed(e.decisions.poll), e.allowed(e.hours.poll),
		e.allowed(e.testbed.parameters.poll))...)
}

func (e *policyMonitor) pollEvents(ctx context.Context) error { return e.allowed(e.events.poll)(ctx) }

// allowed makes a part of a poll one that does nothing while the gate is closed.
func (e *policyMonitor) allowed(part func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if e.testbed.gate.isClosed() {
			return nil
		}
		return part(ctx)
	}
}

// policyFigures returns the numbers of GET /metrics that are stored, and their units. They are stamped with the time that
// we asked, since the answer tells none.
func policyFigures() map[string]string {
	return map[string]string{
		"uptime_seconds": "s", "policy_count": "count", "enabled_policy_count": "count", "policy_version": "", "policy_history_count": "count",
		"policy_applications_count": "count", "policy_checks_total": "count", "policy_checks_allowed": "count", "policy_checks_denied": "count",
		"latest_application_timestamp": "s",
	}
}

// pollMetrics stores the engine's own figures.
func (e *policyMonitor) pollMetrics(ctx context.Context) error {
	var answer map[string]number
	asked := e.peer.now()
	if err := e.peer.get(ctx, "/metrics", nil, maxAnswerBytes, &answer); err != nil {
		return err
	}
	at := asked.Truncate(time.Millisecond).UnixNano()
	units := policyFigures()
	var points []point
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if value := answer[name]; value.known && (name != "latest_application_timestamp" || value.value > 0) { // 0: there was none yet
			points = append(points, point{name: name, unit: units[name], time: at, value: value.value})
		}
	}
	if len(points) == 0 {
		return fmt.Errorf("GET /metrics: its answer has none of the figures that a policy engine tells")
	}
	if uptime := answer["uptime_seconds"]; uptime.known {
		e.decisions.startedAt(at - int64(uptime.value*float64(time.Second)))
	}
	return e.recorder.samplesOrLog(points)
}

// underKey is an array of an answer, bare or as the value of some key of an object: engines differ.
type underKey[T any] struct{ list list[T] }

// UnmarshalJSON implements json.Unmarshaler.
func (u *underKey[T]) UnmarshalJSON(raw []byte) error {
	var wrapped struct {
		Decisions json.RawMessage `json:"decisions"`
		Metrics   json.RawMessage `json:"metrics"`
	}
	if raw[0] == '{' && json.Unmarshal(raw, &wrapped) == nil {
		for _, inner := range []json.RawMessage{wrapped.Decisions, wrapped.Metrics} {
			if len(inner) > 0 {
				return u.list.UnmarshalJSON(inner)
			}
		}
	}
	return u.list.UnmarshalJSON(raw)
}
