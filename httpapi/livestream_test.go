package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// eventOf is the event of a sample that writeOne wrote.
func eventOf(name, source, host, value string) string {
	return fmt.Sprintf(`{"metric":%q,"value":%s,"timestamp":%q,"source":%q,"tags":{"host":%q}}`, name, value, seedTime, source, host)
}

// TestStreamOfTheSeed streams the seed's two metrics.
func TestStreamOfTheSeed(t *testing.T) {
	timers := newFakeTimers()
	ts := startServer(t, Options{After: timers.after})
	ts.write("cpu_usage", "percent", []string{"source", "fl_server"}, "2024-01-15T10:29:00Z", 1.0, "2024-01-15T10:30:00Z", 45.2)
	ts.write("memory_usage", "MB", []string{"source", "fl_server"}, "2024-01-15T10:30:01Z", 512.5)
	ts.write("disk_usage", "", []string{"source", "fl_server"}, "2024-01-15T10:30:01Z", 1.0)
	c := ts.stream("/api/v1/metrics/stream?metrics=cpu_usage,memory_usage&sources=fl_server", "Accept", "text/event-stream")
	if got := c.response.Header.Get("Content-Type"); got != typeEventStream {
		t.Errorf("Content-Type %s", got)
	}
	cpu := `{"metric":"cpu_usage","value":%s,"timestamp":"2024-01-15T10:30:0%dZ","source":"fl_server","tags":{}}`
	c.want(fmt.Sprintf(cpu, "45.2", 0), `{"metric":"memory_usage","value":512.5,"timestamp":"2024-01-15T10:30:01Z","source":"fl_server","tags":{}}`)

	// A late sample is none of the newest; of several, the newest is.
	ts.write("cpu_usage", "", []string{"source", "fl_server"}, "2024-01-15T10:00:00Z", 7.0)
	c.wantTick(ts, timers, 5*time.Second)
	ts.write("cpu_usage", "", []string{"source", "fl_server"}, "2024-01-15T10:30:03Z", 9.0, "2024-01-15T10:30:05Z", 8.0, "2024-01-15T10:30:04Z", 7.0)
	c.wantTick(ts, timers, 5*time.Second, fmt.Sprintf(cpu, "8", 5))
	ts.write("cpu_usage", "", []string{"source", "fl_server"}, "2024-01-15T10:30:05Z", 8.5) // a correction
	c.wantTick(ts, timers, 5*time.Second, fmt.Sprintf(cpu, "8.5", 5))
	c.wantTick(ts, timers, 5*time.Second)
}

// wantTick lets an interval go by and expects these events, and no more: those that follow belong to a marker.
func (c *streamClient) wantTick(ts *testServer, timers *fakeTimers, interval time.Duration, events ...string) {
	c.t.Helper()
	settleHub(ts)
	timers.fire(interval)
	c.want(events...)
	timers.fire(streamHeartbeat)
	for c.lines.Scan() {
		text := c.lines.Text()
		if strings.HasPrefix(text, ":") {
			return
		}
		if text != "" {
			c.t.Fatalf("%s came, too", text)
		}
	}
	c.t.Fatalf("the stream ended: %v", c.lines.Err())
}

// settleHub waits until the hub has taken to all what was written.
func settleHub(ts *testServer) {
	ts.t.Helper()
	w, err := ts.db.Watch(engine.WatchOptions{Format: socketFormat{}})
	if err != nil {
		ts.t.Fatal(err)
	}
	defer w.Close()
	w.Subscribe(engine.Subscription{AnyOf: []engine.AnyOf{{Key: "", Values: []string{"settled"}}}})
	w.CatchUp()
	ts.write("settled", "", nil, seedTime, 1.0)
	var b engine.Batched
	for b.Count == 0 {
		select {
		case <-w.Ready():
			w.Take(&b)
		case <-time.After(hang):
			ts.t.Fatal("the hub hangs")
		}
	}
}

