package engine

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/model"
)

// Stats is a snapshot of the engine's own measurements.
type Stats struct {
	Series          int    // known in memory
	SamplesAccepted uint64 // acknowledged since the data directory was made
	HeadSamples     int64  // not yet in chunks
	WaitingSamples  int64  // written but not yet acknowledged
	WaitingLimit    int64  // beyond which Write returns ErrBusy
	WALBytes        int64  // on disk, what lies below the checkpoint and was not removed yet included
	WALSegments     int
	WALFsyncs       uint64                       // since the start
	WALFsyncTime    time.Duration                // total since the start
	WALFsyncTimes   [len(FsyncBounds) + 1]uint64 // of them, by FsyncBounds; the last took longer than all
	DiskBytes       uint64                       // of the chunk store
	StoredSamples   uint64                       // in chunks; overwritten and deleted ones count until maintenance has dropped them
	StoredBytes     uint64                       // of these chunks, with their keys
	HasOldest       bool                         // there are samples
	Oldest          int64                        // time of the oldest sample, ns; one that is deleted counts until maintenance has dropped it; where retention begins while it hides some
	LastFlush       time.Time                    // zero: not since the start
	WriteError      error                        // why writes are refused, or nil

	SeriesRefused uint64 // by MaxSeries and MaxNewSeries, since the start
	QuerySamples  uint64 // decoded by reads, points of rollups included, since the start
	QueryBytes    int64  // held by reads that are under way, by estimate
	Cache         CacheStats
	Maintenance   MaintenanceStats
	Watch         WatchStats
}

// WatchStats measures live updates, since the start.
type WatchStats struct {
	Watchers    int    // now
	QueuedBytes int64  // of messages that wait for them now
	Delivered   uint64 // updates and events taken by watchers
	Dropped     uint64 // from the queues of watchers that were too slow

	// Overrun is how many updates left the buffer before somebody who watches had looked at them, counted for each
	// watcher: the machine was too busy.
	Overrun uint64
}

// FsyncBounds are the longest times that the counts of Stats.WALFsyncTimes stand for, each for those above the
// bound before it.
var FsyncBounds = [...]time.Duration{ //nolint:gochecknoglobals // a constant
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second,
}

// fsyncTimes counts fsyncs by how long they took.
type fsyncTimes struct {
	counts [len(FsyncBounds) + 1]atomic.Uint64
	total  atomic.Int64 // ns
}

func (f *fsyncTimes) note(took time.Duration) {
	bucket, _ := slices.BinarySearch(FsyncBounds[:], took)
	f.counts[bucket].Add(1)
	f.total.Add(int64(took))
}

// add puts the counts into stats.
func (f *fsyncTimes) add(stats *Stats) {
	for i := range f.counts {
		stats.WALFsyncTimes[i] = f.counts[i].Load()
		stats.WALFsyncs += stats.WALFsyncTimes[i]
	}
	stats.WALFsyncTime = time.Duration(f.total.Load())
}

// CacheStats measures the result cache, since the start.
type CacheStats struct {
	Hits, Misses    uint64
	Bytes, MaxBytes int64
	Entries         int
}

// MaintenanceStats measures the maintenance of the chunk store, since the start.
type MaintenanceStats struct {
	Job       string    // under way, such as "compact and roll up 2024-01-15"; empty: none
	JobSeries int       // that it has visited
	JobSince  time.Time // when it began

	Partitions        [model.Tiers]int // stored now, by tier
	PendingDeletes    int              // whose space isn't back yet
	DaysJoined        int64            // whose chunks were joined
	ChunksIn          int64            // that were joined
	ChunksOut         int64            // that they became
	BytesIn, BytesOut int64            // of these
	DaysRolled        int64
	Points            int64 // computed, of both tiers
	PartitionsDropped int64
	SeriesDropped     int64
	DeletesFinished   int64
}

func (db *DB) cacheStats() CacheStats {
	s := db.results.stats()
	return CacheStats{Hits: s.hits, Misses: s.misses, Bytes: s.bytes, MaxBytes: s.maxBytes, Entries: s.entries}
}

func (db *DB) maintenanceStats() MaintenanceStats {
	c := &db.jobs.counters
	stats := MaintenanceStats{
		PendingDeletes:    len(db.tombstones.all()),
		DaysJoined:        c.daysJoined.Load(),
		ChunksIn:          c.chunksIn.Load(),
		ChunksOut:         c.chunksOut.Load(),
		BytesIn:           c.bytesIn.Load(),
		BytesOut:          c.bytesOut.Load(),
		DaysRolled:        c.daysRolled.Load(),
		Points:            c.points.Load(),
		PartitionsDropped: c.partitionsDropped.Load(),
		SeriesDropped:     c.seriesDropped.Load(),
		DeletesFinished:   c.deletesFinished.Load(),
	}
	if p := db.jobs.progress.Load(); p != nil {
		stats.Job, stats.JobSeries, stats.JobSince = p.job, p.series, p.since
	}
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	for tier := range db.store.partitions {
		stats.Partitions[tier] = len(db.store.partitions[tier])
	}
	return stats
}
