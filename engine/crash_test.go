package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flopynet/collector/model"
)

// cell is one series and time.
type cell struct {
	identity string
	at       int64
}

// promises is what writers were told: the values that were acknowledged, in order, and those that were
// under way. It is the oracle of the crash tests.
type promises struct {
	mu      sync.Mutex
	acked   map[cell]uint64
	pending map[cell][]uint64
	begun   map[cell][]uint64 // all values that were ever written
	events  eventPromises
}

func newPromises() *promises {
	return &promises{acked: make(map[cell]uint64), pending: make(map[cell][]uint64), begun: make(map[cell][]uint64), events: newEventPromises()}
}

func (p *promises) begin(samples map[cell]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, value := range samples {
		p.pending[c] = append(p.pending[c], value)
		p.begun[c] = append(p.begun[c], value)
	}
}

// end ends the one write that is under way for these cells.
func (p *promises) end(samples map[cell]uint64, acked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, value := range samples {
		if acked {
			p.acked[c] = value
			delete(p.pending, c)
		}
	}
}

func (p *promises) clone() *promises {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := newPromises()
	c.events = p.events.clone()
	for k, v := range p.acked {
		c.acked[k] = v
	}
	for k, v := range p.pending {
		c.pending[k] = append([]uint64(nil), v...)
	}
	for k, v := range p.begun {
		c.begun[k] = append([]uint64(nil), v...)
	}
	return c
}

// check compares what a recovered store holds with what was promised.
func (p *promises) check(db *DB) error {
	stored := make(map[cell]uint64)
	for _, name := range []string{"cpu", "memory"} {
		result, err := db.Samples(context.Background(), SamplesRequest{
			Selection: Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, From: 0, To: model.MaxTime},
			Limit:     1 << 20,
		})
		if err != nil {
			return err
		}
		for _, row := range result.Rows {
			s := result.Series[row.Series]
			c := cell{string(model.AppendIdentity(nil, s.Name, s.Tags)), row.Time}
			if _, twice := stored[c]; twice {
				return fmt.Errorf("%+v is there twice", c)
			}
			stored[c] = math.Float64bits(row.Value)
		}
	}
	for c, value := range p.acked {
		got, found := stored[c]
		if !found {
			return fmt.Errorf("%+v was acknowledged and is lost", c)
		}
		if got != value && !containsBits(p.pending[c], got) {
			return fmt.Errorf("%+v has value %x, %x was acknowledged", c, got, value)
		}
	}
	for c, got := range stored {
		if value, found := p.acked[c]; (!found || value != got) && !containsBits(p.pending[c], got) {
			return fmt.Errorf("%+v has value %x, which nobody wrote", c, got)
		}
	}
	return p.checkEvents(db, stored)
}

func containsBits(values []uint64, value uint64) bool {
	for _, v := range values {
		if v == value {
			return true
		}
	}
	return false
}

// crashWriter writes random batches to series of its own.
type crashWriter struct {
	db       *DB
	promises *promises
	random   *rand.Rand
	number   int
	clock    int64

	events, answers int // written so far
}

func (w *crashWriter) write() error {
	if w.random.IntN(3) == 0 {
		return w.writeEvents()
	}
	samples := make(map[cell]uint64)
	var batch Batch
	for range 1 + w.random.IntN(40) {
		name := pick(w.random, "cpu", "memory")
		tags := model.Tags{{Key: "host", Value: fmt.Sprint(w.random.IntN(6))}, {Key: model.SourceKey, Value: fmt.Sprint(w.number)}}
		id, err := w.db.Resolve(name, tags)
		if err != nil {
			return err
		}
		w.clock += w.random.Int64N(int64(10 * time.Minute))
		at := w.clock / 1e9 * 1e9
		if w.random.IntN(10) == 0 {
			at -= w.random.Int64N(int64(30 * time.Hour))
		}
		value := w.random.NormFloat64()
		batch.Add(id, at, value)
		samples[cell{string(model.AppendIdentity(nil, name, tags)), at}] = math.Float64bits(value)
	}
	w.promises.begin(samples)
	answer := w.newAnswer()
	if answer != nil {
		batch.SetAnswer(answer)
		w.promises.beginAnswer(answer, answered{cells: slices.Collect(maps.Keys(samples))})
	}
	err := w.db.Write(&batch)
	w.promises.end(samples, err == nil)
	if answer != nil {
		w.promises.endAnswer(answer, err == nil)
	}
	return err
}

// crashState is a copy of the disk as a crash would have left it, with what had been promised before.
type crashState struct {
	fs       *crashableMem
	promises *promises
	op       int64
}

