package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flopynet/collector/engine"
)

// gate is a disk whose fsyncs can be made to wait.
type gate struct {
	mu     sync.Mutex
	cond   *sync.Cond
	closed bool
}

func newGate() *gate {
	g := &gate{}
	g.cond = sync.NewCond(&g.mu)
	return g
}

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	g.cond.Broadcast()
}

// MaybeError implements errorfs.Injector.
func (g *gate) MaybeError(op errorfs.Op) error {
	if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo {
		g.mu.Lock()
		defer g.mu.Unlock()
		for g.closed {
			g.cond.Wait()
		}
	}
	return nil
}

// String implements errorfs.Injector.
func (g *gate) String() string { return "gate" }

// holdingLog is a log whose writer waits, once, at a message.
type holdingLog struct {
	message string
	held    chan struct{} // closed when the wait is over
	once    *sync.Once
}

// Enabled implements slog.Handler, as the methods below do.
func (l holdingLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle waits.
func (l holdingLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		l.once.Do(func() { <-l.held })
	}
	return nil
}

// WithAttrs changes nothing.
func (l holdingLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup changes nothing.
func (l holdingLog) WithGroup(string) slog.Handler { return l }

// leaves flattens a document; what is empty counts as a leaf.
func leaves(prefix string, value any, into map[string]any) {
	object, ok := value.(map[string]any)
	if !ok || len(object) == 0 {
		into[prefix] = value
		return
	}
	for key, inner := range object {
		leaves(prefix+"."+key, inner, into)
	}
}

// figure is how a leaf must behave over the stages of the test.
type figure struct {
	counts bool           // it never goes down, and goes up
	varies bool           // it is a number of 0 or more that doesn't stay the same
	begins bool           // it is null at first, and then isn't
	turns  bool           // it is a text that doesn't stay the same
	fixed  any            // it is this always, since it is a name
	twin   string         // the number that it spells, beside it
	at     map[string]any // what it is at some of the stages
}

var perfNumber = figure{varies: true}

// figures has a row for each leaf of GET /health (h) and GET /system/performance (p). One that lacks a row
// fails the test: nothing is shown here that nobody has thought about.
var figures = map[string]figure{
	"h.status":            {turns: true, at: map[string]any{"fresh": "healthy", "closed": "unhealthy"}},
	"h.service":           {fixed: "collector"},
	"h.version":           {fixed: "v9.9"},
	"h.collector_version": {fixed: "v9.9"},
	"h.monitors.policy":   {fixed: false}, // nothing is polled here: cmd/collector's tests look at those that are
	"h.monitors.fl":       {fixed: false},
	"h.monitors.network":  {fixed: false},
	"h.monitors.events":   {fixed: false},
	"h.services":          {fixed: map[string]any{}},
	"h.timestamp":         {turns: true},
	"h.uptime":            {turns: true, at: map[string]any{"expired": "2h 10m"}},
	"h.uptime_seconds":    {counts: true},
	"h.last_collection":   {begins: true},

	"h.components.storage.status":              {turns: true, at: map[string]any{"fresh": "connected", "closed": "failing"}},
	"h.components.storage.engine":              {fixed: "embedded"},
	"h.components.storage.error":               {begins: true},
	"h.components.storage.response_time":       {twin: "response_time_ms"},
	"h.components.storage.response_time_ms":    perfNumber,
	"h.components.storage.database_size":       {twin: "database_size_bytes"},
	"h.components.storage.database_size_bytes": perfNumber,
	"h.components.storage.series":              {varies: true, at: map[string]any{"fresh": 0.0, "written": 3.0, "expired": 2.0}},
	"h.components.storage.samples_accepted":    {counts: true, at: map[string]any{"fresh": 0.0, "written": 7.0}},
	"h.components.storage.last_flush":          {begins: true},

	"h.components.wal.status":        {turns: true, at: map[string]any{"fresh": "running", "closed": "refusing writes"}},
	"h.components.wal.error":         {begins: true},
	"h.components.wal.size":          {twin: "size_bytes"},
	"h.components.wal.size_bytes":    perfNumber,
	"h.components.wal.fsyncs":        {counts: true},
	"h.components.wal.fsync_time":    {twin: "fsync_time_ms"},
	"h.components.wal.fsync_time_ms": perfNumber,

	"h.components.metrics_processor.status":                     {turns: true, at: map[string]any{"fresh": "running", "closed": "stopped"}},
	"h.components.metrics_processor.queue_size":                 {varies: true, at: map[string]any{"fresh": 0.0, "waiting": 3.0, "written": 0.0}},
	"h.components.metrics_processor.queue_max":                  {varies: true, at: map[string]any{"tuned": 1000.0}},
	"h.components.metrics_processor.processing_rate":            {twin: "processing_rate_per_second"},
	"h.components.metrics_processor.processing_rate_per_second": perfNumber,
	"h.components.metrics_processor.samples_in_memory":          {varies: true, at: map[string]any{"fresh": 0.0, "written": 7.0, "joined": 0.0}},
	"h.components.metrics_processor.heap_usage":                 {twin: "heap_usage_bytes"},
	"h.components.metrics_processor.heap_usage_bytes":           perfNumber,

	"h.components.redis.status":             {turns: true, at: map[string]any{"fresh": "connected", "tuned": "off"}},
	"h.components.redis.engine":             {fixed: "embedded"},
	"h.components.redis.response_time":      {twin: "response_time_ms"},
	"h.components.redis.response_time_ms":   perfNumber,
	"h.components.redis.memory_usage":       {twin: "memory_usage_bytes"},
	"h.components.redis.memory_usage_bytes": perfNumber,
	"h.components.redis.memory_max_bytes":   {varies: true, at: map[string]any{"fresh": float64(1 << 20), "tuned": 0.0}},
	"h.components.redis.entries":            {varies: true, at: map[string]any{"fresh": 0.0, "queried": 1.0, "tuned": 0.0}},
	"h.components.redis.hit_rate":           {begins: true, at: map[string]any{"queried": 0.75}},

	"p.ingestion.rate":                 {twin: "rate_per_second"},
	"p.ingestion.rate_per_second":      perfNumber,
	"p.ingestion.peak_rate":            {twin: "peak_rate_per_second"},
	"p.ingestion.peak_rate_per_second": {counts: true, at: map[string]any{"written": 0.7}},
	"p.ingestion.total_metrics":        {counts: true, at: map[string]any{"fresh": 0.0, "written": 7.0}},
	"p.ingestion.queue_size":           {varies: true, at: map[string]any{"fresh": 0.0, "waiting": 3.0, "written": 0.0}},
	"p.ingestion.queue_max":            {varies: true, at: map[string]any{"tuned": 1000.0}},
	"p.ingestion.series":               {varies: true, at: map[string]any{"fresh": 0.0, "written": 3.0, "expired": 2.0}},
	"p.ingestion.series_refused":       {counts: true, at: map[string]any{"fresh": 0.0, "tuned": 1.0}},

	"p.storage.total_size":        {twin: "total_size_bytes"},
	"p.storage.total_size_bytes":  perfNumber,
	"p.storage.compression_ratio": {begins: true},
	"p.storage.samples_in_chunks": {varies: true, at: map[string]any{"fresh": 0.0, "written": 0.0, "joined": 7.0, "deleted": 5.0}},
	"p.storage.retention_policy":  {turns: true, at: map[string]any{"fresh": "forever", "tuned": "5 days"}},
	"p.storage.retention_days":    {varies: true, at: map[string]any{"fresh": 0.0, "tuned": 5.0}},
	"p.storage.oldest_data": {begins: true, at: map[string]any{"written": "2024-01-10T10:00:00Z", "joined": "2024-01-10T10:00:00Z",
		"expired": "2024-01-19T10:00:00Z"}},
	"p.storage.samples_in_memory": {varies: true, at: map[string]any{"fresh": 0.0, "written": 7.0, "joined": 0.0}},

	"p.queries.avg_response_time":    {begins: true, twin: "avg_response_time_ms"},
	"p.queries.avg_response_time_ms": {begins: true},
	"p.queries.queries_per_minute":   {varies: true, at: map[string]any{"fresh": 0.0, "queried": 4.0}},
	"p.queries.cache_hit_rate":       {begins: true, at: map[string]any{"queried": 0.75}},

	"p.cache.hits":      {counts: true, at: map[string]any{"queried": 3.0}},
	"p.cache.misses":    {counts: true, at: map[string]any{"queried": 1.0}},
	"p.cache.entries":   {varies: true, at: map[string]any{"fresh": 0.0, "queried": 1.0, "tuned": 0.0}},
	"p.cache.bytes":     perfNumber,
	"p.cache.max_bytes": {varies: true, at: map[string]any{"fresh": float64(1 << 20), "tuned": 0.0}},

	"p.live.connections":       {varies: true, at: map[string]any{"fresh": 0.0, "watched": 1.0}},
	"p.live.subscribers":       {varies: true, at: map[string]any{"fresh": 0.0, "written": 2.0, "watched": 3.0}},
	"p.live.queued_bytes":      {varies: true, at: map[string]any{"fresh": 0.0, "queried": 0.0}},
	"p.live.updates_delivered": {counts: true, at: map[string]any{"watched": 0.0, "queried": 3.0}},
	"p.live.updates_dropped":   {counts: true, at: map[string]any{"written": 0.0, "watched": 1.0}},
	"p.live.updates_overrun":   {counts: true, at: map[string]any{"written": 0.0, "watched": 8.0}},

	"p.maintenance.job":                {begins: false, at: map[string]any{"fresh": nil, "joined": nil}},
	"p.maintenance.job.name":           {begins: true, at: map[string]any{"joining": "compact and roll up 2024-01-10"}},
	"p.maintenance.job.series":         {begins: true},
	"p.maintenance.job.since":          {begins: true},
	"p.maintenance.job.seconds":        {begins: true},
	"p.maintenance.partitions.raw":     {varies: true, at: map[string]any{"fresh": 0.0, "joined": 2.0, "expired": 1.0}},
	"p.maintenance.partitions.5m":      {varies: true, at: map[string]any{"fresh": 0.0}},
	"p.maintenance.partitions.1h":      {varies: true, at: map[string]any{"fresh": 0.0}},
	"p.maintenance.pending_deletes":    {varies: true, at: map[string]any{"pending": 1.0, "deleted": 0.0}},
	"p.maintenance.days_joined":        {counts: true},
	"p.maintenance.chunks_in":          {counts: true},
	"p.maintenance.chunks_out":         {counts: true},
	"p.maintenance.bytes_in":           {counts: true},
	"p.maintenance.bytes_out":          {counts: true},
	"p.maintenance.days_rolled":        {counts: true},
	"p.maintenance.points":             {counts: true},
	"p.maintenance.partitions_dropped": {counts: true, at: map[string]any{"fresh": 0.0, "deleted": 0.0}},
	"p.maintenance.series_dropped":     {counts: true, at: map[string]any{"expired": 1.0}},
	"p.maintenance.deletes_finished":   {counts: true, at: map[string]any{"pending": 0.0, "deleted": 1.0}},
}

// stage is both documents at one moment, flattened.
type stage struct {
	name string
	leaf map[string]any
}

// TestEveryFigureChanges loads a server and looks at all that it says of itself.
func TestEveryFigureChanges(t *testing.T) {
	stages := loadStages(t)
	names := map[string]bool{}
	for _, s := range stages {
		for name := range s.leaf {
			// The store and its alias are one and the same.
			if alias, isAlias := strings.CutPrefix(name, "h.components.influxdb."); isAlias {
				if got, want := s.leaf[name], s.leaf["h.components.storage."+alias]; got != want {
					t.Errorf("%s: influxdb.%s is %v, storage's is %v", s.name, alias, got, want)
				}
				continue
			}
			names[name] = true
		}
	}
	for name := range names {
		row, known := figures[name]
		if !known {
			t.Errorf("%s has no row: how must it change under load?", name)
			continue
		}
		row.check(t, name, stages)
	}
	for name := range figures {
		if !names[name] {
			t.Errorf("%s has a row and is never shown", name)
		}
	}
}

func (f figure) check(t *testing.T, name string, stages []stage) {
	t.Helper()
	var values []any
	for _, s := range stages {
		value, there := s.leaf[name]
		if want, given := f.at[s.name]; given && fmt.Sprint(value) != fmt.Sprint(want) {
			t.Errorf("%s is %v when %s, want %v", name, value, s.name, want)
		}
		if f.twin != "" && there && value != nil {
			number := s.leaf[name[:strings.LastIndexByte(name, '.')+1]+f.twin]
			if text := spell(f.twin, number.(float64)); text != value {
				t.Errorf("%s is %v when %s, its twin is %v", name, value, s.name, number)
			}
		}
		if there || f.begins {
			values = append(values, value)
		}
	}
	texts := make([]string, len(values))
	for i := range values {
		texts[i] = fmt.Sprint(values[i])
	}
	distinct := len(slices.Compact(slices.Sorted(slices.Values(texts))))
	switch {
	case f.fixed != nil:
		if distinct != 1 || texts[0] != fmt.Sprint(f.fixed) {
			t.Errorf("%s is %v, and must be %v", name, texts, f.fixed)
		}
	case f.begins:
		if values[0] != nil || distinct < 2 {
			t.Errorf("%s doesn't begin: %v", name, texts)
		}
	case f.counts:
		if !slices.IsSortedFunc(values, compareNumbers) || compareNumbers(values[0], values[len(values)-1]) >= 0 {
			t.Errorf("%s doesn't count: %v", name, texts)
		}
	case f.varies, f.turns:
		if distinct < 2 {
			t.Errorf("%s is constant: %v", name, texts)
		}
		for _, value := range values {
			if number, isNumber := value.(float64); isNumber != f.varies || number < 0 {
				t.Errorf("%s is %v", name, value)
			}
		}
	}
}

func compareNumbers(a, b any) int {
	x, y := a.(float64), b.(float64)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// spell writes a number as its text must be.
func spell(key string, number float64) string {
	switch {
	case strings.HasSuffix(key, "_bytes"):
		return formatBytes(uint64(number))
	case strings.HasSuffix(key, "_ms"):
		return formatShort(time.Duration(number*1000+0.5) * time.Microsecond)
	default:
		return formatRate(number)
	}
}

// watchSlowly begins to watch, twice from within. The function that it returns subscribes to all, when some of it has
// left the ring, and opens a WebSocket; the one that this one returns takes what there is.
func watchSlowly(ts *testServer) (subscribe func() (take func())) {
	var watchers [2]*engine.Watcher
	for i, o := range []engine.WatchOptions{{Format: socketFormat{}}, {MaxSeries: 1}} {
		w, err := ts.db.Watch(o)
		if err != nil {
			ts.t.Fatal(err)
		}
		ts.t.Cleanup(w.Close)
		watchers[i] = w
	}
	return func() (take func()) {
		for _, w := range watchers {
			w.Subscribe(engine.Subscription{})
			w.CatchUp()
		}
		ts.dial("/ws/metrics").ask(`{"action":"subscribe","id":1,"metrics":["none"]}`, `{"type":"subscribed","id":1}`)
		return func() { watchers[0].Take(new(engine.Batched)) }
	}
}

// loadStages writes, reads, flushes, maintains, deletes, expires and tunes, and looks after each step.
func loadStages(t *testing.T) (stages []stage) {
	start := time.Date(2024, 1, 20, 0, 0, 0, 0, time.UTC)
	var elapsed, looks atomic.Int64 // each look at the clock takes 10 to 16 microseconds
	now := func() time.Time {
		step := 10*time.Microsecond + time.Duration(looks.Add(1)%7)*time.Microsecond
		return start.Add(time.Duration(elapsed.Add(int64(step))))
	}
	disk, log := newGate(), holdingLog{message: "maintained a day", held: make(chan struct{}), once: new(sync.Once)}
	ts := startEngine(t, engine.Options{FS: errorfs.Wrap(vfs.Default, disk), Logger: slog.New(log), MinChunkSamples: 1, ResultCacheBytes: 1 << 20, MaxWatchedSamples: 2, Now: now},
		Options{Now: now, Version: "v9.9"})
	look := func(name string) stage {
		t.Helper()
		s := stage{name: name, leaf: map[string]any{}}
		for prefix, path := range map[string]string{"h": "/health", "p": "/system/performance"} {
			leaves(prefix, decodeJSON(t, ts.get(path).body), s.leaf)
		}
		return s
	}
	keep := func(name string) { stages = append(stages, look(name)) }
	write := func(metrics string) {
		t.Helper()
		if answer := ts.do(http.MethodPost, "/metrics", []byte(`{"metrics":[`+metrics+`]}`)); answer.status != http.StatusOK {
			t.Fatalf("%d %s", answer.status, answer.body)
		}
	}
	until := func(name, leaf string, holds func(any) bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; {
			s := look(name)
			if holds(s.leaf[leaf]) {
				keep(name) // both documents from after that
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s stays %v", name, leaf, s.leaf[leaf])
			}
		}
	}
	keep("fresh")
	watched := watchSlowly(ts)
	disk.set(true)
	written := make(chan struct{})
	go func() {
		defer close(written)
		write(`{"name":"a","value":1,"timestamp":"2024-01-10T10:00:00Z"},{"name":"b","value":2,"timestamp":"2024-01-19T10:00:00Z"},{"name":"c","value":2,"timestamp":"2024-01-19T10:00:00Z"}`)
	}()
	until("waiting", "p.ingestion.queue_size", func(v any) bool { return v == 3.0 })
	disk.set(false)
	<-written
	write(`{"name":"b","values":[["2024-01-19T10:01:00Z",3],["2024-01-19T10:02:00Z",4],["2024-01-19T10:03:00Z",4]]},{"name":"c","value":2,"timestamp":"2024-01-19T11:00:00Z"}`)
	keep("written")
	taken := watched()
	keep("watched")
	taken()
	for range 4 {
		ts.getJSON("/metrics/query?metric=b&from=2024-01-19&to=2024-01-20&aggregation=avg")
	}
	keep("queried")
	if err := ts.db.Flush(); err != nil {
		t.Fatal(err)
	}
	keep("flushed")
	ts.do(http.MethodPost, "/admin/compact?wait=false", nil)
	until("joining", "p.maintenance.job.series", func(v any) bool { return v == 1.0 })
	close(log.held)
	ts.postJSON("/admin/compact")
	keep("joined")
	ts.do(http.MethodDelete, "/metrics?metric=b&from=2024-01-19T10:01:00Z&to=2024-01-19T10:03:00Z", nil)
	keep("pending")
	ts.postJSON("/admin/compact")
	keep("deleted")
	if err := ts.db.Reconfigure(engine.Tuning{MaxWaitingSamples: 1000, MaxSeries: 3, MinFreeBytes: -1}); err != nil {
		t.Fatal(err)
	}
	ts.do(http.MethodPost, "/metrics", []byte(`{"metrics":[{"name":"d","value":1}]}`))
	if err := ts.db.SetRetention(engine.RetentionPolicy{Default: engine.Retention{Raw: 5 * 24 * time.Hour}}); err != nil {
		t.Fatal(err)
	}
	keep("tuned")
	elapsed.Add(int64(2*time.Hour + 10*time.Minute))
	ts.postJSON("/admin/compact")
	ts.postJSON("/admin/compact")
	keep("expired")
	if err := ts.db.Close(); err != nil {
		t.Fatal(err)
	}
	health := stage{name: "closed", leaf: map[string]any{}}
	var document any
	if err := json.Unmarshal(ts.get("/health").body, &document); err != nil {
		t.Fatal(err)
	}
	leaves("h", document, health.leaf)
	return append(stages, health)
}
