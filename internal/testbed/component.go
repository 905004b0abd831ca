package testbed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// component is an HTTP server that can fail.
type component struct {
	bed     *Testbed
	name    string
	handler http.Handler

	mu       sync.Mutex
	address  string // where it listens, once it has
	server   *http.Server
	served   chan struct{} // closed when server.Serve has returned
	closed   bool
	requests map[string]int // by path
	handling sync.WaitGroup

	failure *Failure // nil: it is well
	since   time.Time
	until   time.Time     // zero: until it is healed
	healed  chan struct{} // closed when failure ends
	turn    int           // answers under this failure
	stuck   bool          // it couldn't listen again, and has said so
}

// URL is where the component is, also while it is down.
func (c *component) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return "http://" + c.address
}

// Requests tells how many requests came for a path, or, if it is empty, in all; those that failed included.
func (c *component) Requests(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if path != "" {
		return c.requests[path]
	}
	total := 0
	for _, n := range c.requests {
		total += n
	}
	return total
}

// Fail has the component fail from now on, instead of how it failed before. The error says what is wrong with
// the failure.
func (c *component) Fail(f Failure) error {
	if err := f.complete(); err != nil {
		return err
	}
	now := c.bed.options.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.heal(); err != nil {
		return err
	}
	c.failure, c.since, c.until, c.turn, c.healed = &f, now, time.Time{}, 0, make(chan struct{})
	if f.For > 0 {
		c.until = now.Add(f.For)
	}
	if f.Mode == Down {
		c.stop()
	}
	return nil
}

// Heal ends the failure, if there is one: a component that was down listens at its address again. Connections
// that hang are cut. The error says that it can't listen.
func (c *component) Heal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heal()
}

// heal is Heal for who holds mu.
func (c *component) heal() error {
	if c.server == nil {
		if err := c.listen(); err != nil {
			return err
		}
	}
	if c.failure != nil {
		close(c.healed)
		c.failure = nil
	}
	c.stuck = false
	return nil
}

// healIfDue heals the component when its time has come.
func (c *component) healIfDue(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.failure == nil || c.until.IsZero() || now.Before(c.until) {
		return
	}
	if err := c.heal(); err != nil {
		if !c.stuck {
			c.bed.options.Logger.Warn("can't listen again; trying on", slog.String("component", c.name), slog.Any("error", err))
		}
		c.stuck = true
	}
}

// restart cuts all connections, as the end of a process does.
func (c *component) restart() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return nil // it is down: it comes back when it is healed
	}
	c.stop()
	return c.listen()
}

// listen starts the server at its address. The caller holds mu.
func (c *component) listen() error {
	if c.closed {
		return errors.New("the testbed is closed")
	}
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	c.address = listener.Addr().String()
	server := &http.Server{
		Handler: c, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		BaseContext: func(net.Listener) context.Context { return context.Background() },
	}
	served := make(chan struct{})
	c.server, c.served = server, served
	go func() {
		defer close(served)
		_ = server.Serve(listener) // always ErrServerClosed
	}()
	return nil
}

// stop closes the listener and all connections. The caller holds mu.
func (c *component) stop() {
	_ = c.server.Close() // of a listener, which nobody could do anything about
	<-c.served
	c.server = nil
}

// close stops the component for good.
func (c *component) close() {
	c.mu.Lock()
	c.closed = true
	if c.failure != nil {
		close(c.healed)
		c.failure = nil
	}
	if c.server != nil {
		c.stop()
	}
	c.mu.Unlock()
	c.handling.Wait()
}

// ServeHTTP answers, or fails to.
func (c *component) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.healIfDue(c.bed.options.Now())
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	c.handling.Add(1)
	defer c.handling.Done()
	c.requests[r.URL.Path]++
	failure, turn, healed := c.failure, c.turn, c.healed
	if failure != nil && !strings.HasPrefix(r.URL.Path, failure.Path) {
		failure = nil
	}
	if failure != nil {
		c.turn++
	}
	c.mu.Unlock()
	if failure == nil {
		c.handler.ServeHTTP(w, r)
		return
	}
	c.answerIll(w, r, *failure, turn, healed)
}
