// Package export writes samples as CSV, JSON, JSON lines, Parquet and Arrow, in memory that doesn't grow with
// their number.
//
// A Request becomes a Plan by looking at the series that match: the columns for tags must be known before the
// first row is written. Plan.Write then scans the store and gathers batches of columns, which a flow brings to
// an encoder: two are prepared at once while the next is gathered, and they are written in order. Nothing is done
// for each row but appending it to a buffer; what a series' rows have in common is spelt once for each batch, and
// Parquet's and Arrow's columns of text are made from runs.
//
// Rows come metric by metric, series by series, and in time order within a series. Columns are timestamp,
// metric (if several were asked for), value, source, and the tags in alphabetical order. Values are exact:
// a number as text is the shortest that reads back as the same float64.
//
// Jobs are exports to files: they run in the background, survive a restart, and expire.
package export
