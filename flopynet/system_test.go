package flopynet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2024, 1, 15, 12, 0, 0, 0, time.UTC)

func openEngine(t *testing.T, options engine.Options) *engine.DB {
	t.Helper()
	options.FS = vfs.NewMem()
	db, err := engine.Open("data", options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// storedValues returns what the engine has of these metrics, as "name{tags} unit" and values.
func storedValues(t *testing.T, db *engine.DB, names ...string) map[string][]float64 {
	t.Helper()
	values := map[string][]float64{}
	for _, name := range names {
		matchers := []*model.Matcher{model.EqualMatcher(model.NameKey, name), model.EqualMatcher(model.SourceKey, "system")}
		result, err := db.Samples(t.Context(), engine.SamplesRequest{
			Selection: engine.Selection{From: model.MinTime, To: model.MaxTime, Matchers: matchers},
			Limit:     1000,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range result.Rows {
			series := result.Series[row.Series]
			text := series.Name + "{"
			for _, tag := range series.Tags {
				text += tag.Key + ":" + tag.Value + " "
			}
			text = strings.TrimSpace(text) + "} " + series.Unit
			values[text] = append(values[text], row.Value)
		}
	}
	return values
}

func fixedProbe(name string, err error, measurements ...measurement) probe {
	return probe{name, func(context.Context) ([]measurement, error) { return measurements, err }}
}

func TestCollectStoresWhatProbesTell(t *testing.T) {
	db := openEngine(t, engine.Options{})
	now := noon
	var log bytes.Buffer
	var told []string
	s := newSystem(db, SystemOptions{
		Host: "lab-1", Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Stored: func(at time.Time, samples int) { told = append(told, fmt.Sprint(samples, " ", at.Unix()-noon.Unix())) },
	}, systemSource, []probe{
		fixedProbe("broken", errors.New("no such thing")),
		fixedProbe("half", errors.New("one disk is away"), measurement{name: "disk_used_bytes", unit: "bytes", value: 7, tag: model.Tag{Key: "path", Value: "/"}}),
		fixedProbe("whole", nil, measurement{name: "load1", value: 0.5}),
		fixedProbe("impossible", nil, measurement{name: "", value: 1}),
	})
	s.collect(t.Context())
	now = now.Add(5 * time.Second)
	s.collect(t.Context())

	want := map[string][]float64{
		"disk_used_bytes{host:lab-1 path:/ source:system} bytes": {7, 7},
		"load1{host:lab-1 source:system} ":                       {0.5, 0.5},
	}
	if diff := cmp.Diff(want, storedValues(t, db, "disk_used_bytes", "load1")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"2 0", "2 5"}, told); diff != "" {
		t.Errorf("Stored was told, -want +got:\n%s", diff)
	}
	for _, fault := range []string{"no such thing", "one disk is away", "name is empty"} {
		if count := strings.Count(log.String(), fault); count != 1 {
			t.Errorf("%q was logged %d times, want once:\n%s", fault, count, log.String())
		}
	}
}

// TestALimitRefusesOnlyWhatIsBeyondIt has room for the first of two series.
func TestALimitRefusesOnlyWhatIsBeyondIt(t *testing.T) {
	db := openEngine(t, engine.Options{MaxSeries: 1})
	var log bytes.Buffer
	told := 0
	s := newSystem(db, SystemOptions{
		Host: "lab-1", Now: func() time.Time { return noon }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Stored: func(_ time.Time, samples int) { told += samples },
	}, systemSource, []probe{fixedProbe("all", nil, measurement{name: "load1", value: 1}, measurement{name: "load5", value: 5})})
	s.collect(t.Context())
	s.collect(t.Context())
	if got := storedValues(t, db, "load1", "load5"); len(got) != 1 || told != 2 {
		t.Errorf("stored %v, told %d", got, told)
	}
	if count := strings.Count(log.String(), "max_series"); count != 1 {
		t.Errorf("the limit was logged %d times, want once:\n%s", count, log.String())
	}
}

func TestFaultsAreLoggedWhenTheyChange(t *testing.T) {
	var log bytes.Buffer
	s := newSystem(nil, SystemOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}, systemSource, nil)
	for _, err := range []error{nil, errors.New("first"), errors.New("first"), errors.New("second"), nil, nil} {
		s.report("disk", err)
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		for _, word := range []string{"first", "second", "works again"} {
			if strings.Contains(line, word) {
				got = append(got, word)
			}
		}
	}
	if diff := cmp.Diff([]string{"first", "second", "works again"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAClockOutOfRangeStoresNothing(t *testing.T) {
	db := openEngine(t, engine.Options{})
	var log bytes.Buffer
	s := newSystem(db, SystemOptions{
		Now:    func() time.Time { return time.Unix(-1, 0) },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}, systemSource, []probe{fixedProbe("load", nil, measurement{name: "load1", value: 1})})
	s.collect(t.Context())
	if got := storedValues(t, db, "load1"); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
	if !strings.Contains(log.String(), "1969-12-31") {
		t.Errorf("the log doesn't tell: %s", log.String())
	}
}

// TestStartMeasuresAtOnce has an interval that no test outlives: what is stored came from the start.
func TestStartMeasuresAtOnce(t *testing.T) {
	db := openEngine(t, engine.Options{})
	stored := make(chan int, 1)
	s := StartSystem(db, SystemOptions{
		Interval: time.Hour, Host: "lab-1", Logger: slog.New(slog.DiscardHandler), Stored: func(_ time.Time, samples int) { stored <- samples },
	})
	defer s.Close()
	select {
	case <-stored:
	case <-time.After(time.Minute):
		t.Fatal("nothing was measured within a minute")
	}
	if got := storedValues(t, db, "memory_total_bytes")["memory_total_bytes{host:lab-1 source:system} bytes"]; len(got) != 1 || got[0] <= 0 {
		t.Errorf("memory_total_bytes is %v", got)
	}
}
