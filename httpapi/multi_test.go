package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// multi posts a body to /metrics/query/multi, which must answer 200, and returns the results.
func (ts *testServer) multi(body string) []map[string]any {
	ts.t.Helper()
	answer := ts.do(http.MethodPost, "/metrics/query/multi", []byte(body), "Content-Type", "application/json")
	if answer.status != http.StatusOK {
		ts.t.Fatalf("%d %s", answer.status, answer.body)
	}
	var results []map[string]any
	for _, result := range decodeJSON(ts.t, answer.body)["results"].([]any) {
		results = append(results, result.(map[string]any))
	}
	return results
}

// TestMultiIsAsSingle asks the same by both, one option after the other. Cursors are of the same kind, too:
// that of one fits the other.
func TestMultiIsAsSingle(t *testing.T) {
	ts := seedServer(t)
	for i := range 4 {
		ts.write("cpu_usage", "percent", []string{"source", "edge", "host", fmt.Sprint("edge-", i)}, "2024-01-15T10:00:30Z", float64(i), "2024-01-15T10:50:30Z", float64(i))
	}
	const at = "from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"
	const in = `"from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z"`
	for _, c := range []struct{ parameters, fields string }{
		{at, in},
		{at + "&limit=7", in + `, "limit": 7`},
		{at + "&source=fl_server&granularity=5m&aggregation=avg", in + `, "source": "fl_server", "granularity": "5m", "aggregation": "avg"`},
		{at + "&source=~e.*&granularity=10m&aggregation=max,p95", in + `, "source": {"regex": "e.*"}, "granularity": "10m", "aggregation": ["max", "p95"]`},
		{at + "&aggregation=sum,count&group_by=source,host", in + `, "aggregation": "sum,count", "group_by": ["source", "host"]`},
		{at + "&aggregation=sum&group_by=*", in + `, "aggregation": "sum", "group_by": "*"`},
		{at + "&tags=host:edge-1|edge-2,zone:&granularity=5m&fill=previous", in + `, "tags": {"host": ["edge-1", "edge-2"], "zone": ""}, "granularity": "5m", "fill": "previous"`},
		{at + "&tags=host!:edge-1&granularity=20m&fill=0&epoch=ms", in + `, "tags": {"host": {"not": "edge-1"}}, "granularity": "20m", "fill": 0, "epoch": "ms"`},
		{"start=1705312800&end=1705316400&granularity=auto&max_points=6", `"start": 1705312800, "end": 1705316400, "granularity": "auto", "max_points": 6`},
		{at + "&granularity=1d&tz=Europe/Berlin&timeout=10", in + `, "granularity": "1d", "tz": "Europe/Berlin", "timeout": 10`},
	} {
		want := ts.getJSON("/metrics/query?metric=cpu_usage&" + c.parameters)
		for _, body := range []string{
			`{"queries": [{"metric": "cpu_usage", ` + c.fields + `}]}`,
			`{"queries": [{"metric": "cpu_usage"}], ` + c.fields + `}`,
		} {
			got := ts.multi(body)[0]
			delete(got, "query_time_ms")
			delete(want, "query_time_ms")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n(-single +multi):\n%s", body, diff)
			}
		}
	}
	page := ts.multi(`{"queries": [{"metric": "cpu_usage", "limit": 60, ` + in + `}]}`)[0]
	rest := ts.multi(fmt.Sprintf(`{"queries": [{"metric": "cpu_usage", "cursor": %q, %s}]}`, page["next_cursor"], in))[0]
	if page["total_points"] != 60.0 || rest["total_points"] != 8.0 || rest["next_cursor"] != nil {
		t.Errorf("pages of %v and %v samples, then %v", page["total_points"], rest["total_points"], rest["next_cursor"])
	}
	explained := ts.multi(`{"queries": [{"metric": "cpu_usage", "explain": true, "aggregation": "avg", ` + in + `}]}`)[0]
	if series := explained["explain"].(map[string]any)["series"]; series != 5.0 {
		t.Errorf("explain tells of %v series", series)
	}
}

