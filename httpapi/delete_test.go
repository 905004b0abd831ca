package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// count returns how many samples of a metric are visible.
func (ts *testServer) count(query string) string {
	ts.t.Helper()
	list := ts.getJSON("/metrics/query?from=1970-01-01&to=2262-01-01&aggregation=count&" + query)["data_points"].([]any)
	if len(list) == 0 {
		return "0"
	}
	return fmt.Sprint(list[0].(map[string]any)["value"])
}

func TestDelete(t *testing.T) {
	ts := fleetServer(t)
	const quarter = "&from=2024-01-15T10:00:00Z&to=2024-01-15T10:05:00Z"
	const hidden = `{"status":"%s","series":%d,"samples_hidden":%d,"from":%s,"to":%s}` + "\n"
	const begin, end = `"2024-01-15T10:00:00Z"`, `"2024-01-15T10:05:00Z"`
	for _, test := range []struct{ path, want, left string }{
		{"/metrics?metric=load&dry_run=true" + quarter, fmt.Sprintf(hidden, "dry_run", 3, 4, begin, end), "5"},
		{"/metrics?metric=load&source=nobody" + quarter, fmt.Sprintf(hidden, "success", 0, 0, begin, end), "5"},
		{"/api/v1/metrics/?metric=load&source=a&tags=host:h1&start=2024-01-15T10:01:00%2B00:00&end_time=now", fmt.Sprintf(hidden, "success", 1, 1, `"2024-01-15T10:01:00Z"`, `"2024-01-15T12:00:00Z"`), "4"},
		{"/metrics?metric=load&source=a&dry_run=false" + quarter, fmt.Sprintf(hidden, "success", 2, 2, begin, end), "2"},
		{"/metrics?metric=load&dry_run=true&all=true", fmt.Sprintf(hidden, "dry_run", 1, 2, "null", "null"), "2"},
		{"/metrics?metric=load&all=true&tags=zone:", fmt.Sprintf(hidden, "success", 1, 2, "null", "null"), "0"},
	} {
		answer := ts.do(http.MethodDelete, test.path, nil)
		if diff := cmp.Diff(test.want, string(answer.body)); diff != "" || answer.status != http.StatusOK {
			t.Errorf("%s: %d (-want +got):\n%s", test.path, answer.status, diff)
		}
		if left := ts.count("metric=load"); left != test.left {
			t.Errorf("%s: %s samples are left, want %s", test.path, left, test.left)
		}
	}
	ts.write("load", "", []string{"source", "a", "host", "h1", "zone", "eu"}, "2024-01-15T10:00:00Z", 1.0)
	if left := ts.count("metric=load"); left != "1" {
		t.Errorf("written after the delete: %s samples are visible", left)
	}
}

