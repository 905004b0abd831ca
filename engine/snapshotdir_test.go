package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/model"
)

// writeOne writes a sample.
func writeOne(t *testing.T, db *DB, at int64) {
	t.Helper()
	id, err := db.Resolve("cpu", model.Tags{{Key: model.SourceKey, Value: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	batch.Add(id, at, float64(at%10))
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
}

func countSamples(t *testing.T, db *DB) int {
	t.Helper()
	result, err := db.Samples(context.Background(), SamplesRequest{Selection: nameSelection("cpu"), Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(result.Rows)
}

func openAt(t *testing.T, dir string, opts Options) *DB {
	t.Helper()
	if opts.MinFreeBytes == 0 {
		opts.MinFreeBytes = -1
	}
	opts.MaintainInterval = -1
	db, err := Open(dir, opts)
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

func TestSnapshotNames(t *testing.T) {
	db := openAt(t, "data", Options{FS: vfs.NewMem()})
	for _, name := range []string{"", ".", "..", ".x", "a/b", "../x", `a\b`, "a b", "a\x00", "ä", strings.Repeat("a", 65), "/etc", "a\n"} {
		if _, err := db.Snapshot(context.Background(), name); !errors.Is(err, ErrSnapshotName) {
			t.Errorf("the name %q: %v", name, err)
		}
		if err := db.DeleteSnapshot(name); !errors.Is(err, ErrNoSnapshot) {
			t.Errorf("delete the name %q: %v", name, err)
		}
	}
	for _, name := range []string{"x", "A-1_b.c", "-", "_", "0", strings.Repeat("z", 64)} {
		mustSnapshot(t, db, name)
		if _, err := db.Snapshot(context.Background(), name); !errors.Is(err, ErrSnapshotExists) {
			t.Errorf("%q again: %v", name, err)
		}
	}
}

// TestSnapshotList makes, lists and deletes snapshots, over a restart, beside folders that are none.
func TestSnapshotList(t *testing.T) {
	fsys := vfs.NewMem()
	now := time.Date(2024, 1, 15, 10, 0, 0, 123456789, time.FixedZone("", 3600))
	opts := Options{FS: fsys, MinFreeBytes: -1, MaintainInterval: -1, Now: func() time.Time { return now }}
	db, err := Open("data", opts)
	if err != nil {
		t.Fatal(err)
	}
	if infos, err := db.Snapshots(); err != nil || len(infos) != 0 {
		t.Fatalf("%+v, %v", infos, err)
	}
	writeOne(t, db, worldStart+1)
	b := mustSnapshot(t, db, "b")
	writeOne(t, db, worldStart+2)
	a := mustSnapshot(t, db, "a")
	if b.LSN != 1 || a.LSN != 2 || a.Path != "snapshots/a" || !a.Created.Equal(now) || a.Created.Location() != time.UTC {
		t.Errorf("%+v and %+v", b, a)
	}
	for _, foreign := range []string{"data/snapshots/mine", "data/snapshots/.mine", "data/snapshots/.half.new", "data/snapshots/.half.old"} {
		if err := fsys.MkdirAll(foreign, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, "data", opts)
	infos, err := db.Snapshots()
	if diff := cmp.Diff([]SnapshotInfo{a, b}, infos); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	names, err := db.snapshotNames()
	if diff := cmp.Diff([]string{".mine", "a", "b", "mine"}, names); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if err := db.DeleteSnapshot("mine"); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("a folder that is no snapshot: %v", err)
	}
	if _, err := db.Snapshot(context.Background(), "mine"); !errors.Is(err, ErrSnapshotExists) {
		t.Errorf("over a folder that is no snapshot: %v", err)
	}
	copied, err := Open("data/snapshots/a", opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteSnapshot("a"); !errors.Is(err, ErrLocked) {
		t.Errorf("delete what is open: %v", err)
	}
	if n := countSamples(t, copied); n != 2 {
		t.Errorf("%d samples", n)
	}
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err = errors.Join(err, db.DeleteSnapshot("a"))
	}
	if !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("deleted twice: %v", err)
	}
	if infos, err := db.Snapshots(); err != nil || len(infos) != 1 || infos[0].Name != "b" {
		t.Errorf("%+v, %v", infos, err)
	}
}

// TestSnapshotOnDisk makes one on a real disk, where files are linked, and goes on with both stores.
func TestSnapshotOnDisk(t *testing.T) {
	dir := t.TempDir()
	db := openAt(t, dir, Options{MinChunkSamples: 1})
	if err := os.WriteFile(filepath.Join(dir, configName), []byte("settings"), 0o644); err != nil {
		t.Fatal(err)
	}
	writeOne(t, db, worldStart+1)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	writeOne(t, db, worldStart+2)
	made := mustSnapshot(t, db, "x")
	linked := 0
	for _, pattern := range []string{"VERSION", configName, "wal/*.wal", "chunks/*.sst"} {
		files, err := filepath.Glob(filepath.Join(dir, made.Path, pattern))
		if err != nil || len(files) == 0 && pattern != "chunks/*.sst" {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			name, err := filepath.Rel(filepath.Join(dir, made.Path), file)
			if err != nil {
				t.Fatal(err)
			}
			first, err := os.Stat(file)
			second, otherErr := os.Stat(filepath.Join(dir, name))
			if err = errors.Join(err, otherErr); err != nil {
				t.Fatal(err)
			}
			if os.SameFile(first, second) {
				linked++
			}
		}
	}
	if linked < 3 {
		t.Errorf("%d files are linked", linked)
	}
	if _, err := os.Stat(filepath.Join(dir, made.Path, "ballast")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast: %v", err)
	}
	copied := openAt(t, filepath.Join(dir, made.Path), Options{MinChunkSamples: 1})
	for i := range int64(5) {
		writeOne(t, db, worldStart+100+i)
		writeOne(t, copied, worldStart+200+i)
		writeOne(t, copied, worldStart+300+i)
		if err := errors.Join(db.Flush(), copied.Flush(), db.Maintain(context.Background()), copied.Maintain(context.Background())); err != nil {
			t.Fatal(err)
		}
	}
	if one, other := countSamples(t, db), countSamples(t, copied); one != 7 || other != 12 {
		t.Errorf("the store has %d samples, its copy %d", one, other)
	}
}

// TestSnapshotRoom makes snapshots where links are possible and where they are not, with much and with little room.
func TestSnapshotRoom(t *testing.T) {
	const most = 1 << 40
	for _, c := range []struct {
		links bool
		free  uint64
		full  bool
	}{
		{true, most, false}, {false, most, false},
		{true, 1<<30 - 1, true}, {false, 1<<30 - 1, true},
		{true, 1<<30 + 64<<10, false}, {false, 1<<30 + 64<<10, true},
	} {
		mem := vfs.NewMem()
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: most, TotalBytes: most})
		fsys := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpLink && !c.links {
				return &os.LinkError{Op: "link", Old: op.Path, Err: syscall.EPERM}
			}
			return nil
		}))
		db := openAt(t, "data", Options{FS: fsys, MinFreeBytes: 1 << 30, MinChunkSamples: 1, Uncompressed: true})
		for i := range int64(2000) {
			writeOne(t, db, worldStart+i)
			if i == 1000 {
				if err := db.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: c.free, TotalBytes: most})
		_, err := db.Snapshot(context.Background(), "x")
		if errors.Is(err, ErrDiskFull) != c.full || !c.full && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		names, err := db.snapshotNames()
		if want := !c.full; (len(names) == 1) != want || err != nil {
			t.Errorf("%+v: there are %q, %v", c, names, err)
		}
		if c.full {
			continue
		}
		copied := openAt(t, "data/snapshots/x", Options{FS: mem})
		if result, err := copied.Samples(context.Background(), SamplesRequest{Selection: nameSelection("cpu"), Limit: 5000}); err != nil || len(result.Rows) != 2000 {
			t.Errorf("%+v: %d samples, %v", c, len(result.Rows), err)
		}
	}
}

