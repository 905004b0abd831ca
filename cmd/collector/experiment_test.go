package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// worldClock is the clock of a testbed. It goes as the real one does, but that it can be stopped for a while, and that it
// stops by itself when nobody has looked for so long that the testbed's components would begin to forget what nobody has
// read: what a busy machine does to the collector must not look as if the collector had lost something.
type worldClock struct {
	mu      sync.Mutex
	behind  time.Duration // the real clock
	stopped bool
	at      time.Time     // when it was stopped, or was asked last
	limit   time.Time     // not before somebody looks
	reach   time.Duration // how far it goes on without
}

func newWorldClock(reach time.Duration) *worldClock {
	now := time.Now()
	return &worldClock{at: now, limit: now.Add(reach), reach: reach}
}

func (c *worldClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

// read is now for who holds mu.
func (c *worldClock) read() time.Time {
	now := time.Now()
	switch at := now.Add(-c.behind); {
	case c.stopped:
	case at.After(c.limit):
		c.at, c.behind = c.limit, now.Sub(c.limit)
	default:
		c.at = at
	}
	return c.at
}

func (c *worldClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read()
	c.stopped = true
}

func (c *worldClock) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		c.stopped, c.behind = false, time.Since(c.at)
	}
}

// looked says that somebody has looked.
func (c *worldClock) looked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = c.read().Add(c.reach)
}

// watch has the clock know when the policy engine, which forgets first, is asked for its events. It stops with the test.
func (c *worldClock) watch(t *testing.T, bed *testbed.Testbed) {
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for seen := 0; ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if now := bed.Policy.Requests("/events"); now != seen {
				seen = now
				c.looked()
			}
		}
	}()
}

// experiment is a testbed in this process, and a collector that polls it as a process of its own.
type experiment struct {
	*process
	bed       *testbed.Testbed
	clock     *worldClock
	began     time.Time
	address   string // of the collector, which keeps it when it is started again
	directory string
	arguments []string
}

// Settings of the collector in an experiment.
const (
	pollEvery   = 100 * time.Millisecond
	pollTimeout = 500 * time.Millisecond
)

// startExperiment starts a testbed, whose clients push to the collector, and the collector.
func startExperiment(t *testing.T, options testbed.Options, arguments ...string) *experiment {
	t.Helper()
	// The policy engine remembers 400 events at least, and a round has some two dozens.
	e := &experiment{clock: newWorldClock(10 * options.RoundEvery), began: time.Now(), address: freeAddress(t), directory: t.TempDir()}
	if options.Now == nil {
		options.Now = e.clock.now
	}
	options.CollectorURL = "http://" + e.address
	bed, err := testbed.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	e.bed = bed
	e.clock.watch(t, bed)
	e.arguments = append([]string{"serve", "--listen=" + e.address, "--data-dir=" + e.directory, "--self-metrics=false",
		"--storage-min-free-bytes=0", // the disk of whoever runs the tests is not what they are about
		"--flopynet-events-interval=" + pollEvery.String()}, pollFlags(bed)...)
	for _, component := range []string{"fl-server", "policy-engine", "sdn-controller"} {
		e.arguments = append(e.arguments, fmt.Sprintf("--flopynet-%s-interval=%v", component, pollEvery), fmt.Sprintf("--flopynet-%s-timeout=%v", component, pollTimeout))
	}
	e.arguments = append(e.arguments, arguments...)
	e.startCollector(t)
	return e
}

// startCollector starts the collector on its data directory and its address.
func (e *experiment) startCollector(t *testing.T) {
	t.Helper()
	e.process = startCommand(t, command(t, nil, e.arguments...))
}

// freeAddress returns an address of this machine at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// component is what can fail.
type component interface {
	Fail(testbed.Failure) error
	Heal() error
	Restart() error
	Requests(path string) int
}

// components are those of the testbed, by the names that the collector has for them.
func (e *experiment) components() map[string]component {
	return map[string]component{flopynet.FLServer: e.bed.FL, flopynet.PolicyEngine: e.bed.Policy, flopynet.SDNController: e.bed.SDN}
}

