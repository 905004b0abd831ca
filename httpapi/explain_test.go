package httpapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// explained returns the explanation of a query without its times, and the names of these.
func explained(t *testing.T, ts *testServer, query string) (explain map[string]any, stages []string) {
	t.Helper()
	explain = ts.getJSON("/metrics/query?explain=true&" + query)["explain"].(map[string]any)
	for _, stage := range []string{"cache", "find", "read", "encode"} {
		if took, there := explain["stages_ms"].(map[string]any)[stage]; there {
			if took.(float64) < 0 {
				t.Errorf("%s: stage %s took %v", query, stage, took)
			}
			stages = append(stages, stage)
		}
	}
	delete(explain, "stages_ms")
	return explain, stages
}

func TestExplain(t *testing.T) {
	const query = "metric=cpu_usage" + summaryHour
	points := func(fiveMinutes, hour float64) map[string]any { return map[string]any{"5m": fiveMinutes, "1h": hour} }
	steps := []struct {
		name, query string
		want        map[string]any
		stages      []string
	}{
		{"points of five minutes", "&granularity=5m&aggregation=avg", map[string]any{
			"series": 1.0, "cache": "miss", "chunks_read": 1.0, "chunks_skipped": 0.0, "samples_decoded": 0.0, "points": points(12, 0), "tiers": []any{"5m"},
		}, []string{"find", "read", "encode"}},
		{"the same again", "&granularity=5m&aggregation=avg", map[string]any{
			"series": 1.0, "cache": "hit", "chunks_read": 1.0, "chunks_skipped": 0.0, "samples_decoded": 0.0, "points": points(12, 0), "tiers": []any{"5m"},
		}, []string{"cache", "encode"}},
		{"raw samples", "", map[string]any{
			"series": 1.0, "cache": "none", "chunks_read": nil, "chunks_skipped": nil, "samples_decoded": nil, "points": nil, "tiers": []any{"raw"},
		}, []string{"read", "encode"}},
		{"nothing", "&source=nobody&aggregation=avg", map[string]any{
			"series": 0.0, "cache": "miss", "chunks_read": 0.0, "chunks_skipped": 0.0, "samples_decoded": 0.0, "points": points(0, 0), "tiers": []any{},
		}, []string{"find", "read", "encode"}},
	}
	ts := rolledServer(t, engine.Options{ResultCacheBytes: 1 << 20})
	for _, step := range steps {
		explain, stages := explained(t, ts, query+step.query)
		if diff := cmp.Diff(step.want, explain); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.stages, stages); diff != "" {
			t.Errorf("%s: stages (-want +got):\n%s", step.name, diff)
		}
	}
	if explain, _ := explained(t, rolledServer(t, engine.Options{}), query+"&aggregation=avg"); explain["cache"] != "none" {
		t.Errorf("without a cache: %v", explain)
	}
}

func TestQuerySaysWhenItIsNotExact(t *testing.T) {
	ts := expiredServer(t)
	for _, test := range []struct {
		name, query        string
		exact, method, err any
	}{
		{"points that fit", "&granularity=5m&aggregation=avg", nil, nil, nil},
		{"points that don't fit", "&granularity=7m&aggregation=avg", false, nil, nil},
		{"a percentile", "&granularity=1h&aggregation=p95", false, "sketch", 0.01},
	} {
		got := ts.getJSON("/metrics/query?metric=cpu_usage" + summaryHour + test.query)
		if got["exact"] != test.exact || got["method"] != test.method || got["error_bound"] != test.err {
			t.Errorf("%s: exact %v, method %v, error_bound %v", test.name, got["exact"], got["method"], got["error_bound"])
		}
	}
	header := ts.get("/metrics/query?format=csv&metric=cpu_usage&aggregation=p95" + summaryHour).header
	if header.Get("X-Exact") != "false" || header.Get("X-Error-Bound") != "0.01" {
		t.Errorf("CSV has X-Exact %q and X-Error-Bound %q", header.Get("X-Exact"), header.Get("X-Error-Bound"))
	}
	if header := ts.get("/metrics/query?format=csv&metric=cpu_usage&aggregation=max" + summaryHour).header; header.Get("X-Exact") != "" {
		t.Errorf("exact CSV has X-Exact %q", header.Get("X-Exact"))
	}
}
