package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

func TestRoutes(t *testing.T) {
	ts := startServer(t, Options{})
	for _, path := range []string{"/health", "/health/", "/api/v1/health", "/api/v1/health/", "/livez", "/api/v1/readyz/", "/", "/api", "/api/", "/api/v1", "/api/v1/"} {
		answer := ts.get(path)
		if answer.status != http.StatusOK || answer.header.Get("X-Request-ID") == "" {
			t.Errorf("GET %s: %d, request id %q", path, answer.status, answer.header.Get("X-Request-ID"))
		}
		head := ts.do(http.MethodHead, path, nil)
		if head.status != http.StatusOK || len(head.body) != 0 || head.header.Get("Content-Length") == "0" {
			t.Errorf("HEAD %s: %d, Content-Length %s, %q", path, head.status, head.header.Get("Content-Length"), head.body)
		}
	}
	for _, path := range []string{"/nothing", "/api/nothing", "/api/v1/metrics/nothing", "/health//", "/healthz", "/Health", "/metrics/query/x"} {
		ts.get(path).wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
	}
	long := "/" + strings.Repeat("x", 10_000)
	if got := ts.get(long).wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND").Details["path"]; got != long[:200]+"..." {
		t.Errorf("a long path comes back as %v", got)
	}
	for _, path := range []string{"/health", "/livez", "/readyz", "/", "/api/v1/health"} {
		if got := ts.get(path+"?verbose=1").wantError(t, http.StatusBadRequest, "INVALID_QUERY"); got.Details["parameter"] != "verbose" {
			t.Errorf("%s: %v", path, got.Details)
		}
	}
	for path, allow := range map[string]string{"/metrics": "DELETE, GET, HEAD, OPTIONS, POST", "/api/v1/metrics/query/": "GET, HEAD, OPTIONS", "/health": "GET, HEAD, OPTIONS"} {
		answer := ts.do(http.MethodPut, path, nil)
		answer.wantError(t, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
		if got := answer.header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q, want %q", path, got, allow)
		}
	}
	if answer := ts.do(http.MethodOptions, "/metrics/query", nil); answer.status != http.StatusNoContent || answer.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("OPTIONS: %d, Allow %q", answer.status, answer.header.Get("Allow"))
	}
	index := ts.getJSON("/")
	if list, _ := json.Marshal(index["endpoints"]); !strings.Contains(string(list), `"path":"/metrics/query"`) {
		t.Errorf("index: %v", index)
	}
	ts.server.SetReady(false)
	if answer := ts.get("/readyz"); answer.header.Get("Retry-After") == "" {
		t.Error("not ready, without Retry-After")
	} else {
		answer.wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	}
}

func TestRequestID(t *testing.T) {
	ts := startServer(t, Options{})
	for given, taken := range map[string]bool{
		"abc-DEF_1.2": true, strings.Repeat("x", 64): true,
		strings.Repeat("x", 65): false, "a b": false, "a/b": false, "\xc3\xa4": false, "a[b": false, "": false,
	} {
		answer := ts.get("/nothing", "X-Request-ID", given)
		answer.wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
		if got := answer.header.Get("X-Request-ID"); (got == given) != taken || got == "" {
			t.Errorf("given %q, got %q", given, got)
		}
	}
}

func TestHostRule(t *testing.T) {
	ts := startServer(t, Options{AllowedHosts: []string{"Collector"}})
	for host, allowed := range map[string]bool{
		"localhost": true, "LOCALHOST:8000": true, "localhost.:1": true, "127.0.0.1": true, "192.168.100.40:8083": true, "[::1]:8000": true, "[::1]": true,
		"collector": true, "collector:8000": true,
		"evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "evil.example:8000": false,
	} {
		answer := ts.get("/livez", "Host", host)
		if allowed != (answer.status == http.StatusOK) {
			t.Errorf("Host %s: %d", host, answer.status)
		}
		if !allowed {
			answer.wantError(t, http.StatusForbidden, "FORBIDDEN")
		}
	}
}

