package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// through returns what a copy has to hold that was begun after p and ended before later: all that was
// acknowledged then, and of what was begun in between whatever it has.
func (p *promises) through(later *promises) *promises {
	c := p.clone()
	c.pending = later.clone().begun
	for id, messages := range later.events.pending {
		c.events.pending[id] = slices.Clone(messages)
	}
	for key, what := range later.events.answers {
		c.events.answers[key] = what
	}
	return c
}

// checkSnapshot opens a snapshot as a data directory and compares it with what was promised, also after it was
// flushed and opened again.
func checkSnapshot(fsys vfs.FS, path string, promised *promises, opts Options) error {
	opts.FS = fsys
	for range 2 {
		db, err := Open(path, opts)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		err = promised.check(db)
		if err := errors.Join(err, db.Close()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func mustSnapshot(t *testing.T, db *DB, name string) SnapshotInfo {
	t.Helper()
	info, err := db.Snapshot(context.Background(), name)
	if err != nil {
		t.Fatalf("snapshot %s: %v", name, err)
	}
	return info
}

// TestSnapshotsUnderLoad takes snapshots while writers, flushes and maintenance go on. Each holds all that was
// acknowledged before it was asked for, and nothing that nobody wrote.
func TestSnapshotsUnderLoad(t *testing.T) {
	runs := uint64(8)
	if testing.Short() {
		runs = 2
	}
	for seed := range runs {
		random := rand.New(rand.NewPCG(seed, 41))
		opts, promised := crashOptions(random), newPromises()
		opts.FS, opts.MaintainInterval = newCrashableMem(), -1
		db, err := Open("data", opts)
		if err != nil {
			t.Fatal(err)
		}
		var work []*crashWriter
		for number := range 3 {
			work = append(work, &crashWriter{db: db, promises: promised, number: number, random: rand.New(rand.NewPCG(seed, uint64(200+number))),
				clock: time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixNano()})
		}
		wanted := make(map[string]*promises)
		last := SnapshotInfo{}
		for i := range 5 {
			var beside sync.WaitGroup
			for _, w := range work {
				beside.Go(func() {
					for range 12 {
						if err := w.write(); err != nil && !errors.Is(err, ErrBehind) {
							t.Errorf("seed %d: write: %v", seed, err)
						}
					}
				})
			}
			beside.Go(func() {
				if err := errors.Join(db.Flush(), db.Maintain(context.Background()), db.Flush()); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			})
			before := promised.clone()
			made := mustSnapshot(t, db, fmt.Sprint("s", i))
			if made.LSN < last.LSN || made.Bytes <= 0 {
				t.Errorf("seed %d: snapshot %+v comes after %+v", seed, made, last)
			}
			last, wanted[made.Path] = made, before.through(promised.clone())
			beside.Wait()
		}
		if err := db.Flush(); err != nil { // segments and tables go that snapshots have too
			t.Error(err)
		}
		for path, want := range wanted {
			if err := checkSnapshot(opts.FS, "data/"+path, want, crashOptions(random)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if err := promised.check(db); err != nil {
			t.Fatalf("seed %d: the store itself: %v", seed, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// snapshotCrash is a crash while a snapshot was made or deleted.
type snapshotCrash struct {
	crashState
	phase string
}

// TestSnapshotCrashes crashes before each write operation while a snapshot is made, beside a writer and a flush, and
// while it is deleted. The next start finds all of a snapshot or nothing, and nothing unfinished.
func TestSnapshotCrashes(t *testing.T) {
	const seed = 5
	random := rand.New(rand.NewPCG(seed, 43))
	crashable, promised := newCrashableMem(), newPromises()
	var mu sync.Mutex
	var states []snapshotCrash
	var ops int64
	phase := ""
	take := func() { // before an operation; mu is held
		before := promised.clone()
		for _, percent := range []int{0, 60, 100} {
			config := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, uint64(ops)))}
			states = append(states, snapshotCrash{crashState{crashable.CrashClone(config), before, ops}, phase})
		}
	}
	enter := func(next string) {
		mu.Lock()
		defer mu.Unlock()
		if phase = next; phase != "" {
			take()
		}
	}
	opts := crashOptions(random)
	opts.FlushSamples, opts.FlushEventBytes, opts.MaintainInterval = 1<<20, 1<<30, -1
	opts.FS = errorfs.Wrap(crashable, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if ops++; phase != "" {
			take()
		}
		return nil
	}))
	db, err := Open("data", opts)
	if err != nil {
		t.Fatal(err)
	}
	w := &crashWriter{db: db, promises: promised, random: random, clock: time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixNano()}
	write := func(times int) {
		for range times {
			if err := w.write(); err != nil {
				t.Errorf("write: %v", err)
			}
		}
	}
	write(10)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	write(10)
	before := promised.clone()
	enter("making")
	var beside sync.WaitGroup
	beside.Go(func() { write(5) })
	beside.Go(func() {
		if err := db.Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
	})
	mustSnapshot(t, db, "x")
	enter("made")
	beside.Wait()
	want := before.through(promised.clone())
	enter("deleting")
	if err := db.DeleteSnapshot("x"); err != nil {
		t.Fatal(err)
	}
	enter("deleted")
	enter("")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for _, state := range states {
		there, err := checkSnapshotCrash(state, want, crashOptions(random))
		if err != nil {
			t.Fatalf("seed %d, crash before write operation %d, %s: %v", seed, state.op, state.phase, err)
		}
		if there {
			found[state.phase]++
		}
	}
	if found["made"] == 0 || found["deleting"] == 0 {
		t.Errorf("the snapshot was there after %v only", found)
	}
	t.Logf("%d crashes; the snapshot was there after %v", len(states), found)
}

// checkSnapshotCrash starts after a crash and reports whether the snapshot is there, whole.
func checkSnapshotCrash(state snapshotCrash, want *promises, opts Options) (there bool, err error) {
	opts.FS = state.fs
	db, err := Open("data", opts)
	if err != nil {
		return false, err
	}
	err = state.promises.check(db)
	infos, listErr := db.Snapshots()
	names, nameErr := db.snapshotNames()
	if err = errors.Join(err, listErr, nameErr, db.Close()); err != nil {
		return false, err
	}
	there = len(names) == 1 && names[0] == "x" && len(infos) == 1
	switch {
	case !there && (len(names) > 0 || len(infos) > 0):
		return there, fmt.Errorf("there are %q, of which %+v are snapshots", names, infos)
	case !there && state.phase == "made":
		return there, errors.New("the snapshot is lost")
	case there && state.phase == "deleted":
		return there, errors.New("the snapshot came back")
	case there:
		return there, checkSnapshot(state.fs, "data/snapshots/x", want, opts)
	}
	return there, nil
}

// TestSnapshotErrors fails each write operation of a snapshot in turn: then there is no snapshot, or a whole one
// where a copy could stand in for a link. The store goes on, and the next attempt succeeds.
func TestSnapshotErrors(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for n, more := 1, true; more; n++ {
			more = false
			left, inside := n, false
			opts := Options{MinFreeBytes: -1, MaintainInterval: -1, MinChunkSamples: 1}
			opts.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if !inside || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind != errorfs.OpLink && !strings.Contains(op.Path, snapshotsDir) {
					return nil
				}
				left--
				if left == 0 {
					more = true
					return cause
				}
				return nil
			}))
			db, err := Open("data", opts)
			if err != nil {
				t.Fatal(err)
			}
			promised := newPromises()
			w := &crashWriter{db: db, promises: promised, random: rand.New(rand.NewPCG(9, 9)), clock: time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixNano()}
			for range 4 {
				if err := errors.Join(w.write(), db.Flush(), w.write()); err != nil {
					t.Fatal(err)
				}
			}
			inside = true
			_, err = db.Snapshot(context.Background(), "x")
			inside = false
			infos, listErr := db.Snapshots()
			if listErr != nil || (err == nil) != (len(infos) == 1) {
				t.Fatalf("%v at operation %d: the snapshot's error is %v, the list %+v, %v", cause, n, err, infos, listErr)
			}
			if err != nil && errors.Is(cause, syscall.ENOSPC) != errors.Is(err, ErrDiskFull) {
				t.Errorf("%v at operation %d: the error is %v", cause, n, err)
			}
			if err != nil {
				if writeErr := w.write(); writeErr != nil {
					t.Fatalf("%v at operation %d: a write after it: %v", cause, n, writeErr)
				}
				mustSnapshot(t, db, "x")
			}
			if err := checkSnapshot(opts.FS, "data/snapshots/x", promised.through(promised), Options{MinFreeBytes: -1}); err != nil {
				t.Fatalf("%v at operation %d: %v", cause, n, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if !more && n < 20 {
				t.Errorf("a snapshot took %d write operations only", n-1)
			}
		}
	}
}
