package testbed

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	mostQueued   = 10_000
	pushTimeout  = 5 * time.Second
	leastBackoff = 50 * time.Millisecond
	mostBackoff  = 2 * time.Second
)

// Pushes tells how pushing goes.
type Pushes struct {
	Queued   int // not yet acknowledged
	Sent     int // acknowledged
	Rejected int // answered with a status that says that it will never be taken
	Lost     int // given up: the oldest when more than 10,000 wait, or, of decisions, each that didn't arrive at once
}

// push is something to be pushed.
type push struct {
	serial int
	body   []byte
}

// pusher pushes one after the other, in order.
type pusher struct {
	path   string // of the collector's
	key    string
	once   bool // each is tried once, as the policy engine does; else until it is acknowledged
	client *http.Client
	logger *slog.Logger

	ctx    context.Context // ends when the pusher is to stop
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}

	mu     sync.Mutex
	base   string // of the collector's URL; empty: nobody pushes
	serial int
	queue  []push
	counts Pushes
	empty  chan struct{} // closed while the queue is empty
}

func (t *Testbed) startPushing() {
	t.clients = t.newPusher("/metrics", false)
	t.decisions = t.newPusher("/policy_decisions", true)
}

// PushTo has what happens from now on, and what waits to be pushed, pushed to the collector at a URL, which may
// have a path; empty: to nobody, and what waits is given up. The error says what is wrong with the URL.
func (t *Testbed) PushTo(collector string) error {
	if err := checkCollector(collector); err != nil {
		return err
	}
	for _, p := range []*pusher{t.clients, t.decisions} {
		p.setCollector(strings.TrimRight(collector, "/"))
	}
	return nil
}

func checkCollector(collector string) error {
	if parsed, err := url.Parse(collector); collector != "" && (err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "") {
		return fmt.Errorf("collector: %q, must be a URL like http://127.0.0.1:8000", collector)
	}
	return nil
}

func (t *Testbed) newPusher(path string, once bool) *pusher {
	p := &pusher{
		path: path, key: t.options.CollectorKey, once: once, logger: t.options.Logger, done: make(chan struct{}),
		client: &http.Client{Timeout: pushTimeout, Transport: &http.Transport{}}, wake: make(chan struct{}, 1), empty: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	close(p.empty)
	go p.run()
	return p
}

func (t *Testbed) stopPushing() {
	for _, p := range []*pusher{t.clients, t.decisions} {
		p.cancel()
		<-p.done
		p.client.CloseIdleConnections()
	}
}

// queueMeasurement has a client push what it measured, in the shape of the collector's POST /metrics.
func (t *Testbed) queueMeasurement(m Measurement) {
	tags := object{"client_id": m.ClientID} // a tag that is the round would make new series with each
	metrics := []object{{"name": "round", "value": m.Round, "tags": tags}}
	for _, v := range m.Values {
		metrics = append(metrics, object{"name": v.Name, "value": v.Value, "unit": v.Unit, "tags": tags})
	}
	t.clients.add(encode(object{"source": "fl_client", "timestamp": m.Time.Format(time.RFC3339Nano), "metrics": metrics}))
}

func (t *Testbed) queueDecision(d Decision) { t.decisions.add(encode(decisionRow(d))) }

// Push brings the scenario up to the present and waits until all is acknowledged or given up, or ctx ends. It
// returns at once if nobody pushes.
func (t *Testbed) Push(ctx context.Context) error {
	t.at(func(*scenario) {})
	for _, p := range []*pusher{t.clients, t.decisions} {
		p.mu.Lock()
		empty := p.empty
		p.mu.Unlock()
		select {
		case <-empty:
		case <-ctx.Done():
			return fmt.Errorf("push to the collector's %s: %w", p.path, ctx.Err())
		}
	}
	return nil
}

// ClientPushes tells how the clients' pushing goes.
func (t *Testbed) ClientPushes() Pushes { return t.clients.state() }

// DecisionPushes tells how the policy engine's pushing goes.
func (t *Testbed) DecisionPushes() Pushes { return t.decisions.state() }

func (p *pusher) state() Pushes {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	counts.Queued = len(p.queue)
	return counts
}

func (p *pusher) add(body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base == "" {
		return
	}
	if len(p.queue) == 0 {
		p.empty = make(chan struct{})
	}
	if len(p.queue) == mostQueued {
		p.queue = p.queue[1:]
		p.counts.Lost++
	}
	p.serial++
	p.queue = append(p.queue, push{p.serial, body})
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pusher) setCollector(base string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base = base; base == "" && len(p.queue) > 0 {
		p.counts.Lost += len(p.queue)
		p.queue = nil
		close(p.empty)
	}
}

// first returns what is to be pushed next, and where to.
func (p *pusher) first() (next push, url string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return push{}, "", false
	}
	return p.queue[0], p.base + p.path, true
}

// remove takes a push off the queue, unless it is gone already, and counts what became of it.
func (p *pusher) remove(which push, count func(*Pushes)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 || p.queue[0].serial != which.serial {
		return // it was given up meanwhile, and counted
	}
	count(&p.counts)
	if p.queue = p.queue[1:]; len(p.queue) == 0 {
		close(p.empty)
	}
}

// run pushes until the testbed is closed.
func (p *pusher) run() {
	defer close(p.done)
	backoff := leastBackoff
	said := "" // the last complaint: it isn't repeated until a push has gone well
	complain := func(message, url string, err error) {
		if said != message {
			p.logger.Warn(message, slog.String("url", url), slog.Any("error", err))
		}
		said = message
	}
	for p.ctx.Err() == nil {
		next, url, ok := p.first()
		if !ok {
			select {
			case <-p.wake:
			case <-p.ctx.Done():
			}
			continue
		}
		taken, rejected, err := p.send(url, next.body)
		if p.ctx.Err() != nil {
			return
		}
		switch {
		case taken:
			p.remove(next, func(c *Pushes) { c.Sent++ })
			backoff, said = leastBackoff, ""
			continue
		case rejected:
			complain("the collector rejects what is pushed", url, err)
			p.remove(next, func(c *Pushes) { c.Rejected++ })
			continue
		case p.once:
			complain("the collector didn't take what was pushed; it is lost", url, err)
			p.remove(next, func(c *Pushes) { c.Lost++ })
			continue
		}
		complain("the collector doesn't take what is pushed; trying on", url, err)
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-p.ctx.Done():
		}
		timer.Stop()
		backoff = min(2*backoff, mostBackoff)
	}
}

// send tries once. err says why the collector didn't take it.
func (p *pusher) send(url string, body []byte) (taken, rejected bool, err error) {
	request, err := http.NewRequestWithContext(p.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false, true, err
	}
	request.Header.Set("Content-Type", "application/json")
	if p.key != "" {
		request.Header.Set("Authorization", "Bearer "+p.key)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return false, false, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	switch status := response.StatusCode; {
	case status >= 200 && status < 300:
		return true, false, nil
	case status == http.StatusBadRequest, status == http.StatusNotFound, status == http.StatusRequestEntityTooLarge,
		status == http.StatusUnsupportedMediaType, status == http.StatusUnprocessableEntity:
		return false, true, fmt.Errorf("%s: %.200s", response.Status, answer)
	default:
		return false, false, fmt.Errorf("%s: %.200s", response.Status, answer)
	}
}
