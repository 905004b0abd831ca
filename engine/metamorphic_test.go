package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// The metamorphic test runs random lists of operations under random options and compares every answer
// with the oracle's. COLLECTOR_SEED=n runs that case alone; COLLECTOR_METAMORPHIC=30m goes on for so long.
func TestMetamorphic(t *testing.T) {
	if text := os.Getenv("COLLECTOR_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("COLLECTOR_SEED: %v", err)
		}
		runMetamorphic(t, seed)
		return
	}
	if text := os.Getenv("COLLECTOR_METAMORPHIC"); text != "" {
		period, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("COLLECTOR_METAMORPHIC: %v", err)
		}
		first := uint64(time.Now().UnixNano())
		seed := first
		for end := time.Now().Add(period); time.Now().Before(end) && !t.Failed(); seed++ {
			runMetamorphic(t, seed)
		}
		t.Logf("%d cases, seeds from %d on", seed-first, first)
		return
	}
	for seed := range cases(300, 30) {
		runMetamorphic(t, seed)
	}
}

// metamorphic is one case.
type metamorphic struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	moves  *rand.Rand // for moveToSnapshot, so that it leaves the rest of a case as it is
	fs     *crashableMem
	opts   Options
	db     *DB
	oracle *oracle
	events eventOracle
	clock  int64 // of the samples
	now    atomic.Int64
	policy RetentionPolicy
	asked  []AggregateRequest

	answers  int     // written
	answered []int64 // when
	log      []string
}

func runMetamorphic(t *testing.T, seed uint64) {
	m := &metamorphic{
		t:      t,
		seed:   seed,
		random: rand.New(rand.NewPCG(seed, 7)),
		moves:  rand.New(rand.NewPCG(seed, 8)),
		fs:     newCrashableMem(),
		oracle: newOracle(),
		clock:  time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC).UnixNano(),
	}
	m.now.Store(m.clock)
	m.policy = m.randomPolicy()
	m.oracle.policy = m.policy
	m.events.age = pick(m.random, 0, 3*testDay)
	m.opts = m.randomOptions()
	m.open()
	for range 10 + m.random.IntN(50) {
		m.step()
	}
	m.checkAll()
	if err := m.db.Close(); err != nil {
		m.fail("close: %v", err)
	}
}

func (m *metamorphic) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Logf("policy %+v", m.policy)
	for _, line := range m.log {
		m.t.Log(line)
	}
	m.t.Fatalf("COLLECTOR_SEED=%d: %s", m.seed, fmt.Sprintf(format, args...))
}

func (m *metamorphic) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// pick returns one of the values.
func pick[T any](random *rand.Rand, values ...T) T { return values[random.IntN(len(values))] }

const testDay = 24 * time.Hour

func (m *metamorphic) randomPolicy() RetentionPolicy {
	short := Retention{Raw: 2 * testDay}
	switch m.random.IntN(8) {
	case 0:
		return RetentionPolicy{Default: Retention{Raw: 3 * testDay}}
	case 1:
		return RetentionPolicy{Rules: []RetentionRule{{Match: "mem*", Retention: short}}}
	case 2:
		return RetentionPolicy{Default: Retention{Raw: 4 * testDay}, Rules: []RetentionRule{{Match: "*", Source: "y", Retention: short}}}
	case 3:
		return RetentionPolicy{Default: Retention{Raw: 2 * testDay, FiveMinutes: 3 * testDay, Hour: KeepForever}}
	case 4:
		return RetentionPolicy{Rules: []RetentionRule{{Match: "cpu", Retention: Retention{Raw: testDay, Hour: 9 * testDay}}}}
	default:
		return RetentionPolicy{}
	}
}