// await waits until something holds; what says what that is.
func (e *experiment) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for this, in vain: %s; the collector's log:\n%s", what, tail(e.stderr.String()))
		}
	}
}

// tail is the end of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// awaitRounds waits until so many more rounds have ended, or the training is over.
func (e *experiment) awaitRounds(t *testing.T, more int) {
	t.Helper()
	until := len(e.bed.Rounds()) + more
	e.await(t, fmt.Sprintf("%d rounds", until), func() bool { return len(e.bed.Rounds()) >= until || e.bed.Complete() })
}

// awaitHealth waits until /health says that a component is in a state, and returns what it says.
func (e *experiment) awaitHealth(t *testing.T, name, status string) serviceHealth {
	t.Helper()
	var last serviceHealth
	e.await(t, name+" "+status+" in /health", func() bool {
		last = e.health(t)[name]
		return last.Status == status
	})
	return last
}

// serviceHealth is what /health says of a component.
type serviceHealth struct {
	Status    string     `json:"status"`
	Since     *time.Time `json:"since"`
	LastCheck *time.Time `json:"last_check"`
	Failures  int        `json:"failures"`
	Error     *string    `json:"error"`
}

func (e *experiment) health(t *testing.T) map[string]serviceHealth {
	t.Helper()
	var answer struct {
		Services map[string]serviceHealth `json:"services"`
	}
	get(t, e.url+"/health", &answer)
	return answer.Services
}

// sample is one of a series; the time is in nanoseconds since the epoch.
type sample struct {
	time  int64
	value float64
}

// samples reads all raw samples of a metric, page by page.
func (e *experiment) samples(t *testing.T, metric, source string, from, to time.Time) []sample {
	t.Helper()
	query := url.Values{
		"metric": {metric}, "source": {source}, "epoch": {"ns"}, "limit": {"1000"},
		"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)},
	}
	var all []sample
	for {
		var page rows
		get(t, e.url+"/metrics/query?"+query.Encode(), &page)
		for _, point := range page.DataPoints {
			all = append(all, sample{point.Timestamp, point.Value})
		}
		if page.NextCursor == nil {
			return all
		}
		query.Set("cursor", *page.NextCursor)
	}
}

// ofExperiment is a range of time that holds all that has happened.
func (e *experiment) ofExperiment() (from, to time.Time) {
	return e.began.Add(-time.Hour), time.Now().Add(time.Hour)
}

// storedEvent is an event as GET /events tells it.
type storedEvent struct {
	ID        string `json:"event_id"`
	Timestamp int64  `json:"timestamp"` // ns
	Component string `json:"component"`
	Type      string `json:"event_type"`
	Details   map[string]any
}

// events reads all events of a component, the oldest first, page by page.
func (e *experiment) events(t *testing.T, component string) []storedEvent {
	t.Helper()
	from, to := e.ofExperiment()
	query := url.Values{
		"component": {component}, "epoch": {"ns"}, "limit": {"300"}, "order": {"oldest"},
		"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)},
	}
	var all []storedEvent
	for {
		var page struct {
			Events     []storedEvent `json:"events"`
			NextCursor *string       `json:"next_cursor"`
		}
		get(t, e.url+"/events?"+query.Encode(), &page)
		all = append(all, page.Events...)
		if page.NextCursor == nil {
			return all
		}
		query.Set("cursor", *page.NextCursor)
	}
}

// settle stops the world, and waits until the collector knows all there is to be known. It returns what has happened by then.
func (e *experiment) settle(t *testing.T, lost map[string]bool) truth {
	t.Helper()
	e.clock.stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := e.bed.Push(ctx); err != nil {
		t.Fatal(err)
	}
	now := truthOf(e.bed, lost)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		missing := e.behind(t, now)
		if missing == "" {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v the collector still lacks %s; its log:\n%s", patience, missing, tail(e.stderr.String()))
		}
	}
}
