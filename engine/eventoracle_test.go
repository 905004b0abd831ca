package engine

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flopynet/collector/model"
)

// eventOracle is the trivial model of events: a list, in the order of their writing.
type eventOracle struct {
	list []Event
	made int           // IDs
	age  time.Duration // how long they are kept; 0: for ever
}

func (o *eventOracle) find(id string) *Event {
	for i := range o.list {
		if o.list[i].ID == id {
			return &o.list[i]
		}
	}
	return nil
}

// floor is the time before which nothing is visible.
func (o *eventOracle) floor(now int64) int64 {
	if o.age == 0 {
		return model.MinTime
	}
	return now - int64(o.age)
}

// matching returns what a query of one page should.
func (o *eventOracle) matching(q *EventQuery, now int64) []Event {
	var out []Event
	for _, e := range o.list {
		if e.Time >= max(q.From, o.floor(now)) && e.Time < q.To && (len(q.Types) == 0 || slices.Contains(q.Types, e.Type)) &&
			(len(q.Components) == 0 || slices.Contains(q.Components, e.Component)) && (len(q.Levels) == 0 || slices.Contains(q.Levels, e.Level)) &&
			(q.Details == nil || q.Details(e.Details)) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return cmp.Compare(a.Time, b.Time) })
	if q.Newest {
		slices.Reverse(out)
	}
	return out
}

// writeEvents writes events, some of them under IDs that were written before and are not expired.
func (m *metamorphic) writeEvents() {
	var events []Event
	again := 0
	for range 1 + m.random.IntN(pick(m.random, 3, 40)) {
		e := Event{
			ID: fmt.Sprint("e", m.events.made), Time: m.time(), Component: pick(m.random, "c1", "c2", "c3"),
			Type: pick(m.random, "t1", "t2"), Level: pick(m.random, EventLevels...), Message: fmt.Sprint(m.random.Uint64()),
		}
		m.events.made++
		if m.random.IntN(3) == 0 {
			e.Details = fmt.Appendf(nil, `{"n":%d}`, m.random.IntN(100))
		}
		if m.random.IntN(4) == 0 {
			e.ID = ""
		} else if known := append(slices.Clone(m.events.list), events...); len(known) > 0 && m.random.IntN(4) == 0 {
			if old := pick(m.random, known...); old.Time >= m.events.floor(m.now.Load()) && old.ID != "" {
				e.ID = old.ID
				again++
			}
		}
		err := m.db.CheckEvent(&e)
		if refused := e.Time < m.events.floor(m.now.Load()); refused != (err != nil) {
			m.fail("event at %d, now %d, kept %v: %v", e.Time, m.now.Load(), m.events.age, err)
		} else if !refused {
			events = append(events, e)
		}
	}
	m.note("write %d events, %d again", len(events), again)
	if err := m.db.WriteEvents(context.Background(), events); err != nil {
		m.fail("write events: %v", err)
	}
	for _, e := range events {
		if m.events.find(e.ID) == nil {
			m.events.list = append(m.events.list, e)
		}
	}
}

// checkEvents compares all pages of a query.
func (m *metamorphic) checkEvents() {
	from := m.clock - m.random.Int64N(int64(8*24*time.Hour))
	q := EventQuery{From: from, To: from + 1 + m.random.Int64N(int64(9*24*time.Hour))}
	switch m.random.IntN(5) {
	case 4:
		q.Details = func(details []byte) bool { return details != nil && details[len(details)-2] < '5' }
	case 0:
		q.Types = []string{"t1"}
	case 1:
		q.Components = []string{"c1", "c3"}
		q.Levels = EventLevels[m.random.IntN(4):]
	case 2:
		q.From, q.To = model.MinTime, model.MaxTime
	}
	q.Newest, q.Total, q.Limit = m.random.IntN(2) == 0, m.random.IntN(2) == 0, 1+m.random.IntN(50)
	m.compareEvents(q)
	m.compareEventCounts(q)
	m.compareAsWritten(q)
}

