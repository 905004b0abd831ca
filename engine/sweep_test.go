package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// TestSweepLeavesNoTrace drops series that were deleted or have expired: from the catalogue, the index and
// memory, and names with the last of their series. Those that have a sample anywhere stay.
func TestSweepLeavesNoTrace(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1, RetentionGrace: time.Hour, Retention: RetentionPolicy{Default: Retention{Raw: 20 * testDay}}})
	const pods = 40
	for i := range pods {
		w.sample("pod", fmt.Sprint(i), worldStart+int64(i)*hour/2, 1)
		w.sample("one-off", fmt.Sprint(i), worldStart+int64(i)*hour/2, 1)
	}
	w.sample("load", "a", worldStart+12*day, 1)
	w.maintain()
	check := func(series, names int) {
		t.Helper()
		for _, c := range []struct {
			prefix byte
			want   int
		}{{keys.PrefixSeries, series}, {keys.PrefixIdentity, series}, {keys.PrefixName, names}} {
			if got, _ := w.stored(c.prefix); got != c.want {
				t.Errorf("%d keys begin with %02x, want %d", got, c.prefix, c.want)
			}
		}
		if got := w.db.active.Len(); got != series {
			t.Errorf("%d series are in memory, want %d", got, series)
		}
		w.db.store.mu.RLock()
		defer w.db.store.mu.RUnlock()
		if len(w.db.store.names) != names || len(w.db.store.nameOf) != names {
			t.Errorf("%d and %d names are in memory, want %d", len(w.db.store.names), len(w.db.store.nameOf), names)
		}
	}
	check(2*pods+1, 3)
	epoch := w.db.Epoch()
	w.remove("pod", "", worldStart, worldStart+10*hour) // the first 20
	w.remove("one-off", "", model.MinTime, model.MaxTime)
	w.sample("pod", "3", worldStart+day, 2)  // is there again, in the head
	w.sample("pod", "30", worldStart+day, 2) // another day, too
	check(2*pods+1, 3)
	w.maintain()
	check(pods/2+1+1, 2)
	if w.db.Epoch() == epoch {
		t.Error("series went and the epoch stayed")
	}
	if got := w.db.Stats().Maintenance.SeriesDropped; got != pods+pods/2-1 {
		t.Errorf("%d series were dropped", got)
	}
	w.compare("pod")
	w.restart(false) // memory knows only what is written to again
	w.restart(true)
	w.setNow(worldStart + 120*day) // the partitions of all tiers have expired
	w.maintain()
	check(0, 0)
	w.checkNothing(map[byte]string{keys.PrefixChunk: "chunks", keys.PrefixSketch: "sketches", keys.PrefixPosting: "postings",
		keys.PrefixDirty: "marks", keys.PrefixPartition: "partitions"})
	w.compare("pod")
	w.compare("one-off")
	w.sample("one-off", "1", worldStart+119*day, 3)
	w.compare("one-off")
}

// TestSweepSparesWhatTheLogHas deletes all of some series, of which then one gets a sample, another a unit and a
// third a sample that is deleted, too, which only the log has. The fourth goes.
func TestSweepSparesWhatTheLogHas(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	for _, host := range []string{"sampled", "named", "deleted", "gone"} {
		w.sample("load", host, worldStart, 1)
	}
	w.flush()
	w.remove("load", "", worldStart, worldStart+1)
	w.flush() // finishing the delete needs its place in the log behind a checkpoint
	w.sample("load", "sampled", worldStart+hour, 2)
	w.sample("load", "deleted", worldStart+hour, 2)
	w.remove("load", "deleted", worldStart, worldStart+day)
	id, err := w.db.Resolve("load", tagsOf("named"))
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	batch.SetUnit(id, "percent")
	if err := w.db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	if err := w.db.maintain(t.Context(), pass{force: true, share: 1}); err != nil { // without a flush
		t.Fatal(err)
	}
	if stats := w.db.Stats(); stats.Series != 3 || stats.Maintenance.SeriesDropped != 1 || stats.Maintenance.PendingDeletes != 1 {
		t.Errorf("%d series are there; %+v", stats.Series, stats.Maintenance)
	}
	w.restart(true)
	w.sample("load", "named", worldStart, 1)
	w.oracle.find("load", tagsOf("named")).Unit = "percent"
	w.compare("load")
}

// TestSweepGivesUp has a series that got a sample after it was found to be without: nothing goes then.
func TestSweepGivesUp(t *testing.T) {
	w := newWorld(t, Options{})
	w.sample("load", "a", worldStart, 1)
	id, err := w.db.Resolve("load", tagsOf("a"))
	if err != nil {
		t.Fatal(err)
	}
	w.flush() // so that the catalogue knows it
	w.sample("load", "a", worldStart+1, 1)
	epoch := w.db.Epoch()
	if dropped, err := w.db.dropSeries([]model.SeriesID{id}); err != nil || dropped || w.db.Epoch() != epoch {
		t.Errorf("that it was dropped is %v, %v", dropped, err)
	}
	w.compare("load")
}

