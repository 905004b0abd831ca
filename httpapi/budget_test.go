package httpapi

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/flopynet/collector/engine"
)

// TestQueryBudgets exceeds the samples and the memory of a query, and the memory of all, by each endpoint that
// reads samples.
func TestQueryBudgets(t *testing.T) {
	for _, c := range []struct {
		options engine.Options
		status  int
		code    string
		limit   string
	}{
		{engine.Options{MaxQuerySamples: 100}, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED", "query.max_samples"},
		{engine.Options{MaxQueryBytes: 1000}, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED", "query.max_bytes"},
		{engine.Options{MaxQueriesBytes: 1000}, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", ""},
	} {
		ts := startEngine(t, c.options, Options{})
		var samples []any
		for i := range 1000 {
			samples = append(samples, fmt.Sprintf("2024-01-15T10:%02d:%02dZ", i/60, i%60), float64(i))
		}
		ts.write("cpu_usage", "percent", nil, samples...)
		if err := ts.db.Flush(); err != nil {
			t.Fatal(err)
		}
		const at = "metric=cpu_usage&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"
		for _, path := range []string{"/metrics/query?" + at, "/metrics/query?aggregation=p50&" + at, "/metrics/summary?" + at} {
			answer := ts.get(path)
			failure := answer.wantError(t, c.status, c.code)
			if c.limit != "" && failure.Details["limit"] != c.limit {
				t.Errorf("%s: details %v, want the limit %s", path, failure.Details, c.limit)
			}
			if c.status == http.StatusServiceUnavailable && answer.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", path)
			}
		}
		result := ts.multi(`{"queries": [{"metric": "cpu_usage", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z"}]}`)[0]
		if failure := result["error"].(map[string]any); failure["code"] != c.code {
			t.Errorf("in a result: %v", failure)
		}
		if held := ts.db.Stats().QueryBytes; held != 0 {
			t.Errorf("%d bytes are held by no query", held)
		}
	}
}
