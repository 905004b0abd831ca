package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// lineFormat makes a line of each update.
type lineFormat struct{}

func (lineFormat) Prepare(s *model.Series) any {
	return fmt.Sprintf("%s %s %s", s.Name, s.Tags.Get("host"), s.Unit)
}

func (lineFormat) AppendUpdate(dst []byte, prepared any, u *Update) []byte {
	return fmt.Appendf(dst, "%v %d %x\n", prepared, u.Time, math.Float64bits(u.Value))
}

func (lineFormat) AppendEvent(dst []byte, at Position, e *Event) []byte {
	return fmt.Appendf(dst, "event %s %d/%d\n", e.ID, at.LSN, at.Index)
}

// placeFormat makes a line of each update's position.
type placeFormat struct{}

func (placeFormat) Prepare(*model.Series) any { return nil }

func (placeFormat) AppendUpdate(dst []byte, _ any, u *Update) []byte {
	return fmt.Appendf(dst, "%d/%d\n", u.LSN, u.Index)
}

// wideFormat is placeFormat with a kilobyte to each line.
type wideFormat struct{ placeFormat }

func (f wideFormat) AppendUpdate(dst []byte, prepared any, u *Update) []byte {
	dst = append(dst, wide...)
	return f.placeFormat.AppendUpdate(dst, prepared, u)
}

var wide = strings.Repeat(" ", 1<<10)

