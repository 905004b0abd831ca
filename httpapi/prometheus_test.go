package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// exporter is something for Prometheus to scrape, whose series change: values that only some ways in take, labels that need
// UTF-8, a histogram, and a series that is gone after some scrapes.
type exporter struct{ scrapes atomic.Int64 }

// goneAfter is how many scrapes have the series that ends.
const goneAfter = 8

func (e *exporter) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n := e.scrapes.Add(1)
	fmt.Fprintf(w, "requests_total{path=\"/a\"} %d\nrequests_total{path=\"/ü b\\\"c\",zone=\"\"} %d\n", 3*n, n)
	fmt.Fprintf(w, "temperature{source=\"lab\"} %v\nodd{kind=\"nan\"} NaN\nodd{kind=\"plus\"} +Inf\nodd{kind=\"minus\"} -Inf\n", 20+math.Sin(float64(n)))
	fmt.Fprintf(w, "# TYPE took_seconds histogram\ntook_seconds_bucket{le=\"0.1\"} %d\ntook_seconds_bucket{le=\"+Inf\"} %d\ntook_seconds_sum %v\ntook_seconds_count %d\n", n, 2*n, 0.3*float64(n), 2*n)
	if n <= goneAfter {
		fmt.Fprintf(w, "short_lived %d\n", n)
	}
}

const prometheusConfig = `
global: {scrape_interval: 100ms, external_labels: {replica: "r1"}}
scrape_configs:
  - job_name: node
    honor_labels: true
    static_configs: [{targets: ["%s"], labels: {rack: "7"}}]
remote_write:
  - url: %s/api/v1/write
    queue_config: {batch_send_deadline: 200ms, max_shards: 2}
`

// promSeries is what Prometheus says of a series: labels, and pairs of seconds and a value as text.
type promSeries struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"`
}

// startPrometheus runs the installed prometheus and returns its address, and how to end it, which the test's end does otherwise.
func startPrometheus(t *testing.T, config string) (base string, end func()) {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus is installed; on Debian: apt-get install prometheus")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	command := exec.CommandContext(ctx, program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	var log strings.Builder
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		cancel()           // kills it
		_ = command.Wait() // which is an error
		if t.Failed() {
			t.Logf("prometheus: %s", log.String())
		}
	})
	t.Cleanup(end)
	return "http://" + addr, end
}

// queryPrometheus asks for the raw samples of the last minutes.
func queryPrometheus(t *testing.T, base, expression string) []promSeries {
	t.Helper()
	response, err := http.Get(base + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return nil // it isn't there yet
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data struct {
			Result []promSeries `json:"result"`
		} `json:"data"`
	}
	if response.StatusCode != http.StatusOK {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Data.Result
}

// spellPrometheus lists its samples up to a time in ms as spellStored does ours. The external label is added on
// the way to us.
func spellPrometheus(t *testing.T, list []promSeries, until int64) (out []string) {
	t.Helper()
	for _, series := range list {
		tags := model.Tags{{Key: "replica", Value: "r1"}}
		source := series.Metric["job"]
		for key, value := range series.Metric {
			switch key {
			case "__name__":
				continue
			case "source":
				source = value
				continue
			}
			tags = append(tags, model.Tag{Key: key, Value: value})
		}
		tags = model.Normalize(append(tags, model.Tag{Key: "source", Value: source}))
		for _, pair := range series.Values {
			value, err := strconv.ParseFloat(pair[1].(string), 64)
			if err != nil {
				t.Fatal(err)
			}
			if ms := int64(math.Round(pair[0].(float64) * 1000)); ms <= until {
				out = append(out, fmt.Sprintf("%s%v @%d %v", series.Metric["__name__"], tags, ms, value))
			}
		}
	}
	slices.Sort(out)
	return out
}

// spellStored lists all of our samples up to a time in ms.
func spellStored(ts *testServer, until int64) (out []string) {
	ts.t.Helper()
	for _, entry := range ts.getJSON("/metrics/names?limit=10000")["names"].([]any) {
		name := entry.(map[string]any)["name"].(string)
		result, err := ts.db.Samples(ts.t.Context(), engine.SamplesRequest{
			Selection: engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, To: until*1e6 + 1}, Limit: 100_000,
		})
		if err != nil || result.More {
			ts.t.Fatal(err, result.More)
		}
		for _, row := range result.Rows {
			s := result.Series[row.Series]
			out = append(out, fmt.Sprintf("%s%v @%d %v", s.Name, s.Tags, row.Time/1e6, row.Value))
		}
	}
	slices.Sort(out)
	return out
}

// TestPrometheusSends has a Prometheus that nobody here wrote scrape and send, and compares each sample with its own answer.
func TestPrometheusSends(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	ts := startServer(t, Options{})
	source := new(exporter)
	target := httptest.NewServer(source)
	defer target.Close()
	base, end := startPrometheus(t, fmt.Sprintf(prometheusConfig, strings.TrimPrefix(target.URL, "http://"), ts.url))
	deadline := time.Now().Add(time.Minute)
	wait := func(what string, done func() bool) {
		t.Helper()
		for !done() {
			if time.Now().After(deadline) {
				t.Fatalf("waited for %s in vain", what)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	wait("scrapes", func() bool { return source.scrapes.Load() >= 2*goneAfter })
	until := time.Now().UnixMilli()
	// All of one time is in one batch or in two that follow each other, so what is later shows that it is all there.
	wait("samples of later", func() bool {
		rows, err := ts.db.Samples(t.Context(), engine.SamplesRequest{
			Selection: engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "up")}, From: (until + 500) * 1e6, To: model.MaxTime}, Limit: 1,
		})
		return err == nil && len(rows.Rows) > 0
	})
	want := spellPrometheus(t, queryPrometheus(t, base, `{job="node"}[5m]`), until)
	var got []string
	wait("the same samples", func() bool { got = spellStored(ts, until); return len(got) >= len(want) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-prometheus +ours):\n%s", diff)
	}
	if len(want) < 2*goneAfter*10 {
		t.Errorf("only %d samples were compared", len(want))
	}
	// Once nothing comes any more, one sample is accepted that isn't returned: the marker at the end of short_lived.
	end()
	var accepted, visible uint64
	wait("the stale marker", func() bool {
		visible = uint64(len(spellStored(ts, model.MaxTime/1e6-1)))
		accepted = ts.db.Stats().SamplesAccepted
		return accepted == visible+1
	})
	t.Logf("%d samples compared, %d accepted", len(want), accepted)
}
