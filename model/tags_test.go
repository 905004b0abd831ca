package model

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for _, row := range []struct{ name, given, want string }{
		{"none", "", ""},
		{"sorted", "a=1 b=2", "a=1 b=2"},
		{"unsorted", "b=2 c=3 a=1", "a=1 b=2 c=3"},
		{"empty value is no tag", "b= a=1", "a=1"},
		{"all empty", "b= a=", ""},
		{"the later duplicate stands", "a=1 b=2 a=3", "a=3 b=2"},
		{"a later empty duplicate removes", "a=1 b=2 a=", "b=2"},
		{"a later value brings back", "a= a=1", "a=1"},
		{"three of a key", "a=1 a=2 a=3", "a=3"},
	} {
		if got, want := Normalize(parseTags(row.given)), parseTags(row.want); !slices.Equal(got, want) {
			t.Errorf("%s: Normalize(%q) = %v, want %v", row.name, row.given, got, want)
		}
	}
}

// parseTags reads "key=value key=value".
func parseTags(text string) Tags {
	var tags Tags
	for field := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(field, "=")
		tags = append(tags, Tag{key, value})
	}
	return tags
}

// TestNormalizeModel compares Normalize with a map.
func TestNormalizeModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		var given Tags
		want := map[string]string{}
		for range rng.IntN(12) {
			tag := Tag{Key: string('a' + rune(rng.IntN(6))), Value: strings.Repeat("v", rng.IntN(3))}
			given = append(given, tag)
			want[tag.Key] = tag.Value
		}
		for key, value := range want {
			if value == "" {
				delete(want, key)
			}
		}
		got := Normalize(slices.Clone(given))
		if len(got) != len(want) {
			t.Fatalf("Normalize(%v) = %v, want %v", given, got, want)
		}
		for i, tag := range got {
			if want[tag.Key] != tag.Value || (i > 0 && got[i-1].Key >= tag.Key) {
				t.Fatalf("Normalize(%v) = %v, want %v", given, got, want)
			}
			if got.Get(tag.Key) != tag.Value {
				t.Fatalf("Get(%q) of %v is %q", tag.Key, got, got.Get(tag.Key))
			}
		}
		if got.Get("absent") != "" {
			t.Fatal("an absent tag has a value")
		}
	}
}

func TestIdentityRoundTrip(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	for _, row := range []struct {
		name string
		tags Tags
	}{
		{"", nil},
		{"cpu", nil},
		{"cpu", Tags{{"host", "a"}}},
		{"cpu", Tags{{"a", "\x00"}, {"host", "é"}, {"source", "s"}}},
		{long, Tags{{"k", long}, {long, "v"}}},
	} {
		identity := AppendIdentity([]byte("before"), row.name, row.tags)[len("before"):]
		name, tags, err := DecodeIdentity(identity)
		if err != nil || name != row.name || !slices.Equal(tags, row.tags) {
			t.Errorf("%.20q %.60v came back as %.20q %.60v, %v", row.name, row.tags, name, tags, err)
		}
	}
}

func TestDecodeIdentityRefuses(t *testing.T) {
	for _, row := range []struct{ name, encoded string }{
		{"nothing", ""},
		{"name cut short", "03 61 62"},
		{"key without value", "01 61 01 62"},
		{"value cut short", "01 61 01 62 02 63"},
		{"empty key", "01 61 00 01 63"},
		{"empty value", "01 61 01 62 00"},
		{"keys descend", "01 61 01 63 01 78 01 62 01 78"},
		{"key twice", "01 61 01 62 01 78 01 62 01 78"},
		{"length not minimal", "81 00 61"},
		{"zero length not minimal", "80 00"},
		{"length cut short", "80"},
		{"length of six bytes", "80 80 80 80 80 01"},
		{"huge length", "ff ff ff ff 7f 61"},
	} {
		encoded, err := hex.DecodeString(strings.ReplaceAll(row.encoded, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if name, tags, err := DecodeIdentity(encoded); !errors.Is(err, ErrBadEncoding) {
			t.Errorf("%s: got %q %v, error %v, want ErrBadEncoding", row.name, name, tags, err)
		}
	}
}

func TestDecodeIdentityDoesNotShareMemory(t *testing.T) {
	identity := AppendIdentity(nil, "cpu", Tags{{"host", "a"}})
	name, tags, err := DecodeIdentity(identity)
	if err != nil {
		t.Fatal(err)
	}
	clear(identity)
	if name != "cpu" || tags[0] != (Tag{"host", "a"}) {
		t.Errorf("became %q %v", name, tags)
	}
}

// FuzzDecodeIdentity checks that what is accepted is exactly what AppendIdentity writes.
func FuzzDecodeIdentity(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendIdentity(nil, "cpu", nil))
	f.Add(AppendIdentity(nil, "cpu", Tags{{"host", "a"}, {"source", "s"}}))
	f.Add(AppendIdentity(nil, strings.Repeat("x", 300), Tags{{"k", strings.Repeat("y", 130)}}))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		name, tags, err := DecodeIdentity(encoded)
		if err != nil {
			if !errors.Is(err, ErrBadEncoding) {
				t.Fatalf("error %v, want ErrBadEncoding", err)
			}
			return
		}
		if again := AppendIdentity(nil, name, tags); !bytes.Equal(again, encoded) {
			t.Fatalf("%x was read as %q %v, which is %x", encoded, name, tags, again)
		}
		if normalized := Normalize(slices.Clone(tags)); !slices.Equal(normalized, tags) {
			t.Fatalf("%v was accepted, normalized it is %v", tags, normalized)
		}
	})
}
