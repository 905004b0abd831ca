package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flopynet/collector/model"
)

// TestMaintainCrashes takes the state of the disk before every write operation of flushes, maintenance and
// deletes, and checks that each state recovers, is maintained and corrected to what the oracle says.
// COLLECTOR_SEED=n runs that case alone; COLLECTOR_CRASHES=30m goes on for so long.
func TestMaintainCrashes(t *testing.T) {
	var total maintainCounts
	defer func() { t.Log(total.String()) }()
	if text := os.Getenv("COLLECTOR_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("COLLECTOR_SEED: %v", err)
		}
		runMaintainCrashes(t, seed, &total)
		return
	}
	if text := os.Getenv("COLLECTOR_CRASHES"); text != "" {
		period, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("COLLECTOR_CRASHES: %v", err)
		}
		first := uint64(time.Now().UnixNano())
		for seed, end := first, time.Now().Add(period); time.Now().Before(end) && !t.Failed(); seed++ {
			runMaintainCrashes(t, seed, &total)
		}
		t.Logf("seeds from %d on", first)
		return
	}
	runs := cases(6, 1)
	if testing.Short() {
		runs = 1
	}
	for seed := range runs {
		runMaintainCrashes(t, seed, &total)
	}
}

// graceOver is how long after a start what has expired is dropped.
const graceOver = time.Hour + time.Minute

// maintainCounts says how much was tested.
type maintainCounts struct{ runs, crashes, recoveries, again int }

func (c *maintainCounts) String() string {
	return fmt.Sprintf("%d runs, %d crashes, %d different states recovered, %d of them again", c.runs, c.crashes, c.recoveries, c.again)
}

// maintainRun is one case.
type maintainRun struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	counts *maintainCounts
	policy RetentionPolicy
	taker  *crashTaker
	db     *DB

	history *history
	now     atomic.Int64
	clock   int64 // up to which series were written in order
	days    int   // that requests go back

	between atomic.Pointer[func()] // is called between the batches of a job

	logMu sync.Mutex
	log   []string
}

func runMaintainCrashes(t *testing.T, seed uint64, counts *maintainCounts) {
	r := newMaintainRun(t, seed, counts, maintainPolicy(seed))
	r.open()
	for range 1 + r.random.IntN(3) {
		r.round()
	}
	if r.random.IntN(2) == 0 { // the partitions of points expire, too
		r.advance(70 * testDay)
		r.write(r.fresh)
		r.crashing("maintain", r.maintain)
	}
	r.advance(graceOver)
	if err := r.db.Maintain(context.Background()); err != nil {
		r.fail("maintain: %v", err)
	}
	r.check()
	if err := checkKeys(r.db); err != nil {
		r.fail("at the end: %v", err)
	}
	if err := r.db.Close(); err != nil {
		r.fail("close: %v", err)
	}
	counts.runs++
	counts.crashes += r.taker.taken
}

func newMaintainRun(t *testing.T, seed uint64, counts *maintainCounts, policy RetentionPolicy) *maintainRun {
	r := &maintainRun{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 11)), counts: counts, policy: policy, days: 12}
	r.history = newHistory(policy)
	// Partitions of all tiers begin on 23 February.
	r.now.Store(time.Date(2024, 2, 22, 10, 0, 0, 0, time.UTC).UnixNano())
	r.clock = r.now.Load() - int64(2*testDay)
	r.taker = &crashTaker{fs: newCrashableMem(), history: r.history, now: &r.now, random: rand.New(rand.NewPCG(seed, 12)),
		each: func(int) bool { return true }}
	r.taker.percent = func() int { return pick(r.taker.random, 0, 0, 0, 0, 0, 30, 70) }
	return r
}

func maintainPolicy(seed uint64) RetentionPolicy {
	short := Retention{Raw: 2 * testDay}
	switch seed % 6 {
	case 0:
		return RetentionPolicy{Default: Retention{Raw: 2 * testDay, FiveMinutes: 4 * testDay, Hour: KeepForever}}
	case 1:
		return RetentionPolicy{Rules: []RetentionRule{{Match: "mem*", Retention: short}}}
	case 2:
		return RetentionPolicy{Default: Retention{Raw: 3 * testDay}}
	case 3:
		return RetentionPolicy{Default: Retention{Raw: 3 * testDay, Hour: 9 * testDay}, Rules: []RetentionRule{{Match: "*", Source: "y", Retention: short}}}
	case 4:
		return RetentionPolicy{Rules: []RetentionRule{{Match: "cpu", Retention: Retention{Raw: testDay, Hour: 9 * testDay}}}}
	default:
		return RetentionPolicy{Default: Retention{Raw: testDay, FiveMinutes: testDay, Hour: 30 * testDay}}
	}
}

