package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
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
	for seed := range uint64(metamorphicCases) {
		runMetamorphic(t, seed)
	}
}

const metamorphicCases = 300

// metamorphic is one case.
type metamorphic struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	fs     *vfs.MemFS
	opts   Options
	db     *DB
	oracle *oracle
	clock  int64 // of the samples
	now    atomic.Int64
	log    []string
}

func runMetamorphic(t *testing.T, seed uint64) {
	m := &metamorphic{
		t:      t,
		seed:   seed,
		random: rand.New(rand.NewPCG(seed, 7)),
		fs:     vfs.NewCrashableMem(),
		oracle: newOracle(),
		clock:  time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC).UnixNano(),
	}
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

func (m *metamorphic) randomOptions() Options {
	return Options{
		Now:             func() time.Time { return time.Unix(0, m.now.Load()) },
		MaxHeadSamples:  1 << 30,
		MinFreeBytes:    -1,
		FlushInterval:   time.Hour,
		FlushSamples:    pick(m.random, 200, 2000, 1<<20),
		MinChunkSamples: pick(m.random, 1, 5, 50, 256),
		Workers:         pick(m.random, 1, 2, 3),
		MaxWALBytes:     1 << 40,
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
	m.now.Add(m.random.Int64N(int64(40 * time.Minute))) // series become idle at times
	switch n := m.random.IntN(20); {
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
	case n < 17:
		m.checkSamples()
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
	for range n {
		if !walk {
			name, tags = m.series()
		}
		id, err := m.db.Resolve(name, tags)
		if err != nil {
			m.fail("resolve: %v", err)
		}
		known := m.oracle.find(name, tags)
		at, value := m.time(), m.value()
		if len(known.times) > 0 && m.random.IntN(15) == 0 {
			at = pick(m.random, known.times...)
		}
		batch.Add(id, at, value)
		known.put(at, value)
		if m.random.IntN(40) == 0 {
			known.Unit = pick(m.random, "percent", "MB", "s")
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

// checkSamples reads all raw samples of a selection, page by page.
func (m *metamorphic) checkSamples() { m.compareSamples(m.selection(), 1+m.random.IntN(500)) }

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
			if want := m.oracle.find(s.Name, s.Tags).Unit; s.Unit != want {
				m.fail("series %v has unit %q, want %q", s, s.Unit, want)
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
}

func (m *metamorphic) checkAggregate() {
	request := AggregateRequest{Selection: m.selection()}
	step := pick(m.random, int64(time.Minute), int64(5*time.Minute), int64(time.Hour), int64(24*time.Hour), request.To-request.From)
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
	result, err := m.db.Aggregate(context.Background(), request)
	if err != nil {
		m.fail("aggregate: %v", err)
	}
	want := m.oracle.groups(request)
	if len(result.Groups) != len(want) {
		m.fail("%s: %d groups, want %d", describeRequest(request), len(result.Groups), len(want))
	}
	for _, group := range result.Groups {
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
				value, tolerance := bucket.value(f)
				if !sameValue(got, value, tolerance) {
					m.fail("%s: group %v bucket %d function %v is %v, want %v", describeRequest(request), tags, number, f, got, value)
				}
			}
		}
	}
}

// checkAll compares everything there is.
func (m *metamorphic) checkAll() {
	for _, name := range []string{"cpu", "memory"} {
		m.compareSamples(Selection{
			Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)},
			From:     model.MinTime, To: model.MaxTime,
		}, 1000)
	}
}
