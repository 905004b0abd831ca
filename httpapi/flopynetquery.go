package httpapi

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// Limits of POST /api/metrics/query.
const (
	maxMetricTypes = 100
	maxComponents  = 100
	maxMetricRows  = 100_000
	metricRowBytes = 250 // about what a row takes, as JSON and before
)

func flopynetQueryRoutes() []route {
	return []route{{flopynet: true, method: fasthttp.MethodPost, path: "/api/metrics/query", about: "metrics of the components, aggregated", role: roleRead, query: true,
		handler: (*Server).postMetricsQuery}}
}

// metricsQueryBody is the body of POST /api/metrics/query.
type metricsQueryBody struct {
	MetricTypes *[]string `json:"metric_types"`
	StartTime   bodyTime  `json:"start_time"`
	EndTime     bodyTime  `json:"end_time"`
	Components  []string  `json:"components"` // none: all
	Aggregation string    `json:"aggregation"`
	Interval    string    `json:"interval"`
}

// metricsQuery is a body that is in order.
type metricsQuery struct {
	types, components     []string
	aggregation, interval string
	from, to              int64
	function              engine.Function
	edges                 []int64
}

// metricRow is a value of the answer.
type metricRow struct {
	Timestamp  string   `json:"timestamp"`   // the interval's begin
	MetricType string   `json:"metric_type"` // as it was asked for
	Metric     string   `json:"metric"`
	Component  string   `json:"component"` // the source of the series
	Value      *float64 `json:"value"`     // null: there is none that JSON has, such as a rate of one sample
	Unit       string   `json:"unit"`
}

// metricsQueryAnswer is the answer of POST /api/metrics/query.
type metricsQueryAnswer struct {
	Status      string      `json:"status"`
	Metrics     []metricRow `json:"metrics"`
	Count       int         `json:"count"`
	Total       int         `json:"total"` // the same: there are no pages
	Aggregation string      `json:"aggregation"`
	Interval    string      `json:"interval"`
}

// postMetricsQuery answers POST /api/metrics/query.
func (s *Server) postMetricsQuery(r *request) error {
	var body metricsQueryBody
	if err := decodeBody(r, &body); err != nil {
		return err
	}
	q, err := body.parse(r.received.UnixNano())
	if err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	rows := []metricRow{}
	for _, metricType := range q.types {
		selected, err := s.testbed.SelectMetrics(ctx, metricType, q.from, q.to)
		if err != nil {
			return err
		}
		for _, one := range selected {
			if rows, err = s.appendMetricRows(ctx, rows, q, metricType, one); err != nil {
				return err
			}
		}
	}
	if err := r.hold(int64(len(rows)) * metricRowBytes); err != nil {
		return err
	}
	r.respondLarge(typeJSON, appendJSON(nil, metricsQueryAnswer{
		Status: "success", Metrics: rows, Count: len(rows), Total: len(rows), Aggregation: q.aggregation, Interval: q.interval,
	}))
	return nil
}

// parse checks the body.
func (b *metricsQueryBody) parse(now int64) (q *metricsQuery, err error) {
	q = &metricsQuery{aggregation: b.Aggregation, interval: b.Interval}
	if b.MetricTypes == nil || len(*b.MetricTypes) == 0 {
		return nil, missingField("metric_types", `give an array such as ["fl_server"] or ["accuracy"]`)
	}
	if q.types = *b.MetricTypes; len(q.types) > maxMetricTypes {
		return nil, limitExceeded("Too many metric types", "metric_types", maxMetricTypes, int64(len(q.types)), "ask for them in several requests")
	}
	if i := slices.Index(q.types, ""); i >= 0 {
		return nil, invalidField("metric_types["+strconv.Itoa(i)+"]", "", "it is empty")
	}
	if len(b.Components) > maxComponents {
		return nil, limitExceeded("Too many components", "components", maxComponents, int64(len(b.Components)), "ask for them in several requests")
	}
	for _, component := range b.Components {
		if source := flopynet.SourceOf(component); source != "" {
			component = source
		}
		q.components = append(q.components, component)
	}
	ends := bodyRange{StartTime: b.StartTime, EndTime: b.EndTime}
	if q.from, q.to, err = ends.resolve("", now); err != nil {
		return nil, err
	}
	if q.aggregation == "" {
		q.aggregation = "avg"
	}
	if q.function, err = engine.ParseFunction(q.aggregation); err != nil {
		return nil, invalidField("aggregation", b.Aggregation, err.Error())
	}
	return q, q.parseInterval()
}

// parseInterval reads the width of the buckets.
func (q *metricsQuery) parseInterval() (err error) {
	var g granularity
	if q.interval == "" || q.interval == "auto" {
		g, q.edges, err = autoGranularity(q.from, q.to, time.UTC, defaultMaxPoints)
		q.interval = g.text
		return err
	}
	width, err := timefmt.ParseDuration(q.interval)
	switch {
	case err != nil:
		return invalidField("interval", q.interval, err.Error())
	case width == 0:
		return invalidField("interval", q.interval, "it is zero; auto chooses one that fits")
	}
	q.edges, err = granularity{q.interval, int64(width)}.edges(q.from, q.to, time.UTC)
	return err
}

// appendMetricRows appends what a metric comes to, source by source.
func (s *Server) appendMetricRows(ctx context.Context, rows []metricRow, q *metricsQuery, metricType string, one flopynet.Selected) ([]metricRow, error) {
	if err := model.CheckSeries(one.Name, nil); err != nil {
		return nil, invalidField("metric_types", metricType, err.Error())
	}
	matchers := []*model.Matcher{model.EqualMatcher(model.NameKey, one.Name)}
	for _, sources := range [][]string{q.components, {one.Source}} {
		if len(sources) == 0 || sources[0] == "" {
			continue
		}
		m, err := tagFilter{Key: model.SourceKey, Values: sources}.matcher()
		if err != nil {
			return nil, invalidField("components", sources[0], err.Error())
		}
		matchers = append(matchers, m)
	}
	result, err := s.db.Aggregate(ctx, engine.AggregateRequest{
		Selection: engine.Selection{From: q.from, To: q.to, Matchers: matchers},
		Edges:     q.edges, Functions: []engine.Function{q.function}, GroupBy: []string{model.SourceKey},
	})
	if err != nil {
		return nil, err
	}
	noteAggregate(ctx, result)
	for _, group := range result.Groups {
		if values := len(rows) + len(group.Buckets); values > maxMetricRows {
			return nil, limitExceeded("The answer is too large", "values in an answer", maxMetricRows, int64(values), "use a longer interval, a shorter range or fewer metric types")
		}
		for i, bucket := range group.Buckets {
			row := metricRow{Timestamp: formatTime(q.edges[bucket]), MetricType: metricType, Metric: one.Name, Component: group.Tags[0].Value, Unit: result.Unit}
			if value := group.Values[i]; !math.IsNaN(value) && !math.IsInf(value, 0) {
				row.Value = &value
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}
