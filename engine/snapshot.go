package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/wal"
)

// SnapshotInfo describes a snapshot as it was when it was made.
type SnapshotInfo struct {
	Name    string
	Path    string // in the data directory, with slashes
	Created time.Time
	LSN     wal.LSN // of the last write or delete that is in it
	Bytes   int64   // of its files; those that are hard links take no room while the data directory has them too
}

const (
	snapshotsDir    = "snapshots"
	maxSnapshotName = 64

	// Suffixes of what is being made or removed. They stand behind ".<name>", which is no snapshot's name.
	unfinishedSuffix = ".new"
	removedSuffix    = ".old"
)

// CheckSnapshotName returns ErrSnapshotName unless a snapshot may have the name.
func CheckSnapshotName(name string) error {
	if name == "" || len(name) > maxSnapshotName || name[0] == '.' {
		return ErrSnapshotName
	}
	for _, b := range []byte(name) {
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		if !letter && (b < '0' || b > '9') && b != '.' && b != '_' && b != '-' {
			return ErrSnapshotName
		}
	}
	return nil
}

// Snapshot makes a consistent copy of the data directory under snapshots/<name>, which can be opened as a data
// directory, and returns when it is durable. All that was acknowledged before the call is in it, and of what was
// written meanwhile as much as came before one position of the log. Files are linked where the file system can do
// that, else copied. Writes go on; flushes, and what maintenance stores, wait until the data is in.
//
// Errors are ErrSnapshotName, ErrSnapshotExists, ErrDiskFull, those of Write, ctx's, and those of the disk. There
// is no snapshot then.
func (db *DB) Snapshot(ctx context.Context, name string) (SnapshotInfo, error) {
	if err := CheckSnapshotName(name); err != nil {
		return SnapshotInfo{}, err
	}
	if err := db.enter(); err != nil {
		return SnapshotInfo{}, err
	}
	defer db.leave()
	db.snapshotMu.Lock()
	defer db.snapshotMu.Unlock()
	if _, err := db.opts.FS.Stat(db.snapshotPath(name)); err == nil {
		return SnapshotInfo{}, ErrSnapshotExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return SnapshotInfo{}, fmt.Errorf("look for the snapshot %s: %w", name, err)
	}
	if db.diskFull.Load() {
		return SnapshotInfo{}, ErrDiskFull
	}
	begin := db.opts.Now()
	s := snapshotter{ctx: ctx, db: db, fs: db.opts.FS, dir: db.snapshotPath("." + name + unfinishedSuffix),
		info: SnapshotInfo{Name: name, Path: snapshotsDir + "/" + name, Created: begin.UTC()}}
	err := s.make()
	if err == nil {
		err = s.publish()
	}
	if err != nil {
		err = fmt.Errorf("snapshot %s: %w", name, errors.Join(err, s.fs.RemoveAll(s.dir)))
		if errors.Is(err, syscall.ENOSPC) && !errors.Is(err, ErrDiskFull) {
			err = fmt.Errorf("%w: %w", ErrDiskFull, err)
		}
		return SnapshotInfo{}, err
	}
	db.opts.Logger.Info("a snapshot was made", "name", name, "lsn", uint64(s.info.LSN), "bytes", s.info.Bytes, "took", db.opts.Now().Sub(begin))
	return s.info, nil
}

// Snapshots returns the snapshots there are, by name. A damaged description is ErrCorrupt. Folders that Snapshot
// didn't make are left out.
func (db *DB) Snapshots() ([]SnapshotInfo, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	names, err := db.snapshotNames()
	if err != nil {
		return nil, err
	}
	var infos []SnapshotInfo
	for _, name := range names {
		if CheckSnapshotName(name) != nil {
			continue
		}
		info, err := readSnapshotInfo(db.opts.FS, db.snapshotPath(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", name, err)
		}
		info.Name, info.Path = name, snapshotsDir+"/"+name // it may have been renamed by hand
		infos = append(infos, info)
	}
	return infos, nil
}

// DeleteSnapshot removes a snapshot and returns when that is durable. Errors are ErrNoSnapshot, ErrLocked while
// another collector has it open, and those of the disk.
func (db *DB) DeleteSnapshot(name string) error {
	if CheckSnapshotName(name) != nil {
		return ErrNoSnapshot
	}
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	db.snapshotMu.Lock()
	defer db.snapshotMu.Unlock()
	fsys, path := db.opts.FS, db.snapshotPath(name)
	if _, err := fsys.Stat(fsys.PathJoin(path, descriptionName)); errors.Is(err, fs.ErrNotExist) {
		return ErrNoSnapshot
	} else if err != nil {
		return fmt.Errorf("look for the snapshot %s: %w", name, err)
	}
	lock := fsys.PathJoin(path, "LOCK")
	if _, err := fsys.Stat(lock); err == nil { // it was opened once
		held, err := fsys.Lock(lock)
		if err != nil {
			return lockError(path, err)
		}
		defer func() { _ = held.Close() }() // the file is gone then
	}
	// Under its name there is all of it or nothing, so that name goes first.
	removed := db.snapshotPath("." + name + removedSuffix)
	err := fsys.Rename(path, removed)
	if err == nil {
		err = syncDir(fsys, db.snapshotPath(""))
	}
	if err == nil {
		err = fsys.RemoveAll(removed)
	}
	if err != nil {
		return fmt.Errorf("delete the snapshot %s: %w", name, err)
	}
	return nil
}

// snapshotPath returns the path of a snapshot, or with "" of the folder of all.
func (db *DB) snapshotPath(name string) string {
	return db.opts.FS.PathJoin(db.dir, snapshotsDir, name)
}

// snapshotNames returns what is in the folder of snapshots, in order.
func (db *DB) snapshotNames() ([]string, error) {
	names, err := db.opts.FS.List(db.snapshotPath(""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the snapshots: %w", err)
	}
	for i := range names {
		names[i] = db.opts.FS.PathBase(names[i])
	}
	slices.Sort(names)
	return names, nil
}

// removeUnfinishedSnapshots removes what an earlier process was making or removing when it ended.
func (db *DB) removeUnfinishedSnapshots() error {
	names, err := db.snapshotNames()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if isUnfinishedSnapshot(name) {
			errs = append(errs, db.opts.FS.RemoveAll(db.snapshotPath(name)))
		}
	}
	return errors.Join(errs...)
}

// linkOrCopy gives a file, which is durable, a second name, or copies it durably where that can't be.
func linkOrCopy(fsys vfs.FS, from, to string) (linked bool, err error) {
	if err = fsys.Link(from, to); err == nil {
		return true, nil
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return false, vfs.Copy(fsys, from, to)
}
