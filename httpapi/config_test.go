package httpapi

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

// startConfigured serves a configuration that is applied as far as retention goes.
func startConfigured(t *testing.T, now func() time.Time) *testServer {
	t.Helper()
	given := config.Default()
	given.DataDir = t.TempDir()
	live, _, err := config.OpenLive(given)
	if err != nil {
		t.Fatal(err)
	}
	ts := startEngine(t, engine.Options{Now: now}, Options{Now: now, Config: live})
	if err := live.Begin(func(_, after config.Config) {
		if err := ts.db.SetRetention(after.RetentionPolicy()); err != nil {
			t.Error(err)
		}
		if err := ts.db.SetEventRetention(time.Duration(after.Storage.RetentionEvents)); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return ts
}

func (ts *testServer) putConfig(body string) reply {
	ts.t.Helper()
	return ts.do(http.MethodPut, "/config", []byte(body), "Content-Type", "application/json")
}

func TestConfig(t *testing.T) {
	ts := startConfigured(t, time.Now)
	got := ts.getJSON("/api/v1/config/")
	for section, want := range map[string]map[string]any{
		"storage":    {"retention_days": 0.0, "compression_enabled": true, "batch_size": 1048576.0, "retention_5m": nil, "retention_rules": []any{}},
		"processing": {"buffer_size": 4e6, "flush_interval": "10m", "worker_threads": 0.0},
		"alerting":   {"enabled": true, "thresholds": map[string]any{"queue_size": nil, "ingestion_rate": nil}},
	} {
		for key, value := range want {
			if diff := cmp.Diff(value, got[section].(map[string]any)[key]); diff != "" {
				t.Errorf("%s.%s, -want +got:\n%s", section, key, diff)
			}
		}
	}
	// The seed's own change, then the seed's own configuration.
	answer := ts.putConfig(`{"storage": {"retention_days": 60}, "processing": {"worker_threads": 8}}`)
	changed := decodeJSON(t, answer.body)
	if answer.status != http.StatusOK || changed["storage"].(map[string]any)["retention_days"] != 60.0 ||
		changed["processing"].(map[string]any)["worker_threads"] != 8.0 {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	if diff := cmp.Diff([]any{}, changed["restart_required"]); diff != "" {
		t.Errorf("restart_required:\n%s", diff)
	}
	seed := `{"storage":{"retention_days":30,"compression_enabled":true,"batch_size":1000},
		"processing":{"buffer_size":10000,"flush_interval":"5s","worker_threads":4},
		"alerting":{"enabled":true,"thresholds":{"queue_size":8000,"ingestion_rate":5000}}}`
	if answer := ts.putConfig(seed); answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	after := ts.get("/config")
	want := decodeJSON(t, []byte(seed))
	for section := range want {
		for key, value := range want[section].(map[string]any) {
			if diff := cmp.Diff(value, decodeJSON(t, after.body)[section].(map[string]any)[key]); diff != "" {
				t.Errorf("%s.%s, -want +got:\n%s", section, key, diff)
			}
		}
	}
	// What GET shows can be sent back as it is.
	if answer := ts.putConfig(string(after.body)); answer.status != http.StatusOK {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	if answer := ts.putConfig(`{"wal":{"sync":"off"}}`); decodeJSON(t, answer.body)["restart_required"].([]any)[0] != "wal.sync" {
		t.Errorf("%s", answer.body)
	}
	ts.get("/config?x=1").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.do(http.MethodPut, "/config", []byte(`{}`), "Sec-Fetch-Site", "cross-site").wantError(t, http.StatusForbidden, "FORBIDDEN")
}

// TestConfigRefusesWhole: what is refused names the key, and changes nothing.
func TestConfigRefusesWhole(t *testing.T) {
	ts := startConfigured(t, time.Now)
	before := ts.get("/config")
	for _, c := range []struct {
		body, code string
		status     int
		details    map[string]any
	}{
		{`{"storage":{"retention_days":60,"retention_dayz":1}}`, "INVALID_REQUEST", 400, map[string]any{"field": "storage.retention_dayz", "nearest": "retention_days"}},
		{`{"storage":{"retention_days":60},"alertin":{}}`, "INVALID_REQUEST", 400, map[string]any{"field": "alertin", "nearest": "alerting"}},
		{`{"storage":{"retention_days":60},"processing":{"flush_interval":"soon"}}`, "INVALID_REQUEST", 400,
			map[string]any{"field": "processing.flush_interval", "given": `"soon"`, "issue": "it must be a duration such as 100ms, 5s or 10m"}},
		{`{"storage":{"retention_days":-1},"processing":{"buffer_size":0}}`, "INVALID_REQUEST", 400, map[string]any{"field": "storage.retention_days",
			"issue": "storage.retention_days is -1; valid are 0 to 100000", "problems": []any{
				map[string]any{"field": "storage.retention_days", "issue": "is -1; valid are 0 to 100000"},
				map[string]any{"field": "processing.buffer_size", "issue": "is 0; valid are 1 to 1000000000"},
			}}},
		{`{"storage":{"retention_days":60},"listen":["0.0.0.0:80"]}`, "FORBIDDEN", 403, map[string]any{"field": "listen"}},
		{`{"storage":{"retention_days":60},"insecure":true}`, "FORBIDDEN", 403, map[string]any{"field": "insecure"}},
		{`{"storage":{"retention_days":60},"data_dir":"/tmp"}`, "FORBIDDEN", 403, map[string]any{"field": "data_dir"}},
		{`{"webhooks":{"allowed":["10.0.0.0/8"]}}`, "FORBIDDEN", 403, map[string]any{"field": "webhooks.allowed"}},
		{`{"storage":{"retention_days":60},"allowed_hosts":["evil.example"]}`, "FORBIDDEN", 403, map[string]any{"field": "allowed_hosts"}},
		{`{"storage":{"retention_days":60}`, "INVALID_REQUEST", 400, nil},
		{`null`, "INVALID_REQUEST", 400, map[string]any{"issue": "it must be an object"}},
		{`[1]`, "INVALID_REQUEST", 400, map[string]any{"issue": "it must be an object", "given": "[1]", "field": nil}},
	} {
		got := ts.putConfig(c.body).wantError(t, c.status, c.code)
		for key, value := range c.details {
			if diff := cmp.Diff(value, got.Details[key]); diff != "" {
				t.Errorf("%s: %s, -want +got:\n%s", c.body, key, diff)
			}
		}
		if now := ts.get("/config"); string(now.body) != string(before.body) {
			t.Fatalf("%s has changed the configuration to %s", c.body, now.body)
		}
	}
	startServer(t, Options{}).get("/config").wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
}

// TestRetentionDrops: the answer counts what is hidden from then on, and a longer one brings it back.
func TestRetentionDrops(t *testing.T) {
	now := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	ts := startConfigured(t, func() time.Time { return now })
	for _, at := range []string{"2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", "2024-02-01T01:00:00Z", "2024-03-01T00:00:00Z"} {
		ts.write("m", "", []string{"source", "s"}, at, 1.0)
	}
	count := func() any {
		return ts.getJSON("/metrics/query?metric=m&from=2023-01-01&to=2025-01-01")["total_points"]
	}
	drops := func(body string) any {
		t.Helper()
		answer := ts.putConfig(body)
		if answer.status != http.StatusOK {
			t.Fatalf("%d %s", answer.status, answer.body)
		}
		var shown struct {
			Drops any `json:"drops"`
		}
		if err := json.Unmarshal(answer.body, &shown); err != nil {
			t.Fatal(err)
		}
		return shown.Drops
	}
	want := map[string]any{"samples": 3.0, "days": 2.0, "before": "2024-02-20T12:00:00Z", "events": 0.0, "freed_from": "2024-03-01T13:00:00Z"}
	if diff := cmp.Diff(want, drops(`{"storage":{"retention_days":10}}`)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := count(); got != 1.0 {
		t.Errorf("%v samples are visible", got)
	}
	if got := drops(`{"storage":{"retention_days":45}}`); got != nil {
		t.Errorf("a longer retention drops %v", got)
	}
	if got := count(); got != 3.0 {
		t.Errorf("%v samples are visible", got)
	}
	if drops(`{"storage":{"retention_days":0}}`); count() != 4.0 {
		t.Errorf("%v samples are visible", count())
	}
	if got := drops(`{"log":{"level":"warn"}}`); got != nil {
		t.Errorf("a log level drops %v", got)
	}
	ts.do(http.MethodPost, "/events", []byte(`[{"component":"c","event_type":"t","timestamp":"2024-02-01"},{"component":"c","event_type":"t","timestamp":"now-1s"}]`))
	want = map[string]any{"samples": 0.0, "days": 0.0, "before": nil, "events": 1.0, "freed_from": "2024-03-01T13:00:00Z"}
	if diff := cmp.Diff(want, drops(`{"storage":{"retention_events":"10d"}}`)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := ts.getJSON("/events?from=2024-01-01")["total"]; got != 1.0 {
		t.Errorf("%v events are visible", got)
	}
	if got := drops(`{"storage":{"retention_events":"forever"}}`); got != nil {
		t.Errorf("a longer retention drops %v", got)
	}
}
