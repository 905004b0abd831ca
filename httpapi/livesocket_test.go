package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/flopynet/collector/engine"
)

// The seed's message.
const seedUpdate = `{"type":"metric_update","source":"fl_server","timestamp":"2024-01-15T10:30:00Z","metric":{"name":"cpu_usage","value":47.8,"unit":"percent","tags":{"experiment_id":"exp_001","host":"fl-server-01"}}}`

const seedTime = "2024-01-15T10:30:00Z"

func (ts *testServer) writeSeed() {
	ts.t.Helper()
	ts.write("cpu_usage", "percent", []string{"source", "fl_server", "host", "fl-server-01", "experiment_id", "exp_001"}, seedTime, 47.8)
}

// updateOf is the message of a sample of a series without a unit.
func updateOf(name, source, host, value string) string {
	return fmt.Sprintf(`{"type":"metric_update","source":%q,"timestamp":%q,"metric":{"name":%q,"value":%s,"unit":null,"tags":{"host":%q}}}`,
		source, seedTime, name, value, host)
}

func (ts *testServer) writeOne(name, source, host string, value float64) {
	ts.t.Helper()
	ts.write(name, "", []string{"source", source, "host", host}, seedTime, value)
}

// TestSocketOfTheFirstHalf connects and says nothing: after a while it gets every update since it connected.
func TestSocketOfTheFirstHalf(t *testing.T) {
	timers := newFakeTimers()
	ts := startServer(t, Options{After: timers.after})
	for _, path := range []string{"/ws/metrics", "/api/v1/ws/metrics/"} {
		c := ts.dial(path)
		ts.writeSeed()
		timers.fire(socketGrace)
		c.want(seedUpdate)
		ts.writeOne("x", "s", "h", 1e300)
		c.want(updateOf("x", "s", "h", "1e+300"))
		c.ask(`{"action":"ping"}`, `{"type":"pong"}`)
		_ = c.conn.Close()
	}
}

// TestSocketOfTheSecondHalf subscribes as the seed does.
func TestSocketOfTheSecondHalf(t *testing.T) {
	timers := newFakeTimers()
	ts := startServer(t, Options{After: timers.after})
	c := ts.dial("/ws/metrics")
	c.ask(`{"action":"subscribe","metrics":["cpu_usage","memory_usage"],"sources":["fl_server","policy_engine"],"tags":{"experiment_id":"exp_001"}}`,
		`{"type":"subscribed","id":"sub-1"}`)
	timers.fire(socketGrace) // it has spoken
	tags := func(source, experiment string) []string {
		return []string{"source", source, "experiment_id", experiment}
	}
	ts.write("cpu_usage", "", tags("other", "exp_001"), seedTime, 1.0)
	ts.write("cpu_usage", "", tags("fl_server", "exp_002"), seedTime, 2.0)
	ts.write("disk_usage", "", tags("fl_server", "exp_001"), seedTime, 3.0)
	ts.writeSeed()
	ts.write("memory_usage", "", tags("policy_engine", "exp_001"), seedTime, 4.0)
	c.want(seedUpdate,
		`{"type":"metric_update","source":"policy_engine","timestamp":"2024-01-15T10:30:00Z","metric":{"name":"memory_usage","value":4,"unit":null,"tags":{"experiment_id":"exp_001"}}}`)
}

