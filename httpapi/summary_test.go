package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

const summaryHour = "&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"

// untilTime cuts an answer before its query_time_ms.
func untilTime(body []byte) string {
	text, _, _ := strings.Cut(string(body), `,"query_time_ms":`)
	return text
}

func TestSeedSummary(t *testing.T) {
	ts := seedServer(t)
	answer := ts.get("/api/v1/metrics/summary/?metric=cpu_usage&source=fl_server&tags=experiment_id:exp_001" + summaryHour)
	want := `{"metric":"cpu_usage","source":"fl_server","unit":"percent","time_range":{"from":"2024-01-15T10:00:00Z","to":"2024-01-15T11:00:00Z"},` +
		`"statistics":{"count":60,"min":0,"max":59,"avg":29.5,"median":29.5,"std_dev":17.318102282486574,` +
		`"percentiles":{"p50":29.5,"p90":53.1,"p95":56.05,"p99":58.41}},"method":"exact","error_bound":0`
	if diff := cmp.Diff(want, untilTime(answer.body)); diff != "" || answer.status != http.StatusOK {
		t.Errorf("%d (-want +got):\n%s", answer.status, diff)
	}
	if _, decimal := decodeJSON(t, answer.body)["query_time_ms"].(float64); !decimal {
		t.Errorf("query_time_ms is missing: %s", answer.body)
	}
}

func TestSummaries(t *testing.T) {
	ts := fleetServer(t)
	for _, test := range []struct{ name, query, want string }{
		{"some percentiles", "metric=load&source=a&percentiles=50,99.9&percentiles=p0",
			`"source":"a","unit":"ratio",?,"statistics":{"count":3,"min":1,"max":10,"avg":4.666666666666667,"median":3,"std_dev":3.858612300930075,` +
				`"percentiles":{"p50":3,"p99.9":9.986,"p0":1}},"method":"exact","error_bound":0`},
		{"by a tag", "metric=load&group_by=host&percentiles=100",
			`"source":null,"unit":"ratio",?,"series":[` +
				`{"tags":{"host":"h1"},"statistics":{"count":4,"min":1,"max":200,"avg":76,"median":51.5,"std_dev":82.01524248577212,"percentiles":{"p100":200}}},` +
				`{"tags":{"host":"h2"},"statistics":{"count":1,"min":10,"max":10,"avg":10,"median":10,"std_dev":0,"percentiles":{"p100":10}}}],"method":"exact","error_bound":0`},
		{"by all", "metric=load&group_by=*&percentiles=100&tags=host:h2",
			`"source":null,"unit":"ratio",?,"series":[{"source":"a","tags":{"host":"h2","zone":"us"},` +
				`"statistics":{"count":1,"min":10,"max":10,"avg":10,"median":10,"std_dev":0,"percentiles":{"p100":10}}}],"method":"exact","error_bound":0`},
		{"nothing", "metric=load&source=nobody&percentiles=5",
			`"source":"nobody","unit":null,?,"statistics":{"count":0,"min":null,"max":null,"avg":null,"median":null,"std_dev":null,` +
				`"percentiles":{"p5":null}},"method":"exact","error_bound":0`},
		{"no groups", "metric=load&source=nobody&group_by=source", `"source":"nobody","unit":null,?,"series":[],"method":"exact","error_bound":0`},
	} {
		want := `{"metric":"load",` + strings.Replace(test.want, "?", `"time_range":{"from":1705312800,"to":1705316400}`, 1)
		if diff := cmp.Diff(want, untilTime(ts.get("/metrics/summary?epoch=s&"+test.query+summaryHour).body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestSummaryErrors(t *testing.T) {
	ts := startServer(t, Options{})
	for _, test := range []struct {
		query string
		want  map[string]any
	}{
		{"", map[string]any{"parameter": "metric"}},
		{"metric=a&percentile=5", map[string]any{"parameter": "percentile", "nearest": "percentiles"}},
		{"metric=a&percentiles=101", map[string]any{"parameter": "percentiles", "given": "101"}},
		{"metric=a&percentiles=5,,6", map[string]any{"parameter": "percentiles"}},
		{"metric=a&percentiles=5,5", map[string]any{"parameter": "percentiles"}},
		{"metric=a&percentiles=avg", map[string]any{"parameter": "percentiles", "given": "avg"}},
		{"metric=a&percentiles=1" + strings.Repeat(",1", 32), map[string]any{"parameter": "percentiles"}},
		{"metric=a&granularity=5m", map[string]any{"parameter": "granularity"}},
		{"metric=a&group_by=*,b", map[string]any{"parameter": "group_by"}},
		{"metric=a&tags=b", map[string]any{"parameter": "tags"}},
		{"metric=a&epoch=min", map[string]any{"parameter": "epoch"}},
		{"metric=a&timeout=1h", map[string]any{"parameter": "timeout"}},
		{"metric=a&from=2024-01-15T11:00:00Z&to=2024-01-15T10:00:00Z", map[string]any{"issue": "Start time must be before end time"}},
	} {
		got := ts.get("/metrics/summary?"+test.query).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
		for key, value := range test.want {
			if diff := cmp.Diff(value, got.Details[key]); diff != "" {
				t.Errorf("%s: details %s (-want +got):\n%s", test.query, key, diff)
			}
		}
	}
}

// rolledServer has an hour of samples, one a minute that counts from 0 to 59, and their rollups. Its clock
// stands ten days later.
func rolledServer(t testing.TB, store engine.Options) *testServer {
	t.Helper()
	var now atomic.Int64
	clock := func() time.Time { return time.Unix(now.Load(), 0).UTC() }
	now.Store(mustTime(t, "2024-01-15T11:00:00Z") / 1e9)
	store.Now = clock
	ts := startEngine(t, store, Options{Now: clock})
	var samples []any
	for minute := range 60 {
		samples = append(samples, fmt.Sprintf("2024-01-15T10:%02d:00Z", minute), float64(minute))
	}
	ts.write("cpu_usage", "percent", []string{"source", "fl_server"}, samples...)
	for range 2 {
		now.Add(5 * 24 * 3600)
		if err := ts.db.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return ts
}

// expiredServer is a rolledServer with nothing but the rollups: the samples have expired.
func expiredServer(t testing.TB) *testServer {
	t.Helper()
	return rolledServer(t, engine.Options{Retention: engine.RetentionPolicy{
		Default: engine.Retention{Raw: 7 * 24 * time.Hour, FiveMinutes: engine.KeepForever},
	}})
}

func TestSummaryOfExpiredSamples(t *testing.T) {
	ts := expiredServer(t)
	got := ts.getJSON("/metrics/summary?metric=cpu_usage" + summaryHour)
	if got["exact"] != false || got["method"] != "sketch" || got["error_bound"] != 0.01 {
		t.Errorf("exact %v, method %v, error_bound %v", got["exact"], got["method"], got["error_bound"])
	}
	statistics := got["statistics"].(map[string]any)
	for key, want := range map[string]float64{"count": 60, "min": 0, "max": 59, "avg": 29.5} {
		if statistics[key] != want {
			t.Errorf("%s is %v, want %v", key, statistics[key], want)
		}
	}
	for key, want := range map[string]float64{"p50": 29.5, "p90": 53.1, "p99": 58.41} {
		value := statistics["percentiles"].(map[string]any)[key].(float64)
		if rank := 1.0; value < 0.99*(want-rank) || value > 1.01*(want+rank) {
			t.Errorf("%s is %v, want about %v", key, value, want)
		}
	}
}
