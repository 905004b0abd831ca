package engine

import "time"

// Stats is a snapshot of the engine's own measurements.
type Stats struct {
	Series          int    // known in memory
	SamplesAccepted uint64 // acknowledged since the data directory was made
	HeadSamples     int64  // not yet in chunks
	WaitingSamples  int64  // written but not yet acknowledged
	WaitingLimit    int64  // beyond which Write returns ErrBusy
	WALBytes        int64  // on disk, what lies below the checkpoint and was not removed yet included
	WALSegments     int
	WALFsyncs       uint64        // since the start
	WALFsyncTime    time.Duration // total since the start
	DiskBytes       uint64        // of the chunk store
	LastFlush       time.Time     // zero: not since the start
	WriteError      error         // why writes are refused, or nil
}
