package flopynet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"
)

// gate is what the policy engine says to the collecting of metrics. FLOPY-NET's own collector asks once, at its start, and
// ends when it is denied; we ask again with each poll of the policy engine, and poll nothing else while the answer is no.
// A nil gate is open.
type gate struct {
	strict bool // a failure to ask is a no
	logger *slog.Logger

	mu      sync.Mutex
	known   bool
	refused error     // nil: open
	failed  bool      // it is open since nobody could be asked
	since   time.Time // of refused

	decided chan struct{} // closed when it is known
}

var errNobodyToAsk = errors.New("there is no policy engine to ask")

func newGate(o *Options) *gate {
	if !o.CheckPolicy {
		return nil
	}
	g := &gate{strict: o.StrictPolicy, logger: o.Logger, decided: make(chan struct{})}
	if o.PolicyEngine.URL == "" {
		if !o.StrictPolicy {
			return nil
		}
		g.fail(o.Now(), errNobodyToAsk)
	}
	return g
}

// wait waits for the first answer to the question.
func (g *gate) wait(ctx context.Context) {
	if g == nil {
		return
	}
	select {
	case <-g.decided:
	case <-ctx.Done():
	}
}

// refusal says why nothing is to be collected and since when; nil: it may be.
func (g *gate) refusal() (since time.Time, reason error) {
	if g == nil {
		return time.Time{}, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.since, g.refused
}

// isClosed reports whether nothing is to be collected.
func (g *gate) isClosed() bool {
	_, reason := g.refusal()
	return reason != nil
}

// ask asks the policy engine. Its error is that of a peer that doesn't answer as it should; a denial is none.
func (g *gate) ask(ctx context.Context, p *peer) error {
	var answer struct {
		Allowed flag `json:"allowed"`
		Reason  text `json:"reason"`
	}
	at := p.now()
	err := p.get(ctx, "/check", url.Values{"component": {"collector"}, "action": {"collect_metrics"}}, maxAnswerBytes, &answer)
	if err == nil && !answer.Allowed.known {
		err = errors.New("GET /check: its answer doesn't say whether it is allowed")
	}
	switch {
	case ctx.Err() != nil: // we are closing
	case err != nil:
		g.fail(at, err)
	case answer.Allowed.value:
		g.set(at, nil, false)
	default:
		g.set(at, fmt.Errorf("the policy engine denies the collecting of metrics: %s", answer.Reason), false)
	}
	if isNotThere(err) {
		return nil // an engine that has no such question is no ill one
	}
	return err
}

// fail notes that the question found no answer.
func (g *gate) fail(at time.Time, err error) {
	if g.strict {
		g.set(at, fmt.Errorf("whether metrics may be collected can't be told, and the check is strict: %w", err), false)
		return
	}
	g.set(at, nil, true)
}

// set notes an outcome and logs it if it is another one than before.
func (g *gate) set(at time.Time, refused error, failed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed := !g.known || (refused == nil) != (g.refused == nil) || failed != g.failed ||
		refused != nil && refused.Error() != g.refused.Error()
	if !changed {
		return
	}
	if refused != nil && g.refused == nil {
		g.since = at
	}
	switch {
	case refused != nil:
		g.logger.Warn("metrics may not be collected: no component is polled; it is asked again and again", "reason", refused)
	case failed:
		g.logger.Warn("whether metrics may be collected can't be told; they are, since the check is not strict")
	default:
		g.logger.Info("the policy engine allows the collecting of metrics")
	}
	g.refused, g.failed = refused, failed
	if !g.known {
		g.known = true
		close(g.decided)
	}
}