func TestSocketSubscriptions(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	for _, test := range []struct{ path, subscribe, hosts string }{
		{"", `{"action":"subscribe"}`, "a b c"},
		{"", `{"action":"subscribe","tags":{"host":"a"}}`, "a"},
		{"", `{"action":"subscribe","tags":{"host":["a","c"]}}`, "a c"},
		{"", `{"action":"subscribe","tags":{"host":{"regex":"[bc]"}}}`, "b c"},
		{"", `{"action":"subscribe","tags":{"host":{"not":["a","c"]}}}`, "b"},
		{"", `{"action":"subscribe","tags":{"zone":""}}`, "a b c"},
		{"", `{"action":"subscribe","tags":{"zone":{"not":null}}}`, ""},
		{"", `{"action":"subscribe","metrics":"m","sources":{"not":"s"}}`, ""},
		{"", `{"action":"subscribe","metrics":["m","n"],"sources":null,"tags":null,"events":null,"id":null}`, "a b c"},
		{"", `{"action":"subscribe","events":true}`, ""},
		{"", `{"action":"subscribe","metrics":{"regex":"x|m"},"events":["alert"]}`, "a b c"},
		{"?metrics=m,n&sources=s&tags=host:b", "", "b"},
		{"?tags=host!:b", "", "a c"},
		{"?tags=host:~[ab]&metrics=m", "", "a b"},
		{"?metrics=n", "", ""},
		{"?tags=host:a", `{"action":"subscribe","tags":{"host":"c"}}`, "a c"},
		{"?tags=host:a", `{"action":"subscribe","tags":{"host":["a","b"]}}`, "a b"}, // once
	} {
		c := ts.dial("/ws/metrics" + test.path)
		if test.subscribe != "" {
			c.send(test.subscribe)
			if got := c.next(); !strings.HasPrefix(got, `{"type":"subscribed"`) {
				t.Fatalf("%s: %s", test.subscribe, got)
			}
		}
		c.ask(`{"action":"subscribe","id":0,"metrics":["end"]}`, `{"type":"subscribed","id":0}`)
		for _, host := range []string{"a", "b", "c"} {
			ts.writeOne("m", "s", host, 1)
		}
		ts.writeOne("end", "s", "h", 1)
		var want []string
		for _, host := range strings.Fields(test.hosts) {
			want = append(want, updateOf("m", "s", host, "1"))
		}
		t.Logf("%s %s", test.path, test.subscribe)
		c.want(append(want, updateOf("end", "s", "h", "1"))...)
		_ = c.conn.Close()
	}
}

// TestSocketSubscribesLate names something only when it gets every update already: from then on it gets no more than that.
func TestSocketSubscribesLate(t *testing.T) {
	timers := newFakeTimers()
	ts := startServer(t, Options{After: timers.after})
	c := ts.dial("/ws/metrics")
	timers.fire(socketGrace)
	ts.writeOne("m", "s", "a", 1)
	c.want(updateOf("m", "s", "a", "1"))
	c.ask(`{"action":"subscribe","tags":{"host":"b"}}`, `{"type":"subscribed","id":"sub-1"}`)
	c.ask(`{"action":"subscribe","tags":{"host":"c"}}`, `{"type":"subscribed","id":"sub-2"}`)
	for _, host := range []string{"a", "b", "c"} {
		ts.writeOne("m", "s", host, 2)
	}
	c.want(updateOf("m", "s", "b", "2"), updateOf("m", "s", "c", "2"))
	c = ts.dial("/ws/metrics")
	timers.fire(socketGrace)
	ts.writeOne("m", "s", "a", 3)
	c.want(updateOf("m", "s", "a", "3"))
	c.ask(`{"action":"unsubscribe"}`, `{"type":"unsubscribed","id":null}`)
	ts.writeOne("m", "s", "a", 4)
	c.ask(`{"action":"subscribe","metrics":"end"}`, `{"type":"subscribed","id":"sub-1"}`)
	ts.writeOne("end", "s", "h", 1)
	c.want(updateOf("end", "s", "h", "1"))
}

// TestSocketRefusedSubscribe mistypes what it wants, which doesn't mean everything.
func TestSocketRefusedSubscribe(t *testing.T) {
	timers := newFakeTimers()
	ts := startServer(t, Options{After: timers.after})
	for _, message := range []string{
		`{"action":"subscribe","metrcs":["m"]}`, `{"metrics":{"like":"m"},"action":"subscribe"}`, `{"action":"subscribe","tags":{"host":{"regex":"("}}}`,
	} {
		c := ts.dial("/ws/metrics")
		c.refuse(message, "INVALID_REQUEST")
		timers.fire(socketGrace)
		c.ask(`{"action":"ping"}`, `{"type":"pong"}`)
		ts.writeOne("m", "s", "a", 1)
		c.ask(`{"action":"subscribe","metrics":"end"}`, `{"type":"subscribed","id":"sub-1"}`)
		ts.writeOne("end", "s", "h", 1)
		c.want(updateOf("end", "s", "h", "1"))
	}
}

