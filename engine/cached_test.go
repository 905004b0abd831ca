package engine

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

// isCached asks and reports whether the answer, which must be right, came from the cache.
func (w *world) isCached(r AggregateRequest) bool {
	w.t.Helper()
	return w.ask(r).Explain.Cached
}

// newCachedWorld holds two days of two hosts, half of it in chunks.
func newCachedWorld(t *testing.T, opts Options) *world {
	t.Helper()
	opts.MinChunkSamples = 1
	w := newWorld(t, opts)
	w.setNow(worldStart + 2*day)
	for _, host := range []string{"a", "b"} {
		w.fill("load", host, worldStart, worldStart+day, 10*time.Minute, number)
	}
	w.maintain()
	for _, host := range []string{"a", "b"} {
		w.fill("load", host, worldStart+day, worldStart+2*day, 10*time.Minute, number)
	}
	return w
}

// hours asks for hours of worldStart's days.
func hours(t testing.TB, from, to int64, names ...string) AggregateRequest {
	from, to = worldStart+from*hour, worldStart+to*hour
	return AggregateRequest{Selection: selectionOf("load", "", from, to), Edges: buckets(from, to, hour), Functions: functions(t, names...)}
}

// TestCachedUntilChanged asks twice, changes something and asks again.
func TestCachedUntilChanged(t *testing.T) {
	sum, rate := hours(t, 30, 34, "sum", "count"), hours(t, 30, 34, "rate")
	at := func(h int64) int64 { return worldStart + h*hour }
	for _, c := range []struct {
		name    string
		request AggregateRequest
		change  func(w *world)
		cached  bool
	}{
		{"nothing", sum, func(*world) {}, true},
		{"a write into the first hour", sum, func(w *world) { w.sample("load", "a", at(30), 5) }, false},
		{"a write into the last hour", sum, func(w *world) { w.sample("load", "a", at(34)-1, 5) }, false},
		{"a new series in the range", sum, func(w *world) { w.sample("load", "c", at(32), 5) }, false},
		{"the same value again", sum, func(w *world) { w.sample("load", "a", at(31), number(42)) }, false},
		{"a write into the hour before", sum, func(w *world) { w.sample("load", "a", at(30)-1, 5) }, true},
		{"a write into the hour after", sum, func(w *world) { w.sample("load", "a", at(34), 5) }, true},
		{"a rate looks back a day", rate, func(w *world) { w.sample("load", "a", at(6), 5) }, false},
		{"and no further", rate, func(w *world) { w.sample("load", "a", at(6)-1, 5) }, true},
		{"a delete in the range", sum, func(w *world) { w.remove("load", "b", at(32)+5, at(32)+hour/2) }, false},
		{"a delete around the range", sum, func(w *world) { w.remove("load", "", at(0), at(48)) }, false},
		{"a delete before the range", sum, func(w *world) { w.remove("load", "", at(0), at(30)) }, true},
		{"a delete behind the range", sum, func(w *world) { w.remove("load", "", at(34), at(48)) }, true},
		{"a delete of nothing", sum, func(w *world) { w.remove("load", "nobody", at(0), at(48)) }, true},
		{"a flush", sum, (*world).flush, true},
		{"maintenance", sum, func(w *world) { w.maintain() }, true},
		{"a delete is finished", sum, func(w *world) { w.remove("load", "", at(0), at(30)); w.maintain() }, true},
		{"a dropped series", sum, func(w *world) {
			w.sample("load", "z", at(1), 1)
			w.flush()
			w.remove("load", "z", at(0), at(48))
			w.ask(sum) // since the delete touched the range
			w.maintain()
		}, false},
		{"the same retention", sum, func(w *world) { w.setRetention(w.policy) }, false},
		{"a shorter retention", sum, func(w *world) { w.setRetention(RetentionPolicy{Default: Retention{Raw: 16 * time.Hour}}) }, false},
		{"a restart", sum, func(w *world) { w.restart(false) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCachedWorld(t, Options{ResultCacheBytes: 1 << 20})
			if w.isCached(c.request) || !w.isCached(c.request) {
				t.Fatal("the second answer should come from the cache, the first should not")
			}
			c.change(w)
			if got := w.isCached(c.request); got != c.cached {
				t.Errorf("cached is %v", got)
			}
			w.isCached(c.request)
		})
	}
}

// TestCacheIsOff asks a store without a cache.
func TestCacheIsOff(t *testing.T) {
	w := newCachedWorld(t, Options{})
	for range 3 {
		if w.isCached(hours(t, 0, 30, "sum")) {
			t.Error("an answer comes from a cache that there isn't")
		}
	}
	if got := w.db.Stats().Cache; got != (CacheStats{}) {
		t.Errorf("the cache says %+v", got)
	}
}

