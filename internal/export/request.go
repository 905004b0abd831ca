package export

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Format is how an export is spelt. Its text is also the extension of its files.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	JSON    Format = "json"    // an array of objects
	NDJSON  Format = "ndjson"  // an object a line
	Parquet Format = "parquet" // compressed with zstd
	Arrow   Format = "arrow"   // IPC stream
)

// Formats lists all formats.
var Formats = [...]Format{CSV, JSON, NDJSON, Parquet, Arrow}

// MaxTagColumns bounds the tag columns of an export.
const MaxTagColumns = 1000

// Request says what to export, and how.
type Request struct {
	engine.Selection // its range is taken as it is
	Format           Format

	// MetricColumn says that each row tells its metric. It should be set if the selection may match several.
	MetricColumn bool

	// Columns are those to export, by their names; nil: all. Timestamp and value always are, and the order is the
	// same whatever theirs. Of JSON, they say which keys a row has, and which tags. They decide on the metric, too.
	Columns []string

	// Edges and Function make each series a value per bucket, labelled by the bucket's start. Without edges,
	// samples are exported as they are. Buckets without a value are left out.
	Edges    []int64
	Function engine.Function

	// EpochUnit makes times of CSV and JSON numbers of units of so many nanoseconds; 0: RFC 3339.
	EpochUnit int64

	// SafeCSV puts an apostrophe before texts that a spreadsheet might take for formulas.
	SafeCSV bool
}

// ErrColumns says that an export would have more tag columns than MaxTagColumns.
var ErrColumns = errors.New("the series that match have too many different tags for columns")

// The columns that are not for tags, but for the source's.
const (
	columnTimestamp = "timestamp"
	columnMetric    = "metric"
	columnValue     = "value"
	columnUnit      = "unit" // of none yet
)

// CheckColumns says what is wrong with a list of different columns.
func CheckColumns(columns []string) error {
	if !slices.Contains(columns, columnTimestamp) || !slices.Contains(columns, columnValue) {
		return errors.New("timestamp and value must be among them")
	}
	if slices.Contains(columns, columnUnit) {
		return errors.New("no column is called unit; a tag with that name is exported_unit")
	}
	if len(columns) > MaxTagColumns {
		return fmt.Errorf("there are more than %d", MaxTagColumns)
	}
	return nil
}

// wantedKeys returns the keys of tags that may be behind the names of the columns; nil: all.
func (r *Request) wantedKeys() map[string]bool {
	if r.Columns == nil {
		return nil
	}
	wanted := make(map[string]bool, len(r.Columns))
	for _, name := range r.Columns {
		for more := true; more; name, more = strings.CutPrefix(name, renamedPrefix) {
			wanted[name] = true
		}
		wanted[name] = true
	}
	return wanted
}

// isTable reports whether tags are columns.
func (f Format) isTable() bool { return f != JSON && f != NDJSON }

const renamedPrefix = "exported_"

// ColumnNames returns how tag columns are called beside the columns own: like their keys, but with a prefix
// where that is the name of one of own, or of a column that there may be in other exports. The prefix is
// repeated while another tag has that name.
func ColumnNames(own, keys []string) []string {
	taken := map[string]bool{columnTimestamp: true, columnValue: true, columnMetric: true, columnUnit: true}
	for _, name := range own {
		taken[name] = true
	}
	isKey := make(map[string]bool, len(keys))
	for _, key := range keys {
		isKey[key] = true
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		name := key
		for taken[name] || name != key && isKey[name] {
			name = renamedPrefix + name
		}
		names[i] = name
	}
	return names
}

// sourceOf returns the source of a series and whether it has one.
func sourceOf(s *model.Series) (string, bool) {
	source := s.Tags.Get(model.SourceKey)
	return source, source != ""
}

// NamesMatcher selects the metrics with these names.
func NamesMatcher(names []string) *model.Matcher {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	m, err := model.NewMatcher(model.NameKey, model.MatchRegexp, strings.Join(quoted, "|"))
	if err != nil {
		panic(err) // quoted text is always an expression
	}
	return m
}