func TestOriginRule(t *testing.T) {
	ts := startServer(t, Options{})
	for _, test := range []struct {
		headers []string
		allowed bool
	}{
		{nil, true},
		{[]string{"Origin", "http://" + ts.addr}, true},
		{[]string{"Origin", "https://" + ts.addr}, true},
		{[]string{"Origin", "http://" + ts.addr, "Sec-Fetch-Site", "same-origin"}, true},
		{[]string{"Sec-Fetch-Site", "none"}, true},
		{[]string{"Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Origin", "http://localhost"}, false},
		{[]string{"Origin", "http://127.0.0.1"}, false},
		{[]string{"Origin", "https://evil.example"}, false},
		{[]string{"Origin", "null"}, false},
		{[]string{"Origin", "http://localhost", "Host", "localhost:80"}, true},
		{[]string{"Origin", "https://[::1]", "Host", "[::1]:443"}, true},
		{[]string{"Authorization", "Bearer nonsense"}, true},
	} {
		answer := ts.do(http.MethodPost, "/metrics", []byte(`{"metrics":[]}`), test.headers...)
		if allowed := answer.status == http.StatusOK; allowed != test.allowed {
			t.Errorf("%v: %d %s", test.headers, answer.status, answer.body)
		}
		if !test.allowed {
			answer.wantError(t, http.StatusForbidden, "FORBIDDEN")
		}
		if got := ts.get("/livez", test.headers...); got.status != http.StatusOK {
			t.Errorf("%v: reading is refused: %d", test.headers, got.status)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	ts := startServer(t, Options{})
	for name, test := range map[string]struct{ request, want, code string }{
		"no HTTP":        {"nonsense\r\n\r\n", "HTTP/1.1 400", "INVALID_REQUEST"},
		"bad header":     {"GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", "HTTP/1.1 400", "INVALID_REQUEST"},
		"bad length":     {"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400", "INVALID_REQUEST"},
		"long header":    {"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", maxHeaderBytes) + "\r\n\r\n", "HTTP/1.1 431", "PAYLOAD_TOO_LARGE"},
		"broken chunks":  {"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400", "INVALID_REQUEST"},
		"absolute-form":  {"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 403", "FORBIDDEN"},
		"unknown method": {"BREW /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 405", "METHOD_NOT_ALLOWED"},
	} {
		answer := ts.rawExchange(test.request)
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		if !strings.HasPrefix(head, test.want) || !strings.Contains(body, `"code":"`+test.code+`"`) ||
			!strings.Contains(head, "Content-Type: "+typeJSON) || !strings.Contains(head, "X-Request-Id") && !strings.Contains(head, "X-Request-ID") {
			t.Errorf("%s: %s", name, answer)
		}
	}
}

func TestPanic(t *testing.T) {
	logger, log := newLog(slog.LevelError)
	ts := startServer(t, Options{Logger: logger}, route{role: roleNone, method: "GET", path: "/panic", handler: func(*Server, *request) error { panic("boom") }})
	got := ts.get("/panic").wantError(t, http.StatusInternalServerError, "INTERNAL_ERROR")
	if line := log.wait(t, "panic"); !strings.Contains(line, got.RequestID) || !strings.Contains(line, "boom") || !strings.Contains(line, "server_test.go") {
		t.Errorf("logged: %s", line)
	}
	ts.getJSON("/livez")
}

func TestCompression(t *testing.T) {
	ts := seedServer(t)
	const path = "/metrics/query?metric=cpu_usage&granularity=1m&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z&format=csv"
	plain := ts.get(path)
	if plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept, Accept-Encoding" {
		t.Fatalf("plain: %v", plain.header)
	}
	for accept, want := range map[string]string{
		"gzip": "gzip", "gzip, deflate, br, zstd": "zstd", "zstd;q=0.5, gzip": "gzip", "*": "zstd", "identity": "", "gzip;q=0": "", "br": "", "GZIP;q=0.3": "gzip",
	} {
		answer := ts.get(path, "Accept-Encoding", accept)
		if got := answer.header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q gives %q, want %q", accept, got, want)
			continue
		}
		if got := decode(t, want, answer.body); !bytes.Equal(got, plain.body) {
			t.Errorf("%s: %d bytes, want %d", accept, len(got), len(plain.body))
		}
	}
	if got := ts.get("/livez", "Accept-Encoding", "gzip").header.Get("Content-Encoding"); got != "" {
		t.Errorf("a short answer is compressed: %s", got)
	}
}

