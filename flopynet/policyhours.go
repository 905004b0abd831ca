package flopynet

import (
	"context"
	"maps"
	"net/url"
	"time"
)

const (
	hoursPath  = "/api/v1/policy_metrics"
	hoursState = PolicyEngine + "/hours"

	maxHoursBack = 24 // what came before, FLOPY-NET's engine has mostly forgotten

	// hourIsOpen is how long after its end an hour may still change, since the policy engine's clock is another than ours.
	hourIsOpen = 10 * time.Minute
)

// hourPosition is which hours of the policy engine's figures are stored. It is kept in the engine's state.
type hourPosition struct {
	Open   int64             `json:"open"`   // begin of the first hour that may still change; ns since the epoch
	Totals map[int64]float64 `json:"totals"` // of the decisions, by begin of the hour, of those since then
}

// hourPoll reads the policy engine's figures by the hour. The engine counts hours from the time that it is asked for, so
// that we ask for whole ones. It makes the figures of any hour from what it remembers now: the decisions of an hour become
// fewer when it forgets them or starts again, and the number of policies is today's in each hour. So an hour keeps the most
// decisions that were told of it, and the number of policies is taken for the hour that is under way alone.
type hourPoll struct {
	testbed  *Testbed
	peer     *peer
	position hourPosition

	policies hourValue // as stored last
}

type hourValue struct {
	time  int64
	value float64
}

// hourRow is a row of the answer.
type hourRow struct {
	Timestamp        moment `json:"timestamp"`
	MetricName       text   `json:"metric_name"`
	Value            number `json:"metric_value"`
	Allowed          number `json:"allowed_count"`
	Denied           number `json:"denied_count"`
	DenialRate       number `json:"denial_rate"`
	EvaluationTimeMs number `json:"avg_evaluation_time_ms"`
	UniqueRequesters number `json:"unique_requesters"`
}

// poll stores what is new in the hours that may still change. The samples of an hour have the time of its begin.
func (h *hourPoll) poll(ctx context.Context) error {
	now := h.peer.now().UnixNano()
	begin := now - now%int64(time.Hour)
	open := now - int64(hourIsOpen)
	open -= open % int64(time.Hour)
	from := max(min(h.position.Open, open), begin-maxHoursBack*int64(time.Hour)) // what was open may be to come, if our clock was set back
	var answer underKey[hourRow]
	err := h.peer.get(ctx, hoursPath, url.Values{"start_time": {epochText(from)}, "end_time": {epochText(now)}}, maxAnswerBytes, &answer)
	if isNotThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	next := hourPosition{Open: open, Totals: maps.Clone(h.position.Totals)}
	if next.Totals == nil {
		next.Totals = map[int64]float64{}
	}
	policies := h.policies
	var points []point
	for i := range answer.list {
		row := &answer.list[i]
		at := row.Timestamp.ns
		if !row.Value.known || at < from || at > begin || at%int64(time.Hour) != 0 {
			continue
		}
		switch {
		case row.MetricName == "total_decisions" && row.Value.value > next.Totals[at]:
			points = append(points, row.points()...)
			next.Totals[at] = row.Value.value
		case row.MetricName == "active_policies" && at == begin && policies != hourValue{at, row.Value.value}:
			points = append(points, point{name: "active_policies", unit: "count", time: at, value: row.Value.value})
			policies = hourValue{at, row.Value.value}
		}
	}
	return h.store(points, policies, next)
}

// store stores samples, and then how far we have come.
func (h *hourPoll) store(points []point, policies hourValue, next hourPosition) error {
	if len(points) > 0 {
		if err := h.testbed.decisions.recorder.samplesOrLog(points); err != nil {
			return err
		}
	}
	h.policies = policies
	maps.DeleteFunc(next.Totals, func(at int64, _ float64) bool { return at < next.Open })
	if next.Open == h.position.Open && maps.Equal(next.Totals, h.position.Totals) {
		return nil
	}
	if err := saveState(h.testbed.db, hoursState, next); err != nil {
		return err
	}
	h.position = next
	return nil
}

// points are the samples of an hour's decisions.
func (r *hourRow) points() []point {
	var points []point
	for _, figure := range [...]struct {
		name, unit string
		value      number
	}{
		{"total_decisions", "count", r.Value}, {"allowed_count", "count", r.Allowed}, {"denied_count", "count", r.Denied},
		{"denial_rate", "percent", r.DenialRate}, {"avg_evaluation_time_ms", "ms", r.EvaluationTimeMs},
		{"unique_requesters", "count", r.UniqueRequesters},
	} {
		if figure.value.known {
			points = append(points, point{name: figure.name, unit: figure.unit, time: r.Timestamp.ns, value: figure.value.value})
		}
	}
	return points
}
