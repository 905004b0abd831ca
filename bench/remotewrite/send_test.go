package remotewrite

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
)

// startCollector builds and runs the collector until the test ends, and returns its address.
func startCollector(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "collector")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/collector")
	build.Dir = filepath.Join("..", "..")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "serve", "--listen="+addr, "--data-dir="+filepath.Join(dir, "data"))
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return "http://" + addr
}

// raw asks the collector for all samples of a metric.
func raw(t *testing.T, base, metric string) (points []string, unit string) {
	t.Helper()
	response, err := http.Get(base + "/metrics/query?limit=100000&from=now-1h&to=now%2B1h&epoch=ms&metric=" + metric)
	if err != nil {
		return nil, ""
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Unit   string `json:"unit"`
		Points []struct {
			Timestamp int64             `json:"timestamp"`
			Value     any               `json:"value"`
			Source    string            `json:"source"`
			Tags      map[string]string `json:"tags"`
		} `json:"data_points"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	for _, p := range answer.Points {
		points = append(points, fmt.Sprintf("%s @%d %v", p.Tags["series"], p.Timestamp, p.Value))
	}
	slices.Sort(points)
	return points, answer.Unit
}

// TestPrometheus3Sends writes samples to Prometheus' own store, whose log its remote write follows.
func TestPrometheus3Sends(t *testing.T) {
	if os.Getenv("CHECK_REMOTE_WRITE") == "" {
		t.Skip("takes minutes to build; run by make check-remote-write")
	}
	base := startCollector(t)
	dir := t.TempDir()
	options := tsdb.DefaultOptions()
	db, err := tsdb.Open(dir, nil, nil, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender := remote.NewStorage(nil, nil, db.StartTime, dir, time.Second, nil, false)
	db.SetWriteNotified(sender)
	target, err := url.Parse(base + "/api/v1/write")
	if err != nil {
		t.Fatal(err)
	}
	write := config.DefaultRemoteWriteConfig
	write.URL, write.ProtobufMessage = &commonconfig.URL{URL: target}, "io.prometheus.write.v2.Request"
	write.QueueConfig.BatchSendDeadline = model.Duration(100 * time.Millisecond)
	write.MetadataConfig.Send = false
	if err := sender.ApplyConfig(&config.Config{GlobalConfig: config.DefaultGlobalConfig, RemoteWriteConfigs: []*config.RemoteWriteConfig{&write}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sender.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	const series, rounds = 50, 40
	var want []string
	start := time.Now().Add(time.Minute) // the sender leaves out what is older than itself
	for round := range rounds {
		app := db.Appender(t.Context())
		ms := start.UnixMilli() + int64(round)*1000
		for i := range series {
			name := fmt.Sprint(i)
			list := labels.FromStrings("__name__", "took_seconds", "job", "node", "path", "/ü", "series", name)
			v, text := math.Sqrt(float64(i*rounds+round)), ""
			switch {
			case i == 0 && round == rounds-1:
				v = math.Float64frombits(value.StaleNaN)
			case i == 1:
				v, text = math.NaN(), "NaN"
			}
			ref, err := app.Append(0, list, ms, v)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := app.UpdateMetadata(ref, list, metadata.Metadata{Type: model.MetricTypeGauge, Unit: "seconds", Help: "how long it took"}); err != nil {
				t.Fatal(err)
			}
			if text == "" {
				text = fmt.Sprint(v)
			}
			if !value.IsStaleNaN(v) {
				want = append(want, fmt.Sprintf("%s @%d %s", name, ms, text))
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	var got []string
	unit := ""
	for deadline := time.Now().Add(time.Minute); len(got) < len(want) && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		got, unit = raw(t, base, "took_seconds")
	}
	if !slices.Equal(want, got) {
		t.Errorf("%d samples, want %d\n%q\nwant\n%q", len(got), len(want), got, want)
	}
	if unit != "seconds" {
		t.Errorf("the unit is %q", unit)
	}
	t.Logf("%d samples compared", len(want))
}
