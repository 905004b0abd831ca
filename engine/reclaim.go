package engine

import (
	"context"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// reclaimBytes is what giving back disk space must be worth.
const reclaimBytes = 4 << 20

// reclaimable are days in which chunks were deleted whose bytes the chunk store still has.
type reclaimable struct {
	first, last model.Partition
	bytes       int
}

// add notes a day.
func (r *reclaimable) add(day model.Partition, saved int) {
	if saved <= 0 {
		return
	}
	if r.bytes == 0 {
		r.first, r.last = day, day
	}
	r.first, r.last = min(r.first, day), max(r.last, day)
	r.bytes += saved
}

// reclaim gives back the disk space of chunks that were joined, in days that are over. The chunk store would do
// so only when much more is written near them, and that may be never.
func (db *DB) reclaim(ctx context.Context) error {
	r := db.jobs.reclaimable
	if r.bytes < reclaimBytes {
		return nil
	}
	lower, _ := keys.PartitionRange(keys.PrefixChunk, model.TierRaw, r.first)
	_, upper := keys.PartitionRange(keys.PrefixChunk, model.TierRaw, r.last)
	if err := db.chunks.Compact(ctx, lower, upper, false); err != nil {
		return err
	}
	db.jobs.reclaimable = reclaimable{}
	return nil
}