func (m *metamorphic) randomOptions() Options {
	return Options{
		Retention:        m.policy,
		EventRetention:   m.events.age,
		FlushEventBytes:  pick(m.random, int64(16<<10), 1<<20),
		RetentionGrace:   pick(m.random, time.Nanosecond, time.Hour),
		MaintainInterval: -1,
		RollupDelay:      pick(m.random, time.Nanosecond, 15*time.Minute),
		ResultCacheBytes: pick(m.random, int64(0), 1<<20),
		MaxExactSamples:  pick(m.random, 20, 1000, 1<<30),
		MaxResultPoints:  1 << 24,
		Now:              func() time.Time { return time.Unix(0, m.now.Load()) },
		MaxHeadSamples:   1 << 30,
		MinFreeBytes:     -1,
		FlushInterval:    time.Hour,
		FlushSamples:     pick(m.random, 200, 2000, 1<<20),
		MinChunkSamples:  pick(m.random, 1, 5, 50, 256),
		tableSamples:     pick(m.random, 0, 1, 100),
		Workers:          pick(m.random, 1, 2, 3),
		Uncompressed:     pick(m.random, false, true),
		MaxGroupSamples:  pick(m.random, 0, 7),
		MaxWALBytes:      1 << 40,
	}
}

func (m *metamorphic) open() {
	m.opts.FS = m.fs
	db, err := Open("data", m.opts)
	if err != nil {
		m.fail("open: %v", err)
	}
	m.db = db
}

func (m *metamorphic) step() {
	m.now.Store(max(m.now.Load(), m.clock) + m.random.Int64N(int64(40*time.Minute))) // series become idle at times
	m.oracle.now = m.now.Load()
	if m.moves.IntN(20) == 0 {
		m.moveToSnapshot()
	}
	switch n := m.random.IntN(29); {
	case n >= 28:
		m.writeAnswers()
	case n >= 26:
		m.checkEvents()
	case n >= 24:
		m.writeEvents()
	case n >= 22:
		m.maintain()
	case n >= 20:
		m.delete()

	case n < 10:
		m.write()
	case n < 12:
		m.note("flush")
		if err := m.db.Flush(); err != nil {
			m.fail("flush: %v", err)
		}
	case n < 13:
		m.note("restart")
		if err := m.db.Close(); err != nil {
			m.fail("close: %v", err)
		}
		m.opts = m.randomOptions()
		m.open()
	case n < 14:
		m.crash()
	case n < 16:
		m.checkSamples()
	case n < 17:
		m.checkNames(m.selection())
		m.checkCatalogue(m.selection())
	default:
		m.checkAggregate()
	}
}

// crash loses what was not synced; everything was acknowledged, so nothing may be missing.
func (m *metamorphic) crash() {
	m.note("crash")
	lost := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: pick(m.random, 0, 50, 100), RNG: rand.New(rand.NewPCG(m.seed, m.random.Uint64()))})
	if err := m.db.Close(); err != nil {
		m.fail("close: %v", err)
	}
	m.fs = lost
	m.opts = m.randomOptions()
	m.open()
}

// moveToSnapshot goes on with a snapshot, away from the store it was taken of.
func (m *metamorphic) moveToSnapshot() {
	m.random, m.moves = m.moves, m.random
	defer func() { m.random, m.moves = m.moves, m.random }()
	m.note("go on with a snapshot")
	made, err := m.db.Snapshot(context.Background(), "copy")
	if err != nil {
		m.fail("snapshot: %v", err)
	}
	if err := m.db.Close(); err != nil {
		m.fail("close: %v", err)
	}
	moved := newCrashableMem()
	if ok, err := vfs.Clone(m.fs, moved, "data/"+made.Path, "data", vfs.CloneSync); !ok || err != nil {
		m.fail("move the snapshot: %t, %v", ok, err)
	}
	if err := syncDir(moved, "/"); err != nil {
		m.fail("sync what was moved: %v", err)
	}
	m.fs = moved
	m.opts = m.randomOptions()
	m.open()
	m.checkAll()
}

var hosts = []string{"a", "b", "c", "d", "e"}

