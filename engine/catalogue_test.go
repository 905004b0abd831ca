package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// TestCatalogueForgets follows a few series through flush, restart, rollup, expiry of raw samples and deletes:
// a series is listed as long as it has samples that can be seen, with the times of the first and the last.
func TestCatalogueForgets(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1, Retention: RetentionPolicy{Default: Retention{Raw: 3 * testDay, FiveMinutes: 3 * testDay, Hour: KeepForever}}})
	w.setNow(worldStart + hour)
	check := func(when string) {
		t.Helper()
		w.note("%s", when)
		w.random = rand.New(rand.NewPCG(1, 2))
		defer func() { w.random = nil }() // maintain does as it is told without
		w.checkCatalogue(Selection{From: model.MinTime, To: model.MaxTime})
		w.checkCatalogue(Selection{From: worldStart, To: worldStart + day})
	}
	for i := range 6 {
		w.fill("cpu", fmt.Sprint(i), worldStart+int64(i)*int64(time.Minute), worldStart+hour, 7*time.Minute, func(i int) float64 { return float64(i) })
		w.fill("memory", fmt.Sprint(i), worldStart+int64(i)*hour/10, worldStart+hour, 7*time.Minute, func(i int) float64 { return float64(i) })
	}
	check("in the head")
	w.flush()
	check("flushed")
	w.sample("cpu", "9", worldStart+hour/2, 1)
	w.remove("cpu", "0", model.MinTime, model.MaxTime)
	w.remove("memory", "3", worldStart, worldStart+hour/2)
	check("deleted in part")
	w.restart(true)
	check("after a crash")
	w.setNow(worldStart + 2*day)
	w.maintain()
	w.sample("cpu", "1", worldStart+2*day, 1)
	check("rolled up")
	w.setNow(worldStart + 5*day)
	check("hidden by retention")
	w.maintain()
	check("expired, points are left")
	w.remove("cpu", "2", model.MinTime, model.MaxTime)
	check("deleted from points")
	w.maintain()
	check("gone")
	w.restart(false)
	check("after a restart")
	list, err := w.db.SeriesList(context.Background(), Selection{From: model.MinTime, To: model.MaxTime}, Page{Limit: 100})
	if err != nil || list.Total != 11 {
		t.Errorf("%d series are listed at the end, want 11: six and six and one, without two; %v", list.Total, err)
	}
}

// TestCatalogueOfTheHead follows series that are in the head alone, where the ends of a series are known without its
// samples: beside stale markers, corrections, deletes, retention and ranges that cut, a look at the samples is due.
func TestCatalogueOfTheHead(t *testing.T) {
	w := newWorld(t, Options{Retention: RetentionPolicy{Default: Retention{Raw: 3 * testDay, FiveMinutes: 3 * testDay, Hour: 3 * testDay}}})
	w.setNow(worldStart + hour)
	check := func(when string) {
		t.Helper()
		w.note("%s", when)
		w.random = rand.New(rand.NewPCG(1, 2))
		defer func() { w.random = nil }() // maintain does as it is told without
		w.checkCatalogue(Selection{From: model.MinTime, To: model.MaxTime})
		w.checkCatalogue(Selection{From: worldStart, To: worldStart + hour})
		w.checkCatalogue(Selection{From: worldStart + hour, To: worldStart + day})
	}
	stale := math.Float64frombits(0x7ff0000000000002) // Prometheus' marker
	for _, host := range []string{"whole", "ended", "begun", "corrected", "deleted", "headless", "tailless"} {
		w.fill("cpu", host, worldStart, worldStart+2*hour, time.Minute, number)
	}
	check("whole")
	w.sample("cpu", "ended", worldStart+2*hour, stale)
	w.sample("cpu", "begun", worldStart, stale)
	w.sample("cpu", "begun", worldStart+int64(time.Minute), stale)
	w.sample("cpu", "corrected", worldStart, 1)
	w.sample("cpu", "corrected", worldStart-hour, 1)
	w.sample("memory", "a", worldStart, stale)
	check("marked")
	w.remove("cpu", "deleted", model.MinTime, model.MaxTime)
	w.remove("cpu", "headless", worldStart, worldStart+hour)
	w.remove("cpu", "tailless", worldStart+hour, worldStart+day)
	check("deleted")
	w.sample("cpu", "deleted", worldStart+hour/2, 1)
	w.sample("cpu", "recent", worldStart+2*day, 1)
	w.sample("cpu", "whole", worldStart+2*day, 1)
	check("written again")
	thaw := w.freeze()
	w.remove("cpu", "ended", model.MinTime, model.MaxTime)
	w.remove("cpu", "recent", model.MinTime, model.MaxTime)
	w.remove("cpu", "begun", worldStart, worldStart+hour)
	w.sample("cpu", "ended", worldStart+hour/2, 1)
	w.sample("cpu", "corrected", worldStart+hour, 1)
	check("deleted and written while it was frozen")
	thaw()
	check("thawed")
	w.setNow(worldStart + 3*day + hour)
	check("cut by retention")
	w.setNow(worldStart + 4*day)
	check("hidden by retention")
}