func TestSocketUnsubscribe(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	c := ts.dial("/ws/metrics")
	c.ask(`{"action":"subscribe","id":"one","tags":{"host":"a"}}`, `{"type":"subscribed","id":"one"}`)
	c.ask(`{"action":"subscribe","id":2,"tags":{"host":"b"}}`, `{"type":"subscribed","id":2}`)
	c.ask(`{"action":"subscribe","id":"one","tags":{"host":"c"}}`, `{"type":"subscribed","id":"one"}`) // instead
	round := func(value float64) {
		for _, host := range []string{"a", "b", "c"} {
			ts.writeOne("m", "s", host, value)
		}
	}
	round(1)
	c.want(updateOf("m", "s", "b", "1"), updateOf("m", "s", "c", "1"))
	c.ask(`{"action":"unsubscribe","id":2}`, `{"type":"unsubscribed","id":2}`)
	if e := c.refuse(`{"action":"unsubscribe","id":2}`, "RESOURCE_NOT_FOUND"); e.Details["id"] != 2.0 {
		t.Errorf("details %v", e.Details)
	}
	round(2)
	c.want(updateOf("m", "s", "c", "2"))
	c.ask(`{"action":"unsubscribe"}`, `{"type":"unsubscribed","id":null}`)
	round(3)
	c.ask(`{"action":"subscribe"}`, `{"type":"subscribed","id":"sub-1"}`)
	round(4)
	c.want(updateOf("m", "s", "a", "4"), updateOf("m", "s", "b", "4"), updateOf("m", "s", "c", "4"))
}

