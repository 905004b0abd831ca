package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// startTestbed is startServer with a testbed that polls. It is started, and closed at the test's end.
func startTestbed(t testing.TB, components flopynet.Options, options Options) *testServer {
	t.Helper()
	ts := startServer(t, options)
	bed, err := flopynet.NewTestbed(ts.db, components)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	ts.server.testbed = bed
	bed.Start()
	return ts
}

// startSimulator starts FLOPY-NET's components, simulated.
func startSimulator(t testing.TB, options testbed.Options) *testbed.Testbed {
	t.Helper()
	simulated, err := testbed.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(simulated.Close)
	return simulated
}

// until gets a path again and again, until its answer is as wanted.
func (ts *testServer) until(path string, wanted func(map[string]any) bool) map[string]any {
	ts.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		answer := ts.getJSON(path)
		if wanted(answer) {
			return answer
		}
		if time.Now().After(deadline) {
			ts.t.Fatalf("after a minute GET %s answers %v", path, answer)
		}
	}
}

// at is a value deep in an answer; nil: it isn't there.
func at(answer any, keys ...string) any {
	for _, key := range keys {
		object, _ := answer.(map[string]any)
		answer = object[key]
	}
	return answer
}

// TestServices has a component that is well, one that is ill, and one that hangs: in /health and in /metrics, field by field.
func TestServices(t *testing.T) {
	simulated := startSimulator(t, testbed.Options{})
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "out of order")
	}))
	t.Cleanup(ill.Close)
	hung := make(chan struct{}, 100)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hung <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	began := time.Now().Add(-time.Second)
	ts := startTestbed(t, flopynet.Options{
		FLServer:      flopynet.PeerOptions{URL: simulated.FL.URL(), Interval: 10 * time.Millisecond},
		PolicyEngine:  flopynet.PeerOptions{URL: ill.URL, Interval: 10 * time.Millisecond},
		SDNController: flopynet.PeerOptions{URL: hangs.URL + "/base/", Interval: 10 * time.Millisecond, Timeout: 10 * time.Minute},
		EventInterval: -1,
	}, Options{})
	<-hung
	health := ts.until("/health", func(h map[string]any) bool {
		failures, _ := at(h, "services", "policy_engine", "failures").(float64)
		return at(h, "services", "fl_server", "status") == "healthy" && failures >= 2
	})
	if health["status"] != "healthy" {
		t.Errorf("a component that is ill makes the collector %v", health["status"])
	}
	if diff := at(health, "monitors"); fmt.Sprint(diff) != "map[events:false fl:true network:true policy:true]" {
		t.Errorf("monitors %v", diff)
	}
	moment := func(value any, where string) {
		t.Helper()
		text, _ := value.(string)
		if when, err := time.Parse(time.RFC3339Nano, text); err != nil || when.Before(began) || when.After(time.Now().Add(time.Second)) {
			t.Errorf("%s is %v, %v", where, value, err)
		}
	}
	fl := at(health, "services", "fl_server")
	for _, key := range []string{"since", "last_check", "last_success"} {
		moment(at(fl, key), "fl_server."+key)
	}
	if took, _ := at(fl, "response_time_ms").(float64); took <= 0 || took > 60_000 {
		t.Errorf("the response time is %v", took)
	}
	if at(fl, "url") != simulated.FL.URL() || at(fl, "failures") != 0.0 || at(fl, "error") != nil {
		t.Errorf("fl_server is %v", fl)
	}
	policy := at(health, "services", "policy_engine")
	moment(at(policy, "since"), "policy_engine.since")
	moment(at(policy, "last_check"), "policy_engine.last_check")
	if at(policy, "status") != "unhealthy" || at(policy, "last_success") != nil || at(policy, "response_time_ms") != nil {
		t.Errorf("policy_engine is %v", policy)
	}
	if text, _ := at(policy, "error").(string); text == "" {
		t.Errorf("the error is %q", text)
	}
	sdn := at(health, "services", "sdn_controller")
	want := "map[error:<nil> failures:0 last_check:<nil> last_success:<nil> response_time_ms:<nil> since:<nil> status:unknown url:" + hangs.URL + "/base]"
	if got := fmt.Sprint(sdn); got != want {
		t.Errorf("sdn_controller is %s, want %s", got, want)
	}

	checks := ts.getJSON("/metrics")["services"].(map[string]any)
	if len(checks) != 3 || at(checks, "fl_server", "status") != "healthy" || at(checks, "policy_engine", "status") != "unhealthy" {
		t.Errorf("/metrics has %v", checks)
	}
	moment(at(checks, "fl_server", "last_check"), "last_check in /metrics")
	if took, _ := at(checks, "fl_server", "response_time_ms").(float64); took <= 0 {
		t.Errorf("/metrics has %v", checks)
	}
	if got := fmt.Sprint(checks["sdn_controller"]); got != "map[last_check:<nil> response_time_ms:<nil> status:unknown]" {
		t.Errorf("/metrics has of what hangs %s", got)
	}

	status := ts.getJSON("/api/monitoring/status")
	moment(at(status, "timestamp"), "timestamp")
	moment(at(status, "last_collection", "fl_server"), "last_collection.fl_server")
	if got := fmt.Sprint(status["services"]); got != "map[fl_server:healthy policy_engine:unhealthy sdn_controller:unknown]" || status["status"] != "unhealthy" ||
		len(status["last_collection"].(map[string]any)) != 1 {
		t.Errorf("/api/monitoring/status answers %v", status)
	}
}

