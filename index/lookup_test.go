package index

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// putPostings writes the postings of the series in several batches, some of them twice.
func putPostings(t *testing.T, rng *rand.Rand, db *pebble.DB, place Place, series oracle) {
	t.Helper()
	for rest := series; len(rest) > 0; {
		n := min(1+rng.IntN(200), len(rest))
		var builder PostingsBuilder
		for _, s := range rest[:n] {
			builder.Add(s)
		}
		for range 1 + rng.IntN(2) {
			commit(t, db, func(b *pebble.Batch) error { return builder.Write(b, place.Tier, place.Partition) })
		}
		rest = rest[n:]
		shake(t, rng, db)
	}
}

// TestSelect compares both disk and memory with the oracle.
func TestSelect(t *testing.T) {
	rng := newRand(t)
	all := randomSeries(rng, 1500)
	half := slices.Clone(all)
	rng.Shuffle(len(half), func(i, j int) { half[i], half[j] = half[j], half[i] })
	half = half[:len(half)/2]

	db := openMem(t)
	full, partial, empty := Place{model.TierRaw, 20000}, Place{model.Tier1h, 20000}, Place{model.Tier5m, 20000}
	selectAt := func(place Place, matchers []*model.Matcher) (*Set, error) {
		return Select(db, place.Tier, place.Partition, matchers)
	}
	putPostings(t, rng, db, full, all)
	putPostings(t, rng, db, partial, half)
	active := NewActive(1)
	for _, s := range half {
		active.Insert(s)
	}

	check := func(what string, matchers []*model.Matcher, got *Set, err error, series oracle) {
		t.Helper()
		if want := series.selectIDs(matchers); err != nil || !slices.Equal(idsOf(got), want) {
			t.Fatalf("%s, %v: got %d series, %v, want %d", what, matchers, got.Len(), err, len(want))
		}
	}
	matched := 0
	for range 2000 {
		matchers := randomMatchers(t, rng)
		got, err := selectAt(full, matchers)
		check("full partition", matchers, got, err, all)
		if n := got.Len(); n > 0 && n < len(all) {
			matched++
		}
		got, err = selectAt(partial, matchers)
		check("partial partition", matchers, got, err, half)
		got, err = selectAt(empty, matchers)
		check("empty partition", matchers, got, err, nil)
		check("active", matchers, active.Select(matchers), nil, half)
	}
	if matched < 500 {
		t.Errorf("only %d of 2000 selections chose some series and not all", matched)
	}
	got, err := PartitionSeries(db, partial.Tier, partial.Partition)
	check("all of the partial partition", nil, got, err, half)
}

// TestSelectNeighbours checks that tags, tiers and partitions whose keys lie side by side stay apart.
func TestSelectNeighbours(t *testing.T) {
	db := openMem(t)
	id := model.SeriesID(0)
	type place struct {
		tier      model.Tier
		partition model.Partition
		key       string
		value     string
	}
	want := map[place]model.SeriesID{}
	commit(t, db, func(b *pebble.Batch) error {
		for _, tier := range []model.Tier{model.TierRaw, model.Tier5m, model.Tier1h} {
			for _, partition := range []model.Partition{-1, 0, 1} {
				for _, tag := range []model.Tag{{Key: "a", Value: "b"}, {Key: "a", Value: "b\x00"}, {Key: "a", Value: "bb"}, {Key: "a\x00", Value: "b"}, {Key: "ab", Value: "b"}} {
					id++
					var builder PostingsBuilder
					builder.Add(model.Series{ID: id, Name: "n", Tags: model.Tags{tag}})
					if err := builder.Write(b, tier, partition); err != nil {
						return err
					}
					want[place{tier, partition, tag.Key, tag.Value}] = id
				}
			}
		}
		return nil
	})
	for at, id := range want {
		got, err := Select(db, at.tier, at.partition, []*model.Matcher{model.EqualMatcher(at.key, at.value)})
		if err != nil || !slices.Equal(idsOf(got), []model.SeriesID{id}) {
			t.Errorf("%+v: %v, %v, want %d", at, idsOf(got), err, id)
		}
	}
}

