package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

// points returns the values of a metric over all time.
func (ts *testServer) points(metric string, headers ...string) []string {
	ts.t.Helper()
	var answer struct {
		Points []struct {
			Timestamp string  `json:"timestamp"`
			Value     float64 `json:"value"`
		} `json:"data_points"`
	}
	reply := ts.get("/metrics/query?metric="+metric+"&from=1970-01-01&to=2262-01-01", headers...)
	if err := json.Unmarshal(reply.body, &answer); err != nil {
		ts.t.Fatalf("%v in %s", err, reply.body)
	}
	points := []string{}
	for _, p := range answer.Points {
		points = append(points, fmt.Sprint(p.Timestamp, " ", p.Value))
	}
	return points
}

func influxClock() time.Time { return time.Date(2024, 1, 15, 10, 30, 1, 0, time.UTC) }

func TestWriteLines(t *testing.T) {
	for _, path := range []string{"/write", "/api/v1/write", "/write/", "/write?db=x&rp=autogen&consistency=any&precision=ns", "/api/v2/write", "/api/v2/write?org=o&bucket=b&precision=ns"} {
		ts := startServer(t, Options{Now: influxClock})
		for _, headers := range [][]string{nil, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Type", "application/octet-stream"}, {"Content-Type", "application/x-www-form-urlencoded"}} {
			answer := ts.do(http.MethodPost, path, []byte("# of some host\ncpu,host=a usage_user=1,value=t 1705314600000000000\r\ncpu,host=a usage_user=2.5\n"), headers...)
			if answer.status != http.StatusNoContent || len(answer.body) > 0 || answer.header.Get("Content-Type") != "" {
				t.Fatalf("%s: %d %v %s", path, answer.status, answer.header, answer.body)
			}
		}
		want := []string{"2024-01-15T10:30:00Z 1", "2024-01-15T10:30:01Z 2.5"}
		if diff := cmp.Diff(want, ts.points("cpu_usage_user")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff([]string{"2024-01-15T10:30:00Z 1"}, ts.points("cpu")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if answer := ts.do(http.MethodPost, path, nil); answer.status != http.StatusNoContent {
			t.Errorf("%s: an empty body: %d %s", path, answer.status, answer.body)
		}
	}
}

func TestWriteLinesPrecision(t *testing.T) {
	ts := startServer(t, Options{})
	for precision, stamp := range map[string]string{
		"": "1705314600000000000", "ns": "1705314600000000000", "n": "1705314600000000000", "us": "1705314600000000", "u": "1705314600000000",
		"ms": "1705314600000", "s": "1705314600", "m": "28421910", "h": "473699",
	} {
		for _, path := range []string{"/write", "/api/v2/write"} {
			answer := ts.do(http.MethodPost, path+"?precision="+precision, []byte("p"+precision+" value=1 "+stamp))
			if path != "/write" && len(precision) == 1 && precision != "s" {
				fault := answer.wantError(t, http.StatusBadRequest, "INVALID_QUERY")
				if fault.Details["parameter"] != "precision" || fault.Details["given"] != precision {
					t.Errorf("%s: %v", precision, fault.Details)
				}
				continue
			}
			want := "2024-01-15T10:30:00Z 1"
			if precision == "h" {
				want = "2024-01-15T11:00:00Z 1"
			}
			if got := ts.points("p" + precision); answer.status != http.StatusNoContent || len(got) != 1 || got[0] != want {
				t.Errorf("%s precision %q: %d %s, %v", path, precision, answer.status, answer.body, got)
			}
		}
	}
}

func TestWriteLinesParameters(t *testing.T) {
	ts := startServer(t, Options{})
	for path, parameter := range map[string]string{
		"/write?precision=d": "precision", "/write?precison=s": "precison", "/write?consistency=some": "consistency", "/write?bucket=b": "bucket",
		"/api/v2/write?db=x": "db", "/ping?verbose=yes": "verbose",
	} {
		method := http.MethodPost
		if strings.HasPrefix(path, "/ping") {
			method = http.MethodGet
		}
		answer := ts.do(method, path, []byte("m f=1"))
		fault := answer.wantError(t, http.StatusBadRequest, "INVALID_QUERY")
		if fault.Details["parameter"] != parameter {
			t.Errorf("%s: %v", path, fault)
		}
		if text := answer.header.Get(headerInfluxError); method == http.MethodPost && !strings.Contains(text, parameter) {
			t.Errorf("%s: InfluxDB's clients see %q", path, text)
		}
	}
	ts.do(http.MethodPost, "/write", []byte("m f=1"), "Content-Encoding", "br").wantError(t, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
}

// TestPartialWrite: what is good is stored, and the answer is one that clients of each InfluxDB can read.
func TestPartialWrite(t *testing.T) {
	const message = `partial write: 2 samples stored, 1 line and 2 fields refused; line 1, field "state": the value is a string, want a number or a boolean; ` +
		`line 2: there are no fields, want measurement,tag=value field=value; line 3, field "n": the value is out of range of its type`
	for _, path := range []string{"/write", "/api/v2/write"} {
		ts := startServer(t, Options{})
		answer := ts.do(http.MethodPost, path, []byte("m state=\"up\",f=1 1\nnonsense\nm f=2,n=9223372036854775808i 2\n"))
		fault := answer.wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
		var shape struct {
			Error, Code, Message string
		}
		if path == "/write" {
			if err := json.Unmarshal(answer.body, &shape); err != nil || shape.Error != message {
				t.Errorf("%v, error %q", err, shape.Error)
			}
		} else {
			var influx struct{ Code, Message string }
			if err := json.Unmarshal(answer.body, &influx); err != nil || influx.Code != "invalid" || influx.Message != message {
				t.Errorf("%v, %v", err, influx)
			}
		}
		if header := answer.header.Get("X-Influxdb-Error"); header != message {
			t.Errorf("header %q", header)
		}
		want := map[string]any{"samples_accepted": 2.0, "lines_rejected": 1.0, "fields_rejected": 2.0, "errors": []any{
			map[string]any{"line": 1.0, "field": "state", "reason": "the value is a string, want a number or a boolean"},
			map[string]any{"line": 2.0, "reason": "there are no fields, want measurement,tag=value field=value"},
			map[string]any{"line": 3.0, "field": "n", "reason": "the value is out of range of its type"},
		}}
		if diff := cmp.Diff(want, fault.Details); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if got := ts.points("m_f"); len(got) != 2 {
			t.Errorf("stored %v", got)
		}
	}
	limited := startEngine(t, engine.Options{MaxSeries: 1}, Options{})
	if answer := limited.do(http.MethodPost, "/write", []byte("m f=1 1\nm g=1 1")); answer.status != http.StatusBadRequest {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	fault := limited.do(http.MethodPost, "/write", []byte("m g=1 1")).wantError(t, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED")
	if !strings.Contains(fault.Message, "max_series") {
		t.Error(fault.Message)
	}
}

func TestWriteLinesCompressed(t *testing.T) {
	ts := startServer(t, Options{})
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	for i := range 10_000 {
		if _, err := fmt.Fprintf(writer, "m,host=h%d f=%d,g=0.5 %d\n", i%10, i, i+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if answer := ts.do(http.MethodPost, "/write", packed.Bytes(), "Content-Encoding", "gzip"); answer.status != http.StatusNoContent {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	if stats := ts.db.Stats(); stats.SamplesAccepted != 20_000 || stats.Series != 20 {
		t.Errorf("%d samples of %d series", stats.SamplesAccepted, stats.Series)
	}
}

// TestKeysOfInfluxClients tries the ways in which InfluxDB's clients give a user or a token.
func TestKeysOfInfluxClients(t *testing.T) {
	logger, log := newLog(slog.LevelDebug)
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{Logger: logger, LogAccess: true})
	body := []byte("m,source=edge-7 f=1 1")
	for _, test := range []struct {
		path    string
		headers []string
		status  int
	}{
		{"/write", nil, 401},
		{"/write?u=any&p=writer-key", nil, 204},
		{"/write?p=writer-key", nil, 204},
		{"/api/v1/write?u=floppy&p=net:work", nil, 204},
		{"/write?u=floppy&p=writer", nil, 401},
		{"/write?u=x&p=reader-key", nil, 403},
		{"/write?u=x&p=device-key", nil, 204},
		{"/write", basic("any", "writer-key"), 204},
		{"/api/v2/write", []string{"Authorization", "Token writer-key"}, 204},
		{"/api/v2/write", []string{"Authorization", "Token floppy:net:work"}, 204},
		{"/api/v2/write", []string{"Authorization", "Token any:writer-key"}, 204},
		{"/api/v2/write", []string{"Authorization", "Token nonsense"}, 401},
		{"/api/v2/write", []string{"Authorization", "Token reader-key"}, 403},
		{"/metrics?u=any&p=writer-key", nil, 401}, // only where clients of InfluxDB write
	} {
		if answer := ts.do(http.MethodPost, test.path, body, test.headers...); answer.status != test.status {
			t.Errorf("%s %v: %d %s", test.path, test.headers, answer.status, answer.body)
		}
		if line := log.wait(t, "msg=request"); strings.Contains(line, "-key") || strings.Contains(line, "net:work") {
			t.Errorf("logged: %s", line)
		}
	}
	answer := ts.do(http.MethodPost, "/write?u=x&p=device-key", []byte("m,source=edge-7 f=1 1\nm f=2 2"))
	fault := answer.wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	if !strings.Contains(fault.Message, `1 sample stored, 1 line and 0 fields refused; line 2: the source is "default", which the key may not write as`) {
		t.Error(fault.Message)
	}
	refused := ts.do(http.MethodPost, "/api/v2/write", body)
	var influx struct{ Code, Message string }
	if err := json.Unmarshal(refused.body, &influx); err != nil || influx.Code != "unauthorized" || !strings.Contains(influx.Message, "A valid key is needed") {
		t.Errorf("%v %s", err, refused.body)
	}
}

func TestPing(t *testing.T) {
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{Version: "9.9"})
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		answer := ts.do(method, "/ping?wait_for_leader=1s", nil)
		if answer.status != http.StatusNoContent || answer.header.Get("X-Influxdb-Version") != influxVersion || len(answer.body) > 0 {
			t.Errorf("%s: %d %v %s", method, answer.status, answer.header, answer.body)
		}
	}
	if got := ts.getJSON("/ping?verbose=true"); got["version"] != influxVersion || got["collector_version"] != "9.9" {
		t.Error(got)
	}
}

// TestEncodedLines has InfluxDB's own encoder write what must come back.
func TestEncodedLines(t *testing.T) {
	ts := startServer(t, Options{})
	var encoder lineprotocol.Encoder
	encoder.SetPrecision(lineprotocol.Millisecond)
	encoder.StartLine(`disk io, of "sda"`)
	encoder.AddTag("a=b, c", `v\w=x y,z`)
	encoder.AddTag("source", "rack 7")
	encoder.AddField("reads, all=1", lineprotocol.MustNewValue(int64(-3)))
	encoder.AddField("on", lineprotocol.MustNewValue(true))
	encoder.AddField("text", lineprotocol.MustNewValue("two\nlines, \"quoted\""))
	encoder.EndLine(influxClock())
	if err := encoder.Err(); err != nil {
		t.Fatal(err)
	}
	fault := ts.do(http.MethodPost, "/write?precision=ms", encoder.Bytes()).wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	if fault.Details["fields_rejected"] != 1.0 || fault.Details["samples_accepted"] != 2.0 {
		t.Error(fault)
	}
	series := ts.getJSON("/metrics/series")["series"].([]any)
	var got []string
	for _, s := range series {
		one := s.(map[string]any)
		got = append(got, fmt.Sprint(one["metric"], " ", one["source"], " ", one["tags"]))
	}
	want := []string{`disk io, of "sda"_on rack 7 map[a=b, c:v\w=x y,z]`, `disk io, of "sda"_reads, all=1 rack 7 map[a=b, c:v\w=x y,z]`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestInfluxCommand writes by InfluxDB's own command, where it is installed.
func TestInfluxCommand(t *testing.T) {
	command, err := exec.LookPath("influx")
	if err != nil {
		t.Skip("InfluxDB's command influx (Debian: influxdb-client) is not installed")
	}
	ts := startLocked(t, KeyOptions{Auth: config.Auth{Keys: testAuth.Keys}}, Options{})
	host, port, _ := strings.Cut(ts.addr, ":")
	run := func(args ...string) string {
		t.Helper()
		process := exec.Command(command, append([]string{"-host", host, "-port", port, "-username", "any", "-password", "writer-key", "-database", "lab"}, args...)...)
		process.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := process.CombinedOutput()
		if err != nil {
			out = append(out, err.Error()...)
		}
		return string(out)
	}
	if out := run("-execute", "insert cpu,host=a usage_user=1.5 1705314600000000000"); out != "" {
		t.Errorf("insert: %s", out)
	}
	if out := run("-precision", "s", "-execute", "insert cpu,host=a usage_user=2.5 1705314601"); out != "" {
		t.Errorf("insert in seconds: %s", out)
	}
	if diff := cmp.Diff([]string{"2024-01-15T10:30:00Z 1.5", "2024-01-15T10:30:01Z 2.5"}, ts.points("cpu_usage_user", bearer("reader-key")...)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out := run("-execute", `insert cpu,host=a state="up"`); !strings.Contains(out, "partial write") || !strings.Contains(out, "state") {
		t.Errorf("insert of a string: %s", out)
	}
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("# DML\n# CONTEXT-DATABASE: lab\n\nmem,host=a free=1i 1705314600000000000\nmem,host=b free=2i 1705314600000000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run("-import", "-path", file); !strings.Contains(out, "Processed 2 inserts") || !strings.Contains(out, "Failed 0 inserts") {
		t.Errorf("import: %s", out)
	}
	if got := ts.points("mem_free", bearer("reader-key")...); len(got) != 2 {
		t.Errorf("imported %v", got)
	}
}

// TestInfluxPythonClients writes by InfluxDB's clients for Python, where COLLECTOR_INFLUX_PYTHON is a Python that has
// them: see make check-influx.
func TestInfluxPythonClients(t *testing.T) {
	python := os.Getenv("COLLECTOR_INFLUX_PYTHON")
	if python == "" {
		t.Skip("COLLECTOR_INFLUX_PYTHON is not set; make check-influx sets it")
	}
	ts := startLocked(t, KeyOptions{Auth: config.Auth{Keys: testAuth.Keys}}, Options{})
	host, port, _ := strings.Cut(ts.addr, ":")
	if out, err := exec.Command(python, "testdata/influx_clients.py", host, port, "writer-key").CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Fatalf("%v: %s", err, out)
	}
	for metric, want := range map[string]int{"one_load": 100, "one_n": 100, "one_up": 100, "one_kept": 1, "two_load": 100, "two_n": 100, "two_kept": 1, "batched_n": 1000} {
		points := ts.points(metric, bearer("reader-key")...)
		if len(points) != want || strings.HasSuffix(metric, "_load") && (points[99] == "" || !strings.HasSuffix(points[99], " 24.75")) {
			t.Errorf("%s: %d points, want %d: %v", metric, len(points), want, points[max(0, len(points)-2):])
		}
	}
}
