package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestAccessLog(t *testing.T) {
	logger, log := newLog(slog.LevelDebug)
	ts := startServer(t, Options{Logger: logger})
	ts.get("/livez?api_key=secret", "X-Request-ID", "mine")
	line := log.wait(t, "msg=request")
	for _, want := range []string{"request_id=mine", "method=GET", "path=/livez", "status=400"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s is not in %s", want, line)
		}
	}
	if strings.Contains(line, "secret") {
		t.Errorf("parameters are logged: %s", line)
	}
}

func TestUnavailableIsLogged(t *testing.T) {
	logger, log := newLog(slog.LevelWarn)
	ts := startServer(t, Options{Logger: logger}, route{role: roleNone, method: "GET", path: "/slow", handler: func(*Server, *request) error { return context.DeadlineExceeded }})
	ts.getJSON("/livez") // not worth a warning
	ts.server.SetReady(false)
	ts.get("/readyz", "X-Request-ID", "mine")
	ts.get("/slow?api_key=secret", "X-Request-ID", "slow")
	for _, wants := range [][]string{
		{"request_id=mine", "method=GET", "path=/readyz", "status=503", "duration=", "Not ready"},
		{"request_id=slow", "method=GET", "path=/slow", "status=504", "duration=", "deadline exceeded"},
	} {
		line := log.wait(t, "msg=request")
		for _, want := range wants {
			if !strings.Contains(line, want) || strings.Contains(line, "secret") {
				t.Errorf("%s is not in, or a secret is in, %s", want, line)
			}
		}
	}
}

// TestAccessLogIsASetting: it stands at info with the name of the key, and never the key, however it came.
func TestAccessLogIsASetting(t *testing.T) {
	logger, log := newLog(slog.LevelInfo)
	live := route{role: roleRead, live: true, method: "GET", path: "/live", handler: (*Server).getLive}
	stream := route{role: roleNone, method: "GET", path: "/streamed", handler: func(_ *Server, r *request) error {
		r.http.SetBodyStream(strings.NewReader("streamed body"), -1)
		return nil
	}}
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{Logger: logger, LogAccess: true}, live, stream)
	for _, test := range []struct {
		path    string
		headers []string
		wants   []string
	}{
		{"/live?api_key=reader-key", nil, []string{"level=INFO", "method=GET", "path=/live ", "client=127.0.0.1", "key=reader", "status=200", "bytes=", "duration="}},
		{"/live", []string{"Sec-WebSocket-Protocol", "collector, key.reader-key"}, []string{"path=/live ", "key=reader", "status=200"}},
		{"/metrics/query?metric=a", basic("floppy", "net:work"), []string{"path=/metrics/query ", "key=user:floppy", "status=200"}},
		{"/metrics/query?api_key=reader-key", nil, []string{"status=401"}},
		{"/streamed", nil, []string{"streamed=true"}},
	} {
		answer := ts.get(test.path, test.headers...)
		line := log.wait(t, "msg=request")
		for _, want := range append(test.wants, "request_id="+answer.header.Get("X-Request-ID")) {
			if !strings.Contains(line, want) {
				t.Errorf("%s: %s is not in %s", test.path, want, line)
			}
		}
		for _, secret := range []string{"reader-key", "net:work"} {
			if strings.Contains(line, secret) || strings.Contains(string(answer.body), secret) {
				t.Errorf("%s: the key is shown in %s or %s", test.path, line, answer.body)
			}
		}
		if test.path == "/streamed" && string(answer.body) != "streamed body" {
			t.Errorf("logging has eaten the stream: %q", answer.body)
		}
	}
}

func TestSlowQueryLog(t *testing.T) {
	logger, log := newLog(slog.LevelWarn)
	var now, step atomic.Int64
	now.Store(1_750_000_000_000_000_000)
	ts := startServer(t, Options{Logger: logger, SlowQuery: time.Second, Now: func() time.Time { return time.Unix(0, now.Add(step.Load())) }},
		route{role: roleRead, query: true, method: "POST", path: "/asking", handler: func(_ *Server, r *request) error { return decodeBody(r, &map[string]int{}) }},
		route{role: roleRead, query: true, mutates: true, method: "POST", path: "/changing", handler: func(_ *Server, r *request) error { return decodeBody(r, &map[string]string{}) }},
		route{role: roleRead, query: true, live: true, method: "GET", path: "/live", handler: func(*Server, *request) error { return context.DeadlineExceeded }},
		route{role: roleRead, method: "GET", path: "/noquery", handler: func(_ *Server, r *request) error { r.respond(fasthttp.StatusOK, "text/plain", nil); return nil }})
	ts.write("m", "", []string{"source", "s"}, "2024-01-15T10:00:00Z", 1.0, "2024-01-15T10:00:01Z", 2.0)
	const rangeOf = "&from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"
	ts.getJSON("/metrics/query?metric=m&source=fast" + rangeOf) // not worth a line
	step.Store(int64(time.Second))
	ts.get("/noquery")
	for _, test := range []struct {
		do    func() reply
		wants []string
	}{
		{func() reply { return ts.get("/metrics/query?metric=m&source=s" + rangeOf) },
			[]string{"path=/metrics/query", `parameters="metric=m&source=s&from=`, "series=1", "samples=2", "duration=", "client=127.0.0.1"}},
		{func() reply { return ts.get("/metrics/query?metric=m&aggregation=sum" + rangeOf) }, []string{"aggregation=sum", "series=1"}},
		{func() reply { return ts.get("/metrics/summary?metric=m" + rangeOf) }, []string{"path=/metrics/summary", "series=1"}},
		{func() reply { return ts.do(http.MethodPost, "/asking", []byte(`{"asked":5}`)) }, []string{"path=/asking", `{\"asked\":5}`}},
		{func() reply { return ts.do(http.MethodPost, "/changing", []byte(`{"password":"secret"}`)) }, []string{"path=/changing"}},
		{func() reply { return ts.get("/live?x=1&api_key=secret") }, []string{`parameters="x=1"`, "deadline exceeded"}},
	} {
		answer := test.do()
		line := log.wait(t, "slow query")
		for _, want := range append(test.wants, "request_id="+answer.header.Get("X-Request-ID")) {
			if !strings.Contains(line, want) || strings.Contains(line, "secret") || strings.Contains(line, "fast") {
				t.Errorf("%s is not in, or a secret or a fast one is in, %s", want, line)
			}
		}
	}
}
