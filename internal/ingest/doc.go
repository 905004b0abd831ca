// Package ingest turns the bodies of write requests into engine batches, without allocating for each
// metric.
//
// # The shapes
//
//	POST /metrics         {"source"?, "timestamp"?, "batch_id"?, "metrics": [metric, ...]}
//	POST /metrics/batch   {"batches": [{"source"?, "timestamp"?, "batch_id"?, "metrics": [...]}, ...]}
//	either                [metric, ...]
//
//	metric                {"name", "value", "unit"?, "tags"?, "timestamp"?, "source"?}
//	                      or "values": [[timestamp, value], ...] in place of "value"
//
// Members come in any order; of two with the same key the later one counts; null stands for an absent
// member; keys that are not listed are skipped with a warning. What is wrong inside a metric refuses that
// metric. Only a body that is not JSON (SyntaxError) or not one of the shapes (ShapeError) fails as a
// whole, and then leaves nothing in the batch.
//
// # How a body is read
//
// First in one pass, in the order of the text, on two assumptions: that all series are known and that
// source and timestamp stand before the metrics they apply to. While they hold, a metric costs one
// comparison of its raw bytes with those of the metric that followed its predecessor the last time (see
// Cache), and neither its name nor its tags are taken apart.
//
// When a series is not known, giving it an id must not be the work of a body that turns out to be
// malformed, or to name its source further on. So the whole body is outlined first: checked, and its
// sources, timestamps and lists of metrics located. If the outline confirms what was assumed about the
// metrics at hand, the pass goes on; if not, or if the first pass met anything unusual, everything is
// discarded and the metrics are read from the outline. All verdicts on the body are the outline's.
package ingest
