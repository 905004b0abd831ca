package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flopynet/collector/model"
)

// Event is something that happened at one moment, such as a policy decision or an alert.
type Event = model.Event

// EventLevels are the values of Event.Level, from the least to the most urgent.
var EventLevels = []string{"debug", "info", "warning", "error", "critical"} //nolint:gochecknoglobals // a constant

// DefaultEventLevel is the level of events that were given none.
const DefaultEventLevel = "info"

// Limits of events. Lengths are in bytes.
const (
	MaxEventIDBytes      = 255
	MaxEventNameBytes    = 256 // of a component or a type
	MaxEventMessageBytes = 64 << 10
	MaxEventDetailsBytes = 256 << 10
	MaxEventsPerWrite    = 10_000
	maxEventWriteBytes   = 32 << 20 // of one write, so that it fits a frame
)

// EventError says why an event is refused.
type EventError struct {
	Index  int    // of the event in what was to be written
	Field  string // event_id, timestamp, component, event_type, level, message or details
	Reason string
	Limit  bool // the event is well-formed but exceeds a limit
}

func (e *EventError) Error() string {
	return fmt.Sprintf("events[%d].%s %s", e.Index, e.Field, e.Reason)
}

// WriteEvents stores events, all of them or none, and returns when they are durable, as Options.Sync says, and
// visible to reads. An event whose ID is stored already, or stands in the slice before, is the same event: the
// first one stands, and it is no error. An event without an ID is given one, and one without a level the level
// info: they are written into the slice's element. The error is an *EventError if an event is at fault, a
// *LimitError if they are too many or too large, or says why nothing can be written now.
func (db *DB) WriteEvents(ctx context.Context, events []Event) error {
	return db.WriteEventsAnswered(ctx, events, nil)
}

// WriteEventsAnswered is WriteEvents and keeps an answer together with the events: after a crash both are there or
// neither is. answer makes it, once the events have their IDs; it must not be changed afterwards.
func (db *DB) WriteEventsAnswered(ctx context.Context, events []Event, answer func() *Answer) error {
	if len(events) > MaxEventsPerWrite {
		return &LimitError{Limit: "events of a request", Max: MaxEventsPerWrite, Advice: "send them in several requests"}
	}
	size := 0
	for i := range events {
		if err := db.CheckEvent(&events[i]); err != nil {
			err.Index = i
			return err
		}
		size += eventBytes(&events[i])
	}
	if size > maxEventWriteBytes {
		return &LimitError{Limit: "bytes of the events of a request", Max: maxEventWriteBytes, Advice: "send them in several requests"}
	}
	if len(events) == 0 && answer == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.submitEvents(events, size, answer)
}

// submitEvents brings checked events through the pipeline.
func (db *DB) submitEvents(events []Event, size int, answer func() *Answer) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if err := db.admit(len(events)); err != nil {
		return err
	}
	defer db.waiting.Add(-int64(len(events)))
	batch := &eventBatch{events: events, size: size, named: make([]bool, len(events))}
	for i := range events {
		batch.named[i] = events[i].ID != ""
		if events[i].ID == "" {
			events[i].ID = newEventID()
		}
		if events[i].Level == "" {
			events[i].Level = DefaultEventLevel
		}
	}
	if err := db.findStored(batch); err != nil {
		return err
	}
	c := commits.Get().(*commit)
	c.events = batch
	if answer != nil {
		c.answer = answer()
		if err := checkAnswerSize(c.answer); err != nil {
			return err
		}
	}
	return db.pipe.submit(c)
}

func newEventID() string { return fmt.Sprintf("evt_%016x%016x", rand.Uint64(), rand.Uint64()) }

// eventBytes is about what an event takes in memory.
func eventBytes(e *Event) int {
	const fixed = 256 // the struct, the places in list and map
	return fixed + len(e.ID) + len(e.Component) + len(e.Type) + len(e.Level) + len(e.Message) + len(e.Details)
}

