package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flopynet/collector/model"
)

func mustOpen(t *testing.T, opts Options) *DB {
	t.Helper()
	if opts.MinFreeBytes == 0 {
		opts.MinFreeBytes = -1
	}
	db, err := Open("data", opts)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// put writes one sample.
func put(t *testing.T, db *DB, name, host string, at int64, value float64) {
	t.Helper()
	if err := tryPut(db, name, host, at, value); err != nil {
		t.Fatal(err)
	}
}

func tryPut(db *DB, name, host string, at int64, value float64) error {
	id, err := db.Resolve(name, model.Tags{{Key: "host", Value: host}})
	if err != nil {
		return err
	}
	var batch Batch
	batch.Add(id, at, value)
	return db.Write(&batch)
}

// dump returns all samples of a metric as "host@time=value".
func dump(t *testing.T, db *DB, name string) string {
	t.Helper()
	result, err := db.Samples(context.Background(), SamplesRequest{
		Selection: Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, To: model.MaxTime + 1},
		Limit:     1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, row := range result.Rows {
		out = append(out, fmt.Sprintf("%s@%d=%v", result.Series[row.Series].Tags.Get("host"), row.Time, row.Value))
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, db *DB, name, want string) {
	t.Helper()
	if got := dump(t, db, name); got != want {
		t.Fatalf("samples of %s are\n%s\nwant\n%s", name, got, want)
	}
}

// damageLog flips a bit of the frame that holds text.
func damageLog(t *testing.T, fs vfs.FS, text string) {
	t.Helper()
	names, err := fs.List("data/wal")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := fs.OpenReadWrite("data/wal/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, info.Size())
		if _, err := file.ReadAt(content, 0); err != nil {
			t.Fatal(err)
		}
		if at := strings.Index(string(content), text); at >= 0 {
			if _, err := file.WriteAt([]byte{content[at] ^ 1}, int64(at)); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no log file holds %q", text)
}

// TestDamagedDefinition loses a frame with the definition of a series. Its samples can't be saved; those
// of all others are there, and its id does not come to mean another series.
func TestDamagedDefinition(t *testing.T) {
	fs := newCrashableMem()
	db := mustOpen(t, Options{FS: fs})
	put(t, db, "m", "first", 1, 1)
	put(t, db, "m", "victim", 2, 2)
	put(t, db, "m", "third", 3, 3)
	put(t, db, "m", "victim", 4, 4)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	damageLog(t, crashed, "victim")
	for range 2 {
		db = mustOpen(t, Options{FS: crashed})
		expect(t, db, "m", "first@1=1 third@3=3")
		crashed = crashed.CrashClone(vfs.CrashCloneCfg{})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db = mustOpen(t, Options{FS: crashed})
	put(t, db, "m", "fourth", 5, 5)
	put(t, db, "m", "victim", 6, 6)
	expect(t, db, "m", "first@1=1 third@3=3 fourth@5=5 victim@6=6")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second Open returns %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tryPut(db, "m", "a", 1, 1); !errors.Is(err, ErrClosed) {
		t.Fatalf("a write after Close returns %v", err)
	}
	db, err = Open(dir, Options{})
	if err != nil {
		t.Fatalf("open after close: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownVersionIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpen(t, Options{FS: fs})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := fs.Create("data/VERSION", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("collector 9\n")); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("data", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), `"collector 9"`) {
		t.Fatalf("opening an unknown version returns %v", err)
	}
}

// spaceFS says how much of the disk is free.
type spaceFS struct {
	vfs.FS
	available *uint64
}

func (f spaceFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: *f.available, TotalBytes: 1 << 40}, nil
}

func TestNearlyFullDiskRefusesWrites(t *testing.T) {
	available := uint64(1 << 30)
	db := mustOpen(t, Options{FS: spaceFS{vfs.NewMem(), &available}, MinFreeBytes: 1 << 20, Now: func() time.Time { return time.Unix(0, 0) }})
	put(t, db, "m", "a", 1, 1)
	available = 1000
	db.checkSpace()
	if err := tryPut(db, "m", "a", 2, 2); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("a write on a full disk returns %v", err)
	}
	expect(t, db, "m", "a@1=1")
	available = 1 << 30
	db.checkSpace()
	put(t, db, "m", "a", 3, 3)
	expect(t, db, "m", "a@1=1 a@3=3")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFullInTheLog runs out of space in the middle of a write: the ballast goes, and after a restart
// with room everything acknowledged is there.
func TestDiskFullInTheLog(t *testing.T) {
	mem, full := newCrashableMem(), false
	available := uint64(1 << 30)
	fs := errorfs.Wrap(spaceFS{mem, &available}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full && op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, "wal/") {
			return syscall.ENOSPC
		}
		return nil
	}))
	db := mustOpen(t, Options{FS: spaceFS{fs, &available}, MinFreeBytes: 1 << 20})
	put(t, db, "m", "a", 1, 1)
	if _, err := mem.Stat("data/ballast"); err != nil {
		t.Fatalf("there is no ballast: %v", err)
	}
	full = true
	if err := tryPut(db, "m", "a", 2, 2); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a write that doesn't fit returns %v", err)
	}
	if _, err := mem.Stat("data/ballast"); err == nil {
		t.Fatal("the ballast is still there")
	}
	full = false
	if err := tryPut(db, "m", "a", 3, 3); !errors.Is(err, ErrFailed) {
		t.Fatalf("a write after the failure returns %v", err)
	}
	_ = db.Close() // reports the failure once more
	db = mustOpen(t, Options{FS: mem})
	expect(t, db, "m", "a@1=1")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRetentionRefusesOldSamples(t *testing.T) {
	now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	db := mustOpen(t, Options{FS: vfs.NewMem(), Retention: RetentionPolicy{Default: Retention{Raw: 24 * time.Hour}}, Now: func() time.Time { return now }})
	class := db.RetentionClassOf("m", "s")
	for _, row := range []struct {
		at   time.Time
		want string
	}{
		{now, ""},
		{now.Add(-24 * time.Hour), ""},
		{now.Add(-24*time.Hour - 1), "is older than the retention of 24h0m0s"},
		{time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), "is before 1970-01-01"},
		{now.AddDate(200, 0, 0), ""},
	} {
		err := db.CheckTime(db.RetentionClassOf("m", "s"), row.at.UnixNano())
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("CheckTime(%s) = %v, want %q", row.at, err, row.want)
		}
	}
	if err := db.CheckTime(class, math.MaxInt64); err == nil {
		t.Error("the year 2262 is over and accepted")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnitsSurvive follows a unit through the log, the catalogue and a change after the flush.
func TestUnitsSurvive(t *testing.T) {
	fs := newCrashableMem()
	db := mustOpen(t, Options{FS: fs})
	write := func(unit string, at int64) {
		id, err := db.Resolve("m", model.Tags{{Key: "host", Value: "a"}})
		if err != nil {
			t.Fatal(err)
		}
		var batch Batch
		batch.Add(id, at, 1)
		if unit != "" {
			batch.SetUnit(id, unit)
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func(crash bool) {
		if crash {
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = mustOpen(t, Options{FS: fs, MinChunkSamples: 1})
	}
	check := func(want string) {
		t.Helper()
		series, err := db.Select(context.Background(), Selection{
			Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, To: model.MaxTime})
		if err != nil || len(series) != 1 || series[0].Unit != want {
			t.Fatalf("series %+v, %v; want unit %q", series, err, want)
		}
	}
	write("percent", 1)
	check("percent")
	reopen(true)
	check("percent")
	reopen(false)
	reopen(false)
	check("percent")
	write("MB", 2)
	reopen(true)
	check("MB")
	write("", 3)
	reopen(false)
	check("MB")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