// compareEventCounts compares the counts of a query, and its page behind some events.
func (m *metamorphic) compareEventCounts(q EventQuery) {
	want := m.events.matching(&q, m.now.Load())
	components, levels := map[string]int{}, map[string]int{}
	for _, e := range want {
		components[e.Component]++
		levels[e.Level]++
	}
	got, err := m.db.CountEvents(context.Background(), q)
	if err != nil || got.Total != len(want) || !maps.Equal(got.ByComponent, components) || !maps.Equal(got.ByLevel, levels) || got.Damaged != 0 {
		m.fail("counts of %+v: %+v, %v, want %d, %v, %v", q, got, err, len(want), components, levels)
	}
	q.Skip, q.Total = m.random.IntN(len(want)+2), true
	page, err := m.db.Events(context.Background(), q)
	rest := want[min(q.Skip, len(want)):]
	if err != nil || page.Total != len(want) || !slices.EqualFunc(page.Events, rest[:min(q.Limit, len(rest))], func(a, b Event) bool { return sameEvent(&a, &b) }) {
		m.fail("events of %+v: %+v, %v, want %d of %+v", q, page, err, q.Limit, rest)
	}
}

// compareAsWritten goes through a query by serial numbers.
func (m *metamorphic) compareAsWritten(q EventQuery) {
	byTime := m.events.matching(&q, m.now.Load())
	var want []Event
	for _, e := range m.events.list {
		if slices.ContainsFunc(byTime, func(other Event) bool { return sameEvent(&e, &other) }) {
			want = append(want, e)
		}
	}
	for len(want) > 0 {
		q.Skip = m.random.IntN(2) * m.random.IntN(len(want))
		page, err := m.db.EventsAsWritten(context.Background(), q)
		if err != nil || page.Total != len(want) || len(page.Events) != min(q.Limit, len(want)-q.Skip) || page.More != (q.Skip+q.Limit < len(want)) {
			m.fail("as written, %+v: %d of %d, %v, want %d", q, len(page.Events), page.Total, err, len(want))
		}
		for i := range page.Events {
			if !sameEvent(&page.Events[i], &want[q.Skip+i]) {
				m.fail("as written, %+v: %+v, want %+v", q, page.Events[i], want[q.Skip+i])
			}
		}
		q.WrittenAfter = page.Places[len(page.Places)-1].Serial()
		want = want[q.Skip+len(page.Events):]
	}
	if page, err := m.db.EventsAsWritten(context.Background(), q); err != nil || len(page.Events) != 0 {
		m.fail("behind the last of %+v are %+v, %v", q, page, err)
	}
}

func (m *metamorphic) compareEvents(q EventQuery) {
	want := m.events.matching(&q, m.now.Load())
	var got []Event
	for {
		result, err := m.db.Events(context.Background(), q)
		if err != nil {
			m.fail("events: %v", err)
		}
		if q.Total && result.Total != len(want) || result.Damaged != 0 {
			m.fail("events of %+v: total %d, want %d; %d damaged", q, result.Total, len(want), result.Damaged)
		}
		got = append(got, result.Events...)
		if !result.More {
			break
		}
		q.After = &result.Next
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || !sameEvent(&want[i], &got[i]) {
			m.fail("events of %+v: %d, want %d, the first difference at %d:\n%+v\n%+v", q, len(got), len(want), i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

func sameEvent(a, b *Event) bool {
	return a.ID == b.ID && a.Time == b.Time && a.Component == b.Component && a.Type == b.Type && a.Level == b.Level &&
		a.Message == b.Message && bytes.Equal(a.Details, b.Details)
}

// writeAnswers keeps an answer with a batch, and asks for all there were.
func (m *metamorphic) writeAnswers() {
	m.note("write an answer, and look for %d", m.answers)
	answer := answerOf(m.answers, m.now.Load())
	var batch Batch
	batch.SetAnswer(answer)
	if err := m.db.Write(&batch); err != nil {
		m.fail("write an answer: %v", err)
	}
	m.answered = append(m.answered, m.now.Load())
	m.answers++
	m.checkAnswers()
}

func (m *metamorphic) checkAnswers() {
	for number, at := range m.answered {
		got, err := m.db.Answer(answerOf(number, 0).Key)
		if err != nil {
			m.fail("answer: %v", err)
		}
		kept := m.now.Load()-at < int64(AnswerAge)
		if (got != nil) != kept || kept && !bytes.Equal(got.Body, answerOf(number, 0).Body) {
			m.fail("answer %d of %d is %+v, kept: %v", number, at, got, kept)
		}
	}
}