func openWatched(t *testing.T, opts Options) *DB {
	t.Helper()
	if opts.FS == nil {
		opts.FS = vfs.NewMem()
	}
	db := mustOpen(t, opts)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func mustWatch(t *testing.T, db *DB, o WatchOptions) *Watcher {
	t.Helper()
	w, err := db.Watch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// takeLines takes at least once, and until there are n lines or more, counting those that were dropped.
func takeLines(t *testing.T, w *Watcher, n int) (lines []string, dropped int) {
	t.Helper()
	hang := time.After(60 * time.Second)
	var b Batched
	for {
		w.Take(&b)
		dropped += int(b.Dropped)
		if b.Count > 0 {
			lines = append(lines, strings.Split(strings.TrimSuffix(string(b.Data), "\n"), "\n")...)
		}
		if len(lines)+dropped >= n && b.Count == 0 {
			return lines, dropped
		}
		if b.Count > 0 {
			continue
		}
		select {
		case <-w.Ready():
		case <-w.Done():
			t.Fatalf("the watcher is done after %d of %d lines", len(lines), n)
		case <-hang:
			t.Fatalf("%d of %d lines came, and %d were dropped", len(lines), n, dropped)
		}
	}
}

// watched is a watcher beside what it must see.
type watched struct {
	*Watcher
	subscriptions []Subscription
	want          []string
}

func (w *watched) see(s *model.Series, line string) {
	for i := range w.subscriptions {
		sub := &w.subscriptions[i]
		wanted := !sub.OnlyEvents && model.MatchSeries(*s, sub.Matchers)
		for _, any := range sub.AnyOf {
			value := s.Tags.Get(any.Key)
			if any.Key == model.NameKey {
				value = s.Name
			}
			wanted = wanted && slices.Contains(any.Values, value)
		}
		if wanted {
			w.want = append(w.want, line)
			return
		}
	}
}

func randomSubscription(t *testing.T, random *rand.Rand) (s Subscription) {
	for _, key := range []string{model.NameKey, model.SourceKey, "host", "zone"} {
		switch random.IntN(8) {
		case 0:
			s.AnyOf = append(s.AnyOf, AnyOf{Key: key, Values: []string{pick(random, "cpu", "x", "a", "1"), pick(random, "memory", "y", "b", "")}})
		case 1:
			m, err := model.NewMatcher(key, model.MatchOp(random.IntN(4)), pick(random, "", "a", "cpu", "x", "b|c", "[a-c]|memory"))
			if err != nil {
				t.Fatal(err)
			}
			s.Matchers = append(s.Matchers, m)
		}
	}
	return s
}

// TestWatchAll lets random watchers see random writes: each must see exactly what it asked for, in the log's order.
func TestWatchAll(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	db := openWatched(t, Options{})
	var watchers []*watched
	units := map[model.SeriesID]string{}
	for step := range 400 {
		switch n := random.IntN(20); {
		case n < 3 || step == 0:
			watchers = append(watchers, &watched{Watcher: mustWatch(t, db, WatchOptions{Format: lineFormat{}})})
			fallthrough
		case n < 4:
			w := watchers[len(watchers)-1]
			if n >= 3 {
				w = pick(random, watchers...)
			}
			settle(t, db) // a subscription is told of what the hub hasn't looked at yet
			s := randomSubscription(t, random)
			w.subscriptions = append(w.subscriptions, s)
			w.Subscribe(s)
			w.check(t) // and catches up
		case n < 5 && len(watchers) > 1:
			w := watchers[0]
			watchers = watchers[1:]
			w.Close()
			<-w.Done()
		default:
			writeRandomly(t, db, random, units, watchers)
			if random.IntN(10) == 0 {
				if err := db.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i, w := range watchers {
		settle(t, db)
		if w.check(t); t.Failed() {
			t.Fatalf("watcher %d of %d", i, len(watchers))
		}
	}
}

// check compares what came with what should have.
func (w *watched) check(t *testing.T) {
	t.Helper()
	lines, dropped := takeLines(t, w.Watcher, 0)
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "settled") })
	if !slices.Equal(lines, w.want) || dropped > 0 {
		t.Errorf("a watcher of %+v saw\n%q\nwant\n%q\n%d were dropped", w.subscriptions, lines, w.want, dropped)
	}
	w.want = nil
}

// settle waits until the hub has seen all that was written.
func settle(t *testing.T, db *DB) {
	t.Helper()
	w := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	w.Subscribe(Subscription{})
	takeLines(t, w, 0)
	put(t, db, "settled", "", 1, 1)
	takeLines(t, w, 1)
	w.Close()
}

func writeRandomly(t *testing.T, db *DB, random *rand.Rand, units map[model.SeriesID]string, watchers []*watched) {
	var batch Batch
	type row struct {
		series model.Series
		sample model.Sample
	}
	var rows []row
	for range 1 + random.IntN(30) {
		tags := model.Tags{{Key: "host", Value: pick(random, hosts...)}, {Key: model.SourceKey, Value: pick(random, "x", "y")}}
		if random.IntN(2) == 0 {
			tags = append(tags, model.Tag{Key: "zone", Value: pick(random, "1", "2")})
		}
		name := pick(random, "cpu", "memory", "disk")
		id, err := db.Resolve(name, tags)
		if err != nil {
			t.Fatal(err)
		}
		if random.IntN(20) == 0 {
			units[id] = pick(random, "s", "MB")
			batch.SetUnit(id, units[id])
		}
		sample := model.Sample{Time: random.Int64N(1e15), Value: random.NormFloat64()}
		if random.IntN(20) == 0 {
			sample.Value = pick(random, Missing(), math.NaN(), math.Inf(1))
		}
		batch.Add(id, sample.Time, sample.Value)
		rows = append(rows, row{model.Series{ID: id, Name: name, Tags: tags}, sample})
	}
	if len(batch.units) > 0 {
		settle(t, db) // updates on their way would have the new unit already
	}
	for _, r := range rows {
		if model.IsStale(r.sample.Value) {
			continue
		}
		r.series.Unit = units[r.series.ID]
		line := fmt.Sprintf("%v %d %x", lineFormat{}.Prepare(&r.series), r.sample.Time, math.Float64bits(r.sample.Value))
		for _, w := range watchers {
			w.see(&r.series, line)
		}
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
}

// TestWatchSlow never takes: the oldest are dropped and counted, those that are left are the newest, and nobody else
// loses any.
func TestWatchSlow(t *testing.T) {
	db := openWatched(t, Options{})
	slow := mustWatch(t, db, WatchOptions{Format: wideFormat{}})
	slow.Subscribe(Subscription{})
	takeLines(t, slow, 0)
	fast := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	fast.Subscribe(Subscription{})
	const batches, size = 20, 500
	var want []string
	for range batches {
		var batch Batch
		id, err := db.Resolve("cpu", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range size {
			batch.Add(id, int64(i), 1)
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
		lines, dropped := takeLines(t, fast, size)
		if dropped > 0 {
			t.Fatalf("the fast watcher lost %d", dropped)
		}
		want = append(want, lines...)
	}
	settle(t, db)
	lines, dropped := takeLines(t, slow, batches*size)
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if last := lines[len(lines)-1]; strings.HasPrefix(want[len(want)-1], last) || dropped == 0 {
		t.Errorf("%d dropped; the last is %s", dropped, last)
	}
	for len(lines) > 0 && !strings.HasPrefix(lines[len(lines)-1], strings.Split(want[len(want)-1], "/")[0]) {
		lines = lines[:len(lines)-1] // what settle wrote
	}
	if rest := want[len(want)-len(lines):]; !slices.Equal(lines, rest) || len(lines)+dropped != len(want) {
		t.Errorf("%d lines and %d dropped of %d", len(lines), dropped, len(want))
	}
	if stats := db.Stats().Watch; stats.Dropped != uint64(dropped) || stats.Overrun != 0 || stats.Watchers != 2 {
		t.Errorf("stats %+v, %d were dropped", stats, dropped)
	}
}

// TestWatchOverrun stops the hub: writers go on, and watchers are told how much they missed.
func TestWatchOverrun(t *testing.T) {
	db := openWatched(t, Options{MaxWatchedSamples: 64})
	w := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	w.Subscribe(Subscription{})
	takeLines(t, w, 0)
	settle(t, db)
	db.watch.mu.Lock()
	release := sync.OnceFunc(db.watch.mu.Unlock)
	defer release() // or else closing waits for ever when the test fails
	const written = 1000
	for i := range written {
		put(t, db, "cpu", "a", int64(i), 1) // doesn't wait for the hub
	}
	release()
	lines, dropped := takeLines(t, w, written+1) // one is settle's
	if len(lines)+dropped != written+1 || dropped < written-3*64 || len(lines) < 64 {
		t.Errorf("%d lines and %d lost of %d", len(lines), dropped, written+1)
	}
	var last Position
	if _, err := fmt.Sscanf(lines[len(lines)-1], "%d/%d", &last.LSN, &last.Index); err != nil || last.LSN != db.pipe.applied.Load() {
		t.Errorf("the last line is %v (%v), want LSN %d", last, err, db.pipe.applied.Load())
	}
	if stats := db.Stats().Watch; stats.Overrun != uint64(dropped) {
		t.Errorf("stats %+v, %d were lost", stats, dropped)
	}
}

// TestWatchAfter begins behind each update that was seen: what follows is exactly what followed then.
func TestWatchAfter(t *testing.T) {
	db := openWatched(t, Options{MaxWatchedSamples: 1 << 13})
	first := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	first.Subscribe(Subscription{})
	takeLines(t, first, 0)
	put(t, db, "cpu", "start", 1, 1)
	takeLines(t, first, 1)
	start := db.WatchPosition()
	var want []string
	for i := range 40 {
		var batch Batch
		for j := range 1 + i%7 {
			id, err := db.Resolve("cpu", tagsOf(fmt.Sprint(j)))
			if err != nil {
				t.Fatal(err)
			}
			batch.Add(id, int64(i), 1)
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
		lines, _ := takeLines(t, first, batch.Len())
		want = append(want, lines...)
	}
	after := func(at Resume) []string {
		text, err := ParseResume(at.String())
		if err != nil || text != at {
			t.Fatalf("%v reads back as %v: %v", at, text, err)
		}
		w := mustWatch(t, db, WatchOptions{Format: placeFormat{}, After: &at})
		defer w.Close()
		w.Subscribe(Subscription{})
		put(t, db, "cpu", "end", 1, 1)
		lines, _ := takeLines(t, w, 1)
		for end := fmt.Sprintf("%d/0", db.pipe.applied.Load()); lines[len(lines)-1] != end; {
			more, _ := takeLines(t, w, 1)
			lines = append(lines, more...)
		}
		return lines
	}
	ends := 0
	check := func(at Resume, rest []string) {
		t.Helper()
		got := after(at)
		ends++
		if len(got) != len(rest)+ends || !slices.Equal(got[:len(rest)], rest) {
			t.Fatalf("after %v: %d updates, want %d", at, len(got), len(rest)+ends)
		}
	}
	check(start, want)
	for i, line := range want {
		at := start
		if _, err := fmt.Sscanf(line, "%d/%d", &at.LSN, &at.Index); err != nil {
			t.Fatal(err)
		}
		check(at, want[i+1:])
	}
	for _, refused := range []Resume{
		{Position: start.Position, Run: start.Run + 1},
		{Position: Position{LSN: start.LSN - 1}, Run: start.Run},
		{},
	} {
		if _, err := db.Watch(WatchOptions{Format: placeFormat{}, After: &refused}); !errors.Is(err, ErrNotBuffered) {
			t.Errorf("after %v: %v", refused, err)
		}
	}
	// Once the ring has gone round, the start isn't there any more.
	for range 4 {
		var batch Batch
		id, _ := db.Resolve("cpu", nil)
		for i := range blockEntries {
			batch.Add(id, int64(i), 1)
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Watch(WatchOptions{Format: placeFormat{}, After: &start}); !errors.Is(err, ErrNotBuffered) {
		t.Errorf("after the ring went round: %v", err)
	}
}

// TestWatchAfterRestart: a position of before a restart is never taken for one of now.
func TestWatchAfterRestart(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpen(t, Options{FS: fs})
	w := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	w.Subscribe(Subscription{})
	put(t, db, "cpu", "a", 1, 1)
	takeLines(t, w, 1)
	old := db.WatchPosition()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	<-w.Done()
	if _, err := db.Watch(WatchOptions{Format: placeFormat{}}); !errors.Is(err, ErrClosed) {
		t.Errorf("watching a closed store: %v", err)
	}
	db = openWatched(t, Options{FS: fs})
	mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	put(t, db, "cpu", "a", 2, 1)
	if _, err := db.Watch(WatchOptions{Format: placeFormat{}, After: &old}); !errors.Is(err, ErrNotBuffered) {
		t.Errorf("after a position of before the restart: %v", err)
	}
}

// TestWatchNewest keeps the newest of each series until it is taken.
func TestWatchNewest(t *testing.T) {
	db := openWatched(t, Options{})
	w := mustWatch(t, db, WatchOptions{MaxSeries: 2})
	w.Subscribe(Subscription{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "cpu")}})
	w.CatchUp()
	put(t, db, "cpu", "a", 10, 1)
	put(t, db, "cpu", "a", 30, 2)
	put(t, db, "cpu", "a", 20, 3) // late
	put(t, db, "cpu", "b", 10, 4)
	put(t, db, "cpu", "b", 10, 5) // corrected
	put(t, db, "cpu", "c", 10, 6) // one too many
	put(t, db, "memory", "a", 99, 7)
	settle(t, db)
	var b Batched
	w.Take(&b)
	var got []string
	for _, u := range b.Updates {
		got = append(got, fmt.Sprint(u.Series.Tags.Get("host"), " ", u.Time, " ", u.Value))
	}
	if want := []string{"a 30 2", "b 10 5"}; !slices.Equal(got, want) || b.Dropped != 1 || b.Count != 2 || b.Through.LSN == 0 {
		t.Errorf("took %v, dropped %d, through %v", got, b.Dropped, b.Through)
	}
	if w.Take(&b); b.Count != 0 || b.Dropped != 0 {
		t.Errorf("took again %+v", b)
	}
}

// TestWatchNewestAtOnce takes what was just acknowledged, whatever the hub has come to.
func TestWatchNewestAtOnce(t *testing.T) {
	db := openWatched(t, Options{})
	w := mustWatch(t, db, WatchOptions{MaxSeries: 1})
	w.Subscribe(Subscription{})
	w.CatchUp()
	var b Batched
	for i := range int64(500) {
		put(t, db, "cpu", "a", i+1, float64(i))
		if w.Take(&b); b.Count != 1 || b.Updates[0].Value != float64(i) {
			t.Fatalf("after sample %d it takes %+v", i, b.Updates)
		}
	}
}

// TestWatchEvents: events come in the log's place among samples, once, and only to those that want them.
func TestWatchEvents(t *testing.T) {
	db := openWatched(t, Options{})
	subscriptions := []Subscription{
		{},
		{OnlyEvents: true, Events: true},
		{Events: true, EventTypes: []string{"alert", "other"}, AnyOf: []AnyOf{{Key: "host", Values: []string{"a"}}}},
	}
	var watchers []*Watcher
	for _, s := range subscriptions {
		w := mustWatch(t, db, WatchOptions{Format: lineFormat{}})
		w.Subscribe(s)
		w.Subscribe(s)
		takeLines(t, w, 0)
		watchers = append(watchers, w)
	}
	other := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	other.Subscribe(Subscription{OnlyEvents: true, Events: true})
	takeLines(t, other, 0)
	start := db.WatchPosition()
	put(t, db, "cpu", "a", 1, 1)
	if err := db.WriteEvents(t.Context(), []Event{
		{ID: "1", Time: 1, Component: "c", Type: "alert"}, {ID: "2", Time: 1, Component: "c", Type: "restart"}, {ID: "1", Time: 1, Component: "c", Type: "alert"},
	}); err != nil {
		t.Fatal(err)
	}
	put(t, db, "cpu", "b", 1, 1)
	settle(t, db)
	late := mustWatch(t, db, WatchOptions{Format: lineFormat{}, After: &start})
	late.Subscribe(subscriptions[2])
	watchers = append(watchers, late, other)
	alert := []string{"cpu a  1 3ff0000000000000", "event 1", "cpu b  1 3ff0000000000000"}
	for i, want := range [][]string{{alert[0], alert[2]}, {"event 1", "event 2"}, alert[:2], alert[:2], nil} {
		lines, _ := takeLines(t, watchers[i], 0)
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "settled") })
		for k, line := range lines {
			if kind, id, ok := strings.Cut(line, " "); ok && kind == "event" {
				id, _, _ = strings.Cut(id, " ")
				lines[k] = "event " + id
			}
		}
		if !slices.Equal(lines, want) {
			t.Errorf("watcher %d saw %q, want %q", i, lines, want)
		}
	}
}

// TestWatchMeanwhile subscribes and leaves while several writers write: nobody's updates are lost or doubled.
func TestWatchMeanwhile(t *testing.T) {
	db := openWatched(t, Options{})
	const writers, watchers, writes = 4, 16, 300
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			for i := range writes {
				put(t, db, "cpu", fmt.Sprint(n), int64(i), 1)
			}
		})
	}
	for n := range watchers {
		group.Go(func() {
			w, err := db.Watch(WatchOptions{Format: lineFormat{}})
			if err != nil {
				t.Error(err)
				return
			}
			defer w.Close()
			host := fmt.Sprint(n % writers)
			w.Subscribe(Subscription{AnyOf: []AnyOf{{Key: "host", Values: []string{host}}}})
			put(t, db, "cpu", host, int64(writes+n), 1)
			w.Subscribe(Subscription{AnyOf: []AnyOf{{Key: model.NameKey, Values: []string{"cpu"}}, {Key: "host", Values: []string{host}}}})
			last := -1
			for seen := false; !seen; {
				lines, dropped := takeLines(t, w, 1)
				for _, line := range lines {
					var at int
					var got string
					if _, err := fmt.Sscanf(line, "cpu %s %d", &got, &at); err != nil || got != host || dropped > 0 {
						t.Errorf("line %q (%v), %d dropped", line, err, dropped)
						return
					}
					if seen = seen || at == writes+n; at >= writes {
						continue
					}
					if last >= 0 && at != last+1 {
						t.Errorf("sample %d came after %d", at, last)
					}
					last = at
				}
			}
		})
	}
	group.Wait()
}

