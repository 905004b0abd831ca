package engine

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flopynet/collector/model"
)

// tablesLeft returns how many files there are where tables are made.
func (w *world) tablesLeft() int {
	names, err := w.opts.FS.List(w.db.tableDir())
	if err != nil {
		w.t.Error(err)
	}
	return len(names)
}

// TestFlushTables flushes chunks of more days than there are tables, of two metrics whose series alternate, so that
// the order of their ids is not that of their keys; some with late samples.
func TestFlushTables(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1, tableSamples: 1})
	for round := range 2 { // the second one into days that are there
		for host := range 4 {
			for _, name := range []string{"load", "cpu"} {
				for d := range int64(maxFlushTables + 3) {
					w.sample(name, fmt.Sprint(host), worldStart+d*day+int64(round), float64(d))
				}
				w.sample(name, fmt.Sprint(host), worldStart+day+int64(10+round), 7) // late
			}
		}
		before := w.db.chunks.Metrics().Ingest.Count
		w.flush()
		if got := w.db.chunks.Metrics().Ingest.Count - before; got != 1 {
			t.Errorf("round %d: tables were taken in %d times", round, got)
		}
		if got := w.db.head.Samples(); got != 0 {
			t.Errorf("round %d: %d samples are still in the head", round, got)
		}
		w.compare("load")
		w.compare("cpu")
	}
	if got := w.tablesLeft(); got != 0 {
		t.Errorf("%d files are left", got)
	}
	w.restart(true)
	w.compare("load")
	w.compare("cpu")
	w.maintain()
	w.compare("load")
}

// TestFlushTableErrors fails each operation on the files of tables in turn: the flush says so, unless there is another
// way, as copying is where a link fails; what was written is there, and the next flush stores it.
func TestFlushTableErrors(t *testing.T) {
	const none = 1 << 40
	said := 0
	for fail := int64(0); ; fail++ {
		var countdown atomic.Int64
		countdown.Store(none)
		fs := errorfs.Wrap(newCrashableMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemove && isTablePath(op.Path) && countdown.Add(-1) == -1 {
				return syscall.EIO
			}
			return nil
		}))
		db := mustOpen(t, Options{FS: fs, MinChunkSamples: 1, tableSamples: 1})
		expected := ""
		write := func(at int64) {
			id, err := db.Resolve("m", model.Tags{{Key: "host", Value: "a"}})
			if err != nil {
				t.Fatal(err)
			}
			var batch Batch
			batch.Add(id, at, float64(at))
			if err := db.Write(&batch); err != nil {
				t.Fatal(err)
			}
			expected += fmt.Sprintf(" a@%d=%[1]d", at)
		}
		write(1)
		countdown.Store(fail)
		err := db.Flush()
		failed := countdown.Load() < 0
		countdown.Store(none)
		if err != nil && (!failed || !errors.Is(err, syscall.EIO)) {
			t.Fatalf("operation %d, failed %v: the flush returns %v", fail, failed, err)
		}
		if err != nil {
			said++
		}
		expect(t, db, "m", expected[1:])
		write(2)
		if err := db.Flush(); err != nil {
			t.Fatalf("operation %d: the next flush returns %v", fail, err)
		}
		expect(t, db, "m", expected[1:])
		if names, err := fs.List(db.tableDir()); err != nil || len(names) > 0 {
			t.Errorf("operation %d: %v are left, %v", fail, names, err)
		}
		closeDB(t, db)
		if !failed {
			if said < 4 {
				t.Errorf("%d of %d failures are said: there should be those to make the folder, to create, to write and to sync", said, fail)
			}
			return
		}
	}
}

func isTablePath(path string) bool {
	fs := vfs.Default
	return fs.PathBase(fs.PathDir(path)) == "flush" || fs.PathBase(path) == "flush"
}

// TestUnfinishedTables finds the file of a flush that didn't come to its end.
func TestUnfinishedTables(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1, tableSamples: 1})
	w.sample("load", "a", worldStart, 1)
	w.flush()
	file, err := w.opts.FS.Create(w.opts.FS.PathJoin(w.db.tableDir(), "7-7.sst"), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	w.restart(false)
	if got := w.tablesLeft(); got != 0 {
		t.Errorf("%d files are left", got)
	}
	w.compare("load")
}