// series picks the identity of one of some dozens of series.
func (m *metamorphic) series() (string, model.Tags) {
	tags := model.Tags{{Key: "host", Value: pick(m.random, hosts...)}, {Key: model.SourceKey, Value: pick(m.random, "x", "y")}}
	if m.random.IntN(3) == 0 {
		tags = append(tags, model.Tag{Key: "zone", Value: pick(m.random, "1", "2")})
	}
	return pick(m.random, "cpu", "memory"), tags
}

func (m *metamorphic) time() int64 {
	m.clock += m.random.Int64N(int64(time.Minute))
	switch m.random.IntN(20) {
	case 0:
		return m.clock - m.random.Int64N(int64(5*24*time.Hour))
	case 1:
		return m.clock - m.random.Int64N(int64(time.Hour))
	case 2:
		m.clock += m.random.Int64N(int64(8 * time.Hour))
	case 3:
		return m.clock / int64(time.Second) * int64(time.Second)
	}
	return m.clock / 1e6 * 1e6
}

func (m *metamorphic) value() float64 {
	switch m.random.IntN(30) {
	case 0:
		return pick(m.random, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 5e-324, Missing(), math.Float64frombits(0x7ff8000000000abc))
	case 1, 2, 3:
		return float64(m.random.IntN(100))
	}
	return math.Round(m.random.NormFloat64()*1e4) / 100
}

func (m *metamorphic) write() {
	var batch Batch
	n := 1 + m.random.IntN(pick(m.random, 5, 50, 500))
	walk := m.random.IntN(3) == 0 // one series in time order, as an agent sends it
	name, tags := m.series()
	asked := make([]Resolution, n)
	for i := range asked {
		if !walk {
			name, tags = m.series()
		}
		asked[i] = Resolution{Name: name, Tags: tags}
	}
	if err := m.db.ResolveAll(asked); err != nil {
		m.fail("resolve: %v", err)
	}
	for _, r := range asked {
		id, name, tags := r.ID, r.Name, r.Tags
		if r.Err != nil {
			m.fail("resolve: %v", r.Err)
		}
		known := m.oracle.find(name, tags)
		at, value := m.time(), m.value()
		if len(known.times) > 0 && m.random.IntN(15) == 0 {
			at = pick(m.random, known.times...)
		}
		class := m.db.RetentionClassOf(name, tags.Get(model.SourceKey))
		if err := m.db.CheckTime(class, at); err != nil {
			floor := m.policy.Floor(m.policy.ClassOf(name, tags.Get(model.SourceKey)), model.TierRaw, m.now.Load())
			if at >= floor {
				m.fail("time %d is refused, samples are kept from %d on: %v", at, floor, err)
			}
			continue
		}
		batch.Add(id, at, value)
		known.put(at, value)
		if m.random.IntN(40) == 0 {
			known.Unit, known.forgotten = pick(m.random, "percent", "MB", "s"), false
			batch.SetUnit(id, known.Unit)
		}
	}
	m.note("write %d samples, clock %d", n, m.clock)
	if err := m.db.Write(&batch); err != nil {
		m.fail("write: %v", err)
	}
}

func (m *metamorphic) selection() Selection {
	matchers := []*model.Matcher{model.EqualMatcher(model.NameKey, pick(m.random, "cpu", "memory"))}
	for range m.random.IntN(3) {
		key := pick(m.random, "host", "zone", model.SourceKey, "absent")
		matcher, err := model.NewMatcher(key, model.MatchOp(m.random.IntN(4)), pick(m.random, "", "a", "b|c", "x", "1", ".*", "[a-c]"))
		if err != nil {
			m.fail("matcher: %v", err)
		}
		matchers = append(matchers, matcher)
	}
	from := m.clock - m.random.Int64N(int64(6*24*time.Hour))
	return Selection{Matchers: matchers, From: from, To: from + 1 + m.random.Int64N(int64(3*24*time.Hour))}
}

