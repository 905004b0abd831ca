package engine

import (
	"fmt"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// Usage says what the bytes on disk hold. The fields up to Rest are those of the chunk store's tables and
// add up to Tables.
//
// What is in the chunk store's memory and not in a table yet isn't counted, but by its log, which is in
// ChunkStore. A table that holds one kind only counts in full; one that holds several is divided by its data
// blocks, some 4 KiB each, of which one at a border counts for either kind, and its index and filters are
// Rest. What was deleted or replaced counts until a compaction of the tables has dropped it.
type Usage struct {
	RawChunks    uint64 // samples
	RawPostings  uint64 // index of the samples
	Catalogue    uint64 // names, tags and ids of all series
	Points5m     uint64
	Points1h     uint64 // without their sketches
	Sketches     uint64 // of the hours
	TierPostings uint64 // index of the points and sketches
	Rest         uint64 // state, marks of changes, deletes, the head's image; index and filters of mixed tables

	Tables     uint64 // that are part of the chunk store's current version
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
	ofTier := func(prefix byte, tier model.Tier) []byte { return []byte{prefix, byte(tier)} }
	known := uint64(0)
	for _, part := range []struct {
		bytes  *uint64
		prefix []byte
	}{
		{&u.RawChunks, ofTier(keys.PrefixChunk, model.TierRaw)},
		{&u.RawPostings, ofTier(keys.PrefixPosting, model.TierRaw)},
		{&u.Catalogue, []byte{keys.PrefixSeries}},
		{&u.Catalogue, []byte{keys.PrefixIdentity}},
		{&u.Catalogue, []byte{keys.PrefixName}},
		{&u.Points5m, ofTier(keys.PrefixChunk, model.Tier5m)},
		{&u.Points1h, ofTier(keys.PrefixChunk, model.Tier1h)},
		{&u.Sketches, []byte{keys.PrefixSketch}},
		{&u.TierPostings, ofTier(keys.PrefixPosting, model.Tier5m)},
		{&u.TierPostings, ofTier(keys.PrefixPosting, model.Tier1h)},
	} {
		lower, upper := keys.Range(part.prefix)
		bytes, err := db.chunks.EstimateDiskUsage(lower, upper)
		if err != nil {
			return Usage{}, fmt.Errorf("measure the tables: %w", err)
		}
		*part.bytes += bytes
		known += bytes
	}
	metrics := db.chunks.Metrics()
	// Blocks at borders count twice, and tables come and go between two measurements.
	u.Tables = max(metrics.Table.Local.LiveSize, known)
	u.Rest = u.Tables - known
	u.ChunkStore = metrics.DiskSpaceUsage()
	u.WAL = uint64(max(db.log.Size(), 0))
	return u, nil
}
