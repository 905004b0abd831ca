// Package lineproto turns bodies in InfluxDB's line protocol into engine batches, without allocating for each
// line or sample.
//
// # What becomes of a line
//
//	measurement[,tag=value ...] field=value[,field=value ...] [timestamp]
//
// Each field is a sample of the metric measurement_field; of the field "value", that of the metric measurement.
// The tag source is the source of the series. Integers, unsigned integers and floats become float64, booleans 1
// and 0; a string is refused with its field's name while the line's other fields are stored. A line that can't be
// read is refused as a whole, and the one behind the next newline is read again. The grammar is that of InfluxDB's
// own decoder (github.com/influxdata/line-protocol/v2), which the tests compare with; in addition a line is refused
// that has a tag twice, and hexadecimal floats are.
//
// # How a line is read
//
// A cache knows a line by the raw bytes of its measurement and tags, and holds the raw keys of its fields, in the
// order in which they came, with the ids of their series. The cache guesses which line comes next. When the guess is
// right and the fields are the known ones, in order, the line is a row: it costs one comparison of bytes for the
// key and one for each field, and the ids are copied. Whatever is unusual about a line makes it be read
// again in the general way, which finds out about each field and each fault.
//
// A sample that can't be stored, for its time, makes no series.
package lineproto
