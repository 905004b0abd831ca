// Package wal is the write-ahead log: an append-only sequence of frames in segment files. It is passive:
// calls block, nothing runs in the background, and who calls it decides what is written together and
// when it is made durable. What frames carry is the business of package record.
//
// # What is assumed of disks
//
//  1. Bytes that a successful fsync covered stay, but for decay of the medium (bit flips, lost sectors).
//  2. Bytes written since may be lost in any part and in any order when power fails. A lost part of a
//     grown file reads as zeros, or the file is shorter. No write is atomic, however small.
//  3. A write does not damage synced bytes beside it, not even in the same sector.
//  4. A file's name is durable once its directory was fsynced; a removed file may come back until then,
//     and names come and go in any order.
//  5. After a failed fsync nobody knows what is on disk, and a second fsync may succeed without having
//     written anything. So it is never tried again: the log has failed until it is opened anew. What
//     the next Replay then reads may vanish when power fails; it was never acknowledged.
//  6. A file has no old content: where nothing was written there are zeros.
//
// # What follows for the writer
//
// The header of a segment, and then its name, are durable before the first frame is written to it, and
// the segment before it is durable before it is made. So all segments but the last are wholly durable, and
// a last segment that is no longer than a header never held anything.
//
// A file is never written to by two processes in turn, and never truncated: each Open leads to a fresh
// segment, whose header says up to which byte the previous one counts. That is how a torn tail is cut. It
// takes one fsync, works on file systems that offer no truncation, and can't be interrupted halfway:
// until the new header is durable, the next start finds the same tail and cuts it at the same place.
// Replay makes the last segment durable first, since what it read may so far only be in the page cache.
//
// Every frame says how much of its segment was durable when it was written, so that holes which a power
// failure left between frames that nobody was promised can be told from decay.
//
// # Crash states
//
// A test has a row for each; "bad" means that magic, numbers or checksums don't fit.
//
//	state                                                    meaning                  what Replay does
//	last segment ends in a bad frame, none good behind       torn write               cuts the tail there
//	... zeros, half a header, half a payload                 torn write               cuts
//	... with good frames behind, none of which says that     writes reordered by a    cuts, and counts the good
//	    the bad place had been durable                       power failure            ones as torn: frames may
//	                                                                                  depend on earlier ones
//	... with a good frame behind that says so                decay                    reports the bytes, goes on
//	                                                                                  at the next good header
//	bad frame below the length that the next header vouches  decay                    the same
//	bad bytes above it                                       a tail cut earlier       nothing: they don't count
//	segment shorter than the next header vouches             lost bytes               reports
//	last segment no longer than a header, and no header      crash while it was made  removes it
//	bad segment header, bytes behind it                      decay                    reports; reads the frames
//	header of another format version, or of another kind     not ours                 returns an error
//	segment missing, its LSNs above the checkpoint           lost file                reports
//	segment missing, its LSNs below the checkpoint           truncation, reordered    nothing
//	frame of another segment                                 stale or misplaced       bad
//	frame that repeats LSNs                                  stale or misplaced       reports, drops it
//	frame that skips LSNs, with nothing bad before it        lost frames              reports, delivers it
//
// Damage in the last frame of all, when nothing behind it says that it had been durable, can't be told
// from a torn write, and neither can a last segment whose file is gone.
package wal