// TestDeleteOfExpiredSamples asks for a part of an hour of which there are only rollups.
func TestDeleteOfExpiredSamples(t *testing.T) {
	ts := expiredServer(t)
	answer := ts.do(http.MethodDelete, "/metrics?metric=cpu_usage&from=2024-01-15T10:20:00Z&to=2024-01-15T10:40:00Z", nil)
	want := `{"status":"success","series":1,"samples_hidden":60,"from":"2024-01-15T10:00:00Z","to":"2024-01-15T11:00:00Z"}` + "\n"
	if diff := cmp.Diff(want, string(answer.body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left := ts.count("metric=cpu_usage"); left != "0" {
		t.Errorf("%s samples are left", left)
	}
}

func TestDeleteErrors(t *testing.T) {
	ts := fleetServer(t)
	const from, to = "&from=2024-01-15T10:00:00Z", "&to=2024-01-15T11:00:00Z"
	for _, test := range []struct {
		query string
		want  map[string]any
	}{
		{"all=true", map[string]any{"parameter": "metric"}},
		{"metric=load", map[string]any{"parameter": "from", "issue": "give both from and to, or all=true for all time"}},
		{"metric=load&all=false", map[string]any{"parameter": "from"}},
		{"metric=load" + from, map[string]any{"parameter": "to", "issue": "only from is given; give both from and to, or all=true for all time"}},
		{"metric=load&end_date=2024-01-16", map[string]any{"parameter": "from", "issue": "only end_date is given; give both from and to, or all=true for all time"}},
		{"metric=load&all=true" + from + to, map[string]any{"parameter": "all", "issue": "it means all time, but from is given too"}},
		{"metric=load&all=true" + to, map[string]any{"parameter": "all"}},
		{"metric=load&all=yes", map[string]any{"parameter": "all", "given": "yes"}},
		{"metric=load&dry_run=1&all=true", map[string]any{"parameter": "dry_run", "given": "1"}},
		{"metric=load&dryrun=true&all=true", map[string]any{"parameter": "dryrun", "nearest": "dry_run"}},
		{"metric=load&source=&all=true", map[string]any{"parameter": "source"}},
		{"metric=load&tags&all=true", map[string]any{"parameter": "tags"}},
		{"metric=load&tags=host&all=true", map[string]any{"parameter": "tags"}},
		{"metric=load&from=2024-01-15&start=2024-01-15" + to, map[string]any{"parameter": "start"}},
		{"metric=load&from=2024-01-16" + to, map[string]any{"issue": "Start time must be before end time"}},
		{"metric=load&from=soon" + to, map[string]any{"parameter": "from", "given": "soon"}},
	} {
		got := ts.do(http.MethodDelete, "/metrics?"+test.query, nil).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
		for key, value := range test.want {
			if diff := cmp.Diff(value, got.Details[key]); diff != "" {
				t.Errorf("%s: details %s (-want +got):\n%s", test.query, key, diff)
			}
		}
	}
	foreign := ts.do(http.MethodDelete, "/metrics?metric=load&all=true", nil, "Origin", "https://example.com")
	foreign.wantError(t, http.StatusForbidden, "FORBIDDEN")
	if left := ts.count("metric=load"); left != "5" {
		t.Errorf("%s samples are left", left)
	}
}

// TestWriteToSeriesThatAreDropped drops a series between the moment at which a request finds it and that at
// which it is written.
func TestWriteToSeriesThatAreDropped(t *testing.T) {
	var f *writeFixture
	var armed atomic.Bool
	f = newWriteFixture(t, engine.Options{
		MaintainInterval: -1,
		Retention:        engine.RetentionPolicy{Default: engine.Retention{Raw: time.Hour}},
		Now: func() time.Time {
			// With a retention, the engine asks for the time to check that of the samples.
			if armed.CompareAndSwap(true, false) {
				matchers := []*model.Matcher{model.EqualMatcher(model.NameKey, "a")}
				if _, err := f.db.Delete(t.Context(), engine.Selection{Matchers: matchers, To: model.MaxTime}, false); err != nil {
					t.Error(err)
				}
				if err := f.db.Maintain(t.Context()); err != nil {
					t.Error(err)
				}
				if dropped := f.db.Stats().Maintenance.SeriesDropped; dropped != 1 {
					t.Errorf("%d series were dropped, want 1", dropped)
				}
			}
			return writeTestNow
		},
	})
	const body = `[{"name":"a","value":1},{"name":"b","value":1}]`
	if status, answer := f.post(t, "/metrics", body); status != fasthttp.StatusOK {
		t.Fatal(status, answer)
	}
	if err := f.db.Flush(); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	status, answer := f.post(t, "/metrics", strings.ReplaceAll(body, `"value":1`, `"value":2`))
	if status != fasthttp.StatusOK || !strings.Contains(answer, `"metrics_accepted":2,`) {
		t.Fatal(status, answer)
	}
	if armed.Load() {
		t.Fatal("the series were not dropped")
	}
	if diff := cmp.Diff([]string{"a[{source default}]  2", "b[{source default}]  2"}, f.stored(t, "a", "b")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
