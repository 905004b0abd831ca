package flopynet

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
)

// TestGate goes through what the policy engine can say to the collecting of metrics, strictly and not, and looks at
// whether the SDN controller is polled, and what its state says.
func TestGate(t *testing.T) {
	for _, row := range []struct {
		name, answer     string
		broken           bool
		open, strictly   bool
		why, strictlyWhy string
	}{
		{name: "allowed", answer: `{"allowed": true, "reason": "Default allow policy"}`, open: true, strictly: true},
		{name: "denied", answer: `{"allowed": false, "reason": "maintenance"}`, why: "denies the collecting of metrics: maintenance",
			strictlyWhy: "denies the collecting of metrics: maintenance"},
		{name: "no answer", broken: true, open: true, strictlyWhy: "the check is strict: GET /check: it answers 500"},
		{name: "another answer", answer: `{"reason": "?"}`, open: true, strictlyWhy: "doesn't say whether it is allowed"},
		{name: "garbage", answer: `<html>`, open: true, strictlyWhy: "the check is strict"},
	} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprint(row.name, " strict ", strict), func(t *testing.T) {
				db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
				f.allowed, f.broken = row.answer, row.broken
				asked := atomic.Int64{}
				sdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); _, _ = fmt.Fprint(w, "{}") }))
				t.Cleanup(sdn.Close)
				bed := bedOf(t, db, f, func() time.Time { return noon }, func(o *Options) {
					o.CheckPolicy, o.StrictPolicy = true, strict
					o.SDNController = PeerOptions{URL: sdn.URL}
				})
				_ = pollOf(t, bed, "health").poll(t.Context())
				for _, p := range bed.pollers {
					if p.peer.name == SDNController {
						p.once(t.Context(), noon)
					}
				}
				open, why := row.open, row.why
				if strict {
					open, why = row.strictly, row.strictlyWhy
				}
				state := bed.Peer(SDNController)
				if polled := asked.Load() > 0; polled != open {
					t.Errorf("polled %v, want %v", polled, open)
				}
				if !open && (state.Status != StatusUnknown || !strings.Contains(state.Error, why) || why == "" || !state.Since.Equal(noon)) {
					t.Errorf("the state is %+v, want it to say %s", state, why)
				}
				if sampled := len(policySamples(t, db, "policy_count")) > 0; sampled != (open && !row.broken) {
					t.Errorf("the policy engine's own figures are stored: %v", sampled)
				}
				if !row.broken && !slices.Contains(f.requests, "/health") {
					t.Error("the policy engine wasn't asked how it is")
				}
			})
		}
	}
}

// TestViewsBehindAClosedGate show what was known as what it is.
func TestViewsBehindAClosedGate(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	f.allowed = `{"allowed": true}`
	server := httptest.NewServer(flAnswers{"/status": `{"server_status":"training","current_round":5,"max_rounds":10,"training_active":true}`, "/rounds": `{"rounds":[]}`})
	t.Cleanup(server.Close)
	bed := bedOf(t, db, f, func() time.Time { return noon }, func(o *Options) {
		o.CheckPolicy, o.FLServer = true, PeerOptions{URL: server.URL}
	})
	bed.network.tried, bed.network.reached, bed.network.fresh, bed.network.totals.Looked = true, true, true, noon.UnixNano()
	views := func() string {
		status, network := bed.FLStatus(), bed.NetworkStats()
		return fmt.Sprint(status.ServerStatus, status.Stale, status.CurrentRound, bed.FLConfig().DataSources, network.Stale, network.ServerStatus)
	}
	mustPoll(t, bed, "health")
	if err := bed.fl.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := views(); got != "trainingfalse 5 [fl_server_direct] false" {
		t.Errorf("while it is open: %s", got)
	}
	f.allowed = `{"allowed": false, "reason": "maintenance"}`
	mustPoll(t, bed, "health")
	if got := views(); got != "unknowntrue 5 [fl_server_collector] trueunknown" {
		t.Errorf("when it is closed: %s", got)
	}
}