// TestCacheFollowsTheFloor asks for a range that retention begins to hide as the clock goes on: from then on it
// isn't answered from the cache.
func TestCacheFollowsTheFloor(t *testing.T) {
	w := newCachedWorld(t, Options{ResultCacheBytes: 1 << 20, Retention: RetentionPolicy{Default: Retention{Raw: 2 * testDay}}})
	late, early, rate := hours(t, 30, 34, "sum"), hours(t, 0, 34, "sum"), hours(t, 30, 34, "rate")
	for _, r := range []AggregateRequest{late, early, rate} {
		if w.isCached(r) || !w.isCached(r) {
			t.Fatal("the second answer should come from the cache, the first should not")
		}
	}
	for _, c := range []struct {
		after             int64
		late, early, rate bool // from the cache
	}{
		{0, true, true, true},
		{1, true, false, true},
		{3*hour + 7, true, false, true},
		{6 * hour, true, false, true},
		{6*hour + 1, true, false, false},
		{30 * hour, true, false, false},
		{30*hour + 1, false, false, false},
		{31 * hour, false, false, false},
	} {
		w.setNow(worldStart + 2*day + c.after)
		for i, r := range []AggregateRequest{late, early, rate} {
			if got, want := w.isCached(r), []bool{c.late, c.early, c.rate}[i]; got != want {
				t.Errorf("%s later request %d is cached %v", time.Duration(c.after), i, got)
			}
		}
	}
}

// TestCacheIsBounded asks for more than the cache holds.
func TestCacheIsBounded(t *testing.T) {
	const limit = 20_000
	w := newCachedWorld(t, Options{ResultCacheBytes: limit})
	for i := range int64(80) {
		w.isCached(hours(t, i%40, i%40+1+i%7, "sum", "max"))
		if got := w.db.Stats().Cache; got.Bytes > limit || got.MaxBytes != limit || got.Bytes == 0 {
			t.Fatalf("after %d requests: %+v", i+1, got)
		}
	}
	got := w.db.Stats().Cache
	if got.Hits+got.Misses != 80 || got.Entries < 10 || got.Entries > 79 {
		t.Errorf("in the end: %+v", got)
	}
	if !w.isCached(hours(t, 39, 39+1+79%7, "sum", "max")) {
		t.Error("the last answer isn't kept")
	}
	large := hours(t, 0, 47, "sum", "max", "min", "avg", "first", "last", "count")
	large.GroupAll = true
	w.isCached(large)
	if w.isCached(large) {
		t.Error("an answer of more than an eighth of the cache is kept")
	}
}

// TestCachedAnswersAreTheirOwn gives the caller of a cached answer a result that isn't marked for the next one.
func TestCachedAnswersAreTheirOwn(t *testing.T) {
	w := newCachedWorld(t, Options{ResultCacheBytes: 1 << 20})
	first, second := w.ask(hours(t, 3, 9, "sum")), w.ask(hours(t, 3, 9, "sum"))
	if first.Explain.Cached || !second.Explain.Cached {
		t.Errorf("cached is %v and %v", first.Explain.Cached, second.Explain.Cached)
	}
	second.Explain.Cached = false
	if !reflect.DeepEqual(first, second) {
		t.Errorf("the answers are %+v and %+v", first, second)
	}
}

// randomRequest returns one of so few requests that many are equal.
func randomRequest(t testing.TB, random *rand.Rand) AggregateRequest {
	r := AggregateRequest{Selection: Selection{From: random.Int64N(2), To: 60 + random.Int64N(2)}}
	for range random.IntN(3) {
		m, err := model.NewMatcher(pick(random, "a", "a b"), model.MatchOp(random.IntN(3)), pick(random, "", "x", `x" 0 "y`))
		if err != nil {
			t.Fatal(err)
		}
		r.Matchers = append(r.Matchers, m)
	}
	for range random.IntN(3) {
		r.GroupBy = append(r.GroupBy, pick(random, "a", "b", `a" "b`))
	}
	for range 1 + random.IntN(2) {
		r.Functions = append(r.Functions, Function{Kind: FunctionKind(random.IntN(2)) * Quantile, Quantile: pick(random, 0.5, 0.25)})
	}
	r.GroupAll = random.IntN(2) == 0
	edge := random.Int64N(2)
	for range 2 + random.IntN(5) {
		r.Edges = append(r.Edges, edge)
		edge += random.Int64N(3)
	}
	return r
}

// TestRequestKeys checks that requests have one key exactly when they are one.
func TestRequestKeys(t *testing.T) {
	db := &DB{}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	type shape struct { // of a request, without what compiling makes of a matcher
		From, To  int64
		Matchers  []string
		Edges     []int64
		Functions []Function
		GroupBy   []string
		GroupAll  bool
	}
	shapeOf := func(r AggregateRequest) string {
		s := shape{r.From, r.To, nil, r.Edges, r.Functions, r.GroupBy, r.GroupAll}
		for _, m := range r.Matchers {
			s.Matchers = append(s.Matchers, fmt.Sprintf("%q %d %q", m.Key, m.Op, m.Value))
		}
		return fmt.Sprintf("%#v", s)
	}
	shapes, keys := make(map[string]string), make(map[string]string) // by the other
	for range 15_000 {
		r := randomRequest(t, random)
		shape, key := shapeOf(r), db.requestKey(&r)
		if known, found := shapes[key]; found && known != shape {
			t.Fatalf("seed %d: %s\nand %s\nhave the key %s", seed, known, shape, key)
		}
		if known, found := keys[shape]; found && known != key {
			t.Fatalf("seed %d: %s has the keys %s\nand %s", seed, shape, known, key)
		}
		shapes[key], keys[shape] = shape, key
	}
	r := randomRequest(t, random)
	before := db.requestKey(&r)
	db.epoch.Add(1)
	if after := db.requestKey(&r); after == before {
		t.Error("in the next epoch the key is the same")
	}
}
