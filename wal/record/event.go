package record

import (
	"encoding/binary"
	"fmt"

	"github.com/flopynet/collector/model"
)

// The body of an event record is a batch of events: their number, then each of them.
//
//	+---------------+---------------------------------------------------------------------------+
//	| count uvarint | time varint, then id, component, type, level, message, details: strings   | ...
//	+---------------+---------------------------------------------------------------------------+
//
// A string is its length as a uvarint and its bytes. Details of no bytes are none.

// MaxEvents bounds the events of one record, and so what a reader makes of few bytes.
const MaxEvents = 1 << 16

// minEventBytes is the length of the shortest event.
const minEventBytes = 7

// AppendEvents appends the record of a batch of events. It panics when there are more than MaxEvents.
func AppendEvents(dst []byte, events []model.Event) []byte {
	if len(events) > MaxEvents {
		panic(fmt.Sprintf("record: %d events", len(events)))
	}
	dst, start := beginRecord(dst, KindEvents)
	dst = binary.AppendUvarint(dst, uint64(len(events)))
	for i := range events {
		dst = AppendEvent(dst, &events[i])
	}
	return endRecord(dst, start)
}

// AppendEvent appends one event as it stands in the record of a batch.
func AppendEvent(dst []byte, e *model.Event) []byte {
	dst = binary.AppendVarint(dst, e.Time)
	for _, text := range [...]string{e.ID, e.Component, e.Type, e.Level, e.Message} {
		dst = appendText(dst, text)
	}
	return append(binary.AppendUvarint(dst, uint64(len(e.Details))), e.Details...)
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// DecodeEvent is the inverse of AppendEvent for bytes that hold one event and nothing else. The event has
// memory of its own. An error wraps ErrMalformed.
func DecodeEvent(body []byte) (model.Event, error) {
	event, rest, err := cutEvent(string(body), body)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d bytes after the event", len(rest))
	}
	if err != nil {
		return model.Event{}, fmt.Errorf("%w: event: %w", ErrMalformed, err)
	}
	return event, nil
}

// decodeEvents is the inverse of AppendEvents for a record's body. The events' texts are parts of one string.
func decodeEvents(body []byte) ([]model.Event, error) {
	count, rest, err := cutUvarint(body)
	if err != nil {
		return nil, err
	}
	if count > MaxEvents || count > uint64(len(rest)/minEventBytes) {
		return nil, fmt.Errorf("%d events in %d bytes", count, len(rest))
	}
	text := string(rest)
	events := make([]model.Event, count)
	for i := range events {
		if events[i], rest, err = cutEvent(text, rest); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes after the last event", len(rest))
	}
	return events, nil
}

// cutEvent reads the event at the front of rest, which is the end of text, and returns what is behind it.
func cutEvent(text string, rest []byte) (e model.Event, _ []byte, err error) {
	packed, rest, err := cutUvarint(rest)
	if err != nil {
		return e, nil, err
	}
	e.Time = unzigzag(packed)
	for _, field := range [...]*string{&e.ID, &e.Component, &e.Type, &e.Level, &e.Message} {
		var length uint64
		if length, rest, err = cutLength(rest); err != nil {
			return e, nil, err
		}
		start := len(text) - len(rest)
		*field, rest = text[start:start+int(length)], rest[length:]
	}
	length, rest, err := cutLength(rest)
	if err != nil {
		return e, nil, err
	}
	if length > 0 {
		e.Details = append([]byte(nil), rest[:length]...)
	}
	return e, rest[length:], nil
}

// cutLength reads a length that the bytes behind it have.
func cutLength(body []byte) (length uint64, rest []byte, err error) {
	if length, rest, err = cutUvarint(body); err != nil {
		return 0, nil, err
	}
	if length > uint64(len(rest)) {
		return 0, nil, fmt.Errorf("a text of %d bytes is cut short at %d", length, len(rest))
	}
	return length, rest, nil
}

// EventParts are those parts of an event that tell whether it is wanted. They are parts of the bytes they were read from.
type EventParts struct{ Component, Type, Level, Details []byte }

// PeekEvent reads parts of an event that AppendEvent wrote, without memory of its own. An error wraps ErrMalformed.
func PeekEvent(body []byte) (parts EventParts, err error) {
	_, rest, err := cutUvarint(body)
	var id, message []byte
	for _, field := range [...]*[]byte{&id, &parts.Component, &parts.Type, &parts.Level, &message, &parts.Details} {
		var length uint64
		if err == nil {
			length, rest, err = cutLength(rest)
		}
		if err != nil {
			return EventParts{}, fmt.Errorf("%w: event: %w", ErrMalformed, err)
		}
		*field, rest = rest[:length], rest[length:]
	}
	if len(parts.Details) == 0 {
		parts.Details = nil
	}
	return parts, nil
}
