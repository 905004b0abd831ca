package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const seedExport = "/metrics/export?metric=cpu_usage&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"

// writeSeedExport stores the samples of the seed's example of an export.
func writeSeedExport(ts *testServer) {
	ts.write("cpu_usage", "percent", []string{"source", "fl_server", "host", "fl-server-01", "experiment_id", "exp_001"},
		"2024-01-15T10:00:00Z", 42.5, "2024-01-15T10:05:00Z", 45.2)
}

const seedCSV = "timestamp,value,source,experiment_id,host\n" +
	"2024-01-15T10:00:00Z,42.5,fl_server,exp_001,fl-server-01\n" +
	"2024-01-15T10:05:00Z,45.2,fl_server,exp_001,fl-server-01\n"

func TestExportAsTheSeedHasIt(t *testing.T) {
	ts := startServer(t, Options{})
	writeSeedExport(ts)
	for _, base := range []string{"", "/api/v1"} {
		answer := ts.get(base + seedExport + "&format=csv")
		if answer.status != http.StatusOK || string(answer.body) != seedCSV {
			t.Errorf("%d: %s", answer.status, answer.body)
		}
		if got := answer.header.Get("Content-Type"); got != "application/octet-stream" {
			t.Errorf("content type %q", got)
		}
		if got := answer.header.Get("Content-Disposition"); got != `attachment; filename="cpu_usage_export.csv"` {
			t.Errorf("disposition %q", got)
		}
	}
	if answer := ts.get(seedExport); string(answer.body) != seedCSV {
		t.Errorf("without a format: %s", answer.body)
	}
	if head := ts.do(http.MethodHead, seedExport, nil); head.status != http.StatusOK || head.header.Get("Content-Disposition") == "" || len(head.body) > 0 {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
}

func TestExportParameters(t *testing.T) {
	ts := startServer(t, Options{})
	writeSeedExport(ts)
	ts.write("a,b", "", []string{"source", "s"}, "2024-01-15T10:30:00Z", 1.0)
	ts.write(`ü"`, "", []string{"source", "s"}, "2024-01-15T10:30:00Z", 1.0)
	for _, c := range []struct{ path, disposition, want string }{
		{seedExport + "&format=json&epoch=s", "cpu_usage_export.json", `[{"timestamp":1705312800,"value":42.5,"source":"fl_server","tags":{"experiment_id":"exp_001","host":"fl-server-01"}},` + "\n" +
			`{"timestamp":1705313100,"value":45.2,"source":"fl_server","tags":{"experiment_id":"exp_001","host":"fl-server-01"}}]` + "\n"},
		{seedExport + "&granularity=10m&aggregation=max&source=fl_server&tags=host:fl-server-01", "cpu_usage_export.csv",
			"timestamp,value,source,experiment_id,host\n2024-01-15T10:00:00Z,45.2,fl_server,exp_001,fl-server-01\n"},
		{strings.Replace(seedExport, "cpu_usage", `cpu_usage,a\,b`, 1), "metrics_export.csv", "timestamp,metric,value,source,experiment_id,host\n" +
			"2024-01-15T10:30:00Z,\"a,b\",1,s,,\n" +
			"2024-01-15T10:00:00Z,cpu_usage,42.5,fl_server,exp_001,fl-server-01\n2024-01-15T10:05:00Z,cpu_usage,45.2,fl_server,exp_001,fl-server-01\n"},
		{strings.Replace(seedExport, "cpu_usage", url.QueryEscape(`ü"`), 1), `___export.csv`, "timestamp,value,source\n2024-01-15T10:30:00Z,1,s\n"},
		{strings.Replace(seedExport, "cpu_usage", "absent", 1), "absent_export.csv", "timestamp,value,source\n"},
		{seedExport + "&columns=timestamp,value,host", "cpu_usage_export.csv",
			"timestamp,value,host\n2024-01-15T10:00:00Z,42.5,fl-server-01\n2024-01-15T10:05:00Z,45.2,fl-server-01\n"},
		{seedExport + "&columns=timestamp&columns=value&format=ndjson&epoch=s", "cpu_usage_export.ndjson", `{"timestamp":1705312800,"value":42.5}` + "\n" + `{"timestamp":1705313100,"value":45.2}` + "\n"},
		{seedExport + "&tags=host:nobody", "cpu_usage_export.csv", "timestamp,value,source\n"},
	} {
		answer := ts.get(strings.ReplaceAll(c.path, `\`, "%5C"))
		if answer.status != http.StatusOK || string(answer.body) != c.want {
			t.Errorf("%s: %d\n%s\nwant\n%s", c.path, answer.status, answer.body, c.want)
		}
		if got := answer.header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="`+c.disposition+`"`) {
			t.Errorf("%s: disposition %q", c.path, got)
		}
	}
	if got := ts.get(strings.Replace(seedExport, "cpu_usage", url.QueryEscape(`ü"`), 1)).header.Get("Content-Disposition"); !strings.HasSuffix(got, "; filename*=UTF-8''%C3%BC%22_export.csv") {
		t.Errorf("disposition %q", got)
	}
}

func TestExportRefuses(t *testing.T) {
	ts := startServer(t, Options{})
	for _, c := range []struct{ query, parameter string }{
		{"from=now-1h&to=now", "metric"},
		{"metric=a&to=now", "from"},
		{"metric=a&from=now-1h", "to"},
		{"metric=a,,b&from=now-1h&to=now", "metric"},
		{"metric=a%5C&from=now-1h&to=now", "metric"},
		{"metric=a&from=now-1h&to=now&format=xml", "format"},
		{"metric=a&from=now-1h&to=now&format=parquet&epoch=s", "epoch"},
		{"metric=a&from=now-1h&to=now&format=json&csv_safe=true", "csv_safe"},
		{"metric=a&from=now-1h&to=now&granularity=5m&aggregation=avg,max", "aggregation"},
		{"metric=a&from=now-1h&to=now&columns=value", "columns"},
		{"metric=a&from=now-1h&to=now&columns=timestamp,value,,host", "columns"},
		{"metric=a&from=now-1h&to=now&columns=timestamp,value,host,host", "columns"},
		{"metric=a&from=now-1h&to=now&columns=timestamp,value,unit", "columns"},
		{"metric=a&from=now-1h&to=now&agregation=avg", "agregation"},
		{"metric=a&from=now-1h&to=now&limit=5", "limit"},
	} {
		got := ts.get("/metrics/export?"+c.query).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
		if got.Details["parameter"] != c.parameter {
			t.Errorf("%s: %v", c.query, got.Details)
		}
	}
	answer := ts.get("/metrics/export?metric=a&from=now&to=now-1h")
	if got := answer.wantError(t, http.StatusBadRequest, "INVALID_QUERY"); got.Message != "Invalid time range" || answer.header.Get("Content-Disposition") != "" {
		t.Errorf("%+v, %v", got, answer.header)
	}
}

// writeMany stores hosts series of a number of samples a second apart.
func writeMany(ts *testServer, hosts, samples int) {
	start := mustTime(ts.t, "2024-01-15T10:00:00Z")
	for host := range hosts {
		id, err := ts.db.Resolve("many", model.Tags{{Key: "host", Value: fmt.Sprint("h", host)}, {Key: "source", Value: "s"}})
		if err != nil {
			ts.t.Fatal(err)
		}
		var batch engine.Batch
		for i := range samples {
			batch.Add(id, start+int64(i)*1e9, float64(host*samples+i))
		}
		if err := ts.db.Write(&batch); err != nil {
			ts.t.Fatal(err)
		}
	}
}

const manyExport = "/metrics/export?metric=many&from=2024-01-15&to=2024-02-15&format=csv"

// TestExportStreams reads an export that is far longer than what is gathered before it is sent.
func TestExportStreams(t *testing.T) {
	ts := startServer(t, Options{})
	const hosts, samples = 20, 10_000
	writeMany(ts, hosts, samples)
	response, err := ts.client.Get(ts.url + manyExport)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.ContentLength != -1 || len(response.TransferEncoding) != 1 || response.Header.Get("Content-Disposition") != `attachment; filename="many_export.csv"` ||
		response.Header.Get("X-Request-ID") == "" || response.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("length %d, %v, header %v", response.ContentLength, response.TransferEncoding, response.Header)
	}
	lines := bufio.NewScanner(response.Body)
	if lines.Scan(); lines.Text() != "timestamp,value,source,host" {
		t.Errorf("header %q", lines.Text())
	}
	rows := 0
	for ; lines.Scan(); rows++ {
		if want := fmt.Sprintf("Z,%d,s,h%d", rows, rows/samples); !strings.HasSuffix(lines.Text(), want) {
			t.Fatalf("row %d is %q, want %q at its end", rows, lines.Text(), want)
		}
	}
	if err := lines.Err(); err != nil || rows != hosts*samples {
		t.Errorf("%d rows, %v", rows, err)
	}
	// In HTTP/1.0, the end of the connection is that of the answer.
	old := ts.rawExchange("GET " + manyExport + " HTTP/1.0\r\n\r\n")
	if strings.Count(old, "\n") < hosts*samples || !strings.HasSuffix(old, "Z,199999,s,h19\n") || strings.Contains(old, "chunked") {
		t.Errorf("HTTP/1.0: %d bytes, %.300s", len(old), old)
	}
}

// openExport begins an export over a connection of its own and reads the first of it.
func openExport(ts *testServer) (net.Conn, *bufio.Reader) {
	ts.t.Helper()
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	ts.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		ts.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET "+manyExport+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		ts.t.Fatal(err)
	}
	reader := bufio.NewReaderSize(conn, 1<<10)
	if line, err := reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
		ts.t.Fatalf("%q %v", line, err)
	}
	return conn, reader
}

