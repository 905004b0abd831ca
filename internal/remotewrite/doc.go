// Package remotewrite turns the bodies of Prometheus remote write requests into engine batches, without
// allocating for each series or sample.
//
// # The messages
//
//	V1   prometheus.WriteRequest         series with their labels spelled out, and metadata of metric families
//	V2   io.prometheus.write.v2.Request  series whose labels are references to a table of strings
//
// Both are protobuf; they are specified at https://prometheus.io/docs/specs/prw/remote_write_spec and
// https://prometheus.io/docs/specs/prw/remote_write_spec_2_0. What isn't a protobuf message is a *SyntaxError and
// leaves nothing in the batch; nor does a message of the other version. Unknown fields are skipped.
//
// # What becomes of a series
//
// The label __name__ is the name, the others are tags. The source is the label source; else that of the label job,
// which stays a tag; else "default". A label with an empty value is as good as absent. Labels must ascend
// by name, as both specifications demand. A series that breaks a rule or a limit is refused with its samples, a
// sample whose time can't be stored is refused alone, and the report says so; the rest is in the batch. Every
// float64 is kept bit for bit: stale markers, other NaN and infinities.
//
// Native histograms are refused and counted. Exemplars and start timestamps are ignored; the former are counted. The
// unit of a series is that of its metadata (V2), or that of its metric family (V1), which comes in requests of
// its own: for the series named as the family is, and for those with _total or _sum behind it.
//
// # How a series is found
//
// A cache finds it from the bytes of its labels as they are in a V1 message; those of a V2 message are put into that form.
// While each series comes after the one that it came after the last time, this takes a single comparison of bytes,
// and the labels are neither walked nor hashed. Giving a new series an id must not be the work of a body that turns out
// to be malformed, so the body is checked to its end before the first one in it gets its own.
package remotewrite
