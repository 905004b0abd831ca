package engine

import (
	"fmt"
	"math"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// Usage says what the bytes on disk hold. The fields up to Rest are those of the chunk store's tables and
// add up to Tables.
//
// What is in the chunk store's memory and not in a table yet isn't counted, but by its log, which is in
// ChunkStore. A table with several kinds is divided by its data blocks, of 4 KiB or a single larger value
// each: a block at a border counts as the kind before it, and the table's index and filters as its last kind.
// What was deleted or replaced counts until a compaction of the tables has dropped it.
type Usage struct {
	RawChunks    uint64 // samples
	RawPostings  uint64 // index of the samples
	Catalogue    uint64 // names, tags and ids of all series
	Points5m     uint64
	Points1h     uint64 // without their sketches
	Sketches     uint64 // of the hours
	TierPostings uint64 // index of the points and sketches
	Rest         uint64 // state, marks of changes, deletes, the head's image

	Tables     uint64 // that hold data now
	ChunkStore uint64 // all of it, with its own log and tables that readers still hold; Stats.DiskBytes
	WAL        uint64 // Stats.WALBytes
}

// Usage measures what takes how much of the disk. It reads the index of those tables that hold several kinds.
func (db *DB) Usage() (Usage, error) {
	if err := db.enter(); err != nil {
		return Usage{}, err
	}
	defer db.leave()
	var u Usage
	of := func(prefix ...byte) []byte { return keys.PrefixEnd(prefix) }
	counted := uint64(0)
	for _, kind := range []struct { // in the order of the keys, each up to a key
		bytes *uint64
		upper []byte
	}{
		{&u.Rest, of(keys.PrefixPartition)},
		{&u.Catalogue, of(keys.PrefixName)},
		{&u.RawPostings, of(keys.PrefixPosting, byte(model.TierRaw))},
		{&u.TierPostings, of(keys.PrefixPosting)},
		{&u.Rest, of(keys.PrefixDirty)},
		{&u.RawChunks, of(keys.PrefixChunk, byte(model.TierRaw))},
		{&u.Points5m, of(keys.PrefixChunk, byte(model.Tier5m))},
		{&u.Points1h, of(keys.PrefixChunk)},
		{&u.Sketches, of(keys.PrefixSketch)},
		{&u.Rest, []byte{math.MaxUint8}},
	} {
		// From the first key each time, so that no block counts twice.
		upTo, err := db.chunks.EstimateDiskUsage(nil, kind.upper)
		if err != nil {
			return Usage{}, fmt.Errorf("measure the tables: %w", err)
		}
		if upTo > counted { // else this kind has nothing, or a compaction has just ended
			*kind.bytes += upTo - counted
			counted = upTo
		}
	}
	u.Tables = counted
	u.ChunkStore = db.chunks.Metrics().DiskSpaceUsage()
	u.WAL = uint64(db.log.Size())
	return u, nil
}
