package record

import (
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/flopynet/collector/model"
)

func TestDeleteRoundTrip(t *testing.T) {
	many := make([]model.SeriesID, 100_000)
	for i := range many {
		many[i] = model.SeriesID(1000 + 3*i)
	}
	tests := []struct {
		name     string
		from, to int64
		ids      []model.SeriesID
		body     string // in hex; empty: not checked
	}{
		{"no series", 1, 2, nil, "020400"},
		{"one series", 0, 1, []model.SeriesID{300}, "000201ac02"},
		{"some series", -1, 64, []model.SeriesID{7, 8, 300}, "018001030701a402"},
		{"the extremes", math.MinInt64, math.MaxInt64, []model.SeriesID{0, 1, math.MaxUint64 - 1, math.MaxUint64}, ""},
		{"many series", 0, 1, many, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			payload := AppendDelete([]byte("abc"), test.from, test.to, test.ids)
			if string(payload[:3]) != "abc" {
				t.Errorf("the destination's bytes became %q", payload[:3])
			}
			payload = AppendUnit(payload[3:], 1, "s")
			if len(payload) > 40+2*len(test.ids) {
				t.Errorf("%d series take %d bytes", len(test.ids), len(payload))
			}
			reader := NewReader(payload)
			if !reader.Next() || reader.Kind() != KindDelete || reader.Kind().String() != "delete" {
				t.Fatalf("read as %s, %v", reader.Kind(), reader.Err())
			}
			from, to, ids, err := reader.Delete()
			if err != nil || from != test.from || to != test.to || !slices.Equal(ids, test.ids) {
				t.Errorf("read [%d, %d) of %d series, %v", from, to, len(ids), err)
			}
			if !reader.Next() || reader.Kind() != KindUnit {
				t.Errorf("behind it is %s, %v", reader.Kind(), reader.Err())
			}
			want, err := hex.DecodeString(test.body)
			if got := payload[headerBytes : headerBytes+len(want)]; err != nil || !slices.Equal(got, want) {
				t.Errorf("the body is %x, want %s, %v", got, test.body, err)
			}
		})
	}
}

func TestAppendDeletePanics(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to int64
		ids      []model.SeriesID
	}{
		{"empty range", 5, 5, []model.SeriesID{1}},
		{"reversed range", 5, 4, []model.SeriesID{1}},
		{"a series twice", 4, 5, []model.SeriesID{1, 1}},
		{"descending", 4, 5, []model.SeriesID{2, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			AppendDelete(nil, test.from, test.to, test.ids)
		})
	}
}

// checkDelete reads the delete at the reader, whatever its bytes are: it is refused, or it is one that
// could have been written.
func checkDelete(t *testing.T, reader *Reader) {
	t.Helper()
	from, to, ids, err := reader.Delete()
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("error %v", err)
		}
		return
	}
	if len(ids) > len(reader.body) {
		t.Fatalf("%d series from %d bytes", len(ids), len(reader.body))
	}
	again := NewReader(AppendDelete(nil, from, to, ids)) // panics if the record can't be
	if !again.Next() {
		t.Fatal(again.Err())
	}
	from2, to2, ids2, err := again.Delete()
	if err != nil || from2 != from || to2 != to || !slices.Equal(ids2, ids) {
		t.Fatalf("[%d, %d) of %v became [%d, %d) of %v, %v", from, to, ids, from2, to2, ids2, err)
	}
}