// TestStreamResumes cuts the stream after each event and goes on with Last-Event-ID: nothing is missing, nothing comes
// twice.
func TestStreamResumes(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	ts.writeOne("m", "s", "h", 0)
	c := ts.stream("/metrics/stream?interval=0&metrics=m")
	c.want(eventOf("m", "s", "h", "0"))
	for i := 1; i <= 50; i++ {
		ts.writeOne("m", "s", "h", float64(i))
		ts.writeOne("n", "s", "h", float64(i))
		ts.write("m", "", []string{"source", "s", "host", "h"}, seedTime, float64(i)+0.25, seedTime, float64(i)+0.5)
		c.want(eventOf("m", "s", "h", fmt.Sprint(i)))
		last := c.lastID
		c.close()
		ts.writeOne("m", "s", "h", float64(i)+0.75) // while nobody is there
		c = ts.stream("/metrics/stream?interval=0&metrics=m", headerLastEventID, last)
		for _, fraction := range []string{".25", ".5", ".75"} {
			c.want(eventOf("m", "s", "h", fmt.Sprint(i)+fraction))
		}
	}
	ts.writeOne("m", "s", "h", 100)
	c.want(eventOf("m", "s", "h", "100"))

	// With an interval, the newest of what was missed comes at once.
	resumed := ts.stream("/metrics/stream?metrics=m", headerLastEventID, c.lastID)
	ts.writeOne("m", "s", "h", 101)
	c.want(eventOf("m", "s", "h", "101"))
	resumed.close()
	ts.writeOne("m", "s", "h", 102)
	c.want(eventOf("m", "s", "h", "102"))
	before := c.lastID
	ts.writeOne("m", "s", "h", 103)
	ts.writeOne("m", "s", "h", 104)
	resumed = ts.stream("/metrics/stream?metrics=m", headerLastEventID, before)
	resumed.want(eventOf("m", "s", "h", "104"))

	for _, unknown := range []string{"nonsense", "", "1-0-abc", "99999999-0-0"} {
		again := ts.stream("/metrics/stream?interval=0&metrics=m", headerLastEventID, unknown)
		again.want(eventOf("m", "s", "h", "104"))
	}
}

// TestStreamAfterRestart: an id of before a restart leads to the newest samples.
func TestStreamAfterRestart(t *testing.T) {
	dir := t.TempDir()
	var last string
	for round := range 3 {
		ts, stop := serveStore(t, dir, engine.Options{}, Options{After: newFakeTimers().after})
		ts.writeOne("m", "s", "h", float64(round))
		c := ts.stream("/metrics/stream?interval=0&metrics=m", headerLastEventID, last)
		c.want(eventOf("m", "s", "h", fmt.Sprint(round)))
		ts.writeOne("m", "s", "h", float64(round)+0.5)
		c.want(eventOf("m", "s", "h", fmt.Sprint(round)+".5"))
		last = c.lastID
		c.close()
		stop()
	}
}

func TestStreamParameters(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	for _, test := range []struct{ query, parameter string }{
		{"?metric=cpu", "metric"}, {"?interval=-1", "interval"}, {"?interval=0.01", "interval"}, {"?interval=NaN", "interval"},
		{"?interval=1e9", "interval"}, {"?interval=x", "interval"}, {"?sources=%ff", "sources"}, {"?tags=host", "tags"},
	} {
		answer := ts.get("/metrics/stream" + test.query)
		if e := answer.wantError(t, http.StatusBadRequest, "INVALID_QUERY"); e.Details["parameter"] != test.parameter {
			t.Errorf("%s: %+v", test.query, e)
		}
	}
	if answer := ts.do(http.MethodHead, "/metrics/stream", nil); answer.status != http.StatusOK || answer.header.Get("Content-Type") != typeEventStream {
		t.Errorf("HEAD: %d %v", answer.status, answer.header)
	}
	if answer := ts.rawExchange("GET /metrics/stream HTTP/1.0\r\n\r\n"); !strings.Contains(answer, " 400 ") {
		t.Errorf("HTTP/1.0: %s", answer)
	}
	ts.get("/metrics/stream", "Sec-Fetch-Site", "cross-site").wantError(t, http.StatusForbidden, "FORBIDDEN")

	var batch engine.Batch
	for i := range maxStreamSeries + 1 {
		id, err := ts.db.Resolve("many", model.Tags{{Key: "host", Value: fmt.Sprint(i)}, {Key: "source", Value: "s"}})
		if err != nil {
			t.Fatal(err)
		}
		batch.Add(id, 1, 1)
	}
	if err := ts.db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	e := ts.get("/metrics/stream").wantError(t, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED")
	if e.Details["max"] != float64(maxStreamSeries) {
		t.Errorf("details %v", e.Details)
	}
	c := ts.stream("/metrics/stream?tags=host:~1..")
	for range 100 {
		c.next()
	}
	if stats := ts.db.Stats().Watch; stats.Watchers != 1 {
		t.Errorf("%d watchers are left", stats.Watchers)
	}
}

// TestStreamTakesNonFinite spells values that JSON has no numbers for.
func TestStreamTakesNonFinite(t *testing.T) {
	ts := startServer(t, Options{After: newFakeTimers().after})
	c := ts.stream("/metrics/stream?interval=0")
	ts.writeOne("m", "s", "h", math.Inf(1))
	ts.writeOne("m", "s", "h", math.NaN())
	c.want(eventOf("m", "s", "h", `"+Inf"`), eventOf("m", "s", "h", `"NaN"`))
	c = ts.stream("/metrics/stream")
	c.want(eventOf("m", "s", "h", `"NaN"`))
}
