package flopynet

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

const (
	decisionsPath  = "/api/v1/policy_decisions"
	decisionsState = PolicyEngine + "/decisions"

	decisionsPerPage    = 500
	maxDecisionsPerPage = 20_000 // asked for when all of a page are of one time
	shortPage           = 100    // what FLOPY-NET's engine answers with unless it is asked for more: a page of fewer is the last
	maxDecisionPages    = 20     // in one poll

	// lateness is how much later than one with a later time a decision may come to be listed. What is read twice for it
	// is stored once.
	lateness = time.Minute

	// knownDecisions bounds what is remembered of decisions that were stored, so as not to store them again each time.
	knownDecisions = 20_000
)

// decisionPosition is how far the decisions are stored. It is kept in the engine's state. Times are nanoseconds since the
// epoch, by the policy engine's clock.
type decisionPosition struct {
	Time    int64     `json:"time"`          // those until then are stored, but for the gap
	Gap     *timeSpan `json:"gap,omitempty"` // where a poll came to its bound on pages
	Started int64     `json:"started"`       // when the policy engine started, by our clock; 0: not known
}

type timeSpan struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// decisionPoll reads the policy engine's decisions. They are answered newest first, as many as we ask for, so that we go
// backwards from the newest until those that are stored.
type decisionPoll struct {
	testbed  *Testbed
	peer     *peer
	position decisionPosition
	saved    decisionPosition

	known, before map[string]struct{} // IDs that were stored: the last ones, and those before
}

// startedAt is told when the policy engine started. One that started again may have got its clock right, or wrong:
// whatever it has by now is looked at.
func (d *decisionPoll) startedAt(ns int64) {
	switch distance := ns - d.position.Started; {
	case d.position.Started == 0:
		d.position.Started = ns
	case distance > int64(lateness) || distance < -int64(lateness):
		d.position = decisionPosition{Gap: d.position.Gap, Started: ns}
	}
}

// poll stores what came since the last poll. The position is moved when all before it is durable.
func (d *decisionPoll) poll(ctx context.Context) error {
	asked := d.peer.now().UnixNano()
	if d.position.Time > asked+int64(lateness) {
		d.position.Time = 0 // our clock was set back, and the engine's may have been: by it there may be decisions from before that time
	}
	from := max(d.position.Time-int64(lateness), 0)
	newest, reached, err := d.walk(ctx, timeSpan{From: from})
	if err != nil {
		return err
	}
	if reached > from {
		d.position.Gap = d.position.Gap.with(timeSpan{from, reached})
	}
	// A time to come would hide what has the right time afterwards.
	d.position.Time = max(d.position.Time, min(newest, asked))
	if err := d.save(); err != nil {
		return err
	}
	gap := d.position.Gap
	if gap == nil || reached > from { // the poll has had its share
		return nil
	}
	if _, reached, err = d.walk(ctx, *gap); err != nil {
		return err
	}
	if d.position.Gap = (&timeSpan{gap.From, reached}); reached <= gap.From {
		d.position.Gap = nil
	}
	return d.save()
}

// with returns what covers both spans.
func (s *timeSpan) with(other timeSpan) *timeSpan {
	if s != nil {
		other = timeSpan{min(s.From, other.From), max(s.To, other.To)}
	}
	return &other
}

func (d *decisionPoll) save() error {
	if d.position == d.saved {
		return nil
	}
	if err := saveState(d.testbed.db, decisionsState, d.position); err != nil {
		return err
	}
	d.saved = d.position
	return nil
}

// walk stores the decisions of a span, both ends included, from its end on, or from the newest if it has none. It returns
// the time of the newest, and how far it came: to the span's beginning, unless that took too many pages.
func (d *decisionPoll) walk(ctx context.Context, span timeSpan) (newest, reached int64, err error) {
	limit, to := decisionsPerPage, span.To
	for range maxDecisionPages {
		decisions, asked, err := d.page(ctx, timeSpan{span.From, to}, limit)
		if err != nil {
			return 0, 0, err
		}
		if err := d.take(ctx, decisions); err != nil {
			return 0, 0, err
		}
		oldest := int64(0)
		for i := range decisions {
			at := decisions[i].Event.Time
			newest = max(newest, at)
			if i == 0 || at < oldest {
				oldest = at
			}
		}
		switch {
		case len(decisions) < min(shortPage, asked) || oldest < span.From:
			return newest, span.From, nil
		case to == 0 || oldest < to:
			to, limit = oldest, decisionsPerPage // those of that time come once more: the page may have cut them
		case limit < maxDecisionsPerPage:
			limit *= 10
		default:
			d.testbed.options.Logger.Warn("the policy engine lists more decisions of one time than it answers with; some are not stored",
				"time", time.Unix(0, oldest).UTC(), "listed", len(decisions))
			to, limit = oldest-int64(time.Microsecond), decisionsPerPage // which is what the engine's numbers can tell apart
		}
	}
	return newest, to, nil
}

// page asks for the newest decisions of a span, and tells how many it asked for.
func (d *decisionPoll) page(ctx context.Context, span timeSpan, limit int) (decisions []Decision, most int, err error) {
	query := url.Values{}
	if span.From > 0 {
		query.Set("start_time", epochText(span.From))
	}
	if span.To > 0 {
		query.Set("end_time", epochText(span.To))
	}
	asked := d.peer.now().UnixNano()
	var answer underKey[object]
	if most, err = d.peer.page(ctx, decisionsPath, query, limit, &answer); err != nil {
		return nil, 0, err
	}
	decisions = make([]Decision, 0, len(answer.list))
	for _, raw := range answer.list {
		if raw != nil {
			decisions = append(decisions, NewDecision(raw, asked))
		}
	}
	return decisions, most, nil
}

// epochText spells a time in seconds, so exactly that it reads as the number it came from.
func epochText(ns int64) string {
	return fmt.Sprintf("%d.%09d", ns/int64(time.Second), ns%int64(time.Second))
}

// take stores those decisions that weren't stored lately.
func (d *decisionPoll) take(ctx context.Context, decisions []Decision) error {
	var fresh []Decision
	for _, decision := range decisions {
		if !d.isKnown(decision.Event.ID) {
			fresh = append(fresh, decision)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := d.testbed.decisions.add(ctx, fresh); err != nil {
		return err
	}
	for i := range fresh {
		d.remember(fresh[i].Event.ID)
	}
	return nil
}

func (d *decisionPoll) isKnown(id string) bool {
	_, known := d.known[id]
	if !known {
		_, known = d.before[id]
	}
	return known
}

func (d *decisionPoll) remember(id string) {
	if d.known == nil || len(d.known) >= knownDecisions/2 {
		d.before, d.known = d.known, make(map[string]struct{})
	}
	d.known[id] = struct{}{}
}
