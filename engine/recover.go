package engine

import (
	"fmt"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/wal"
)

// recover brings the head back to where it was: the image of the last checkpoint, then the log behind
// it. It returns the LSN for the next batch.
func (db *DB) recover() (wal.LSN, error) {
	begin := db.opts.Now()
	meta, err := db.loadCheckpoint()
	if err != nil {
		return 0, fmt.Errorf("load the checkpoint: %w", err)
	}
	db.active = index.NewActive(meta.Defined)
	db.accepted.Store(meta.Accepted)
	db.flush.checkpoint, db.flush.defined = meta.LSN, meta.Defined
	if db.log, err = wal.Open(wal.Options{FS: db.opts.FS, Dir: db.opts.FS.PathJoin(db.dir, "wal")}); err != nil {
		return 0, fmt.Errorf("open the write-ahead log: %w", err)
	}
	r := newReplay(db, meta)
	defer r.close()
	if err := db.loadImage(meta.LSN, r.apply); err != nil {
		return 0, fmt.Errorf("load the head's image: %w", err)
	}
	result, err := db.log.Replay(meta.LSN, r.frame)
	if err != nil {
		return 0, fmt.Errorf("replay the write-ahead log: %w", err)
	}
	r.drain()
	if err := r.finish(result); err != nil {
		return 0, err
	}
	if result.TornBytes > 0 {
		db.opts.Logger.Info("cut the torn end of the write-ahead log; no fsync had covered it", "bytes", result.TornBytes)
	}
	db.opts.Logger.Info("recovered", "checkpoint", uint64(meta.LSN), "replayed_samples", r.samples, "replayed_events", r.eventCount,
		"series", db.active.Len(), "took", db.opts.Now().Sub(begin))
	if err := db.log.Truncate(db.flush.checkpoint); err != nil {
		return 0, fmt.Errorf("drop the log up to the checkpoint: %w", err)
	}
	return result.LastLSN + 1, nil
}
