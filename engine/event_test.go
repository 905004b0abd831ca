package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

func TestEventExamples(t *testing.T) {
	place := keys.Event{Time: 1_728_000_000_000_000_000, LSN: 42, N: 1}
	key, event := keys.AppendEvent(nil, place), Event{ID: "e1", Time: place.Time, Component: "fl_server", Type: "round_end", Level: "info"}
	want := doctest.Example(t, "event")
	if got := encodeEvent(nil, key, &event); !bytes.Equal(got, want) {
		t.Errorf("%+v is encoded as %x, the document says %x", event, got, want)
	}
	if got, err := decodeEvent(key, want); err != nil || !cmp.Equal(got, event) {
		t.Errorf("the example is decoded as %+v, %v", got, err)
	}
	idKey, wantPlace := keys.AppendEventID(nil, "e1"), doctest.Example(t, "event-place")
	if got := encodeEventPlace(nil, idKey, place); !bytes.Equal(got, wantPlace) {
		t.Errorf("%+v is encoded as %x, the document says %x", place, got, wantPlace)
	}
	if got, err := decodeEventPlace(idKey, wantPlace); err != nil || got != place {
		t.Errorf("the example is decoded as %+v, %v", got, err)
	}
	for _, codec := range []struct {
		bytes  []byte
		decode func([]byte) error
	}{
		{want, func(b []byte) error { _, err := decodeEvent(key, b); return err }},
		{wantPlace, func(b []byte) error { _, err := decodeEventPlace(idKey, b); return err }},
	} {
		for bit := range 8 * len(codec.bytes) {
			damaged := bytes.Clone(codec.bytes)
			damaged[bit/8] ^= 1 << (bit % 8)
			if err := codec.decode(damaged); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("with bit %d flipped the error is %v", bit, err)
			}
		}
	}
}

// event makes an event some seconds after worldStart; its message tells it from others under its ID.
func event(id string, second int64, message string) Event {
	return Event{ID: id, Time: worldStart + 12*day + second*1e9, Component: "c", Type: "t", Level: "info", Message: message}
}

func (w *world) writeEvents(events ...Event) {
	w.t.Helper()
	if err := w.db.WriteEvents(context.Background(), events); err != nil {
		w.t.Fatal(err)
	}
}

// events returns all events as "id message", the oldest first.
func (w *world) events() []string {
	w.t.Helper()
	result, err := w.db.Events(context.Background(), EventQuery{To: model.MaxTime, Limit: 1 << 20, Total: true})
	if err != nil {
		w.t.Fatal(err)
	}
	list := []string{}
	for _, e := range result.Events {
		list = append(list, e.ID+" "+e.Message)
	}
	if result.Total != len(list) || result.More {
		w.t.Errorf("%d events, total %d, more %v", len(list), result.Total, result.More)
	}
	return list
}

