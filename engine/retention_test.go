package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// setRetention replaces the policy, here and for the oracle.
func (w *world) setRetention(policy RetentionPolicy) {
	w.t.Helper()
	if err := w.db.SetRetention(policy); err != nil {
		w.t.Fatal(err)
	}
	w.policy, w.oracle.policy = policy, policy
}

// days returns the days that have raw samples stored, counted from worldStart.
func (w *world) days() []int {
	var days []int
	for _, number := range w.db.partitionsIn(model.TierRaw, model.MinTime, model.MaxTime) {
		days = append(days, int(number-model.TierRaw.PartitionOf(worldStart)))
	}
	return days
}

// checkTime returns why a sample of a metric is refused, or "".
func (w *world) checkTime(name, source string, at int64) string {
	w.t.Helper()
	err := w.db.CheckTime(w.db.RetentionClassOf(name, source), at)
	var refused *TimeError
	if err != nil && (!errors.As(err, &refused) || refused.Time != at) {
		w.t.Errorf("a sample is refused with %v", err)
	}
	if refused == nil {
		return ""
	}
	return refused.Reason
}

const testGrace = 2 * hour

// newAgedWorld holds ten days of samples of two hosts, rolled up; the clock shows the end of the tenth.
func newAgedWorld(t *testing.T, opts Options) *world {
	t.Helper()
	opts.RetentionGrace, opts.MinChunkSamples, opts.MaxExactSamples = time.Duration(testGrace), 1, 100
	policy := opts.Retention
	opts.Retention = RetentionPolicy{} // nothing expires while the samples are written
	w := newWorld(t, opts)
	w.setNow(worldStart + 10*day)
	for _, host := range []string{"a", "b"} {
		w.fill("load", host, worldStart, worldStart+10*day, 10*time.Minute, number)
	}
	w.fill("memory", "a", worldStart, worldStart+10*day, 10*time.Minute, number)
	w.maintain()
	w.setRetention(policy)
	return w
}

func keepRaw(days int) RetentionPolicy {
	return RetentionPolicy{Default: Retention{Raw: time.Duration(days) * testDay}}
}

// TestRetentionHides shortens the policy: at once nothing older is seen or taken, and until the grace is over
// setting the policy back brings all again. What was dropped then is gone, whole days of it.
func TestRetentionHides(t *testing.T) {
	w := newAgedWorld(t, Options{ResultCacheBytes: 1 << 20})
	all := func() { w.t.Helper(); w.compare("load"); w.compare("memory") }
	all()
	w.setRetention(keepRaw(4))
	all()
	floor := w.now.Load() - 4*day
	if got := w.checkTime("load", "x", floor-1); got != "is older than the retention of 4 days" {
		t.Errorf("a sample that is too old: %q", got)
	}
	if got := w.checkTime("load", "x", floor); got != "" {
		t.Errorf("the oldest that is kept: %q", got)
	}
	for _, later := range []int64{0, testGrace - 1} {
		w.setNow(worldStart + 10*day + later)
		w.maintain()
		if got := w.days(); len(got) != 10 {
			t.Fatalf("%s after the change the days %v are stored", time.Duration(later), got)
		}
		all()
	}
	w.setRetention(RetentionPolicy{})
	all() // nothing was lost
	if got := w.checkTime("load", "x", floor-5*day); got != "" {
		t.Errorf("with all kept: %q", got)
	}

	w.setRetention(keepRaw(4))
	w.setNow(w.now.Load() + testGrace)
	w.maintain()
	if got := w.days(); !slices.Equal(got, []int{6, 7, 8, 9}) {
		t.Errorf("the days %v are left", got)
	}
	all()
	w.setNow(worldStart + 11*day + testGrace - 1)
	w.maintain()
	if got := w.days(); !slices.Equal(got, []int{6, 7, 8, 9}) {
		t.Errorf("before the grace of a day is over the days %v are left", got)
	}
	all()
	w.setNow(worldStart + 11*day + testGrace)
	w.maintain()
	if got := w.days(); !slices.Equal(got, []int{7, 8, 9}) {
		t.Errorf("after the grace of a day the days %v are left", got)
	}
	all()
	w.restart(false)
	all()
}