// startSlow serves a store with an export that doesn't fit into the buffers of a connection.
func startSlow(t *testing.T, level slog.Level) (*testServer, *logBuffer) {
	t.Helper()
	logger, log := newLog(level)
	ts := startServer(t, Options{Logger: logger})
	writeMany(ts, 40, 20_000)
	return ts, log
}

// TestExportStopsWithItsClient lets a client go away in the middle.
func TestExportStopsWithItsClient(t *testing.T) {
	ts, log := startSlow(t, slog.LevelInfo)
	conn, _ := openExport(ts)
	conn.Close()
	log.wait(t, "went away")
	if err := ts.server.streams.wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestExportIsCutByShutdown stops the server while a client doesn't read. What it got must not look whole.
func TestExportIsCutByShutdown(t *testing.T) {
	ts, log := startSlow(t, slog.LevelInfo)
	_, reader := openExport(ts)
	ts.server.cancel()
	log.wait(t, "cut off by the shutdown")
	rest, err := io.ReadAll(reader)
	if err == nil && bytes.HasSuffix(rest, []byte("0\r\n\r\n")) {
		t.Errorf("%d bytes that look whole", len(rest))
	}
}

// TestExportFailureShows lets an answer fail before and after its first bytes are sent.
func TestExportFailureShows(t *testing.T) {
	logger, log := newLog(slog.LevelInfo)
	failing := fmt.Errorf("%w: a chunk", engine.ErrCorrupt)
	piece := bytes.Repeat([]byte("0123456789abcde\n"), firstBytes/16)
	ts := startServer(t, Options{Logger: logger}, route{method: http.MethodGet, path: "/failing", role: roleRead, handler: func(s *Server, r *request) error {
		after := len(r.http.QueryArgs().Peek("after"))
		return r.respondStream(typeFile, func(_ context.Context, w io.Writer) error {
			for range after {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			return failing
		})
	}})
	if got := ts.get("/failing").wantError(t, http.StatusInternalServerError, "INTERNAL_ERROR"); !strings.Contains(got.Message, "damaged") {
		t.Errorf("before the first byte: %+v", got)
	}
	for _, version := range []string{"1.0", "1.1"} {
		conn, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /failing?after=xxx HTTP/"+version+"\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(conn)
		conn.Close()
		if err == nil && (version == "1.0" || bytes.HasSuffix(content, []byte("0\r\n\r\n"))) {
			t.Errorf("HTTP/%s: %d bytes that look whole", version, len(content))
		}
		if line := log.wait(t, "failed and was cut off"); !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "a chunk") {
			t.Errorf("logged %s", line)
		}
	}
}

// TestExportsAtOnce fills all places for streams.
func TestExportsAtOnce(t *testing.T) {
	ts, _ := startSlow(t, slog.LevelError)
	var conns []net.Conn
	for range maxStreams {
		conn, _ := openExport(ts)
		conns = append(conns, conn)
	}
	answer := ts.get(manyExport)
	if got := answer.wantError(t, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED"); got.Details["max"] != float64(maxStreams) || answer.header.Get("Retry-After") == "" {
		t.Errorf("%+v, %v", got, answer.header)
	}
	for _, conn := range conns {
		conn.Close()
	}
	if err := ts.server.streams.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer := ts.get(seedExport); answer.status != http.StatusOK {
		t.Errorf("afterwards: %d", answer.status)
	}
}
