package flopynet

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/testbed"
)

// TestPolicyFigures: numbers of the engine become series, at the time that it was asked, and nothing else does.
func TestPolicyFigures(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	now := noon
	bed := bedOf(t, db, f, func() time.Time { return now })
	f.metrics = map[string]any{
		"version": "1.0.0", "uptime_seconds": 14.5, "policy_count": 20, "policy_checks_total": 75, "policy_checks_denied": "x",
		"policy_components": []string{"unknown"}, "latest_application_timestamp": 0, "hostile": 7,
	}
	mustPoll(t, bed, "health")
	now = noon.Add(5 * time.Second)
	f.metrics["latest_application_timestamp"] = 1705320000.5
	mustPoll(t, bed, "health")
	for name, want := range map[string][]string{
		"uptime_seconds": {"s 12:00:00 14.5", "s 12:00:05 14.5"}, "policy_count": {"count 12:00:00 20", "count 12:00:05 20"},
		"policy_checks_total": {"count 12:00:00 75", "count 12:00:05 75"}, "latest_application_timestamp": {"s 12:00:05 1.7053200005e+09"},
		"policy_checks_denied": nil, "hostile": nil, "version": nil,
	} {
		if diff := cmp.Diff(want, policySamples(t, db, name)); diff != "" {
			t.Errorf("%s, -want +got:\n%s", name, diff)
		}
	}
	f.metrics = map[string]any{"something": "else"}
	if err := pollOf(t, bed, "health").poll(t.Context()); err == nil || !strings.Contains(err.Error(), "GET /metrics") {
		t.Errorf("an answer without figures: %v", err)
	}
}

// TestPolicyHours: figures by the hour, of an engine that forgets, starts again and tells today's policies for any hour.
func TestPolicyHours(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	now := noon.Add(20 * time.Minute)
	clock := func() time.Time { return now }
	bed := bedOf(t, db, f, clock)
	policies := 20
	totals := map[int]int{-2: 5, -1: 40, 0: 3} // by hours since noon
	f.hours = func(start, end float64) []map[string]any {
		if start != float64(int64(start)/3600*3600) {
			t.Errorf("it was asked from %f, which is no whole hour", start)
		}
		var rows []map[string]any
		for at := start; at <= end; at += 3600 {
			rows = append(rows, map[string]any{"timestamp": at, "iso_time": "x", "metric_type": "policy_count", "metric_name": "active_policies", "metric_value": policies, "unit": "count"})
			if n := totals[(int(at)-int(noon.Unix()))/3600]; n > 0 {
				rows = append(rows, map[string]any{"timestamp": at, "metric_type": "decision_count", "metric_name": "total_decisions", "metric_value": n,
					"allowed_count": n - 1, "denied_count": 1, "denial_rate": 2.5, "avg_evaluation_time_ms": 0.16, "unique_requesters": 1, "unit": "count"})
			}
		}
		return append(rows, map[string]any{"timestamp": start + 17, "metric_name": "total_decisions", "metric_value": 1e6}, // no hour's
			map[string]any{"timestamp": start + 864000, "metric_name": "total_decisions", "metric_value": 1e6}) // of the future
	}
	mustPoll(t, bed, "health")
	wantHours := func(when string, totals, active []string) {
		t.Helper()
		if diff := cmp.Diff(totals, policySamples(t, db, "total_decisions")); diff != "" {
			t.Errorf("%s, decisions, -want +got:\n%s", when, diff)
		}
		if diff := cmp.Diff(active, policySamples(t, db, "active_policies")); diff != "" {
			t.Errorf("%s, policies, -want +got:\n%s", when, diff)
		}
	}
	wantHours("at first", []string{"count 10:00:00 5", "count 11:00:00 40", "count 12:00:00 3"}, []string{"count 12:00:00 20"})

	now, policies = now.Add(43*time.Minute), 21 // 13:03: the last hour may still change
	totals = map[int]int{-2: 1, -1: 2, 0: 9, 1: 1}
	bed = bedOf(t, db, f, clock)
	mustPoll(t, bed, "health")
	wantHours("in the next hour", []string{"count 10:00:00 5", "count 11:00:00 40", "count 12:00:00 9", "count 13:00:00 1"},
		[]string{"count 12:00:00 20", "count 13:00:00 21"})

	now = now.Add(10 * time.Minute) // 13:13: the engine has started again, and 12 o'clock is over
	totals = map[int]int{0: 2, 1: 5}
	bed = bedOf(t, db, f, clock)
	mustPoll(t, bed, "health")
	totals = map[int]int{0: 100, 1: 4}
	mustPoll(t, bed, "health")
	want := []string{"count 10:00:00 5", "count 11:00:00 40", "count 12:00:00 9", "count 13:00:00 5"}
	wantHours("after a restart", want, []string{"count 12:00:00 20", "count 13:00:00 21"})
	if got := policySamples(t, db, "denial_rate"); len(got) != len(want) || got[0] != "percent 10:00:00 2.5" {
		t.Errorf("the rates of denials are %v", got)
	}

	now = now.AddDate(1, 0, 0) // our clock is a year ahead for a while
	mustPoll(t, bed, "health")
	now = now.AddDate(-1, 0, 0)
	totals = map[int]int{1: 7}
	mustPoll(t, bed, "health")
	want[3] = "count 13:00:00 7"
	if got := policySamples(t, db, "total_decisions"); !slices.Equal(got, want) {
		t.Errorf("after a while in the future: %v", got)
	}

	f.hours = nil // an engine that has no such path
	mustPoll(t, bed, "health")
}

