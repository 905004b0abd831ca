package flopynet

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/engine"
)

// TestDecisionsSurviveCrashes crashes the collector in the middle of polls, between any two of its requests, and opens what the
// disk has then, with some or none of what wasn't synced. What was sent and acknowledged is there, and the position never lies
// beyond what is: all that the policy engine has ever listed is stored once, though it decides for so long that
// what lies before the position is not asked for again.
func TestDecisionsSurviveCrashes(t *testing.T) {
	for range 2 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			f := startFakeEngine(t)
			f.most = shortPage // for more pages, and so more places to crash at
			now := noon
			clock := func() time.Time { return now }
			disk := vfs.NewCrashableMem()
			open := func() *engine.DB {
				db, err := engine.Open("data", engine.Options{FS: disk, Now: clock, MaintainInterval: -1})
				if err != nil {
					t.Fatal(err)
				}
				return db
			}
			db := open()
			bed := bedOf(t, db, f, clock)
			want := map[string]int64{}
			crashes := 0
			for range 40 {
				now = now.Add(time.Minute)
				f.metrics["uptime_seconds"] = now.Sub(noon).Seconds()
				for i := range random.IntN(200) {
					d := f.decide(now.Add(-time.Duration(i)*100*time.Millisecond), random.IntN(2) == 0)
					want["policy_engine/"+d["id"].(string)] = NewDecision(mustJSON(t, d), 0).Event.Time
				}
				if random.IntN(3) == 0 { // one that is sent, and never listed
					sent := NewDecision(fmt.Appendf(nil, `{"id":"decision_sent_%d","policy_id":"p","result":true,"execution_time":1,"timestamp":%d}`, random.Uint64(), now.Unix()), 0)
					if err := bed.StoreDecisions(t.Context(), []Decision{sent}, nil); err != nil {
						t.Fatal(err)
					}
					want[sent.Event.ID] = sent.Event.Time
				}
				f.events = append(f.events, map[string]any{"id": fmt.Sprint("e", len(f.events)), "type": "POLICY_EVAL_RESULT", "timestamp": float64(now.Unix())})
				var left *vfs.MemFS
				at := random.IntN(30)
				f.asked = func() {
					if at--; at == 0 {
						left = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(3) * 50, RNG: random})
					}
				}
				mustPoll(t, bed, "health")
				mustPoll(t, bed, "events")
				f.asked = nil
				if left == nil {
					continue
				}
				crashes++
				bed.Close()
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				disk = left
				db = open()
				bed = bedOf(t, db, f, clock)
			}
			mustPoll(t, bed, "events")
			for polls := 0; polls == 0 || gapOf(t, db) != nil; polls++ { // a poll takes its share
				if polls > 20 {
					t.Fatal("it never catches up")
				}
				mustPoll(t, bed, "health")
			}
			wantDecisions(t, db, want)
			stored := eventsOf(t, db)
			for _, e := range f.events {
				if _, there := stored["policy_engine/"+e["id"].(string)]; !there {
					t.Errorf("the event %v is missing", e["id"])
				}
			}
			if crashes == 0 || len(stored) != len(want)+len(f.events) {
				t.Errorf("%d crashes; %d events are stored, want %d", crashes, len(stored), len(want)+len(f.events))
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// gapOf returns what lies before the stored position and is still to be read.
func gapOf(t *testing.T, db *engine.DB) *timeSpan {
	t.Helper()
	var position decisionPosition
	if err := loadState(db, decisionsState, &position); err != nil {
		t.Fatal(err)
	}
	return position.Gap
}