// TestWritesGoOnBesideASnapshot writes during each write operation of a snapshot, in its way: were the write to wait
// for the snapshot, neither would end. Meanwhile nothing is flushed or forgotten.
func TestWritesGoOnBesideASnapshot(t *testing.T) {
	var db *DB
	inside, operations, at := false, 0, worldStart
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !inside || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind != errorfs.OpLink && !strings.Contains(op.Path, snapshotsDir) {
			return nil
		}
		operations++
		if strings.Contains(op.Path, "chunks/") || strings.Contains(op.Path, "wal/") {
			if db.flush.mu.TryLock() {
				t.Errorf("%v: a flush could begin", op)
				db.flush.mu.Unlock()
			}
		}
		at++
		writeOne(t, db, at)
		return nil
	}))
	db = openAt(t, "data", Options{FS: fsys, MinChunkSamples: 1})
	for range 3 {
		at++
		writeOne(t, db, at)
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	before := countSamples(t, db)
	inside = true
	made := mustSnapshot(t, db, "x")
	inside = false
	if n := countSamples(t, db); n != before+operations || operations < 20 {
		t.Errorf("%d samples, want %d and those of %d operations", n, before, operations)
	}
	copied := openAt(t, "data/snapshots/x", Options{FS: fsys})
	if n := countSamples(t, copied); n != int(made.LSN) {
		t.Errorf("%d samples up to LSN %d", n, made.LSN)
	}
}

