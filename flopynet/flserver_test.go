package flopynet

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// flAnswers answers by path, as a server does that has these answers alone.
type flAnswers map[string]string

func (answers flAnswers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, ok := answers[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(answer))
}

// flTestbed returns a testbed that has but an FL server.
func flTestbed(t *testing.T, db *engine.DB, handler http.Handler, now func() time.Time) *Testbed {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	bed, err := NewTestbed(db, Options{FLServer: PeerOptions{URL: server.URL}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	return bed
}

// samplesOf returns what is stored of a source, as "name" and "seconds after noon: value".
func samplesOf(t *testing.T, db *engine.DB, source string) map[string]string {
	t.Helper()
	selection := engine.Selection{To: model.MaxTime, Matchers: []*model.Matcher{model.EqualMatcher(model.SourceKey, source)}}
	values := map[string]string{}
	err := db.Scan(t.Context(), selection, func(series model.Series, times []int64, samples []float64) error {
		for i := range times {
			values[series.Name] += fmt.Sprintf(" %v:%v", time.Duration(times[i]-noon.UnixNano()).Seconds(), samples[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// TestNumbersOfTheFLServer stores each under the time the server gives it, else when it was asked.
func TestNumbersOfTheFLServer(t *testing.T) {
	db := openEngine(t, engine.Options{})
	answers := flAnswers{
		"/health": `{"status":"healthy"}`,
		"/status": `{"server_status":"training","training_stopped_by_policy":false,"training_paused":true,"current_round":2,"max_rounds":"5",
			"connected_clients":null,"training_active":true,"timestamp":"2024-01-15T11:59:58.5"}`,
		"/metrics": `{"current_round":1,"aggregate_fit_count":2,"policy_checks_denied":NaN,"training_complete":false,"total_training_duration":7.5,
			"last_client_training_stats":{"average_time":1.5},"rounds_history":[{"round":1}],"model":"cnn"}`,
		"/rounds": `{"rounds":[{"round":1,"timestamp":"2024-01-15T11:59:55","accuracy":0.5,"loss":2,"training_duration":3,"model_size_mb":1.74,"clients":4}]}`,
	}
	bed := flTestbed(t, db, answers, func() time.Time { return noon.Add(1500 * time.Microsecond) })
	if err := bed.fl.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"current_round": " -1.5:2", "max_rounds": " -1.5:5", "training_active": " -1.5:1", "training_paused": " -1.5:1", "training_stopped_by_policy": " -1.5:0",
		"aggregate_fit_count": " 0.001:2", "training_complete": " 0.001:0", "total_training_duration": " 0.001:7.5",
		"last_client_training_stats_average_time": " 0.001:1.5",
		"round": " -5:1", "accuracy": " -5:0.5", "loss": " -5:2", "training_duration": " -5:3", "model_size_mb": " -5:1.74", "clients": " -5:4",
	}
	if diff := cmp.Diff(want, samplesOf(t, db, FLServer)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if m := bed.fl.metrics(); m.Model != "cnn" || strings.Contains(string(bed.fl.last.Metrics), "rounds_history") {
		t.Errorf("kept of the metrics: %s", bed.fl.last.Metrics)
	}
	// What was known last is known after a restart, though not as of now.
	again := flTestbed(t, db, answers, time.Now)
	if last, fresh := again.fl.known(); fresh || again.fl.status().CurrentRound.value != 2 || last.StatusAt != noon.Add(-1500*time.Millisecond).UnixNano() {
		t.Errorf("after a restart: %+v, fresh %v", last, fresh)
	}
}

// TestAnOldFLServer has neither status nor rounds.
func TestAnOldFLServer(t *testing.T) {
	db := openEngine(t, engine.Options{})
	bed := flTestbed(t, db, flAnswers{"/metrics": `{"current_round":3,"connected_clients":2,"max_rounds":9}`}, func() time.Time { return noon })
	err := bed.fl.poll(t.Context())
	if err == nil || !strings.Contains(err.Error(), "GET /rounds: it answers 404") {
		t.Errorf("%v", err)
	}
	want := map[string]string{"current_round": " 0:3", "connected_clients": " 0:2", "max_rounds": " 0:9"}
	if diff := cmp.Diff(want, samplesOf(t, db, FLServer)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestOneBrokenEndpointHidesNoOther also keeps what was known.
func TestOneBrokenEndpointHidesNoOther(t *testing.T) {
	db := openEngine(t, engine.Options{})
	answers := flAnswers{
		"/health": `{}`, "/metrics": `{"current_round":3}`, "/rounds": `{"rounds":[]}`,
		"/status": `{"server_status":"training","current_round":3,"timestamp":"2024-01-15T12:00:00"}`,
	}
	bed := flTestbed(t, db, answers, func() time.Time { return noon })
	if err := bed.fl.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{`[]`, `{}`, `null`, `{"error":"no"}`, `17`, `<html>`} {
		answers["/status"], answers["/metrics"] = broken, broken
		answers["/rounds"] = `{"rounds":[{"round":1,"timestamp":"2024-01-15T11:59:55"}]}`
		err := bed.fl.poll(t.Context())
		if err == nil || !strings.Contains(err.Error(), "/status") || !strings.Contains(err.Error(), "/metrics") {
			t.Errorf("%s: %v", broken, err)
		}
		if _, fresh := bed.fl.known(); fresh || bed.fl.status().ServerStatus != "training" {
			t.Errorf("%s: fresh %v, %+v", broken, fresh, bed.fl.status())
		}
	}
	if got := storedRounds(t, db); len(got) != 1 {
		t.Errorf("rounds: %v", got)
	}
}

// TestAStatusThatHangs is that of a server which waits for a policy engine: the rounds are read nevertheless.
func TestAStatusThatHangs(t *testing.T) {
	db := openEngine(t, engine.Options{})
	answers := flAnswers{"/health": `{}`, "/metrics": `{"current_round":3}`, "/rounds": `{"rounds":[{"round":1,"timestamp":"2024-01-15T11:59:55"}]}`}
	bed := flTestbed(t, db, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status" {
			<-r.Context().Done()
			return
		}
		answers.ServeHTTP(w, r)
	}), func() time.Time { return noon })
	bed.fl.peer.timeout = time.Second
	if err := bed.fl.poll(t.Context()); err == nil || !strings.Contains(err.Error(), "GET /status: it didn't answer whole") {
		t.Errorf("%v", err)
	}
	if got := storedRounds(t, db); len(got) != 1 {
		t.Errorf("rounds: %v", got)
	}
}
