package pipeline

import (
	"context"
	"crypto/rand"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/flopynet/collector/engine"
)

// Options adjusts a Manager. The zero value of every field means its default.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged
	Guard  *Guard       // decides where webhooks may go; nil: to public addresses
	Agent  string       // User-Agent of webhooks; "": collector

	// RunTimeout bounds a run's reading. 0: 30 s.
	RunTimeout time.Duration

	// MaxPipelines bounds the pipelines that are kept, those that ran once included. 0: 1,000.
	MaxPipelines int

	// MaxPending and MaxPendingBytes bound the deliveries that wait. 0: 10,000 and 64 MiB.
	MaxPending      int
	MaxPendingBytes int64

	// Stored is told when samples became durable, and how many; nil: nobody.
	Stored func(at time.Time, samples int)

	// The clock and chance, which tests put in their hands.
	Now      func() time.Time                                                           // nil: time.Now
	After    func(time.Duration) <-chan time.Time                                       // nil: time.After
	Deadline func(context.Context, time.Duration) (context.Context, context.CancelFunc) // of a run or an attempt at a delivery; nil: context.WithTimeout
	Random   func() float64                                                             // in [0, 1); nil: math/rand
}

const (
	maxUnscheduled = 200 // kept of those that ran once
	maxRuns        = 50  // kept of each pipeline
	maxRunning     = 4   // scheduled runs at one time
	maxSending     = 16  // deliveries under way at one time

	// Lateness is how long after a time of its schedule a run begins, and so how late a sample may come and
	// still count.
	Lateness = 5 * time.Second

	// maxWait is how long the loop sleeps at most: a clock that is set forward is noticed after that.
	maxWait = 15 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Guard == nil {
		o.Guard = &Guard{}
	}
	if o.Agent == "" {
		o.Agent = "collector"
	}
	if o.RunTimeout == 0 {
		o.RunTimeout = 30 * time.Second
	}
	if o.MaxPipelines == 0 {
		o.MaxPipelines = 1000
	}
	if o.MaxPending == 0 {
		o.MaxPending = 10_000
	}
	if o.MaxPendingBytes == 0 {
		o.MaxPendingBytes = 64 << 20
	}
	if o.Stored == nil {
		o.Stored = func(time.Time, int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Deadline == nil {
		o.Deadline = context.WithTimeout
	}
	if o.Random == nil {
		o.Random = mathrand.Float64
	}
	return o
}

// Manager keeps pipelines in the engine's small state, runs them, and delivers what they send. All methods may
// be called from any goroutine.
type Manager struct {
	db        *engine.DB
	opts      Options
	transport *http.Transport

	mu           sync.Mutex
	pipelines    map[string]*entry
	running      int
	sending      int
	pending      int
	pendingBytes int64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wake   chan struct{}
	loop   sync.WaitGroup
	work   sync.WaitGroup // runs and deliveries under way
}

// Open loads the pipelines, and goes on with their schedules and deliveries. Close it before the engine.
func Open(db *engine.DB, options Options) (*Manager, error) {
	m, err := load(db, options)
	if err != nil {
		return nil, err
	}
	m.loop.Go(m.run)
	return m, nil
}

// load is Open without anything being done yet.
func load(db *engine.DB, options Options) (*Manager, error) {
	m := &Manager{db: db, opts: options.withDefaults(), pipelines: make(map[string]*entry), wake: make(chan struct{}, 1)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.transport = m.newTransport()
	if err := m.loadState(); err != nil {
		m.cancel()
		return nil, err
	}
	return m, nil
}

// Close stops the schedules and the deliveries and waits for what is under way, which is cut short. What has
// not been done is done after the next Open.
func (m *Manager) Close() {
	m.cancel()
	m.loop.Wait()
	m.work.Wait()
}

// run does what is due, until Close.
func (m *Manager) run() {
	for {
		next := m.dispatch()
		wait := min(maxWait, max(0, time.Duration(next-m.now())))
		select {
		case <-m.ctx.Done():
			return
		case <-m.wake:
		case <-m.opts.After(wait):
		}
	}
}

// never is a time that does not come.
const never = math.MaxInt64

// dispatch begins the runs and deliveries that are due and find a place, and returns when the next one is.
// Whatever ends wakes the loop.
func (m *Manager) dispatch() (next int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next = never
	if m.ctx.Err() != nil {
		return next
	}
	now := m.now()
	for _, e := range m.pipelines {
		if due := e.due(now); due > now {
			next = min(next, due)
		} else if m.running < maxRunning {
			m.running++
			e.busy = true
			m.work.Go(func() { m.scheduled(e) })
		}
		d, due := e.nextDelivery(now)
		if d == nil {
			next = min(next, due)
		} else if m.sending < maxSending {
			m.sending++
			e.sending = true
			m.work.Go(func() { m.deliver(e, d) })
		}
	}
	return next
}

// wakeUp lets the loop look for work.
func (m *Manager) wakeUp() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// now is the clock in nanoseconds since the epoch.
func (m *Manager) now() int64 { return m.opts.Now().UnixNano() }

// newID returns an id that nothing else has.
func newID(prefix string) string { return prefix + rand.Text() }