// TestRetentionRules keeps series by name, and by name and source, for less long than others. Only theirs go.
func TestRetentionRules(t *testing.T) {
	w := newAgedWorld(t, Options{})
	other := model.Tags{{Key: "host", Value: "a"}, {Key: model.SourceKey, Value: "y"}}
	id, err := w.db.Resolve("load", other)
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	for at := worldStart; at < worldStart+10*day; at += hour {
		batch.Add(id, at, 1)
		w.oracle.find("load", other).put(at, 1)
	}
	if err := w.db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	w.maintain()
	w.setRetention(RetentionPolicy{Default: Retention{Raw: 8 * testDay}, Rules: []RetentionRule{
		{Match: "mem*", Retention: Retention{Raw: 2 * testDay, FiveMinutes: 3 * testDay, Hour: 5 * testDay}},
		{Match: "*", Source: "y", Retention: Retention{Raw: 4 * testDay}},
	}})
	all := func() {
		w.t.Helper()
		w.compareSamples(selectionOf("load", "", model.MinTime, model.MaxTime), 5000)
		w.compareTiers("memory")
	}
	all()
	now := w.now.Load()
	for _, c := range []struct {
		name, source string
		days         int64
	}{{"load", "x", 8}, {"load", "y", 4}, {"memory", "x", 2}, {"memory", "y", 2}} {
		before, at := w.checkTime(c.name, c.source, now-c.days*day-1), w.checkTime(c.name, c.source, now-c.days*day)
		if !strings.HasPrefix(before, "is older than the retention of") || at != "" {
			t.Errorf("%s of %s: %q and %q", c.name, c.source, before, at)
		}
	}
	w.setNow(now + testGrace)
	w.maintain()
	all()
	if got := w.days(); !slices.Equal(got, []int{2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("the days %v are left", got)
	}
	for _, c := range []struct{ day, series int }{{2, 2}, {5, 2}, {6, 3}, {7, 3}, {8, 4}, {9, 4}} {
		number := model.TierRaw.PartitionOf(worldStart + int64(c.day)*day)
		series, err := w.db.partitionSeries(model.TierRaw, number)
		if err != nil || series.Len() != c.series {
			t.Errorf("day %d has %d series, %v; want %d", c.day, series.Len(), err, c.series)
		}
		chunks := 0
		err = w.db.eachKey(keys.AppendMetricPrefix(nil, model.TierRaw, number, w.db.numberOf("memory")), func(_, _ []byte) error {
			chunks++
			return nil
		})
		if err != nil || (chunks == 0) != (c.day < 8) {
			t.Errorf("day %d has %d chunks of memory, %v", c.day, chunks, err)
		}
	}
	// Days 5 to 7 have raw samples, and of memory points alone: a delete takes these, and raw ones of day 8.
	result := w.remove("memory", "a", worldStart+5*day+7*hour+1, worldStart+8*day+10*hour+1)
	if result.From != worldStart+5*day+7*hour || result.To != worldStart+8*day+10*hour+1 {
		t.Errorf("the delete took %+v", result)
	}
	all()
	w.maintain()
	w.checkNothing(map[byte]string{keys.PrefixTombstone: "tombstones"})
	all()
	w.restart(true)
	all()
	w.maintain()
	all()
}

// TestRawShorterThanTiers drops raw samples whose points stay: answers by the hour and by the day are the same
// before and after, and after a restart; finer ones say that they aren't exact.
func TestRawShorterThanTiers(t *testing.T) {
	w := newAgedWorld(t, Options{Retention: RetentionPolicy{
		Default: Retention{Raw: 2 * testDay, FiveMinutes: 5 * testDay, Hour: KeepForever}}})
	w.sample("load", "a", worldStart+9*day+hour, 1e6) // not rolled up again yet
	w.compareTiers("load")
	w.setNow(w.now.Load() + testGrace)
	w.maintain()
	if got := w.days(); !slices.Equal(got, []int{8, 9}) {
		t.Errorf("the days %v are left", got)
	}
	check := func() {
		t.Helper()
		w.compareTiers("load")
		for _, c := range []struct {
			day         int64
			width       int64
			five, hours int // points that are read
			exact       bool
		}{
			{9, hour / 12, 144, 0, true}, // of the 288 points half are there: samples come every ten minutes
			{6, hour / 12, 144, 0, true},
			{6, hour / 60, 144, 0, false},
			{3, hour, 0, 24, true},
			{3, hour / 12, 0, 24, false},
		} {
			from := worldStart + c.day*day
			r := AggregateRequest{Selection: selectionOf("load", "a", from, from+day), Edges: buckets(from, from+day, c.width),
				Functions: functions(t, "sum", "count")}
			result, err := w.db.Aggregate(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			points := result.Explain.Points
			if result.Exact != c.exact || points[model.Tier5m] != c.five || points[model.Tier1h] != c.hours || result.RetentionBound != (c.day < 8) {
				t.Errorf("day %d by %s: exact %v, bound %v, points %v", c.day, time.Duration(c.width), result.Exact, result.RetentionBound, points)
			}
			count := 0.0
			for i := 1; i < len(result.Groups[0].Values); i += 2 {
				count += result.Groups[0].Values[i]
			}
			if count != 144 {
				t.Errorf("day %d by %s: %v samples are counted", c.day, time.Duration(c.width), count)
			}
		}
	}
	check()
	for range 2 {
		w.restart(true)
		check()
		w.maintain()
		check()
	}
}

// TestRolledBeforeDropped lets raw samples expire before their hours are old enough to be rolled up: that is done
// before they go.
func TestRolledBeforeDropped(t *testing.T) {
	w := newAgedWorld(t, Options{RollupDelay: 6 * testDay, Retention: RetentionPolicy{Default: Retention{Raw: 2 * testDay, Hour: KeepForever, FiveMinutes: KeepForever}}})
	w.setNow(w.now.Load() + testGrace)
	for range 2 {
		w.maintain()
		if got := w.days(); !slices.Equal(got, []int{8, 9}) {
			t.Errorf("the days %v are left", got)
		}
		w.compareTiers("load")
		w.restart(true)
		w.compareTiers("load")
	}
}

// TestDroppedDaysStay makes the policy longer after days were dropped: that is remembered over a restart,
// nothing is taken for these days any more, and what slips in all the same doesn't spoil their points.
func TestDroppedDaysStay(t *testing.T) {
	w := newAgedWorld(t, Options{Retention: RetentionPolicy{Default: Retention{Raw: 3 * testDay, FiveMinutes: KeepForever}}})
	w.setNow(w.now.Load() + testGrace)
	w.maintain()
	end := worldStart + 7*day // of what was dropped
	if got := w.days(); !slices.Equal(got, []int{7, 8, 9}) {
		t.Fatalf("the days %v are left", got)
	}
	const dropped = "is in a day whose raw samples have expired and were dropped"
	for _, policy := range []RetentionPolicy{
		w.policy,
		{},
		{Default: keepRaw(9).Default, Rules: []RetentionRule{{Match: "load", Retention: Retention{Raw: KeepForever}}}},
	} {
		w.policy = policy
		w.restart(true)
		w.oracle.policy = RetentionPolicy{Default: Retention{Raw: 3 * testDay, FiveMinutes: KeepForever}}
		if got := w.checkTime("load", "x", end-1); got != dropped {
			t.Errorf("a sample of a dropped day: %q", got)
		}
		if got := w.checkTime("load", "x", w.now.Load()-3*day); got != "" {
			t.Errorf("a sample of a day that is there: %q", got)
		}
		// A writer that looked at the policy before the drop.
		id, err := w.db.Resolve("load", tagsOf("a"))
		if err != nil {
			t.Fatal(err)
		}
		var batch Batch
		for at := end - day; at < end; at += 7 * hour {
			batch.Add(id, at, 1e9)
		}
		if err := w.db.Write(&batch); err != nil {
			t.Fatal(err)
		}
		for _, next := range []func(){func() {}, func() { w.restart(true) }, w.flush, w.maintain, func() { w.restart(false) }} {
			next()
			w.compareTiers("load")
			if got := w.days(); !slices.Equal(got, []int{7, 8, 9}) {
				t.Errorf("there are the days %v", got)
			}
		}
	}
}