func TestSnapshotRefusals(t *testing.T) {
	db, err := Open("data", Options{FS: vfs.NewMem(), MinFreeBytes: -1, MaintainInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Snapshot(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if infos, err := db.Snapshots(); err != nil || len(infos) != 0 {
		t.Errorf("%+v, %v", infos, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, makeErr := db.Snapshot(context.Background(), "x")
	_, listErr := db.Snapshots()
	for _, err := range []error{makeErr, listErr, db.DeleteSnapshot("x")} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestSnapshotDescription(t *testing.T) {
	info := SnapshotInfo{Name: "before-upgrade", Created: time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC), LSN: 42, Bytes: 1234}
	text := []byte(`{"snapshot":{"name":"before-upgrade","created":"2024-01-15T10:00:00Z","lsn":42,"bytes":1234},"crc32c":"a077f352"}` + "\n")
	got, err := encodeSnapshotInfo(info)
	if diff := cmp.Diff(string(text), string(got)); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := decodeSnapshotInfo(text); err != nil || got != info {
		t.Errorf("%+v, %v", got, err)
	}
	for bit := range 8 * (len(text) - 1) {
		damaged := append([]byte(nil), text...)
		damaged[bit/8] ^= 1 << (bit % 8)
		if got, err := decodeSnapshotInfo(damaged); !errors.Is(err, ErrCorrupt) && got != info {
			t.Fatalf("with bit %d flipped it is decoded as %+v, %v", bit, got, err)
		}
	}
}

// TestDamagedSnapshotDescription can't be listed, but deleted.
func TestDamagedSnapshotDescription(t *testing.T) {
	fsys := vfs.NewMem()
	db := openAt(t, "data", Options{FS: fsys})
	mustSnapshot(t, db, "x")
	file, err := fsys.Create("data/snapshots/x/SNAPSHOT", vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = file.Write([]byte(`{"snapshot":{"name":"x"},"crc32c":"00000000"}`))
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Snapshots(); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "snapshot x") {
		t.Errorf("the list: %v", err)
	}
	if err := db.DeleteSnapshot("x"); err != nil {
		t.Error(err)
	}
}
