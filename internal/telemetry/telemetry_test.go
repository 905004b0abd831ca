package telemetry

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	commonmodel "github.com/prometheus/common/model"

	"github.com/flopynet/collector/engine"
)

func sample() (*Telemetry, *engine.Stats) {
	stats := &engine.Stats{SamplesAccepted: 1234, WaitingSamples: 5, WALFsyncTime: 3 * time.Millisecond, WALFsyncs: 3}
	stats.WALFsyncTimes[0], stats.WALFsyncTimes[4] = 2, 1
	stats.Maintenance.Partitions = [3]int{7, 2, 1}
	t := New(func() engine.Stats { return *stats }, "v1.2.3")
	t.ObserveRequest("GET", "/metrics/query", 200, 3*time.Millisecond)
	t.ObserveRequest("GET", "/metrics/query", 400, time.Millisecond)
	return t, stats
}

// TestTextParsesAndLints holds the text against Prometheus' own parser and linter.
func TestTextParsesAndLints(t *testing.T) {
	telemetry, _ := sample()
	var text bytes.Buffer
	contentType, err := telemetry.Write(&text, "text/plain; version=0.0.4")
	if err != nil || !strings.HasPrefix(contentType, "text/plain; version=0.0.4") {
		t.Fatal(contentType, err)
	}
	parser := expfmt.NewTextParser(commonmodel.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text.String())
	}
	problems, err := promlint.New(bytes.NewReader(text.Bytes())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if got := families["collector_samples_accepted_total"].GetMetric()[0].GetCounter().GetValue(); got != 1234 {
		t.Errorf("collector_samples_accepted_total is %v", got)
	}
	fsyncs := families["collector_wal_fsync_duration_seconds"].GetMetric()[0].GetHistogram()
	if fsyncs.GetSampleCount() != 3 || fsyncs.GetSampleSum() != 0.003 || fsyncs.GetBucket()[0].GetCumulativeCount() != 2 || fsyncs.GetBucket()[4].GetCumulativeCount() != 3 {
		t.Errorf("fsyncs: %v", fsyncs)
	}
	if got := families["collector_http_requests_total"].GetMetric(); len(got) != 2 || got[0].GetCounter().GetValue() != 1 {
		t.Errorf("requests: %v", got)
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "collector_build_info", "collector_partitions"} {
		if families[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestOpenMetrics(t *testing.T) {
	telemetry, _ := sample()
	var text bytes.Buffer
	contentType, err := telemetry.Write(&text, "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	if err != nil || !strings.HasPrefix(contentType, "application/openmetrics-text") || !strings.HasSuffix(text.String(), "# EOF\n") {
		t.Errorf("%q, %v, ends %q", contentType, err, text.String()[max(0, text.Len()-20):])
	}
	described := map[string]bool{}
	for line := range strings.Lines(text.String()) {
		name, ok := strings.CutPrefix(line, "# TYPE ")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		if described[name] { // parsers refuse it
			t.Errorf("the family %s comes twice", name)
		}
		described[name] = true
	}
	for _, name := range []string{"collector_samples_accepted", "go_memstats_alloc_bytes", "go_memstats_frees"} {
		if !described[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestSamples(t *testing.T) {
	telemetry, stats := sample()
	find := func() map[string]Sample {
		samples, err := telemetry.Samples()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]Sample{}
		for _, s := range samples {
			found[s.Name] = s
			if strings.HasSuffix(s.Name, "_bucket") {
				t.Errorf("%s is a bucket", s.Name)
			}
		}
		if len(samples) > 200 {
			t.Errorf("%d samples", len(samples))
		}
		return found
	}
	before := find()
	stats.SamplesAccepted++
	after := find()
	if before["collector_samples_accepted_total"].Value != 1234 || after["collector_samples_accepted_total"].Value != 1235 {
		t.Errorf("accepted: %v, %v", before["collector_samples_accepted_total"], after["collector_samples_accepted_total"])
	}
	if got := after["collector_wal_fsync_duration_seconds_sum"]; got.Value != 0.003 || got.Unit != "seconds" {
		t.Errorf("fsyncs: %v", got)
	}
	if got := after["collector_http_request_duration_seconds_count"]; got.Value != 2 || got.Tags.Get("route") != "/metrics/query" {
		t.Errorf("requests: %v", got)
	}
}

func TestAsks(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/plain": false, "text/html,text/plain;q=0.5": false,
		"text/plain; version=0.0.4": true, "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2": true,
		"Application/OpenMetrics-Text": true, "text/html, text/plain;q=0.1;version=1.0.0": true,
	} {
		if Asks(accept) != want {
			t.Errorf("%q asks: %v", accept, !want)
		}
	}
}
