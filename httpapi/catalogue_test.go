package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// catalogueServer has two metrics of the seed's, on some hosts.
func catalogueServer(t testing.TB) *testServer {
	ts := startEngine(t, engine.Options{MinChunkSamples: 1}, Options{Now: func() time.Time { return time.Date(2024, 1, 15, 11, 0, 0, 0, time.UTC) }})
	for i := range 3 {
		host := fmt.Sprint("edge-", i)
		ts.write("cpu_usage", "percent", []string{"source", "fl_server", "host", host}, fmt.Sprintf("2024-01-15T10:0%d:00Z", i), 1.0, fmt.Sprintf("2024-01-15T10:3%d:00.5Z", i), 2.0)
	}
	ts.write("memory_usage", "MB", []string{"source", "fl_server", "host", "edge-0", "zone", "a|b"}, "2024-01-14T10:00:00Z", 1.0)
	ts.write("memory_usage", "MB", []string{"source", "policy_engine"}, "2024-01-15T10:00:00Z", 1.0)
	ts.write("flows", "", []string{"host", "edge-1", "app.kubernetes.io/name", "50 %"}, "2024-01-15T10:59:00Z", 1.0)
	return ts
}

// TestCatalogue reads each list, from the head, from chunks and after a delete.
func TestCatalogue(t *testing.T) {
	ts := catalogueServer(t)
	for range 2 {
		for path, want := range map[string]string{
			"/metrics/names": `{"names":[{"name":"cpu_usage","unit":"percent","series":3,"first":"2024-01-15T10:00:00Z","last":"2024-01-15T10:32:00.500Z"},
				{"name":"flows","unit":null,"series":1,"first":"2024-01-15T10:59:00Z","last":"2024-01-15T10:59:00Z"},
				{"name":"memory_usage","unit":"MB","series":2,"first":"2024-01-14T10:00:00Z","last":"2024-01-15T10:00:00Z"}],"total":3,"next_cursor":null}`,
			"/metrics/names?match=~.*usage&from=2024-01-15T10:01:00Z&to=2024-01-15T10:31:00.6Z&epoch=ms": `{"names":[
				{"name":"cpu_usage","unit":"percent","series":3,"first":1705312860000,"last":1705314660500}],"total":1,"next_cursor":null}`,
			"/metrics/sources":                   `{"sources":[{"source":"fl_server","series":4},{"source":"policy_engine","series":1}],"total":2,"next_cursor":null}`,
			"/metrics/sources?match=p":           `{"sources":[{"source":"policy_engine","series":1}],"total":1,"next_cursor":null}`,
			"/metrics/tags":                      `{"tags":[{"key":"app.kubernetes.io/name","values":1,"series":1},{"key":"host","values":3,"series":5},{"key":"zone","values":1,"series":1}],"total":3,"next_cursor":null}`,
			"/metrics/tags?match=ho&source=none": `{"tags":[],"total":0,"next_cursor":null}`,
			"/metrics/tags?match=~zo.e":          `{"tags":[{"key":"zone","values":1,"series":1}],"total":1,"next_cursor":null}`,
			"/metrics/tags/host/values?metric=cpu_usage&tags=host:~edge-[01]": `{"key":"host","values":[{"value":"edge-0","series":1},{"value":"edge-1","series":1}],"total":2,"next_cursor":null}`,
			"/metrics/tags/zone/values?match=a|":                              `{"key":"zone","values":[{"value":"a|b","series":1}],"total":1,"next_cursor":null}`,
			"/metrics/tags/app.kubernetes.io%2Fname/values":                   `{"key":"app.kubernetes.io/name","values":[{"value":"50 %","series":1}],"total":1,"next_cursor":null}`,
			"/metrics/tags/nobody/values":                                     `{"key":"nobody","values":[],"total":0,"next_cursor":null}`,
			"/metrics/series?match=mem": `{"series":[{"metric":"memory_usage","source":"fl_server","tags":{"host":"edge-0","zone":"a|b"},"unit":"MB","first":"2024-01-14T10:00:00Z","last":"2024-01-14T10:00:00Z"},
				{"metric":"memory_usage","source":"policy_engine","tags":{},"unit":"MB","first":"2024-01-15T10:00:00Z","last":"2024-01-15T10:00:00Z"}],"total":2,"next_cursor":null}`,
			"/metrics/series?tags=host:edge-1&from=2024-01-15T10:59:00Z&to=now": `{"series":[
				{"metric":"flows","source":null,"tags":{"app.kubernetes.io/name":"50 %","host":"edge-1"},"unit":null,"first":"2024-01-15T10:59:00Z","last":"2024-01-15T10:59:00Z"}],"total":1,"next_cursor":null}`,
		} {
			var expected map[string]any
			if err := json.Unmarshal([]byte(want), &expected); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			for _, base := range bases {
				if diff := cmp.Diff(expected, ts.getJSON(base+strings.ReplaceAll(path, "|", "%7C"))); diff != "" {
					t.Errorf("%s%s (-want +got):\n%s", base, path, diff)
				}
			}
		}
		if err := ts.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if answer := ts.do(http.MethodDelete, "/metrics?metric=cpu_usage&all=true", nil); answer.status != http.StatusOK {
		t.Fatalf("delete: %s", answer.body)
	}
	if names := ts.getJSON("/metrics/names?metric=cpu_usage"); names["total"] != 0.0 {
		t.Errorf("after the delete: %v", names)
	}
	if keys := ts.getJSON("/metrics/tags/host/values"); keys["total"] != 2.0 {
		t.Errorf("after the delete: %v", keys)
	}
}

// TestCataloguePages reads lists entry by entry, also by the other base, and tries cursors where they don't
// belong.
func TestCataloguePages(t *testing.T) {
	ts := catalogueServer(t)
	for path, key := range map[string]string{
		"/metrics/names": "names", "/metrics/sources": "sources", "/metrics/tags": "tags", "/metrics/tags/host/values": "values", "/metrics/series": "series",
	} {
		whole := ts.getJSON(path)
		var parts []any
		cursor, first := "", ""
		for i := 0; ; i++ {
			page := ts.getJSON(bases[i%2] + path + "?limit=1&cursor=" + url.QueryEscape(cursor))
			if page["total"] != whole["total"] {
				t.Errorf("%s: total %v, want %v", path, page["total"], whole["total"])
			}
			parts = append(parts, page[key].([]any)...)
			next, more := page["next_cursor"].(string)
			if !more {
				break
			}
			if cursor = next; first == "" {
				first = next
			}
		}
		if diff := cmp.Diff(whole[key], any(parts)); diff != "" {
			t.Errorf("%s (-whole +pages):\n%s", path, diff)
		}
		ts.get(path+"?source=other&cursor="+first).wantError(t, 400, "INVALID_QUERY")
		ts.get("/metrics/query?metric=cpu_usage&cursor="+first).wantError(t, 400, "INVALID_QUERY")
	}
	for _, path := range []string{"/metrics/names?limit=10001", "/metrics/names?match=~(", "/metrics/series?from=2&to=1", "/metrics/sources?epoch=s", "/metrics/names?tags=x", "/metrics/tags/%FF/values", "/metrics/tags/%0A/values"} {
		ts.get(path).wantError(t, 400, "INVALID_QUERY")
	}
	if nearest := ts.get("/metrics/names?mach=cpu").wantError(t, 400, "INVALID_QUERY").Details["nearest"]; nearest != "match" {
		t.Errorf("nearest to mach is %v", nearest)
	}
}
