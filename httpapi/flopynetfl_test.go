package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// startFL serves what a testbed has of a simulated training of 50 rounds that is over.
func startFL(t *testing.T) (*testServer, *testbed.Testbed) {
	t.Helper()
	noon := time.Date(2024, 1, 15, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return noon.Add(10 * time.Minute) }
	sim, err := testbed.New(testbed.Options{Seed: 1, Start: noon, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	if !sim.Complete() {
		t.Fatal("the training is not over")
	}
	return startKnowing(t, flopynet.Options{FLServer: flopynet.PeerOptions{URL: sim.FL.URL(), Interval: time.Millisecond}, Now: now}, func(ts *testServer) bool {
		return strings.Contains(string(ts.get("/api/metrics/fl/rounds").body), `"total_rounds":50,`) &&
			strings.Contains(string(ts.get("/api/metrics/fl/config").body), `"fl_server_events"`)
	}), sim
}

// startKnowing serves what a testbed knows, once it knows enough.
func startKnowing(t *testing.T, options flopynet.Options, knows func(*testServer) bool) *testServer {
	t.Helper()
	options.EventInterval = time.Millisecond
	ts := startTestbed(t, options, Options{Now: options.Now})
	for deadline := time.Now().Add(time.Minute); !knows(ts); {
		if time.Now().After(deadline) {
			t.Fatal("the testbed doesn't come to know enough")
		}
	}
	return ts
}

// answerOf asks for a path and decodes the answer, which must be a good one without a key error.
func answerOf(t *testing.T, ts *testServer, path string) map[string]any {
	t.Helper()
	reply := ts.get(path)
	var answer map[string]any
	if err := json.Unmarshal(reply.body, &answer); err != nil || reply.status != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", path, reply.status, reply.body, err)
	}
	if _, failed := answer["error"]; failed {
		t.Errorf("%s: the answer has a key error: %s", path, reply.body)
	}
	return answer
}

// TestFLViewsOfATraining holds FLOPY-NET's views of a training against the simulator's truth.
func TestFLViewsOfATraining(t *testing.T) {
	ts, sim := startFL(t)
	rounds := sim.Rounds()
	number := func(of any, keys ...string) float64 {
		for _, key := range keys {
			of = of.(map[string]any)[key]
		}
		value, ok := of.(float64)
		if !ok {
			t.Errorf("%v is %v", keys, of)
		}
		return value
	}
	check := func(path, list string, first, last int, total float64, totalKey string) map[string]any {
		t.Helper()
		answer := answerOf(t, ts, path)
		rows, _ := answer[list].([]any)
		step := 1
		if first > last {
			step = -1
		}
		if len(rows) != (last-first)*step+1 || number(answer, totalKey) != total {
			t.Fatalf("%s: %d rows, %s %v", path, len(rows), totalKey, answer[totalKey])
		}
		for i, row := range rows {
			want := rounds[first-1+i*step]
			at, err := time.Parse(time.RFC3339Nano, row.(map[string]any)["timestamp"].(string))
			if err != nil || number(row, "round") != float64(want.Number) || number(row, "accuracy") != want.Accuracy || number(row, "loss") != want.Loss ||
				number(row, "clients_connected") != float64(want.Clients) || !at.Equal(want.End) {
				t.Errorf("%s: %v, want %+v", path, row, want)
			}
		}
		return answer
	}
	check("/api/metrics/fl", "metrics", 1, 50, 50, "total_rounds_found")
	check("/api/metrics/fl?limit=7&optimize=true&use_cache=true", "metrics", 44, 50, 50, "total_rounds_found")
	check("/api/metrics/fl?limit=1500&min_round=5&max_round=9&include_raw=true", "metrics", 5, 9, 5, "total_rounds_found")
	check("/api/metrics/fl?start_time=2024-01-15T12:00:00Z&end_time="+rounds[10].End.Format(time.RFC3339Nano), "metrics", 1, 10, 10, "total_rounds_found")
	check("/api/metrics/fl/rounds", "rounds", 1, 50, 50, "total_rounds")
	check("/api/metrics/fl/rounds?limit=1&sort_order=desc", "rounds", 50, 50, 50, "total_rounds")
	check("/api/metrics/fl/rounds?start_round=10&end_round=30&offset=5&limit=10", "rounds", 15, 24, 21, "total_rounds")
	check("/api/metrics/fl/rounds?since_round=47&sort_order=desc&limit=99999", "rounds", 50, 48, 3, "total_rounds")
	check("/api/metrics/fl/rounds?training=all&source=both", "rounds", 1, 50, 50, "total_rounds")
	check("/api/metrics/fl/rounds?polling_mode=true&since_round=48", "new_rounds", 49, 50, 2, "count")
	check("/api/metrics/fl/chart-data?limit=5&include_details=false", "rounds", 46, 50, 50, "total")
	chart := check("/api/metrics/fl/rounds?format=chart&include_stats=true&limit=3", "rounds", 1, 3, 50, "total_rounds")
	column := chart["chart_data"].(map[string]any)["accuracy"]
	if diff := cmp.Diff([]any{rounds[0].Accuracy, rounds[1].Accuracy, rounds[2].Accuracy}, column); diff != "" || number(chart, "statistics", "completed_rounds") != 3 {
		t.Errorf("chart: %v, %s", chart, diff)
	}
	summary := answerOf(t, ts, "/api/metrics/fl/summary?include_summary=true&limit=1000")
	if number(summary, "latest_accuracy") != rounds[49].Accuracy || number(summary, "total_rounds") != 50 || summary["status"] != "completed" {
		t.Errorf("summary: %v", summary)
	}
	status := answerOf(t, ts, "/api/metrics/fl/status")
	if number(status, "current_round") != 50 || number(status, "max_rounds") != 50 || number(status, "latest_loss") != rounds[49].Loss ||
		status["training_complete"] != true || status["training_active"] != false || status["fl_server_available"] != true {
		t.Errorf("status: %v", status)
	}
	config := answerOf(t, ts, "/api/metrics/fl/config")
	if config["fl_server"].(map[string]any)["model"] != "cnn" || config["status"] != "partial" {
		t.Errorf("config: %v", config)
	}
	if got := answerOf(t, ts, "/api/v1/fl/status"); number(got, "training_progress") != 100 || number(got, "total_rounds") != 50 || got["server_status"] != "ready" {
		t.Errorf("fl/status: %v", got)
	}
}

// TestFLViewsWithoutATestbed are those of a collector that never heard of one.
func TestFLViewsWithoutATestbed(t *testing.T) {
	ts := startServer(t, Options{})
	for path, want := range map[string]map[string]any{
		"/fl/status":                 {"server_status": "unknown", "current_round": 0.0, "last_updated": nil},
		"/fl/clients":                {"clients": []any{}},
		"/api/metrics/fl":            {"metrics": []any{}, "count": 0.0, "status": "success"},
		"/api/metrics/fl/rounds":     {"rounds": []any{}, "total_rounds": 0.0, "latest_round": 0.0},
		"/api/metrics/fl/status":     {"training_active": false, "max_rounds": nil, "latest_accuracy": 0.0, "data_source": "none", "collector_monitoring": false},
		"/api/metrics/fl/config":     {"status": "unknown", "data_sources": []any{}, "fl_server": map[string]any{}},
		"/api/metrics/fl/summary":    {"total_rounds": 0.0, "status": "no_data"},
		"/api/metrics/fl/chart-data": {"rounds": []any{}, "total": 0.0},
	} {
		answer := answerOf(t, ts, path)
		for key, value := range want {
			if diff := cmp.Diff(value, answer[key]); diff != "" {
				t.Errorf("%s: %s: %s", path, key, diff)
			}
		}
	}
}

// TestFLParameters refuses what is no number, and takes much for the most.
func TestFLParameters(t *testing.T) {
	ts := startServer(t, Options{})
	for _, query := range []string{
		"?limit=x", "?limit=0", "?limit=-1", "?min_round=x", "?max_round=1.5", "?start_time=yesterday", "?start_time=2024-01-02&end_time=2024-01-01", "?training=0", "?training=first",
		"?limit=99999999999999999999", "?include_raw=maybe",
	} {
		ts.get("/api/metrics/fl"+query).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
	for _, query := range []string{
		"?limit=x", "?offset=-1", "?start_round=x", "?end_round=x", "?min_accuracy=high", "?max_accuracy=NaN", "?format=xml", "?sort_order=up", "?source=mars",
		"?since_round=x", "?since_timestamp=x", "?training=-1", "?min_accuracy=Infinity", "?max_accuracy=-inf", "?include_stats=maybe", "?include_charts=2", "?polling_mode=on",
	} {
		ts.get("/api/metrics/fl/rounds"+query).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
	ts.get("/api/metrics/fl/summary?limit=x").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.get("/api/metrics/fl/chart-data?limit=x").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.get("/api/metrics/fl/chart-data?include_details=maybe").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.get("/api/network/topology?include_metrics=maybe").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.get("/fl/status?x=1").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	got := answerOf(t, ts, "/api/metrics/fl/rounds?limit=1000000&SORT=1&sort_order=DESC&limit=3&since_round=&unknown=1")
	if got["pagination"].(map[string]any)["limit"] != 10000.0 || got["filters"].(map[string]any)["sort_order"] != "desc" {
		t.Errorf("%v", got)
	}
}

// TestAHostileFLServer tells what it can in its answers, none of which the views must choke on.
func TestAHostileFLServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/status":
			_, _ = fmt.Fprint(w, `{"server_status":"<script>","current_round":-1e300,"max_rounds":1e300,"connected_clients":-7,"training_active":"yes","timestamp":"2262-04-11T00:00:00"}`)
		case "/metrics":
			_, _ = fmt.Fprint(w, `{"current_round":1,"model_size_mb":1e308,"model":["x"],"model_config":{"a":1},"start_time":-1,"x":"`+strings.Repeat("y", 1<<20)+`"}`)
		case "/rounds":
			_, _ = fmt.Fprint(w, `{"rounds":[{"round":1,"timestamp":"2024-01-15T12:00:00","accuracy":1e308,"loss":-1e308,"clients":-5,"training_duration":1.7e308,"status":{"a":1},"raw_metrics":[]},
				{"round":2,"timestamp":"2024-01-15T12:00:01","accuracy":1.7e308,"training_duration":1.7e308},{"round":3,"timestamp":"2024-01-15T12:00:02","accuracy":-1.7e308}]}`)
		case "/events":
			_, _ = fmt.Fprint(w, `{"events":[{"event_id":"a","timestamp":"2024-01-15T12:00:00","event_type":"CONFIG_LOADED","details":{"config_summary":[1]}}]}`)
		}
	}))
	defer server.Close()
	ts := startKnowing(t, flopynet.Options{FLServer: flopynet.PeerOptions{URL: server.URL, Interval: time.Millisecond}}, func(ts *testServer) bool {
		return strings.Contains(string(ts.get("/api/metrics/fl/rounds").body), `"total_rounds":3,`)
	})
	for _, value := range []string{"1.7e308", "1.6e308"} { // more than can be added up
		body := `{"source":"x","metrics":[{"name":"training_time","value":` + value + `,"tags":{"client_id":"client-1","round":"` + value + `"}}]}`
		if answer := ts.do(http.MethodPost, "/metrics", []byte(body)); answer.status != http.StatusOK {
			t.Fatalf("%s", answer.body)
		}
	}
	for _, path := range []string{"", "/rounds", "/rounds?format=summary", "/rounds?include_stats=true", "/status", "/config", "/summary", "/chart-data"} {
		answerOf(t, ts, "/api/metrics/fl"+path)
	}
	answerOf(t, ts, "/fl/status")
	answerOf(t, ts, "/fl/clients")
}
