package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// start opens the configuration as a start of the collector does.
func start(t *testing.T, given Config) (*Live, []Overruled) {
	t.Helper()
	live, overruled, err := OpenLive(given)
	if err != nil {
		t.Fatal(err)
	}
	if err := live.Begin(nil); err != nil {
		t.Fatal(err)
	}
	return live, overruled
}

func in(dir string, change func(*Config)) Config {
	c := Default()
	c.DataDir = dir
	if change != nil {
		change(&c)
	}
	return c
}

func mustChange(t *testing.T, live *Live, patch string) Outcome {
	t.Helper()
	outcome, err := live.Change([]byte(patch), nil)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// TestWhatWasSaidLastHolds goes through starts with flags that stay and flags that change.
func TestWhatWasSaidLastHolds(t *testing.T) {
	dir := t.TempDir()
	live, _ := start(t, in(dir, func(c *Config) { c.Storage.RetentionDays = 30 }))
	mustChange(t, live, `{"storage":{"retention_days":60},"processing":{"worker_threads":8}}`)

	live, overruled := start(t, in(dir, func(c *Config) { c.Storage.RetentionDays = 30 }))
	if got := live.Config(); got.Storage.RetentionDays != 60 || got.Processing.WorkerThreads != 8 || overruled != nil {
		t.Fatalf("with the same flags: %d days, %d threads, %v", got.Storage.RetentionDays, got.Processing.WorkerThreads, overruled)
	}
	if diff := cmp.Diff([]string{"processing.worker_threads", "storage.retention_days"}, live.Changed()); diff != "" {
		t.Errorf("changed, -want +got:\n%s", diff)
	}
	// A flag that changes speaks for its own setting alone.
	live, overruled = start(t, in(dir, func(c *Config) { c.Storage.RetentionDays = 90 }))
	if got := live.Config(); got.Storage.RetentionDays != 90 || got.Processing.WorkerThreads != 8 {
		t.Fatalf("with another flag: %d days, %d threads", got.Storage.RetentionDays, got.Processing.WorkerThreads)
	}
	if diff := cmp.Diff([]Overruled{{"storage.retention_days", "60", "90"}}, overruled); diff != "" {
		t.Errorf("overruled, -want +got:\n%s", diff)
	}
	// What was overruled doesn't come back with the old flag.
	live, _ = start(t, in(dir, func(c *Config) { c.Storage.RetentionDays = 30 }))
	if got := live.Config().Storage.RetentionDays; got != 30 {
		t.Fatalf("with the first flag again: %d days", got)
	}
	// A flag that goes is a change, too.
	mustChange(t, live, `{"storage":{"retention_days":7}}`)
	if live, overruled = start(t, in(dir, nil)); live.Config().Storage.RetentionDays != 0 || len(overruled) != 1 || overruled[0].Given != "" {
		t.Fatalf("without the flag: %d days, %v", live.Config().Storage.RetentionDays, overruled)
	}
	// Setting back to what is given leaves nothing to keep.
	mustChange(t, live, `{"processing":{"worker_threads":0}}`)
	if got := live.Changed(); len(got) != 0 {
		t.Errorf("still changed: %v", got)
	}
}

// TestRefusedChangesChangeNothing: neither what is in force nor the file.
func TestRefusedChangesChangeNothing(t *testing.T) {
	dir := t.TempDir()
	live, _ := start(t, in(dir, nil))
	applied := 0
	if err := live.Begin(func(Config, Config) { applied++ }); err != nil {
		t.Fatal(err)
	}
	mustChange(t, live, `{"log":{"level":"warn"}}`)
	path := filepath.Join(dir, changesName)
	file, err := os.ReadFile(path)
	if err != nil || applied != 1 {
		t.Fatal(err, applied)
	}
	before := live.Config()
	refused := errors.New("refused")
	for name, try := range map[string]func() error{
		"an unknown key behind a good one": func() error {
			_, err := live.Change([]byte(`{"storage":{"retention_days":5},"procesing":{}}`), nil)
			return err
		},
		"a bad value behind a good one": func() error {
			_, err := live.Change([]byte(`{"storage":{"retention_days":5},"processing":{"buffer_size":0}}`), nil)
			return err
		},
		"a fixed key behind a good one": func() error {
			_, err := live.Change([]byte(`{"storage":{"retention_days":5},"listen":[]}`), nil)
			return err
		},
		"values that don't fit together": func() error {
			_, err := live.Change([]byte(`{"storage":{"retention_days":5,"retention_5m":"2d"}}`), nil)
			return err
		},
		"the check says no": func() error {
			_, err := live.Change([]byte(`{"storage":{"retention_days":5}}`), func(Config, Config) error { return refused })
			return err
		},
	} {
		if err := try(); err == nil {
			t.Errorf("%s: no error", name)
		}
		now, err := os.ReadFile(path)
		if diff := cmp.Diff(before, live.Config()); diff != "" || string(now) != string(file) || applied != 1 || err != nil {
			t.Errorf("%s: something changed, %v:\n%s\n%s", name, err, diff, now)
		}
	}
	// What can't be kept isn't put in force.
	if err := os.Mkdir(path+".new", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := live.Change([]byte(`{"storage":{"retention_days":5}}`), nil); err == nil || live.Config().Storage.RetentionDays != 0 || applied != 1 {
		t.Errorf("a file that can't be written: %v, %d days", err, live.Config().Storage.RetentionDays)
	}
	if err := os.Remove(path + ".new"); err != nil {
		t.Fatal(err)
	}
	if live, _ = start(t, in(dir, nil)); live.Config().Log.Level != "warn" || live.Config().Storage.RetentionDays != 0 {
		t.Errorf("after a restart: %+v", live.Config())
	}
}

func TestRestartRequired(t *testing.T) {
	dir := t.TempDir()
	live, _ := start(t, in(dir, nil))
	if got := mustChange(t, live, `{"wal":{"sync":"off"},"log":{"level":"warn"}}`).RestartRequired; !slices.Equal(got, []string{"wal.sync"}) {
		t.Errorf("restart required for %v", got)
	}
	if got := mustChange(t, live, `{"self_metrics":false}`).RestartRequired; !slices.Equal(got, []string{"self_metrics", "wal.sync"}) {
		t.Errorf("restart required for %v", got)
	}
	if got := mustChange(t, live, `{"wal":{"sync":"always"},"self_metrics":true}`).RestartRequired; len(got) != 0 {
		t.Errorf("set back, a restart is required for %v", got)
	}
	mustChange(t, live, `{"wal":{"sync":"off"}}`)
	live, _ = start(t, in(dir, nil))
	if got := mustChange(t, live, `{}`); len(got.RestartRequired) != 0 || len(got.Changed) != 0 || live.Config().WAL.Sync != SyncOff {
		t.Errorf("after the restart: %+v", got)
	}
}

// TestDamagedChanges: each state of the file that no write of ours leaves stops the start and names the file.
func TestDamagedChanges(t *testing.T) {
	dir := t.TempDir()
	live, _ := start(t, in(dir, nil))
	mustChange(t, live, `{"storage":{"retention_days":60}}`)
	path := filepath.Join(dir, changesName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":        "",
		"cut short":    string(good[:len(good)/2]),
		"a bit wrong":  strings.Replace(string(good), "60", "20", 1),
		"no changes":   `{"crc32c":"00000000"}`,
		"another form": `[]`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenLive(in(dir, nil)); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
	// White space is no damage, and what a crash leaves of the next file is no matter.
	spaced := strings.ReplaceAll(string(good), "\n", "\n\n")
	if err := errors.Join(os.WriteFile(path, []byte(spaced), 0o600), os.WriteFile(path+".new", []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if live, _ = start(t, in(dir, nil)); live.Config().Storage.RetentionDays != 60 {
		t.Errorf("%d days", live.Config().Storage.RetentionDays)
	}
}

func TestChangeThatNoLongerFits(t *testing.T) {
	dir := t.TempDir()
	live, _ := start(t, in(dir, nil))
	mustChange(t, live, `{"storage":{"retention_days":60}}`)
	_, _, err := OpenLive(in(dir, func(c *Config) {
		c.Storage.RetentionDays, c.Storage.Retention5m = 0, 0
		c.Storage.Retention5m = 10 * day
	}))
	if err == nil || !strings.Contains(err.Error(), "storage.retention_5m") || !strings.Contains(err.Error(), changesName) {
		t.Errorf("error %v, want one with the setting and the file", err)
	}
}

// TestChangesAreSerialised: of many at a time none is lost, in force and in the file.
func TestChangesAreSerialised(t *testing.T) {
	dir := t.TempDir()
	live, _ := start(t, in(dir, nil))
	last := Config{}
	if err := live.Begin(func(before, after Config) {
		if diff := cmp.Diff(before, last); last.DataDir != "" && diff != "" {
			t.Errorf("a change was lost:\n%s", diff)
		}
		last = after
	}); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for i, key := range []string{`"storage":{"retention_days":%d}`, `"storage":{"batch_size":%d}`, `"storage":{"max_series":%d}`,
		`"processing":{"buffer_size":%d}`, `"processing":{"worker_threads":%d}`, `"alerting":{"thresholds":{"queue_size":%d}}`} {
		running.Go(func() {
			for n := range 5 {
				if _, err := live.Change(fmt.Appendf(nil, "{"+key+"}", 100+10*i+n), nil); err != nil {
					t.Error(err)
				}
				live.Config()
			}
		})
	}
	running.Wait()
	again, _ := start(t, in(dir, nil))
	for _, c := range []Config{live.Config(), again.Config()} {
		got := []int{c.Storage.RetentionDays, c.Storage.BatchSize, c.Storage.MaxSeries, c.Processing.BufferSize, c.Processing.WorkerThreads, int(*c.Alerting.Thresholds.QueueSize)}
		if diff := cmp.Diff([]int{104, 114, 124, 134, 144, 154}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// TestChangedWhileStarting: what the process before keeps at its very end isn't lost to one that has read already.
func TestChangedWhileStarting(t *testing.T) {
	given := in(t.TempDir(), nil)
	before, _ := start(t, given)
	mustChange(t, before, `{"storage":{"retention_days":5}}`)
	next, _, err := OpenLive(given)
	if err != nil {
		t.Fatal(err)
	}
	mustChange(t, before, `{"storage":{"retention_days":60}}`)
	if err := next.Begin(nil); err == nil || !strings.Contains(err.Error(), "start again") {
		t.Errorf("it goes on with %d days: %v", next.Config().Storage.RetentionDays, err)
	}
	if next, _ = start(t, given); next.Config().Storage.RetentionDays != 60 {
		t.Errorf("started again, there are %d days", next.Config().Storage.RetentionDays)
	}
}