// TestBuilderMergesOncePerTag checks that a batch grows with the tags, not with the series.
func TestBuilderMergesOncePerTag(t *testing.T) {
	db := openMem(t)
	var builder PostingsBuilder
	for id := model.SeriesID(1); id <= 1000; id++ {
		builder.Add(model.Series{ID: id << (pieceBits - 9), Name: "cpu", Tags: model.Tags{{Key: "dc", Value: "a"}}})
	}
	b := db.NewBatch()
	if err := builder.Write(b, model.TierRaw, 20000); err != nil {
		t.Fatal(err)
	}
	const pieces, tags = 2, 3 // the name, the tag, all series
	if b.Count() != pieces*tags {
		t.Errorf("%d operations, want %d", b.Count(), pieces*tags)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSelectReportsDamage has postings whose key is not one, beside good ones.
func TestSelectReportsDamage(t *testing.T) {
	db := openMem(t)
	commit(t, db, func(b *pebble.Batch) error {
		var builder PostingsBuilder
		builder.Add(model.Series{ID: 1, Name: "cpu", Tags: model.Tags{{Key: "host", Value: "a"}}})
		if err := builder.Write(b, 0, 0); err != nil {
			return err
		}
		return b.Set(append(keys.AppendTagKeyPrefix(nil, 0, 0, "host"), 'x'), nil, nil)
	})
	m, err := model.NewMatcher("host", model.MatchRegexp, ".+")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Select(db, 0, 0, []*model.Matcher{m}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
	if got, err := Select(db, 0, 0, []*model.Matcher{model.EqualMatcher("host", "a")}); err != nil || got.Len() != 1 {
		t.Errorf("the undamaged posting: %v", err)
	}
}

func TestLiterals(t *testing.T) {
	for _, row := range []struct {
		expression string
		want       string // separated by spaces, "-" being the empty string
		ok         bool
	}{
		{"a", "a", true},
		{"a|b|c", "a b c", true},
		{"(host1|host2|web)", "host1 host2 web", true},
		{"node[1-3]", "node1 node2 node3", true},
		{"a|ab|", "- a ab", true},
		{"ab?", "a ab", true},
		{"a|a", "a", true},
		{"[ab][cd]", "ac ad bc bd", true},
		{"", "-", true},
		{`a\.b`, "a.b", true},
		{`\Qa|b`, "a|b", true},
		{"a*", "", false},
		{"a.b", "", false},
		{"(?i)a", "", false},
		{"^a$", "", false},
		{"[^a]", "", false},
		{"[a-z][a-z]", "", false},
		{"[a-j][a-j][a-j]", "", false},
		{"(", "", false},
	} {
		got, ok := literals(row.expression)
		for i := range got {
			if got[i] == "" {
				got[i] = "-"
			}
		}
		if text := strings.Join(got, " "); ok != row.ok || text != row.want {
			t.Errorf("%q: %q, %v, want %q, %v", row.expression, text, ok, row.want, row.ok)
		}
	}
}

// FuzzLiterals checks that the strings found are those that match.
func FuzzLiterals(f *testing.F) {
	for _, seed := range []string{"a|b|c", "node[1-3]", "a(b|c)?d", "(?i)a|b", "x|", "[ab]{2}"} {
		f.Add(seed, "ab")
	}
	f.Fuzz(func(t *testing.T, expression, value string) {
		m, err := model.NewMatcher("key", model.MatchRegexp, expression)
		if err != nil {
			return
		}
		found, ok := literals(expression)
		if !ok || !regexp.MustCompile(`^[a-z0-9|()?\[\]-]*$`).MatchString(expression) {
			return
		}
		if got := slices.Contains(found, value); got != m.Matches(value) {
			t.Fatalf("%q: literals %q, but Matches(%q) is %v", expression, found, value, !got)
		}
		for _, s := range found {
			if !m.Matches(s) {
				t.Fatalf("%q: literals %q, but %q does not match", expression, found, s)
			}
		}
	})
}