// TestStaleSeries writes batches that were resolved before their series was dropped.
func TestStaleSeries(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	w.sample("load", "gone", worldStart, 1)
	w.sample("load", "there", worldStart, 1)
	w.maintain()
	resolve := func(host string) model.SeriesID {
		id, err := w.db.Resolve("load", tagsOf(host))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := w.db.Epoch()
	gone, there := resolve("gone"), resolve("there")
	w.remove("load", "gone", model.MinTime, model.MaxTime)
	w.maintain()
	after := w.db.Epoch()
	batchOf := func(epoch uint64, ids ...model.SeriesID) *Batch {
		var b Batch
		b.ResolvedAt(epoch)
		for _, id := range ids {
			b.Add(id, worldStart+hour, 5)
		}
		return &b
	}
	unit := &Batch{}
	unit.SetUnit(gone, "s")
	for _, c := range []struct {
		name  string
		batch *Batch
		want  error
	}{
		{"a series that went", batchOf(before, gone), ErrStaleSeries},
		{"without an epoch", batchOf(0, gone), ErrStaleSeries},
		{"beside one that didn't", batchOf(before, there, gone), ErrStaleSeries},
		{"its unit", unit, ErrStaleSeries},
		{"one that didn't go", batchOf(before, there), nil},
		{"resolved after", batchOf(after, there), nil},
	} {
		if err := w.db.Write(c.batch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	w.oracle.find("load", tagsOf("there")).put(worldStart+hour, 5)
	w.compare("load") // nothing of the refused batches is there
	again := resolve("gone")
	if again == gone {
		t.Error("the id was given once more")
	}
	if err := w.db.Write(batchOf(after, again)); err != nil {
		t.Errorf("resolved again: %v", err)
	}
	w.oracle.find("load", tagsOf("gone")).put(worldStart+hour, 5)
	for _, next := range []func(){func() {}, func() { w.restart(true) }, w.flush, w.maintain} {
		next()
		w.compare("load")
	}
}

// TestSweepsBesideWriters deletes and sweeps while writers hold ids of the series that go. Every sample behind
// the deletes' range that was acknowledged is there in the end, and after a crash.
func TestSweepsBesideWriters(t *testing.T) {
	const writers, rounds = 4, 60
	fs := newCrashableMem()
	opts := Options{FS: fs, MinChunkSamples: 1, MaintainInterval: -1, Now: func() time.Time { return time.Unix(0, worldStart+30*day) }}
	db := mustOpen(t, opts)
	var stale atomic.Int64
	errs := make([]error, writers)
	var running sync.WaitGroup
	for number := range writers {
		running.Go(func() { errs[number] = churn(db, number, rounds, &stale) })
	}
	var done atomic.Bool
	go func() {
		running.Wait()
		done.Store(true)
	}()
	sweeps := 0
	for last := false; !last; sweeps++ {
		last = done.Load()
		if _, err := db.Delete(t.Context(), selectionOf("pod", "", worldStart, worldStart+day), false); err != nil {
			t.Fatal(err)
		}
		if err := db.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sweeps, %d series dropped, %d writes resolved again", sweeps, db.Stats().Maintenance.SeriesDropped, stale.Load())
	for range 2 {
		result, err := db.Samples(t.Context(), SamplesRequest{Selection: selectionOf("pod", "", model.MinTime, model.MaxTime), Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]bool)
		for _, row := range result.Rows {
			found[fmt.Sprintf("%s at %d", result.Series[row.Series].Tags.Get("host"), row.Time-worldStart-2*day)] = true
		}
		if len(found) != writers*rounds {
			t.Errorf("%d samples are there, want %d", len(found), writers*rounds)
		}
		for number := range writers {
			for round := range rounds {
				if want := fmt.Sprintf("%d-%d at %d", number, round/3, round); !found[want] {
					t.Errorf("lost: %s", want)
				}
			}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		closeDB(t, db)
		opts.FS = crashed
		db = mustOpen(t, opts)
	}
	closeDB(t, db)
}

// churn begins series whose first sample is about to be deleted, and writes a second one, which is not, with the
// id it got for the first.
func churn(db *DB, number, rounds int, stale *atomic.Int64) error {
	for round := range rounds {
		tags := tagsOf(fmt.Sprintf("%d-%d", number, round/3))
		var id model.SeriesID
		var epoch uint64
		write := func(at int64) error {
			var batch Batch
			batch.ResolvedAt(epoch)
			batch.Add(id, at, 1)
			return db.Write(&batch)
		}
		resolve := func() (err error) {
			epoch = db.Epoch()
			id, err = db.Resolve("pod", tags)
			return err
		}
		for _, at := range []int64{worldStart + int64(round), worldStart + 2*day + int64(round)} {
			finished := db.jobs.counters.deletesFinished.Load()
			err := error(nil)
			if id == 0 {
				err = resolve()
			}
			for err == nil {
				if err = write(at); !errors.Is(err, ErrStaleSeries) {
					break
				}
				stale.Add(1)
				err = resolve()
			}
			if err != nil {
				return err
			}
			for at < worldStart+day && db.jobs.counters.deletesFinished.Load() == finished {
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
	return nil
}
