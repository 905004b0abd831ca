package httpapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/flopynet/collector/config"
)

// What values that depend on the machine look like.
const (
	anyNumber = `\d+(\.\d+)?`
	anyTook   = `"\d+(\.\d+)?(ns|us|ms|s)"`
	anySize   = `"\d+(\.\d+)?(B|KB|MB|GB)"`
	anyRate   = `"\d+(\.\d+)? metrics/sec"`
)

// examples are those of the document in its order. Where a figure of the document can't come from data, the
// row says so by varying it, with the form it must have.
func examples() []example {
	return slices.Concat(firstHalf(), views(), networkExamples(), secondHalf(), live(), pipelines(), settings(), failures(), sdks())
}

func firstHalf() []example {
	return []example{{
		name: "1-health", version: "v1.0.0-alpha.8", now: "2025-06-16T09:30:00Z",
		prepare: func(c *conformance) {
			c.at("2025-06-16T10:30:00Z") // up for 3600 s
			c.submit("any", "2025-06-16T10:30:00Z", 1)
		},
		beside: []string{"uptime", "timestamp", "collector_version", "components", "monitors", "services"},
	}, {
		name: "1-export-job", now: "2025-06-16T10:30:00Z",
		prepare: func(c *conformance) {
			var samples []any
			for i := range 10_000 {
				at := time.Date(2025, 6, 16, 9, 0, 0, i*36e7, time.UTC)
				samples = append(samples, at.Format(time.RFC3339Nano), float64(i))
			}
			c.write("cpu_usage", "percent", []string{"source", "fl_server"}, samples...)
		},
		vary: map[string]string{ // ids end in what nobody can guess; the size is that of these samples
			"export_id": `"exp_20250616_103000_[0-9a-z]+"`, "download_url": `"/download/exp_20250616_103000_[0-9a-z]+\.json"`, "file_size_bytes": anyNumber,
		},
		beside: []string{"*"},
	}}
}

func secondHalf() []example {
	return []example{{
		name:   "2-submit",
		vary:   map[string]string{"batch_id": `"batch_[0-9a-z]+"`},
		beside: []string{},
		after: stored(
			storedMetric{"fl_server", "cpu_usage", 45.2, "percent", `{"experiment_id":"exp_001","host":"fl-server-01"}`},
			storedMetric{"fl_server", "memory_usage", 512.5, "MB", `{"experiment_id":"exp_001","host":"fl-server-01"}`},
			storedMetric{"fl_server", "active_clients", 5, "count", `{"experiment_id":"exp_001"}`}),
	}, {
		name:   "2-submit-batch",
		answer: `{"status": "success", "metrics_accepted": 2}`,
		beside: []string{"timestamp", "batch_id", "batches"},
		after: stored(storedMetric{"policy_engine", "policies_evaluated", 150, "count", `{}`},
			storedMetric{"sdn_controller", "flows_installed", 25, "count", `{}`}),
	}, {
		name: "2-query",
		prepare: func(c *conformance) {
			c.submitSeed("cpu_usage", "percent", "10:00:30", 41.5, "10:02:00", 43.5, "10:05:00", 45.1, "10:09:59.999", 45.3, "10:10:00", 48.1)
			c.submit("cpu_usage", "2024-01-15T10:01:00Z", 99) // another source
		},
		vary:   map[string]string{"query_time_ms": anyNumber},
		beside: []string{"unit"},
	}, {
		name: "2-query-multi",
		prepare: func(c *conformance) {
			c.submitSeed("cpu_usage", "percent", "10:00:30", 41.5, "10:02:00", 43.5)
			c.submitSeed("memory_usage", "MB", "10:00:30", 509.2, "10:02:00", 511.2)
		},
		check: checkMulti,
	}, {
		name:    "2-summary",
		target:  "/metrics/summary?metric=cpu_usage&source=fl_server&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z&tags=experiment_id:exp_001",
		prepare: func(c *conformance) { c.submitSeed("cpu_usage", "percent", summarySamples(c)...) },
		beside:  []string{"unit", "method", "error_bound", "query_time_ms"},
	}, {
		name: "2-anomalies",
		prepare: func(c *conformance) {
			// Noise of which the mean is the document's, and the document's anomaly.
			random := rand.New(rand.NewPCG(1, 2))
			values := []float64{47.3}
			for range 29 {
				noise := random.NormFloat64()
				values = append(values, 47.3+noise, 47.3-noise)
			}
			random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
			var samples []any
			for minute, value := range slices.Insert(values, 25, 85.2) {
				samples = append(samples, fmt.Sprintf("10:%02d:00", minute), value)
			}
			c.submitSeed("cpu_usage", "percent", samples...)
		},
		vary: map[string]string{ // a forest's score is what it is; the others hang on the data
			"anomalies[0].score": `0\.\d+`, "anomalies[0].severity": `"(high|critical)"`,
			"anomalies[0].context.baseline_avg": `47\.(3|2999\d+|3000\d+)`, "anomalies[0].context.deviation": `37\.(9|8999\d+|9000\d+)`, "analysis_time_ms": anyNumber,
		},
		beside: []string{"anomalies*.source", "anomalies*.tags", "algorithm", "sensitivity", "*"},
	}, {
		name:   "2-export",
		target: "/metrics/export?format=csv&metric=cpu_usage&source=fl_server&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z",
		prepare: func(c *conformance) {
			c.submitSeed("cpu_usage", "percent", "10:00:00", 42.5, "10:05:00", 45.2)
		},
		check: checkExport,
	}, {
		name: "2-health", now: "2024-01-10T10:00:00Z",
		prepare: func(c *conformance) {
			c.at("2024-01-15T22:30:00Z") // up for five days and a half
			c.submit("any", "2024-01-15T22:00:00Z", 1)
		},
		vary: map[string]string{ // the state of this process, not of the document's
			"components.influxdb.response_time": anyTook, "components.influxdb.database_size": anySize,
			"components.redis.response_time": anyTook, "components.redis.memory_usage": anySize,
			"components.metrics_processor.queue_size": anyNumber, "components.metrics_processor.processing_rate": anyRate,
		},
		beside: []string{"service", "uptime_seconds", "last_collection", "timestamp", "collector_version", "monitors", "services", "components.storage", "components.wal",
			"components.events", "components.influxdb.*", "components.redis.*", "components.metrics_processor.*", "components.*"},
	}, {
		name: "2-performance",
		prepare: func(c *conformance) {
			for day := range 15 { // the oldest is the document's
				c.submit("any", time.Date(2024, 1, 1+day, 0, 0, 0, 0, time.UTC).Format(time.RFC3339), float64(day))
			}
			if err := c.db.Flush(); err != nil {
				c.t.Fatal(err)
			}
			c.getJSON("/metrics/query?metric=any&from=2024-01-01&to=2024-01-15&aggregation=sum")
			c.getJSON("/metrics/query?metric=any&from=2024-01-01&to=2024-01-15&aggregation=sum")
		},
		vary: map[string]string{ // likewise
			"ingestion.rate": anyRate, "ingestion.peak_rate": anyRate, "ingestion.total_metrics": "15", "ingestion.queue_size": anyNumber,
			"storage.total_size": anySize, "storage.compression_ratio": "null|" + anyNumber, "storage.oldest_data": `null|"2024-01-01T00:00:00Z"`, // null: not measured yet
			"queries.avg_response_time": anyTook, "queries.queries_per_minute": anyNumber, "queries.cache_hit_rate": "0.5",
		},
		beside: []string{"ingestion.*", "storage.*", "queries.*", "cache", "maintenance", "events", "live"},
	}}
}

