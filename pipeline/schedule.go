package pipeline

import (
	"context"
	"errors"
	"time"
)

// scheduled does the next run of a pipeline.
func (m *Manager) scheduled(e *entry) {
	m.mu.Lock()
	attempt := m.begin(e)
	m.mu.Unlock()
	ctx, cancel := m.opts.Deadline(m.ctx, m.opts.RunTimeout)
	defer cancel()
	result, written, err := attempt.compute(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.wakeUp()
	m.running--
	e.busy = false
	if m.ctx.Err() != nil {
		return // whatever it was, it is done again
	}
	if err == nil {
		err = attempt.commit(result, written)
	}
	if err != nil {
		attempt.fail(err)
	}
}

// attempt is a try of a scheduled run. It takes the definition along, which may be replaced meanwhile.
type attempt struct {
	m          *Manager
	e          *entry
	plan       *plan
	definition Definition
	generation int
	bindings   map[string]string
	from, to   int64
	id         string
	started    time.Time
}

// begin notes what the next run is to do. The manager's lock is held.
func (m *Manager) begin(e *entry) *attempt {
	from, to, _ := e.nextRange()
	return &attempt{
		m: m, e: e, plan: e.plan, definition: e.Definition, generation: e.Generation, bindings: e.Bindings,
		from: from, to: to, id: e.runID(from, to), started: m.opts.Now(),
	}
}

// compute reads the rows and, if they go to a metric, writes them. Doing it again changes nothing.
func (a *attempt) compute(ctx context.Context) (*outcome, int, error) {
	result, err := a.plan.run(ctx, a.m.db, a.from, a.to, a.bindings, true)
	if err != nil || a.definition.Output.Destination != ToMetric {
		return result, 0, err
	}
	a.m.mu.Lock()
	current := a.current()
	a.m.mu.Unlock()
	if !current {
		return result, 0, nil
	}
	written, err := writeBack(a.m.db, &a.definition.Output, result)
	if err == nil && written > 0 {
		a.m.opts.Stored(a.m.opts.Now(), written)
	}
	return result, written, err
}

// current reports whether the pipeline is still the one that the attempt began with.
func (a *attempt) current() bool { return !a.e.gone && a.e.Generation == a.generation }

// run describes the attempt.
func (a *attempt) run(status string) *Run {
	return &Run{ID: a.id, Scheduled: true, Status: status, From: a.from, To: a.to,
		Started: a.started.UnixNano(), Took: a.m.opts.Now().Sub(a.started)}
}

// commit stores the run, the delivery if there is one, and the new position, all together.
// The manager's lock is held.
func (a *attempt) commit(result *outcome, written int) error {
	if !a.current() {
		return nil
	}
	e, run := a.e, a.run(RunCompleted)
	run.Rows, run.Written, run.Warnings = len(result.table.Rows), written, result.warnings
	next := e.record
	next.Position, next.Bindings = a.to, result.bindings
	var c change
	var d *Delivery
	if a.definition.Output.Destination == ToWebhook && run.Rows > 0 {
		var err error
		if d, err = a.m.newDelivery(&c, e, run, result.table); err != nil {
			return err
		}
	}
	apply, err := a.m.addRun(&c, e, run)
	if err != nil {
		return err
	}
	next.NextRun = run.Number + 1
	if err := c.set(kindPipeline, a.definition.Name, next); err != nil {
		return err
	}
	if err := a.m.db.ChangeState(c...); err != nil {
		return err
	}
	apply()
	e.record = next
	e.failures, e.retryAt = 0, 0
	if d != nil {
		a.m.enqueue(e, d)
	}
	return nil
}

// retryWait is how long a run that failed waits at most until it is tried again; a shorter schedule means a
// shorter wait.
const retryWait = time.Minute

// fail notes that the run failed. The position stays, so nothing is lost: the same windows are tried again.
// The manager's lock is held.
func (a *attempt) fail(cause error) {
	if !a.current() {
		return
	}
	e, m := a.e, a.m
	e.failures++
	e.retryAt = m.now() + int64(min(retryWait, e.Definition.Schedule))
	if errors.Is(cause, context.DeadlineExceeded) {
		cause = errors.New("the run took longer than " + m.opts.RunTimeout.String() + "; select fewer series or metrics")
	}
	m.opts.Logger.Warn("a pipeline's run failed and will be tried again", "pipeline", e.Definition.Name, "run", a.id,
		"failures", e.failures, "err", cause)
	run := a.run(RunFailed)
	run.Error = cause.Error()
	var c change
	apply, err := m.addRun(&c, e, run)
	if err != nil {
		return
	}
	next := e.record
	next.NextRun = run.Number + 1
	if err := c.set(kindPipeline, e.Definition.Name, next); err != nil {
		return
	}
	if err := m.db.ChangeState(c...); err != nil {
		m.opts.Logger.Warn("the failed run could not be stored", "pipeline", e.Definition.Name, "err", err)
	}
	apply() // seen at least until the next start
	e.record = next
}
