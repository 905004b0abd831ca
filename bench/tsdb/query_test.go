package tsdb

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const (
	daySteps = 8640
	minute   = int64(time.Minute)
)

// query asks for the average over some time of one metric of all hosts, for a day: 864,000 samples. From
// prometheus/tsdb they are taken through its iterators and added up in a loop, which is the least that anybody
// who asks it for that has to do.
type query struct {
	name          string
	target, floor float64 // see contest
	bucket        int64
	maintained    bool // our chunks are joined, and points of 5 minutes answer for buckets of 5
}

var queries = []query{
	{"query by 5m, not joined", 2, 1, 5 * minute, false},
	{"query by 1m, joined", 3, 1, minute, true},
	{"query by 5m, points", 10, 5, 5 * minute, true},
}

// open fills both stores and compares their answers.
func (q query) open(tb testing.TB) (*ourStore, *theirStore) {
	values := rounds(daySteps, 1, dec2)
	ours, theirs := openOurs(tb, values, engine.Options{MaintainInterval: -1}), openTheirs(tb, values)
	for range daySteps {
		ours.write()
		theirs.write()
	}
	if err := ours.db.Flush(); err != nil {
		tb.Fatal(err)
	}
	if q.maintained {
		if err := ours.db.Maintain(context.Background()); err != nil {
			tb.Fatal(err)
		}
	}
	ourAverages, theirAverages := ours.averages(q.bucket), theirs.averages(q.bucket)
	for i, want := range theirAverages {
		if math.Abs(ourAverages[i]-want) > 1e-9 {
			tb.Fatalf("%s: bucket %d is %v, and %v for prometheus/tsdb", q.name, i, ourAverages[i], want)
		}
	}
	return ours, theirs
}

func (q query) contest(t *testing.T) *contest {
	ours, theirs := q.open(t)
	return &contest{
		name: q.name, target: q.target, floor: q.floor,
		ours: func() { ours.averages(q.bucket) }, theirs: func() { theirs.averages(q.bucket) },
		close: func() { ours.close(); theirs.close() },
	}
}

func BenchmarkQuery(b *testing.B) {
	for _, q := range queries {
		ours, theirs := q.open(b)
		for name, s := range map[string]interface{ averages(int64) []float64 }{"collector": ours, "prometheus": theirs} {
			b.Run(strings.ReplaceAll(q.name, " ", "-")+"/"+name, func(b *testing.B) {
				for b.Loop() {
					s.averages(q.bucket)
				}
			})
		}
		ours.close()
		theirs.close()
	}
}

func (s *ourStore) averages(bucket int64) []float64 {
	request := engine.AggregateRequest{
		Selection: engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, metricName(0))}, From: start, To: start + daySteps*step},
		Functions: []engine.Function{{Kind: engine.Avg}},
	}
	for edge := start; edge <= request.To; edge += bucket {
		request.Edges = append(request.Edges, edge)
	}
	result, err := s.db.Aggregate(context.Background(), request)
	if err != nil || len(result.Groups) != 1 || int64(len(result.Groups[0].Values)) != daySteps*step/bucket {
		s.tb.Fatalf("%+v, %v", result, err)
	}
	return result.Groups[0].Values
}

func (s *theirStore) averages(bucket int64) []float64 {
	querier, err := s.db.Querier(start/1e6, (start+daySteps*step)/1e6-1)
	if err != nil {
		s.tb.Fatal(err)
	}
	sums, counts := make([]float64, daySteps*step/bucket), make([]float64, daySteps*step/bucket)
	set := querier.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, metricName(0)))
	var it chunkenc.Iterator
	for set.Next() {
		it = set.At().Iterator(it)
		for it.Next() != chunkenc.ValNone {
			at, value := it.At()
			i := (at - start/1e6) / (bucket / 1e6)
			sums[i] += value
			counts[i]++
		}
		if err := it.Err(); err != nil {
			s.tb.Fatal(err)
		}
	}
	if err := set.Err(); err != nil {
		s.tb.Fatal(err)
	}
	if err := querier.Close(); err != nil {
		s.tb.Fatal(err)
	}
	for i := range sums {
		sums[i] /= counts[i]
	}
	return sums
}
