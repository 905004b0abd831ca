package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// partRange asks how cost grows with the range of a query.
const partRange = "range"

const (
	spanSeries = 100
	spanStep   = time.Minute
	minutes    = 24 * 60 // of a day
)

// span fills an engine in this process with a year of 100 series, a sample a minute, has it do its maintenance, and
// asks about an hour to all of the year.
type span struct{}

// Names implements Part.
func (span) Names() []string { return []string{partRange} }

// spanRanges are the ranges that are asked for and the width of their buckets: about 60 of them.
var spanRanges = []struct {
	name   string
	length time.Duration
	bucket time.Duration
}{
	{"1 h", time.Hour, time.Minute},
	{"6 h", 6 * time.Hour, 5 * time.Minute},
	{"1 d", 24 * time.Hour, 30 * time.Minute},
	{"7 d", 7 * 24 * time.Hour, 3 * time.Hour},
	{"30 d", 30 * 24 * time.Hour, 12 * time.Hour},
	{"90 d", 90 * 24 * time.Hour, 36 * time.Hour},
	{"1 y", 365 * 24 * time.Hour, 6 * 24 * time.Hour},
}

// spanQuery is a row of the table.
type spanQuery struct {
	name    string
	line    string // in the plot
	series  int    // of how many
	fine    bool   // a bucket a minute, which raw samples alone can answer, whatever the range
	ranking bool   // the 95th percentile of the whole range instead of averages by buckets
}

var spanQueries = []spanQuery{
	{name: "average of 1 series, some 60 buckets", line: "1 series, 60 buckets", series: 1},
	{name: "average of 100 series, some 60 buckets", line: "100 series", series: spanSeries},
	{name: "average of 1 series by 1m, raw samples", line: "1 series by 1m", series: 1, fine: true},
	{name: "average of 100 series by 1m, raw samples", line: "100 series by 1m", series: spanSeries, fine: true},
	{name: "p95 of 100 series", line: "100 series, p95", series: spanSeries, ranking: true},
}

func (q spanQuery) measure(unit string) Measure { return Measure{"Length of the range", q.name, unit} }

// Run implements Part.
func (span) Run(ctx context.Context, run *Run) (err error) {
	days := 365
	if run.Quick {
		days = 7
	}
	directory, err := run.newDirectory(partRange)
	if err != nil {
		return err
	}
	h := newHistory(days, run.Day)
	db, err := openEngine(directory, h.end().Add(time.Hour))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	run.progress.begin(fmt.Sprintf("writing %d days of %d series", days, spanSeries), days)
	if err := h.write(ctx, db, run.progress); err != nil {
		return err
	}
	run.progress.begin("joining and rolling up", 1)
	if err := db.Maintain(ctx); err != nil {
		return err
	}
	run.progress.done()
	plot := Plot{File: "range", Title: "Queries by length of the range", Unit: "CPU ms", XLabel: "days", LogX: true, LogY: true}
	for _, q := range spanQueries {
		line := Line{Name: q.line}
		for _, r := range spanRanges {
			if int(r.length.Hours()) > 24*days {
				continue
			}
			bucket := r.bucket
			if q.fine {
				bucket = spanStep
			}
			took, err := h.ask(ctx, db, q, r.length, bucket)
			var answer *wrongAnswer
			switch {
			case errors.As(err, &answer):
				run.Report.Fail(q.measure("CPU ms"), r.name, err.Error())
				run.Report.Fail(q.measure("ms p50"), r.name, err.Error())
			case err != nil:
				return fmt.Errorf("%s, %s: %w", q.name, r.name, err)
			default:
				run.Report.Add(q.measure("CPU ms"), r.name, milliseconds(took.cpu))
				run.Report.Add(q.measure("ms p50"), r.name, milliseconds(took.wall))
				if cpu, known := run.Report.Value(q.measure("CPU ms"), r.name); known { // the median with the runs before
					line.X, line.Y = append(line.X, r.length.Hours()/24), append(line.Y, cpu)
				}
			}
		}
		if len(line.X) > 0 {
			plot.Lines = append(plot.Lines, line)
		}
	}
	if len(plot.Lines) > 0 {
		run.Report.AddPlot(plot)
	}
	return nil
}

// history is the values of all series, in hundredths: random walks as the Workload's.
type history struct {
	first  time.Time
	values [spanSeries][]uint16 // by minute
}

// newHistory draws some days that end with a day.
func newHistory(days int, last time.Time) *history {
	h := &history{first: last.AddDate(0, 0, 1-days)}
	for series := range h.values {
		h.values[series] = make([]uint16, 0, days*minutes)
		for _, value := range walkOf(uint64(series), days*minutes) {
			h.values[series] = append(h.values[series], uint16(math.Round(value*100)))
		}
	}
	return h
}