func maintainOptions(random *rand.Rand, policy RetentionPolicy, now *atomic.Int64) Options {
	return Options{
		Retention:        policy,
		RetentionGrace:   pick(random, time.Nanosecond, time.Hour),
		MaintainInterval: -1,
		RollupDelay:      pick(random, time.Nanosecond, 15*time.Minute),
		ResultCacheBytes: pick(random, int64(0), 1<<20),
		CacheBytes:       1 << 20,
		MaxExactSamples:  pick(random, 20, 1<<30),
		MaxResultPoints:  1 << 24,
		Now:              func() time.Time { return time.Unix(0, now.Load()) },
		MaxHeadSamples:   1 << 30,
		MinFreeBytes:     -1,
		FlushInterval:    time.Hour,
		FlushSamples:     pick(random, 300, 1<<20, 1<<20),
		MinChunkSamples:  pick(random, 1, 8, 50, 256),
		tableSamples:     pick(random, 0, 1, 50),
		Workers:          pick(random, 1, 2),
	}
}

func (r *maintainRun) open() {
	opts := maintainOptions(r.random, r.policy, &r.now)
	opts.FS = r.taker.wrap()
	opts.Now = func() time.Time {
		switch between := r.between.Load(); {
		case between != nil && isCalledBy("(*dayJob).run", 2):
			(*between)()
		case isCalledBy("(*dayJob).", 2):
			r.syncChunks() // what a job didn't sync is durable before the next begins
		}
		return time.Unix(0, r.now.Load())
	}
	db, err := Open("data", opts)
	if err != nil {
		r.fail("open: %v", err)
	}
	r.db = db
}

// syncChunks makes all durable that was committed to the chunk store.
func (r *maintainRun) syncChunks() {
	if err := r.db.chunks.LogData([]byte("test"), pebble.Sync); err != nil {
		r.t.Errorf("COLLECTOR_SEED=%d: sync the chunk store: %v", r.seed, err)
	}
}

