package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// oracle is the trivial model: a list of series, all of which are tried.
type oracle []model.Series

func (o oracle) selectIDs(matchers []*model.Matcher) []model.SeriesID {
	var ids []model.SeriesID
	for _, s := range o {
		if model.MatchSeries(s, matchers) {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// newRand returns a generator whose seed is in the test's log.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

var (
	testKeys   = []string{"dc", "host", "rack", "source", "zone"}
	testValues = []string{"a", "b", "aa", "ab", "node1", "node2", "node10", "x\x00y", "é"}
)

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// randomSeries returns series of distinct identities with ids across several pieces.
func randomSeries(rng *rand.Rand, count int) oracle {
	var series oracle
	seen := map[string]bool{}
	id := model.SeriesID(1)
	for range count {
		s := model.Series{Name: pick(rng, testValues), Unit: pick(rng, []string{"", "percent", "bytes"})}
		for _, key := range testKeys {
			if rng.IntN(3) > 0 {
				s.Tags = append(s.Tags, model.Tag{Key: key, Value: pick(rng, testValues)})
			}
		}
		identity := string(identityOf(s))
		if seen[identity] {
			continue
		}
		seen[identity] = true
		s.ID = id
		series = append(series, s)
		id++
		if rng.IntN(50) == 0 {
			id += model.SeriesID(rng.IntN(3 << pieceBits))
		}
	}
	return series
}

func randomMatchers(t *testing.T, rng *rand.Rand) []*model.Matcher {
	t.Helper()
	expressions := []string{
		"", ".*", ".+", "a", "a|b", "a|ab|", "node[12]", "node1?", "(?i)A", "n.*0", "nothing", "[^a]+", "a?b?", "^a$", "x.y",
	}
	var matchers []*model.Matcher
	for range rng.IntN(4) {
		key := pick(rng, append([]string{model.NameKey, "absent"}, testKeys...))
		op := model.MatchOp(rng.IntN(4))
		value := pick(rng, append([]string{"", "absent"}, testValues...))
		if op == model.MatchRegexp || op == model.MatchNotRegexp {
			value = pick(rng, expressions)
		}
		m, err := model.NewMatcher(key, op, value)
		if err != nil {
			t.Fatal(err)
		}
		matchers = append(matchers, m)
	}
	return matchers
}

func identityOf(s model.Series) []byte { return model.AppendIdentity(nil, s.Name, s.Tags) }

func openMem(t testing.TB) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{
		FS: vfs.NewMem(), Merger: NewMerger(), FormatMajorVersion: pebble.FormatNewest,
		Logger: quiet{}, DisableAutomaticCompactions: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// commit writes what fill puts into a batch.
func commit(t testing.TB, db *pebble.DB, fill func(b *pebble.Batch) error) {
	t.Helper()
	b := db.NewBatch()
	if err := fill(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

// shake flushes or compacts the store, or does neither.
func shake(t testing.TB, rng *rand.Rand, db *pebble.DB) {
	t.Helper()
	var err error
	switch rng.IntN(4) {
	case 0:
		err = db.Flush()
	case 1:
		err = db.Compact(t.Context(), []byte{0}, []byte{0xff}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func idsOf(s *Set) []model.SeriesID { return slices.Collect(s.All()) }
