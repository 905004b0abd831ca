package httpapi

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// TestSnapshots makes, lists and deletes snapshots, and serves one.
func TestSnapshots(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2024, 1, 20, 0, 0, 0, 0, time.UTC)
	store := engine.Options{Now: func() time.Time { return now }}
	ts, _ := serveStore(t, dir, store, Options{Now: store.Now})
	want := map[string]any{"snapshots": []any{}}
	if diff := cmp.Diff(want, ts.getJSON("/admin/snapshots")); diff != "" {
		t.Error(diff)
	}
	metrics := []byte(`{"source": "a", "metrics": [{"name": "cpu", "value": 1, "timestamp": "2024-01-15T10:00:00Z"}]}`)
	once := []string{"Idempotency-Key", "k1"}
	written := ts.do(http.MethodPost, "/metrics", metrics, once...)
	events := ts.do(http.MethodPost, "/events", []byte(`{"event_id": "e1", "component": "a", "event_type": "t", "timestamp": "2024-01-15T10:00:00Z"}`))
	if err := ts.db.ChangeState(engine.StateChange{Kind: "test", Name: "a", Value: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []reply{written, events} {
		if answer.status/100 != 2 {
			t.Fatalf("%d %s", answer.status, answer.body)
		}
	}

	made := ts.do(http.MethodPost, "/admin/snapshot", []byte(`{"name": "first"}`))
	first := decodeJSON(t, made.body)
	bytes, lsn := first["bytes"].(float64), first["lsn"].(float64)
	if made.status != http.StatusCreated || first["name"] != "first" || first["path"] != "snapshots/first" || bytes <= 0 || lsn < 2 || first["created"] != "2024-01-20T00:00:00Z" {
		t.Errorf("%d %s", made.status, made.body)
	}
	ts.do(http.MethodPost, "/admin/snapshot", []byte(`{"name": "first"}`)).wantError(t, http.StatusConflict, "CONFLICT")
	ts.write("cpu", "", []string{"source", "a"}, "2024-01-15T11:00:00Z", 2.0) // is not in it

	copied, end := serveStore(t, filepath.Join(dir, "snapshots", "first"), store, Options{Now: store.Now})
	ts.do(http.MethodDelete, "/admin/snapshots/first", nil).wantError(t, http.StatusConflict, "CONFLICT")
	if state, err := copied.db.State("test", "a"); err != nil || string(state) != "b" {
		t.Errorf("the state is %q, %v", state, err)
	}
	again := copied.do(http.MethodPost, "/metrics", metrics, once...)
	if again.header.Get("Idempotency-Replayed") != "true" || cmp.Diff(string(written.body), string(again.body)) != "" {
		t.Errorf("the same request is answered %v %s, was %s", again.header, again.body, written.body)
	}
	count := decodeJSON(t, copied.get("/metrics/query?metric=cpu&from=2024-01-15&to=2024-01-16&aggregation=count").body)
	if points := count["data_points"].([]any); len(points) != 1 || points[0].(map[string]any)["value"] != 1.0 {
		t.Errorf("%v", count)
	}
	if found := decodeJSON(t, copied.get("/events?from=2024-01-15&to=2024-01-16").body); len(found["events"].([]any)) != 1 {
		t.Errorf("%v", found)
	}
	end()

	answer := ts.do(http.MethodDelete, "/api/v1/admin/snapshots/first", nil)
	if answer.status != http.StatusOK || string(answer.body) != `{"name":"first","status":"success"}`+"\n" {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	ts.do(http.MethodDelete, "/admin/snapshots/first", nil).wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	ts.do(http.MethodDelete, "/admin/snapshots/..%2F..%2Fetc", nil).wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
}

func TestSnapshotWithoutAName(t *testing.T) {
	ts := startServer(t, Options{})
	format := regexp.MustCompile(`^\d{8}T\d{6}\.\d{3}Z$`)
	for _, body := range []string{"", "{}", `{"name": null}`} {
		answer := ts.do(http.MethodPost, "/admin/snapshot", []byte(body))
		if name, _ := decodeJSON(t, answer.body)["name"].(string); answer.status != http.StatusCreated || !format.MatchString(name) {
			t.Errorf("%q: %d %s", body, answer.status, answer.body)
		}
	}
	raw := ts.rawExchange("POST /admin/snapshot HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 201") {
		t.Errorf("without a length: %s", raw)
	}
	if list := ts.getJSON("/admin/snapshots")["snapshots"].([]any); len(list) != 4 {
		t.Errorf("%v", list)
	}
}

func TestSnapshotErrors(t *testing.T) {
	ts := startServer(t, Options{})
	for body, want := range map[string]struct{ code, field string }{
		`{"name": ""}`:            {"INVALID_REQUEST", "name"},
		`{"name": "../x"}`:        {"INVALID_REQUEST", "name"},
		`{"name": ".x"}`:          {"INVALID_REQUEST", "name"},
		`{"name": "a/b"}`:         {"INVALID_REQUEST", "name"},
		`{"name": 7}`:             {"INVALID_REQUEST", "name"},
		`{"path": "/tmp/x"}`:      {"INVALID_REQUEST", "path"},
		`["x"]`:                   {"INVALID_REQUEST", ""},
		`{"name": "x"`:            {"INVALID_REQUEST", ""},
		`{"name": "x", "name":1}`: {"INVALID_REQUEST", "name"},
	} {
		failure := ts.do(http.MethodPost, "/admin/snapshot", []byte(body)).wantError(t, http.StatusBadRequest, want.code)
		if field, _ := failure.Details["field"].(string); field != want.field {
			t.Errorf("%s: %+v", body, failure)
		}
	}
	ts.do(http.MethodPost, "/admin/snapshot?name=x", nil).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.do(http.MethodPost, "/admin/snapshot", nil, "Sec-Fetch-Site", "cross-site").wantError(t, http.StatusForbidden, "FORBIDDEN")
	ts.get("/admin/snapshot").wantError(t, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	if list := ts.getJSON("/admin/snapshots")["snapshots"].([]any); len(list) != 0 {
		t.Errorf("%v", list)
	}
	if err := ts.db.Close(); err != nil {
		t.Fatal(err)
	}
	ts.do(http.MethodPost, "/admin/snapshot", nil).wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	ts.get("/admin/snapshots").wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	ts.do(http.MethodDelete, "/admin/snapshots/x", nil).wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
}
