package httpapi

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCardinality(t *testing.T) {
	ts := fleetServer(t)
	ts.write("load1", "", []string{"source", "b", "host", "h3"}, "2024-01-16T10:00:00Z", 1.0)
	if err := ts.db.Maintain(t.Context()); err != nil { // series with few samples stay in memory
		t.Fatal(err)
	}
	const all = `{"total_series":4,"total_names":2,"total_keys":3,"total_values":7,` +
		`"names":[{"name":"load","series":3},{"name":"load1","series":1}],` +
		`"keys":[{"key":"host","values":3,"series":4},{"key":"source","values":2,"series":4},{"key":"zone","values":2,"series":2}],` +
		`"values":[{"key":"host","value":"h1","series":2},{"key":"source","value":"a","series":2},{"key":"source","value":"b","series":2},` +
		`{"key":"host","value":"h2","series":1},{"key":"host","value":"h3","series":1},{"key":"zone","value":"eu","series":1},{"key":"zone","value":"us","series":1}]}` + "\n"
	const most = `{"total_series":4,"total_names":2,"total_keys":3,"total_values":7,"names":[{"name":"load","series":3}],` +
		`"keys":[{"key":"host","values":3,"series":4}],"values":[{"key":"host","value":"h1","series":2}]}` + "\n"
	for path, want := range map[string]string{
		"/metrics/cardinality": all, "/api/v1/metrics/cardinality/?from=2024-01-15&to=2024-01-17": all, "/metrics/cardinality?limit=1": most,
	} {
		answer := ts.get(path)
		if diff := cmp.Diff(want, string(answer.body)); diff != "" || answer.status != http.StatusOK {
			t.Errorf("%s: %d (-want +got):\n%s", path, answer.status, diff)
		}
	}
	const none = `{"total_series":0,"total_names":0,"total_keys":0,"total_values":0,"names":[],"keys":[],"values":[]}` + "\n"
	if got := string(startServer(t, Options{}).get("/metrics/cardinality").body); got != none {
		t.Errorf("nothing: %s", got)
	}
	for _, query := range []string{"limit=0", "limit=1001", "top=5", "metric=a", "from=2024-01-16&to=2024-01-15", "from=then", "timeout=0"} {
		ts.get("/metrics/cardinality?"+query).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
}
