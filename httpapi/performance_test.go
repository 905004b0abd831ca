package httpapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// TestPerformance follows the numbers through writes, queries and maintenance.
func TestPerformance(t *testing.T) {
	now := time.Date(2024, 1, 20, 0, 0, 0, 0, time.UTC)
	ts := startEngine(t, engine.Options{
		MinChunkSamples: 1, ResultCacheBytes: 1 << 20, MaxSeries: 2, Now: func() time.Time { return now },
		Retention: engine.RetentionPolicy{Default: engine.Retention{Raw: 30 * 24 * time.Hour, FiveMinutes: engine.KeepForever}},
	}, Options{Now: func() time.Time { return now }})
	section := func(name string) map[string]any {
		t.Helper()
		return ts.getJSON("/api/v1/system/performance/")[name].(map[string]any)
	}
	compare := func(name string, want map[string]any) {
		t.Helper()
		got := section(name)
		for key, value := range want {
			if given, there := got[key]; !there || given != value {
				t.Errorf("%s.%s is %v, want %v", name, key, given, value)
			}
		}
	}
	compare("ingestion", map[string]any{
		"rate": "0 metrics/sec", "peak_rate": "0 metrics/sec", "total_metrics": 0.0, "queue_size": 0.0, "queue_max": float64(4 << 20), "series": 0.0,
	})
	compare("storage", map[string]any{
		"retention_policy": "30 days", "retention_days": 30.0, "oldest_data": nil, "compression_ratio": nil, "samples_in_memory": 0.0,
	})
	compare("queries", map[string]any{"avg_response_time": nil, "avg_response_time_ms": nil, "queries_per_minute": 0.0, "cache_hit_rate": nil})
	compare("maintenance", map[string]any{"job": nil, "pending_deletes": 0.0, "days_rolled": 0.0})

	body := `{"timestamp":"2024-01-15T10:00:00Z","metrics":[{"name":"a","value":1},{"name":"b","value":2},{"name":"c","value":3}]}`
	if answer := ts.do(http.MethodPost, "/metrics", []byte(body)); answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	now = now.Add(20 * time.Second)
	compare("ingestion", map[string]any{
		"rate": "0 metrics/sec", "rate_per_second": 0.1, "peak_rate_per_second": 0.2, "total_metrics": 2.0, "series": 2.0, "series_refused": 1.0,
	})
	compare("storage", map[string]any{"samples_in_memory": 2.0})

	for range 4 {
		ts.getJSON("/metrics/query?metric=a&from=2024-01-15&to=2024-01-16&aggregation=avg")
	}
	ts.get("/metrics/query?metric=").wantError(t, http.StatusBadRequest, "INVALID_QUERY") // doesn't count
	compare("queries", map[string]any{"avg_response_time": "0ms", "avg_response_time_ms": 0.0, "queries_per_minute": 4.0, "cache_hit_rate": 0.75})
	compare("cache", map[string]any{"hits": 3.0, "misses": 1.0, "entries": 1.0, "max_bytes": float64(1 << 20)})

	ts.postJSON("/admin/compact")
	compare("maintenance", map[string]any{"job": nil, "days_rolled": 1.0, "points": 4.0})
	if diff := cmp.Diff(map[string]any{"raw": 1.0, "5m": 1.0, "1h": 1.0}, section("maintenance")["partitions"]); diff != "" {
		t.Errorf("partitions (-want +got):\n%s", diff)
	}
	if size := section("storage")["total_size_bytes"].(float64); size <= 0 {
		t.Errorf("total_size_bytes is %v", size)
	}
	ts.do(http.MethodDelete, "/metrics?metric=a&all=true", nil)
	compare("maintenance", map[string]any{"pending_deletes": 1.0})
	if err := ts.db.SetRetention(engine.RetentionPolicy{}); err != nil {
		t.Fatal(err)
	}
	compare("storage", map[string]any{"retention_policy": "forever", "retention_days": 0.0})
	ts.get("/system/performance?x=1").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
}

func TestJobUnderWay(t *testing.T) {
	since := time.Date(2024, 1, 20, 0, 0, 0, 0, time.UTC)
	p := maintenancePerformanceOf(&engine.MaintenanceStats{Job: "roll up 2024-01-15", JobSeries: 7, JobSince: since}, since.Add(1500*time.Millisecond))
	want := &jobProgress{Name: "roll up 2024-01-15", Series: 7, Since: "2024-01-20T00:00:00Z", Seconds: 1.5}
	if diff := cmp.Diff(want, p.Job); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFormatAge(t *testing.T) {
	for age, want := range map[time.Duration]string{
		24 * time.Hour: "1 day", 30 * 24 * time.Hour: "30 days", 12 * time.Hour: "12h0m0s", 36 * time.Hour: "36h0m0s",
	} {
		if got := formatAge(age); got != want {
			t.Errorf("%v is spelt %q, want %q", age, got, want)
		}
	}
}
