package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flopynet/collector/model"
)

// Selection names the series and the time range [From, To), in nanoseconds since the epoch, that a
// read is about. The metric's name is a matcher with Key = model.NameKey.
type Selection struct {
	Matchers []*model.Matcher
	From, To int64
}

// FunctionKind is an aggregation.
type FunctionKind uint8

// The aggregations. Rate, Increase and Delta are computed per series and then summed; all others see
// the samples of all series of a group as one set.
const (
	Avg FunctionKind = iota
	Sum
	Min
	Max
	Count
	Last
	First
	Stddev // of the population
	Range  // max - min
	Rate   // per second
	Increase
	Delta    // last - first
	Quantile // linear between ranks, as numpy's default; median is the quantile 0.5
)

var functionNames = [...]string{"avg", "sum", "min", "max", "count", "last", "first", "stddev", "range", "rate", "increase", "delta"}

// Function is an aggregation with its parameter.
type Function struct {
	Kind     FunctionKind
	Quantile float64 // 0..1, for Quantile
}

// ParseFunction reads the name of an aggregation: avg, sum, min, max, count, last, first, median,
// stddev, range, rate, increase, delta, or p and a percentage from 0 to 100, such as p99.9.
func ParseFunction(name string) (Function, error) {
	for kind, known := range functionNames {
		if name == known {
			return Function{Kind: FunctionKind(kind)}, nil
		}
	}
	if name == "median" {
		return Function{Kind: Quantile, Quantile: 0.5}, nil
	}
	if digits, found := strings.CutPrefix(name, "p"); found && strings.Trim(digits, "0123456789.") == "" {
		if percent, err := strconv.ParseFloat(digits, 64); err == nil && percent <= 100 {
			return Function{Kind: Quantile, Quantile: percent / 100}, nil
		}
	}
	return Function{}, fmt.Errorf("unknown aggregation %q (known: %s, median, and percentiles such as p95 or p99.9)",
		name, strings.Join(functionNames[:], ", "))
}

// AggregateRequest asks for values per bucket. Buckets are [Edges[i], Edges[i+1]), cut to the
// selection's range: the first edge may lie before From and the last after To.
type AggregateRequest struct {
	Selection
	Edges     []int64 // ascending, at least two
	Functions []Function
	GroupBy   []string // tag keys; none: all series fold into one group
	GroupAll  bool     // each series is a group of its own
}

// AggregateResult is the answer: one Group, or one for each distinct set of tags. No series, no group.
type AggregateResult struct {
	Groups      []Group
	SeriesCount int
	Unit        string // of the matching series that has one and the lowest id

	// Exact says that the values are those of the samples asked for. They are not where percentiles come from
	// sketches, or where raw samples have expired and points don't fit the buckets or can't give a function:
	// there each point counts for the bucket in which it begins.
	Exact      bool
	Sketched   bool    // percentiles come from sketches
	ErrorBound float64 // of these percentiles, relative to a sample at their rank; 0: exact

	RetentionBound bool // the range begins before raw samples have expired
	Explain        Explain

	unitIDs []model.SeriesID // those that Unit may be of
}

// Group holds the non-empty buckets of a group of series in time order.
type Group struct {
	Tags    model.Tags // the keys grouped by, sorted, absent ones with the value ""; all tags with GroupAll
	Buckets []int      // indexes into the request's Edges
	Values  []float64  // len(Buckets) * len(Functions), bucket by bucket; see IsMissing
}

// IsMissing reports whether a value of a Group stands for "no value": a rate of a single sample, or
// the average of nothing but NaN.
func IsMissing(value float64) bool { return model.IsStale(value) }

// SamplesRequest asks for raw samples, oldest first, at most Limit of them.
type SamplesRequest struct {
	Selection
	Limit int
	After Cursor // zero: from the start
}

// Cursor is a position behind a sample in the order (time, series id). The zero Cursor lies before all.
type Cursor struct {
	Time   int64
	Series model.SeriesID
}

// SamplesResult holds raw samples in the order (time, series id).
type SamplesResult struct {
	Series []model.Series // those that match, by id
	Rows   []Row
	Next   Cursor // of the last row, when More
	More   bool
}

// Row is a sample of Series[Row.Series].
type Row struct {
	Series int
	model.Sample
}
