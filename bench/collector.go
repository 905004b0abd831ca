package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/flopynet/collector/engine"
)

// collector is the system that is ours.
type collector struct{ program string }

func (*collector) Key() string  { return oursName }
func (*collector) Name() string { return oursName }

func (c *collector) Find() error { return nil }

func (c *collector) Version(ctx context.Context) string { return versionOf(ctx, c.program, "version") }

func (*collector) takes(string) bool { return true }

func (*collector) payload(encoding string, hosts int) (post, func() encoder) {
	switch encoding {
	case encodingInflux:
		return influxPost("/write"), func() encoder { return newInfluxEncoder(hosts) }
	case encodingPRW:
		return remotePost("/api/v1/write"), func() encoder { return newRemoteEncoder(hosts) }
	default:
		return post{path: "/metrics", contentType: "application/json"}, func() encoder { return newMetricsEncoder(hosts) }
	}
}

func influxPost(path string) post { return post{path: path, contentType: "text/plain; charset=utf-8"} }

func remotePost(path string) post {
	return post{path: path, contentType: "application/x-protobuf", contentEncoding: "snappy",
		headers: [][2]string{{"X-Prometheus-Remote-Write-Version", "0.1.0"}}}
}

// command starts it as users do, but for the machine's own metrics, which aren't the workload's.
func (c *collector) command(directory, address string, mode serveMode) (*exec.Cmd, error) {
	command := exec.Command(c.program, "serve", "--listen="+address, "--data-dir="+directory,
		"--wal-sync=always", "--self-metrics=false", "--log-level=warn")
	if mode.uncached {
		command.Args = append(command.Args, "--cache-query-bytes=0")
	}
	if mode.profile != "" {
		command.Args = append(command.Args, "--profile="+mode.profile)
	}
	for _, entry := range os.Environ() { // settings of the caller's are not to be compared
		if !strings.HasPrefix(entry, "COLLECTOR_") {
			command.Env = append(command.Env, entry)
		}
	}
	return command, nil
}

func (*collector) readyPath() string { return "/readyz" }

func (*collector) prepare(*client) error { return nil }

func (*collector) settle(_ context.Context, s *server) error {
	for _, path := range []string{"/admin/flush", "/admin/compact"} {
		if err := s.client.send(post{path: path, contentType: "application/json"}, nil); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// size is that of all files but the reserve for a full disk.
func (*collector) size(s *server) (int64, error) {
	return sizeOf(s.directory, func(path string) bool { return path != "ballast" })
}

// usage opens the data of a collector that has stopped, and tells what takes how much of it.
func (*collector) usage(directory string) (usage engine.Usage, err error) {
	db, err := engine.Open(directory, engine.Options{MaintainInterval: -1})
	if err != nil {
		return usage, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Usage()
}

func (*collector) ask(q question) string {
	parameters := []string{"metric", metricName(q.field), "from", timeText(q.from), "to", timeText(q.to)}
	if q.host >= 0 {
		parameters = append(parameters, "tags", "host:"+hostName(q.host))
	}
	if q.step > 0 {
		parameters = append(parameters, "granularity", fmt.Sprintf("%dms", q.step.Milliseconds()))
	}
	if q.byHost {
		parameters = append(parameters, "group_by", "host")
	}
	functions := map[function]string{average: "avg", totals: "count,sum", percentiles: "p50,p90,p95,p99"}
	return pathOf("/metrics/query", append(parameters, "aggregation", functions[q.function])...)
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (*collector) read(q question, body []byte) ([]row, error) {
	type points []struct {
		Timestamp time.Time          `json:"timestamp"`
		Value     float64            `json:"value"`
		Values    map[string]float64 `json:"values"`
	}
	var answer struct {
		DataPoints points `json:"data_points"`
		Series     []struct {
			Tags       map[string]string `json:"tags"`
			DataPoints points            `json:"data_points"`
		} `json:"series"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	names := map[function][]string{totals: {"count", "sum"}, percentiles: {"p50", "p90", "p95", "p99"}}[q.function]
	var rows []row
	add := func(host string, list points) {
		for _, p := range list {
			values := []float64{p.Value}
			if names != nil {
				values = values[:0]
				for _, name := range names {
					values = append(values, p.Values[name])
				}
			}
			rows = append(rows, row{host, p.Timestamp.UnixMilli(), values})
		}
	}
	add("", answer.DataPoints)
	for _, series := range answer.Series {
		add(series.Tags["host"], series.DataPoints)
	}
	return rows, nil
}

func (*collector) semantics(question) (ranking, float64) { return linear, 1e-9 }

func (*collector) exports() []exportFormat {
	path := func(format string, extra ...string) func(w *Workload, field int) string {
		return func(w *Workload, field int) string {
			return pathOf("/metrics/export", append([]string{"metric", metricName(field), "from", timeText(w.Start), "to", timeText(w.End()), "format", format}, extra...)...)
		}
	}
	type line struct {
		Timestamp int64             `json:"timestamp"`
		Value     float64           `json:"value"`
		Tags      map[string]string `json:"tags"`
	}
	return []exportFormat{
		{exportCSV, path("csv", "epoch", "ms"), func(body io.Reader, check *rowCheck) error { return readCSV(body, check, nil) }},
		{exportLines, path("ndjson", "epoch", "ms", "columns", "timestamp,value,host"), func(body io.Reader, check *rowCheck) error {
			return readLines(body, func(l *line) error { return check.add(l.Tags["host"], l.Timestamp*int64(time.Millisecond), l.Value) })
		}},
		{exportParquet, path("parquet"), readParquet},
		{exportArrow, path("arrow"), readArrow},
	}
}
