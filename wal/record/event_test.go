package record

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/model"
)

func exampleEvents() []model.Event {
	const second = 1_000_000_000
	return []model.Event{
		{ID: "e1", Time: 1_700_000_000 * second, Component: "policy_engine", Type: "policy_violation", Level: "warning",
			Message: "too many flows", Details: []byte(`{"flows":9}`)},
		{ID: "e2", Time: 1_700_000_001 * second, Component: "fl_server", Type: "round_end", Level: "info"},
	}
}

func TestEventsRoundTrip(t *testing.T) {
	for _, test := range []struct {
		name   string
		events []model.Event
	}{
		{"none", []model.Event{}},
		{"two", exampleEvents()},
		{"empty", []model.Event{{}}},
		{"the extremes", []model.Event{{Time: math.MinInt64}, {Time: math.MaxInt64, Message: strings.Repeat("é", 1<<16)}}},
		{"very many", make([]model.Event, MaxEvents)},
	} {
		reader := NewReader(AppendUnit(AppendEvents([]byte("abc"), test.events)[3:], 1, "s"))
		if !reader.Next() || reader.Kind() != KindEvents {
			t.Fatalf("%s: read as %s, %v", test.name, reader.Kind(), reader.Err())
		}
		events, err := reader.Events()
		if diff := cmp.Diff(test.events, events); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
		if !reader.Next() || reader.Kind() != KindUnit {
			t.Errorf("%s: behind it is %s, %v", test.name, reader.Kind(), reader.Err())
		}
		for i := range test.events {
			body := AppendEvent(nil, &test.events[i])
			if parts, err := PeekEvent(body); err != nil || string(parts.Component) != test.events[i].Component ||
				string(parts.Type) != test.events[i].Type || string(parts.Level) != test.events[i].Level || string(parts.Details) != string(test.events[i].Details) {
				t.Errorf("the parts of %+v are %s, %v", test.events[i], parts, err)
			}
			if _, err := PeekEvent(body[:len(body)-1]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s: parts of an event that is cut off: %v", test.name, err)
			}
			if event, err := DecodeEvent(body); err != nil || !cmp.Equal(event, test.events[i]) {
				t.Fatalf("%s: %+v became %+v, %v", test.name, test.events[i], event, err)
			}
			if _, err := DecodeEvent(append(body, 0)); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s: a byte behind an event gives %v", test.name, err)
			}
			if i > 100 {
				break
			}
		}
	}
}

func TestAppendEventsPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	AppendEvents(nil, make([]model.Event, MaxEvents+1))
}

func exampleAnswer() *Answer {
	answer := &Answer{Time: 1_700_000_000_000_000_000, Status: 200, ContentType: "application/json", Body: []byte("{}\n")}
	for i := range answer.Key {
		answer.Key[i], answer.Request[i] = byte(i), byte(0xe0+i)
	}
	return answer
}

func TestAnswerRoundTrip(t *testing.T) {
	for _, answer := range []*Answer{{}, exampleAnswer(), {Time: math.MinInt64, Status: 999, Body: make([]byte, 1<<20)}} {
		reader := NewReader(AppendAnswer(nil, answer))
		if !reader.Next() || reader.Kind() != KindAnswer {
			t.Fatalf("read as %s, %v", reader.Kind(), reader.Err())
		}
		if got, err := reader.Answer(); err != nil || !cmp.Equal(got, answer) {
			t.Errorf("%+v became %+v, %v", answer, got, err)
		}
		if got, err := DecodeAnswerBody(AppendAnswerBody(nil, answer)); err != nil || !cmp.Equal(got, answer) {
			t.Errorf("%+v became %+v, %v", answer, got, err)
		}
	}
}

// checkEvents reads the events at the reader, whatever its bytes are: they are refused, or could have been
// written.
func checkEvents(t *testing.T, reader *Reader) {
	t.Helper()
	events, err := reader.Events()
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("error %v", err)
		}
		return
	}
	if len(events) > len(reader.body)/minEventBytes {
		t.Fatalf("%d events from %d bytes", len(events), len(reader.body))
	}
	again := NewReader(AppendEvents(nil, events))
	again.Next()
	if events2, err := again.Events(); err != nil || !cmp.Equal(events, events2) {
		t.Fatalf("%+v became %+v, %v", events, events2, err)
	}
}

// checkAnswer is checkEvents for an answer.
func checkAnswer(t *testing.T, reader *Reader) {
	t.Helper()
	answer, err := reader.Answer()
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("error %v", err)
		}
		return
	}
	again := NewReader(AppendAnswer(nil, answer))
	again.Next()
	if answer2, err := again.Answer(); err != nil || !cmp.Equal(answer, answer2) {
		t.Fatalf("%+v became %+v, %v", answer, answer2, err)
	}
}