// maintain joins, rolls up, finishes deletes and drops what has expired.
func (m *metamorphic) maintain() {
	maintain := m.db.Maintain
	inBackground := m.random != nil && m.random.IntN(2) == 0
	if inBackground { // without a flush before it
		maintain = func(ctx context.Context) error { return m.db.maintain(ctx, pass{share: 1}) }
	}
	m.note("maintain at %d, in the background: %v", m.now.Load(), inBackground)
	if err := maintain(context.Background()); err != nil {
		m.fail("maintain: %v", err)
	}
	for _, s := range m.oracle.series {
		if len(m.oracle.keepVisible(s, s.sorted(model.MinTime, model.MaxTime), true)) == 0 {
			s.forgotten = true // a series without samples may go, and its unit with it
		}
	}
}

// delete hides a part of a selection.
func (m *metamorphic) delete() {
	selection := m.selection()
	switch m.random.IntN(4) {
	case 0:
		selection.From, selection.To = model.MinTime, model.MaxTime
	case 1:
		selection.To = selection.From + 1 + m.random.Int64N(int64(time.Hour))
	}
	dryRun := m.random.IntN(5) == 0
	result, err := m.db.Delete(context.Background(), selection, dryRun)
	if err != nil {
		m.fail("delete: %v", err)
	}
	m.note("delete {%v} [%d, %d) dry %v: %+v", selection.Matchers, selection.From, selection.To, dryRun, result)
	if result.From > selection.From || result.To < selection.To && selection.To < model.MaxTime {
		m.fail("delete took [%d, %d) of [%d, %d)", result.From, result.To, selection.From, selection.To)
	}
	selection.From, selection.To = result.From, result.To
	oracle := m.oracle
	if dryRun {
		oracle = m.oracle.clone()
	}
	if visible := oracle.remove(selection); visible != result.Samples {
		m.fail("delete hides %d samples, want %d", result.Samples, visible)
	}
}

// checkSamples reads all raw samples of a selection, page by page.
func (m *metamorphic) checkSamples() {
	selection := m.selection()
	m.compareSamples(selection, 1+m.random.IntN(500))
	m.compareLatest(selection)
}

func (m *metamorphic) compareSamples(selection Selection, limit int) {
	request := SamplesRequest{Selection: selection, Limit: limit}
	var got []oracleRow
	last := Cursor{}
	for {
		result, err := m.db.Samples(context.Background(), request)
		if err != nil {
			m.fail("samples: %v", err)
		}
		for _, row := range result.Rows {
			s := result.Series[row.Series]
			if at := (Cursor{row.Time, s.ID}); at.Time < last.Time || at.Time == last.Time && at.Series <= last.Series {
				m.fail("row %+v comes after %+v", at, last)
			} else {
				last = at
			}
			if known := m.oracle.find(s.Name, s.Tags); s.Unit != known.Unit && (s.Unit != "" || !known.forgotten) {
				m.fail("series %v has unit %q, want %q", s, s.Unit, known.Unit)
			}
			got = append(got, oracleRow{string(model.AppendIdentity(nil, s.Name, s.Tags)), row.Time, math.Float64bits(row.Value)})
		}
		if !result.More {
			break
		}
		if len(result.Rows) != request.Limit {
			m.fail("a page has %d rows of %d and says there are more", len(result.Rows), request.Limit)
		}
		request.After = result.Next
	}
	sortRows(got)
	want := m.oracle.rows(request.Selection)
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			m.fail("samples of %v, limit %d: row %d is %+v, want %+v", request.Selection, request.Limit, i, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		m.fail("samples of %v, limit %d: %d rows, want %d", request.Selection, request.Limit, len(got), len(want))
	}
	m.compareScan(selection)
}

func (m *metamorphic) checkAggregate() {
	if len(m.asked) > 0 && m.random.IntN(3) == 0 { // again, perhaps from the cache
		m.compareAggregate(pick(m.random, m.asked...))
		return
	}
	request := AggregateRequest{Selection: m.selection()}
	step := pick(m.random, int64(time.Minute), int64(5*time.Minute), hour, 90*int64(time.Minute), 24*hour, request.To-request.From)
	if m.random.IntN(2) == 0 {
		request.From, request.To = request.From/hour*hour, (request.To/hour+1)*hour
	}
	for edge := request.From / step * step; ; edge += step {
		request.Edges = append(request.Edges, edge)
		if edge >= request.To {
			break
		}
	}
	for range 1 + m.random.IntN(3) {
		request.Functions = append(request.Functions, Function{Kind: FunctionKind(m.random.IntN(int(Quantile) + 1)), Quantile: pick(m.random, 0, 0.5, 0.95, 1)})
	}
	request.GroupAll = m.random.IntN(4) == 0
	if m.random.IntN(3) == 0 {
		request.GroupBy = []string{"zone", "host"}[m.random.IntN(2):]
	}
	m.asked = append(m.asked, request)
	m.compareAggregate(request)
}