func decode(t *testing.T, encoding string, body []byte) []byte {
	t.Helper()
	var reader io.Reader = bytes.NewReader(body)
	var err error
	switch encoding {
	case "gzip":
		reader, err = gzip.NewReader(reader)
	case "zstd":
		reader, err = zstd.NewReader(reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHealth(t *testing.T) {
	now := time.Date(2025, 6, 16, 10, 30, 0, 0, time.UTC)
	ts := startEngine(t, engine.Options{ResultCacheBytes: 1 << 20}, Options{Version: "v9.9", Now: func() time.Time { return now }})
	ts.server.started = now.Add(-(5*24 + 12) * time.Hour)
	got := ts.getJSON("/health")
	for key, want := range map[string]any{
		"status": "healthy", "service": "collector", "version": "v9.9", "collector_version": "v9.9", "timestamp": "2025-06-16T10:30:00Z",
		"uptime": "5d 12h 0m", "uptime_seconds": 475200.0, "last_collection": nil,
	} {
		if value, there := got[key]; !there || value != want {
			t.Errorf("%s is %v, want %v", key, value, want)
		}
	}
	if monitors, ok := got["monitors"].(map[string]any); !ok || len(monitors) != 4 || monitors["fl"] != false {
		t.Errorf("monitors is %v", got["monitors"])
	}
	components := got["components"].(map[string]any)
	for name, keys := range map[string]string{
		"influxdb": "status=connected engine=embedded response_time database_size", "redis": "status=connected engine=embedded response_time memory_usage",
		"metrics_processor": "status=running queue_size processing_rate", "storage": "status=connected", "wal": "status=running",
	} {
		component, _ := components[name].(map[string]any)
		for key := range strings.FieldsSeq(keys) {
			key, want, fixed := strings.Cut(key, "=")
			if value, there := component[key]; !there || fixed && value != want {
				t.Errorf("%s.%s is %v, want %s", name, key, value, want)
			}
		}
	}
	body := `{"metrics":[{"name":"a","value":1},{"name":"b","value":2}]}`
	if answer := ts.do(http.MethodPost, "/metrics", []byte(body)); answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	now = now.Add(20 * time.Second)
	got = ts.getJSON("/api/v1/health/")
	processor := got["components"].(map[string]any)["metrics_processor"].(map[string]any)
	if got["last_collection"] != "2025-06-16T10:30:00Z" || processor["processing_rate_per_second"] != 0.1 {
		t.Errorf("after a write: last_collection %v, %v", got["last_collection"], processor)
	}
}

func TestUnhealthy(t *testing.T) {
	ts := startServer(t, Options{})
	if err := ts.db.Close(); err != nil {
		t.Fatal(err)
	}
	answer := ts.get("/health")
	if got := decodeJSON(t, answer.body); answer.status != http.StatusServiceUnavailable || got["status"] != "unhealthy" {
		t.Errorf("with a closed store: %d %s", answer.status, answer.body)
	}
	if ts.getJSON("/livez")["status"] != "alive" {
		t.Error("/livez fails with the store")
	}
	query := ts.get("/metrics/query?metric=a")
	query.wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	if query.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// Shutdown waits for the request that is under way, and takes no more.
func TestShutdownDrains(t *testing.T) {
	entered, proceed := make(chan struct{}), make(chan struct{})
	ts := startServer(t, Options{}, route{role: roleNone, method: "GET", path: "/slow", handler: func(_ *Server, r *request) error {
		close(entered)
		<-proceed
		r.respond(fasthttp.StatusOK, "text/plain", []byte("done"))
		return nil
	}})
	answered := make(chan reply, 1)
	go func() { answered <- ts.get("/slow") }()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- ts.server.Shutdown(context.Background()) }()
	for { // until the listener is closed
		conn, err := net.Dial("tcp", ts.addr)
		if err != nil {
			break
		}
		_ = conn.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-stopped:
		t.Errorf("shutdown did not wait: %v", err)
	default:
	}
	close(proceed)
	if answer := <-answered; string(answer.body) != "done" {
		t.Errorf("answer: %d %q", answer.status, answer.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// A query whose client hangs up is cancelled.
func TestClientGone(t *testing.T) {
	ended := make(chan error, 1)
	entered := make(chan struct{})
	ts := startServer(t, Options{}, route{role: roleNone, method: "GET", path: "/wait", handler: func(_ *Server, r *request) error {
		ctx, cancel := r.context(time.Minute)
		defer cancel()
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}})
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the query ended with %v", err)
	}
}

func TestQueryTimeout(t *testing.T) {
	ts := startServer(t, Options{QueryTimeout: time.Millisecond}, route{role: roleNone, method: "GET", path: "/wait", handler: func(s *Server, r *request) error {
		ctx, cancel := r.context(s.options.QueryTimeout)
		defer cancel()
		<-ctx.Done()
		return ctx.Err()
	}})
	ts.get("/wait").wantError(t, http.StatusGatewayTimeout, "QUERY_TIMEOUT")
}
