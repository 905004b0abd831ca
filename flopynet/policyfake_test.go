package flopynet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// fakeEngine answers as FLOPY-NET's policy engine does, for what its simulator doesn't come to: many decisions of one time,
// clocks that are wrong, other limits.
type fakeEngine struct {
	t      *testing.T
	server *httptest.Server

	mu        sync.Mutex
	decisions []map[string]any // in the order of their making
	events    []map[string]any
	hours     func(start, end float64) []map[string]any
	metrics   map[string]any
	allowed   string // the answer to /check
	most      int    // decisions in an answer, whatever was asked for; 0: no bound
	broken    bool   // every answer is 500
	requests  []string
	asked     func() // before each answer; nil: nothing
}

func startFakeEngine(t *testing.T) *fakeEngine {
	t.Helper()
	f := &fakeEngine{t: t, metrics: map[string]any{"version": "1.0.0", "uptime_seconds": 10.5, "policy_count": 20}, allowed: `{"allowed": true}`}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.URL.Path)
	if f.asked != nil {
		f.asked()
	}
	query := r.URL.Query()
	switch {
	case f.broken:
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Path == "/check":
		_, _ = fmt.Fprint(w, f.allowed)
	case r.URL.Path == "/health":
		_, _ = fmt.Fprint(w, `{"status": "ok", "version": 2}`)
	case r.URL.Path == "/metrics":
		f.answer(w, f.metrics)
	case r.URL.Path == decisionsPath:
		f.answer(w, f.list(query.Get("start_time"), query.Get("end_time"), query.Get("limit")))
	case r.URL.Path == hoursPath && f.hours != nil:
		start, _ := strconv.ParseFloat(query.Get("start_time"), 64)
		end, _ := strconv.ParseFloat(query.Get("end_time"), 64)
		f.answer(w, f.hours(start, end))
	case r.URL.Path == "/events":
		from := 0
		for i, event := range f.events {
			if event["id"] == query.Get("since_event_id") {
				from = i + 1
			}
		}
		limit, _ := strconv.Atoi(query.Get("limit"))
		page := f.events[from:]
		f.answer(w, map[string]any{"events": page[:min(limit, len(page))], "last_event_id": "the newest of all"})
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeEngine) answer(w http.ResponseWriter, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		f.t.Error(err)
	}
}

// list returns the decisions of a span, newest first.
func (f *fakeEngine) list(start, end, limit string) []map[string]any {
	passed := []map[string]any{}
	from, fromErr := strconv.ParseFloat(start, 64)
	to, toErr := strconv.ParseFloat(end, 64)
	for _, d := range f.decisions {
		at, _ := d["timestamp"].(float64)
		if (fromErr != nil || at >= from) && (toErr != nil || at <= to) {
			passed = append(passed, d)
		}
	}
	slices.SortStableFunc(passed, func(a, b map[string]any) int {
		x, _ := a["timestamp"].(float64)
		y, _ := b["timestamp"].(float64)
		return cmp.Compare(y, x)
	})
	n, err := strconv.Atoi(limit)
	if err != nil {
		n = shortPage
	}
	if f.most > 0 {
		n = min(n, f.most)
	}
	return passed[:min(n, len(passed))]
}

// decide has the engine make a decision at a time, and returns it.
func (f *fakeEngine) decide(at time.Time, allowed bool) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.requests) + len(f.decisions)
	word, reason := "allow", "Allowed by 1 rule(s)"
	if !allowed {
		word, reason = "deny", "Policy 'fl_client_training_policy' rule 0: not now"
	}
	d := map[string]any{
		"id": fmt.Sprintf("decision_%d_%d_%d", at.UnixMilli(), n, len(f.decisions)), "policy_id": "default-client-train-005",
		"policy_name": "fl_client_training_policy", "component": "fl-client", "timestamp": float64(at.UnixMicro()) / 1e6,
		"context": map[string]any{"client_id": "client-1", "server_round": 3}, "decision": word, "result": allowed, "reason": reason,
		"action_taken": reason, "execution_time": 0.125 + float64(len(f.decisions)%7), "request_id": "req_1",
	}
	f.decisions = append(f.decisions, d)
	return d
}

// bedOf returns a Testbed that polls a policy engine, and nothing else, when it is told to.
func bedOf(t *testing.T, db *engine.DB, f *fakeEngine, now func() time.Time, change ...func(*Options)) *Testbed {
	t.Helper()
	options := Options{PolicyEngine: PeerOptions{URL: f.server.URL, Timeout: time.Minute}, Now: now}
	for _, one := range change {
		one(&options)
	}
	bed, err := NewTestbed(db, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	return bed
}

// pollOf returns the poller of a name of the policy engine's.
func pollOf(t *testing.T, bed *Testbed, name string) *poller {
	t.Helper()
	for _, p := range bed.pollers {
		if p.peer.name == PolicyEngine && p.name == name {
			return p
		}
	}
	t.Fatalf("there is no poller %s", name)
	return nil
}

// mustPoll polls what must go well.
func mustPoll(t *testing.T, bed *Testbed, name string) {
	t.Helper()
	if err := pollOf(t, bed, name).poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// eventsOf returns all events that are stored, by ID.
func eventsOf(t *testing.T, db *engine.DB) map[string]engine.Event {
	t.Helper()
	result, err := db.Events(t.Context(), engine.EventQuery{From: model.MinTime, To: model.MaxTime, Limit: 1 << 20})
	if err != nil || result.More {
		t.Fatal(err, result)
	}
	events := map[string]engine.Event{}
	for _, e := range result.Events {
		if _, twice := events[e.ID]; twice {
			t.Errorf("%s is stored twice", e.ID)
		}
		events[e.ID] = e
	}
	return events
}

// policySamples returns the samples of a metric of the policy engine's as "tags time value".
func policySamples(t *testing.T, db *engine.DB, name string) []string {
	t.Helper()
	result, err := db.Samples(t.Context(), engine.SamplesRequest{Limit: 100_000, Selection: engine.Selection{
		From: model.MinTime, To: model.MaxTime,
		Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name), model.EqualMatcher(model.SourceKey, PolicyEngine)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range result.Rows {
		series := result.Series[row.Series]
		text := ""
		for _, tag := range series.Tags {
			if tag.Key != model.SourceKey {
				text += tag.Key + ":" + tag.Value + " "
			}
		}
		rows = append(rows, strings.TrimSpace(fmt.Sprint(text, series.Unit, " ", time.Unix(0, row.Time).UTC().Format("15:04:05.999999"), " ", row.Value)))
	}
	return rows
}

// stepClock is a clock that several goroutines may read.
type stepClock struct{ ns atomic.Int64 }

func newStepClock(at time.Time) *stepClock {
	c := &stepClock{}
	c.ns.Store(at.UnixNano())
	return c
}

func (c *stepClock) now() time.Time        { return time.Unix(0, c.ns.Load()).UTC() }
func (c *stepClock) step(by time.Duration) { c.ns.Add(int64(by)) }
