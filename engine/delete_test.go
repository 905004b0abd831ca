package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// stored returns how many keys begin with a prefix, and the bytes of these and of their values.
func (w *world) stored(prefix byte) (count, bytes int) {
	w.t.Helper()
	if err := w.db.eachKey([]byte{prefix}, func(key, value []byte) error {
		count++
		bytes += len(key) + len(value)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return count, bytes
}

// checkNothing fails unless there are no keys with the prefixes.
func (w *world) checkNothing(prefixes map[byte]string) {
	w.t.Helper()
	for prefix, name := range prefixes {
		if count, bytes := w.stored(prefix); count > 0 {
			w.t.Errorf("%d %s are left, of %d bytes", count, name, bytes)
		}
	}
}

// compare checks all samples of a metric, and what the tiers make of them by hours and by days.
func (w *world) compare(name string) {
	w.t.Helper()
	w.compareSamples(selectionOf(name, "", model.MinTime, model.MaxTime), 5000)
	w.compareTiers(name)
}

func (w *world) compareTiers(name string) {
	w.t.Helper()
	to := w.now.Load() - w.now.Load()%hour + hour
	for _, width := range []int64{hour, day} {
		for _, names := range [][]string{{"sum", "count", "min", "max"}, {"p90"}} { // exact percentiles are of samples
			w.ask(AggregateRequest{Selection: selectionOf(name, "", worldStart, to), Edges: buckets(worldStart, to, width),
				GroupBy: []string{"host"}, Functions: functions(w.t, names...)})
		}
	}
}

func (w *world) hosts(name string) []string {
	w.t.Helper()
	series, err := w.db.Select(context.Background(), selectionOf(name, "", model.MinTime, model.MaxTime))
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, s := range series {
		names = append(names, s.Tags.Get("host"))
	}
	return names
}

func number(i int) float64 { return float64(i%977) / 10 }

// TestDeleteCounts checks what a delete says it would hide, and that it hides just that.
func TestDeleteCounts(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	end := worldStart + 2*day
	w.fill("load", "a", worldStart, end, time.Minute, number)
	w.fill("load", "b", worldStart, end, time.Minute, number)
	w.fill("other", "a", worldStart, end, time.Hour, number)
	w.flush()
	w.fill("load", "a", worldStart+90, worldStart+hour, 10*time.Minute, number) // six more, in the head
	w.sample("load", "b", worldStart, Missing())                                // a marker counts for nothing
	at := func(minutes int64) int64 { return worldStart + minutes*int64(time.Minute) }
	for _, c := range []struct {
		name    string
		host    string
		from    int64
		to      int64
		series  int
		samples int64
	}{
		{"an hour of one series", "a", at(0), at(60), 1, 66},
		{"an hour of the other", "b", at(0), at(60), 1, 59},
		{"an hour of both", "", at(0), at(60), 2, 125},
		{"one time", "a", at(1), at(1) + 1, 1, 1},
		{"between two times", "a", at(2) + 1, at(3), 1, 0},
		{"an empty range", "a", at(5), at(5), 0, 0},
		{"a range that ends before it begins", "a", at(5), at(4), 0, 0},
		{"no such series", "c", at(0), at(60), 0, 0},
		{"before all days", "a", at(0) - 3*day, at(0) - 2*day, 1, 0}, // the head has the series
		{"all of one", "a", model.MinTime, model.MaxTime, 1, 2*1440 + 6},
		{"all", "", model.MinTime, model.MaxTime, 2, 4*1440 + 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			s := selectionOf("load", c.host, c.from, c.to)
			dry, err := w.db.Delete(context.Background(), s, true)
			if err != nil {
				t.Fatal(err)
			}
			if want := (DeleteResult{Series: c.series, Samples: c.samples, From: c.from, To: max(c.from, c.to)}); dry != want {
				t.Errorf("it would be %+v, want %+v", dry, want)
			}
			w.compare("load")
			if again, err := w.db.Delete(context.Background(), s, true); err != nil || again != dry {
				t.Errorf("asked again it would be %+v, %v", again, err)
			}
		})
	}
	w.t = t
	if _, err := w.db.Delete(context.Background(), Selection{From: at(0), To: at(60)}, false); !errors.Is(err, ErrNoName) {
		t.Errorf("a delete of no metric returns %v", err)
	}
	if got := w.remove("load", "", at(0), at(60)); got.Samples != 125 {
		t.Errorf("the delete hid %d samples", got.Samples)
	}
	w.compare("load")
	if got := w.remove("load", "", at(0), at(60)); got.Samples != 0 {
		t.Errorf("the same delete again hid %d samples", got.Samples)
	}
	w.compare("other")
}

// TestDeleteSurvives deletes and restarts, cleanly and not, before and after a flush and maintenance. What was
// written into the range afterwards stays.
func TestDeleteSurvives(t *testing.T) {
	for _, flushed := range []bool{false, true} { // whether chunks hold what is deleted
		for _, crash := range []bool{false, true} {
			w := newWorld(t, Options{MinChunkSamples: 1, ResultCacheBytes: 1 << 20})
			for _, host := range []string{"a", "b"} {
				w.fill("load", host, worldStart, worldStart+2*day, 5*time.Minute, number)
			}
			if flushed {
				w.maintain()
			}
			w.compare("load")
			w.remove("load", "a", worldStart+10*hour, worldStart+30*hour+7)
			w.sample("load", "a", worldStart+11*hour, 4711)
			w.compare("load")
			w.restart(crash)
			w.compare("load")
			w.flush()
			w.compare("load")
			w.restart(crash)
			w.compare("load")
			if got := w.db.Stats().Maintenance.PendingDeletes; got != 1 {
				t.Errorf("%d deletes wait", got)
			}
			w.maintain()
			if got := w.db.Stats().Maintenance; got.PendingDeletes != 0 || got.DeletesFinished != 1 {
				t.Errorf("after maintenance: %+v", got)
			}
			w.checkNothing(map[byte]string{keys.PrefixTombstone: "tombstones", keys.PrefixDirty: "marks"})
			w.compare("load")
			w.restart(crash)
			w.compare("load")
		}
	}
}

// TestDeleteFreesSpace deletes a part, then a series, then all, and looks at what the chunk store has left.
func TestDeleteFreesSpace(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	for _, host := range []string{"a", "b", "c", "d"} {
		w.fill("load", host, worldStart, worldStart+4*day, time.Minute, number)
	}
	w.fill("other", "a", worldStart, worldStart+day, time.Hour, number)
	w.maintain()
	measure := func() (bytes [4]int) {
		for i, prefix := range []byte{keys.PrefixChunk, keys.PrefixSketch, keys.PrefixPosting, keys.PrefixSeries} {
			_, bytes[i] = w.stored(prefix)
		}
		return bytes
	}
	full := measure()
	w.remove("load", "", worldStart+day, worldStart+3*day)
	if measure() != full {
		t.Error("a delete changes what is stored before maintenance")
	}
	w.maintain()
	half := measure()
	for i, name := range []string{"chunks", "sketches"} {
		if half[i] > full[i]*6/10 {
			t.Errorf("%s: %d bytes became %d", name, full[i], half[i])
		}
	}
	if half[3] != full[3] {
		t.Error("series with samples were dropped")
	}
	w.remove("load", "b", model.MinTime, model.MaxTime)
	w.maintain()
	if got := measure(); got[0] > half[0]*8/10 || got[1] > half[1]*8/10 || got[2] >= half[2] || got[3] >= half[3] {
		t.Errorf("without one of four series %v bytes became %v", half, got)
	}
	if got := w.hosts("load"); !slices.Equal(got, []string{"a", "c", "d"}) {
		t.Errorf("there are the series %v", got)
	}
	w.compare("load")
	w.remove("load", "", model.MinTime, model.MaxTime)
	w.remove("other", "", model.MinTime, model.MaxTime)
	w.maintain()
	w.checkNothing(map[byte]string{keys.PrefixChunk: "chunks", keys.PrefixSketch: "sketches", keys.PrefixPosting: "postings",
		keys.PrefixSeries: "series", keys.PrefixIdentity: "identities", keys.PrefixName: "names", keys.PrefixTombstone: "tombstones",
		keys.PrefixDirty: "marks", keys.PrefixHeadImage: "pieces of the head's image"})
	if w.db.active.Len() != 0 {
		t.Errorf("%d series are in memory", w.db.active.Len())
	}
	// Written again, the series has its new samples and nothing else.
	w.sample("load", "b", worldStart+2*day+hour, 5)
	for _, next := range []func(){func() {}, w.flush, func() { w.restart(true) }, w.maintain, func() { w.restart(false) }} {
		next()
		if got := w.hosts("load"); !slices.Equal(got, []string{"b"}) {
			t.Errorf("there are the series %v", got)
		}
		w.compare("load")
		w.compare("other")
	}
}

// TestDeleteWhereRawHasExpired deletes a part of an hour of which there are only points, or soon will be.
func TestDeleteWhereRawHasExpired(t *testing.T) {
	minute := int64(time.Minute)
	for _, dropped := range []bool{false, true} {
		w := newWorld(t, Options{MinChunkSamples: 1, MaxExactSamples: 10, Retention: RetentionPolicy{
			Default: Retention{Raw: 3 * testDay, FiveMinutes: KeepForever, Hour: KeepForever}}})
		now := w.now.Load() + 2*hour // the policy was set longer than the grace ago
		w.setNow(worldStart + 2*day)
		for _, host := range []string{"a", "b"} {
			w.fill("load", host, worldStart, worldStart+2*day, 10*time.Minute, number)
		}
		w.maintain()
		w.setNow(worldStart + 4*day)
		for _, host := range []string{"a", "b"} {
			w.fill("load", host, worldStart+2*day, worldStart+4*day, 10*time.Minute, number)
		}
		w.maintain()
		w.setNow(worldStart + 4*day + 30*minute) // raw samples from 1 day, 0:30 on are visible
		if dropped {
			w.setNow(now)
			w.fill("load", "a", w.now.Load()-day, w.now.Load(), 10*time.Minute, number)
			w.fill("load", "b", w.now.Load()-day, w.now.Load(), 10*time.Minute, number)
			w.maintain()
		}
		if got := w.db.Stats().Maintenance.Partitions[model.TierRaw]; dropped && got > 4 {
			t.Fatalf("%d days of raw samples are left", got)
		}
		floor := w.now.Load() - 3*day
		for _, c := range []struct{ from, to, wantFrom, wantTo int64 }{
			{worldStart + 5*hour + 10*minute, worldStart + 7*hour + 1, worldStart + 5*hour, worldStart + 8*hour},
			{worldStart + 9*hour, worldStart + 10*hour, worldStart + 9*hour, worldStart + 10*hour},
			{worldStart + 13*hour + 59*minute, worldStart + 14*hour, worldStart + 13*hour, worldStart + 14*hour},
			{floor - 2*hour - 7*minute, floor + 2*hour + 7*minute, (floor - 2*hour - 7*minute) / hour * hour, floor + 2*hour + 7*minute},
			{floor + 3*hour + 1, floor + 4*hour + 7, floor + 3*hour + 1, floor + 4*hour + 7},
		} {
			result := w.remove("load", "a", c.from, c.to)
			if result.From != c.wantFrom || result.To != c.wantTo || result.Series != 1 {
				t.Errorf("dropped %v: [%d, %d) became %+v, want [%d, %d)", dropped, c.from, c.to, result, c.wantFrom, c.wantTo)
			}
			w.compareTiers("load")
		}
		for _, next := range []func(){func() { w.restart(true) }, w.flush, w.maintain, func() { w.restart(false) }} {
			next()
			w.compareTiers("load")
		}
		w.checkNothing(map[byte]string{keys.PrefixTombstone: "tombstones"})
	}
}
