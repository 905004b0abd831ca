package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flopynet/collector/engine"
)

// The states of a pipeline.
const (
	StatusCompleted = "completed" // it ran once
	StatusScheduled = "scheduled"
	StatusFailing   = "failing" // scheduled, and its last run failed
)

// Answer is what became of a submitted definition.
type Answer struct {
	ID       string
	Name     string
	Status   string
	Created  bool     // the name is new
	Table    *Table   // of one that ran once
	Run      *Run     // the same
	Warnings []string // of the run, or of the trial
	NextRun  int64    // of a scheduled one: when, in nanoseconds since the epoch
	Delivery string   // id; "": nothing is sent yet
	Written  int      // samples
}

// trialRange is what the trial of a scheduled pipeline covers.
const trialRange = int64(time.Hour)

// Submit checks a definition, which may be of one of the pipelines there are, and runs it once or puts it on its
// schedule. admin says whether who asks may replace more than pipelines that ran once and only answered.
//
// A scheduled one is tried first on the last hour, without effect, so that its faults show at once. It begins
// with the window that is under way or, when it replaces one, where that one was, unless From is given.
//
// The errors are *FieldError, ErrForbidden, ErrQueueFull, and those of the engine.
func (m *Manager) Submit(ctx context.Context, d Definition, admin bool) (*Answer, error) {
	p, err := compile(&d)
	if err != nil {
		return nil, err
	}
	if err := m.checkTarget(&d.Output); err != nil {
		return nil, err
	}
	if err := m.mayReplace(d.Name, admin); err != nil {
		return nil, err
	}
	started := m.opts.Now()
	from, to := d.From, d.To
	if d.Schedule != 0 {
		to = started.UnixNano()
		from = max(to-max(trialRange, p.width), 0)
		if err := checkBackfill(&d, p, d.From, to); d.From != 0 && err != nil {
			return nil, err
		}
	}
	result, err := p.run(ctx, m.db, from, to, nil, false)
	if err != nil {
		return nil, err
	}
	if d.Schedule != 0 {
		return m.putOnSchedule(d, p, result, admin)
	}
	run := &Run{ID: newID("run_"), Status: RunCompleted, From: from, To: to, Started: started.UnixNano(), Rows: len(result.table.Rows)}
	if d.Output.Destination == ToMetric {
		if run.Written, err = writeBack(m.db, &d.Output, result); err != nil {
			return nil, err
		}
		if run.Written > 0 {
			m.opts.Stored(m.opts.Now(), run.Written)
		}
	}
	run.Warnings, run.Took = result.warnings, m.opts.Now().Sub(started)
	return m.keepOnce(d, p, run, result, admin)
}

// checkTarget refuses webhooks to addresses that are known to be refused.
func (m *Manager) checkTarget(o *Output) error {
	if o.Destination != ToWebhook {
		return nil
	}
	if err := m.opts.Guard.checkHost(o.host()); err != nil {
		return &FieldError{Path: "output.url", Given: o.Origin(), Issue: err.Error()}
	}
	return nil
}

func (m *Manager) mayReplace(name string, admin bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mayReplaceLocked(name, admin)
}

func (m *Manager) mayReplaceLocked(name string, admin bool) error {
	e := m.pipelines[name]
	if admin || e == nil || e.Definition.Output.Destination == ToResponse {
		return nil
	}
	return ErrForbidden
}

// replacement begins to store a definition under its name. The manager's lock is held.
func (m *Manager) replacement(d Definition, p *plan, admin bool) (old, e *entry, err error) {
	if err := m.mayReplaceLocked(d.Name, admin); err != nil {
		return nil, nil, err
	}
	now := m.now()
	old = m.pipelines[d.Name]
	e = &entry{plan: p, deliveries: make(map[string]*Delivery), record: record{
		ID: newID("pl_"), Definition: d, Created: now, Updated: now, Generation: 1}}
	if old != nil {
		e.ID, e.Created, e.Generation, e.NextRun = old.ID, old.Created, old.Generation+1, old.NextRun
		e.Position = old.Position
		e.runs, e.deliveries, e.waiting, e.sending = old.runs, old.deliveries, old.waiting, old.sending
	}
	return old, e, nil
}

// keepOnce stores a pipeline that has run once, and its run.
func (m *Manager) keepOnce(d Definition, p *plan, run *Run, result *outcome, admin bool) (*Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, e, err := m.replacement(d, p, admin)
	if err != nil {
		return nil, err
	}
	e.Position = 0
	var c change
	var delivery *Delivery
	if d.Output.Destination == ToWebhook {
		if delivery, err = m.newDelivery(&c, e, run, result.table); err != nil {
			return nil, err
		}
	}
	apply, err := m.addRun(&c, e, run)
	if err != nil {
		return nil, err
	}
	e.NextRun = run.Number + 1
	err = m.install(&c, old, e, apply)
	if errors.Is(err, engine.ErrDiskFull) && d.Output.Destination == ToResponse {
		// That is no reason not to answer.
		result.warnings, err = append(result.warnings, "the run was not stored: "+err.Error()), nil
	}
	if err != nil {
		return nil, err
	}
	answer := &Answer{ID: e.ID, Name: d.Name, Status: StatusCompleted, Created: old == nil, Table: result.table, Run: run,
		Warnings: result.warnings, Written: run.Written}
	if delivery != nil {
		m.enqueue(e, delivery)
		answer.Delivery = delivery.ID
		m.wakeUp()
	}
	return answer, nil
}

