package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// configName is the file that keeps the settings that were changed through the API, see docs/format.md. It is
// never written to once it has its name.
const configName = "config.json"

// snapshotter makes one snapshot in a folder that is not a snapshot yet.
type snapshotter struct {
	ctx  context.Context
	db   *DB
	fs   vfs.FS
	dir  string
	info SnapshotInfo
}

// isUnfinishedSnapshot reports whether a name in the folder of snapshots is of one that is being made or removed.
func isUnfinishedSnapshot(name string) bool {
	inner, dotted := strings.CutPrefix(name, ".")
	made, making := strings.CutSuffix(inner, unfinishedSuffix)
	gone, removing := strings.CutSuffix(inner, removedSuffix)
	return dotted && (making && CheckSnapshotName(made) == nil || removing && CheckSnapshotName(gone) == nil)
}

// make fills the folder.
func (s *snapshotter) make() error {
	if err := s.fs.RemoveAll(s.dir); err != nil { // of an attempt that failed
		return err
	}
	if err := makeDir(s.fs, s.dir); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	linked, err := s.take("VERSION")
	if err != nil {
		return err
	}
	if err := s.db.CheckRoom(s.copiedBytes(linked)); err != nil {
		return err
	}
	if err := s.data(); err != nil {
		return err
	}
	if _, err := s.take(configName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.info.Bytes, err = folderBytes(s.fs, s.dir); err != nil {
		return fmt.Errorf("measure it: %w", err)
	}
	if err := writeSnapshotInfo(s.fs, s.dir, s.info); err != nil {
		return err
	}
	return syncDir(s.fs, s.dir)
}

// data brings in the chunk store and the log.
//
// Any state of the chunk store goes with a log that reaches from its checkpoint on to the last LSN that is in it,
// as after a crash, if nothing that the rest of the log builds on is missing from it. So the log is cut after the
// chunk store is copied: a flush writes there only what was in the log before. And flush.mu is held from before the
// copy until the log's segments have their second names: no flush drops segments, and nothing is forgotten in the
// chunk store that a write between copy and cut could make anew, such as a series or an event's ID.
func (s *snapshotter) data() error {
	s.db.flush.mu.Lock()
	defer s.db.flush.mu.Unlock()
	if err := s.checkpoint(); err != nil {
		return fmt.Errorf("copy the chunk store: %w", err)
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	var at cut
	barrier := commits.Get().(*commit)
	barrier.barrier = func(c cut) { at = c }
	if err := s.db.pipe.submit(barrier); err != nil {
		return err
	}
	s.info.LSN = at.lsn
	if err := s.fs.MkdirAll(s.fs.PathJoin(s.dir, "wal"), 0o755); err != nil {
		return err
	}
	for _, name := range s.db.log.Files(at.segment) {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if _, err := s.take(s.fs.PathJoin("wal", name)); err != nil {
			return err
		}
	}
	return syncDir(s.fs, s.fs.PathJoin(s.dir, "wal"))
}

// checkpoint copies the chunk store. Pebble panics where a folder can't be synced, which is no reason to end the
// process here: the chunk store is not touched.
func (s *snapshotter) checkpoint() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			var isError bool
			if err, isError = cause.(error); !isError {
				err = fmt.Errorf("%v", cause)
			}
		}
	}()
	return s.db.chunks.Checkpoint(s.fs.PathJoin(s.dir, "chunks"))
}

// take links or copies a file of the data directory.
func (s *snapshotter) take(name string) (linked bool, err error) {
	linked, err = linkOrCopy(s.fs, s.fs.PathJoin(s.db.dir, name), s.fs.PathJoin(s.dir, name))
	if err != nil {
		return linked, fmt.Errorf("copy %s: %w", name, err)
	}
	return linked, nil
}

// copiedBytes estimates the room that the snapshot takes at once.
func (s *snapshotter) copiedBytes(linked bool) int64 {
	metrics := s.db.chunks.Metrics()
	if linked {
		return int64(metrics.WAL.PhysicalSize) // Pebble's own log is the one large file that it never links
	}
	return int64(metrics.DiskSpaceUsage()) + s.db.log.Size()
}

// publish gives the snapshot its name, now that it is whole and durable.
func (s *snapshotter) publish() error {
	path := s.db.snapshotPath(s.info.Name)
	if err := s.fs.Rename(s.dir, path); err != nil {
		return err
	}
	if err := syncDir(s.fs, s.db.snapshotPath("")); err != nil {
		return errors.Join(err, s.fs.Rename(path, s.dir))
	}
	return nil
}

// folderBytes returns the size of all files in a folder.
func folderBytes(fsys vfs.FS, dir string) (int64, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return 0, err
	}
	bytes := int64(0)
	for _, name := range names {
		path := fsys.PathJoin(dir, fsys.PathBase(name))
		info, err := fsys.Stat(path)
		if err != nil {
			return 0, err
		}
		size := info.Size()
		if info.IsDir() {
			if size, err = folderBytes(fsys, path); err != nil {
				return 0, err
			}
		}
		bytes += size
	}
	return bytes, nil
}
