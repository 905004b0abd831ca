package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
)

// The states of a Delivery.
const (
	DeliveryPending   = "pending"
	DeliveryDelivered = "delivered"
	DeliveryFailed    = "failed"    // given up after deliveryPeriod
	DeliveryCancelled = "cancelled" // the pipeline no longer has a webhook
)

// Delivery is rows on their way to a webhook. Times are in nanoseconds since the epoch, 0: none.
type Delivery struct {
	ID          string `json:"id"`
	Number      uint64 `json:"number"` // of its run, which gives the order
	RunID       string `json:"run_id"`
	Status      string `json:"status"`
	Bytes       int    `json:"bytes"` // of the body
	Created     int64  `json:"created"`
	Attempts    int    `json:"attempts"`
	LastAttempt int64  `json:"last_attempt,omitempty"`
	LastStatus  int    `json:"last_status,omitempty"` // of HTTP; 0: no answer
	LastError   string `json:"last_error,omitempty"`
	NextTry     int64  `json:"next_try,omitempty"`
}

const (
	maxBodyBytes   = 1 << 20
	deliveryPeriod = 24 * time.Hour   // in which a delivery is tried
	attemptTimeout = 10 * time.Second // of a whole exchange
	firstBackoff   = time.Second
	maxBackoff     = 15 * time.Minute
)

// errReplaced says that an attempt failed at an address that is no longer the pipeline's.
var errReplaced = errors.New("the pipeline was replaced")

// newDelivery puts a delivery of a run's rows, and its body, into the change.
func (m *Manager) newDelivery(c *change, e *entry, run *Run, t *Table) (*Delivery, error) {
	name := e.Definition.Name
	number := e.NextRun
	if last := e.lastRun(); last != nil && last.ID == run.ID {
		number = last.Number
	}
	body := appendBody(nil, name, run, t)
	switch {
	case len(body) > maxBodyBytes:
		return nil, &engine.LimitError{Limit: "bytes of a webhook's body", Max: maxBodyBytes,
			Advice: fmt.Sprintf("the rows take %d: use a wider window, fewer groups or metrics, or a limit step", len(body))}
	case m.pending >= m.opts.MaxPending:
		return nil, fmt.Errorf("%w: there are %d, the most that are kept", ErrQueueFull, m.pending)
	case m.pendingBytes+int64(len(body)) > m.opts.MaxPendingBytes:
		return nil, fmt.Errorf("%w: they take %d bytes, at most %d are kept", ErrQueueFull, m.pendingBytes, m.opts.MaxPendingBytes)
	}
	d := &Delivery{ID: "dlv_" + run.ID, Number: number, RunID: run.ID, Status: DeliveryPending, Bytes: len(body),
		Created: m.now(), NextTry: m.now()}
	run.DeliveryID = d.ID
	*c = append(*c, engine.StateChange{Kind: kindBody, Name: deliveryName(name, d.ID), Value: body})
	return d, c.set(kindDelivery, deliveryName(name, d.ID), d)
}

// appendBody appends what a webhook is sent.
func appendBody(dst []byte, pipeline string, run *Run, t *Table) []byte {
	dst = appendString(append(dst, `{"pipeline":`...), pipeline)
	dst = appendString(append(dst, `,"run_id":`...), run.ID)
	dst = timefmt.AppendTime(append(dst, `,"from":"`...), run.From)
	dst = timefmt.AppendTime(append(dst, `","to":"`...), run.To)
	return append(t.AppendJSON(append(dst, `","rows":`...)), '}')
}

// enqueue takes a stored delivery into memory. The manager's lock is held.
func (m *Manager) enqueue(e *entry, d *Delivery) {
	e.deliveries[d.ID] = d
	e.waiting = append(e.waiting, d)
	m.pending++
	m.pendingBytes += int64(d.Bytes)
}

