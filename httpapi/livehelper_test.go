package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// hang is when a test that waits gives up.
const hang = 60 * time.Second

// fakeTimers stand in for Options.After: they go off when the test says so.
type fakeTimers struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting map[time.Duration][]chan time.Time
}

func newFakeTimers() *fakeTimers {
	f := &fakeTimers{waiting: map[time.Duration][]chan time.Time{}}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fakeTimers) after(d time.Duration) <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	timer := make(chan time.Time, 1)
	f.waiting[d] = append(f.waiting[d], timer)
	f.changed.Broadcast()
	return timer
}

// fire waits until somebody waits for so long, and lets all of them go on.
func (f *fakeTimers) fire(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting[d]) == 0 {
		f.changed.Wait()
	}
	for _, timer := range f.waiting[d] {
		timer <- time.Time{}
	}
	delete(f.waiting, d)
}

// socketClient is a client of /ws/metrics.
type socketClient struct {
	t    testing.TB
	conn *websocket.Conn
}

// dial opens a WebSocket; headers are pairs of name and value.
func (ts *testServer) dial(path string, headers ...string) *socketClient {
	ts.t.Helper()
	conn, response, err := ts.tryDial(path, headers...)
	if err != nil {
		ts.t.Fatalf("dial %s: %v %v", path, err, response)
	}
	ts.t.Cleanup(func() { _ = conn.Close() })
	return &socketClient{ts.t, conn}
}

func (ts *testServer) tryDial(path string, headers ...string) (*websocket.Conn, *http.Response, error) {
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	dialer := websocket.Dialer{HandshakeTimeout: hang}
	return dialer.Dial("ws://"+ts.addr+path, header)
}

// refuseDial expects the handshake to be refused.
func (ts *testServer) refuseDial(path string, status int, code string, headers ...string) envelope {
	ts.t.Helper()
	conn, response, err := ts.tryDial(path, headers...)
	if err == nil {
		_ = conn.Close()
		ts.t.Fatalf("dial %s was not refused", path)
	}
	if !errors.Is(err, websocket.ErrBadHandshake) {
		ts.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		ts.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, body}.wantError(ts.t, status, code)
}

func (c *socketClient) send(text string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next message.
func (c *socketClient) next() string {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(hang)); err != nil {
		c.t.Fatal(err)
	}
	kind, text, err := c.conn.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		c.t.Fatalf("message of kind %d: %v", kind, err)
	}
	return string(text)
}

func (c *socketClient) want(messages ...string) {
	c.t.Helper()
	for _, message := range messages {
		if got := c.next(); got != message {
			c.t.Fatalf("the message is\n%s\nwant\n%s", got, message)
		}
	}
}

// ask sends a message and expects the answer.
func (c *socketClient) ask(text, answer string) {
	c.t.Helper()
	c.send(text)
	c.want(answer)
}

// refuse sends a message and expects an error.
func (c *socketClient) refuse(text, code string) envelope {
	c.t.Helper()
	c.send(text)
	var answer struct {
		Error envelope `json:"error"`
	}
	got := c.next()
	if err := json.Unmarshal([]byte(got), &answer); err != nil || answer.Error.Code != code || answer.Error.RequestID == "" {
		c.t.Fatalf("%s: answer %s, want %s (%v)", text, got, code, err)
	}
	return answer.Error
}

// wantClose expects the connection to be closed with a code.
func (c *socketClient) wantClose(code int) {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(hang)); err != nil {
		c.t.Fatal(err)
	}
	for {
		if _, _, err := c.conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, code) {
				c.t.Fatalf("the connection ended with %v, want %d", err, code)
			}
			return
		}
	}
}

// streamClient is a client of /metrics/stream.
type streamClient struct {
	t        testing.TB
	response *http.Response
	lines    *bufio.Scanner
	watchdog *time.Timer
	lastID   string
}

// stream opens a stream.
func (ts *testServer) stream(path string, headers ...string) *streamClient {
	ts.t.Helper()
	request, err := http.NewRequest(http.MethodGet, ts.url+path, nil)
	if err != nil {
		ts.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := ts.client.Do(request)
	if err != nil {
		ts.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		ts.t.Fatalf("%s: %d %s", path, response.StatusCode, body)
	}
	checkContract(ts.t, request, nil, reply{response.StatusCode, response.Header, []byte("data: {}\n\n")})
	c := &streamClient{t: ts.t, response: response, lines: bufio.NewScanner(response.Body)}
	c.watchdog = time.AfterFunc(hang, func() { _ = response.Body.Close() })
	ts.t.Cleanup(c.close)
	return c
}

func (c *streamClient) close() {
	c.watchdog.Stop()
	_ = c.response.Body.Close()
}

// next returns the next event's data, with its name before it if it has one. Comments are passed over.
func (c *streamClient) next() string {
	c.t.Helper()
	event := ""
	for c.lines.Scan() {
		field, value, _ := strings.Cut(c.lines.Text(), ": ")
		switch field {
		case "id":
			c.lastID = value
		case "event":
			event += value + " "
		case "data":
			event += value
		case "":
			if event != "" && c.lines.Text() == "" {
				return event
			}
		}
	}
	c.t.Fatalf("the stream ended: %v", c.lines.Err())
	return ""
}

func (c *streamClient) want(events ...string) {
	c.t.Helper()
	for _, event := range events {
		if got := c.next(); got != event {
			c.t.Fatalf("the event is\n%s\nwant\n%s", got, event)
		}
	}
}

// wantEnd expects the stream to end, as a whole answer.
func (c *streamClient) wantEnd() {
	c.t.Helper()
	for c.lines.Scan() {
	}
	if err := c.lines.Err(); err != nil {
		c.t.Fatalf("the stream ended with %v", err)
	}
}
