package engine

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/index"
)

// chunkStoreFormat is fixed here, since Pebble's default is its oldest.
const chunkStoreFormat = pebble.FormatTableFormatV6

// memTableBytes is the size of the chunk store's write buffer. There are two at a time, and Pebble counts them
// against its cache.
const memTableBytes = 32 << 20

// pebbleOptions configures the chunk store.
func (db *DB) pebbleOptions(cache *pebble.Cache) *pebble.Options {
	opts := db.opts
	options := &pebble.Options{
		FS:                 storeFS{opts.FS},
		Cache:              cache,
		FormatMajorVersion: chunkStoreFormat,
		Merger:             index.NewMerger(),
		MemTableSize:       memTableBytes,
		Logger:             pebbleLogger{opts.Logger, db.storeFailed},

		CompactionConcurrencyRange: db.compactions,
	}
	options.ApplyCompressionSettings(db.tableCompression)
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return options
}

// pebbleLogger passes on what Pebble has to say; its chatter about compactions is for debugging.
type pebbleLogger struct {
	log  *slog.Logger
	fail func(message string) // ends the process
}

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("chunk store: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("chunk store: " + fmt.Sprintf(format, args...))
}

// Fatalf is called when Pebble can't go on after a failed write of its own log or MANIFEST, and must not
// return. What was acknowledged is in our log, so ending the process loses nothing, and going on might.
func (l pebbleLogger) Fatalf(format string, args ...any) { l.fail(fmt.Sprintf(format, args...)) }

// storeFS is the file system as Pebble should see it.
type storeFS struct{ vfs.FS }

// Create makes what a Pebble marker names durable before the marker. Pebble creates a MANIFEST and then, before
// the next fsync of the folder, the marker that names it; after a crash a file system may know the second name
// and not the first.
func (f storeFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "marker.") {
		if err := syncDir(f.FS, f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return f.FS.Create(name, category)
}

// Link copies where there are no hard links. Pebble does so as well, but not on EPERM, by which Linux says that
// a file system has none.
func (f storeFS) Link(from, to string) error {
	_, err := linkOrCopy(f.FS, from, to)
	return err
}

// Unwrap is part of vfs.FS.
func (f storeFS) Unwrap() vfs.FS { return f.FS }
