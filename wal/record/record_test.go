package record

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/model"
)

// TestFormatExamples holds the encoder and the decoder to the examples of docs/format.md.
func TestFormatExamples(t *testing.T) {
	identity := model.AppendIdentity(nil, "cpu", model.Tags{{Key: "host", Value: "a"}})
	const second = 1_000_000_000
	tests := []struct {
		name    string
		payload []byte
	}{
		{"record-definition", AppendDefinition(nil, 7, identity)},
		{"record-unit", AppendUnit(nil, 300, "%")},
		{"record-delete", AppendDelete(nil, 1_700_000_000*second, 1_700_003_600*second, []model.SeriesID{7, 8, 300})},
		{"record-events", AppendEvents(nil, exampleEvents())},
		{"record-answer", AppendAnswer(nil, exampleAnswer())},
		{"record-samples", AppendSamples(nil,
			[]model.SeriesID{7, 8, 9, 10, 7},
			[]int64{1_700_000_000 * second, 1_700_000_000 * second, 1_700_000_000 * second, 1_700_000_000 * second, 1_700_000_010 * second},
			[]float64{0, 98.25, -3, math.Inf(1), 1.5})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if want := doctest.Example(t, test.name); !bytes.Equal(test.payload, want) {
				t.Errorf("encoded as\n%x, documented as\n%x", test.payload, want)
			}
			reader := NewReader(test.payload)
			if !reader.Next() || reader.Kind().String() != test.name[len("record-"):] {
				t.Errorf("read as %s, %v", reader.Kind(), reader.Err())
			}
		})
	}
}

func TestReaderGoesThroughAPayload(t *testing.T) {
	identity := model.AppendIdentity(nil, "loss", model.Tags{{Key: "source", Value: "client-1"}})
	payload := AppendDefinition(nil, 1, identity)
	payload = AppendUnit(payload, math.MaxUint64, "µs")
	payload = AppendUnit(payload, 2, "")
	payload = AppendSamples(payload, nil, nil, nil)
	payload = AppendSamples(payload, []model.SeriesID{1}, []int64{5}, []float64{0.25})

	reader := NewReader(payload)
	if !reader.Next() || reader.Kind() != KindDefinition {
		t.Fatalf("no definition: %v", reader.Err())
	}
	if id, got, err := reader.Definition(); err != nil || id != 1 || !bytes.Equal(got, identity) {
		t.Errorf("definition of %d: %q, %v", id, got, err)
	}
	for _, want := range []struct {
		id   model.SeriesID
		unit string
	}{{math.MaxUint64, "µs"}, {2, ""}} {
		if !reader.Next() || reader.Kind() != KindUnit {
			t.Fatalf("no unit: %v", reader.Err())
		}
		if id, unit, err := reader.Unit(); err != nil || id != want.id || unit != want.unit {
			t.Errorf("unit of %d: %q, %v", id, unit, err)
		}
	}
	for _, want := range []int{0, 1} {
		if !reader.Next() || reader.Kind() != KindSamples {
			t.Fatalf("no samples: %v", reader.Err())
		}
		ids, times, values, err := reader.Samples(nil, nil, nil)
		if err != nil || len(ids) != want || len(times) != want || len(values) != want {
			t.Errorf("samples: %v %v %v, %v", ids, times, values, err)
		}
	}
	if reader.Next() || reader.Err() != nil {
		t.Errorf("after the last record: %s, %v", reader.Kind(), reader.Err())
	}
}

