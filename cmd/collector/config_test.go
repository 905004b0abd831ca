package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestConfigLiveAndKept changes settings of a running collector, sees them at work, and starts it again, with
// the same flags and with others.
func TestConfigLiveAndKept(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, "--self-metrics=false", "--storage-retention-days=30")
	put := func(body string) string {
		t.Helper()
		return answer(t, http.MethodPut, p.url+"/config", body)
	}
	write := func(metrics string) string {
		t.Helper()
		return answer(t, "", p.url+"/metrics", `{"metrics":[`+metrics+`]}`)
	}
	if got := write(`{"name":"old","value":1,"timestamp":"now-40d"}`); !strings.Contains(got, "older than the retention of 30 days") {
		t.Fatalf("a sample of 40 days is answered %s", got)
	}
	if got := put(`{"storage":{"retention_days":60,"max_series":1},"wal":{"sync":"interval"},"log":{"level":"debug"}}`); !strings.Contains(got, `"restart_required":["wal.sync"]`) {
		t.Fatalf("PUT /config is answered %s", got)
	}
	if got := write(`{"name":"old","value":1,"timestamp":"now-40d"}`); !strings.Contains(got, `"success"`) {
		t.Errorf("with 60 days, a sample of 40 is answered %s", got)
	}
	if got := write(`{"name":"second","value":1}`); !strings.Contains(got, "max_series = 1") {
		t.Errorf("with one series, a second is answered %s", got)
	}
	// A threshold that is crossed already raises an event.
	put(`{"alerting":{"thresholds":{"ingestion_rate":0.001}}}`)
	write(`{"name":"old","value":2}`)
	p.awaitLog(t, `event=ALERT_RAISED message="ingestion_rate is `)
	put(`{"alerting":{"enabled":false}}`)
	p.awaitLog(t, `event=ALERT_RESOLVED message="ingestion_rate has no threshold any more"`)
	p.terminate(t) // all of its log has come now
	if !strings.Contains(p.stderr.String(), "level=DEBUG") {
		t.Error("nothing is logged for debugging")
	}

	p = start(t, dir, "--self-metrics=false", "--storage-retention-days=30")
	var got struct {
		Storage struct {
			RetentionDays int `json:"retention_days"`
			MaxSeries     int `json:"max_series"`
		} `json:"storage"`
		WAL struct{ Sync string } `json:"wal"`
	}
	get(t, p.url+"/config", &got)
	if got.Storage.RetentionDays != 60 || got.Storage.MaxSeries != 1 || got.WAL.Sync != "interval" {
		t.Errorf("after a restart: %+v", got)
	}
	if got := write(`{"name":"second","value":1}`); !strings.Contains(got, "max_series = 1") {
		t.Errorf("after a restart a second series is answered %s", got)
	}
	p.terminate(t)

	p = start(t, dir, "--self-metrics=false", "--storage-retention-days=50")
	get(t, p.url+"/config", &got)
	if got.Storage.RetentionDays != 50 || got.Storage.MaxSeries != 1 {
		t.Errorf("with another flag: %+v", got)
	}
	p.terminate(t) // all of its log has come now
	if log := p.stderr.String(); !strings.Contains(log, "is forgotten") || !strings.Contains(log, "key=storage.retention_days changed_to=60 now=50") {
		t.Errorf("the log doesn't tell: %s", log)
	}
}

// awaitLog waits until the collector has logged a text.
func (p *process) awaitLog(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(p.stderr.String(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it doesn't log %q but %s", text, p.stderr.String())
		}
	}
}
