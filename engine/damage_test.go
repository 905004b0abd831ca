package engine

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// damage flips a byte in the newest chunk or list of points of a series in a partition.
func (w *world) damage(tier model.Tier, at int64, name, host string) {
	w.t.Helper()
	id, err := w.db.Resolve(name, tagsOf(host))
	if err != nil {
		w.t.Fatal(err)
	}
	var key, value []byte
	prefix := keys.AppendSeriesPrefix(nil, tier, tier.PartitionOf(at), w.db.numberOf(name), id)
	if err := w.db.eachKey(prefix, func(k, v []byte) error {
		key, value = bytes.Clone(k), bytes.Clone(v)
		return nil
	}); err != nil || key == nil {
		w.t.Fatalf("nothing to damage: %v", err)
	}
	value[len(value)/2] ^= 0x55
	if err := w.db.chunks.Set(key, value, pebble.Sync); err != nil {
		w.t.Fatal(err)
	}
}

// counted returns how many samples an aggregation finds in a day, -1 if it says that data is damaged.
func (w *world) counted(host string, from, width int64) float64 {
	w.t.Helper()
	result, err := w.db.Aggregate(context.Background(), AggregateRequest{
		Selection: selectionOf("load", host, from, from+day), Edges: buckets(from, from+day, width), Functions: functions(w.t, "count")})
	if isDamage(err) {
		return -1
	}
	if err != nil {
		w.t.Fatal(err)
	}
	total := 0.0
	for _, group := range result.Groups {
		for _, value := range group.Values {
			total += value
		}
	}
	return total
}

// expire lets three days of all but the youngest four expire, pass by pass, whatever these complain of.
func (w *world) expire() {
	w.setRetention(RetentionPolicy{Default: Retention{Raw: 4 * testDay, FiveMinutes: 300 * testDay, Hour: 300 * testDay}})
	w.setNow(w.now.Load() + testGrace + day)
	for range 3 {
		_ = w.db.Maintain(context.Background()) // it tells of the damage
	}
}

// TestDamageDoesNotStopRetention damages one list of points, or one day of samples under a delete. Days before and
// after it expire all the same, and what is not damaged is answered.
func TestDamageDoesNotStopRetention(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(w *world)
	}{
		{"points that have to be made anew", func(w *world) {
			w.damage(model.Tier1h, worldStart, "load", "a")
			w.sample("load", "a", worldStart+5, 1)
		}},
		{"samples of a day that a delete touches", func(w *world) {
			w.damage(model.TierRaw, worldStart+3*day, "load", "a")
			w.remove("load", "b", worldStart, worldStart+5*day)
		}},
		{"points that a delete touches", func(w *world) {
			w.damage(model.Tier1h, worldStart, "load", "a")
			w.remove("load", "a", worldStart, worldStart+5*day)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newAgedWorld(t, Options{})
			test.damage(w)
			w.expire()
			if got := w.days(); !slices.Equal(got, []int{7, 8, 9}) {
				t.Errorf("the days %v are left", got)
			}
			if got := w.counted("b", worldStart+8*day, hour); got != 144 {
				t.Errorf("%v samples of a series without damage", got)
			}
		})
	}
}

// TestDamageBringsNothingBack deletes half a day of a series that has damaged points: it stays deleted.
func TestDamageBringsNothingBack(t *testing.T) {
	w := newAgedWorld(t, Options{})
	from := worldStart + day
	w.damage(model.Tier1h, from, "load", "a")
	w.remove("load", "a", from, from+day/2)
	for range 3 {
		for _, width := range []int64{hour, 10 * 60e9} {
			if got := w.counted("a", from, width); got > 72 {
				t.Errorf("%v samples in buckets of %d s; 72 of 144 are deleted", got, width/1e9)
			}
		}
		_ = w.db.Maintain(context.Background())
	}
	if got := w.counted("b", from, hour); got != 144 {
		t.Errorf("%v samples of another series", got)
	}
}
