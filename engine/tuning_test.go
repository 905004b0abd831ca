package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

func reconfigure(t *testing.T, db *DB, change func(*Tuning)) {
	t.Helper()
	tuning := db.Tuning()
	change(&tuning)
	if err := db.Reconfigure(tuning); err != nil {
		t.Fatal(err)
	}
}

// holdWrites keeps batches from being acknowledged until they all wait and while has returned, and then lets
// them go.
func holdWrites(t *testing.T, db *DB, batches, samplesEach int, while func()) {
	t.Helper()
	id, err := db.Resolve("held", nil)
	if err != nil {
		t.Fatal(err)
	}
	release := sync.OnceFunc(db.pipe.hold())
	defer release() // or else closing waits for ever when the test fails
	errs := make(chan error, batches)
	for i := range batches {
		go func() {
			var batch Batch
			for j := range samplesEach {
				batch.Add(id, int64(i*samplesEach+j), 1)
			}
			errs <- db.Write(&batch)
		}()
	}
	waitFor(t, func() bool {
		db.pipe.waitingMu.Lock()
		defer db.pipe.waitingMu.Unlock()
		return len(db.pipe.waiting) == batches
	})
	while()
	release()
	for range batches {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// waitFor calls a hang when something doesn't come true.
func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came true")
		}
	}
}

func TestReconfigureWaiting(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	defer closeDB(t, db)
	holdWrites(t, db, 1, 100, func() {
		reconfigure(t, db, func(t *Tuning) { t.MaxWaitingSamples = 100 })
		if err := tryPut(db, "m", "h", 1, 1); !errors.Is(err, ErrBusy) {
			t.Errorf("101 samples of 100 wait: %v", err)
		}
		if got := db.Stats().WaitingLimit; got != 100 {
			t.Errorf("the limit is %d", got)
		}
	})
	if first, then := db.TakeWaitingPeak(), db.TakeWaitingPeak(); first != 100 || then != 0 {
		t.Errorf("at most %d waited, and %d then", first, then)
	}
	reconfigure(t, db, func(t *Tuning) { t.MaxWaitingSamples = 1 })
	holdWrites(t, db, 1, 100, func() {}) // one batch always fits
}

// TestReconfigureGroups counts the fsyncs of batches that wait together.
func TestReconfigureGroups(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	defer closeDB(t, db)
	for _, c := range []struct {
		most   int
		frames uint64
	}{{0, 1}, {1000, 1}, {20, 2}, {19, 4}, {1, 4}} {
		reconfigure(t, db, func(t *Tuning) { t.MaxGroupSamples = c.most })
		before := db.Stats().WALFsyncs
		holdWrites(t, db, 4, 10, func() {})
		if got := db.Stats().WALFsyncs - before; got != c.frames {
			t.Errorf("with groups of %d, 4 batches of 10 samples took %d fsyncs, want %d", c.most, got, c.frames)
		}
	}
}

// TestReconfigureCompression looks at what is written, and reads it all back after a restart.
func TestReconfigureCompression(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpen(t, Options{FS: fs, Uncompressed: true})
	next := int64(0)
	write := func() (logged int64) {
		before := db.Stats().WALBytes
		for range 20 {
			var batch Batch
			for host := range 100 {
				id, err := db.Resolve(fmt.Sprintf("metric_%d", next), model.Tags{{Key: "host", Value: fmt.Sprint("machine-number-", host)}})
				if err != nil {
					t.Fatal(err)
				}
				batch.Add(id, next*1e9, 1)
			}
			next++
			if err := db.Write(&batch); err != nil {
				t.Fatal(err)
			}
		}
		return db.Stats().WALBytes - before
	}
	tables := func() string {
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := db.chunks.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
			t.Fatal(err)
		}
		levels, err := db.chunks.SSTables(pebble.WithProperties())
		if err != nil {
			t.Fatal(err)
		}
		var stats []string
		for _, table := range levels[6] {
			stats = append(stats, table.Properties.CompressionStats)
		}
		return strings.Join(stats, ";")
	}
	plain := write()
	if got := tables(); strings.Contains(got, "Snappy") || strings.Contains(got, "MinLZ") || got == "" {
		t.Errorf("uncompressed tables say %q", got)
	}
	reconfigure(t, db, func(t *Tuning) { t.Uncompressed = false })
	if packed := write(); packed > plain*3/4 {
		t.Errorf("the log grew by %d bytes uncompressed and by %d compressed", plain, packed)
	}
	if got := tables(); !strings.Contains(got, "Snappy") && !strings.Contains(got, "MinLZ") {
		t.Errorf("compressed tables say %q", got)
	}
	write()
	reconfigure(t, db, func(t *Tuning) { t.Uncompressed = true })
	write()
	// The log is all that a crash leaves of the last ones.
	if err := db.log.Sync(); err != nil {
		t.Fatal(err)
	}
	crashed := mustOpen(t, Options{FS: copyFS(t, fs)})
	for _, db := range []*DB{db, crashed} {
		for i := range next {
			result, err := db.countSamples(context.Background(), Selection{
				Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, fmt.Sprintf("metric_%d", i))}, To: model.MaxTime})
			if err != nil || result != 100 {
				t.Fatalf("metric_%d has %d samples, %v", i, result, err)
			}
		}
	}
	closeDB(t, crashed)
	closeDB(t, db)
}

// copyFS copies a data directory, but for its lock.
func copyFS(t *testing.T, from *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if ok, err := vfs.Clone(from, to, "data", "data", vfs.CloneSync); err != nil || !ok {
		t.Fatal(ok, err)
	}
	return to
}

