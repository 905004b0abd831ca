// Package engine is the time-series store. It owns the data directory, the goroutines and the clock; the
// packages below it are passive.
//
// # Writing
//
// Resolve turns a series' identity into its id, once; ResolveAll does so for many, which is for who finds that a
// body's series are new: each lock is taken once for many of them, and those that share a slice of tags share
// the work for these. A Batch holds samples by id. Write hands the batch to the pipeline and returns when it is acknowledged. The pipeline has three stages, through which frames
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
// A flush of many samples writes its chunks into tables of its own, which the chunk store then takes in as they are:
// they pass neither through its log nor through its memory. What they rely on (definitions, postings, new partitions)
// is in batches before that, of which the last is synced, and the checkpoint in one after.
//
// A crash between batches leaves chunks of an unfinished flush behind. The log still holds their samples,
// so recovery brings these back into the head, and the next flush writes them again with a higher seq:
// the old chunk is contained in the new one.
//
// # Deleting
//
// A delete is a record of the log with an LSN of its own. When it is applied, a tombstone with this LSN comes
// into force, and then the series' samples are taken out of the head. A tombstone hides what has a lower
// seq: chunks, and what is being flushed. The flush that passes its LSN stores it. Maintenance rewrites
// what it hides, and then drops it.
//
// # Events and answers
//
// A batch of events is a record of the log. When it is applied, those whose ID is stored already are left out: the
// first one in the log stands. The head has the IDs of events that are not flushed; in the chunk store they are looked
// up before the batch enters the pipeline, and once more in the apply stage only if a flush or retention moved any
// since. A flush writes events with their IDs, in its batches, and then takes them out of the head. Reads
// look at the head before the chunk store. While the log has an event that was left out, the one that stands is not
// dropped, however old: a replay would take the other for the first.
//
// A batch may carry the answer that its request gets. It is in the same frame as the batch, so that after a crash both
// are there or neither is. Which answers there are is known in memory, by a hash that names the request; their bodies are in
// memory until they are flushed. The oldest go when they are too many or a day older than the latest.
//
// # Maintenance
//
// One goroutine does one job at a time, at a share of a processor. A job on a raw day joins its chunks into
// large ones of the better codec and rolls the day up, hour by hour, to points of five minutes and of an
// hour; it works on a snapshot, leaves alone what is flushed meanwhile, and commits by groups of series. A
// flush that brings samples of hours that are rolled up, or are about to be, marks them in its last batch;
// a job drops the marks that its snapshot had, together with the day's new state. Retention drops partitions by
// range, or series of them, and says so durably, so that nothing is written to such a day again: a day goes
// only when all of it is rolled up that points are to outlive. Series that nothing has samples of are swept
// from the catalogue and from memory. Batches that were resolved before that are checked.
//
// # Reading
//
// A read pins: it takes views of the head and the tombstones, then looks at which partitions there are, then
// takes a snapshot of the chunk store. A flush publishes in the opposite order (commit, list of partitions,
// release), so whatever it moves is seen in one place or in both, and never in none. Samples seen twice
// have equal values. Chunks and head data of a series are runs; overlapping runs are merged by time, and
// the run of the higher rank wins: chunks by seq, then what is being flushed, then what came since.
//
// An aggregation plans by the hour which tier answers: the coarsest whose points lie inside the request's
// buckets and that can give its functions, raw samples elsewhere. For a series whose points of an hour don't hold,
// because of a mark, a tombstone or samples in the head, the raw samples of that hour are read. Where raw
// samples have expired and no tier fits, the nearest points answer, and the result says that it isn't exact.
//
// A scan passes on all samples of a selection, block by block, series by series. It pins some series at a time,
// the fewer the more days there are, and pins again when its pin has become old: so neither its memory nor what
// it keeps from being dropped depends on how much it reads, or on how slowly its caller takes it.
//
// Results are cached under the LSN that was applied before they were read. Each hour of data knows the LSN
// of its last change, noted before the change is applied; a cached result serves while no hour of its range
// has a later one.
//
// # Watching
//
// When a frame is visible, its samples and events are put into a ring, if anybody watches. The ring is read without a
// lock, and writers never wait for who reads it. One goroutine, the hub, takes what comes to the watchers
// that have subscribed to it; it knows for each series who these are. A message is made once for all watchers of one
// Format and copied into their queues, which are bounded: a queue without room loses its oldest messages, and its
// watcher is told how many. If the hub itself is so late that the ring has gone round, all watchers are told.
//
// A watcher that begins in the past, or has just subscribed, first goes through the ring by itself; when it has caught
// up, the hub takes over at that place. Updates have positions, so that a client who comes back can begin
// where it was, while the ring still has what followed.
//
// # Snapshots
//
// A snapshot is a copy of the data directory under snapshots/<name>, mostly of hard links. It takes a Pebble
// checkpoint first; then a barrier cuts the log, and the segments up to there get their second names. So the log
// has all that the chunk store has. The flush's lock is held throughout: no segment is dropped, and nothing is
// forgotten in the chunk store that a later frame could make anew. Writes don't take that lock, and wait for the
// barrier only. The copy is made and synced under another name, so that it is whole once it has its own.
//
// # Locks
//
// In the order in which they may be taken:
//
//	DB.useMu           read-held while the chunk store is in use
//	DB.snapshotMu      one snapshot is made or deleted at a time
//	jobState.mu        one pass of maintenance at a time
//	flushState.mu      one flush at a time, and no change to partitions or postings beside it
//	DB.resolveMu       read-held while a series is looked up or made that is not in memory
//	the stages of the pipeline, in their order; pipeline.waitingMu inside build
//	watchHub.mu        what watchers subscribe to; not taken by writers
//	watchQueue.mu      what waits for one watcher
//	DB.tuneMu          one change of the tuning at a time; what it changes is read without a lock
//	storeState.mu      names and partitions; held for map operations only
//	flushState.unitsMu units to be stored
//	tombstones.mu      the list is being replaced
//	expiryState.mu     what retention says is being replaced
//	eventHead.mu, answers.mu   not flushed events, and which answers are kept; held for map operations only
//	head's shards, index.Active, wal.Log, hourChanges, resultCache: their own, never held while calling out
//
// # Disk errors
//
// They are returned, with one exception: Pebble ends the process when it can't write its own log or
// MANIFEST. Nothing acknowledged is lost by that, since it is in our log. So that a full disk doesn't lead
// there, writes and flushes stop while less than Options.MinFreeBytes is free.
package engine
