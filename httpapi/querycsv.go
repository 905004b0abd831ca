package httpapi

import (
	"slices"
	"strings"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/export"
	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/model"
)

// The columns of CSV: timestamp, then value (or, of several aggregations, a column for each by its name),
// then, for raw samples and groups, source and the tags in alphabetical order. A missing value or tag is
// an empty field.

// appendCSV appends the answer as CSV (RFC 4180, but with a bare line feed, as most tools write it).
func (a *answer) appendCSV(dst []byte) []byte {
	if a.query.raw {
		return a.appendSamplesCSV(dst)
	}
	q := a.query
	columns := a.tagColumns()
	own := q.names
	if len(own) == 1 {
		own = []string{"value"}
	}
	dst = append(appendHeader(dst, own, columns), '\n')
	k := len(q.functions)
	for _, group := range a.groups {
		owner := appendOwner(nil, columns, group.tags)
		for i, bucket := range group.buckets {
			dst = q.epoch.append(dst, q.edges[bucket])
			for _, value := range group.values[i*k : (i+1)*k] {
				dst = append(dst, ',')
				if !engine.IsMissing(value) {
					dst = numfmt.Append(dst, value)
				}
			}
			dst = append(append(dst, owner...), '\n')
		}
	}
	return dst
}

func (a *answer) appendSamplesCSV(dst []byte) []byte {
	columns := a.tagColumns()
	dst = append(appendHeader(dst, []string{"value"}, columns), '\n')
	owners := make([][]byte, len(a.samples.Series))
	for _, row := range a.samples.Rows {
		if owners[row.Series] == nil {
			owners[row.Series] = appendOwner(nil, columns, a.samples.Series[row.Series].Tags)
		}
		dst = a.query.epoch.append(dst, row.Time)
		dst = numfmt.Append(append(dst, ','), row.Value)
		dst = append(append(dst, owners[row.Series]...), '\n')
	}
	return dst
}

// tagColumns returns the keys that have columns: the source first, if it has one, then all others.
func (a *answer) tagColumns() []string {
	seen := map[string]bool{}
	note := func(tags model.Tags) {
		for _, tag := range tags {
			seen[tag.Key] = true
		}
	}
	if a.query.raw {
		seen[model.SourceKey] = true
		for _, matching := range a.samples.Series {
			note(matching.Tags)
		}
	}
	for _, key := range a.query.groupBy {
		seen[key] = true
	}
	for _, group := range a.groups {
		note(group.tags)
	}
	columns := make([]string, 0, len(seen))
	hasSource := seen[model.SourceKey]
	delete(seen, model.SourceKey)
	for key := range seen {
		columns = append(columns, key)
	}
	slices.Sort(columns)
	if hasSource {
		columns = slices.Insert(columns, 0, model.SourceKey)
	}
	return columns
}

// appendHeader appends the names of the columns: timestamp, our own, the tags'.
func appendHeader(dst []byte, own, tags []string) []byte {
	dst = append(dst, "timestamp"...)
	for _, name := range slices.Concat(own, export.ColumnNames(own, tags)) {
		dst = appendField(append(dst, ','), name)
	}
	return dst
}

// appendOwner appends the tags' fields, with a comma before each.
func appendOwner(dst []byte, columns []string, tags model.Tags) []byte {
	for _, key := range columns {
		dst = appendField(append(dst, ','), tags.Get(key))
	}
	return dst
}

// appendField appends a field, in quotation marks if it needs them.
func appendField(dst []byte, text string) []byte {
	if !strings.ContainsAny(text, ",\"\r\n") {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(text, `"`, `""`)...)
	return append(dst, '"')
}
