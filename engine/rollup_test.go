package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

const day = 24 * hour

// worldStart is the midnight with which the samples of a world begin.
var worldStart = time.Date(2024, 1, 3, 0, 0, 0, 0, time.UTC).UnixNano()

// world is a store beside the oracle, with a clock that stands still unless the test moves it.
type world struct{ *metamorphic }

// newWorld opens a store that maintains only when told to. The clock shows worldStart and 12 days, 10 hours.
func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	m := &metamorphic{t: t, fs: newCrashableMem(), oracle: newOracle(), opts: opts, policy: opts.Retention}
	m.oracle.policy = opts.Retention
	m.opts.Now = func() time.Time { return time.Unix(0, m.now.Load()) }
	m.opts.MaintainInterval = -1
	m.opts.FlushInterval = 1000 * time.Hour // no series is idle, none is flushed unasked
	m.opts.MinFreeBytes = -1
	w := &world{m}
	w.setNow(worldStart + 12*day + 10*hour)
	w.open()
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) setNow(now int64) {
	w.now.Store(now)
	w.oracle.now = now
}

// restart closes the store and opens it again, or loses what was not synced and opens what is left.
func (w *world) restart(crash bool) {
	w.t.Helper()
	left := w.fs.CrashClone(vfs.CrashCloneCfg{})
	if err := w.db.Close(); err != nil {
		w.t.Fatal(err)
	}
	if crash {
		w.fs = left
	}
	w.opts.Retention = w.policy
	w.open()
}

func (w *world) flush() {
	w.t.Helper()
	if err := w.db.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

func tagsOf(host string) model.Tags {
	return model.Tags{{Key: "host", Value: host}, {Key: model.SourceKey, Value: "x"}}
}

// fill writes samples of [from, to) of one series, here and to the oracle.
func (w *world) fill(name, host string, from, to int64, step time.Duration, value func(i int) float64) {
	w.t.Helper()
	id, err := w.db.Resolve(name, tagsOf(host))
	if err != nil {
		w.t.Fatal(err)
	}
	var batch Batch
	known := w.oracle.find(name, tagsOf(host))
	for i, at := 0, from; at < to; i, at = i+1, at+int64(step) {
		batch.Add(id, at, value(i))
		known.put(at, value(i))
	}
	if err := w.db.Write(&batch); err != nil {
		w.t.Fatal(err)
	}
}

// sample writes one.
func (w *world) sample(name, host string, at int64, value float64) {
	w.t.Helper()
	w.fill(name, host, at, at+1, time.Second, func(int) float64 { return value })
}

// remove deletes samples here and in the oracle.
func (w *world) remove(name, host string, from, to int64) DeleteResult {
	w.t.Helper()
	s := selectionOf(name, host, from, to)
	result, err := w.db.Delete(context.Background(), s, false)
	if err != nil {
		w.t.Fatal(err)
	}
	s.From, s.To = result.From, result.To
	if samples := w.oracle.remove(s); samples != result.Samples {
		w.t.Fatalf("the delete %+v hid %d samples, want %d", result, result.Samples, samples)
	}
	return result
}

// selectionOf selects one host of a metric, or all.
func selectionOf(name, host string, from, to int64) Selection {
	s := Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, From: from, To: to}
	if host != "" {
		s.Matchers = append(s.Matchers, model.EqualMatcher("host", host))
	}
	return s
}

