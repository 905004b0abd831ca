package flopynet

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// eventBuffer answers GET /events as the FL server does: an id it doesn't know means all of them.
type eventBuffer struct {
	events []string // the ids, the oldest first
	asked  int
	bytes  int // that each has beside the rest
}

func (b *eventBuffer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asked++
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	some := b.events[slices.Index(b.events, r.FormValue("since_event_id"))+1:]
	var spelt []string
	for _, id := range some[:min(limit, len(some))] {
		n, _ := strconv.Atoi(strings.TrimLeft(id, "abc"))
		spelt = append(spelt, fmt.Sprintf(`{"event_id":%q,"timestamp":%q,"source_component":"FL_SERVER","event_type":"ROUND_COMPLETED","details":{"round":%d,"more":%q}}`,
			id, noon.Add(time.Duration(n)*time.Second).Format(time.RFC3339), n, strings.Repeat("x", b.bytes)))
	}
	last := "null"
	if len(b.events) > 0 {
		last = strconv.Quote(b.events[len(b.events)-1])
	}
	_, _ = fmt.Fprintf(w, `{"events":[%s],"last_event_id":%s}`, strings.Join(spelt, ","), last)
}

func (b *eventBuffer) add(boot string, from, to int) {
	for n := from; n <= to; n++ {
		b.events = append(b.events, boot+strconv.Itoa(n))
	}
}

func storedEvents(t *testing.T, db *engine.DB) (events []engine.Event) {
	t.Helper()
	query := engine.EventQuery{To: model.MaxTime, Limit: 10_000, Components: []string{FLServer}}
	for {
		result, err := db.Events(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		if events = append(events, result.Events...); !result.More {
			return events
		}
		query.After = &result.Next
	}
}

// TestEventsOfTheFLServer come by pages, once each, whether the server or we begin anew.
func TestEventsOfTheFLServer(t *testing.T) {
	db := openEngine(t, engine.Options{})
	b := &eventBuffer{}
	p := peerOf(t, time.Minute, b.ServeHTTP)
	open := func() *flEvents {
		e := &flEvents{peer: p, recorder: newRecorder(db, FLServer, slog.New(slog.DiscardHandler), time.Now, func(time.Time, int) {})}
		if err := loadState(db, flEventsState, &e.position); err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	for _, row := range []struct {
		name        string
		change      func()
		stored, ask int
	}{
		{"none", func() {}, 0, 1},
		{"three pages", func() { b.add("a", 1, 1200) }, 1200, 3},
		{"nothing new", func() {}, 1200, 1},
		{"two more", func() { b.add("a", 1201, 1202) }, 1202, 1},
		{"the buffer has dropped what we knew", func() { b.events = nil; b.add("a", 1000, 1210) }, 1210, 1},
		{"the server began anew", func() { b.events = nil; b.add("b", 1211, 1213) }, 1213, 1},
		{"we begin anew", func() { e = open(); b.add("b", 1214, 1214) }, 1214, 1},
		{"our position is lost", func() { e = open(); e.position.LastEventID = "" }, 1214, 1},
		{"more than an answer may have", func() { b.bytes = 200_000; b.add("b", 1215, 1314) }, 1314, 3},
	} {
		row.change()
		b.asked = 0
		if err := e.poll(t.Context()); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if events := storedEvents(t, db); len(events) != row.stored || b.asked != row.ask {
			t.Errorf("%s: %d events are stored, want %d; asked %d times, want %d", row.name, len(events), row.stored, b.asked, row.ask)
		}
	}
	got := storedEvents(t, db)[1199]
	want := engine.Event{ID: "fl_server/a1200", Time: noon.Add(1200 * time.Second).UnixNano(), Component: FLServer, Type: "ROUND_COMPLETED", Level: "info", Details: []byte(`{"round":1200,"more":""}`)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOddEvents are stored as far as they can be, and each once.
func TestOddEvents(t *testing.T) {
	db := openEngine(t, engine.Options{})
	const at = `"timestamp":"2024-01-15T12:00:00"`
	p := peerOf(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"events":[{`+at+`,"event_type":"TRAINING_STOPPED_BY_POLICY","details":{"reason":"too late"}},
			{"event_id":"`+strings.Repeat("x", 5000)+`",`+at+`,"event_type":"A"}, {"event_id":"t","event_type":"B"}, {"event_id":"s","timestamp":17,"event_type":"B"},
			{"event_id":"y",`+at+`}, 7, null, {"event_id":"z",`+at+`,"event_type":"C","details":{"big":"`+strings.Repeat("x", 300_000)+`"}},
			{"event_id":"w",`+at+`,"event_type":"SOME_ERROR","details":"none"}],"last_event_id":"w"}`)
	})
	e := &flEvents{peer: p, recorder: newRecorder(db, FLServer, slog.New(slog.DiscardHandler), time.Now, func(time.Time, int) {})}
	for range 3 {
		if err := e.poll(t.Context()); err == nil || !strings.Contains(err.Error(), "without a time") {
			t.Fatal(err)
		}
	}
	var got []string
	for _, event := range storedEvents(t, db) {
		got = append(got, event.Type+" "+event.Level+" "+event.Message)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"A info ", "C info ", "SOME_ERROR error ", "TRAINING_STOPPED_BY_POLICY warning too late", "UNKNOWN info "}, got); diff != "" {
		t.Error(diff)
	}
	if e.position.LastEventID != "" {
		t.Errorf("the position is %q, behind events that may yet have a time", e.position.LastEventID)
	}
}