func (w *world) wantEvents(when string, want ...string) {
	w.t.Helper()
	if got := w.events(); !slices.Equal(got, want) {
		w.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

// TestEventsAreStoredOnce writes IDs again: in one batch, from memory, from disk, after a restart and a crash.
func TestEventsAreStoredOnce(t *testing.T) {
	w := newWorld(t, Options{})
	w.writeEvents(event("b", 2, "first"), event("a", 1, "first"), event("b", 2, "second"))
	want := []string{"a first", "b first"}
	w.wantEvents("in one batch", want...)
	again := func(when string) {
		t.Helper()
		w.writeEvents(event("a", 1, when), event("b", 7, when))
		w.wantEvents(when, want...)
	}
	again("from memory")
	w.restart(true)
	again("after a crash with a log")
	w.flush()
	again("from disk")
	w.flush()
	again("from disk and a flush of nothing new")
	w.restart(false)
	again("after a restart")
	w.restart(true)
	again("after a crash with a checkpoint")
	w.writeEvents(event("c", 3, "new"), event("a", 9, "again"))
	want = append(want, "c new")
	w.wantEvents("with a new one", want...)
	w.restart(true)
	w.wantEvents("with a new one, after a crash", want...)
	if n := w.db.events.size.Load(); n != int64(eventBytes(&Event{ID: "c", Component: "c", Type: "t", Level: "info", Message: "new"}))+2*(againBytes+1) {
		t.Errorf("%d bytes in memory", n)
	}
	w.flush()
	if n := w.db.events.size.Load(); n != 0 {
		t.Errorf("%d bytes in memory after a flush", n)
	}
}

func TestEventsAreGivenIDsAndLevels(t *testing.T) {
	w := newWorld(t, Options{})
	events := []Event{event("", 1, "x"), event("", 1, "x"), event("", 1, "x")}
	events[1].Level = ""
	w.writeEvents(events...)
	if events[0].ID == "" || events[0].ID == events[1].ID || events[1].Level != "info" {
		t.Errorf("%+v", events)
	}
	if got := w.events(); len(got) != 3 || got[0] != events[0].ID+" x" || got[2] != events[2].ID+" x" {
		t.Errorf("%q: events of one time are in the order of their writing", got)
	}
}

// TestEventsAreFlushedMeanwhile flushes an ID after a write of it has looked for it on disk, and before that write is
// applied; and lets one expire in between.
func TestEventsAreFlushedMeanwhile(t *testing.T) {
	w := newWorld(t, Options{RetentionGrace: time.Nanosecond})
	w.writeEvents(event("a", 1, "first"))
	write := func(e Event, meanwhile func()) {
		t.Helper()
		c := commits.Get().(*commit)
		c.events = &eventBatch{events: []Event{e}, named: []bool{true}}
		if err := w.db.findStored(c.events); err != nil {
			t.Fatal(err)
		}
		meanwhile()
		if err := w.db.pipe.submit(c); err != nil {
			t.Fatal(err)
		}
	}
	write(event("a", 2, "second"), w.flush)
	w.wantEvents("flushed meanwhile", "a first")
	write(event("a", 30*86400, "new"), func() {
		w.setNow(worldStart + 40*day)
		if err := w.db.SetEventRetention(10 * testDay); err != nil {
			t.Fatal(err)
		}
		w.setNow(worldStart + 40*day + 1)
		if err := w.db.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	w.wantEvents("expired meanwhile", "a new")
}

// TestEventsConcurrently writes the same IDs from many goroutines while the head is flushed: one of each stands.
func TestEventsConcurrently(t *testing.T) {
	w := newWorld(t, Options{})
	const writers, ids = 8, 40
	var group sync.WaitGroup
	for number := range writers {
		group.Go(func() {
			for i := range ids {
				id := fmt.Sprint((i*7 + number) % ids)
				if err := w.db.WriteEvents(context.Background(), []Event{event(id, int64(number), fmt.Sprint(number))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		if err := w.db.Flush(); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
	check := func(when string) []string {
		got := w.events()
		seen := map[string]bool{}
		for _, e := range got {
			id, _, _ := strings.Cut(e, " ")
			if seen[id] {
				t.Errorf("%s: %s is there twice", when, id)
			}
			seen[id] = true
		}
		if len(seen) != ids {
			t.Errorf("%s: %d events, want %d", when, len(seen), ids)
		}
		return got
	}
	before := check("at once")
	w.restart(true)
	if after := check("after a crash"); !slices.Equal(before, after) {
		t.Errorf("a crash changes %q to %q", before, after)
	}
}

// TestEventQueries asks for pages in both orders, with some events on disk and some in memory.
func TestEventQueries(t *testing.T) {
	w := newWorld(t, Options{})
	var all []Event
	for i := range 60 {
		e := event(fmt.Sprint(i), int64(i*37%20), "")
		e.Component, e.Type, e.Level = fmt.Sprint("c", i%3), fmt.Sprint("t", i%4), EventLevels[i%5]
		if i%2 == 0 {
			e.Details = []byte(fmt.Sprintf(`{"i":%d}`, i))
		}
		w.writeEvents(e)
		all = append(all, e)
		if i == 20 || i == 40 {
			w.flush()
		}
	}
	slices.SortStableFunc(all, func(a, b Event) int { return int(a.Time - b.Time) })
	for number, q := range []EventQuery{
		{}, {From: all[20].Time, To: all[40].Time}, {Types: []string{"t1"}}, {Components: []string{"c0", "c2"}},
		{Levels: []string{"error", "critical"}, Types: []string{"t0", "t1", "t2"}}, {Types: []string{"none"}},
	} {
		var want []Event
		if q.To == 0 {
			q.To = model.MaxTime
		}
		for _, e := range all {
			if e.Time >= q.From && e.Time < q.To && (q.Types == nil || slices.Contains(q.Types, e.Type)) &&
				(q.Components == nil || slices.Contains(q.Components, e.Component)) && (q.Levels == nil || slices.Contains(q.Levels, e.Level)) {
				want = append(want, e)
			}
		}
		for _, q.Newest = range []bool{false, true} {
			for _, q.Total = range []bool{false, true} {
				for _, q.Limit = range []int{1, 7, 100} {
					got := w.pages(q, len(want))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("query %d, %+v (-want +got):\n%s", number, q, diff)
					}
				}
			}
			slices.Reverse(want)
		}
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.db.Events(canceled, EventQuery{To: model.MaxTime, Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled query returns %v", err)
	}
}

// pages gathers the pages of a query.
func (w *world) pages(q EventQuery, total int) []Event {
	w.t.Helper()
	var got []Event
	for {
		result, err := w.db.Events(context.Background(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		if q.Total && result.Total != total {
			w.t.Errorf("total %d, want %d", result.Total, total)
		}
		got = append(got, result.Events...)
		if !result.More {
			return got
		}
		if len(result.Events) != q.Limit {
			w.t.Errorf("a page of %d says that there is more", len(result.Events))
		}
		q.After = &result.Next
	}
}

func TestEventErrors(t *testing.T) {
	w := newWorld(t, Options{EventRetention: 30 * testDay})
	long := strings.Repeat("x", 257)
	for _, test := range []struct {
		change func(e *Event)
		want   string
	}{
		{func(e *Event) { e.ID = long }, "events[1].event_id has 257 bytes, at most 255 are allowed"},
		{func(e *Event) { e.Component = "" }, "events[1].component is missing"},
		{func(e *Event) { e.Component = "a\nb" }, `events[1].component is "a\nb", control characters are not allowed`},
		{func(e *Event) { e.Type = "" }, "events[1].event_type is missing"},
		{func(e *Event) { e.Type = long }, "events[1].event_type has 257 bytes, at most 256 are allowed"},
		{func(e *Event) { e.Level = "warn" }, `events[1].level is "warn", want one of debug, info, warning, error, critical`},
		{func(e *Event) { e.Message = "\xff" }, "events[1].message is not valid UTF-8"},
		{func(e *Event) { e.Message = strings.Repeat("x", 65537) }, "events[1].message has 65537 bytes, at most 65536 are allowed"},
		{func(e *Event) { e.Details = []byte("[]") }, "events[1].details is not a JSON object"},
		{func(e *Event) { e.Details = []byte(`{"a":}`) }, "events[1].details is not a JSON object"},
		{func(e *Event) { e.Details = []byte{} }, "events[1].details is not a JSON object"},
		{func(e *Event) { e.Details = make([]byte, 1<<20) }, "events[1].details has 1048576 bytes, at most 262144 are allowed"},
		{func(e *Event) { e.Time = -1 }, "events[1].timestamp is before 1970-01-01, the earliest time that can be stored"},
		{func(e *Event) { e.Time = model.MaxTime }, "events[1].timestamp is not before 2262-04-11, the end of what can be stored"},
		{func(e *Event) { e.Time = worldStart - 20*day }, "events[1].timestamp is older than the retention of 30 days"},
	} {
		events := []Event{event("a", 1, ""), event("b", 1, "")}
		test.change(&events[1])
		err := w.db.WriteEvents(context.Background(), events)
		var refused *EventError
		if !errors.As(err, &refused) || err.Error() != test.want || refused.Index != 1 {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	var limit *LimitError
	if err := w.db.WriteEvents(context.Background(), make([]Event, MaxEventsPerWrite+1)); !errors.As(err, &limit) {
		t.Errorf("too many events: %v", err)
	}
	large := slices.Repeat([]Event{{Component: "c", Type: "t", Time: worldStart + 12*day, Message: strings.Repeat("x", 64<<10)}}, 600)
	if err := w.db.WriteEvents(context.Background(), large); !errors.As(err, &limit) {
		t.Errorf("too large events: %v", err)
	}
	w.wantEvents("after errors")
	if _, err := w.db.Events(context.Background(), EventQuery{}); err == nil {
		t.Error("a limit of 0 is no error")
	}
}

// TestEventMemoryIsBounded writes more than memory may hold: writes are refused until a flush, which is asked for.
func TestEventMemoryIsBounded(t *testing.T) {
	w := newWorld(t, Options{FlushEventBytes: 8 << 10})
	refused := 0
	for i := range 500 {
		err := w.db.WriteEvents(context.Background(), []Event{event(fmt.Sprint(i), int64(i), strings.Repeat("x", 2000))})
		if errors.Is(err, ErrBehind) {
			refused++
			w.flush()
			err = w.db.WriteEvents(context.Background(), []Event{event(fmt.Sprint(i), int64(i), strings.Repeat("x", 2000))})
		}
		if err != nil {
			t.Fatal(err)
		}
		if size := w.db.events.size.Load(); size > 5*8<<10 {
			t.Fatalf("%d bytes in memory", size)
		}
	}
	if got := len(w.events()); got != 500 {
		t.Errorf("%d events, and %d refusals", got, refused)
	}
	if w.db.flush.last.Load() == 0 {
		t.Error("nothing was flushed")
	}
}

func TestEventRetention(t *testing.T) {
	w := newWorld(t, Options{RetentionGrace: 2 * time.Hour})
	for i := range 10 {
		w.writeEvents(event(fmt.Sprint(i), int64(i)*3600, "x"))
	}
	w.flush()
	w.setNow(worldStart + 12*day + 10*hour)
	set := func(age time.Duration) {
		t.Helper()
		if err := w.db.SetEventRetention(age); err != nil {
			t.Fatal(err)
		}
	}
	set(5 * time.Hour)
	w.wantEvents("hidden", "5 x", "6 x", "7 x", "8 x", "9 x")
	if err := w.db.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	set(0)
	if got := len(w.events()); got != 10 {
		t.Errorf("%d events after the retention was set back within the grace", got)
	}
	set(5 * time.Hour)
	w.setNow(worldStart + 12*day + 13*hour)
	if err := w.db.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	set(KeepForever)
	w.wantEvents("dropped", "6 x", "7 x", "8 x", "9 x")
	w.writeEvents(event("0", 0, "again"), event("9", 9, "again"))
	w.wantEvents("an ID that was dropped", "0 again", "6 x", "7 x", "8 x", "9 x")
	w.restart(true)
	w.wantEvents("after a crash", "0 again", "6 x", "7 x", "8 x", "9 x")
	left := 0
	if err := w.db.eachKey([]byte{keys.PrefixEventID}, func(_, _ []byte) error { left++; return nil }); err != nil || left != 4 {
		t.Errorf("%d ids are stored, %v", left, err)
	}
	if err := w.db.SetEventRetention(-1); err == nil {
		t.Error("a negative retention is no error")
	}
}

// TestEventsWrittenAgainExpire lets an event expire while the log still has another one that was left out because of it:
// that must not turn up after a crash.
func TestEventsWrittenAgainExpire(t *testing.T) {
	w := newWorld(t, Options{RetentionGrace: time.Nanosecond, EventRetention: 20 * testDay})
	w.writeEvents(event("a", 1, "first"))
	w.flush()
	w.writeEvents(event("a", 30*86400, "again"), event("b", 30*86400, "first"))
	w.wantEvents("both are there", "a first", "b first")
	w.setNow(worldStart + 40*day)
	if err := w.db.maintain(context.Background(), pass{share: 1}); err != nil {
		t.Fatal(err)
	}
	left := 0
	if err := w.db.eachKey([]byte{keys.PrefixEvent}, func(_, _ []byte) error { left++; return nil }); err != nil || left != 1 {
		t.Errorf("%d events are stored, want b alone; %v", left, err)
	}
	w.wantEvents("one has expired", "b first")
	w.restart(true)
	w.wantEvents("after a crash", "b first")
	w.writeEvents(event("a", 31*86400, "new"))
	w.restart(true)
	w.wantEvents("the ID is free", "b first", "a new")
}

// TestEventDamage damages one event, and the place of another: the first is told of, nothing else is missing, and
// both expire.
func TestEventDamage(t *testing.T) {
	w := newWorld(t, Options{RetentionGrace: time.Nanosecond})
	w.writeEvents(event("a", 1, "x"), event("b", 2, "x"), event("c", 3, "x"))
	w.flush()
	flip := func(prefix byte, number int) {
		t.Helper()
		var list [][2][]byte
		if err := w.db.eachKey([]byte{prefix}, func(key, value []byte) error {
			list = append(list, [2][]byte{bytes.Clone(key), bytes.Clone(value)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		value := list[number][1]
		value[len(value)/2] ^= 1
		if err := w.db.chunks.Set(list[number][0], value, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	flip(keys.PrefixEvent, 1)
	flip(keys.PrefixEventID, 2)
	for _, newest := range []bool{false, true} {
		result, err := w.db.Events(context.Background(), EventQuery{To: model.MaxTime, Limit: 10, Newest: newest})
		if err != nil || result.Damaged != 1 || len(result.Events) != 2 {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	w.writeEvents(event("b", 2, "again"), event("c", 3, "again"))
	w.wantEvents("damaged", "a x", "c x")
	w.setNow(worldStart + 20*day)
	if err := w.db.SetEventRetention(testDay); err != nil {
		t.Fatal(err)
	}
	w.setNow(worldStart + 20*day + 1)
	if err := w.db.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := w.db.SetEventRetention(0); err != nil {
		t.Fatal(err)
	}
	w.wantEvents("dropped")
	w.writeEvents(event("b", 2, "new"))
	w.wantEvents("an ID left behind by a damaged event", "b new")
}