// functions reads a list of names.
func functions(t testing.TB, names ...string) []Function {
	t.Helper()
	var list []Function
	for _, name := range names {
		f, err := ParseFunction(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return list
}

// buckets returns the edges of buckets of [from, to).
func buckets(from, to, width int64) []int64 {
	var edges []int64
	for edge := from; edge < to; edge += width {
		edges = append(edges, edge)
	}
	return append(edges, to)
}

// ask aggregates and compares the answer with the oracle's.
func (w *world) ask(r AggregateRequest) *AggregateResult {
	w.t.Helper()
	result, err := w.db.Aggregate(context.Background(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	want := w.oracle.groups(r)
	if len(result.Groups) != len(want) {
		w.t.Fatalf("%s: %d groups, want %d; %+v", describeRequest(r), len(result.Groups), len(want), result.Explain)
	}
	for _, group := range result.Groups {
		w.compareGroup(r, result, group, want)
	}
	return result
}

// view is a request with what is known of how it is answered once all is rolled up.
type view struct {
	name string
	AggregateRequest
	points model.Tier // TierRaw: of samples
}

// views are all ways to look at an hour: by raw samples, by the tiers, as a summary and with percentiles.
func views(t testing.TB, at int64, sketched bool) []view {
	begin := at - at%day
	from, to := worldStart, worldStart+12*day
	request := func(from, to, width int64, names ...string) AggregateRequest {
		return AggregateRequest{Selection: selectionOf("load", "", from, to), Edges: buckets(from, to, width),
			GroupBy: []string{"host"}, Functions: functions(t, names...)}
	}
	percentiles := model.TierRaw
	if sketched {
		percentiles = model.Tier1h
	}
	return []view{
		{"by the minute", request(at-at%hour, at-at%hour+hour, int64(time.Minute), "avg", "min", "max", "count", "last", "first"), model.TierRaw},
		{"by five minutes", request(begin, begin+day, hour/12, "avg", "sum", "min", "max", "count", "last", "first"), model.Tier5m},
		{"by the hour", request(begin, begin+day, hour, "avg", "sum", "range", "count", "stddev"), model.Tier1h},
		{"by the day", request(from, to, day, "sum", "min", "max", "count", "first", "last"), model.Tier1h},
		{"rates by the hour", request(begin, begin+day, hour, "rate", "increase", "delta"), model.Tier1h},
		{"a summary", request(from, to, to-from, "avg", "min", "max", "stddev", "count"), model.Tier1h},
		{"percentiles", request(from, to, to-from, "p1", "median", "p99"), percentiles},
		{"percentiles by the hour", request(begin, begin+day, hour, "p5", "median", "p95"), percentiles},
	}
}

// checkSource fails unless an answer was made of points of the view's tier, and of nothing else if pure.
func (v view) checkSource(t testing.TB, result *AggregateResult, sketched, pure bool) {
	t.Helper()
	e := result.Explain
	for tier, points := range e.Points {
		if tier := model.Tier(tier); tier != model.TierRaw && (points > 0) != (tier == v.points) {
			t.Fatalf("%s: %d points of tier %s: %+v", v.name, points, tier, e)
		}
	}
	if pure && v.points != model.TierRaw && e.SamplesDecoded > 0 {
		t.Fatalf("%s: samples were read: %+v", v.name, e)
	}
	needsSketch := slices.ContainsFunc(v.Functions, func(f Function) bool { return f.Kind == Quantile })
	if result.Sketched != (sketched && needsSketch) || result.Exact == result.Sketched {
		t.Fatalf("%s: sketched is %v and exact %v", v.name, result.Sketched, result.Exact)
	}
}

// changedPast are things that may happen to an hour that lies ten days back and is long rolled up.
var changedPast = []struct {
	name   string
	change func(w *world, at int64) // at is the start of the hour
}{
	{"a sample is corrected", func(w *world, at int64) { w.sample("load", "a", at+20*int64(time.Minute), 123456) }},
	{"a sample of each series is corrected", func(w *world, at int64) {
		w.sample("load", "a", at+40*int64(time.Minute), 654321)
		w.sample("load", "b", at+10*int64(time.Minute), -77.5)
	}},
	{"an hour is deleted", func(w *world, at int64) { w.remove("load", "a", at, at+hour) }},
	{"a part of an hour is deleted", func(w *world, at int64) { w.remove("load", "", at+7*int64(time.Minute), at+31*int64(time.Minute)) }},
	{"an hour is deleted and a sample written into it", func(w *world, at int64) {
		w.remove("load", "b", at, at+hour)
		w.sample("load", "b", at+12*int64(time.Minute), 9999)
	}},
	{"late samples come", func(w *world, at int64) {
		w.fill("load", "a", at+int64(time.Second), at+hour, 17*time.Minute, func(i int) float64 { return float64(1000 + i) })
	}},
	{"another series comes", func(w *world, at int64) {
		w.fill("load", "late", at, at+hour, 7*time.Minute, func(i int) float64 { return float64(i) })
	}},
}

// TestPastChanges changes hours that are rolled up and asks at once, again after a flush, and again after
// maintenance, what was asked before and comes from the cache until then.
func TestPastChanges(t *testing.T) {
	for _, limit := range []int{1 << 20, 50} {
		sketched := limit == 50
		w := newWorld(t, Options{ResultCacheBytes: 8 << 20, MaxExactSamples: limit, MaxResultPoints: 1 << 24, MinChunkSamples: 1})
		for n := range int64(13) {
			dense, from, to := n == 2 || n == 7, worldStart+n*day, worldStart+min((n+1)*day, 12*day+10*hour)
			steps := [2]time.Duration{40 * time.Minute, 50 * time.Minute}
			if dense { // the days that are looked at closely
				steps = [2]time.Duration{2 * time.Minute, 150 * time.Second}
			}
			w.fill("load", "a", from, to, steps[0], func(i int) float64 { return float64((int(n)*300+i)*7%5000) + 1 })
			w.fill("load", "b", from, to, steps[1], func(i int) float64 { return 50 + math.Round(1000*math.Sin(float64(i)))/100 })
		}
		w.maintain()
		for i, c := range changedPast {
			t.Run(fmt.Sprintf("%s, sketched %v", c.name, sketched), func(t *testing.T) {
				w.t = t
				at := worldStart + 2*day + int64(2*i+1)*hour
				all := views(t, at, sketched)
				elsewhere := views(t, at+5*day, sketched)[1]
				w.ask(elsewhere.AggregateRequest)
				for _, v := range all {
					v.checkSource(t, w.ask(v.AggregateRequest), sketched, v.name != "rates by the hour")
					if result := w.ask(v.AggregateRequest); !result.Explain.Cached {
						t.Fatalf("%s: not from the cache: %+v", v.name, result.Explain)
					}
				}
				c.change(w, at)
				for _, v := range all {
					result := w.ask(v.AggregateRequest)
					if result.Explain.Cached {
						t.Fatalf("%s: from the cache after the change", v.name)
					}
					v.checkSource(t, result, sketched, false)
				}
				if !w.ask(elsewhere.AggregateRequest).Explain.Cached {
					t.Error("the cache forgot about another day")
				}
				w.askAnew(all, sketched)
			})
		}
	}
}

// askAnew asks without the cache in all states that samples go through on their way into points.
func (w *world) askAnew(all []view, sketched bool) {
	w.t.Helper()
	for _, stage := range []struct {
		name string
		do   func()
		pure bool
	}{
		{"after a crash", func() { w.restart(true) }, false},
		{"flushed", w.flush, false},
		{"maintained", w.maintain, true},
		{"after a restart", func() { w.restart(false) }, true},
	} {
		stage.do()
		w.db.results.clear()
		for _, v := range all {
			v.checkSource(w.t, w.ask(v.AggregateRequest), sketched, stage.pure && v.name != "rates by the hour")
		}
	}
}

// TestRollupDelay checks that an hour is rolled up RollupDelay after its end and not before, that a sample that
// comes later still counts, and that the day is rolled up further as time goes on.
func TestRollupDelay(t *testing.T) {
	w := newWorld(t, Options{RollupDelay: 15 * time.Minute, MinChunkSamples: 1})
	request := AggregateRequest{Selection: selectionOf("load", "", worldStart, worldStart+day), Edges: buckets(worldStart, worldStart+day, hour),
		Functions: functions(t, "sum", "count")}
	for _, c := range []struct {
		now    int64
		points int // of hours
	}{
		{30 * int64(time.Minute), 0},
		{hour + 15*int64(time.Minute) - 1, 0},
		{hour + 15*int64(time.Minute), 1},
		{5*hour + 14*int64(time.Minute), 4},
		{5*hour + 15*int64(time.Minute), 5},
		{25 * hour, 24},
	} {
		for _, s := range w.oracle.series {
			s.samples, s.times = map[int64]float64{}, nil // the same is written again
		}
		w.setNow(worldStart + c.now)
		w.fill("load", "a", worldStart, min(worldStart+c.now, worldStart+day), time.Minute, func(i int) float64 { return float64(i) })
		w.maintain()
		if result := w.ask(request); result.Explain.Points[model.Tier1h] != c.points {
			t.Errorf("at %s %d hours are rolled up, want %d", time.Duration(c.now), result.Explain.Points[model.Tier1h], c.points)
		}
	}
}

// TestNothingIsExact asks for a range that begins within an hour of a day without samples, in a month that has points:
// that there is nothing is known for certain.
func TestNothingIsExact(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	w.sample("load", "a", worldStart, 1)
	w.sample("load", "a", worldStart+2*day, 2)
	w.setNow(worldStart + 4*day)
	w.maintain()
	request := AggregateRequest{Functions: []Function{{Kind: Sum}}}
	request.Matchers = []*model.Matcher{model.EqualMatcher(model.NameKey, "load")}
	request.From, request.To = worldStart+day+1, worldStart+3*day
	request.Edges = []int64{request.From, request.To}
	result := w.ask(request)
	if !result.Exact || len(result.Groups) != 1 || result.Groups[0].Values[0] != 2 {
		t.Errorf("%+v", result)
	}
}
