package engine

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballastBytes is the size of a file that is given up when the disk is full after all, so that the next
// start has room to recover and flush.
const ballastBytes = 16 << 20

// checkSpace refuses writes and flushes while the disk is nearly full.
func (db *DB) checkSpace() {
	available, known := db.availableBytes()
	needed := db.tuned.Load().MinFreeBytes
	full := needed >= 0 && known && available < uint64(needed)
	if db.diskFull.Swap(full) != full {
		message := "there is room on the disk again; writes are accepted"
		if full {
			message = "the disk is nearly full; writes are refused"
		}
		db.opts.Logger.Warn(message, "available_bytes", available, "needed_bytes", needed)
	}
}

// availableBytes returns the free space of the disk. File systems in memory can't tell.
func (db *DB) availableBytes() (bytes uint64, known bool) {
	usage, err := db.opts.FS.GetDiskUsage(db.dir)
	return usage.AvailBytes, err == nil
}

// CheckRoom returns ErrDiskFull if a file of so many bytes would leave less than MinFreeBytes of the disk
// free.
func (db *DB) CheckRoom(bytes int64) error {
	available, known := db.availableBytes()
	needed := db.tuned.Load().MinFreeBytes
	if needed >= 0 && known && int64(min(available, 1<<62))-bytes < needed {
		return ErrDiskFull
	}
	return nil
}

// Dir returns the data directory.
func (db *DB) Dir() string { return db.dir }

func (db *DB) ballastPath() string { return db.opts.FS.PathJoin(db.dir, "ballast") }

// makeBallast writes the ballast if it isn't there. Without room for it, and in memory, there is none.
func (db *DB) makeBallast() error {
	if _, onDisk := db.availableBytes(); !onDisk || db.diskFull.Load() {
		return nil
	}
	if info, err := db.opts.FS.Stat(db.ballastPath()); err == nil && info.Size() == ballastBytes {
		return nil
	}
	file, err := db.opts.FS.Create(db.ballastPath(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("make the ballast: %w", err)
	}
	block := make([]byte, 1<<20) // written, not only reserved: some file systems give reserved room away
	for range ballastBytes / len(block) {
		if _, err = file.Write(block); err != nil {
			break
		}
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("make the ballast: %w", errors.Join(err, db.opts.FS.Remove(db.ballastPath())))
	}
	return nil
}

// dropBallast gives the ballast up if err says that the disk is full.
func (db *DB) dropBallast(err error) {
	if !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		return
	}
	if err := db.opts.FS.Remove(db.ballastPath()); err != nil {
		db.opts.Logger.Error("the disk is full and the ballast can't be removed", "err", err)
		return
	}
	db.opts.Logger.Error("the disk is full; the ballast was removed to make room for a restart", "bytes", ballastBytes)
}

// storeFailed ends the process after the chunk store could not write. Pebble tells why as text only.
func (db *DB) storeFailed(message string) {
	err := errors.New(message)
	db.dropBallast(err)
	db.die("the chunk store can't go on; free disk space or repair the disk, then start again", err)
}
