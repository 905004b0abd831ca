package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// A flush of many samples writes its chunks into tables of its own, one for each partition, and has the chunk store
// take them in whole. So they pass neither through its log nor through its memory, which they would fill twice over.
const (
	// tableSamples is how many samples make that worthwhile: some megabytes.
	tableSamples = 512 << 10

	// maxFlushTables bounds the tables that are written at a time. Chunks of further partitions, which only samples
	// from all over the place have, go into batches.
	maxFlushTables = 8
)

// flushTable is a table that is being written.
type flushTable struct {
	path   string
	writer *sstable.Writer
}

// tableDir is where tables are written. What a crash leaves there is of no meaning.
func (db *DB) tableDir() string { return db.opts.FS.PathJoin(db.dir, "flush") }

// removeTables removes what is left of unfinished flushes.
func (db *DB) removeTables() error {
	names, err := db.opts.FS.List(db.tableDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there never was a flush that large
	}
	failed := err
	for _, name := range names {
		failed = errors.Join(failed, db.opts.FS.Remove(db.opts.FS.PathJoin(db.tableDir(), name)))
	}
	return failed
}

// putChunk stores a chunk in the partition's table, or in the batch if it has none. The keys of a partition ascend
// if ordersTables was true.
func (f *flusher) putChunk(partition model.Partition, key, value []byte) error {
	table := f.tables[partition]
	if table == nil && f.intoTables && len(f.tables) < maxFlushTables {
		var err error
		if table, err = f.newTable(partition); err != nil {
			return err
		}
	}
	if table == nil {
		return f.batch.Set(key, value, nil)
	}
	return table.writer.Set(key, value)
}

func (f *flusher) newTable(partition model.Partition) (*flushTable, error) {
	fs := f.db.opts.FS
	if err := fs.MkdirAll(f.db.tableDir(), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for tables: %w", err)
	}
	path := fs.PathJoin(f.db.tableDir(), fmt.Sprintf("%d-%d.sst", f.at.lsn, partition))
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("make a table: %w", err)
	}
	// Chunks don't shrink, so the tables are like those of level 0.
	options := f.db.tableOptions.MakeWriterOptions(0, chunkStoreFormat.MaxTableFormat())
	table := &flushTable{path: path, writer: sstable.NewWriter(objstorageprovider.NewFileWritable(file), options)}
	f.tables[partition] = table
	return table, nil
}

// orderForTables brings the series to be written into the order of their chunks' keys in a partition: by the
// metric's number, and then by id.
func (f *flusher) orderForTables() error {
	type place struct {
		nameID uint64
		id     model.SeriesID
	}
	places := make([]place, len(f.written))
	for i, id := range f.written {
		name, found := f.db.active.Name(id)
		if !found {
			return fmt.Errorf("%w: samples of series %d, which is not defined", ErrCorrupt, id)
		}
		nameID, err := f.nameID(name)
		if err != nil {
			return err
		}
		places[i] = place{nameID, id}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.nameID, b.nameID), cmp.Compare(a.id, b.id)) })
	for i, place := range places {
		f.written[i] = place.id
	}
	return nil
}

// takeTables has the chunk store take the tables in. What their chunks rely on is in batches before that, which are
// synced first, since the tables are durable at once.
func (f *flusher) takeTables() error {
	if len(f.tables) == 0 {
		return nil
	}
	if err := f.batch.LogData(nil, nil); err != nil { // the commit of an empty batch would sync nothing
		return err
	}
	if err := f.batch.Commit(pebble.Sync); err != nil {
		return err
	}
	f.batch.Reset()
	var paths []string
	for _, table := range f.tables {
		err := table.writer.Close()
		table.writer = nil
		if err != nil {
			return fmt.Errorf("write a table: %w", err)
		}
		paths = append(paths, table.path)
	}
	if err := f.db.chunks.Ingest(context.Background(), paths); err != nil {
		return fmt.Errorf("take %d tables into the chunk store: %w", len(paths), err)
	}
	clear(f.tables)
	return nil
}

// dropTables removes tables that a failed flush leaves.
func (f *flusher) dropTables() error {
	var failed error
	for _, table := range f.tables {
		if table.writer != nil {
			_ = table.writer.Close() // of no use any more, whatever it says
		}
		failed = errors.Join(failed, f.db.opts.FS.Remove(table.path))
	}
	clear(f.tables)
	return failed
}
