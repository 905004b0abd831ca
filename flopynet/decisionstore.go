package flopynet

import (
	"context"
	"errors"
	"sync"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// maxDecisionSeries bounds the series that decisions make, one for each policy and component.
const maxDecisionSeries = 1000

// otherTag stands for the policies and components beyond that.
const otherTag = "other"

// decisionStore stores decisions, those that we asked for and those that we were sent.
type decisionStore struct {
	recorder *recorder
	clients  *namedClients // told of each decision that names one

	mu     sync.Mutex
	series map[[2]string]bool // by policy and component
}

func newDecisionStore(r *recorder, clients *namedClients) *decisionStore {
	return &decisionStore{recorder: r, clients: clients, series: map[[2]string]bool{}}
}

// StoreDecisions makes decisions durable, each once by its event's ID, together with an answer if there is one to keep, as
// engine.DB.WriteEventsAnswered does. The events must be such as the engine can store.
func (t *Testbed) StoreDecisions(ctx context.Context, decisions []Decision, keep func() *engine.Answer) error {
	if err := t.decisions.around(decisions); err != nil {
		return err
	}
	events := make([]engine.Event, len(decisions))
	for i := range decisions {
		events[i] = decisions[i].Event
	}
	return t.db.WriteEventsAnswered(ctx, events, keep)
}

// add stores decisions that we asked for.
func (s *decisionStore) add(ctx context.Context, decisions []Decision) error {
	if err := s.around(decisions); err != nil {
		return err
	}
	events := make([]engine.Event, len(decisions))
	for i := range decisions {
		events[i] = decisions[i].Event
	}
	return s.recorder.events(ctx, events)
}

// around stores what follows from decisions, before they are stored themselves: all of it may be done again.
func (s *decisionStore) around(decisions []Decision) error {
	if err := s.samples(decisions); err != nil {
		return err
	}
	var seen []sighting
	for i := range decisions {
		if one := decisions[i].client; one.id != "" {
			seen = append(seen, one)
		}
	}
	return s.clients.saw(seen)
}

// samples stores how long the decisions took. What can't be stored is logged: the decisions themselves matter more.
func (s *decisionStore) samples(decisions []Decision) error {
	points := make([]point, 0, len(decisions))
	for i := range decisions {
		if p, ok := decisions[i].point(); ok {
			points = append(points, s.bound(p, &decisions[i]))
		}
	}
	if len(points) == 0 {
		return nil
	}
	return s.recorder.samplesOrLog(points)
}

// bound gives a point that would be of a series too many a common one.
func (s *decisionStore) bound(p point, d *Decision) point {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{d.policyID, d.component}
	switch {
	case s.series[key]:
	case len(s.series) < maxDecisionSeries:
		s.series[key] = true
		if len(s.series) == maxDecisionSeries {
			s.recorder.logger.Warn("decisions name many policies; the times that further ones take are stored together",
				"policies_and_components", maxDecisionSeries, "policy_id", otherTag)
		}
	default:
		p.tags = model.Tags{{Key: "policy_id", Value: otherTag}, {Key: "component", Value: otherTag}}
	}
	return p
}

// samplesOrLog is samples, but that points which can't be stored, now or later, are logged and are no error.
func (r *recorder) samplesOrLog(points []point) error {
	err := r.samples(points)
	if refused, ok := errors.AsType[*refusal](err); ok {
		r.logger.Warn("samples of a peer can't be stored", "peer", r.source, "error", refused)
		return nil
	}
	return err
}
