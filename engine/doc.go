// Package engine is the time-series store. It owns the data directory, the goroutines and the clock; the
// packages below it are passive.
//
// # Writing
//
// Resolve turns a series' identity into its id, once; a Batch holds samples by id. Write hands the batch
// to the pipeline and returns when it is acknowledged. The pipeline has three stages, through which frames
// pass in order:
//
//	build   takes the batches that wait, puts definitions of series the log doesn't know yet before
//	        them, gives each batch its LSN and encodes all as one frame
//	write   appends the frame to the log and fsyncs it (group commit)
//	apply   puts the samples into the head
//
// The writer that finds the build stage free leads its frame through all three and then acknowledges the
// other batches in it. So nothing is visible before it is durable, and what is encoded, synced and applied
// at one moment are three successive frames. A failed append or fsync ends all writing until a restart,
// since nobody knows then what the disk holds.
//
// # Flushing
//
// A flush sends a barrier through the pipeline. When it is applied, everything up to its LSN F is applied and nothing behind it is: the head is frozen there. Frozen series with enough samples become
// chunks with seq = F; the others are encoded into the head image of checkpoint F and thawed. All goes into
// batches of the chunk store of about 8 MiB; only the last one, with checkpoint F, is synced, and Pebble
// keeps batches in order. Then the frozen samples are released, and the log's segments up to F removed.
//
// A crash between batches leaves chunks of an unfinished flush behind. The log still holds their samples,
// so recovery brings these back into the head, and the next flush writes them again with a higher seq:
// the old chunk is contained in the new one.
//
// # Reading
//
// A read pins: it takes views of the head, then looks at which partitions there are, then takes a
// snapshot of the chunk store. A flush publishes in the opposite order (commit, list of partitions,
// release), so whatever it moves is seen in one place or in both, and never in none. Samples seen twice
// have equal values. Chunks and head data of a series are runs; overlapping runs are merged by time, and
// the run of the higher rank wins: chunks by seq, then what is being flushed, then what came since.
//
// # Locks
//
// In the order in which they may be taken:
//
//	DB.useMu           read-held while the chunk store is in use
//	flushState.mu      one flush at a time
//	the stages of the pipeline, in their order; pipeline.waitingMu inside build
//	storeState.mu      names and partitions; held for map operations only
//	flushState.unitsMu units to be stored
//	head's shards, index.Active, wal.Log: their own, never held while calling out
//
// # Disk errors
//
// They are returned, with one exception: Pebble ends the process when it can't write its own log or
// MANIFEST. Nothing acknowledged is lost by that, since it is in our log. So that a full disk doesn't lead
// there, writes and flushes stop while less than Options.MinFreeBytes is free.
package engine
