package flopynet

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/flopynet/collector/engine"
)

// maxBackoff is the longest wait after failures, unless the interval is longer anyway: so late at the most do we see that
// a peer is back.
const maxBackoff = 30 * time.Second

// poller asks a peer for something at each interval, for ever. After a failure it waits longer each time, with jitter, so
// that those who wait don't come back all at once.
type poller struct {
	peer     *peer
	name     string // what it polls, such as rounds
	interval time.Duration
	poll     func(context.Context) error
	now      func() time.Time
	logger   *slog.Logger
	gate     *gate // while it is closed, nothing is polled; nil: it is open

	unstored string // why what was told last can't be stored; "": it can

	reported   string // the failure that was logged last; "": it works, as far as the log says
	reportedAt time.Time

	// after is told of each poll, good or bad. Its error is one of our own store.
	after func(at time.Time, err error) error
}

// run polls until ctx ends. A poll that takes longer than the interval makes the next ones late, and no heap of them.
func (p *poller) run(ctx context.Context) {
	p.gate.wait(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := p.now()
		failures := p.once(ctx, began)
		if ctx.Err() != nil {
			return
		}
		timer.Reset(p.delay(failures, p.now().Sub(began)))
	}
}

// once polls, notes the outcome and returns the number of failures in a row.
func (p *poller) once(ctx context.Context, at time.Time) int {
	if p.gate.isClosed() {
		return 0 // which is no fault of the peer's
	}
	err := p.poll(ctx)
	if ctx.Err() != nil {
		return 0 // we are closing, which is no fault of the peer's
	}
	theirs, ours := faults(err)
	failures := p.peer.health.note(p.name, at, theirs)
	p.report(at, theirs)
	if p.after != nil {
		ours = errors.Join(ours, p.after(at, theirs))
	}
	p.reportStore(ours)
	return failures
}

// storeErrors are those of our own store, which are no fault of a peer's.
var storeErrors = []error{engine.ErrDiskFull, engine.ErrBusy, engine.ErrBehind, engine.ErrFailed, engine.ErrClosed, engine.ErrCorrupt}

// joined is the type of what errors.Join returns. Its parts stand side by side; those of other errors explain them.
var joined = reflect.TypeOf(errors.Join(errors.ErrUnsupported)) //nolint:gochecknoglobals // a constant

// faults parts what a poll returned into what is at fault with the peer and what with our own store, its limits included. What
// couldn't be stored is asked for again with the next poll, at the usual time.
func faults(err error) (theirs, ours error) {
	if reflect.TypeOf(err) == joined {
		for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
			their, our := faults(one)
			theirs, ours = errors.Join(theirs, their), errors.Join(ours, our)
		}
		return theirs, ours
	}
	_, limited := errors.AsType[*engine.LimitError](err)
	if limited || slices.ContainsFunc(storeErrors, func(known error) bool { return errors.Is(err, known) }) {
		return nil, err
	}
	return err, nil
}

// reportStore logs that what a peer told can't be stored, when that begins, changes and ends.
func (p *poller) reportStore(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == p.unstored {
		return
	}
	p.unstored = text
	if text == "" {
		p.logger.Info("what a peer tells can be stored again", "peer", p.peer.name, "poll", p.name)
	} else {
		p.logger.Warn("what a peer tells can't be stored; it will be asked for it again", "peer", p.peer.name, "poll", p.name, "error", text)
	}
}

// delay is how long to wait for the next poll, after so many failures in a row and a poll that took so long.
func (p *poller) delay(failures int, took time.Duration) time.Duration {
	if failures == 0 {
		return p.interval - max(took, 0)%p.interval
	}
	wait := p.interval
	for n := 1; n < failures && wait < maxBackoff; n++ {
		wait *= 2
	}
	wait = min(wait, max(maxBackoff, p.interval))
	return wait/2 + rand.N(wait/2+1)
}

// reportEvery is the least time between two changes of a failure that are logged: a peer that answers noise fails in
// another way each time. The state of the peer has the present one.
const reportEvery = 10 * time.Minute

// report logs failures when they begin, change and end: not each time.
func (p *poller) report(at time.Time, err error) {
	attributes := []any{"peer", p.peer.name, "url", p.peer.base.Redacted(), "poll", p.name}
	switch {
	case err == nil && p.reported != "":
		p.reported = ""
		p.logger.Info("polling works again", attributes...)
	case err != nil && (p.reported == "" || p.reported != err.Error() && at.Sub(p.reportedAt) >= reportEvery):
		p.reported, p.reportedAt = err.Error(), at
		p.logger.Warn("polling failed; it is tried again and again", append(attributes, "error", err)...)
	}
}

// errorsOf runs the parts of a poll, each though others fail, and joins their errors: one endpoint that is broken doesn't
// hide what the others tell. The parts after one that found the peer out of reach are left out: they would take as long again, and say
// the same.
func errorsOf(ctx context.Context, parts ...func(context.Context) error) error {
	var all error
	for _, part := range parts {
		err := part(ctx)
		all = errors.Join(all, err)
		if isUnreachable(err) || ctx.Err() != nil {
			break
		}
	}
	return all
}