// TestPublishingIsCheap: a writer pays a block for every 4,096 samples that are watched, and nothing when nobody
// watches.
func TestPublishingIsCheap(t *testing.T) {
	db := openWatched(t, Options{})
	c := &commit{lsn: 1, ids: make([]model.SeriesID, 256), times: make([]int64, 256), values: make([]float64, 256)}
	publish := func() { db.watch.publishSamples(c) }
	if n := testing.AllocsPerRun(100, publish); n != 0 {
		t.Errorf("%v allocations with nobody there", n)
	}
	w := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	_ = w
	db.pipe.applying.Lock()
	defer db.pipe.applying.Unlock()
	if n := testing.AllocsPerRun(1600, publish); n > 0.2 {
		t.Errorf("%v allocations for each 256 samples", n)
	}
}

// TestWatchIdle: when nobody has watched for a while, nothing is buffered any more, however much is written.
func TestWatchIdle(t *testing.T) {
	db := openWatched(t, Options{})
	w := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	put(t, db, "cpu", "a", 1, 1)
	at := db.WatchPosition()
	db.watch.idle.Reset(1) // somebody watches: it is kept
	settle(t, db)
	if back := mustWatch(t, db, WatchOptions{Format: placeFormat{}, After: &at}); !db.watch.active.Load() {
		t.Error("it is given up while somebody watches")
	} else {
		back.Close()
	}
	w.Close()
	db.watch.idle.Reset(20 * time.Millisecond)
	waitFor(t, func() bool {
		put(t, db, "cpu", "a", 2, 1)
		return !db.watch.active.Load()
	})
	if _, err := db.Watch(WatchOptions{Format: placeFormat{}, After: &at}); !errors.Is(err, ErrNotBuffered) {
		t.Errorf("after it was given up: %v", err)
	}
	settle(t, db) // and begins anew
}

