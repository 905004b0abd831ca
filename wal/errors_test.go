package wal

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestEveryWriteCanFail lets one write, fsync or other change of the file system fail, each in turn, and
// checks that the log has then failed for good and that what was synced before is there after a restart.
func TestEveryWriteCanFail(t *testing.T) {
	cause := &os.PathError{Op: "write", Path: "somewhere", Err: syscall.ENOSPC}
	for failing := 1; ; failing++ {
		fs := newTestFS(t)
		count := 0
		injected := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpRemove {
				return nil
			}
			count++
			if count == failing {
				return cause
			}
			if count > failing {
				t.Errorf("operation %d failed and was followed by a %v of %s", failing, op.Kind, op.Path)
			}
			return nil
		}))
		synced, err := writeUntilError(t, injected)
		if count < failing {
			if err != nil || failing < 20 {
				t.Fatalf("only %d operations, error %v", count, err)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("operation %d: the error %v is not that of the disk", failing, err)
		}
		got := replayAfter(t, fs.CrashClone(vfs.CrashCloneCfg{}), 0)
		if len(got.result.Damage) > 0 || got.result.LastLSN < synced {
			t.Errorf("operation %d: LSN %d was synced; found %+v", failing, synced, got.result)
		}
	}
}

// writeUntilError writes a log of a few segments. It returns the last LSN that was synced and the first error.
func writeUntilError(t *testing.T, fs vfs.FS) (synced LSN, err error) {
	log, err := Open(Options{FS: fs, Dir: testDir})
	if err != nil {
		return 0, err
	}
	if _, err := log.Replay(0, func(Frame) error { return nil }); err != nil {
		return 0, err
	}
	for lsn := LSN(1); lsn <= 9 && err == nil; lsn++ {
		if err = log.Append(lsn, lsn, testPayload(lsn)); err == nil {
			if err = log.Sync(); err == nil {
				synced = lsn
			}
		}
		if lsn%3 == 0 {
			log.Rotate()
		}
	}
	if err != nil {
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%v does not say that the log failed", err)
		}
		if again := log.Append(synced+1, synced+1, nil); !errors.Is(again, err) {
			t.Errorf("the next append returned %v, not %v", again, err)
		}
		if again := log.Sync(); !errors.Is(again, err) {
			t.Errorf("the next sync returned %v, not %v", again, err)
		}
	}
	if closeErr := log.Close(); !errors.Is(closeErr, err) {
		t.Errorf("close returned %v after %v", closeErr, err)
	}
	if err := log.Append(synced+1, synced+1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("an append after close returned %v", err)
	}
	if err := log.Close(); err != nil {
		t.Errorf("a second close returned %v", err)
	}
	return synced, err
}

// TestEveryReadCanFail checks that an unreadable file is never taken for a torn one.
func TestEveryReadCanFail(t *testing.T) {
	cause := errors.New("input/output error")
	b := newBuilder(t)
	threeSegments(b)
	b.cut(6, 30)
	before := b.fs.String()
	for failing := 1; ; failing++ {
		count := 0
		fs := errorfs.Wrap(b.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				return nil
			}
			if count++; count == failing {
				return cause
			}
			return nil
		}))
		log, err := Open(Options{FS: fs, Dir: testDir})
		if err == nil {
			_, err = log.Replay(0, func(Frame) error { return nil })
			if count < failing {
				break
			}
			// But for the files that are opened to be synced, it can be tried again.
			result, again := log.Replay(0, func(Frame) error { return nil })
			if failed := errors.Is(err, ErrFailed); failed != (again != nil) || !failed && result.Frames != 5 {
				t.Errorf("read %d failed; a second replay gave %+v, %v", failing, result, again)
			}
		}
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "wal") {
			t.Errorf("read %d: error %v", failing, err)
		}
		if b.fs.String() != before {
			t.Fatalf("read %d: the files changed", failing)
		}
	}
}

// TestRemovalFails checks that Truncate can be called again.
func TestRemovalFails(t *testing.T) {
	b := newBuilder(t)
	threeSegments(b)
	fail := true
	fs := errorfs.Wrap(b.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if fail && op.Kind == errorfs.OpRemove && strings.HasSuffix(op.Path, segmentName(2)) {
			return errorfs.ErrInjected
		}
		return nil
	}))
	log := replayAfter(t, fs, 4).log
	if err := log.Truncate(4); !errors.Is(err, errorfs.ErrInjected) || log.SegmentCount() != 2 {
		t.Errorf("error %v, %d segments", err, log.SegmentCount())
	}
	fail = false
	if err := log.Truncate(4); err != nil || log.SegmentCount() != 1 {
		t.Errorf("then error %v, %d segments", err, log.SegmentCount())
	}
}

// TestDiskFullInTheMiddleOfAWrite checks that half a frame is cut.
func TestDiskFullInTheMiddleOfAWrite(t *testing.T) {
	mem := newTestFS(t)
	fs := &smallDisk{FS: mem, room: 150}
	log := replayAfter(t, fs, 0).log
	var err error
	for lsn := LSN(1); err == nil; lsn++ {
		if err = log.Append(lsn, lsn, []byte("0123456789")); err == nil {
			err = log.Sync()
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrFailed) {
		t.Fatalf("error %v", err)
	}
	got := replayAfter(t, mem, 0).result
	if got.LastLSN != 2 || got.TornBytes != 2 || len(got.Damage) != 0 {
		t.Errorf("replay found %+v", got)
	}
}

// smallDisk has room for so many bytes and writes as much of a slice as fits.
type smallDisk struct {
	vfs.FS
	room int
}

type smallDiskFile struct {
	vfs.File
	disk *smallDisk
}

func (d *smallDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := d.FS.Create(name, category)
	return &smallDiskFile{file, d}, err
}

func (f *smallDiskFile) Write(p []byte) (int, error) {
	n := min(len(p), f.disk.room)
	f.disk.room -= n
	if _, err := f.File.Write(p[:n]); err != nil || n == len(p) {
		return n, err
	}
	return n, syscall.ENOSPC
}

func TestForeignSegments(t *testing.T) {
	resum := func(change func([]byte)) func([]byte) []byte {
		return func(data []byte) []byte {
			change(data)
			return append(sumHeader(data[:segmentHeader-4]), data[segmentHeader:]...)
		}
	}
	tests := []struct {
		name, reason string
		change       func([]byte) []byte
	}{
		{"a later version", "format version is 2", resum(func(data []byte) { data[11] = 2 })},
		{"another kind of file", `begins with "\xffOTHERXX"`, resum(func(data []byte) { copy(data, "\xffOTHERXX") })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(t)
			threeSegments(b)
			b.edit(2, test.change)
			log, err := Open(Options{FS: b.fs, Dir: testDir})
			if err != nil {
				t.Fatal(err)
			}
			_, err = log.Replay(0, func(Frame) error { return nil })
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), test.reason) || !strings.Contains(err.Error(), segmentName(2)) {
				t.Errorf("error %v", err)
			}
		})
	}
}
