package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/export"
	"github.com/flopynet/collector/model"
)

// testServer is a server on a socket of its own, with a store in a folder of the test's.
type testServer struct {
	t      testing.TB
	server *Server
	db     *engine.DB
	addr   string
	url    string
	client *http.Client
}

// startServer serves the endpoints, and those a test adds, until the test ends.
func startServer(t testing.TB, options Options, extra ...route) *testServer {
	t.Helper()
	return startEngine(t, engine.Options{}, options, extra...)
}

// startEngine is startServer with a store of some kind. It does its maintenance only when told to.
func startEngine(t testing.TB, store engine.Options, options Options, extra ...route) *testServer {
	t.Helper()
	ts, _ := serveStore(t, t.TempDir(), store, options, extra...)
	return ts
}

// serveStore is startEngine for a folder. The function it returns ends the server and closes the store, which the
// test's end does otherwise.
func serveStore(t testing.TB, dir string, store engine.Options, options Options, extra ...route) (*testServer, func()) {
	t.Helper()
	store.MinFreeBytes, store.MaintainInterval = -1, -1
	db, err := engine.Open(dir, store)
	if err != nil {
		t.Fatal(err)
	}
	jobs := options.Exports
	if jobs == nil {
		if jobs, err = export.OpenJobs(db, export.JobOptions{}); err != nil {
			t.Fatal(err)
		}
		options.Exports = jobs
	}
	s := New(db, options)
	s.router = s.newRouter(append(allRoutes(), extra...))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepting := &noticedListener{Listener: listener, begun: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(accepting) }()
	s.SetReady(true)
	transport := &http.Transport{DisableCompression: true}
	ts := &testServer{
		t: t, server: s, db: db, addr: listener.Addr().String(), url: "http://" + listener.Addr().String(),
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	end := sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		<-accepting.begun // a Shutdown that comes before it knows of no listener, and Serve never ends
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		jobs.Close()
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(end)
	return ts, end
}

// noticedListener tells when it is first asked for a connection.
type noticedListener struct {
	net.Listener
	once  sync.Once
	begun chan struct{}
}

func (l *noticedListener) Accept() (net.Conn, error) {
	l.once.Do(func() { close(l.begun) })
	return l.Listener.Accept()
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; headers are pairs of name and value.
func (ts *testServer) do(method, path string, body []byte, headers ...string) reply {
	ts.t.Helper()
	request, err := http.NewRequest(method, ts.url+path, bytes.NewReader(body))
	if err != nil {
		ts.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		} else {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	return ts.send(request, body)
}

// send sends a request with this body.
func (ts *testServer) send(request *http.Request, body []byte) reply {
	ts.t.Helper()
	response, err := ts.client.Do(request)
	if err != nil {
		ts.t.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		ts.t.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	answer := reply{response.StatusCode, response.Header, content}
	checkContract(ts.t, request, body, answer)
	return answer
}

func (ts *testServer) get(path string, headers ...string) reply {
	ts.t.Helper()
	return ts.do(http.MethodGet, path, nil, headers...)
}

// getJSON gets a path that must answer 200 with JSON.
func (ts *testServer) getJSON(path string) map[string]any {
	ts.t.Helper()
	answer := ts.get(path)
	if answer.status != http.StatusOK {
		ts.t.Fatalf("GET %s: %d %s", path, answer.status, answer.body)
	}
	return decodeJSON(ts.t, answer.body)
}

func decodeJSON(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// envelope is the error of an answer.
type envelope struct {
	Code      string         `json:"code"`
	Message   string         `json:"message"`
	Timestamp string         `json:"timestamp"`
	RequestID string         `json:"request_id"`
	Details   map[string]any `json:"details"`
}

// wantError fails the test unless the answer is the error envelope with this status and code.
func (r reply) wantError(t testing.TB, status int, code string) envelope {
	t.Helper()
	var answer struct {
		Error envelope `json:"error"`
	}
	var text struct {
		Error string `json:"error"`
	}
	err := json.Unmarshal(r.body, &answer)
	if json.Unmarshal(r.body, &text) == nil && text.Error != "" { // as clients of InfluxDB 1 want it
		err = json.Unmarshal(r.body, &answer.Error)
	}
	if err != nil {
		t.Fatalf("%d: %v in %q", r.status, err, r.body)
	}
	if r.status != status || answer.Error.Code != code {
		t.Fatalf("answer %d %s, want %d %s: %s", r.status, answer.Error.Code, status, code, r.body)
	}
	if answer.Error.RequestID == "" || answer.Error.RequestID != r.header.Get("X-Request-ID") {
		t.Errorf("request id %q, header %q", answer.Error.RequestID, r.header.Get("X-Request-ID"))
	}
	if _, err := time.Parse(time.RFC3339Nano, answer.Error.Timestamp); err != nil || answer.Error.Message == "" {
		t.Errorf("envelope %s: %v", r.body, err)
	}
	return answer.Error
}

// write stores samples of one series, given as a name, tags in pairs, and pairs of time and value.
func (ts *testServer) write(name, unit string, tags []string, samples ...any) {
	ts.t.Helper()
	var list model.Tags
	for i := 0; i < len(tags); i += 2 {
		list = append(list, model.Tag{Key: tags[i], Value: tags[i+1]})
	}
	id, err := ts.db.Resolve(name, model.Normalize(list))
	if err != nil {
		ts.t.Fatal(err)
	}
	var batch engine.Batch
	if unit != "" {
		batch.SetUnit(id, unit)
	}
	for i := 0; i < len(samples); i += 2 {
		batch.Add(id, mustTime(ts.t, samples[i].(string)), samples[i+1].(float64))
	}
	if err := ts.db.Write(&batch); err != nil {
		ts.t.Fatal(err)
	}
}

// rawExchange sends bytes over a new connection and returns all that comes back.
func (ts *testServer) rawExchange(request string) string {
	ts.t.Helper()
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		ts.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		ts.t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		ts.t.Fatalf("after %q: %v", answer, err)
	}
	return string(answer)
}

// logBuffer collects a server's log as text.
type logBuffer struct {
	lines chan string
}

func newLog(level slog.Level) (*slog.Logger, *logBuffer) {
	buffer := &logBuffer{lines: make(chan string, 1000)}
	return slog.New(slog.NewTextHandler(buffer, &slog.HandlerOptions{Level: level})), buffer
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.lines <- string(line)
	return len(line), nil
}

// wait returns the next line that contains text.
func (b *logBuffer) wait(t testing.TB, text string) string {
	t.Helper()
	for {
		select {
		case line := <-b.lines:
			if strings.Contains(line, text) {
				return line
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing was logged about %q", text)
		}
	}
}