func TestReconfigureFlushInterval(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), FlushInterval: 24 * time.Hour, MinChunkSamples: 1})
	defer closeDB(t, db)
	put(t, db, "m", "h", 1, 1)
	reconfigure(t, db, func(t *Tuning) { t.FlushInterval = time.Millisecond })
	waitFor(t, func() bool { return db.Stats().HeadSamples == 0 })
	reconfigure(t, db, func(t *Tuning) { t.FlushInterval = 24 * time.Hour })
	last := db.Stats().LastFlush
	put(t, db, "m", "h", 2, 1)
	if got := db.Stats(); got.HeadSamples != 1 && got.LastFlush.Equal(last) {
		t.Errorf("%d samples in memory", got.HeadSamples)
	}
}

// TestPeriodsGoUp: a change of the interval makes nothing idle that was busy, nor busy for ever.
func TestPeriodsGoUp(t *testing.T) {
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	db := mustOpen(t, Options{FS: vfs.NewMem(), Now: func() time.Time { return now }})
	defer closeDB(t, db)
	for _, interval := range []time.Duration{5 * time.Second, time.Hour, time.Second, time.Minute} {
		before := db.period()
		reconfigure(t, db, func(t *Tuning) { t.FlushInterval = interval })
		if got := db.period(); got != before+1 {
			t.Fatalf("period %d became %d with an interval of %v", before, got, interval)
		}
		now = now.Add(interval)
		if got := db.period(); got != before+2 {
			t.Fatalf("an interval of %v later the period is %d, %d before", interval, got, before)
		}
	}
}

func TestReconfigureWorkers(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), Workers: 1})
	defer closeDB(t, db)
	for host := range 10 {
		put(t, db, "m", fmt.Sprint(host), 1, 1)
	}
	for _, workers := range []int{1, 7, 3} {
		reconfigure(t, db, func(t *Tuning) { t.Workers = workers })
		result, err := db.Aggregate(context.Background(), AggregateRequest{
			Selection: Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, To: 10},
			Edges:     []int64{0, 10}, Functions: []Function{{Kind: Count}}})
		if err != nil || result.Explain.Workers != workers {
			t.Errorf("with %d workers, %d worked; %v", workers, result.Explain.Workers, err)
		}
		if _, most := db.compactions(); most != workers {
			t.Errorf("with %d workers, %d compactions may run", workers, most)
		}
	}
}

func TestReconfigureLimits(t *testing.T) {
	db, err := Open(t.TempDir(), Options{MaxSeries: 1, ResultCacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(t, db)
	put(t, db, "m", "a", 1, 1)
	if err := tryPut(db, "m", "b", 1, 1); err == nil {
		t.Error("a second series is taken")
	}
	reconfigure(t, db, func(t *Tuning) { t.MaxSeries = 2 })
	put(t, db, "m", "b", 1, 1)
	reconfigure(t, db, func(t *Tuning) { t.MinFreeBytes = 1 << 60 })
	if err := tryPut(db, "m", "a", 2, 1); !errors.Is(err, ErrDiskFull) {
		t.Errorf("with no disk large enough: %v", err)
	}
	if err := db.CheckRoom(1); !errors.Is(err, ErrDiskFull) {
		t.Errorf("with no disk large enough there is room: %v", err)
	}
	reconfigure(t, db, func(t *Tuning) { t.MinFreeBytes = -1 })
	put(t, db, "m", "a", 2, 1)
	if err := db.CheckRoom(1 << 62); err != nil {
		t.Errorf("without a check: %v", err)
	}

	db.results.put(cachedResult{key: "k", bytes: 1000})
	reconfigure(t, db, func(t *Tuning) { t.ResultCacheBytes = 1 << 10 })
	if got := db.Stats().Cache; got.Entries != 0 || got.Bytes != 0 || got.MaxBytes != 1<<10 {
		t.Errorf("the cache holds %+v", got)
	}
	before := db.Tuning()
	for _, change := range []func(*Tuning){
		func(t *Tuning) { t.MaxGroupSamples = maxBatchSamples + 1 },
		func(t *Tuning) { t.Workers = -1 },
	} {
		tuning := before
		tuning.MaxSeries = 5
		change(&tuning)
		if err := db.Reconfigure(tuning); err == nil || db.Tuning() != before {
			t.Errorf("%+v: %v", db.Tuning(), err)
		}
	}
}

// TestReconfigureUnderLoad changes everything while all is in use; it is for the race detector.
func TestReconfigureUnderLoad(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), ResultCacheBytes: 1 << 20})
	defer closeDB(t, db)
	var running sync.WaitGroup
	const rounds = 50
	for writer := range 3 {
		running.Go(func() {
			for i := range rounds {
				put(t, db, "m", fmt.Sprint(writer), int64(i), 1)
			}
		})
	}
	running.Go(func() {
		for range rounds {
			if _, err := db.countSamples(context.Background(), Selection{To: 1000,
				Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}}); err != nil {
				t.Error(err)
			}
		}
	})
	running.Go(func() {
		for i := range rounds {
			reconfigure(t, db, func(t *Tuning) {
				*t = Tuning{MaxWaitingSamples: 1000 + i, MaxGroupSamples: 1 + i%3, FlushInterval: time.Duration(1+i) * time.Millisecond,
					Workers: 1 + i%4, Uncompressed: i%2 == 0, MaxSeries: 1000 + i, MinFreeBytes: -1, ResultCacheBytes: int64(i) << 10}
			})
		}
	})
	running.Wait()
	if got, err := db.countSamples(context.Background(), Selection{To: 1000,
		Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}}); err != nil || got != 3*rounds {
		t.Errorf("%d samples, %v", got, err)
	}
}
