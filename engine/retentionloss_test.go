package engine

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// visibleRaw counts the raw samples that reads see, by reading them.
func visibleRaw(t *testing.T, db *DB) int64 {
	t.Helper()
	var count int64
	for _, name := range []string{"kept", "short", "other"} {
		s := Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, To: model.MaxTime}
		err := db.Scan(context.Background(), s, func(_ model.Series, times []int64, _ []float64) error {
			count += int64(len(times))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return count
}

// TestRetentionLoss holds what is foretold against what then is hidden, for one policy after another, before
// and after samples have become chunks and points.
func TestRetentionLoss(t *testing.T) {
	now := time.Date(2024, 3, 1, 12, 34, 56, 0, time.UTC)
	db := mustOpen(t, Options{FS: vfs.NewMem(), MinChunkSamples: 1, MaintainInterval: -1, Now: func() time.Time { return now }})
	defer closeDB(t, db)
	for age := time.Hour; age < 30*24*time.Hour; age += 7 * time.Hour {
		for _, name := range []string{"kept", "short", "other"} {
			put(t, db, name, "h", now.Add(-age).UnixNano(), 1)
		}
	}
	all := visibleRaw(t, db)
	days := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	policies := []RetentionPolicy{
		{},
		{Default: Retention{Raw: days(20)}},
		{Default: Retention{Raw: days(25)}}, // longer again: nothing is lost
		{Default: Retention{Raw: days(10), FiveMinutes: KeepForever}},
		{Default: Retention{Raw: days(20)}, Rules: []RetentionRule{{Match: "short", Retention: Retention{Raw: days(2)}}}},
		{Default: Retention{Raw: time.Hour}, Rules: []RetentionRule{{Match: "kept", Retention: Retention{Raw: KeepForever}}}},
		{},
	}
	for round := range 2 {
		for i, policy := range policies {
			before := visibleRaw(t, db)
			loss, err := db.RetentionLoss(context.Background(), policy)
			if err != nil {
				t.Fatal(err)
			}
			floors := make([]int64, 0, 2)
			for class := range policy.Classes() {
				floors = append(floors, policy.Floor(class, model.TierRaw, now.UnixNano()))
			}
			if err := db.SetRetention(policy); err != nil {
				t.Fatal(err)
			}
			// What a longer retention brings back makes up for nothing, so that only shrinking ones compare.
			after := visibleRaw(t, db)
			if lost := before - after; lost > 0 && loss.Samples < lost || lost == loss.Samples && (loss.Samples > 0) != (loss.Days > 0) {
				t.Errorf("round %d, policy %d: %+v was foretold, %d went to %d", round, i, loss, before, after)
			}
			if i <= 3 && loss.Samples != max(0, before-after) {
				t.Errorf("round %d, policy %d: %+v was foretold, %d went to %d", round, i, loss, before, after)
			}
			if loss.Samples > 0 && loss.Before != floors[0] && loss.Before != floors[len(floors)-1] {
				t.Errorf("round %d, policy %d: before %d, floors %v", round, i, loss.Before, floors)
			}
		}
		if got := visibleRaw(t, db); got != all {
			t.Fatalf("setting it back brings back %d of %d", got, all)
		}
		if err := db.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}
