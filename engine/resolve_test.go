package engine

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// TestResolveAll resolves series that are in memory, in the catalogue alone and nowhere yet, in one call.
func TestResolveAll(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	for _, host := range []string{"a", "b"} {
		w.sample("load", host, worldStart, 1)
	}
	stored := make(map[string]model.SeriesID)
	for _, host := range []string{"a", "b"} {
		stored[host], _ = w.db.Resolve("load", tagsOf(host))
	}
	w.flush()
	w.restart(false) // nothing of them is in memory now
	next := w.db.active.Next()

	shared := tagsOf("new")
	list := []Resolution{
		{Name: "load", Tags: tagsOf("b")},
		{Name: "load", Tags: shared},
		{Name: "cpu", Tags: shared},
		{Name: "load", Tags: tagsOf("a")},
		{Name: "cpu", Tags: shared},
		{Name: "bare"},
	}
	if err := w.db.ResolveAll(list); err != nil {
		t.Fatal(err)
	}
	want := []model.SeriesID{stored["b"], next, next + 1, stored["a"], next + 1, next + 2}
	for i, r := range list {
		if r.Err != nil || r.ID != want[i] {
			t.Errorf("series %d is %d, %v, want %d", i, r.ID, r.Err, want[i])
		}
		if series, _ := w.db.active.Series(r.ID); series.Name != r.Name || fmt.Sprint(series.Tags) != fmt.Sprint(r.Tags) {
			t.Errorf("series %d is known as %+v", i, series)
		}
	}
	if err := w.db.ResolveAll(nil); err != nil {
		t.Error(err)
	}
}

// TestResolveAllLongTags: the tags that many series share don't take their memory for each at once.
func TestResolveAllLongTags(t *testing.T) {
	w := newWorld(t, Options{})
	var tags model.Tags
	for i := range model.MaxTags {
		tags = append(tags, model.Tag{Key: fmt.Sprintf("k%02d", i), Value: strings.Repeat("v", model.MaxTagValueBytes)})
	}
	tags = append(tags, model.Tag{Key: model.SourceKey, Value: "s"})
	list := make([]Resolution, 2000)
	for i := range list {
		list[i] = Resolution{Name: fmt.Sprint("m", i), Tags: tags}
	}
	for pass := range 2 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := w.db.ResolveAll(list); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("pass %d: %d MiB were allocated", pass, took>>20)
		}
		for i, r := range list {
			if r.Err != nil || r.ID != list[0].ID+model.SeriesID(i) {
				t.Fatalf("pass %d: series %d has %d, %v, the first one %d", pass, i, r.ID, r.Err, list[0].ID)
			}
		}
	}
}

// TestResolveAllLimits holds that limits refuse series one by one, as they stand in the list.
func TestResolveAllLimits(t *testing.T) {
	for _, c := range []struct {
		opts  Options
		limit string
	}{
		{Options{MaxSeries: 3}, "max_series"},
		{Options{MaxNewSeries: 3}, "max_new_series_per_minute"},
		{Options{MaxSeries: 3, MaxNewSeries: 3}, "max_series"},
		{Options{MaxSeries: 4, MaxNewSeries: 3}, "max_new_series_per_minute"},
	} {
		w := newWorld(t, c.opts)
		if got := w.resolve("0"); got != "" {
			t.Fatal(got)
		}
		var list []Resolution
		for _, host := range []string{"1", "0", "2", "1", "3", "4", "2"} {
			list = append(list, Resolution{Name: "load", Tags: tagsOf(host)})
		}
		if err := w.db.ResolveAll(list); err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, r := range list {
			var limit *LimitError
			switch {
			case errors.As(r.Err, &limit):
				said = append(said, limit.Limit)
			case r.Err != nil || r.ID == 0:
				t.Errorf("%d, %v", r.ID, r.Err)
			default:
				said = append(said, fmt.Sprint(r.ID))
			}
		}
		if got, want := strings.Join(said, " "), fmt.Sprintf("2 1 3 2 %s %[1]s 3", c.limit); got != want {
			t.Errorf("%+v: got %s, want %s", c.opts, got, want)
		}
		if got := w.db.Stats().SeriesRefused; got != 2 {
			t.Errorf("%+v: %d refusals are counted", c.opts, got)
		}
	}
}

// TestResolveAllAtOnce lets several callers make the same series at the same time.
func TestResolveAllAtOnce(t *testing.T) {
	const callers, series = 4, 1000
	w := newWorld(t, Options{MaxSeries: series})
	var lists [callers][]Resolution
	var wait sync.WaitGroup
	for number := range lists {
		for i := range series {
			host := (i + number*series/callers) % series
			lists[number] = append(lists[number], Resolution{Name: "load", Tags: tagsOf(fmt.Sprint(host))})
		}
		wait.Go(func() {
			if err := w.db.ResolveAll(lists[number]); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for number, list := range lists {
		for i, r := range list {
			other := lists[0][(i+number*series/callers)%series]
			if r.Err != nil || r.ID == 0 || r.ID != other.ID {
				t.Fatalf("caller %d got %d, %v for a series that is %d to the first one", number, r.ID, r.Err, other.ID)
			}
		}
	}
	if got := w.db.Stats(); got.Series != series || got.SeriesRefused != 0 {
		t.Errorf("%d series, %d refused", got.Series, got.SeriesRefused)
	}
}

// TestResolveWhileOthersAreDropped resolves series that stay while others go, which may take seconds: it doesn't wait for
// that. For one that goes, it does.
func TestResolveWhileOthersAreDropped(t *testing.T) {
	w := newWorld(t, Options{})
	list := []Resolution{{Name: "load", Tags: tagsOf("a")}, {Name: "load", Tags: tagsOf("b")}, {Name: "load", Tags: tagsOf("c")}}
	if err := w.db.ResolveAll(list); err != nil {
		t.Fatal(err)
	}
	w.db.resolveMu.Lock()
	w.db.dropping.Store(index.NewSet(list[2].ID))
	resolve := func(list []Resolution) <-chan []Resolution {
		list, done := slices.Clone(list), make(chan []Resolution, 1)
		go func() {
			if err := w.db.ResolveAll(list); err != nil {
				t.Error(err)
			}
			done <- list
		}()
		return done
	}
	stay, goes := resolve(list[:2]), resolve(list)
	select {
	case got := <-stay:
		if got[0].ID != list[0].ID || got[1].ID != list[1].ID {
			t.Errorf("%+v, want %+v", got, list[:2])
		}
	case <-time.After(time.Minute):
		t.Error("series that stay wait for those that go") // and are found below, when those have gone
	}
	w.db.active.Drop(index.NewSet(list[2].ID))
	w.db.dropping.Store(nil)
	w.db.resolveMu.Unlock()
	if got := <-goes; got[0].ID != list[0].ID || got[2].ID == list[2].ID || got[2].ID == 0 {
		t.Errorf("%+v, want the first two of %+v and a new one", got, list)
	}
}
