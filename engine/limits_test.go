package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

func closeDB(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestManyUnits writes more units than a frame could hold: those of one series, of which the last
// counts, and those of very many series.
func TestManyUnits(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	long := strings.Repeat("u", model.MaxNameBytes-10)
	id, err := db.Resolve("m", nil)
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	for i := range 300_000 {
		batch.Add(id, int64(i), 1)
		batch.SetUnit(id, fmt.Sprintf("%s%d", long, i))
	}
	for i := range maxBatchUnits + 100 {
		other, err := db.Resolve("m", model.Tags{{Key: "n", Value: fmt.Sprint(i)}})
		if err != nil {
			t.Fatal(err)
		}
		batch.SetUnit(other, long)
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	if got, want := db.active.Unit(id), long+"299999"; got != want {
		t.Fatalf("the unit is %q", got)
	}
	if got := db.active.Unit(id + maxBatchUnits + 100); got != long {
		t.Fatalf("the last series' unit is %q", got)
	}
	put(t, db, "m", "still writable", 1, 1)
	closeDB(t, db)
}

// wideTags returns tags of 60 KB, to which "z" may be added.
func wideTags() (tags model.Tags) {
	for i := range 60 {
		tags = append(tags, model.Tag{Key: fmt.Sprintf("key%02d", i), Value: strings.Repeat("v", 1000)})
	}
	return tags
}

// TestHugeDefinitions registers series whose definitions together are larger than a frame.
func TestHugeDefinitions(t *testing.T) {
	singleThreaded(t)
	fs := newCrashableMem()
	db := mustOpen(t, Options{FS: fs})
	tags := wideTags()
	const series = 1200
	var last model.SeriesID
	for i := range series {
		mine := append(slices.Clone(tags), model.Tag{Key: "z", Value: fmt.Sprint(i)})
		id, err := db.Resolve("m", mine)
		if err != nil {
			t.Fatal(err)
		}
		last = id
	}
	var batch Batch
	batch.Add(last, 5, 7)
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	closeDB(t, db)
	db = mustOpen(t, Options{FS: crashed})
	if got := db.active.Len(); got != series {
		t.Fatalf("%d series were recovered", got)
	}
	expect(t, db, "m", "@5=7")
	closeDB(t, db)
}

// TestHugeDefinitionsBetween has batches of events, with answers, share their group with one whose definitions are
// written ahead: each still has the LSN that the log gives it, so that none is lost or taken for another.
func TestHugeDefinitionsBetween(t *testing.T) {
	fs := newCrashableMem()
	db := mustOpen(t, Options{FS: fs})
	var batch Batch
	tags := wideTags()
	for i := range 200 {
		id, err := db.Resolve("m", append(slices.Clone(tags), model.Tag{Key: "z", Value: fmt.Sprint(i)}))
		if err != nil {
			t.Fatal(err)
		}
		batch.Add(id, 5, 7)
	}
	writeEvent := func(number int) error {
		return db.WriteEventsAnswered(t.Context(), []Event{{ID: fmt.Sprint(number), Time: 1, Component: "c", Type: "t"}},
			func() *Answer { return answerOf(number, db.Now().UnixNano()) })
	}
	release := sync.OnceFunc(db.pipe.hold())
	defer release()
	errs := make(chan error)
	for place, write := range []func() error{
		func() error { return writeEvent(0) }, func() error { return db.Write(&batch) }, func() error { return writeEvent(1) },
	} {
		go func() { errs <- write() }()
		waitFor(t, func() bool {
			db.pipe.waitingMu.Lock()
			defer db.pipe.waitingMu.Unlock()
			return len(db.pipe.waiting) == place+1
		})
	}
	release()
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	check := func(db *DB, when string, n int) {
		t.Helper()
		result, err := db.Events(t.Context(), EventQuery{To: 10, Limit: 10})
		if err != nil || len(result.Events) != n {
			t.Errorf("%s: %+v, %v", when, result, err)
		}
		for number := range n {
			if answer, err := db.Answer(answerOf(number, 1).Key); err != nil || answer == nil {
				t.Errorf("%s: answer %d is %v, %v", when, number, answer, err)
			}
		}
	}
	crashed := func(when string, n int) {
		t.Helper()
		crashed := mustOpen(t, Options{FS: fs.CrashClone(vfs.CrashCloneCfg{})})
		check(crashed, when, n)
		closeDB(t, crashed)
	}
	check(db, "at once", 2)
	crashed("after a crash", 2)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	check(db, "after a flush", 2)
	crashed("after a flush and a crash", 2)
	if err := writeEvent(2); err != nil {
		t.Fatal(err)
	}
	check(db, "with another", 3)
	crashed("with another, after a crash", 3)
	closeDB(t, db)
}

// TestFrameTooLarge checks the last resort: a commit that can't fit fails alone and the log goes on.
func TestFrameTooLarge(t *testing.T) {
	fs := newCrashableMem()
	db := mustOpen(t, Options{FS: fs})
	id, err := db.Resolve("m", model.Tags{{Key: "host", Value: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &commit{done: make(chan error, 1), maxID: id}
	for range wal.MaxFrameBytes / 250 {
		c.units = append(c.units, unitChange{id: id, unit: strings.Repeat("u", 250)})
	}
	var limit *LimitError
	if err := db.pipe.submit(c); !errors.As(err, &limit) {
		t.Fatalf("a frame over the limit returns %v", err)
	}
	put(t, db, "m", "a", 1, 1)
	expect(t, db, "m", "a@1=1")
	crashed := fs.CrashClone(vfs.CrashCloneCfg{}) // the refused batch had brought the series' definition
	closeDB(t, db)
	db = mustOpen(t, Options{FS: crashed})
	expect(t, db, "m", "a@1=1")
	closeDB(t, db)
}

// TestLogLimitIsLeft fails to remove segments while the log is over its limit: once that works, a flush
// without news removes them.
func TestLogLimitIsLeft(t *testing.T) {
	singleThreaded(t)
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpRemove && strings.Contains(op.Path, "wal/") {
			return syscall.EIO
		}
		return nil
	}))
	db := mustOpen(t, Options{FS: fs, MaxWALBytes: minWALBytes, FlushEventBytes: 1 << 40, Uncompressed: true, MaintainInterval: -1})
	message := strings.Repeat("x", MaxEventMessageBytes)
	written := 0
	write := func() error {
		written++
		events := make([]Event, 100)
		for i := range events {
			events[i] = Event{ID: fmt.Sprint(written, "-", i), Time: 1, Component: "c", Type: "t", Message: message}
		}
		return db.WriteEvents(t.Context(), events)
	}
	broken.Store(true)
	var err error
	for err == nil {
		err = write()
	}
	if !errors.Is(err, ErrBehind) {
		t.Fatalf("a log at its limit returns %v", err)
	}
	if err := db.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("a flush that can't remove segments returns %v", err)
	}
	broken.Store(false)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Fatalf("after the segments are gone a write returns %v, the log has %d bytes", err, db.log.Size())
	}
	closeDB(t, db)
}

