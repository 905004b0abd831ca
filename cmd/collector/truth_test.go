package main

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// happened is something that a component told of once, and that is stored as an event.
type happened struct {
	id, kind string
	time     time.Time
}

// truth is what has happened in a testbed, as far as the collector can know of it.
type truth struct {
	rounds    []testbed.Round
	events    map[string][]happened // by component
	decisions []happened
	lost      map[string]bool // ids of what a component forgot before anybody could read it
}

// truthOf tells what has happened until now. lost are the IDs of events and decisions that nobody could read.
func truthOf(bed *testbed.Testbed, lost map[string]bool) truth {
	all := truth{rounds: bed.Rounds(), events: map[string][]happened{}, lost: lost}
	for _, event := range bed.FLEvents() {
		all.events[flopynet.FLServer] = append(all.events[flopynet.FLServer], happened{flopynet.FLServer + "/" + event.ID, event.Type, event.Time})
	}
	for _, event := range bed.PolicyEvents() {
		all.events[flopynet.PolicyEngine] = append(all.events[flopynet.PolicyEngine], happened{flopynet.PolicyEngine + "/" + event.ID, event.Type, event.Time})
	}
	for _, decision := range bed.Decisions() {
		kind := "policy_executed"
		if !decision.Allowed {
			kind = "policy_violation"
		}
		all.decisions = append(all.decisions, happened{flopynet.PolicyEngine + "/" + decision.ID, kind, decision.Time})
	}
	return all
}

// all is everything that is stored as an event, by component.
func (w truth) all() map[string][]happened {
	return map[string][]happened{
		flopynet.FLServer:     w.events[flopynet.FLServer],
		flopynet.PolicyEngine: slices.Concat(w.events[flopynet.PolicyEngine], w.decisions),
	}
}

// behind tells what the collector doesn't have yet of what has happened; empty: it has all.
func (e *experiment) behind(t *testing.T, w truth) string {
	t.Helper()
	from, to := e.ofExperiment()
	if n := len(e.samples(t, "accuracy", flopynet.FLServer, from, to)); n < len(w.rounds) {
		return fmt.Sprintf("%d of %d rounds", len(w.rounds)-n, len(w.rounds))
	}
	for component, all := range w.all() {
		missing := map[string]string{}
		for _, one := range all {
			if !w.lost[one.id] {
				missing[one.id] = one.kind
			}
		}
		for _, event := range e.events(t, component) {
			delete(missing, event.ID)
		}
		for id, kind := range missing {
			return fmt.Sprintf("%d of %d events and decisions of %s, such as %s %s", len(missing), len(all), component, kind, id)
		}
	}
	return ""
}

// compare compares all that is stored with what has happened.
func (e *experiment) compare(t *testing.T, w truth) {
	t.Helper()
	e.compareRounds(t, w.rounds)
	for component, all := range w.all() {
		e.compareEvents(t, component, all, w.lost)
	}
	e.compareDecisions(t, w)
	e.compareMeasurements(t)
}

// compareRounds: each round is there once, at the time at which the server ended it, in each series and in the list.
func (e *experiment) compareRounds(t *testing.T, rounds []testbed.Round) {
	t.Helper()
	from, to := e.ofExperiment()
	for metric, value := range map[string]func(testbed.Round) float64{
		"round":             func(r testbed.Round) float64 { return float64(r.Number) },
		"accuracy":          func(r testbed.Round) float64 { return r.Accuracy },
		"loss":              func(r testbed.Round) float64 { return r.Loss },
		"clients":           func(r testbed.Round) float64 { return float64(r.Clients) },
		"training_duration": func(r testbed.Round) float64 { return r.End.Sub(r.Begin).Seconds() },
	} {
		var want []sample
		for _, r := range rounds {
			want = append(want, sample{r.End.UnixNano(), value(r)})
		}
		if got := e.samples(t, metric, flopynet.FLServer, from, to); !slices.Equal(got, want) {
			t.Errorf("the series %s has %d samples of %d rounds; -want +got:\n%s", metric, len(got), len(want), differenceOf(want, got))
		}
	}
	type row struct {
		Round     int       `json:"round"`
		Timestamp time.Time `json:"timestamp"`
		Accuracy  float64   `json:"accuracy"`
		Loss      float64   `json:"loss"`
		Clients   int       `json:"clients"`
	}
	var list struct {
		Rounds      []row `json:"rounds"`
		TotalRounds int   `json:"total_rounds"`
		LatestRound int   `json:"latest_round"`
	}
	get(t, e.url+"/api/metrics/fl/rounds?limit=1000&sort_order=asc", &list)
	var want []row
	for _, r := range rounds {
		want = append(want, row{r.Number, r.End, r.Accuracy, r.Loss, r.Clients})
	}
	same := slices.EqualFunc(want, list.Rounds, func(a, b row) bool {
		at := a.Timestamp.Equal(b.Timestamp)
		a.Timestamp = b.Timestamp
		return at && a == b
	})
	if !same || list.TotalRounds != len(want) || list.LatestRound != rounds[len(rounds)-1].Number {
		t.Errorf("/api/metrics/fl/rounds has %d of %d rounds, the latest %d; -want +got:\n%s", list.TotalRounds, len(want), list.LatestRound, differenceOf(want, list.Rounds))
	}
}