// isCalledBy reports whether the function's caller, or one of so many callers of it, is a certain function.
func isCalledBy(name string, depth int) bool {
	callers := make([]uintptr, depth)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

func (r *maintainRun) fail(format string, args ...any) {
	r.t.Helper()
	r.logMu.Lock()
	defer r.logMu.Unlock()
	r.t.Logf("policy %+v", r.policy)
	for _, line := range r.log {
		r.t.Log(line)
	}
	r.t.Fatalf("COLLECTOR_SEED=%d: %s", r.seed, fmt.Sprintf(format, args...))
}

func (r *maintainRun) note(format string, args ...any) {
	r.logMu.Lock()
	defer r.logMu.Unlock()
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

// round writes, flushes, maintains, corrects, deletes and maintains again, and lets time pass.
func (r *maintainRun) round() {
	r.write(r.fresh)
	r.write(r.late)
	if r.random.IntN(2) == 0 {
		r.crashing("flush", r.db.Flush)
	}
	if r.random.IntN(3) > 0 {
		r.crashing("maintain", r.maintain)
	}
	for range 1 + r.random.IntN(3) {
		r.write(r.late)
	}
	if r.random.IntN(2) == 0 {
		r.crashing("flush of all", func() error { return r.db.flushHead(true) })
		r.write(r.late)
	}
	for range r.random.IntN(3) {
		r.crashing("delete", func() error { return r.delete(r.random, r.db.opts.FlushSamples < 1<<20) })
		if r.random.IntN(2) == 0 {
			r.write(r.late)
		}
	}
	switch r.random.IntN(4) {
	case 0:
		r.note("restart")
		if err := r.db.Close(); err != nil {
			r.fail("close: %v", err)
		}
		r.open()
	case 1:
		r.note("write tables")
		if err := r.db.chunks.Flush(); err != nil {
			r.fail("write tables: %v", err)
		}
	}
	if r.random.IntN(3) == 0 {
		r.crashing("maintain beside writes", r.maintainBesideWrites)
	} else {
		r.crashing("maintain", r.maintain)
	}
	r.crashing("a write after maintenance", func() error { return r.writeCells(r.late(r.random)) }) // of series that were dropped
	r.advance(pick(r.random, 20*time.Minute, 5*time.Hour, testDay, 30*time.Hour, 2*testDay, 4*testDay))
	if r.random.IntN(2) == 0 {
		r.crashing("maintain", r.maintain)
	}
}

func (r *maintainRun) advance(d time.Duration) {
	r.now.Add(int64(d))
	r.clock = max(r.clock, r.now.Load()-int64(2*testDay))
	r.note("%s pass, it is %d", d, r.now.Load())
}

// crashing runs a phase, then recovers the disk as it was before each of its write operations.
func (r *maintainRun) crashing(phase string, do func() error) {
	r.note("%s with crashes", phase)
	r.taker.start(phase)
	err := do()
	states := r.taker.stop()
	if err != nil {
		r.fail("%s: %v", phase, err)
	}
	r.check()
	again := r.recoverAll(states, 40)
	r.counts.again += len(again)
	r.recoverAll(again, 0)
}

// recoverAll recovers every state, and returns more crash states from on the way of one in so many.
func (r *maintainRun) recoverAll(states []diskState, oneIn int) (again []diskState) {
	r.counts.recoveries += len(states)
	next := make(chan *diskState, len(states))
	for i := range states {
		next <- &states[i]
	}
	close(next)
	var mu sync.Mutex
	var running sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for state := range next {
				more, err := r.recover(state, oneIn)
				mu.Lock()
				again = append(again, more...)
				if err != nil {
					r.t.Errorf("COLLECTOR_SEED=%d: %s: %v", r.seed, state, err)
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if r.t.Failed() {
		r.fail("states of the disk do not recover, see above")
	}
	return again
}

func (r *maintainRun) maintain() error {
	if r.random.IntN(2) == 0 {
		r.note("a pass of maintenance that takes its time")
		if err := r.db.enter(); err != nil {
			return err
		}
		defer r.db.leave()
		return r.db.maintain(context.Background(), pass{share: 1})
	}
	return r.db.Maintain(context.Background())
}

// maintainBesideWrites runs maintenance while another goroutine writes, deletes and flushes.
func (r *maintainRun) maintainBesideWrites() error {
	var running sync.WaitGroup
	var err error
	random := rand.New(rand.NewPCG(r.seed, r.random.Uint64()))
	running.Go(func() {
		for range 3 {
			switch random.IntN(4) {
			case 0:
				err = errors.Join(err, r.delete(random, true))
			case 1:
				err = errors.Join(err, r.db.flushHead(random.IntN(2) == 0))
			default:
				err = errors.Join(err, r.writeCells(r.late(random)))
			}
		}
	})
	running.Go(func() {
		for range 8 {
			r.syncChunks()
		}
	})
	maintained := r.db.Maintain(context.Background())
	running.Wait()
	return errors.Join(maintained, err)
}

// value is a cell's content.
type cellValue struct {
	name  string
	tags  model.Tags
	at    int64
	value float64
}

func (r *maintainRun) write(cells func(*rand.Rand) []cellValue) {
	if err := r.writeCells(cells(r.random)); err != nil {
		r.fail("write: %v", err)
	}
}

// series picks the identity of one of about a dozen series.
func maintainSeries(random *rand.Rand) (string, model.Tags) {
	if random.IntN(12) == 0 {
		return "disk", model.Tags{{Key: model.SourceKey, Value: "x"}}
	}
	return pick(random, "cpu", "memory"), model.Tags{{Key: "host", Value: pick(random, "a", "b", "c")}, {Key: model.SourceKey, Value: pick(random, "x", "y")}}
}

func maintainValue(random *rand.Rand) float64 {
	switch random.IntN(40) {
	case 0:
		return pick(random, math.NaN(), math.Inf(1), Missing(), math.Copysign(0, -1))
	case 1, 2, 3, 4:
		return float64(random.IntN(100))
	}
	return math.Round(random.NormFloat64()*1e4) / 100
}

// fresh are samples of some series, each in time order, from where the last ones ended.
func (r *maintainRun) fresh(random *rand.Rand) []cellValue {
	var cells []cellValue
	for range 4 + random.IntN(6) {
		name, tags := maintainSeries(random)
		step := pick(random, time.Minute, 10*time.Minute, 40*time.Minute)
		for at, n := r.clock+random.Int64N(int64(testDay)), 0; at < r.now.Load() && n < 90; n++ {
			cells = append(cells, cellValue{name, tags, at / 1e9 * 1e9, maintainValue(random)})
			at += 1 + random.Int64N(2*int64(step))
		}
	}
	r.clock = r.now.Load()
	return cells
}

// late are samples of the last days, some of them in the place of others.
func (r *maintainRun) late(random *rand.Rand) []cellValue {
	var cells []cellValue
	written := r.history.last()
	now := r.now.Load()
	for range 1 + random.IntN(pick(random, 4, 30)) {
		name, tags := maintainSeries(random)
		at := now - random.Int64N(int64(pick(random, 3*time.Hour, testDay, 3*testDay)))
		if known := written.byKey[string(model.AppendIdentity(nil, name, tags))]; known != nil && len(known.times) > 0 && random.IntN(3) == 0 {
			at = pick(random, known.times...)
		}
		cells = append(cells, cellValue{name, tags, at, maintainValue(random)})
	}
	return cells
}

// writeCells writes what retention lets in as one batch.
func (r *maintainRun) writeCells(cells []cellValue) error {
	cells = slices.DeleteFunc(cells, func(c cellValue) bool {
		return r.db.CheckTime(r.db.RetentionClassOf(c.name, c.tags.Get(model.SourceKey)), c.at) != nil
	})
	if len(cells) == 0 {
		return nil
	}
	r.note("write %d samples", len(cells))
	r.history.begin(func(o *oracle) {
		for _, c := range cells {
			o.find(c.name, c.tags).put(c.at, c.value)
		}
	})
	err := writeBatch(r.db, cells)
	r.history.ack()
	return err
}

func writeBatch(db *DB, cells []cellValue) error {
	for {
		var batch Batch
		for _, c := range cells {
			id, err := db.Resolve(c.name, c.tags)
			if err != nil {
				return err
			}
			batch.Add(id, c.at, c.value)
		}
		if err := db.Write(&batch); !errors.Is(err, ErrStaleSeries) {
			return err
		}
	}
}

// delete hides a part of a selection: of some hours, of whole days, or all. Where series may go meanwhile, it
// is not known before how a range will be widened, unless it is of whole hours.
func (r *maintainRun) delete(random *rand.Rand, wholeHours bool) error {
	name, tags := maintainSeries(random)
	selection := nameSelection(name)
	if host := tags.Get("host"); host != "" && random.IntN(3) > 0 {
		selection.Matchers = append(selection.Matchers, model.EqualMatcher("host", host))
	}
	if random.IntN(3) > 0 {
		selection.From = r.now.Load() - random.Int64N(int64(5*testDay))
		selection.To = selection.From + 1 + random.Int64N(int64(pick(random, time.Hour, testDay, 2*testDay)))
		if unit := pick(random, 1, hour, int64(testDay)); unit > 1 || wholeHours {
			unit = max(unit, hour)
			selection.From, selection.To = selection.From/unit*unit, selection.To/unit*unit+unit
		}
	}
	promised, err := r.db.Delete(context.Background(), selection, true)
	if err != nil {
		return err
	}
	r.note("delete {%v} [%d, %d): %+v", selection.Matchers, selection.From, selection.To, promised)
	hidden := selection
	hidden.From, hidden.To = promised.From, promised.To
	r.history.begin(func(o *oracle) { o.remove(hidden) })
	result, err := r.db.Delete(context.Background(), selection, false)
	r.history.ack()
	if promised.Series = result.Series; err == nil && result != promised {
		err = fmt.Errorf("delete did %+v and said %+v before", result, promised)
	}
	return err
}

// asked are requests by the hour over all there is, and for one name by the day and for all time.
func (r *maintainRun) asked(random *rand.Rand) []AggregateRequest {
	end := r.now.Load()/hour*hour + hour
	begin := end - int64(r.days)*int64(testDay)
	var requests []AggregateRequest
	for _, name := range maintainNames {
		selection := nameSelection(name)
		selection.From, selection.To = begin, end
		byHour := AggregateRequest{Selection: selection, GroupAll: true, Functions: []Function{{Kind: Count}, {Kind: Sum}, {Kind: Min},
			{Kind: Max}, {Kind: First}, {Kind: Last}, {Kind: Increase}}}
		for edge := begin; edge <= end; edge += hour {
			byHour.Edges = append(byHour.Edges, edge)
		}
		requests = append(requests, byHour)
	}
	byDay := AggregateRequest{Selection: pick(random, requests...).Selection, GroupBy: []string{"host"},
		Functions: []Function{{Kind: Quantile, Quantile: 0.5}, {Kind: Quantile, Quantile: 0.95}, {Kind: Count}}}
	for edge := begin; edge <= end; edge += int64(testDay) {
		byDay.Edges = append(byDay.Edges, edge)
	}
	whole := AggregateRequest{Selection: nameSelection(pick(random, maintainNames...)), Functions: []Function{{Kind: Count}, {Kind: Sum}, {Kind: Last}}}
	whole.Edges = []int64{model.MinTime, model.MaxTime / hour * hour}
	return append(requests, byDay, whole)
}

// check compares the store with what was acknowledged.
func (r *maintainRun) check() {
	if err := checkAnswers(r.db, r.history.last().at(r.now.Load()), r.asked(r.random)); err != nil {
		r.fail("%v", err)
	}
}

// recover opens a crash state, checks it, maintains it, checks it again, corrects a value and looks for that.
// In one of so many states it takes more crash states on the way.
func (r *maintainRun) recover(state *diskState, oneIn int) (again []diskState, err error) {
	random := rand.New(rand.NewPCG(r.seed, uint64(state.op)))
	var now atomic.Int64
	now.Store(state.now)
	opts := maintainOptions(random, r.policy, &now)
	opts.FS = state.fs
	taker := &crashTaker{fs: state.fs, history: &history{list: state.oracles}, now: &now, random: rand.New(rand.NewPCG(r.seed, random.Uint64()))}
	if oneIn > 0 && random.IntN(oneIn) == 0 {
		taker.each = func(int) bool { return len(taker.states) < 8 && taker.random.IntN(5) == 0 }
		taker.percent = func() int { return pick(taker.random, 0, 0, 0, 50) }
		opts.FS = taker.wrap()
		taker.start("recovery from a " + state.String())
		defer func() { again = taker.stop() }()
	}
	db, err := Open("data", opts)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	asked := r.asked(random)
	found, err := match(db, state.oracles, now.Load(), asked)
	if err != nil {
		return nil, fmt.Errorf("recovered: %w", err)
	}
	now.Add(int64(graceOver))
	if random.IntN(4) == 0 {
		now.Add(random.Int64N(int64(5 * testDay)))
	}
	if err := db.Maintain(context.Background()); err != nil {
		return nil, fmt.Errorf("maintain: %w", err)
	}
	if err := checkAnswers(db, found.at(now.Load()), asked); err != nil {
		return nil, fmt.Errorf("maintained: %w", err)
	}
	if err := checkKeys(db); err != nil {
		return nil, fmt.Errorf("maintained: %w", err)
	}
	if taker.each != nil {
		return nil, nil // what is on the disk may change no more
	}
	return nil, correct(db, found.fork(), now.Load(), asked, random)
}

// correct writes a further value to a cell and looks whether it is there.
func correct(db *DB, o *oracle, now int64, asked []AggregateRequest, random *rand.Rand) error {
	if len(o.series) == 0 {
		return nil
	}
	s := pick(random, o.series...)
	c := cellValue{s.Name, s.Tags, pick(random, s.times...), maintainValue(random)}
	var tooOld *TimeError
	if errors.As(db.CheckTime(db.RetentionClassOf(s.Name, s.Source()), c.at), &tooOld) {
		return nil
	}
	if err := writeBatch(db, []cellValue{c}); err != nil {
		return fmt.Errorf("correct a value: %w", err)
	}
	s.put(c.at, c.value)
	if err := checkAnswers(db, o.at(now), asked); err != nil {
		return fmt.Errorf("corrected: %w", err)
	}
	if random.IntN(2) == 0 {
		return nil
	}
	if err := db.Maintain(context.Background()); err != nil {
		return fmt.Errorf("maintain: %w", err)
	}
	if err := checkAnswers(db, o.at(now), asked); err != nil {
		return fmt.Errorf("corrected and maintained: %w", err)
	}
	return nil
}

// TestCrashesWithinJobs writes, deletes and flushes between two batches of a job, with crashes all the while.
func TestCrashesWithinJobs(t *testing.T) {
	for seed := range cases(2, 1) {
		var counts maintainCounts
		r := newMaintainRun(t, seed, &counts, RetentionPolicy{})
		r.days = 3
		oneIn := int(cases(4, 12))
		r.taker.each = func(int) bool { return r.taker.random.IntN(oneIn) == 0 }
		r.open()
		yesterday := r.now.Load()/int64(testDay)*int64(testDay) - int64(testDay)
		sample := func(host int) cellValue {
			at := yesterday + r.random.Int64N(3)*hour + r.random.Int64N(3)*int64(time.Minute)
			return cellValue{"cpu", model.Tags{{Key: "host", Value: fmt.Sprint(host)}, {Key: model.SourceKey, Value: "x"}}, at, maintainValue(r.random)}
		}
		some := func(n int) func(*rand.Rand) []cellValue {
			return func(*rand.Rand) (cells []cellValue) {
				for i := range n {
					cells = append(cells, sample(i*(jobBatchSeries+8)/n))
				}
				return cells
			}
		}
		var failed error
		times := 0
		between := func() {
			times++
			r.between.Store(nil)
			failed = errors.Join(failed, r.writeCells(some(40)(r.random)))
			if r.random.IntN(2) == 0 {
				failed = errors.Join(failed, r.delete(r.random, true))
			}
			failed = errors.Join(failed, r.db.flushHead(true))
		}
		r.write(some(2 * (jobBatchSeries + 8)))
		for range 3 {
			r.between.Store(&between)
			r.crashing("maintain", func() error { return errors.Join(r.db.Maintain(context.Background()), failed) })
			r.write(some(600))
		}
		if times < 2 {
			t.Errorf("seed %d: something came between batches %d times", seed, times)
		}
		if err := r.db.Close(); err != nil {
			r.fail("close: %v", err)
		}
		t.Logf("seed %d: %d crashes, %s", seed, r.taker.taken, &counts)
	}
}

// TestMaintainReadErrors fails the n-th read of a table in maintenance: it says so, and does its work when
// it is tried again.
func TestMaintainReadErrors(t *testing.T) {
	for seed := range uint64(2) {
		r := newMaintainRun(t, seed, &maintainCounts{}, maintainPolicy(seed))
		r.open()
		for range 3 {
			r.write(r.fresh)
			r.write(r.late)
			if err := r.maintain(); err != nil {
				r.fail("maintain: %v", err)
			}
			r.write(r.late)
			if err := errors.Join(r.delete(r.random, false), r.db.Flush(), r.db.chunks.Flush()); err != nil {
				r.fail("delete and flush: %v", err)
			}
			r.advance(pick(r.random, 5*time.Hour, 30*time.Hour))
		}
		r.write(r.late)
		if err := r.db.Close(); err != nil {
			r.fail("close: %v", err)
		}
		failed := 0
		r.now.Add(int64(graceOver)) // each start is told the time before
		for n := int64(1); r.failRead(n); n += 1 + r.random.Int64N(6) {
			failed++
		}
		t.Logf("seed %d: %d reads failed", seed, failed)
		if failed == 0 {
			t.Errorf("seed %d: no read could be made to fail", seed)
		}
	}
}

// failRead fails the n-th read of a table in maintenance. It returns whether there was one.
func (r *maintainRun) failRead(n int64) bool {
	var left, now atomic.Int64
	left.Store(math.MaxInt64)
	now.Store(r.now.Load() - int64(graceOver))
	fs := r.taker.fs.CrashClone(vfs.CrashCloneCfg{})
	opts := maintainOptions(rand.New(rand.NewPCG(r.seed, uint64(n))), r.policy, &now)
	opts.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		isTable := strings.HasSuffix(op.Path, ".sst") || strings.HasSuffix(op.Path, ".blob")
		if isTable && op.Kind.ReadOrWrite() == errorfs.OpIsRead && isCalledBy("(*DB).Maintain", 100) && left.Add(-1) == 0 {
			return syscall.EIO
		}
		return nil
	}))
	db, err := Open("data", opts)
	if err != nil {
		r.fail("open: %v", err)
	}
	r.db = db
	now.Store(r.now.Load())
	if err := db.chunks.Flush(); err != nil {
		r.fail("write tables: %v", err)
	}
	left.Store(n)
	err = db.Maintain(context.Background())
	failed := left.Load() <= 0
	left.Store(math.MaxInt64)
	if failed != errors.Is(err, syscall.EIO) || !failed && err != nil {
		r.fail("that read %d failed is %t, and Maintain returns %v", n, failed, err)
	}
	r.check()
	if err := db.Maintain(context.Background()); err != nil {
		r.fail("read %d had failed, and Maintain again: %v", n, err)
	}
	r.check()
	if err := checkKeys(db); err != nil {
		r.fail("read %d had failed: %v", n, err)
	}
	if err := db.Close(); err != nil {
		r.fail("read %d had failed, and close: %v", n, err)
	}
	return failed
}
