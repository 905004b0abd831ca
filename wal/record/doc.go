// Package record encodes what a frame of the write-ahead log carries: definitions of series, units, samples,
// events, deletes and answers. Everything here is a pure function on buffers.
//
// The payload of a frame is a sequence of records, without padding:
//
//	+--------+--------------------+---------------+
//	| kind 1 | body length 4 (BE) | body          |
//	+--------+--------------------+---------------+
//
// The bytes of each body are drawn at the head of the file that writes it; docs/format.md has examples.
//
// A record is read with the same rules wherever it comes from, so a log other than the one on disk can
// carry the same bytes. A record of an unknown kind is an error, never skipped: what it says may change
// the meaning of those behind it.
package record
