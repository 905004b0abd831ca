package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeComponents stores what components may have told.
func (ts *testServer) writeComponents() {
	ts.write("accuracy", "", []string{"source", "fl_server"}, "2024-01-15T10:00:01Z", 0.5, "2024-01-15T10:00:04Z", 0.6, "2024-01-15T10:00:05Z", 0.7)
	ts.write("current_round", "", []string{"source", "fl_server"}, "2024-01-15T10:00:05Z", 3.0)
	ts.write("switches", "count", []string{"source", "sdn_controller"}, "2024-01-15T10:00:05Z", 2.0)
	ts.write("rx_bytes", "bytes", []string{"source", "sdn_controller", "dpid", "1", "port", "1"}, "2024-01-15T10:00:05Z", 100.0)
	ts.write("rx_bytes", "bytes", []string{"source", "sdn_controller", "dpid", "1", "port", "2"}, "2024-01-15T10:00:05Z", 300.0)
	ts.write("accuracy", "", []string{"source", "other"}, "2024-01-15T10:00:05Z", 0.1)
}

func TestHistoryRows(t *testing.T) {
	ts := startServer(t, Options{Now: seedHour})
	ts.writeComponents()
	const last = `{"timestamp":"2024-01-15T10:00:05Z","type":"fl_server","metric_type":"fl_server","source_component":"fl_server",` +
		`"data":{"accuracy":0.7,"component":"fl_server","current_round":3,"source_component":"fl_server","timestamp":1705312805}}`
	const network = `{"timestamp":"2024-01-15T10:00:05Z","type":"network","metric_type":"network","source_component":"sdn_controller",` +
		`"data":{"component":"sdn_controller","rx_bytes":{"dpid:1,port:1":100,"dpid:1,port:2":300},"source_component":"sdn_controller","switches":2,"timestamp":1705312805}}`
	const first = `{"timestamp":"2024-01-15T10:00:00Z","type":"fl_server","metric_type":"fl_server","source_component":"fl_server",` +
		`"data":{"accuracy":0.6,"component":"fl_server","source_component":"fl_server","timestamp":1705312800}}`
	for query, want := range map[string]string{
		"":                               `"count":3,"offset":0,"limit":100,"total":3,"interval_seconds":5,"metrics":[` + last + "," + network + "," + first + "]",
		"limit=1&offset=1":               `"count":1,"offset":1,"limit":1,"total":3,"interval_seconds":5,"metrics":[` + network + "]",
		"sort_desc=False&limit=1":        `"count":1,"offset":0,"limit":1,"total":3,"interval_seconds":5,"metrics":[` + first + "]",
		"type=network":                   `"count":1,"offset":0,"limit":100,"total":1,"interval_seconds":5,"metrics":[` + network + "]",
		"metric_type=network&limit=5000": `"count":1,"offset":0,"limit":1000,"total":1,"interval_seconds":5,"metrics":[` + network + "]",
		"source_component=SDN_CONTROLLER&sort_by=timestamp": `"count":1,"offset":0,"limit":100,"total":1,"interval_seconds":5,"metrics":[` + network + "]",
		"type=fl_round_1":                              `"count":0,"offset":0,"limit":100,"total":0,"interval_seconds":5,"metrics":[]`,
		"start=2024-01-15T10:00:05&end=2024-01-16":     `"count":2,"offset":0,"limit":100,"total":2,"interval_seconds":5,"metrics":[` + last + "," + network + "]",
		"end_time=2024-01-15T10:00:05":                 `"count":1,"offset":0,"limit":100,"total":1,"interval_seconds":5,"metrics":[` + first + "]",
		"start=0&end=2025-01-16&limit=0":               `"count":0,"offset":0,"limit":0,"total":2,"interval_seconds":86850,"metrics":[]`, // not the last day alone
		"start=2024-01-15&end=2024-01-16&limit=0":      `"count":0,"offset":0,"limit":0,"total":3,"interval_seconds":5,"metrics":[]`,
		"start=2023-01-15&end=2024-01-16&type=nowhere": `"count":0,"offset":0,"limit":100,"total":0,"interval_seconds":1585,"metrics":[]`,
	} {
		answer := ts.get("/api/metrics?" + query)
		if diff := cmp.Diff(`{"status":"success",`+want+"}", strings.TrimSpace(string(answer.body))); diff != "" {
			t.Errorf("%s: %d, -want +got:\n%s", query, answer.status, diff)
		}
	}
	for query, parameter := range map[string]string{
		"limit=many": "limit", "limit=-1": "limit", "offset=-1": "offset", "sort_desc=maybe": "sort_desc", "start=yesterday": "start",
		"start=2024-01-15&start_time=2024-01-15": "start_time",
	} {
		answer := ts.get("/api/metrics?"+query).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
		if answer.Details["parameter"] != parameter {
			t.Errorf("%s: %v", query, answer.Details)
		}
	}
}

