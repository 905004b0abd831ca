package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

// resolve returns what is said about a series: "" if it may be.
func (w *world) resolve(host string) string {
	w.t.Helper()
	_, err := w.db.Resolve("load", tagsOf(host))
	var limit *LimitError
	if err != nil && !errors.As(err, &limit) {
		w.t.Errorf("Resolve returns %v", err)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestMaxSeries(t *testing.T) {
	w := newWorld(t, Options{MaxSeries: 3, MinChunkSamples: 1})
	for i := range 3 {
		w.sample("load", fmt.Sprint(i), worldStart, 1)
	}
	const want = "the limit max_series = 3 is exceeded; drop tags with many values (GET /metrics/cardinality names them) or raise it"
	for _, host := range []string{"3", "4"} {
		if got := w.resolve(host); got != want {
			t.Errorf("the series after the last says %q", got)
		}
	}
	if got := w.resolve("1"); got != "" {
		t.Errorf("a series that is there says %q", got)
	}
	if got := w.db.Stats().SeriesRefused; got != 2 {
		t.Errorf("%d refusals are counted", got)
	}
	w.sample("load", "2", worldStart+1, 2)
	w.compare("load")

	// What was swept makes room.
	w.maintain()
	w.remove("load", "0", model.MinTime, model.MaxTime)
	w.maintain()
	if got := w.resolve("3"); got != "" {
		t.Errorf("with a series less: %q", got)
	}
	if got := w.resolve("4"); got != want {
		t.Errorf("with one more again: %q", got)
	}
}

func TestMaxNewSeries(t *testing.T) {
	w := newWorld(t, Options{MaxNewSeries: 2, MinChunkSamples: 1})
	now := w.now.Load() - w.now.Load()%int64(time.Minute)
	const want = "the limit max_new_series_per_minute = 2 is exceeded; retry in a minute, or raise it"
	for _, c := range []struct {
		after time.Duration
		host  string
		want  string
	}{
		{0, "a", ""},
		{0, "a", ""}, // is no new one
		{time.Second, "b", ""},
		{time.Second, "c", want},
		{time.Minute - 1, "c", want},
		{time.Minute - 1, "a", ""},
		{time.Minute, "c", ""},
		{time.Minute, "d", ""},
		{time.Minute + time.Second, "e", want},
		{10 * time.Minute, "e", ""},
		{9 * time.Minute, "f", ""}, // a clock that is set back doesn't refuse
	} {
		w.setNow(now + int64(c.after))
		if got := w.resolve(c.host); got != c.want {
			t.Errorf("after %s series %s says %q, want %q", c.after, c.host, got, c.want)
		}
	}
	if got := w.db.Stats().SeriesRefused; got != 3 {
		t.Errorf("%d refusals are counted", got)
	}

	// After a restart stored series are met again, which are not new.
	for _, host := range []string{"a", "b", "c", "d", "e"} {
		w.sample("load", host, worldStart, 1)
	}
	w.setNow(now + int64(time.Hour))
	w.maintain()
	w.restart(false)
	for _, host := range []string{"a", "b", "c", "d", "e"} {
		if got := w.resolve(host); got != "" {
			t.Errorf("the stored series %s says %q", host, got)
		}
	}
	for i, want := range []string{"", "", want} {
		if got := w.resolve(fmt.Sprint("new", i)); got != want {
			t.Errorf("new series %d says %q", i, got)
		}
	}
}

func TestNoSeriesLimits(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range 1000 {
		if got := w.resolve(fmt.Sprint(i)); got != "" {
			t.Fatalf("series %d says %q", i, got)
		}
	}
}