// TestMultiOverrides checks whose word holds, that of a query or that outside.
func TestMultiOverrides(t *testing.T) {
	ts := seedServer(t)
	got := ts.multi(`{"from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z", "granularity": "30m", "aggregation": "max",
		"tags": {"host": "nowhere"}, "queries": [
		{"metric": "cpu_usage", "tags": {}},
		{"metric": "cpu_usage", "tags": {"host": "fl-server-01"}, "aggregation": "min", "granularity": "15m"},
		{"metric": "cpu_usage"},
		{"metric": "cpu_usage", "tags": {}, "start": "2024-01-15T10:30:00Z"},
		{"metric": "cpu_usage", "tags": {}, "end_date": "2024-01-15T10:02:00Z", "granularity": "", "aggregation": ""}]}`)
	for i, want := range []string{
		"10:00:00=29 10:30:00=59", "10:00:00=0 10:15:00=15 10:30:00=30 10:45:00=45", "", "10:30:00=59", "10:00:00=0 10:01:00=1",
	} {
		if text := points(t, got[i]["data_points"]); text != want {
			t.Errorf("query %d: %s, want %s", i, text, want)
		}
	}
}

// TestMultiFailures checks that a query that fails leaves the others alone, and says why.
func TestMultiFailures(t *testing.T) {
	ts := seedServer(t)
	got := ts.multi(`{"aggregation": "count", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z", "queries": [
		{"metric": "cpu_usage"},
		{"metric": "cpu_usage", "from": "2024-01-15T11:00:00Z", "to": "2024-01-15T10:00:00Z"},
		{},
		{"metric": "cpu_usage", "granularity": "5 parsecs"},
		{"metric": "cpu_usage", "granularity": "1ms"},
		{"metric": "cpu_usage", "timeout": 1e-9},
		{"metric": "nothing"},
		{"metric": "cpu_usage"},
		{"metric": "cpu_usage", "tags": {"host": {"not": {"regex": "("}}}},
		{"metric": "cpu_usage", "source": {"regex": "("}}]}`)
	for i, want := range []string{"", "INVALID_QUERY", "INVALID_REQUEST", "INVALID_REQUEST", "LIMIT_EXCEEDED", "QUERY_TIMEOUT", "", "", "INVALID_REQUEST", "INVALID_REQUEST"} {
		failure, failed := got[i]["error"].(map[string]any)
		if failed != (want != "") || failed && failure["code"] != want {
			t.Errorf("query %d: %v, want %q", i, got[i], want)
		}
	}
	details := map[string]any{"issue": "Start time must be before end time", "from": "2024-01-15T11:00:00Z", "to": "2024-01-15T10:00:00Z"}
	if diff := cmp.Diff(details, got[1]["error"].(map[string]any)["details"]); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	for i, want := range map[int]string{3: "queries[3].granularity", 8: "queries[8].tags.host.not.regex", 9: "queries[9].source.regex"} {
		if field := got[i]["error"].(map[string]any)["details"].(map[string]any)["field"]; field != want {
			t.Errorf("the field at fault is %v, want %s", field, want)
		}
	}
	if points(t, got[7]["data_points"]) != "10:00:00=60" || points(t, got[6]["data_points"]) != "" {
		t.Errorf("the others: %v, %v", got[6], got[7])
	}
	post := func(body string) reply {
		return ts.do(http.MethodPost, "/metrics/query/multi", []byte(body))
	}
	unknown := post(`{"queries": [{"metric": "cpu_usage", "agregation": "avg"}]}`).wantError(t, 400, "INVALID_REQUEST")
	if unknown.Details["nearest"] != "aggregation" || unknown.Details["field"] != "queries[0].agregation" {
		t.Errorf("details %v", unknown.Details)
	}
	post(`{}`).wantError(t, 400, "INVALID_REQUEST")
	post(`{"queries": [], "timeout": "1h"}`).wantError(t, 400, "INVALID_REQUEST")
	post(`{"queries": [`+strings.Repeat(`{"metric":"m"},`, 100)+`{}]}`).wantError(t, 422, "LIMIT_EXCEEDED")
	if results := ts.multi(`{"queries": []}`); len(results) != 0 {
		t.Errorf("no query, results %v", results)
	}
}

// TestMultiSharesAnswerSize checks that the queries together can't have a larger answer than one.
func TestMultiSharesAnswerSize(t *testing.T) {
	ts := seedServer(t)
	queries := []multiQuery{{multiFields: multiFields{Metric: "cpu_usage"}}}
	body := &multiBody{Queries: &queries}
	r := &request{server: ts.server, id: "req-1", received: ts.server.options.Now()}
	for spent, want := range map[int]bool{maxAnswerValues - 60: true, maxAnswerValues - 59: false} {
		out, err := ts.server.appendResult(t.Context(), r, nil, body, 0, &spent)
		if err != nil {
			t.Fatal(err)
		}
		failure, failed := decodeJSON(t, out)["error"].(map[string]any)
		if failed == want || failed && failure["code"] != "LIMIT_EXCEEDED" {
			t.Errorf("with %d values: %s", spent, out)
		}
	}
}
