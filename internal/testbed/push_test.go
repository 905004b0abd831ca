package testbed

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is a collector that remembers what was pushed, and can refuse.
type sink struct {
	mu      sync.Mutex
	status  int // of each answer; 0: it is accepted
	bodies  map[string][]map[string]any
	keys    map[string]bool
	refused int
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[r.Header.Get("Authorization")] = true
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		s.status = http.StatusTeapot
	}
	if s.status != 0 {
		s.refused++
		w.WriteHeader(s.status)
		return
	}
	s.bodies[r.URL.Path] = append(s.bodies[r.URL.Path], body)
}

func (s *sink) set(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *sink) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func newSink(t *testing.T) (*sink, string) {
	t.Helper()
	s := &sink{bodies: map[string][]map[string]any{}, keys: map[string]bool{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func pushTo(t *testing.T, bed *Testbed, collector string) {
	t.Helper()
	if err := bed.PushTo(collector); err != nil {
		t.Fatal(err)
	}
}

func pushAll(t *testing.T, bed *Testbed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := bed.Push(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestPushes: each measurement once, with its time, and each decision, as FLOPY-NET's engine sends it.
func TestPushes(t *testing.T) {
	s, url := newSink(t)
	bed, clock := open(t, Options{Seed: 1, Rounds: 8, CollectorURL: url + "/base/", CollectorKey: "secret"})
	clock.advance(2 * time.Minute)
	pushAll(t, bed)
	s.mu.Lock()
	defer s.mu.Unlock()
	truth := bed.Measurements()
	got := s.bodies["/base/metrics"]
	if len(got) != len(truth) || len(truth) < 16 {
		t.Fatalf("%d measurements, want %d", len(got), len(truth))
	}
	for i, body := range got {
		at, err := time.Parse(time.RFC3339Nano, body["timestamp"].(string))
		metrics := body["metrics"].([]any)
		round, first := metrics[0].(map[string]any), metrics[1].(map[string]any)
		tags := first["tags"].(map[string]any)
		if want := truth[i]; err != nil || !at.Equal(want.Time) || body["source"] != "fl_client" || len(metrics) != len(want.Values)+1 ||
			first["name"] != "training_time" || first["value"] != want.Values[0].Value || tags["client_id"] != want.ClientID || round["name"] != "round" || round["value"] != float64(want.Round) {
			t.Errorf("%v isn't %+v", body, want)
		}
	}
	decisions := bed.Decisions()
	if pushed := s.bodies["/base/policy_decisions"]; len(pushed) != len(decisions) || pushed[0]["id"] != decisions[0].ID || pushed[0]["result"] != true {
		t.Errorf("%d decisions, want %d", len(pushed), len(decisions))
	}
	if len(s.keys) != 1 || !s.keys["Bearer secret"] {
		t.Errorf("keys %v", s.keys)
	}
}

// TestPushesSurviveTheCollector: what a collector refuses, or doesn't answer, is sent again; the decisions are not.
func TestPushesSurviveTheCollector(t *testing.T) {
	s, url := newSink(t)
	s.set(http.StatusServiceUnavailable)
	bed, clock := open(t, Options{Seed: 2, Rounds: 5, CollectorURL: url})
	clock.advance(time.Minute)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bed.Push(over); err == nil {
		t.Error("all is acknowledged by a collector that refuses")
	}
	for bed.DecisionPushes().Lost == 0 {
		time.Sleep(time.Millisecond)
	}
	if bed.ClientPushes().Sent != 0 || bed.ClientPushes().Queued != len(bed.Measurements()) {
		t.Errorf("clients %+v, decisions %+v", bed.ClientPushes(), bed.DecisionPushes())
	}
	pushTo(t, bed, "http://127.0.0.1:1") // nobody is there
	pushTo(t, bed, url)
	s.set(0)
	pushAll(t, bed)
	s.mu.Lock()
	n := len(s.bodies["/metrics"])
	s.mu.Unlock()
	if n != len(bed.Measurements()) || bed.ClientPushes() != (Pushes{Sent: n}) {
		t.Errorf("%d of %d measurements arrived; %+v", n, len(bed.Measurements()), bed.ClientPushes())
	}
}

// TestPushesAreRejected: what will never be taken doesn't stop what comes after it.
func TestPushesAreRejected(t *testing.T) {
	s, url := newSink(t)
	s.set(http.StatusBadRequest)
	bed, clock := open(t, Options{Seed: 3, Rounds: 3, CollectorURL: url})
	clock.advance(time.Minute)
	pushAll(t, bed)
	if got := bed.ClientPushes(); got != (Pushes{Rejected: len(bed.Measurements())}) || s.refusals() == 0 {
		t.Errorf("%+v", got)
	}
}

// TestPushesAreBounded: the oldest are given up.
func TestPushesAreBounded(t *testing.T) {
	s, url := newSink(t)
	s.set(http.StatusServiceUnavailable)
	bed, _ := open(t, Options{Seed: 4, CollectorURL: url})
	for i := range mostQueued + 7 {
		bed.queueMeasurement(Measurement{Round: i, Time: noon})
	}
	if got := bed.ClientPushes(); got != (Pushes{Queued: mostQueued, Lost: 7}) {
		t.Errorf("%+v", got)
	}
	if next, _, _ := bed.clients.first(); !strings.Contains(string(next.body), `"value":7}`) {
		t.Errorf("the oldest that is left is %s, want that of round 7", next.body)
	}
	pushTo(t, bed, "")
	if got := bed.ClientPushes(); got.Queued != 0 || got.Lost != mostQueued+7 {
		t.Errorf("to nobody: %+v", got)
	}
}
