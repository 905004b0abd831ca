package engine

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// TestRateAcrossAStaleMarker counts one a second, with a marker in the middle: the second in which the
// series was away counts for nothing, and the rate is still one.
func TestRateAcrossAStaleMarker(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	for i := range int64(61) {
		value := float64(i)
		if i == 30 {
			value = Missing()
		}
		put(t, db, "m", "a", i*1e9, value)
	}
	result, err := db.Aggregate(context.Background(), AggregateRequest{
		Selection: Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, To: 61e9},
		Edges:     []int64{0, 61e9},
		Functions: []Function{{Kind: Rate}, {Kind: Increase}, {Kind: Delta}, {Kind: Count}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{1, 58, 60, 60} {
		if got := result.Groups[0].Values[i]; got != want {
			t.Errorf("function %d is %v, want %v", i, got, want)
		}
	}
	closeDB(t, db)
}

// TestLookback takes the increase of the first bucket from the last sample before the range, however
// that is stored.
func TestLookback(t *testing.T) {
	const hour = int64(3600e9)
	db := mustOpen(t, Options{FS: vfs.NewMem(), MinChunkSamples: 1})
	put(t, db, "m", "a", 23*hour, 100)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	put(t, db, "m", "a", 25*hour, 160)
	put(t, db, "m", "far", 0, 1)
	put(t, db, "m", "far", 25*hour, 5)
	result, err := db.Aggregate(context.Background(), AggregateRequest{
		Selection: Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, From: 25 * hour, To: 26 * hour},
		Edges:     []int64{25 * hour, 26 * hour},
		Functions: []Function{{Kind: Increase}, {Kind: Count}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The series "far" has nothing within a day before the range, so it has no increase yet.
	if got := result.Groups[0].Values; got[0] != 60 || got[1] != 2 {
		t.Fatalf("increase and count are %v", got)
	}
	closeDB(t, db)
}
