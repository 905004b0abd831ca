// Package index knows which series there are and which of them have a tag.
//
// On disk, the catalogue says once for every series what its name, tags and unit are (catalog.go), and
// each partition has postings: for every tag, a bitmap of the series that have it and have samples in
// the partition (builder.go, lookup.go). Bitmaps grow by Pebble merges, whose union is merger.go. In
// memory, Active holds the same for the series this process has met, flushed or not.
//
// Series leave in three steps: from a partition's postings when nothing of them is left there, from the
// catalogue when they are in no partition (sweep.go), and from Active (drop.go).
//
// Marks of changed series, by hour of the data and position of the log, say what rollups have to visit
// again (dirty.go).
//
// The metric's name is indexed as the value of model.NameKey, the source as the tag model.SourceKey. The
// posting of the tag allKey, allValue, which no series can have, is that of all series of the partition.
//
// Everything here reads from a pebble.Reader and writes to a *pebble.Batch. Nothing commits, sleeps,
// looks at the clock or locks the store. Integers, strings and identities are encoded as in package
// model; docs/format.md, section 5, is normative.
package index
