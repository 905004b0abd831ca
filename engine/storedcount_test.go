package engine

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// countStored counts what the chunks hold by reading them all.
func countStored(t *testing.T, db *DB) (count storedCount) {
	t.Helper()
	err := db.eachKey([]byte{keys.PrefixChunk, byte(model.TierRaw)}, func(key, value []byte) error {
		block, err := chunk.Open(key, value)
		if err != nil {
			return err
		}
		count.add(block.Count(), len(key)+len(value), block.MinTime())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// oldestVisible finds the oldest sample by reading them all.
func oldestVisible(t *testing.T, db *DB) (oldest int64, found bool) {
	t.Helper()
	oldest = math.MaxInt64
	s := Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, To: model.MaxTime}
	err := db.Scan(context.Background(), s, func(_ model.Series, times []int64, _ []float64) error {
		if len(times) > 0 {
			oldest, found = min(oldest, times[0]), true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return oldest, found
}

// TestStoredCounts writes, corrects, deletes, flushes, maintains, expires and restarts at random, and holds the
// counts against what the chunks are found to hold.
func TestStoredCounts(t *testing.T) {
	for seed := range cases(6, 1) {
		random := rand.New(rand.NewPCG(seed, 1))
		t.Logf("seed %d", seed)
		now := time.Date(2024, 3, 10, 12, 0, 0, 0, time.UTC)
		opts := Options{FS: vfs.NewMem(), MinChunkSamples: 1 + int(seed%2)*20, MaintainInterval: -1, Now: func() time.Time { return now }}
		db := mustOpen(t, opts)
		for step := range 60 {
			maintained := false
			switch random.IntN(8) {
			case 0:
				if err := db.Flush(); err != nil {
					t.Fatal(err)
				}
			case 1:
				from := now.Add(-time.Duration(random.IntN(200)) * time.Hour).UnixNano()
				s := Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, From: from, To: from + 40*hour}
				if _, err := db.Delete(context.Background(), s, false); err != nil {
					t.Fatal(err)
				}
			case 2:
				if err := db.Maintain(context.Background()); err != nil {
					t.Fatal(err)
				}
				maintained = true
			case 3:
				closeDB(t, db)
				db = mustOpen(t, opts)
			default:
				for range random.IntN(200) {
					at := now.Add(-time.Duration(random.IntN(200)) * time.Hour)
					put(t, db, "m", string(rune('a'+random.IntN(3))), at.UnixNano(), float64(step))
				}
			}
			stats, want := db.Stats(), countStored(t, db)
			if stats.StoredSamples != want.Samples || stats.StoredBytes != want.Bytes {
				t.Fatalf("seed %d, step %d: %d samples in %d bytes are counted, there are %d in %d", seed, step, stats.StoredSamples, stats.StoredBytes, want.Samples, want.Bytes)
			}
			oldest, found := oldestVisible(t, db)
			switch {
			case found && !stats.HasOldest, found && stats.Oldest > oldest:
				t.Fatalf("seed %d, step %d: the oldest is said to be %d (%v), it is %d", seed, step, stats.Oldest, stats.HasOldest, oldest)
			case maintained && (stats.HasOldest != found || found && stats.Oldest != oldest):
				t.Fatalf("seed %d, step %d: after maintenance the oldest is said to be %d (%v), it is %d (%v)", seed, step, stats.Oldest, stats.HasOldest, oldest, found)
			}
		}
		if err := db.SetRetention(RetentionPolicy{Default: Retention{Raw: 2 * 24 * time.Hour}}); err != nil {
			t.Fatal(err)
		}
		if got := db.Stats(); got.HasOldest && got.Oldest < now.Add(-48*time.Hour).UnixNano() {
			t.Errorf("seed %d: the oldest is %d, which is hidden", seed, got.Oldest)
		}
		closeDB(t, db)
	}
}

// TestStoredCountOfAnOlderVersion: what the state doesn't tell is not known until maintenance has counted it.
func TestStoredCountOfAnOlderVersion(t *testing.T) {
	meta, err := decodePartitionMeta([]byte{1, 0, 42, 40})
	if err != nil || meta.Stored.Known || meta.Flushed != 42 || meta.Compacted != 40 {
		t.Errorf("%+v, %v", meta, err)
	}
}