func TestLatestOfComponents(t *testing.T) {
	ts := startServer(t, Options{Now: seedHour})
	if got := ts.getJSON("/api/metrics/latest"); got["status"] != "success" || len(got["metrics"].(map[string]any)) != 0 || got["timestamp"] == "" {
		t.Errorf("of nothing: %v", got)
	}
	if got := ts.getJSON("/api/metrics/latest?type=fl_server"); got["status"] != "unknown" || got["round"] != 0.0 || got["accuracy"] != 0.0 {
		t.Errorf("of no FL server: %v", got)
	}
	ts.writeComponents()
	ts.write("disk", "", []string{"source", "system", "path", "/"}, "2024-01-15T10:00:06Z", 1.0)
	for query, want := range map[string]string{
		"": "2024-01-15T10:00:06Z", "?type=system": "2024-01-15T10:00:06Z",
	} {
		got := ts.getJSON("/api/metrics/latest" + query)
		if got["timestamp"] != want || at(got, "metrics", "timestamp") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	fl := ts.getJSON("/api/metrics/latest?type=fl_server")
	if fl["round"] != 3.0 || fl["accuracy"] != 0.7 || fl["timestamp"] != "2024-01-15T10:00:05Z" || at(fl, "raw_metrics", "accuracy") != 0.7 {
		t.Errorf("fl_server: %v", fl)
	}
}

// TestDashboardLooksForUs: FLOPY-NET's dashboard asks for the head alone, without the password that it has.
func TestDashboardLooksForUs(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{})
	ts.writeComponents()
	for _, path := range []string{"/api/metrics/latest", "/api/metrics/latest/?type=fl_server"} {
		if answer := ts.do(http.MethodHead, path, nil); answer.status != http.StatusOK || len(answer.body) > 0 {
			t.Errorf("HEAD %s: %d %s", path, answer.status, answer.body)
		}
		ts.get(path).wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
	}
	if answer := ts.do(http.MethodHead, "/api/metrics", nil); answer.status != http.StatusUnauthorized {
		t.Errorf("HEAD of what isn't open: %d", answer.status)
	}
}

func TestMetricsQuery(t *testing.T) {
	ts := startServer(t, Options{Now: seedHour})
	ts.writeComponents()
	ask := func(body string) reply {
		return ts.do(http.MethodPost, "/api/metrics/query", []byte(body), "Content-Type", "application/json")
	}
	row := func(metricType, metric, component, second, value, unit string) string {
		return fmt.Sprintf(`{"timestamp":"2024-01-15T10:00:%sZ","metric_type":%q,"metric":%q,"component":%q,"value":%s,"unit":%q}`, second, metricType, metric, component, value, unit)
	}
	const when = `"start_time": "2024-01-15T10:00:00", "end_time": "2024-01-15T10:01:00", `
	for body, want := range map[string][]string{
		when + `"metric_types": ["accuracy"], "aggregation": "max", "interval": "5s", "components": ["fl_server"]`: {
			row("accuracy", "accuracy", "fl_server", "00", "0.6", ""), row("accuracy", "accuracy", "fl_server", "05", "0.7", ""),
		},
		when + `"metric_types": ["accuracy"], "aggregation": "count", "interval": "1m"`: {
			row("accuracy", "accuracy", "fl_server", "00", "3", ""), row("accuracy", "accuracy", "other", "00", "1", ""),
		},
		when + `"metric_types": ["network", "FL_SERVER.accuracy"], "aggregation": "sum", "interval": "1m"`: {
			row("network", "rx_bytes", "sdn_controller", "00", "400", "bytes"), row("network", "switches", "sdn_controller", "00", "2", "count"),
			row("FL_SERVER.accuracy", "accuracy", "fl_server", "00", "1.7999999999999998", ""),
		},
		when + `"metric_types": ["accuracy"], "components": ["network", "nobody"], "aggregation": "avg", "interval": "1m"`: {},
		when + `"metric_types": ["current_round"], "aggregation": "rate", "interval": "1m"`:                                {row("current_round", "current_round", "fl_server", "00", "null", "")},
		when + `"metric_types": ["switches"], "components": null`:                                                          {row("switches", "switches", "sdn_controller", "05", "2", "count")}, // avg, auto
	} {
		answer := ask("{" + body + "}")
		_, rows, _ := strings.Cut(string(answer.body), `"metrics":[`)
		rows, _, _ = strings.Cut(rows, "]")
		if diff := cmp.Diff(strings.Join(want, ","), rows); diff != "" || answer.status != http.StatusOK {
			t.Errorf("%s: %d, -want +got:\n%s", body, answer.status, diff)
		}
		if got := decodeJSON(t, answer.body); got["count"] != float64(len(want)) || got["total"] != got["count"] || got["interval"] == "" {
			t.Errorf("%s: %v", body, got)
		}
	}
	for body, field := range map[string]string{
		`"metric_types": []`: "metric_types", `"aggregation": "avg"`: "metric_types", `"metric_types": ["a", ""]`: "metric_types[1]", `"metric_types": "a"`: "metric_types",
		`"metric_types": ["a"], "aggregation": "mean"`: "aggregation", `"metric_types": ["a"], "interval": "often"`: "interval", `"metric_types": ["a"], "interval": "0s"`: "interval",
		`"metric_types": ["a"], "start_time": "then"`: "start_time", `"metric_types": ["a"], "agregation": "avg"`: "agregation", `"metric_types": ["a\u0000"]`: "metric_types",
	} {
		if got := ask("{"+body+"}").wantError(t, http.StatusBadRequest, "INVALID_REQUEST"); got.Details["field"] != field {
			t.Errorf("%s: %v", body, got.Details)
		}
	}
	ask(`{"metric_types": ["a"], "start_time": "2024-01-15", "end_time": "2024-01-16", "interval": "1ms"}`).wantError(t, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED")
	ask(`{"metric_types": ["a"], "start_time": "2024-01-16", "end_time": "2024-01-15"}`).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
}
