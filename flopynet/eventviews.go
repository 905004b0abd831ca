package flopynet

import (
	"context"
	"slices"
	"strings"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
)

// EventList is what GET /api/events answers.
type EventList struct {
	Events []ListedEvent `json:"events"`
	Total  int           `json:"total"` // that match, before offset and limit
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
}

// ListedEvent is an event under all the keys that FLOPY-NET's programs have for its parts.
type ListedEvent struct {
	ID              uint64 `json:"id"` // grows with each event that is written
	EventID         string `json:"event_id"`
	Timestamp       string `json:"timestamp"`
	SourceComponent string `json:"source_component"` // FL_SERVER and so on, as FLOPY-NET spells its components
	Component       string `json:"component"`        // the same
	EventType       string `json:"event_type"`
	EventLevel      string `json:"event_level"`
	Level           string `json:"level"`
	Message         string `json:"message"`
	Details         object `json:"details"`
}

// EventSummary is what GET /api/events/summary answers. Each count is there under both of its names.
type EventSummary struct {
	ByComponent       map[string]int `json:"by_component"`
	BySourceComponent map[string]int `json:"by_source_component"`
	ByLevel           map[string]int `json:"by_level"`
	ByEventLevel      map[string]int `json:"by_event_level"`
	Total             int            `json:"total"`
}

// EventFilter selects events of any component. An empty text lets everything pass.
type EventFilter struct {
	From, To  int64  // [From, To), nanoseconds since the epoch
	Component string // such as fl_server or FL_SERVER, which mean the same
	Type      string
	Level     string // in upper or lower case
}

func (f *EventFilter) query() engine.EventQuery {
	q := engine.EventQuery{From: f.From, To: f.To, Newest: true}
	if f.Component != "" {
		q.Components = spellings(f.Component)
	}
	if f.Type != "" {
		q.Types = []string{f.Type}
	}
	if f.Level != "" {
		q.Levels = []string{spelledLevel(f.Level)}
	}
	return q
}

// spelledComponent is the name of a component of events as FLOPY-NET's programs spell it, which compare it as text. Of those that we
// poll they know only the upper case; others are called as they call themselves.
func spelledComponent(name string) string {
	if slices.Contains(Components(), name) {
		return strings.ToUpper(name)
	}
	return name
}

// spellings are the names under which events of a component may be stored.
func spellings(name string) []string {
	lower := strings.ToLower(name)
	all := []string{name, lower, spelledComponent(lower)}
	slices.Sort(all)
	return slices.Compact(all)
}

// spelledCounts counts under the spelled names.
func spelledCounts(byComponent map[string]int) map[string]int {
	counts := map[string]int{}
	for name, n := range byComponent {
		counts[spelledComponent(name)] += n
	}
	return counts
}

// spelledLevel is our name for a level as FLOPY-NET's programs may spell it.
func spelledLevel(text string) string {
	switch level := strings.ToLower(text); level {
	case "warn":
		return "warning"
	case "information":
		return "info"
	case "fatal":
		return "critical"
	default:
		return level
	}
}

// ListEvents returns a page of the events that match, the newest first. With a sinceID it is those that were written after the
// event of that id, in the order of their ids: who asks on from the last one misses none.
func (t *Testbed) ListEvents(ctx context.Context, filter EventFilter, sinceID *uint64, limit, offset int) (*EventList, error) {
	query := filter.query()
	query.Limit, query.Skip, query.Total = max(limit, 1), offset, true // a limit of 0 asks for the total
	read := t.db.Events
	if sinceID != nil {
		query.WrittenAfter = *sinceID
		read = t.db.EventsAsWritten
	}
	result, err := read(ctx, query)
	if err != nil {
		return nil, err
	}
	list := &EventList{Events: []ListedEvent{}, Total: result.Total, Limit: limit, Offset: offset}
	for i := range result.Events[:min(limit, len(result.Events))] {
		list.Events = append(list.Events, listedEventOf(&result.Events[i], result.Places[i]))
	}
	return list, nil
}

// NewestEvents returns the newest events, without counting the others.
func (t *Testbed) NewestEvents(ctx context.Context, filter EventFilter, limit int) ([]ListedEvent, error) {
	query := filter.query()
	query.Limit = max(limit, 1)
	result, err := t.db.Events(ctx, query)
	if err != nil {
		return nil, err
	}
	list := []ListedEvent{}
	for i := range result.Events[:min(limit, len(result.Events))] {
		list = append(list, listedEventOf(&result.Events[i], result.Places[i]))
	}
	return list, nil
}

// EventBytes is what events take in an answer, about.
func EventBytes(events []ListedEvent) int {
	size := 0
	for i := range events {
		size += len(events[i].Details) + len(events[i].Message) + listedEventBytes
	}
	return size
}

// listedEventBytes is what an event takes without its message and its details.
const listedEventBytes = 500

// SummarizeEvents counts the events that match.
func (t *Testbed) SummarizeEvents(ctx context.Context, filter EventFilter) (*EventSummary, error) {
	counts, err := t.db.CountEvents(ctx, filter.query())
	if err != nil {
		return nil, err
	}
	byComponent := spelledCounts(counts.ByComponent)
	return &EventSummary{
		ByComponent: byComponent, BySourceComponent: byComponent, ByLevel: counts.ByLevel, ByEventLevel: counts.ByLevel,
		Total: counts.Total,
	}, nil
}

// maxMadeMessage bounds the message that an event is given which has none, in bytes.
const maxMadeMessage = 200

func listedEventOf(e *engine.Event, place engine.EventCursor) ListedEvent {
	component := spelledComponent(e.Component)
	listed := ListedEvent{
		ID: place.Serial(), EventID: e.ID, Timestamp: string(timefmt.AppendTime(nil, e.Time)), SourceComponent: component, Component: component,
		EventType: e.Type, EventLevel: e.Level, Level: e.Level, Message: e.Message, Details: object(e.Details),
	}
	if e.Details == nil {
		listed.Details = object("{}")
	}
	if listed.Message == "" {
		listed.Message = e.Type
		if e.Details != nil {
			listed.Message += ": " + elide(string(e.Details), maxMadeMessage)
		}
	}
	return listed
}

// elide is clip, with a sign that something was cut off.
func elide(text string, most int) string {
	if cut := clip(text, most); len(cut) < len(text) {
		return cut + "..."
	}
	return text
}