// putOnSchedule stores a scheduled pipeline.
func (m *Manager) putOnSchedule(d Definition, p *plan, trial *outcome, admin bool) (*Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, e, err := m.replacement(d, p, admin)
	if err != nil {
		return nil, err
	}
	e.Bindings = trial.bindings
	switch {
	case d.From != 0:
		e.Position = max(floorWindow(d.From, p.width), 0)
	case old == nil || old.Definition.Schedule == 0:
		e.Position = floorWindow(m.now(), p.width)
	default:
		e.Position = max(floorWindow(old.Position, p.width), 0)
		if err := checkBackfill(&d, p, e.Position, m.now()); d.Schedule != old.Definition.Schedule && err != nil {
			return nil, err
		}
	}
	var c change
	if err := m.install(&c, old, e, func() {}); err != nil {
		return nil, err
	}
	m.wakeUp()
	return &Answer{ID: e.ID, Name: d.Name, Status: StatusScheduled, Created: old == nil, Warnings: trial.warnings, NextRun: e.due(m.now())}, nil
}

// checkBackfill refuses to begin so long ago that the runs up to now would take for ever.
func checkBackfill(d *Definition, p *plan, from, now int64) error {
	if (now-from)/max(int64(d.Schedule), p.width) <= maxBackfill {
		return nil
	}
	return &FieldError{Path: "from", Given: time.Unix(0, from).UTC().Format(time.RFC3339),
		Issue: fmt.Sprintf("more than %d runs would have to be made up for; begin later, or use a longer schedule", maxBackfill)}
}

// install stores an entry in place of old, which may be nil, with the rest of the change. apply does to the entry
// what the rest does to the disk. The manager's lock is held.
func (m *Manager) install(c *change, old, e *entry, apply func()) error {
	name := e.Definition.Name
	evicted, err := m.evict(c, old, e)
	if err != nil {
		return err
	}
	if err := c.set(kindPipeline, name, e.record); err != nil {
		return err
	}
	stored := (*c)[len(*c)-1].Value
	if len(stored) > maxStoredBytes {
		return &engine.LimitError{Limit: "bytes of a pipeline", Max: maxStoredBytes, Advice: "its definition is too long; use shorter filters and formulas"}
	}
	var cancelled []*Delivery
	if e.Definition.Output.Destination != ToWebhook {
		cancelled = slices.Clone(e.waiting)
	}
	for _, d := range cancelled {
		next := *d
		next.Status, next.NextTry = DeliveryCancelled, 0
		c.remove(kindBody, deliveryName(name, d.ID))
		if err := c.set(kindDelivery, deliveryName(name, d.ID), next); err != nil {
			return err
		}
	}
	if err := m.db.ChangeState(*c...); err != nil {
		return err
	}
	for _, d := range cancelled {
		d.Status, d.NextTry = DeliveryCancelled, 0
		e.drop(d)
		m.pending--
		m.pendingBytes -= int64(d.Bytes)
	}
	apply()
	if evicted != nil {
		delete(m.pipelines, evicted.Definition.Name)
	}
	if old != nil {
		old.gone = true
	}
	m.pipelines[name] = e
	return nil
}

// evict makes room for a new pipeline: of those that ran once, the oldest that waits for no delivery goes.
func (m *Manager) evict(c *change, old, e *entry) (*entry, error) {
	var once []*entry
	count := 0
	for _, other := range m.pipelines {
		count++
		if other.Definition.Schedule == 0 {
			once = append(once, other)
		}
	}
	full := count >= m.opts.MaxPipelines
	if old != nil || !full && (e.Definition.Schedule != 0 || len(once) < min(maxUnscheduled, m.opts.MaxPipelines)) {
		return nil, nil
	}
	once = slices.DeleteFunc(once, func(other *entry) bool { return len(other.waiting) > 0 })
	if len(once) == 0 {
		return nil, &engine.LimitError{Limit: "pipelines", Max: int64(m.opts.MaxPipelines), Advice: "delete some that are not needed"}
	}
	oldest := slices.MinFunc(once, func(a, b *entry) int { return cmp.Compare(a.Updated, b.Updated) })
	m.forget(c, oldest)
	return oldest, nil
}

// forget puts the removal of all that is stored of a pipeline into the change.
func (m *Manager) forget(c *change, e *entry) {
	name := e.Definition.Name
	c.remove(kindPipeline, name)
	for _, run := range e.runs {
		c.remove(kindRun, runName(name, run.Number))
	}
	for id, d := range e.deliveries {
		c.remove(kindDelivery, deliveryName(name, id))
		if d.Status == DeliveryPending {
			c.remove(kindBody, deliveryName(name, id))
		}
	}
}

// Delete removes a pipeline, its runs and its deliveries, and returns how many of these were still waiting.
func (m *Manager) Delete(name string) (cancelled int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.pipelines[name]
	if e == nil {
		return 0, ErrUnknown
	}
	var c change
	m.forget(&c, e)
	if err := m.db.ChangeState(c...); err != nil {
		return 0, err
	}
	e.gone = true
	delete(m.pipelines, name)
	cancelled = len(e.waiting)
	m.pending -= cancelled
	for _, d := range e.waiting {
		m.pendingBytes -= int64(d.Bytes)
	}
	e.waiting = nil
	return cancelled, nil
}