// crashRun writes with two writers while flushing, and takes crash states before chosen I/O operations.
func crashRun(t *testing.T, seed uint64, fs *crashableMem, promised *promises, crashes int) []crashState {
	random := rand.New(rand.NewPCG(seed, 3))
	var ops atomic.Int64
	var mu sync.Mutex
	var states []crashState
	next, flushes := random.Int64N(20), random.IntN(4)
	opts := crashOptions(random)
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		n := ops.Add(1)
		mu.Lock()
		defer mu.Unlock()
		if n < next || len(states) == crashes {
			return nil
		}
		next = n + 1 + random.Int64N(12)
		// What was promised is copied before the disk: later acknowledgements need not be on it.
		before := promised.clone()
		config := vfs.CrashCloneCfg{UnsyncedDataPercent: pick(random, 0, 0, 30, 70, 100), RNG: rand.New(rand.NewPCG(seed, uint64(n)))}
		states = append(states, crashState{fs: fs.CrashClone(config), promises: before, op: n})
		return nil
	})
	opts.FS = errorfs.Wrap(fs, injector)
	db, err := Open("data", opts)
	if err != nil {
		t.Fatalf("seed %d: open: %v", seed, err)
	}
	var writers sync.WaitGroup
	for number := range 2 {
		w := &crashWriter{db: db, promises: promised, number: number, random: rand.New(rand.NewPCG(seed, uint64(100+number))),
			clock: time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixNano()}
		writers.Go(func() {
			for range 12 {
				if err := w.write(); err != nil && !errors.Is(err, ErrBehind) {
					t.Errorf("seed %d: write: %v", seed, err)
				}
			}
		})
	}
	for range flushes {
		if err := db.Flush(); err != nil {
			t.Errorf("seed %d: flush: %v", seed, err)
		}
	}
	writers.Wait()
	if err := db.Close(); err != nil {
		t.Errorf("seed %d: close: %v", seed, err)
	}
	mu.Lock()
	defer mu.Unlock()
	return states
}

func crashOptions(random *rand.Rand) Options {
	return Options{
		MinFreeBytes:    -1,
		MaxHeadSamples:  1 << 30,
		FlushInterval:   time.Hour,
		FlushSamples:    pick(random, 150, 600, 1<<20),
		FlushEventBytes: pick(random, int64(8<<10), 1<<20),
		MinChunkSamples: pick(random, 1, 8, 256),
		tableSamples:    pick(random, 0, 1, 50),
		Workers:         pick(random, 1, 2),
		Uncompressed:    pick(random, false, true),
	}
}

// TestCrashes crashes at many I/O operations of many runs, recovers, and crashes again while recovering.
func TestCrashes(t *testing.T) {
	runs, crashes := cases(80, 16), 25
	if testing.Short() {
		runs = 8
	}
	total := 0
	for seed := range runs {
		for i, state := range crashRun(t, seed, newCrashableMem(), newPromises(), crashes) {
			total++
			again := recoverAndCrash(t, seed, state, i%5 == 0)
			for _, second := range again {
				total++
				recoverAndCrash(t, seed, second, false)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d crashes", total)
}

// recoverAndCrash opens a crash state, checks it, and, if asked to, takes more crash states while it is
// being recovered, flushed and closed.
func recoverAndCrash(t *testing.T, seed uint64, state crashState, again bool) []crashState {
	random := rand.New(rand.NewPCG(seed, uint64(state.op)))
	var mu sync.Mutex
	var states []crashState
	opts := crashOptions(random)
	opts.FS = state.fs
	if again {
		opts.FS = errorfs.Wrap(state.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && len(states) < 8 && random.IntN(6) == 0 {
				config := vfs.CrashCloneCfg{UnsyncedDataPercent: pick(random, 0, 50, 100), RNG: rand.New(rand.NewPCG(seed, random.Uint64()))}
				states = append(states, crashState{fs: state.fs.CrashClone(config), promises: state.promises, op: state.op + int64(len(states)) + 1000})
			}
			return nil
		}))
	}
	db, err := Open("data", opts)
	if err != nil {
		t.Fatalf("seed %d, crash before write operation %d: open: %v", seed, state.op, err)
	}
	if err := state.promises.check(db); err != nil {
		t.Fatalf("seed %d, crash before write operation %d: %v", seed, state.op, err)
	}
	if err := db.Flush(); err != nil {
		t.Fatalf("seed %d, crash before write operation %d: flush: %v", seed, state.op, err)
	}
	if err := state.promises.check(db); err != nil {
		t.Fatalf("seed %d, crash before write operation %d, after a flush: %v", seed, state.op, err)
	}
	if err := db.Close(); err != nil {
		t.Fatalf("seed %d, crash before write operation %d: close: %v", seed, state.op, err)
	}
	mu.Lock()
	defer mu.Unlock()
	return states
}

// TestLogErrors fails an operation on the log's files: what was acknowledged stays, nothing is
// acknowledged afterwards, and a restart on a healthy disk goes on.
func TestLogErrors(t *testing.T) {
	for seed := range uint64(60) {
		fs, promised := newCrashableMem(), newPromises()
		random := rand.New(rand.NewPCG(seed, 5))
		var countdown atomic.Int64
		countdown.Store(math.MaxInt64)
		opts := crashOptions(random)
		opts.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, "wal/") && countdown.Add(-1) < 0 {
				return syscall.EIO
			}
			return nil
		}))
		db, err := Open("data", opts)
		if err != nil {
			t.Fatal(err)
		}
		w := &crashWriter{db: db, promises: promised, random: random, clock: time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixNano()}
		countdown.Store(random.Int64N(40))
		failed := false
		for range 30 {
			switch err := w.write(); {
			case err == nil && failed:
				t.Fatalf("seed %d: a write succeeded after the log had failed", seed)
			case err != nil && !errors.Is(err, ErrFailed) && !errors.Is(err, syscall.EIO):
				t.Fatalf("seed %d: the error of a failed log is %v", seed, err)
			case err != nil:
				failed = true
			}
		}
		if err := promised.check(db); err != nil {
			t.Fatalf("seed %d: reads on a failed log: %v", seed, err)
		}
		_ = db.Close() // reports the failure again
		opts.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 9))})
		db, err = Open("data", opts)
		if err != nil {
			t.Fatalf("seed %d: open after a failed log: %v", seed, err)
		}
		if err := promised.check(db); err != nil {
			t.Fatalf("seed %d: after a restart: %v", seed, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
