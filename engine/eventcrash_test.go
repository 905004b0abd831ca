package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flopynet/collector/model"
)

// eventPromises is the part of promises that is about events and answers. A writer writes IDs and keys of its own, one
// at a time.
type eventPromises struct {
	acked   map[string]string   // the message of the event that was acknowledged first, by ID
	pending map[string][]string // those under way, or of a write that failed, before one was acknowledged

	ackedAnswers map[[32]byte]string
	answers      map[[32]byte]answered // those under way, too
}

// answered is what an answer was given for.
type answered struct {
	body  string
	cells []cell
	ids   []string
}

func newEventPromises() eventPromises {
	return eventPromises{acked: map[string]string{}, pending: map[string][]string{}, ackedAnswers: map[[32]byte]string{}, answers: map[[32]byte]answered{}}
}

func (p *eventPromises) clone() eventPromises {
	c := eventPromises{acked: maps.Clone(p.acked), pending: maps.Clone(p.pending), ackedAnswers: maps.Clone(p.ackedAnswers), answers: maps.Clone(p.answers)}
	for id, messages := range c.pending {
		c.pending[id] = slices.Clone(messages)
	}
	return c
}

func (p *promises) beginEvents(events []Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if _, acked := p.events.acked[e.ID]; !acked {
			p.events.pending[e.ID] = append(p.events.pending[e.ID], e.Message)
		}
	}
}

// endEvents ends the one write that is under way for these IDs.
func (p *promises) endEvents(events []Event, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if _, known := p.events.acked[e.ID]; known {
			continue
		}
		switch {
		case err == nil:
			p.events.acked[e.ID] = p.events.pending[e.ID][0]
		case errors.Is(err, ErrBehind): // not even tried
			delete(p.events.pending, e.ID)
		}
	}
}

func (p *promises) beginAnswer(a *Answer, what answered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what.body = string(a.Body)
	p.events.answers[a.Key] = what
}

func (p *promises) endAnswer(a *Answer, acked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if acked {
		p.events.ackedAnswers[a.Key] = string(a.Body)
	}
}

// checkEvents compares the events and answers of a recovered store with what was promised. cells are the samples that
// it has.
func (p *promises) checkEvents(db *DB, cells map[cell]uint64) error {
	result, err := db.Events(context.Background(), EventQuery{To: model.MaxTime, Limit: 1 << 20})
	if err != nil {
		return err
	}
	stored := map[string]string{}
	for _, e := range result.Events {
		if _, twice := stored[e.ID]; twice {
			return fmt.Errorf("event %s is there twice", e.ID)
		}
		if stored[e.ID] = e.Message; !slices.Contains(p.events.pending[e.ID], e.Message) {
			return fmt.Errorf("event %s is %q, which nobody wrote", e.ID, e.Message)
		}
	}
	for id, message := range p.events.acked {
		if stored[id] != message {
			return fmt.Errorf("event %s was acknowledged as %q and is %q", id, message, stored[id])
		}
	}
	for key, what := range p.events.answers {
		answer, err := db.Answer(key)
		if err != nil {
			return err
		}
		if answer == nil {
			if _, acked := p.events.ackedAnswers[key]; acked {
				return fmt.Errorf("the answer %q was acknowledged and is lost", what.body)
			}
			continue
		}
		if string(answer.Body) != what.body {
			return fmt.Errorf("the answer %q is %q", what.body, answer.Body)
		}
		for _, c := range what.cells {
			if _, found := cells[c]; !found {
				return fmt.Errorf("the answer %q is there without %+v", what.body, c)
			}
		}
		for _, id := range what.ids {
			if _, found := stored[id]; !found {
				return fmt.Errorf("the answer %q is there without the event %s", what.body, id)
			}
		}
	}
	return nil
}

// newAnswer makes an answer, or none, for the next request of the writer.
func (w *crashWriter) newAnswer() *Answer {
	if w.random.IntN(3) == 0 {
		return nil
	}
	w.answers++
	return answerOf(w.number*1_000_000+w.answers, w.db.opts.Now().UnixNano())
}

// writeEvents writes some events, new ones and again.
func (w *crashWriter) writeEvents() error {
	var events []Event
	for range 1 + w.random.IntN(5) {
		id := w.events
		if w.random.IntN(3) == 0 {
			id = w.random.IntN(w.events + 1)
		} else {
			w.events++
		}
		e := event(fmt.Sprint(w.number, "-", id), int64(id), fmt.Sprint(w.random.Uint64()))
		e.Message += string(make([]byte, w.random.IntN(200)))
		events = append(events, e)
	}
	what := answered{}
	for _, e := range events {
		what.ids = append(what.ids, e.ID)
	}
	w.promises.beginEvents(events)
	answer := w.newAnswer()
	var keep func() *Answer
	if answer != nil {
		w.promises.beginAnswer(answer, what)
		keep = func() *Answer { return answer }
	}
	err := w.db.WriteEventsAnswered(context.Background(), events, keep)
	w.promises.endEvents(events, err)
	if answer != nil {
		w.promises.endAnswer(answer, err == nil)
	}
	return err
}
