package httpapi

import (
	"strconv"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// pointBytes is about the length of a point in JSON.
const pointBytes = 64

// appendJSON appends the answer up to, but without, query_time_ms and the closing brace.
func (a *answer) appendJSON(dst []byte) []byte {
	q := a.query
	dst = append(dst, `{"metric":`...)
	dst = appendJSONString(dst, q.metric)
	dst = append(dst, `,"source":`...)
	dst = appendNullableString(dst, q.source)
	dst = append(dst, `,"granularity":`...)
	dst = appendNullableString(dst, q.granularity)
	dst = append(dst, `,"aggregation":`...)
	dst = appendNullableString(dst, q.aggregation)
	dst = append(dst, `,"unit":`...)
	dst = appendNullableString(dst, a.unit)
	if q.raw {
		return a.appendSamples(dst)
	}
	total := 0
	if q.grouped() {
		dst = append(dst, `,"series":[`...)
		for i, group := range a.groups {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			dst = appendSourceAndTags(dst, group.tags)
			dst = append(dst, `,"data_points":`...)
			dst = append(a.appendPoints(dst, group), '}')
			total += len(group.buckets)
		}
		dst = append(dst, ']')
	} else {
		var only series
		if len(a.groups) > 0 {
			only = a.groups[0]
		}
		dst = append(dst, `,"data_points":`...)
		dst = a.appendPoints(dst, only)
		total = len(only.buckets)
	}
	dst = append(dst, `,"total_points":`...)
	dst = strconv.AppendInt(dst, int64(total), 10)
	return appendExactness(dst, a.aggregated)
}

// appendSourceAndTags appends "source", if it is among the tags, and "tags".
func appendSourceAndTags(dst []byte, tags model.Tags) []byte {
	for _, tag := range tags {
		if tag.Key == model.SourceKey {
			dst = append(dst, `"source":`...)
			dst = append(appendJSONString(dst, tag.Value), ',')
		}
	}
	dst = append(dst, `"tags":`...)
	return appendTags(dst, tags)
}

// appendPoints appends the points of an aggregation as a JSON array.
func (a *answer) appendPoints(dst []byte, s series) []byte {
	q := a.query
	k := len(q.functions)
	times := timefmt.Appender{Unit: int64(q.epoch)}
	dst = append(dst, '[')
	for i, bucket := range s.buckets {
		if i > 0 {
			dst = append(dst, ',')
		}
		values := s.values[i*k : (i+1)*k]
		dst = q.epoch.appendTimestamp(dst, &times, q.edges[bucket])
		dst = append(dst, `,"value":`...)
		dst = appendValue(dst, values[0])
		if k > 1 {
			dst = append(dst, `,"values":`...)
			dst = appendValues(dst, q.names, values)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendValues(dst []byte, names []string, values []float64) []byte {
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, name), ':')
		dst = appendValue(dst, values[i])
	}
	return append(dst, '}')
}

func appendValue(dst []byte, value float64) []byte {
	if engine.IsMissing(value) {
		return append(dst, "null"...)
	}
	return numfmt.AppendJSON(dst, value)
}

// appendSamples appends raw samples. When more than one series matches, each says whose it is.
func (a *answer) appendSamples(dst []byte) []byte {
	result := a.samples
	owners := make([][]byte, len(result.Series)) // what follows the value, by series
	times := timefmt.Appender{Unit: int64(a.query.epoch)}
	dst = append(dst, `,"data_points":[`...)
	for i, row := range result.Rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.query.epoch.appendTimestamp(dst, &times, row.Time)
		dst = append(dst, `,"value":`...)
		dst = numfmt.AppendJSON(dst, row.Value)
		if len(owners) > 1 {
			if owners[row.Series] == nil {
				owners[row.Series] = appendSourceAndTags([]byte{','}, result.Series[row.Series].Tags)
			}
			dst = append(dst, owners[row.Series]...)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"total_points":`...)
	dst = strconv.AppendInt(dst, int64(len(result.Rows)), 10)
	dst = append(dst, `,"next_cursor":`...)
	return appendNullableString(dst, a.nextCursor)
}

// epochUnit says how times are spelt: zero as RFC 3339, else as a number of this many nanoseconds.
type epochUnit int64

var epochUnits = map[string]epochUnit{"": 0, "s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}

// appendTimestamp begins the object of a point, of which times are spelt in this unit one after the other.
func (u epochUnit) appendTimestamp(dst []byte, times *timefmt.Appender, ns int64) []byte {
	if u != 0 {
		return times.Append(append(dst, `{"timestamp":`...), ns)
	}
	return append(times.Append(append(dst, `{"timestamp":"`...), ns), '"')
}

// appendJSON appends a time as a JSON string or, with its decimals, a JSON number.
func (u epochUnit) appendJSON(dst []byte, ns int64) []byte {
	if u != 0 {
		return u.append(dst, ns)
	}
	dst = append(dst, '"')
	return append(timefmt.AppendTime(dst, ns), '"')
}

// append is appendJSON without the quotation marks.
func (u epochUnit) append(dst []byte, ns int64) []byte {
	if u == 0 {
		return timefmt.AppendTime(dst, ns)
	}
	return timefmt.AppendEpoch(dst, ns, int64(u))
}