// CheckEvent reports why an event can't be written, nil if it can. The error's Index is 0.
func (db *DB) CheckEvent(e *Event) *EventError {
	fault := func(field, format string, args ...any) *EventError {
		return &EventError{Field: field, Reason: fmt.Sprintf(format, args...)}
	}
	for _, name := range [...]struct {
		field, text string
		most        int
		optional    bool
	}{
		{"event_id", e.ID, MaxEventIDBytes, true},
		{"component", e.Component, MaxEventNameBytes, false},
		{"event_type", e.Type, MaxEventNameBytes, false},
		{"message", e.Message, MaxEventMessageBytes, true},
	} {
		switch {
		case name.text == "" && !name.optional:
			return fault(name.field, "is missing")
		case len(name.text) > name.most:
			return &EventError{Field: name.field, Limit: true,
				Reason: fmt.Sprintf("has %d bytes, at most %d are allowed", len(name.text), name.most)}
		case !utf8.ValidString(name.text):
			return fault(name.field, "is not valid UTF-8")
		case name.field != "message" && strings.ContainsFunc(name.text, unicode.IsControl):
			return fault(name.field, "is %s, control characters are not allowed", strconv.Quote(name.text))
		}
	}
	if e.Level != "" && !slices.Contains(EventLevels, e.Level) {
		return fault("level", "is %s, want one of %s", strconv.Quote(e.Level), strings.Join(EventLevels, ", "))
	}
	if len(e.Details) > MaxEventDetailsBytes {
		return &EventError{Field: "details", Limit: true,
			Reason: fmt.Sprintf("has %d bytes, at most %d are allowed", len(e.Details), MaxEventDetailsBytes)}
	}
	if !isJSONObject(e.Details) {
		return fault("details", "is not a JSON object")
	}
	if err := db.checkEventTime(e.Time); err != nil {
		return fault("timestamp", "%s", err.(*TimeError).Reason) //nolint:errorlint // it is never wrapped
	}
	return nil
}

// isJSONObject reports whether the text is a JSON object in UTF-8, or nothing.
func isJSONObject(text []byte) bool {
	if text == nil {
		return true
	}
	trimmed := strings.TrimLeft(string(text), " \t\r\n")
	return strings.HasPrefix(trimmed, "{") && utf8.Valid(text) && json.Valid(text)
}

// checkEventTime reports as a *TimeError why an event can't have a time.
func (db *DB) checkEventTime(ns int64) error {
	return db.CheckTime(RetentionClass{raw: db.EventRetention()}, ns)
}

// eventExpiry is how long events are kept. It is replaced, never changed.
type eventExpiry struct {
	age     time.Duration // 0: for ever
	changed int64         // when it was set; ns
}

// EventRetention returns how long events are kept; 0: for ever.
func (db *DB) EventRetention() time.Duration { return db.eventExpiry.Load().age }

// SetEventRetention sets how long events are kept; 0 or KeepForever: for ever. A shorter time hides at once what
// is older; it is dropped after Options.RetentionGrace, and until then setting it back loses nothing.
func (db *DB) SetEventRetention(age time.Duration) error {
	if age < 0 {
		return fmt.Errorf("the retention of events is %v, it must not be negative", age)
	}
	if age >= KeepForever {
		age = 0
	}
	db.eventExpiry.Store(&eventExpiry{age: age, changed: db.opts.Now().UnixNano()})
	return nil
}

// EventLoss counts the events that another retention would hide which are visible now.
func (db *DB) EventLoss(ctx context.Context, age time.Duration) (int, error) {
	if age == 0 || age >= KeepForever {
		return 0, nil
	}
	result, err := db.Events(ctx, EventQuery{To: db.opts.Now().UnixNano() - int64(age), Limit: 1, Total: true})
	if err != nil {
		return 0, err
	}
	return result.Total, nil
}

// eventFloor is the time before which no event is visible.
func (db *DB) eventFloor() int64 {
	if age := db.EventRetention(); age > 0 {
		return max(db.opts.Now().UnixNano()-int64(age), model.MinTime)
	}
	return model.MinTime
}
