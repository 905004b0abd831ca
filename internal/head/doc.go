// Package head keeps the samples that are in the write-ahead log but not yet in chunks on disk.
//
// The head is split into shards by series id; each shard has one lock. A series holds its samples in
// three places, and the later one wins where two have the same time:
//
//	blocks   Gorilla-compressed, in time order, only ever appended to
//	tail     up to tailSamples raw samples behind the blocks, in time order
//	late     samples not newer than the blocks, in the order in which they arrived
//
// A sample that is newer than the tail is appended to it; a full tail is compressed as a whole, so that
// the encoder runs over sixteen samples at a time. Samples that arrive a little late find their place in
// the tail; only those older than the compressed blocks are kept apart until the flush.
//
// Freezing starts a new generation: what each series holds becomes immutable (frozen) in one step, at one
// position of the log, and later samples go into a new, empty place. The flush then writes the frozen data
// at leisure. Series that were written to chunks are released; those with too few samples to be worth a
// chunk are thawed: their frozen samples and what arrived since are joined again.
//
// A delete takes samples out of what was written since the last freeze. Frozen samples are not touched: a
// View tells the position of the log they were frozen at, and whoever reads them leaves out what was
// deleted behind it, as it does for chunks. Thawing leaves it out, too.
//
// Readers take a View, which costs no copy of compressed data: blocks and late samples are only appended
// to, so a prefix of them never changes.
package head