// settings are the document's configuration, which is given and then read.
func settings() []example {
	beside := []string{"*", "storage.*", "processing.*", "alerting.*"} // it has more settings
	return []example{{
		name: "2-config", beside: beside,
		prepare: func(c *conformance) {
			body := readSeed(c.t, "2-config.response.json")
			if answer := c.do(http.MethodPut, "/config", []byte(body), "Content-Type", "application/json"); answer.status != http.StatusOK {
				c.t.Fatalf("%d %s", answer.status, answer.body)
			}
		},
	}, {
		name: "2-config-update", beside: beside,
		answer: `{"storage": {"retention_days": 60}, "processing": {"worker_threads": 8}, "restart_required": []}`,
		after:  holds(map[string]any{"storage.retention_days": 60, "processing.worker_threads": 8, "storage.compression_enabled": true}),
	}}
}

// failures are the document's errors. Where it shows no request, one that comes to this.
func failures() []example {
	return []example{{
		name: "1-error-not-found", request: "GET /download/exp_20250616_103000.json", status: http.StatusNotFound, now: "2025-06-16T10:30:00Z",
		vary:   map[string]string{"error.message": `"[^"]+"`}, // what is not there is no metric
		beside: []string{"error.request_id", "error.details"},
	}, {
		name: "2-error-rate-limit", request: "GET /metrics/query?metric=cpu_usage", status: http.StatusTooManyRequests,
		prepare: func(c *conformance) {
			for range 5000 {
				if _, _, ok := c.server.reads.take("127.0.0.1", c.server.options.Now()); !ok {
					c.t.Fatal("a request within the limit is refused")
				}
			}
			c.at("2024-01-15T11:29:01Z") // the window has a minute left
		},
		beside: []string{"error.timestamp", "error.request_id", "error.details"},
	}, {
		name: "2-error-invalid-query", request: "GET /metrics/query?metric=cpu_usage&from=2024-01-15T11:00:00Z&to=2024-01-15T10:00:00Z", status: http.StatusBadRequest,
		beside: []string{"error.timestamp", "error.request_id"},
	}}
}

