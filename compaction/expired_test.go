package compaction

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/doctest"
)

var compareExpired = cmp.AllowUnexported(Expired{}, drop{}, pattern{})

func TestExpired(t *testing.T) {
	first := Policy{Default: Retention{Raw: day}, Rules: []Rule{{Match: "debug_*"}}}
	shorter := Policy{Default: Retention{Raw: 1}, Rules: []Rule{{Match: "debug_*", Retention: Retention{Raw: 2}}}}
	second := Policy{Rules: []Rule{{Match: "*", Source: "edge"}}}

	empty := new(Expired)
	one := empty.Note(first, 0, 100)
	two := one.Note(shorter, 1, 300) // the same patterns: the same classes
	three := two.Note(second, 1, 200)
	for _, c := range []struct {
		name         string
		expired      *Expired
		metric, from string
		want         int64
	}{
		{"nothing", empty, "cpu", "edge", 0},
		{"default", one, "cpu", "edge", 100},
		{"another class", one, "debug_a", "edge", 0},
		{"a copy leaves the old value alone", one, "debug_a", "lab", 0},
		{"changed durations", two, "debug_a", "lab", 300},
		{"of the default still", two, "cpu", "lab", 100},
		{"the second goes further", three, "cpu", "edge", 200},
		{"the first went further", three, "debug_a", "edge", 300},
		{"the second doesn't have it", three, "cpu", "lab", 100},
		{"not lowered", three.Note(first, 1, 250), "debug_a", "lab", 300},
		{"pruned", three.Prune(200), "cpu", "edge", 100},
		{"an entry stays whole", three.Prune(200), "debug_a", "edge", 300},
		{"pruned of all", three.Prune(300), "debug_a", "edge", 0},
	} {
		if got := c.expired.Through(c.metric, c.from); got != c.want {
			t.Errorf("%s: %s from %s was dropped through %d, want %d", c.name, c.metric, c.from, got, c.want)
		}
	}
	if plain := empty.Note(Policy{}, 0, 5); !empty.Uniform() || !plain.Uniform() || plain.Note(first, 0, 6).Uniform() {
		t.Error("a drop is uniform if it was of all series alike")
	}
	if len(two.drops) != 1 {
		t.Errorf("durations alone made an entry of their own: %+v", two.drops)
	}
	for _, same := range []*Expired{three.Note(first, 1, 300), three.Note(first, 0, 0), three.Prune(199)} {
		if same != three {
			t.Error("what changes nothing made a copy")
		}
	}
}

// TestExpiredAgainstAListOfDrops compares with a model that remembers every drop and the policy it fell
// under, and asks that policy.
func TestExpiredAgainstAListOfDrops(t *testing.T) {
	random := newRandom(t)
	type noted struct {
		policy  Policy
		class   int
		through int64
	}
	for round := range 2000 {
		var drops []noted
		expired, pruned := new(Expired), int64(0)
		policies := []Policy{randomPolicy(random), randomPolicy(random), randomPolicy(random)}
		for range random.IntN(12) {
			p := policies[random.IntN(len(policies))]
			drop := noted{p, random.IntN(p.Classes()), random.Int64N(50)}
			drops = append(drops, drop)
			before := expired.AppendBinary(nil)
			next := expired.Note(drop.policy, drop.class, drop.through)
			if random.IntN(4) == 0 {
				pruned = max(pruned, random.Int64N(30))
				next = next.Prune(pruned)
			}
			if diff := cmp.Diff(before, expired.AppendBinary(nil)); diff != "" {
				t.Fatalf("round %d: the old value changed:\n%s", round, diff)
			}
			var err error
			if expired, err = ParseExpired(next.AppendBinary(nil)); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		for range 20 {
			name, source := randomText(random, "ab", 0, 4), randomText(random, "ab", 0, 3)
			want := int64(0)
			for _, drop := range drops {
				if drop.policy.ClassOf(name, source) == drop.class {
					want = max(want, drop.through)
				}
			}
			got := expired.Through(name, source)
			if got != want && (want > pruned || got > want) {
				t.Fatalf("round %d: %q from %q was dropped through %d, want %d, pruned before %d", round, name, source, got, want, pruned)
			}
		}
	}
}

func TestExpiredEncoding(t *testing.T) {
	const through = 1_705_276_800_000_000_000 // 2024-01-15T00:00:00Z
	p := Policy{Rules: []Rule{{Match: "debug_*"}}}
	got := fmt.Sprintf("% x", new(Expired).Note(p, 1, through).AppendBinary([]byte{0xaa}))
	want := "aa 01 01 01 07 64 65 62 75 67 5f 2a 00 00 80 80 dc 9d ef 86 97 d5 17 fe 29 94 eb"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseExpiredRefuses(t *testing.T) {
	whole := new(Expired).Note(Policy{Rules: []Rule{{Match: "a", Source: "b"}}}, 1, 1000).AppendBinary(nil)
	for i := range whole {
		if _, err := ParseExpired(whole[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", i, err)
		}
		flipped := append([]byte(nil), whole...)
		flipped[i] ^= 1
		if _, err := ParseExpired(flipped); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit flipped at %d: %v", i, err)
		}
	}
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"nothing", nil},
		{"another version", []byte{2, 0}},
		{"no count", []byte{1}},
		{"bytes behind the end", []byte{1, 0, 0}},
		{"more entries than bytes", []byte{1, 200, 1}},
		{"a string beyond the end", []byte{1, 1, 1, 9, 'a', 0, 0}},
		{"no time for the rule", []byte{1, 1, 1, 1, 'a', 0, 0}},
		{"a time beyond int64", binary.AppendUvarint([]byte{1, 1, 0}, 1<<63)},
		{"a number beyond uint64", []byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}},
	} {
		if _, err := ParseExpired(sealed(c.body)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func sealed(body []byte) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), body...), crc32.Checksum(body, castagnoli))
}

// FuzzParseExpired gives every text a right checksum too, since none would be found by chance.
func FuzzParseExpired(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0})
	f.Add([]byte{1, 1, 1, 1, '*', 0, 5, 6})
	e := new(Expired).Note(Policy{}, 0, 7).Note(Policy{Rules: []Rule{{Match: "debug_*", Source: "edge"}, {Match: "?"}}}, 2, 1<<60)
	encoded := e.AppendBinary(nil)
	f.Add(encoded)
	f.Add(encoded[:len(encoded)-4])
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, encoded := range [][]byte{text, sealed(text)} {
			got, err := ParseExpired(encoded)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatal(err)
				}
				continue
			}
			if got.Through("debug_x", "edge") < 0 {
				t.Fatalf("a time before the epoch in %x", encoded)
			}
			again, err := ParseExpired(got.AppendBinary(nil))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, again, compareExpired); diff != "" {
				t.Fatalf("-first +again:\n%s", diff)
			}
		}
	})
}

func TestExpiredExample(t *testing.T) {
	want := doctest.Example(t, "expired")
	policy := Policy{Rules: []Rule{{Match: "debug_*", Retention: Retention{Raw: time.Hour}}}}
	noted := new(Expired).Note(policy, 1, time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixNano())
	if got := noted.AppendBinary(nil); !bytes.Equal(got, want) {
		t.Fatalf("encoded as %x, the document says %x", got, want)
	}
}
