package httpapi

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	commonmodel "github.com/prometheus/common/model"
)

// scrape parses what a scraper gets.
func (ts *testServer) scrape(path, accept string) map[string]*dto.MetricFamily {
	ts.t.Helper()
	answer := ts.get(path, "Accept", accept)
	if answer.status != http.StatusOK || !strings.HasPrefix(answer.header.Get("Content-Type"), "text/plain; version=0.0.4") {
		ts.t.Fatalf("%s: %d %s", path, answer.status, answer.header.Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(commonmodel.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(answer.body))
	if err != nil {
		ts.t.Fatalf("%v in %s", err, answer.body)
	}
	problems, err := promlint.New(bytes.NewReader(answer.body)).Lint()
	if err != nil || len(problems) > 0 {
		ts.t.Errorf("%v %v", problems, err)
	}
	return families
}

func TestExposition(t *testing.T) {
	ts := startServer(t, Options{Version: "v9.9"})
	requests := func(families map[string]*dto.MetricFamily, method, route, status string) float64 {
		for _, metric := range families["collector_http_requests_total"].GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["method"] == method && labels["route"] == route && labels["status"] == status {
				return metric.GetCounter().GetValue()
			}
		}
		return 0
	}
	ts.do(http.MethodPost, "/metrics", []byte(`{"metrics":[{"name":"m","value":1}]}`))
	ts.get("/api/v1/metrics/query/?metric=m")
	ts.get("/metrics/query")
	for _, path := range []string{"/nothing", "/nothing/else", "/admin/flush"} {
		ts.get(path)
	}
	ts.do("BREW", "/coffee", nil)
	ts.rawExchange("nonsense\r\n\r\n")
	families := ts.scrape("/metrics/prometheus", "*/*")
	for _, c := range []struct {
		method, route, status string
		want                  float64
	}{
		{"POST", "/metrics", "200", 1}, {"GET", "/metrics/query", "200", 1}, {"GET", "/metrics/query", "400", 1},
		{"other", "other", "404", 3}, {"other", "other", "405", 1},
		{"other", "other", "400", 1},
	} {
		if got := requests(families, c.method, c.route, c.status); got != c.want {
			t.Errorf("%s %s %s: %v requests, want %v", c.method, c.route, c.status, got, c.want)
		}
	}
	if got := families["collector_samples_accepted_total"].GetMetric()[0].GetCounter().GetValue(); got != 1 {
		t.Errorf("%v samples", got)
	}
	scraper := "application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.5"
	if again := ts.scrape("/metrics", scraper); requests(again, "GET", "/metrics/prometheus", "200") != 1 {
		t.Error("the first scrape isn't counted")
	}
	if answer := ts.get("/api/v1/metrics", "Accept", "application/openmetrics-text"); !strings.HasSuffix(string(answer.body), "# EOF\n") ||
		!strings.HasPrefix(answer.header.Get("Content-Type"), "application/openmetrics-text") {
		t.Errorf("%s %.200s", answer.header.Get("Content-Type"), answer.body)
	}
	ts.get("/metrics/prometheus?x=1").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
}

func TestMetricsSnapshot(t *testing.T) {
	ts := startServer(t, Options{})
	for _, accept := range []string{"", "*/*", "application/json", "text/plain"} {
		answer := ts.get("/metrics", "Accept", accept)
		got := decodeJSON(t, answer.body)
		system := got["system"].(map[string]any)
		for _, key := range []string{"memory_usage", "disk_usage"} {
			if value, ok := system[key].(float64); !ok || value <= 0 {
				t.Errorf("%s is %v", key, system[key])
			}
		}
		if cpu, ok := system["cpu_usage"].(float64); !ok || cpu < 0 || cpu > 100 {
			t.Errorf("cpu_usage is %v", system["cpu_usage"])
		}
		network := system["network_io"].(map[string]any)
		if len(network) != 2 || network["bytes_sent"] == nil || network["bytes_received"] == nil || got["services"] == nil || got["timestamp"] == nil {
			t.Errorf("%s", answer.body)
		}
	}
}