// sdks are what the SDKs of the document send, with their key.
func sdks() []example {
	const authorized = "\nAuthorization: Bearer collector_api_key"
	keyed := func(c *conformance) {
		c.openKeys(KeyOptions{Auth: config.Auth{Keys: []config.APIKey{{Name: "sdk", Role: "write", Secret: "collector_api_key"}}}})
	}
	return []example{{
		name: "python: submit_metric", prepare: keyed, answer: `{"status": "success", "metrics_accepted": 1}`, beside: []string{"timestamp", "batch_id"},
		request: "POST /metrics" + authorized + "\nContent-Type: application/json\n\n" +
			`{"source": "custom_app", "metrics": [{"name": "request_count", "value": 150, "tags": {"endpoint": "/api/users"}}]}`,
	}, {
		name: "python: query_metrics", request: "GET /metrics/query?metric=cpu_usage&source=fl_server&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z&granularity=5m" + authorized,
		prepare: func(c *conformance) {
			c.submitSeed("cpu_usage", "percent", "10:00:30", 41.5, "10:02:00", 43.5)
			keyed(c)
		},
		answer: `{"metric": "cpu_usage", "source": "fl_server", "granularity": "5m", "aggregation": null, "total_points": 1,
			"data_points": [{"timestamp": "2024-01-15T10:00:00Z", "value": 42.5}]}`,
		beside: []string{"unit", "query_time_ms"},
	}, {
		name: "javascript: submitMetrics", prepare: keyed, answer: `{"status": "success", "metrics_accepted": 1}`, beside: []string{"timestamp", "batch_id"},
		request: "POST /metrics" + authorized + "\nContent-Type: application/json\n\n" + `[{"name": "page_views", "value": 25, "tags": {"page": "/dashboard"}}]`,
	}, {
		name: "javascript: queryMetrics", request: "GET /metrics/query?metric=cpu_usage&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z" + authorized,
		prepare: func(c *conformance) {
			c.submitSeed("cpu_usage", "percent", "10:00:00", 42.5)
			keyed(c)
		},
		answer: `{"metric": "cpu_usage", "source": null, "granularity": null, "aggregation": null, "total_points": 1,
			"data_points": [{"timestamp": "2024-01-15T10:00:00Z", "value": 42.5}]}`,
		beside: []string{"unit", "query_time_ms", "next_cursor"},
	}}
}

// checkExport compares the headers and the lines.
func checkExport(c *conformance, answer reply) {
	for line := range strings.Lines(readSeed(c.t, "2-export.response.headers")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if got := answer.header.Get(name); got != value {
			c.t.Errorf("%s: %s, want %s", name, got, value)
		}
	}
	if want := readSeed(c.t, "2-export.response.csv"); strings.ReplaceAll(string(answer.body), "\r\n", "\n") != want {
		c.t.Errorf("the file is %q, want %q", answer.body, want)
	}
}

// submit stores a sample as a client does.
func (c *conformance) submit(name, at string, value float64) {
	c.t.Helper()
	c.post("/metrics", fmt.Sprintf(`{"source": "other", "metrics": [{"name": %q, "timestamp": %q, "value": %v}]}`, name, at, value))
}

// submitSeed stores samples of the document's source, host and experiment: pairs of a time of that day and a
// value.
func (c *conformance) submitSeed(name, unit string, samples ...any) {
	c.t.Helper()
	var values [][2]any
	for i := 0; i < len(samples); i += 2 {
		values = append(values, [2]any{"2024-01-15T" + samples[i].(string) + "Z", samples[i+1]})
	}
	body, err := json.Marshal(map[string]any{"source": "fl_server", "metrics": []any{map[string]any{
		"name": name, "unit": unit, "values": values, "tags": map[string]string{"host": "fl-server-01", "experiment_id": "exp_001"},
	}}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.post("/metrics", string(body))
}

func (c *conformance) post(path, body string) {
	c.t.Helper()
	if answer := c.do(http.MethodPost, path, []byte(body), "Content-Type", "application/json"); answer.status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", path, answer.status, answer.body)
	}
}

// summarySamples are a sample a minute with the statistics of the document's summary.
func summarySamples(c *conformance) (samples []any) {
	text, err := os.ReadFile("testdata/summary-samples.json")
	var values []float64
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	if err != nil || len(values) != 60 {
		c.t.Fatalf("%d samples, %v", len(values), err)
	}
	for minute, value := range values {
		samples = append(samples, fmt.Sprintf("10:%02d:00", minute), value)
	}
	return samples
}

// checkMulti compares the document's two results. It leaves out the third query's; here each query has one, in
// order, also when nothing was found.
func checkMulti(c *conformance, answer reply) {
	got := decodeJSON(c.t, answer.body)
	results := got["results"].([]any)
	if len(results) != 3 {
		c.t.Fatalf("%d results of 3 queries: %s", len(results), answer.body)
	}
	third := results[2].(map[string]any)
	if points := third["data_points"].([]any); third["metric"] != "active_clients" || len(points) != 0 {
		c.t.Errorf("the third result is %v", third)
	}
	got["results"] = results[:2]
	compared, err := json.Marshal(got)
	if err != nil {
		c.t.Fatal(err)
	}
	e := &example{name: "2-query-multi", beside: []string{"query_time_ms", "results*.source", "results*.granularity", "results*.aggregation",
		"results*.unit", "results*.total_points", "results*.query_time_ms"}}
	e.compare(c.t, readSeed(c.t, e.name+".response.json"), compared)
}