// TestGateIsAskedAgain: a no ends when the engine says yes, and what happened meanwhile is caught up with.
func TestGateIsAskedAgain(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	logged := &strings.Builder{}
	f.allowed = `{"allowed": false, "reason": "no"}`
	bed := bedOf(t, db, f, func() time.Time { return noon }, func(o *Options) {
		o.CheckPolicy = true
		o.Logger = slog.New(slog.NewTextHandler(logged, nil))
	})
	f.decide(noon.Add(-time.Second), true)
	f.events = []map[string]any{{"id": "e1", "type": "ENGINE_START", "timestamp": 1705314600.25, "details": map[string]any{}}}
	for range 3 {
		mustPoll(t, bed, "health")
		mustPoll(t, bed, "events")
	}
	if events := eventsOf(t, db); len(events) != 0 {
		t.Errorf("while it was denied, %d events were stored", len(events))
	}
	f.allowed = `{"allowed": true}`
	mustPoll(t, bed, "health")
	mustPoll(t, bed, "events")
	if events := eventsOf(t, db); len(events) != 2 {
		t.Errorf("when it was allowed, %d events were stored", len(events))
	}
	if n := strings.Count(logged.String(), "may not be collected"); n != 1 {
		t.Errorf("the denial is logged %d times:\n%s", n, logged)
	}
}

// TestNothingIsPolledBeforeTheGateIsAsked starts the pollers while the policy engine takes its time.
func TestNothingIsPolledBeforeTheGateIsAsked(t *testing.T) {
	db := openEngine(t, engine.Options{})
	answer, polled := make(chan struct{}), make(chan bool, 1)
	asked := make(chan struct{}, 1)
	policy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/check" {
			select {
			case asked <- struct{}{}:
			default:
			}
			<-answer
			_, _ = fmt.Fprint(w, `{"allowed": true}`)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(policy.Close)
	answered := atomic.Bool{}
	sdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case polled <- answered.Load():
		default:
		}
		_, _ = fmt.Fprint(w, "{}")
	}))
	t.Cleanup(sdn.Close)
	bed, err := NewTestbed(db, Options{PolicyEngine: PeerOptions{URL: policy.URL, Timeout: time.Minute}, SDNController: PeerOptions{URL: sdn.URL}, CheckPolicy: true})
	if err != nil {
		t.Fatal(err)
	}
	bed.Start()
	t.Cleanup(bed.Close)
	<-asked
	answered.Store(true)
	close(answer)
	select {
	case after := <-polled:
		if !after {
			t.Error("the SDN controller was polled before the policy engine had answered")
		}
	case <-time.After(time.Minute):
		t.Error("the SDN controller was never polled")
	}
}

// TestGateWithoutAnEngine: there is nobody to ask, which is a no only if the check is strict, and nothing to complain of if it isn't.
func TestGateWithoutAnEngine(t *testing.T) {
	for _, strict := range []bool{false, true} {
		logged := &strings.Builder{}
		bed, err := NewTestbed(openEngine(t, engine.Options{}), Options{
			SDNController: PeerOptions{URL: "http://127.0.0.1:1"}, CheckPolicy: true, StrictPolicy: strict,
			Logger: slog.New(slog.NewTextHandler(logged, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(bed.Close)
		bed.gate.wait(context.Background()) // it is known at once
		if state := bed.Peer(SDNController); (state.Error != "") != strict || strict && !strings.Contains(state.Error, "no policy engine to ask") {
			t.Errorf("strict %v: %+v", strict, state)
		}
		if (logged.String() != "") != strict {
			t.Errorf("strict %v: the log is %q", strict, logged)
		}
	}
}

// TestGateIsAskedOfAnEngineThatIsNotPolled: the others wait for the answer.
func TestGateIsAskedOfAnEngineThatIsNotPolled(t *testing.T) {
	f := startFakeEngine(t)
	bed := bedOf(t, openEngine(t, engine.Options{}), f, func() time.Time { return noon }, func(o *Options) {
		o.CheckPolicy, o.PolicyEngine.Interval, o.EventInterval = true, -1, -1
	})
	mustPoll(t, bed, "check")
	bed.gate.wait(t.Context())
	if len(bed.pollers) != 1 || !slices.Equal(f.requests, []string{"/check"}) {
		t.Errorf("%d pollers asked for %v", len(bed.pollers), f.requests)
	}
}