// TestWatchedEventsAreBounded: events count by their size for what is kept for watchers who are behind.
func TestWatchedEventsAreBounded(t *testing.T) {
	db := openWatched(t, Options{MaxWatchedSamples: 16 << 10})
	mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	for i := range 50 {
		if err := db.WriteEvents(t.Context(), []Event{{Time: int64(i), Component: "c", Type: "t", Message: strings.Repeat("x", 60<<10)}}); err != nil {
			t.Fatal(err)
		}
	}
	held, blocks := 0, 0
	for b := db.watch.ring.oldest.Load(); b != nil; b = b.next.Load() {
		blocks++
		for i := range b.events {
			held += eventBytes(&b.events[i].event)
		}
	}
	if most := 40*16<<10 + 2*61<<10; held > most || held < 40*16<<10 {
		t.Errorf("%d blocks hold %d bytes, at most %d should be", blocks, held, most)
	}
}

// TestWatchUnsubscribed: who has ended its only subscription isn't told later of what came in between.
func TestWatchUnsubscribed(t *testing.T) {
	db := openWatched(t, Options{})
	w := mustWatch(t, db, WatchOptions{Format: placeFormat{}})
	w.Subscribe(Subscription{})() // before anything is caught up with
	put(t, db, "cpu", "a", 1, 1)
	takeLines(t, w, 0)
	for i := range 500 {
		put(t, db, "cpu", "a", int64(i), 1)
	}
	settle(t, db)
	w.Subscribe(Subscription{})
	if lines, dropped := takeLines(t, w, 0); len(lines) > 0 || dropped > 0 {
		t.Errorf("%d lines came and %d were dropped of what was written before", len(lines), dropped)
	}
	put(t, db, "cpu", "a", 1, 1)
	takeLines(t, w, 1)
}