// TestSocketErrors sends what is wrong; the connection stays.
func TestSocketErrors(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	c := ts.dial("/ws/metrics")
	for _, test := range []struct{ message, code, detail, given string }{
		{`{`, "INVALID_REQUEST", "issue", ""},
		{`[]`, "INVALID_REQUEST", "given", "[]"},
		{`{}`, "INVALID_REQUEST", "field", "action"},
		{`{"action":"describe"}`, "INVALID_REQUEST", "given", "describe"},
		{`{"action":"subscribe","metric":"cpu"}`, "INVALID_REQUEST", "nearest", "metrics"},
		{`{"action":"subscribe","metrics":[]}`, "INVALID_REQUEST", "field", "metrics"},
		{`{"action":"subscribe","metrics":[["cpu"]]}`, "INVALID_REQUEST", "field", "metrics[0]"},
		{`{"action":"subscribe","tags":{"host":{"regex":"("}}}`, "INVALID_REQUEST", "field", "tags.host.regex"},
		{`{"action":"subscribe","tags":{"":"x"}}`, "INVALID_REQUEST", "field", "tags"},
		{`{"action":"subscribe","events":1}`, "INVALID_REQUEST", "field", "events"},
		{`{"action":"subscribe","events":[1]}`, "INVALID_REQUEST", "field", "events"},
		{`{"action":"subscribe","id":1.5}`, "INVALID_REQUEST", "field", "id"},
		{`{"action":"unsubscribe","id":"unknown"}`, "RESOURCE_NOT_FOUND", "id", "unknown"},
	} {
		if e := c.refuse(test.message, test.code); test.given != "" && e.Details[test.detail] != test.given || test.given == "" && e.Details[test.detail] == nil {
			t.Errorf("%s: %+v", test.message, e)
		}
	}
	if err := c.conn.WriteMessage(websocket.BinaryMessage, []byte(`{"action":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	if got := c.next(); !strings.Contains(got, "INVALID_REQUEST") {
		t.Errorf("a binary message: %s", got)
	}
	for i := range maxSubscriptions {
		c.ask(fmt.Sprintf(`{"action":"subscribe","id":%d,"metrics":"m"}`, i), fmt.Sprintf(`{"type":"subscribed","id":%d}`, i))
	}
	if e := c.refuse(`{"action":"subscribe","id":"more"}`, "LIMIT_EXCEEDED"); e.Details["max"] != 100.0 {
		t.Errorf("details %v", e.Details)
	}
	c.ask(`{"action":"subscribe","id":7,"metrics":"m"}`, `{"type":"subscribed","id":7}`)
	ts.writeOne("m", "s", "h", 1)
	c.want(updateOf("m", "s", "h", "1"))
	long := `{"action":"ping"` + strings.Repeat(" ", maxSocketMessage-len(`{"action":"ping"}`)) + "}"
	c.ask(long, `{"type":"pong"}`)
	c.send(long + " ")
	c.wantClose(websocket.CloseMessageTooBig)
}

func TestSocketHandshakes(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	ts.get("/ws/metrics").wantError(t, http.StatusBadRequest, "INVALID_REQUEST")
	for _, test := range []struct{ query, parameter string }{
		{"?metric=cpu", "metric"}, {"?metrics=a,,b", "metrics"}, {"?metrics=%01", "metrics"}, {"?tags=host", "tags"}, {"?tags=host:~(", "tags"}, {"?interval=5", "interval"},
	} {
		if e := ts.refuseDial("/ws/metrics"+test.query, http.StatusBadRequest, "INVALID_QUERY"); e.Details["parameter"] != test.parameter {
			t.Errorf("%s: %+v", test.query, e)
		}
	}
	for _, headers := range [][]string{{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}} {
		ts.refuseDial("/ws/metrics", http.StatusForbidden, "FORBIDDEN", headers...)
	}
	answer := ts.do(http.MethodGet, "/ws/metrics", nil, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "12")
	if e := answer.wantError(t, http.StatusBadRequest, "INVALID_REQUEST"); !strings.Contains(fmt.Sprint(e.Details), "13") {
		t.Errorf("version 12: %+v", e)
	}
	c := ts.dial("/ws/metrics", "Origin", "http://"+ts.addr, "Sec-Fetch-Site", "same-origin")
	c.ask(`{"action":"ping"}`, `{"type":"pong"}`)
	if stats := ts.db.Stats().Watch; stats.Watchers != 1 {
		t.Errorf("%d watchers are left of the refused", stats.Watchers)
	}
}

// TestSocketPings: both sides may ask.
func TestSocketPings(t *testing.T) {
	timers := newFakeTimers()
	ts := startServer(t, Options{After: timers.after})
	c := ts.dial("/ws/metrics")
	pinged, ponged := false, ""
	c.conn.SetPingHandler(func(data string) error {
		pinged = true
		return c.conn.WriteMessage(websocket.PongMessage, []byte(data))
	})
	c.conn.SetPongHandler(func(data string) error {
		ponged = data
		return nil
	})
	timers.fire(livePingInterval)
	timers.fire(livePingInterval) // the first is out
	if err := c.conn.WriteMessage(websocket.PingMessage, []byte("are you there?")); err != nil {
		t.Fatal(err)
	}
	c.ask(`{"action":"ping"}`, `{"type":"pong"}`)
	if !pinged || ponged != "are you there?" {
		t.Errorf("pinged %v, ponged %q", pinged, ponged)
	}
	if err := c.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")); err != nil {
		t.Fatal(err)
	}
	c.wantClose(websocket.CloseNormalClosure)
}

// TestSocketEvents: only those who ask for events get them.
func TestSocketEvents(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	all, some, none := ts.dial("/ws/metrics"), ts.dial("/ws/metrics"), ts.dial("/ws/metrics")
	all.ask(`{"action":"subscribe","events":true}`, `{"type":"subscribed","id":"sub-1"}`)
	some.ask(`{"action":"subscribe","events":["alert"],"metrics":["m"]}`, `{"type":"subscribed","id":"sub-1"}`)
	none.ask(`{"action":"subscribe"}`, `{"type":"subscribed","id":"sub-1"}`)
	at := mustTime(t, seedTime)
	if err := ts.db.WriteEvents(t.Context(), []engine.Event{
		{ID: "1", Time: at, Component: "engine", Type: "restart", Level: "info", Message: "hello \"you\""},
		{ID: "2", Time: at, Component: "engine", Type: "alert", Level: "error", Details: []byte(`{"a":1}`)},
	}); err != nil {
		t.Fatal(err)
	}
	ts.writeOne("m", "s", "h", 1)
	restart := `{"type":"event","event_id":"1","timestamp":"2024-01-15T10:30:00Z","component":"engine","event_type":"restart","level":"info","message":"hello \"you\"","details":null}`
	alert := `{"type":"event","event_id":"2","timestamp":"2024-01-15T10:30:00Z","component":"engine","event_type":"alert","level":"error","message":null,"details":{"a":1}}`
	all.want(restart, alert)
	some.want(alert, updateOf("m", "s", "h", "1"))
	none.want(updateOf("m", "s", "h", "1"))
}

// TestLiveLimits: live connections are counted by themselves.
func TestLiveLimits(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after, MaxConnections: 2})
	first := ts.dial("/ws/metrics")
	second := ts.stream("/metrics/stream")
	ts.refuseDial("/ws/metrics", http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	ts.get("/metrics/stream").wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	ts.getJSON("/readyz")
	second.close()
	for { // the server notices by itself
		if conn, _, err := ts.tryDial("/ws/metrics"); err == nil {
			_ = conn.Close()
			break
		}
	}
	first.ask(`{"action":"ping"}`, `{"type":"pong"}`)
}

// TestLiveShutdown: all live connections are told, and one that doesn't read doesn't hold up the end.
func TestLiveShutdown(t *testing.T) {
	ts := startServer(t, Options{})
	reading, silent := ts.dial("/ws/metrics?metrics=m"), ts.dial("/ws/metrics")
	events := ts.stream("/metrics/stream?interval=0")
	reading.ask(`{"action":"ping"}`, `{"type":"pong"}`)
	silent.ask(`{"action":"ping"}`, `{"type":"pong"}`)
	ts.writeOne("m", "s", "h", 1)
	events.want(`{"metric":"m","value":1,"timestamp":"2024-01-15T10:30:00Z","source":"s","tags":{"host":"h"}}`)
	reading.want(updateOf("m", "s", "h", "1"))
	done := make(chan error, 1)
	go func() { done <- ts.server.Shutdown(t.Context()) }()
	reading.wantClose(websocket.CloseGoingAway)
	events.wantEnd()
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if stats := ts.db.Stats().Watch; stats.Watchers != 0 {
		t.Errorf("%d watchers are left", stats.Watchers)
	}
}

// TestLivePerformance follows the figures of /system/performance.
func TestLivePerformance(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	live := func(key string, want float64) {
		t.Helper()
		if got := ts.getJSON("/system/performance")["live"].(map[string]any)[key]; got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	live("connections", 0)
	live("updates_delivered", 0)
	c := ts.dial("/ws/metrics?metrics=m")
	s := ts.stream("/metrics/stream?interval=0&metrics=m")
	ts.writeOne("m", "s", "h", 1)
	c.want(updateOf("m", "s", "h", "1"))
	s.want(eventOf("m", "s", "h", "1"))
	live("connections", 2)
	live("subscribers", 2)
	live("queued_bytes", 0)
	live("updates_delivered", 2)
	live("updates_dropped", 0)
	live("updates_overrun", 0)
}

// TestSocketKeys: a key comes as browsers can send it, and once it is deleted, the connection is closed.
func TestSocketKeys(t *testing.T) {
	timers := newFakeTimers()
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{After: timers.after})
	ts.refuseDial("/ws/metrics", http.StatusUnauthorized, "UNAUTHORIZED")
	made := ts.do(http.MethodPost, "/admin/keys", []byte(`{"name":"viewer","role":"read"}`), "Authorization", "Bearer admin-key", "Content-Type", "application/json")
	secret, _ := decodeJSON(t, made.body)["key"].(string)
	if secret == "" {
		t.Fatalf("no key was made: %s", made.body)
	}
	c := ts.dial("/ws/metrics", "Sec-WebSocket-Protocol", "collector, key."+secret)
	if got := c.conn.Subprotocol(); got != "collector" {
		t.Errorf("the subprotocol is %q", got)
	}
	stream := ts.stream("/metrics/stream?api_key=" + secret)
	c.ask(`{"action":"ping"}`, `{"type":"pong"}`)
	if gone := ts.do(http.MethodDelete, "/admin/keys/viewer", nil, "Authorization", "Bearer admin-key"); gone.status/100 != 2 {
		t.Fatalf("the key was not deleted: %d %s", gone.status, gone.body)
	}
	timers.fire(livePingInterval)
	c.wantClose(websocket.ClosePolicyViolation)
	timers.fire(streamHeartbeat)
	stream.wantEnd()
}

// TestRevokedKeySeesNothing: what is written once a key is deleted doesn't go to its connections any more, without
// waiting for the next ping.
func TestRevokedKeySeesNothing(t *testing.T) {
	timers := newFakeTimers()
	ts := startLocked(t, KeyOptions{Auth: testAuth}, Options{After: timers.after})
	secret := ts.makeKey(`{"name":"viewer","role":"read"}`, bearer("admin-key")...)
	c := ts.dial("/ws/metrics?metrics=m&api_key=" + secret)
	each := ts.stream("/metrics/stream?metrics=m&interval=0&api_key=" + secret)
	newest := ts.stream("/metrics/stream?metrics=m&interval=5&api_key=" + secret)
	c.ask(`{"action":"ping"}`, `{"type":"pong"}`)
	ts.do(http.MethodDelete, "/admin/keys/viewer", nil, bearer("admin-key")...)
	ts.write("m", "", []string{"source", "s"}, "2024-01-15T10:30:00Z", 1.0)
	if err := c.conn.SetReadDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	if _, text, err := c.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("the socket gets %s, %v", text, err)
	}
	settleHub(ts)
	timers.fire(5 * time.Second)
	for _, stream := range []*streamClient{each, newest} {
		for stream.lines.Scan() {
			if text := stream.lines.Text(); text != "" && text[0] != ':' {
				t.Errorf("the stream gets %s", text)
			}
		}
		if err := stream.lines.Err(); err != nil {
			t.Errorf("the stream ended with %v", err)
		}
	}
}