// TestNoServices has no component.
func TestNoServices(t *testing.T) {
	ts := startServer(t, Options{Now: seedHour})
	health := ts.getJSON("/health")
	if got := fmt.Sprint(health["services"], health["monitors"]); got != "map[] map[events:false fl:false network:false policy:false]" {
		t.Errorf("/health has %s", got)
	}
	want := "map[last_collection:map[] services:map[fl_server:unknown policy_engine:unknown sdn_controller:unknown] status:unknown timestamp:" + formatTime(seedHour().UnixNano()) + "]"
	if got := fmt.Sprint(ts.getJSON("/api/monitoring/status")); got != want {
		t.Errorf("/api/monitoring/status answers %s, want %s", got, want)
	}
	if got := fmt.Sprint(ts.getJSON("/status")); got != fmt.Sprintf("map[api_port:%s collector_running:true intervals:map[event_sec:<nil> fl_sec:<nil> network_sec:<nil> policy_sec:<nil>]"+
		" storage_dir: training_mode: urls:map[fl_server:<nil> policy_engine:<nil> sdn_controller:<nil>]]", ts.port()) {
		t.Errorf("/status answers %s", got)
	}
	if err := ts.db.Close(); err != nil { // a store that takes nothing
		t.Fatal(err)
	}
	if got := ts.getJSON("/api/monitoring/status")["status"]; got != "unhealthy" {
		t.Errorf("while nothing can be stored /api/monitoring/status answers %v", got)
	}
}

// TestStatus compares with the settings.
func TestStatus(t *testing.T) {
	ts := startConformance(t, "", "").testServer
	bed, err := flopynet.NewTestbed(ts.db, flopynet.Options{
		FLServer: flopynet.PeerOptions{URL: "http://fl:8081/", Interval: 2500 * time.Millisecond}, PolicyEngine: flopynet.PeerOptions{URL: "http://policy:5000", Interval: -1},
		EventInterval: 7 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	ts.server.testbed = bed
	directory := ts.server.options.Config.Config().DataDir
	want := fmt.Sprintf("map[api_port:%s collector_running:true intervals:map[event_sec:7 fl_sec:2.5 network_sec:<nil> policy_sec:<nil>]"+
		" storage_dir:%s training_mode:production urls:map[fl_server:http://fl:8081 policy_engine:http://policy:5000 sdn_controller:<nil>]]", ts.port(), directory)
	for _, path := range []string{"/status", "/api/v1/status", "/api/status", "/api/status/?unknown=1"} {
		if got := fmt.Sprint(ts.getJSON(path)); got != want {
			t.Errorf("GET %s answers %s, want %s", path, got, want)
		}
	}
	ts.openKeys(KeyOptions{Auth: testAuth})
	for _, path := range []string{"/status", "/api/status"} { // paths and addresses are nobody's business
		ts.get(path).wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
	}
}

// port is where the server listens.
func (ts *testServer) port() string { return ts.addr[len("127.0.0.1:"):] }

func TestFlopynetIndex(t *testing.T) {
	ts := startEngine(t, engine.Options{}, Options{Version: "v9"})
	for _, path := range []string{"/api", "/api/"} {
		index := ts.getJSON(path)
		endpoints, _ := index["endpoints"].(map[string]any)
		if index["name"] != "collector" || index["version"] != "v9" || index["api"] == "" {
			t.Errorf("GET %s answers %v", path, index)
		}
		for name := range endpoints {
			if _, known := described()[name]; !known {
				t.Errorf("the index has %s, which isn't described", name)
			}
		}
		for _, name := range []string{"GET /health", "GET /api/metrics", "GET /api/metrics/latest", "POST /api/metrics/query", "GET /api/monitoring/status"} {
			if text, _ := endpoints[name].(string); text == "" {
				t.Errorf("GET %s doesn't have %s", path, name)
			}
		}
	}
}