// freeze does with the head what a flush begins with; what it returns, what a flush that failed ends with.
func (w *world) freeze() (thaw func()) {
	w.t.Helper()
	var ids []model.SeriesID
	barrier := commits.Get().(*commit)
	barrier.barrier = func(c cut) {
		for _, frozen := range w.db.head.Freeze(w.db.period(), uint64(c.lsn)) {
			ids = append(ids, frozen.ID)
		}
	}
	if err := w.db.pipe.submit(barrier); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if err := w.db.head.Thaw(ids, w.db.hiddenSince); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestCatalogueTakesNoViews counts what the lists over all time allocate beside what series of the head: hardly more
// for many than for few, though a view of one alone takes several objects.
func TestCatalogueTakesNoViews(t *testing.T) {
	const few, many = 100, 3000
	all, page := Selection{From: model.MinTime, To: model.MaxTime}, Page{Limit: 10}
	allocations := func(count int) map[string]float64 {
		db := mustOpen(t, Options{FS: vfs.NewMem(), MaintainInterval: -1})
		defer closeDB(t, db)
		var batch Batch
		for i := range count {
			id, err := db.Resolve(fmt.Sprint("metric_", i%5), model.Tags{{Key: "host", Value: fmt.Sprint(i % 7)}, {Key: "number", Value: fmt.Sprint(i)}})
			if err != nil {
				t.Fatal(err)
			}
			for k := range int64(20) {
				batch.Add(id, worldStart+k*int64(time.Minute), float64(i))
			}
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
		took := make(map[string]float64)
		for name, list := range map[string]func() (int, error){
			"names":  func() (int, error) { l, err := db.Names(t.Context(), all, page); return l.Total, err },
			"values": func() (int, error) { l, err := db.Values(t.Context(), all, "host", page); return l.Total, err },
			"series": func() (int, error) { l, err := db.SeriesList(t.Context(), all, page); return l.Total, err },
		} {
			want := map[string]int{"names": 5, "values": 7, "series": count}[name]
			took[name] = testing.AllocsPerRun(3, func() {
				if total, err := list(); err != nil || total != want {
					t.Errorf("%s: %d are listed, want %d; %v", name, total, want, err)
				}
			})
		}
		return took
	}
	beside := allocations(few)
	for name, n := range allocations(many) {
		if more := n - beside[name]; more > (many-few)/2 {
			t.Errorf("%s: %v objects are allocated for %d series, %v for %d", name, n, many, beside[name], few)
		}
	}
}

// TestCatalogueIsCancelled checks that no list outlives its context.
func TestCatalogueIsCancelled(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), MinChunkSamples: 1})
	defer closeDB(t, db)
	put(t, db, "m", "a", 1, 1)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	all := Selection{From: model.MinTime, To: model.MaxTime}
	page := Page{Limit: 1}
	for name, list := range map[string]func() error{
		"metric names": func() error { _, err := db.MetricNames(ctx, all); return err },
		"names":        func() error { _, err := db.Names(ctx, all, page); return err },
		"keys":         func() error { _, err := db.Keys(ctx, all, nil, page); return err },
		"values":       func() error { _, err := db.Values(ctx, all, "host", page); return err },
		"series":       func() error { _, err := db.SeriesList(ctx, all, page); return err },
		"cardinality":  func() error { _, err := db.Cardinality(ctx, 0, model.MaxTime, 1); return err },
	} {
		if err := list(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkCatalogue lists what 100,000 series of ten metrics are, over three days of chunks and some samples
// in the head: the first page of each list, over all time and over an hour that cuts a day.
func BenchmarkCatalogue(b *testing.B) {
	const hosts, start = 10_000, 20_000 * day
	db, err := Open(b.TempDir(), Options{MinFreeBytes: -1, MinChunkSamples: 1, MaintainInterval: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var batch Batch
	for hour := range int64(3 * 24) {
		for k := range 10 * hosts {
			if hour%12 != 0 && k%10 != 0 {
				continue
			}
			id, err := db.Resolve(fmt.Sprint("metric_", k%10), model.Tags{{Key: "host", Value: fmt.Sprint("host-", k/10)}, {Key: model.SourceKey, Value: fmt.Sprint("s", k%7)}, {Key: "zone", Value: fmt.Sprint(k % 3)}})
			if err != nil {
				b.Fatal(err)
			}
			batch.Add(id, start+hour*int64(time.Hour), float64(k))
		}
		if err := db.Write(&batch); err != nil {
			b.Fatal(err)
		}
		batch.Reset()
		if hour == 60 {
			if err := db.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	ctx := context.Background()
	for _, window := range []struct {
		name string
		Selection
	}{
		{"all", Selection{From: model.MinTime, To: model.MaxTime}},
		{"hour", Selection{From: start + 12*int64(time.Hour), To: start + 13*int64(time.Hour)}},
	} {
		s := window.Selection
		page := Page{Limit: 100}
		for name, list := range map[string]func() (int, error){
			"metric_names": func() (int, error) { l, err := db.MetricNames(ctx, s); return len(l), err },
			"names":        func() (int, error) { l, err := db.Names(ctx, s, page); return l.Total, err },
			"keys":         func() (int, error) { l, err := db.Keys(ctx, s, nil, page); return l.Total, err },
			"values":       func() (int, error) { l, err := db.Values(ctx, s, "host", page); return l.Total, err },
			"series":       func() (int, error) { l, err := db.SeriesList(ctx, s, page); return l.Total, err },
			"series_10k": func() (int, error) {
				l, err := db.SeriesList(ctx, s, Page{Limit: 10_000})
				return l.Total, err
			},
		} {
			b.Run(name+"/"+window.name, func(b *testing.B) {
				b.ReportAllocs()
				total := 0
				for b.Loop() {
					var err error
					if total, err = list(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(total), "entries")
			})
		}
	}
}
