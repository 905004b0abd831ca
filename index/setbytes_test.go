package index

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/model"
)

func TestSetBytes(t *testing.T) {
	rng := newRand(t)
	for range 300 {
		s, want := new(Set), setModel{}
		for range rng.IntN(50) {
			first := randomID(rng)
			for i := range model.SeriesID(1 + rng.IntN(30)) {
				s.Add(first + i)
				want[first+i] = true
			}
		}
		data := AppendSet([]byte("abc"), s)
		checkSet(t, "AppendSet", s, want)
		if string(data[:3]) != "abc" {
			t.Fatalf("the destination's bytes became %q", data[:3])
		}
		got, err := ParseSet(data[3:])
		if err != nil {
			t.Fatal(err)
		}
		clear(data) // the set must not share it
		checkSet(t, "ParseSet", got, want)
	}
}

// TestSetBytesAreCompact encodes the series of a delete of everything.
func TestSetBytesAreCompact(t *testing.T) {
	s := new(Set)
	for id := range model.SeriesID(3 << pieceBits) {
		s.Add(id + 1)
	}
	if n := len(AppendSet(nil, s)); n > 800 {
		t.Errorf("%d bytes for %d ids in a row", n, s.Len())
	}
}

func TestParseSetRefuses(t *testing.T) {
	one := AppendSet(nil, NewSet(5))
	for name, data := range map[string][]byte{
		"a number cut short":    {0x80},
		"a number too high":     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0},
		"no length":             one[:1],
		"a bitmap cut short":    one[:len(one)-1],
		"a piece twice":         slices.Concat(one, one),
		"pieces not ascending":  slices.Concat(AppendSet(nil, NewSet(1<<pieceBits)), one),
		"an empty piece":        {0, 8, 0x3a, 0x30, 0, 0, 0, 0, 0, 0},
		"a bitmap of no format": {0, 8, 1, 2, 3, 4, 5, 6, 7, 8},
	} {
		if s, err := ParseSet(data); !errors.Is(err, model.ErrBadEncoding) {
			t.Errorf("%s: read as %v, %v", name, s, err)
		}
	}
}

// FuzzParseSet checks that what is accepted is a set that comes back.
func FuzzParseSet(f *testing.F) {
	f.Add(AppendSet(nil, NewSet(1, 2, 3, 1000, 5<<pieceBits, 5<<pieceBits+7, 1<<63)))
	f.Add(AppendSet(nil, NewSet()))
	f.Add([]byte{0, 8, 0x3a, 0x30, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSet(data)
		if err != nil {
			if !errors.Is(err, model.ErrBadEncoding) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := ParseSet(AppendSet(nil, s))
		if err != nil || !slices.Equal(again.AppendTo(nil), s.AppendTo(nil)) {
			t.Fatalf("%x was read as %d ids, which came back as %d, %v", data, s.Len(), again.Len(), err)
		}
		if !slices.IsSorted(s.AppendTo(nil)) || s.Len() != len(s.AppendTo(nil)) {
			t.Fatal("the ids don't ascend")
		}
	})
}

func TestSetExample(t *testing.T) {
	want := doctest.Example(t, "set")
	if got := AppendSet(nil, NewSet(7, 300, 1_048_577)); !bytes.Equal(got, want) {
		t.Fatalf("the set is encoded as %x, the document says %x", got, want)
	}
}
