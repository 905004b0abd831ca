package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// start is where the clock of a test begins: a full hour.
const start = int64(1_800_000_000e9)

const (
	second = int64(time.Second)
	minute = int64(time.Minute)
)

// rig is a manager without its loop, on a store that can crash, with a clock and chance in the test's hand.
type rig struct {
	t       *testing.T
	fs      *vfs.MemFS
	db      *engine.DB
	m       *Manager
	options Options
	clock   atomic.Int64
	log     syncBuffer
}

func newRig(t *testing.T, allowed ...string) *rig {
	t.Helper()
	guard, err := NewGuard(allowed)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, fs: vfs.NewCrashableMem()}
	r.clock.Store(start)
	r.options = Options{
		Guard: guard, Now: func() time.Time { return time.Unix(0, r.clock.Load()) },
		Random: func() float64 { return 0.5 },
		Deadline: func(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
			return context.WithCancel(ctx)
		},
		Logger: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.db, err = engine.Open("data", engine.Options{FS: r.fs, MinFreeBytes: -1, MaintainInterval: -1})
	if err != nil {
		r.t.Fatal(err)
	}
	if r.m, err = load(r.db, r.options); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) close() {
	r.m.Close()
	if err := r.db.Close(); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

// crash goes on with what is on the disk and no more than that.
func (r *rig) crash() {
	r.t.Helper()
	after := r.fs.CrashClone(vfs.CrashCloneCfg{})
	r.close()
	r.fs = after
	r.open()
}

// put stores a sample of a metric on a host of experiment exp_001.
func (r *rig) put(metric, host string, at int64, value float64) {
	r.t.Helper()
	id, err := r.db.Resolve(metric, model.Normalize(model.Tags{
		{Key: model.SourceKey, Value: "s"}, {Key: "host", Value: host}, {Key: "experiment_id", Value: "exp_001"}}))
	if err != nil {
		r.t.Fatal(err)
	}
	var batch engine.Batch
	batch.Add(id, at, value)
	if err := r.db.Write(&batch); err != nil {
		r.t.Fatal(err)
	}
}

// submit is Submit by an admin, which must succeed.
func (r *rig) submit(d Definition) *Answer {
	r.t.Helper()
	answer, err := r.m.Submit(r.t.Context(), d, true)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// settle does all that is due, and what becomes due by that.
func (r *rig) settle() {
	r.t.Helper()
	for range 10_000 {
		r.m.dispatch()
		r.m.work.Wait()
		if r.m.dispatch() > r.clock.Load() && r.idle() {
			return
		}
		r.m.work.Wait()
	}
	r.t.Fatal("it does not settle")
}

func (r *rig) idle() bool {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	return r.m.running == 0 && r.m.sending == 0
}

// advance moves the clock.
func (r *rig) advance(by time.Duration) { r.clock.Add(int64(by)) }

func (r *rig) runs(name string) []RunView {
	r.t.Helper()
	runs, err := r.m.Runs(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return runs
}

// rowsOf decodes the rows of an answer.
func rowsOf(t testing.TB, table *Table) []map[string]any {
	t.Helper()
	var rows []map[string]any
	if err := json.Unmarshal(table.AppendJSON(nil), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// The steps of definitions.
func filter(matchers ...*model.Matcher) Step { return Step{Filter: &Filter{Matchers: matchers}} }

func aggregate(window time.Duration, functions ...string) Step {
	return Step{Aggregate: &Aggregate{Window: window, Functions: functions}}
}

func formulaStep(formula, as string) Step {
	return Step{Transform: &Transform{Formula: formula, As: as}}
}

func byExperiment() Step { return filter(model.EqualMatcher("experiment_id", "exp_001")) }

// summary is a scheduled pipeline that sends the average of cpu to a webhook.
func summary(url string) Definition {
	return Definition{Name: "summary", Schedule: time.Minute, Output: Output{Destination: ToWebhook, URL: url, Secret: "hush-hush"},
		Steps: []Step{byExperiment(), aggregate(time.Minute, "avg"), formulaStep("avg_cpu", "")}}
}

// received is a request that a receiver got.
type received struct {
	id, timestamp, signature string
	raw                      []byte
	body                     struct {
		Pipeline string           `json:"pipeline"`
		RunID    string           `json:"run_id"`
		From     time.Time        `json:"from"`
		To       time.Time        `json:"to"`
		Rows     []map[string]any `json:"rows"`
	}
}

// receiver is a webhook on a socket of its own.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(n int, w http.ResponseWriter, r *http.Request) // of request n, from 0; nil: 200
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		raw, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		one := received{id: request.Header.Get(headerDelivery), timestamp: request.Header.Get(headerTimestamp),
			signature: request.Header.Get(headerSignature), raw: raw}
		if err := json.Unmarshal(raw, &one.body); err != nil {
			t.Errorf("%v in %s", err, raw)
		}
		r.mu.Lock()
		n := len(r.got)
		r.got = append(r.got, one)
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(n, w, request)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// checkWindows fails the test unless the deliveries, those of one id counting once, hold each of the windows
// of a minute from first on exactly once, with the value that is its number.
func (r *receiver) checkWindows(t *testing.T, first int64, count int) {
	t.Helper()
	seen, windows := map[string][]byte{}, map[string]float64{}
	for _, one := range r.all() {
		if earlier, known := seen[one.id]; known {
			if !bytes.Equal(earlier, one.raw) {
				t.Errorf("%s was sent with two bodies: %s and %s", one.id, earlier, one.raw)
			}
			continue
		}
		seen[one.id] = one.raw
		for _, row := range one.body.Rows {
			at := row["timestamp"].(string)
			if _, twice := windows[at]; twice {
				t.Errorf("the window %s came twice, with different ids", at)
			}
			windows[at] = row["value"].(float64)
		}
	}
	for i := range count {
		at := time.Unix(0, first+int64(i)*minute).UTC().Format(time.RFC3339)
		value, found := windows[at]
		if !found || value != float64(i) {
			t.Errorf("window %d at %s: %v, %v", i, at, value, found)
		}
	}
	if len(windows) != count {
		t.Errorf("%d windows, want %d", len(windows), count)
	}
}

// syncBuffer is a log for many goroutines.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