func TestReaderRefuses(t *testing.T) {
	unit := AppendUnit(nil, 300, "s")
	tests := []struct {
		name    string
		payload []byte
		want    error
	}{
		{"kind 0", []byte{0, 0, 0, 0, 0}, ErrUnknownKind},
		{"kind 7, reserved", []byte{7, 0, 0, 0, 0}, ErrUnknownKind},
		{"a header cut short", unit[:4], ErrMalformed},
		{"a body cut short", unit[:len(unit)-1], ErrMalformed},
		{"a length beyond everything", []byte{1, 0xff, 0xff, 0xff, 0xff, 1}, ErrMalformed},
		{"no series", []byte{1, 0, 0, 0, 0}, ErrMalformed},
		{"a series cut short", []byte{2, 0, 0, 0, 1, 0x80}, ErrMalformed},
		{"a good record, then a bad one", append(bytes.Clone(unit), 9, 0, 0, 0, 0), ErrUnknownKind},
		{"samples without a count", []byte{3, 0, 0, 0, 0}, ErrMalformed},
		{"no samples, but bytes", []byte{3, 0, 0, 0, 2, 0, 0}, ErrMalformed},
		{"more samples than bytes can hold", []byte{3, 0, 0, 0, 4, 0xff, 0xff, 0x7f, 0}, ErrMalformed},
		{"a run longer than its column", []byte{3, 0, 0, 0, 8, 2, 0, 1, 2<<1 | 1, 0, 2, 0, 0}, ErrMalformed},
		{"a run of length 0", []byte{3, 0, 0, 0, 8, 2, 0, 1, 0<<1 | 1, 0, 2, 0, 0}, ErrMalformed},
		{"an odd time exponent", []byte{3, 0, 0, 0, 6, 1, 2, 1, 2, 0, 0}, ErrMalformed},
		{"a scale beyond the largest", []byte{3, 0, 0, 0, 6, 1, 0, 1, 2, 13, 0}, ErrMalformed},
		{"a class behind the last value", []byte{3, 0, 0, 0, 6, 1, 0, 1, 2, 0, 0x10}, ErrMalformed},
		{"values cut short", []byte{3, 0, 0, 0, 7, 1, 0, 1, 2, 0, 2, 1}, ErrMalformed},
		{"raw values cut short", []byte{3, 0, 0, 0, 7, 1, 0, 1, 2, 255, 1, 1}, ErrMalformed},
		{"a delete of nothing at all", []byte{5, 0, 0, 0, 0}, ErrMalformed},
		{"a delete without an end", []byte{5, 0, 0, 0, 1, 2}, ErrMalformed},
		{"a delete without a count", []byte{5, 0, 0, 0, 2, 2, 4}, ErrMalformed},
		{"a delete of an empty range", []byte{5, 0, 0, 0, 3, 4, 4, 0}, ErrMalformed},
		{"a delete of a reversed range", []byte{5, 0, 0, 0, 3, 4, 2, 0}, ErrMalformed},
		{"a delete of more series than bytes", []byte{5, 0, 0, 0, 4, 2, 4, 2, 1}, ErrMalformed},
		{"a delete of very many series", []byte{5, 0, 0, 0, 8, 2, 4, 0xff, 0xff, 0xff, 0xff, 0x0f, 1}, ErrMalformed},
		{"a delete with a series cut short", []byte{5, 0, 0, 0, 5, 2, 4, 2, 1, 0x80}, ErrMalformed},
		{"a delete of a series twice", []byte{5, 0, 0, 0, 5, 2, 4, 2, 1, 0}, ErrMalformed},
		{"a delete whose ids overflow", []byte{5, 0, 0, 0, 14, 2, 4, 2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, ErrMalformed},
		{"bytes behind a delete", []byte{5, 0, 0, 0, 5, 2, 4, 1, 1, 1}, ErrMalformed},
		{"events without a count", []byte{4, 0, 0, 0, 0}, ErrMalformed},
		{"more events than bytes can hold", []byte{4, 0, 0, 0, 2, 1, 0}, ErrMalformed},
		{"more events than are allowed", append([]byte{4, 0, 8, 0, 0, 0x81, 0x80, 0x04}, make([]byte, 0x80000-3)...), ErrMalformed},
		{"an event whose time is cut short", []byte{4, 0, 0, 0, 8, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, ErrMalformed},
		{"an event with a text cut short", []byte{4, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 3, 0}, ErrMalformed},
		{"an event with details cut short", []byte{4, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 1}, ErrMalformed},
		{"bytes behind the last event", []byte{4, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0}, ErrMalformed},
		{"an answer without all of its hashes", append([]byte{6, 0, 0, 0, 63}, make([]byte, 63)...), ErrMalformed},
		{"an answer without a time", append([]byte{6, 0, 0, 0, 64}, make([]byte, 64)...), ErrMalformed},
		{"an answer without a status", append([]byte{6, 0, 0, 0, 65}, make([]byte, 65)...), ErrMalformed},
		{"an answer with a status beyond all", append([]byte{6, 0, 0, 0, 68}, append(make([]byte, 65), 0xe8, 7, 0)...), ErrMalformed},
		{"an answer with a type cut short", append([]byte{6, 0, 0, 0, 67}, append(make([]byte, 66), 1)...), ErrMalformed},
		{"a compressed record that is no block", []byte{8, 0, 0, 0, 2, 5, 0xff}, ErrMalformed},
		{"a compressed record without a block", []byte{8, 0, 0, 0, 0}, ErrMalformed},
		{"a compressed record that claims 4 GiB", []byte{8, 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}, ErrMalformed},
		{"something behind a compressed record", append(compressed(t, unit), unit...), ErrMalformed},
		{"a compressed record behind another", append(bytes.Clone(unit), compressed(t, unit)...), ErrMalformed},
		{"a compressed record inside one", compressed(t, compressed(t, unit)), ErrMalformed},
		{"a bad record inside a compressed one", compressed(t, []byte{9, 0, 0, 0, 0}), ErrUnknownKind},
		{"bytes behind the values", []byte{3, 0, 0, 0, 7, 1, 0, 1, 2, 0, 0, 1}, ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := readAll(test.payload); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// readAll decodes every record of a payload.
func readAll(payload []byte) error {
	reader := NewReader(payload)
	for reader.Next() {
		var err error
		switch reader.Kind() {
		case KindDefinition:
			_, _, err = reader.Definition()
		case KindUnit:
			_, _, err = reader.Unit()
		case KindSamples:
			_, _, _, err = reader.Samples(nil, nil, nil)
		case KindEvents:
			_, err = reader.Events()
		case KindDelete:
			_, _, _, err = reader.Delete()
		case KindAnswer:
			_, err = reader.Answer()
		}
		if err != nil {
			return err
		}
	}
	return reader.Err()
}

func FuzzRecords(f *testing.F) {
	f.Add(AppendUnit(AppendDefinition(nil, 1, []byte("\x01a")), 1, "s"))
	for _, batch := range exampleBatches() {
		n := min(len(batch.ids), 40)
		f.Add(AppendSamples(nil, batch.ids[:n], batch.times[:n], batch.values[:n]))
	}
	packed, _ := AppendCompressed(nil, bytes.Repeat(AppendUnit(nil, 1, "s"), 50))
	f.Add(packed)
	f.Add(AppendDelete(nil, -1, 1<<60, []model.SeriesID{0, 1, 300, math.MaxUint64}))
	f.Add(AppendEvents(AppendAnswer(nil, exampleAnswer()), exampleEvents()))
	f.Fuzz(func(t *testing.T, payload []byte) {
		reader := NewReader(payload)
		for reader.Next() {
			switch reader.Kind() {
			case KindSamples:
			case KindDelete:
				checkDelete(t, reader)
				continue
			case KindEvents:
				checkEvents(t, reader)
				continue
			case KindAnswer:
				checkAnswer(t, reader)
				continue
			default:
				_, _, _ = reader.Definition()
				continue
			}
			ids, times, values, err := reader.Samples(nil, nil, nil)
			if err != nil {
				continue
			}
			if len(ids) > 2*len(reader.payload) {
				t.Fatalf("%d samples from %d bytes", len(ids), len(reader.payload))
			}
			checkRoundTrip(t, batch{ids: ids, times: times, values: values})
		}
	})
}