// TestOddPolicyEvents are stored as far as they can be, each once, and an id that is none keeps no page from being the next one's begin.
func TestOddPolicyEvents(t *testing.T) {
	db := openEngine(t, engine.Options{})
	answer := `{"events":[{"id":"` + strings.Repeat("x", 5000) + `","type":"A","timestamp":1705320000},{"id":"line\nbreak","type":"B","timestamp":1705320001},
		{"id":"c","type":"C","timestamp":1705320002,"details":{"message":"` + strings.Repeat("m", 100_000) + `"}},{"type":"D","timestamp":1705320003},
		{"id":"` + strings.Repeat("y", 5000) + `","timestamp":1705320004}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.RawQuery) > 1000 {
			t.Errorf("asked with a query of %d bytes", len(r.URL.RawQuery))
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	bed, err := NewTestbed(db, Options{PolicyEngine: PeerOptions{URL: server.URL, Timeout: time.Minute}, Now: func() time.Time { return noon.Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	mustPoll(t, bed, "events")
	mustPoll(t, bed, "events")
	position := restored[policyEventPosition](db, bed.options.Logger, policyEventsState)
	if got := eventsOf(t, db); len(got) != 5 || len(got["policy_engine/c"].Message) != maxMessageBytes || position.LastID != "c" {
		t.Errorf("%d events, behind %q: %v", len(got), position.LastID, slices.Sorted(maps.Keys(got)))
	}
	answer = `{"error":"no such thing"}`
	if err := pollOf(t, bed, "events").poll(t.Context()); err == nil {
		t.Error("an answer without events is taken for one")
	}
}

// TestPolicyEvents pages through many events, and again after a restart of either side.
func TestPolicyEvents(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	clock := func() time.Time { return noon.Add(time.Hour) }
	bed := bedOf(t, db, f, clock)
	want := map[string]string{}
	add := func(id, kind string, details map[string]any, text string) {
		f.events = append(f.events, map[string]any{"id": id, "type": kind, "timestamp": float64(noon.Unix()) + 0.5 + float64(len(f.events)), "source": "POLICY_ENGINE", "details": details})
		want["policy_engine/"+id] = text
	}
	for i := range 2*eventPage + 10 {
		add(fmt.Sprintf("a%d", i), "POLICY_LOADED", nil, "POLICY_LOADED info ")
	}
	check := func(when string) {
		t.Helper()
		mustPoll(t, bed, "events")
		got := map[string]string{}
		for id, e := range eventsOf(t, db) {
			got[id] = fmt.Sprint(e.Type, " ", e.Level, " ", e.Message)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, -want +got:\n%.2000s", when, diff)
		}
	}
	check("at first")
	add("b", "POLICY_EVAL_RESULT", map[string]any{"result": map[string]any{"allowed": false, "reason": "x"}, "reason": "too late"}, "POLICY_EVAL_RESULT warning too late")
	add("c", "POLICY_RELOAD_FAILED", map[string]any{"summary": "{'x"}, "POLICY_RELOAD_FAILED error ")
	bed = bedOf(t, db, f, clock)
	check("after our restart")
	f.events = nil
	add("d", "ENGINE_START", map[string]any{"version": 2}, "ENGINE_START info ")
	check("after its restart")
	check("again")
	if got := eventsOf(t, db)["policy_engine/d"]; got.Time != noon.UnixNano()+500e6 || string(got.Details) != `{"version":2}` || got.Component != PolicyEngine {
		t.Errorf("%+v", got)
	}
}

// TestPolicyEngineOfTheTestbed polls the simulated engine while an experiment runs, with restarts and failures of it, and
// restarts of ours, at any point. What it told while it was well is stored once, with its times.
func TestPolicyEngineOfTheTestbed(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	clock := newStepClock(noon)
	sim, err := testbed.New(testbed.Options{Seed: seed, Now: clock.now, Rounds: 50, RoundEvery: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	db := openEngine(t, engine.Options{})
	start := func() *Testbed {
		bed, err := NewTestbed(db, Options{PolicyEngine: PeerOptions{URL: sim.Policy.URL(), Timeout: time.Minute}, Now: clock.now, CheckPolicy: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(bed.Close)
		return bed
	}
	bed := start()
	poll := func() {
		mustPoll(t, bed, "health")
		mustPoll(t, bed, "events")
	}
	for range 100 {
		clock.step(time.Duration(random.IntN(8_000)) * time.Millisecond)
		switch random.IntN(8) {
		case 0:
			bed = start()
		case 1:
			poll() // what it is to forget must have been read
			if err := sim.Policy.Restart(); err != nil {
				t.Fatal(err)
			}
		case 2:
			mode := []testbed.Mode{testbed.Garbage, testbed.Status500, testbed.Truncated, testbed.Down}[random.IntN(4)]
			if err := sim.Policy.Fail(testbed.Failure{Mode: mode}); err != nil {
				t.Fatal(err)
			}
			if err := pollOf(t, bed, "health").poll(t.Context()); err == nil {
				t.Errorf("an engine in the mode %s was polled without an error", mode)
			}
			clock.step(time.Minute)
			if err := sim.Policy.Heal(); err != nil {
				t.Fatal(err)
			}
		default:
			poll()
		}
	}
	poll()
	want, got := map[string]string{}, map[string]string{}
	for _, d := range sim.Decisions() {
		kind := PolicyViolation
		if d.Allowed {
			kind = PolicyExecuted
		}
		want["policy_engine/"+d.ID] = fmt.Sprint(d.Time.UnixMicro(), " ", kind, " ", d.Reason)
	}
	for _, e := range sim.PolicyEvents() {
		want["policy_engine/"+e.ID] = fmt.Sprint(e.Time.UnixMicro(), " ", e.Type, " ")
	}
	for id, e := range eventsOf(t, db) {
		got[id] = fmt.Sprint(e.Time/1000, " ", e.Type, " ", e.Message)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(sim.Decisions()) < 50 {
		t.Errorf("of %d decisions, -want +got:\n%.3000s", len(sim.Decisions()), diff)
	}
	samples := map[string]bool{}
	for _, row := range policySamples(t, db, "execution_time") {
		samples[row] = true
	}
	for _, d := range sim.Decisions() {
		row := fmt.Sprint("component:", d.Component, " policy_id:", d.PolicyID, " ms ", d.Time.UTC().Format("15:04:05.999999"), " ")
		found := false
		for sample := range samples {
			found = found || strings.HasPrefix(sample, strings.TrimSpace(row))
		}
		if !found {
			t.Errorf("there is no sample %s", row)
		}
	}
}
