package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/flopynet/collector/engine"
)

// The events' component and types.
const (
	Component    = "collector"
	TypeRaised   = "ALERT_RAISED"
	TypeResolved = "ALERT_RESOLVED"
)

const (
	// calm is the share of a threshold that a figure must come down to before its alert is over, so that one
	// that hovers about the threshold raises one alert and not hundreds.
	calm = 0.9

	// calmTime is how long it must stay there, so that one that jumps up and down, as a queue does with each large
	// batch, doesn't raise an alert each time either.
	calmTime = time.Minute

	// maxPending bounds the events that wait to be stored, such as while the disk is full.
	maxPending = 100

	defaultInterval = time.Second
	storeTimeout    = 10 * time.Second
)

// Figure is what is watched at one moment.
type Figure struct {
	Name      string // as its setting is called, such as queue_size
	Unit      string // as it is read behind the value
	Value     float64
	Threshold *float64 // nil: none
}

// Options configures a Watcher.
type Options struct {
	Interval time.Duration // between two looks; 0: 1 s
	Now      func() time.Time
	Logger   *slog.Logger

	// Figures returns what is to be watched, always under the same names. Without a threshold, or when it is
	// gone, an alert that was raised is resolved.
	Figures func() []Figure

	// Store makes events durable.
	Store func(ctx context.Context, events []engine.Event) error

	// Load returns what Keep was given last, in this process or an earlier one; nil if that is nothing. So an alert
	// that a restart lies in is raised once, and resolved.
	Load func() ([]byte, error)

	// Keep makes the alerts that aren't over durable, as JSON; nil: there are none.
	Keep func(text []byte) error
}

// Watcher looks at figures until Close.
type Watcher struct {
	options Options

	// Of the watching goroutine alone.
	raised  map[string]raised
	pending []engine.Event
	unkept  bool // raised was changed since Keep had it
	failing bool // the last attempt to store

	cancel context.CancelFunc
	done   chan struct{}
}

// raised is an alert that isn't over.
type raised struct {
	At   time.Time `json:"at"`
	Peak float64   `json:"peak"` // kept as it was when some alert was raised or resolved

	calmSince time.Time // zero: it isn't calm
}

// Start begins to watch. Close the result before what it writes to.
func Start(options Options) *Watcher {
	if options.Interval == 0 {
		options.Interval = defaultInterval
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := newWatcher(options)
	w.cancel = cancel
	go w.run(ctx)
	return w
}

func newWatcher(options Options) *Watcher {
	return &Watcher{options: options, raised: make(map[string]raised), done: make(chan struct{})}
}

// Close stops watching.
func (w *Watcher) Close() {
	w.cancel()
	<-w.done
}

func (w *Watcher) run(ctx context.Context) {
	defer close(w.done)
	w.load()
	ticker := time.NewTicker(w.options.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look(ctx)
		}
	}
}

// load takes up the alerts that weren't over when the collector stopped.
func (w *Watcher) load() {
	text, err := w.options.Load()
	if err == nil && text != nil {
		err = json.Unmarshal(text, &w.raised)
	}
	if err != nil {
		w.options.Logger.Warn("the alerts that weren't over can't be read; those that last are raised again", "error", err)
	}
	if err != nil || w.raised == nil {
		w.raised = make(map[string]raised)
	}
}

// look compares each figure with its threshold and stores the events that come of it.
func (w *Watcher) look(ctx context.Context) {
	now := w.options.Now()
	for _, f := range w.options.Figures() {
		alert, isRaised := w.raised[f.Name]
		switch {
		case !isRaised && f.Threshold != nil && f.Value > *f.Threshold:
			w.raised[f.Name] = raised{At: now, Peak: f.Value}
			w.add(now, f, TypeRaised, "warning", map[string]any{"value": f.Value, "threshold": *f.Threshold},
				fmt.Sprintf("%s is %s %s, above its threshold of %s", f.Name, number(f.Value), f.Unit, number(*f.Threshold)))
		case isRaised && f.Threshold == nil:
			w.resolve(now, f, alert, map[string]any{"threshold": nil}, f.Name+" has no threshold any more")
		case isRaised && f.Value > calm**f.Threshold:
			alert.Peak, alert.calmSince = max(alert.Peak, f.Value), time.Time{}
			w.raised[f.Name] = alert
		case isRaised && alert.calmSince.IsZero():
			alert.calmSince = now
			w.raised[f.Name] = alert
		case isRaised && now.Sub(alert.calmSince) >= calmTime:
			w.resolve(now, f, alert, map[string]any{"threshold": *f.Threshold},
				fmt.Sprintf("%s is back at %s %s, below its threshold of %s", f.Name, number(f.Value), f.Unit, number(*f.Threshold)))
		}
	}
	w.store(ctx)
}

func (w *Watcher) resolve(now time.Time, f Figure, alert raised, details map[string]any, message string) {
	delete(w.raised, f.Name)
	details["value"], details["peak"] = f.Value, alert.Peak
	details["seconds"] = now.Sub(alert.At).Seconds()
	w.add(now, f, TypeResolved, "info", details, message)
}

// add puts an event among those to be stored. Its id keeps it from being stored twice after an error that
// left it in doubt.
func (w *Watcher) add(now time.Time, f Figure, kind, level string, details map[string]any, message string) {
	details["alert"] = f.Name
	text, err := json.Marshal(details)
	if err != nil {
		panic(err) // names and finite numbers
	}
	if len(w.pending) == maxPending {
		w.options.Logger.Warn("an event about an alert is lost, since none can be stored", "message", w.pending[0].Message)
		w.pending = w.pending[1:]
	}
	w.unkept = true
	w.options.Logger.Warn("alert", "event", kind, "message", message)
	w.pending = append(w.pending, engine.Event{
		ID:   fmt.Sprintf("alert-%s-%s-%d", f.Name, kind, now.UnixNano()),
		Time: now.UnixNano(), Component: Component, Type: kind, Level: level, Message: message, Details: text,
	})
}

// store writes what waits; what fails is tried again at the next look. The events come first: a crash in between may
// have one of them told again, but none is missing.
func (w *Watcher) store(ctx context.Context) {
	if len(w.pending) == 0 && !w.unkept {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := w.storeEvents(ctx)
	if err == nil {
		err = w.keep()
	}
	if err != nil && !w.failing && ctx.Err() == nil {
		w.options.Logger.Warn("events about alerts can't be stored yet", "error", err)
	}
	w.failing = err != nil
}

func (w *Watcher) storeEvents(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	if err := w.options.Store(ctx, w.pending); err != nil {
		return err
	}
	w.pending = nil
	return nil
}

// keep makes durable which alerts aren't over.
func (w *Watcher) keep() error {
	var text []byte
	if len(w.raised) > 0 {
		var err error
		if text, err = json.Marshal(w.raised); err != nil {
			panic(err) // times and finite numbers
		}
	}
	if err := w.options.Keep(text); err != nil {
		return err
	}
	w.unkept = false
	return nil
}

// number spells a figure without an exponent.
func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