// deliver makes one attempt at a delivery.
func (m *Manager) deliver(e *entry, d *Delivery) {
	m.mu.Lock()
	name, output, id := e.Definition.Name, e.Definition.Output, d.ID
	m.mu.Unlock()
	status, retryAfter, err := m.sendStored(name, &output, id)
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.wakeUp()
	m.sending--
	if now := m.pipelines[name]; now != nil && now.ID == e.ID && now != e {
		// It was replaced meanwhile. Of what was sent as it was before, only a success matters.
		if e = now; err != nil || status/100 != 2 {
			err = errReplaced
		}
	}
	e.sending = false
	if errors.Is(err, errReplaced) || m.ctx.Err() != nil && err != nil || e.gone || !slices.Contains(e.waiting, d) {
		return // cut short by Close, which counts as no attempt; or nobody waits for it any more
	}
	m.noteAttempt(e, d, status, retryAfter, err)
}

// sendStored reads a delivery's body and sends it.
func (m *Manager) sendStored(name string, output *Output, id string) (status int, retryAfter time.Duration, err error) {
	body, err := m.db.State(kindBody, deliveryName(name, id))
	if err == nil && body == nil {
		err = errors.New("the delivery's body is gone")
	}
	if err != nil {
		return 0, 0, err
	}
	return m.send(output, id, body)
}

// noteAttempt stores how an attempt ended. The manager's lock is held.
func (m *Manager) noteAttempt(e *entry, d *Delivery, status int, retryAfter time.Duration, cause error) {
	now := m.now()
	next := *d
	next.Attempts++
	next.LastAttempt, next.LastStatus, next.LastError = now, status, ""
	wait := max(m.backoff(next.Attempts), min(retryAfter, maxRetryAfter))
	next.NextTry = now + int64(wait)
	switch {
	case cause == nil && status/100 == 2:
		next.Status, next.NextTry = DeliveryDelivered, 0
	case cause != nil:
		next.LastError = cause.Error()
		// Nobody answered. The others of this pipeline would find nobody either.
		e.heldUntil = next.NextTry
	default:
		next.LastError = statusError(status)
	}
	if next.Status == DeliveryPending && next.NextTry >= next.Created+int64(deliveryPeriod) {
		next.Status, next.NextTry = DeliveryFailed, 0
	}
	if next.Status != DeliveryPending {
		e.heldUntil = 0
	}
	var c change
	name := deliveryName(e.Definition.Name, d.ID)
	remembered := slices.ContainsFunc(e.runs, func(run *Run) bool { return run.DeliveryID == d.ID })
	err := error(nil)
	if next.Status != DeliveryPending {
		c.remove(kindBody, name)
	}
	if next.Status != DeliveryPending && !remembered {
		c.remove(kindDelivery, name)
	} else {
		err = c.set(kindDelivery, name, next)
	}
	if err == nil {
		err = m.db.ChangeState(c...)
	}
	if err != nil {
		// It goes on waiting, and is sent again under the same id.
		m.opts.Logger.Warn("an attempt at a delivery could not be stored", "pipeline", e.Definition.Name, "delivery", d.ID, "err", err)
		d.NextTry = now + int64(wait)
		return
	}
	m.settle(e, d, &next, remembered)
}

// settle does to memory what noteAttempt has stored.
func (m *Manager) settle(e *entry, d, next *Delivery, remembered bool) {
	*d = *next
	log := m.opts.Logger.With("pipeline", e.Definition.Name, "delivery", d.ID, "attempts", d.Attempts, "status", d.LastStatus)
	switch d.Status {
	case DeliveryPending:
		log.Debug("a delivery was not taken and will be tried again", "error", d.LastError)
		return
	case DeliveryDelivered:
		log.Debug("delivered")
	default:
		log.Error("a delivery was given up", "error", d.LastError)
	}
	e.drop(d)
	m.pending--
	m.pendingBytes -= int64(d.Bytes)
	if !remembered {
		delete(e.deliveries, d.ID)
	}
}

// backoff returns how long to wait after so many attempts: exponential backoff with full jitter, as in "Exponential
// Backoff And Jitter" by Marc Brooker.
func (m *Manager) backoff(attempts int) time.Duration {
	most := maxBackoff
	if attempts < 16 {
		most = min(maxBackoff, firstBackoff<<(attempts-1))
	}
	return time.Duration(m.opts.Random() * float64(most))
}

func statusError(status int) string {
	if status/100 == 3 {
		return fmt.Sprintf("the receiver answered %d; redirects are not followed", status)
	}
	return fmt.Sprintf("the receiver answered %d", status)
}
