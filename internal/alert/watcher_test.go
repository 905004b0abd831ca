package alert

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flopynet/collector/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Watcher that is told when to look.
type bench struct {
	watcher *Watcher
	now     time.Time
	figures []Figure
	stored  []engine.Event
	fail    error
	kept    []byte
}

func newBench() *bench {
	b := &bench{now: time.Unix(1000, 0)}
	b.restart()
	return b
}

// restart begins with another Watcher.
func (b *bench) restart() {
	b.watcher = newWatcher(Options{
		Now: func() time.Time { return b.now }, Logger: slog.New(slog.DiscardHandler),
		Figures: func() []Figure { return b.figures },
		Store: func(_ context.Context, events []engine.Event) error {
			if b.fail == nil {
				b.stored = append(b.stored, events...)
			}
			return b.fail
		},
		Load: func() ([]byte, error) { return b.kept, b.fail },
		Keep: func(text []byte) error {
			if b.fail == nil {
				b.kept = text
			}
			return b.fail
		},
	})
	b.watcher.load()
}

// look looks at one figure a second later and returns the types of what was stored.
func (b *bench) look(value float64, threshold *float64) (types []string) {
	b.now = b.now.Add(time.Second)
	b.stored = nil
	b.figures = []Figure{{Name: "queue_size", Unit: "samples", Value: value, Threshold: threshold}}
	b.watcher.look(context.Background())
	for _, event := range b.stored {
		types = append(types, event.Type)
	}
	return types
}

// calmly is a value that has stayed low for long enough.
const calmly = 17.0

// TestOncePerCrossing goes up and down about a threshold.
func TestOncePerCrossing(t *testing.T) {
	b := newBench()
	for i, step := range []struct {
		value     float64
		threshold *float64
		want      []string
	}{
		{1000, nil, nil},
		{100, new(100.0), nil}, // at it isn't above it
		{101, new(100.0), []string{TypeRaised}},
		{250, new(100.0), nil},
		{95, new(100.0), nil}, // not calm yet
		{101, new(100.0), nil},
		{90, new(100.0), nil},
		{91, new(100.0), nil}, // not for long enough
		{90, new(100.0), nil},
		{calmly, new(100.0), []string{TypeResolved}},
		{95, new(100.0), nil},
		{101, new(100.0), []string{TypeRaised}},
		{101, new(200.0), nil}, // a higher threshold
		{calmly, new(200.0), []string{TypeResolved}},
		{101, new(50.0), []string{TypeRaised}},
		{101, nil, []string{TypeResolved}},
		{101, nil, nil},
	} {
		if step.value == calmly {
			b.now = b.now.Add(calmTime - time.Second)
		}
		if diff := cmp.Diff(step.want, b.look(step.value, step.threshold)); diff != "" {
			t.Errorf("step %d, %v of %v: -want +got:\n%s", i, step.value, step.threshold, diff)
		}
	}
}

func TestWhatEventsSay(t *testing.T) {
	b := newBench()
	b.look(150, new(100.0))
	raised := b.stored[0]
	b.look(170, new(100.0))
	b.look(20.5, new(100.0))
	b.now = b.now.Add(calmTime - time.Second)
	b.look(20.5, new(100.0))
	resolved := b.stored[0]
	for _, c := range []struct {
		event   engine.Event
		want    engine.Event
		details map[string]any
	}{
		{raised, engine.Event{ID: "alert-queue_size-ALERT_RAISED-1001000000000", Time: 1001e9, Component: "collector", Type: TypeRaised, Level: "warning",
			Message: "queue_size is 150 samples, above its threshold of 100"}, map[string]any{"alert": "queue_size", "value": 150.0, "threshold": 100.0}},
		{resolved, engine.Event{ID: "alert-queue_size-ALERT_RESOLVED-1063000000000", Time: 1063e9, Component: "collector", Type: TypeResolved, Level: "info",
			Message: "queue_size is back at 20.5 samples, below its threshold of 100"},
			map[string]any{"alert": "queue_size", "value": 20.5, "threshold": 100.0, "peak": 170.0, "seconds": 62.0}},
	} {
		var details map[string]any
		if err := json.Unmarshal(c.event.Details, &details); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.details, details); diff != "" {
			t.Errorf("details, -want +got:\n%s", diff)
		}
		c.event.Details = nil
		if diff := cmp.Diff(c.want, c.event); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// TestEventsWait: what can't be stored is stored later, once and in its order, and is bounded.
func TestEventsWait(t *testing.T) {
	b := newBench()
	b.fail = errors.New("the disk is full")
	b.look(150, new(100.0))
	b.look(0, nil)
	b.fail = nil
	if diff := cmp.Diff([]string{TypeRaised, TypeResolved}, b.look(0, new(100.0))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := b.look(0, new(100.0)); got != nil {
		t.Errorf("stored again: %v", got)
	}
	b.fail = errors.New("the disk is full")
	for range maxPending {
		b.look(150, new(100.0))
		b.look(0, nil)
	}
	b.fail = nil
	if got := b.look(0, new(100.0)); len(got) != maxPending || got[len(got)-1] != TypeResolved {
		t.Errorf("%d events, the last %s", len(got), got[len(got)-1])
	}
}

// TestJumpingIsOneAlert: a queue that each large batch fills for a moment is one alert, not one for each batch.
func TestJumpingIsOneAlert(t *testing.T) {
	b := newBench()
	var got []string
	for range 100 {
		got = append(got, b.look(10_000, new(8000.0))...)
		got = append(got, b.look(0, new(8000.0))...)
	}
	if diff := cmp.Diff([]string{TypeRaised}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestRestartWhileRaised: an alert that lasts isn't raised again, and one that ended meanwhile is resolved.
func TestRestartWhileRaised(t *testing.T) {
	b := newBench()
	b.look(150, new(100.0))
	b.restart()
	if got := b.look(160, new(100.0)); got != nil {
		t.Errorf("after a restart: %v", got)
	}
	b.restart()
	b.look(0, new(100.0))
	b.now = b.now.Add(calmTime)
	if diff := cmp.Diff([]string{TypeResolved}, b.look(0, new(100.0))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if b.restart(); b.kept != nil || len(b.watcher.raised) != 0 {
		t.Errorf("kept when all is over: %s", b.kept)
	}
	b.look(150, new(100.0))
	b.kept = []byte("{") // it is read as none
	if b.restart(); b.look(150, new(100.0)) == nil {
		t.Error("an alert that lasts isn't raised again, though nothing is known of it")
	}
}

// TestInTheStore runs a Watcher against a store.
func TestInTheStore(t *testing.T) {
	db, err := engine.Open(t.TempDir(), engine.Options{MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	stored := make(chan struct{}, 1)
	w := Start(Options{
		Interval: time.Millisecond, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Figures: func() []Figure {
			return []Figure{{Name: "ingestion_rate", Unit: "samples/s", Value: 7, Threshold: new(5.0)}}
		},
		Load: func() ([]byte, error) { return nil, nil }, Keep: func([]byte) error { return nil },
		Store: func(ctx context.Context, events []engine.Event) error {
			err := db.WriteEvents(ctx, events)
			if err == nil {
				stored <- struct{}{}
			}
			return err
		},
	})
	select {
	case <-stored:
	case <-time.After(30 * time.Second):
		t.Error("nothing was stored")
	}
	w.Close()
	result, err := db.Events(context.Background(), engine.EventQuery{To: time.Now().Add(time.Hour).UnixNano(), Limit: 10})
	if err != nil || len(result.Events) != 1 || result.Events[0].Type != TypeRaised {
		t.Errorf("stored: %+v, %v", result, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