func (h *history) end() time.Time { return h.at(len(h.values[0])) }

func (h *history) at(minute int) time.Time {
	return h.first.Add(time.Duration(minute) * spanStep)
}

// write writes all in the order of time, an hour of all series at once.
func (h *history) write(ctx context.Context, db *engine.DB, progress *progress) error {
	var ids [spanSeries]model.SeriesID
	for series := range ids {
		tags := model.Normalize(model.Tags{{Key: "host", Value: hostName(series)}, {Key: "region", Value: "eu-west-1"}, {Key: model.SourceKey, Value: "bench"}})
		var err error
		if ids[series], err = db.Resolve(metricName(0), tags); err != nil {
			return err
		}
	}
	var batch engine.Batch
	for from := 0; from < len(h.values[0]); from += 60 {
		batch.Reset()
		for minute := from; minute < from+60; minute++ {
			at := h.at(minute).UnixNano()
			for series, id := range ids {
				batch.Add(id, at, float64(h.values[series][minute])/100)
			}
		}
		if err := errors.Join(db.Write(&batch), ctx.Err()); err != nil {
			return err
		}
		if from%minutes == 0 {
			progress.add(1)
		}
	}
	return nil
}

// ask asks a question about the end of the history, and checks each answer.
func (h *history) ask(ctx context.Context, db *engine.DB, q spanQuery, length, bucket time.Duration) (effort, error) {
	from, to := h.end().Add(-length), h.end()
	request := engine.AggregateRequest{
		Selection: engine.Selection{Matchers: matching(model.NameKey, metricName(0)), From: from.UnixNano(), To: to.UnixNano()},
		Functions: []engine.Function{{Kind: engine.Avg}},
	}
	if q.series == 1 {
		request.Matchers = matching(model.NameKey, metricName(0), "host", hostName(0))
	}
	if q.ranking {
		request.Functions = []engine.Function{{Kind: engine.Quantile, Quantile: 0.95}}
		bucket = length
	}
	for edge := from; edge.Before(to); edge = edge.Add(bucket) {
		request.Edges = append(request.Edges, edge.UnixNano())
	}
	request.Edges = append(request.Edges, to.UnixNano())
	var result *engine.AggregateResult
	ask := func() (err error) {
		result, err = db.Aggregate(ctx, request)
		return err
	}
	want := h.expected(q, request.Edges)
	return askOften(ctx, ask, func() error { return q.check(result, want) })
}

// expected is the value of each bucket.
func (h *history) expected(q spanQuery, edges []int64) []float64 {
	minuteOf := func(edge int64) int { return int(edge-h.first.UnixNano()) / int(spanStep) }
	want := make([]float64, len(edges)-1)
	for i := range want {
		from, to := minuteOf(edges[i]), minuteOf(edges[i+1])
		if q.ranking {
			want[i] = h.quantile(q.series, from, to, 0.95)
		} else {
			want[i] = h.average(q.series, from, to)
		}
	}
	return want
}

// check compares an answer with the values of the buckets. A percentile that is not exact says by how much it may be off.
func (q spanQuery) check(result *engine.AggregateResult, want []float64) error {
	if len(result.Groups) != 1 || len(result.Groups[0].Values) != len(want) {
		return wrong("%d groups, want one of %d buckets", len(result.Groups), len(want))
	}
	tolerance := 1e-9
	if q.ranking {
		tolerance = max(tolerance, result.ErrorBound*1.0001)
	}
	for i, got := range result.Groups[0].Values {
		if err := near(fmt.Sprintf("bucket %d", i), got, want[i], tolerance); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) average(series, from, to int) float64 {
	var sum int64
	for _, values := range h.values[:series] {
		for _, value := range values[from:to] {
			sum += int64(value)
		}
	}
	return float64(sum) / 100 / float64(series*(to-from))
}

// quantile interpolates between the two samples next to the rank.
func (h *history) quantile(series, from, to int, rank float64) float64 {
	var counts [math.MaxUint16 + 1]int
	for _, values := range h.values[:series] {
		for _, value := range values[from:to] {
			counts[value]++
		}
	}
	nth := func(n int) float64 {
		for value, count := range slices.All(counts[:]) {
			if n -= count; n < 0 {
				return float64(value) / 100
			}
		}
		return math.NaN()
	}
	place := rank * float64(series*(to-from)-1)
	below := math.Floor(place)
	return nth(int(below)) + (place-below)*(nth(int(math.Ceil(place)))-nth(int(below)))
}