// TestHeadLimitIsLeft has more samples in short series than the head may hold: a flush must not keep them.
func TestHeadLimitIsLeft(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), MaxHeadSamples: 1000})
	var batch Batch
	for i := range 2000 {
		id, err := db.Resolve("m", model.Tags{{Key: "n", Value: fmt.Sprint(i % 100)}})
		if err != nil {
			t.Fatal(err)
		}
		batch.Add(id, int64(i), 1)
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(&batch); err != nil {
		t.Fatalf("after a flush a write returns %v", err)
	}
	closeDB(t, db)
}

func TestHeadLimit(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), MaxHeadSamples: 1000, FlushSamples: 1 << 30})
	id, err := db.Resolve("m", nil)
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	for i := range 1001 {
		batch.Add(id, int64(i), 0)
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	db.flush.mu.Lock() // the flush that a refused write asks for has to wait
	err = db.Write(&batch)
	db.flush.mu.Unlock()
	if !errors.Is(err, ErrBehind) {
		t.Fatalf("a head at its limit returns %v", err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
}

// TestFlushFailsAndIsRepeated fails a flush in its middle, by a posting that it can't read. Nothing may be lost
// or doubled by that, and the next flush succeeds.
func TestFlushFailsAndIsRepeated(t *testing.T) {
	mem := newCrashableMem()
	opts := Options{FS: mem, MinChunkSamples: 1}
	db := mustOpen(t, opts)
	put(t, db, "m", "a", 1, 1)
	closeDB(t, db)
	db = mustOpen(t, opts)
	// A new metric, so that the flush gives a number to its name before it fails.
	put(t, db, "m", "a", 2, 2)
	put(t, db, "new", "b", 3, 3)
	everySeries := keys.AppendPosting(nil, keys.Posting{})
	value, closer, err := db.chunks.Get(everySeries)
	if err != nil {
		t.Fatal(err)
	}
	stored := bytes.Clone(value)
	if err := errors.Join(closer.Close(), db.chunks.Set(everySeries, []byte{9}, pebble.Sync)); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); !errors.Is(err, index.ErrCorrupt) {
		t.Fatalf("a flush that can't read returns %v", err)
	}
	if err := db.chunks.Set(everySeries, stored, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	put(t, db, "new", "b", 4, 4)
	check := func() {
		t.Helper()
		expect(t, db, "m", "a@1=1 a@2=2")
		expect(t, db, "new", "b@3=3 b@4=4")
	}
	check()
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	check()
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	closeDB(t, db)
	db = mustOpen(t, Options{FS: crashed})
	check()
	closeDB(t, db)
}

// TestSelectKnowsOnlyWhatIsStored resolves a series without writing to it.
func TestSelectKnowsOnlyWhatIsStored(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), MinChunkSamples: 1})
	if _, err := db.Resolve("m", model.Tags{{Key: "host", Value: "ghost"}}); err != nil {
		t.Fatal(err)
	}
	put(t, db, "m", "a", 1, 1)
	for range 2 {
		series, err := db.Select(context.Background(), Selection{
			Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, To: 10})
		if err != nil || len(series) != 1 || series[0].Tags.Get("host") != "a" {
			t.Fatalf("series %v, %v", series, err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	closeDB(t, db)
}