func (m *metamorphic) compareAggregate(request AggregateRequest) {
	result, err := m.db.Aggregate(context.Background(), request)
	if err != nil {
		m.fail("aggregate: %v", err)
	}
	// Where raw samples have expired, points answer for buckets that they don't fit: then only an answer that
	// calls itself exact can be checked, or one by the hour.
	aligned := !slices.ContainsFunc(append([]int64{request.From, request.To}, request.Edges...), func(at int64) bool { return at%hour != 0 })
	if !result.Exact && !result.Sketched && !aligned {
		return
	}
	if result.Sketched && !aligned && result.RetentionBound {
		return
	}
	want := m.oracle.groups(request)
	if len(result.Groups) != len(want) {
		m.fail("%s: %d groups, want %d", describeRequest(request), len(result.Groups), len(want))
	}
	for _, group := range result.Groups {
		m.compareGroup(request, result, group, want)
	}
	m.compareScanBuckets(request, result, want)
}

func (m *metamorphic) compareGroup(request AggregateRequest, result *AggregateResult, group Group, want map[string]map[int]*oracleBucket) {
	tags := group.Tags
	if tags == nil {
		tags = model.Tags{}
	}
	buckets := want[fmt.Sprint(tags)]
	if len(group.Buckets) != len(buckets) {
		m.fail("%s: group %v has %d buckets, want %d", describeRequest(request), tags, len(group.Buckets), len(buckets))
	}
	for i, number := range group.Buckets {
		bucket := buckets[number]
		if bucket == nil {
			m.fail("%s: group %v has bucket %d, the oracle has not", describeRequest(request), tags, number)
		}
		for j, f := range request.Functions {
			got := group.Values[i*len(request.Functions)+j]
			if f.Kind == Quantile && result.Sketched {
				if !bucket.sketched(f, got, result.ErrorBound) {
					m.fail("%s: group %v bucket %d function %v is %v", describeRequest(request), tags, number, f, got)
				}
				continue
			}
			if needs := needsOf([]Function{f}, false); !result.Exact && result.RetentionBound && needs.changes {
				continue
			}
			value, tolerance := bucket.value(f)
			if !sameValue(got, value, tolerance) {
				m.fail("%s: group %v bucket %d function %v is %v, want %v; %+v", describeRequest(request), tags, number, f, got, value, result.Explain)
			}
		}
	}
}

// checkAll compares everything there is.
func (m *metamorphic) checkAll() {
	m.oracle.now = m.now.Load()
	m.compareEvents(EventQuery{To: model.MaxTime, Limit: 100, Total: true})
	m.checkAnswers()
	m.checkNames(Selection{From: model.MinTime, To: model.MaxTime})
	m.checkCatalogue(Selection{From: model.MinTime, To: model.MaxTime})
	m.checkCatalogue(m.selection())
	for _, name := range []string{"cpu", "memory"} {
		m.compareSamples(Selection{
			Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)},
			From:     model.MinTime, To: model.MaxTime,
		}, 1000)
		request := AggregateRequest{Selection: m.selection(), GroupAll: true, Functions: []Function{{Kind: Count}, {Kind: Sum}, {Kind: Quantile, Quantile: 0.9}}}
		request.From, request.To = m.clock/hour*hour-30*24*hour, (m.clock/hour+1)*hour
		request.Edges = []int64{request.From, request.To}
		m.compareAggregate(request)
	}
}