// compareEvents: each event is there once, at its own time, and there is none that nobody sent.
func (e *experiment) compareEvents(t *testing.T, component string, want []happened, lost map[string]bool) {
	t.Helper()
	stored := map[string]storedEvent{}
	for _, event := range e.events(t, component) {
		if _, twice := stored[event.ID]; twice {
			t.Errorf("event %s is stored twice", event.ID)
		}
		stored[event.ID] = event
	}
	byID := map[string][]happened{} // the engine draws the same ID twice now and then; the first one stands
	for _, one := range want {
		byID[one.id] = append(byID[one.id], one)
	}
	for id, all := range byID {
		event, ok := stored[id]
		fits := func(one happened) bool {
			return event.Type == one.kind && math.Abs(float64(event.Timestamp-one.time.UnixNano())) <= float64(time.Microsecond)
		}
		switch {
		case !ok && !lost[id]:
			t.Errorf("%s is missing: %+v", id, all)
		case ok && !slices.ContainsFunc(all, fits):
			t.Errorf("%+v is stored as %s of %d", all, event.Type, event.Timestamp)
		}
	}
	for id, event := range stored {
		if byID[id] == nil {
			t.Errorf("nobody sent %s %s", event.Type, id)
		}
	}
	t.Logf("%s: %d events and decisions, %d stored, each once", component, len(want), len(stored))
}

// compareDecisions looks at the decisions as the two views tell them.
func (e *experiment) compareDecisions(t *testing.T, w truth) {
	t.Helper()
	denied, ids := 0, map[string]bool{}
	for _, d := range w.decisions {
		if ids[d.id] || w.lost[d.id] { // the engine draws the same ID twice now and then
			continue
		}
		if ids[d.id] = true; d.kind == "policy_violation" {
			denied++
		}
	}
	var view struct {
		Events []struct {
			Result string `json:"result"`
		} `json:"events"`
		Total int `json:"total"`
	}
	get(t, e.url+"/policy/events?limit=1000", &view)
	deniedThere := 0
	for _, event := range view.Events {
		if event.Result == "denied" {
			deniedThere++
		}
	}
	if view.Total != len(ids) || len(ids) <= 1000 && (len(view.Events) != len(ids) || deniedThere != denied) {
		t.Errorf("/policy/events has %d of %d decisions, %d and not %d of them denied", view.Total, len(ids), deniedThere, denied)
	}
}

// compareMeasurements: what the clients have pushed is there once.
func (e *experiment) compareMeasurements(t *testing.T) {
	t.Helper()
	from, to := e.ofExperiment()
	var want []sample
	for _, m := range e.bed.Measurements() {
		want = append(want, sample{m.Time.UnixNano(), m.Values[0].Value})
	}
	got := e.samples(t, "training_time", "fl_client", from, to)
	order := func(a, b sample) int {
		if a.time != b.time {
			return int(a.time - b.time)
		}
		return int(math.Copysign(1, a.value-b.value))
	}
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if !slices.Equal(got, want) {
		t.Errorf("%d measurements are stored of %d; -want +got:\n%s", len(got), len(want), differenceOf(want, got))
	}
}

// differenceOf lists at most ten elements that are in one list alone.
func differenceOf[T any](want, got []T) string {
	spell := func(list []T) map[string]int {
		spelt := map[string]int{}
		for _, one := range list {
			spelt[fmt.Sprintf("%+v", one)]++
		}
		return spelt
	}
	var lines []string
	a, b := spell(want), spell(got)
	for text, n := range a {
		if b[text] != n {
			lines = append(lines, fmt.Sprintf("-%d+%d %s", n, b[text], text))
		}
	}
	for text, n := range b {
		if a[text] == 0 {
			lines = append(lines, fmt.Sprintf("-0+%d %s", n, text))
		}
	}
	slices.Sort(lines)
	return fmt.Sprintln(lines[:min(10, len(lines))])
}
