package httpapi

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/analysis"
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/numfmt"
	"github.com/flopynet/collector/model"
)

// Limits of POST /metrics/anomalies.
const (
	maxAnalyzedPoints   = 1_000_000
	maxAnomalies        = maxRawSamples // in an answer
	defaultMaxAnomalies = 1000
	defaultSensitivity  = 0.1
	heldPointBytes      = 40  // of memory, for each point that is held: a time and a value, in slices that grow
	analysisBytes       = 160 // likewise, for each point of a series that is being analyzed
	anomalyBytes        = 256 // about the length of an anomaly in JSON
)

func anomalyRoutes() []route {
	return []route{{method: fasthttp.MethodPost, path: "/metrics/anomalies", about: "points of a metric that don't fit the others",
		role: roleRead, query: true, handler: (*Server).findAnomalies}}
}

// anomalyBody is the body of POST /metrics/anomalies.
type anomalyBody struct {
	bodySelection
	bodyRange
	Algorithm   *string    `json:"algorithm"`
	Sensitivity *float64   `json:"sensitivity"`
	Granularity string     `json:"granularity"`
	Aggregation string     `json:"aggregation"`
	Limit       *int       `json:"limit"`
	Epoch       string     `json:"epoch"`
	Timeout     bodyScalar `json:"timeout"`
}

// anomalyQuery is a parsed request for anomalies.
type anomalyQuery struct {
	query   // raw, or by buckets; the limit is that of the anomalies in the answer
	options analysis.Options
}

// parse reads a body. now is in nanoseconds since the epoch, maxTimeout the longest that the query may take.
func (b *anomalyBody) parse(now int64, maxTimeout time.Duration) (q *anomalyQuery, err error) {
	q = &anomalyQuery{options: analysis.Options{Sensitivity: defaultSensitivity}}
	q.limit = defaultMaxAnomalies
	if q.selection.Matchers, err = b.matchers(""); err != nil {
		return nil, err
	}
	if q.selection.From, q.selection.To, err = b.resolve("", now); err != nil {
		return nil, err
	}
	if b.Algorithm != nil {
		if q.options.Algorithm, err = analysis.ParseAlgorithm(*b.Algorithm); err != nil {
			return nil, invalidField("algorithm", *b.Algorithm, err.Error())
		}
	}
	if b.Sensitivity != nil {
		q.options.Sensitivity = *b.Sensitivity
		if *b.Sensitivity <= 0 || *b.Sensitivity > analysis.MaxSensitivity {
			return nil, invalidField("sensitivity", string(numfmt.Append(nil, *b.Sensitivity)),
				"use a number above 0, up to 0.5: the largest share of the points that may be reported")
		}
	}
	if b.Limit != nil {
		if q.limit = *b.Limit; q.limit < 1 || q.limit > maxAnomalies {
			return nil, invalidField("limit", strconv.Itoa(q.limit), "use a whole number from 1 to "+strconv.Itoa(maxAnomalies))
		}
	}
	return q, inBody(q.parseParams(b, maxTimeout), "")
}

// parseParams reads what GET /metrics/query has as parameters of the same names.
func (q *anomalyQuery) parseParams(b *anomalyBody, maxTimeout time.Duration) (err error) {
	p := params{}
	for name, text := range map[string]string{
		"granularity": b.Granularity, "aggregation": b.Aggregation, "epoch": b.Epoch, "timeout": string(b.Timeout),
	} {
		if text != "" {
			p[name] = []string{text}
		}
	}
	if q.epoch, err = parseEpoch(p); err != nil {
		return err
	}
	if q.timeout, err = parseTimeout(p, maxTimeout); err != nil {
		return err
	}
	if q.raw = b.Granularity == ""; q.raw {
		return refuse(p, "it needs granularity", "aggregation")
	}
	if err := q.parseAggregation(p); err != nil {
		return err
	}
	if len(q.functions) > 1 {
		return invalidParameter("aggregation", b.Aggregation, "use a single one")
	}
	return nil
}

// findAnomalies answers POST /metrics/anomalies.
func (s *Server) findAnomalies(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	var body anomalyBody
	if err := decodeBody(r, &body); err != nil {
		return err
	}
	q, err := body.parse(r.received.UnixNano(), s.options.QueryTimeout)
	if err != nil {
		return err
	}
	ctx, cancel := r.context(q.timeout)
	defer cancel()
	points, err := s.readPoints(ctx, q)
	defer func() { s.memory.release(int64(points.held) * heldPointBytes) }()
	if err != nil {
		return err
	}
	found, err := s.analyze(ctx, q, points)
	if err != nil {
		return err
	}
	out := q.appendJSON(nil, found)
	out = numfmt.AppendJSON(append(out, `,"analysis_time_ms":`...), milliseconds(s.options.Now().Sub(r.received)))
	r.respondLarge(typeJSON, append(out, "}\n"...))
	return nil
}

// seriesPoints are the points of a series, in time order.
type seriesPoints struct {
	tags   model.Tags
	times  []int64
	values []float64
}

// pointsToAnalyze are the points of a request's series.
type pointsToAnalyze struct {
	series []*seriesPoints
	total  int
	held   int  // points for which memory is set aside, also after an error
	exact  bool // see engine.AggregateResult
}

// readPoints reads the samples, or the buckets' values, up to maxAnalyzedPoints of them. The caller releases the
// memory that it sets aside for them, also after an error.
func (s *Server) readPoints(ctx context.Context, q *anomalyQuery) (*pointsToAnalyze, error) {
	p := &pointsToAnalyze{exact: true}
	var last model.SeriesID
	add := func(series model.Series, times []int64, values []float64) error {
		if len(p.series) == 0 || last != series.ID {
			p.series = append(p.series, &seriesPoints{tags: series.Tags})
			last = series.ID
		}
		if p.total += len(times); p.total > maxAnalyzedPoints {
			return limitExceeded("There are too many points to analyze", "points of an analysis", maxAnalyzedPoints, int64(p.total),
				"ask for a shorter range or fewer series, or give a granularity, such as 1m, whose points count instead of samples")
		}
		if !s.memory.acquire(int64(len(times)) * heldPointBytes) {
			return errNoMemory
		}
		p.held += len(times)
		one := p.series[len(p.series)-1]
		one.times, one.values = append(one.times, times...), append(one.values, values...)
		return nil
	}
	if q.raw {
		return p, s.db.Scan(ctx, q.selection, add)
	}
	var err error
	p.exact, err = s.db.ScanBuckets(ctx, engine.AggregateRequest{Selection: q.selection, Edges: q.edges, Functions: q.functions},
		func(series model.Series, g engine.Group) error {
			times, values := make([]int64, 0, len(g.Buckets)), make([]float64, 0, len(g.Buckets))
			for i, bucket := range g.Buckets {
				if !engine.IsMissing(g.Values[i]) {
					times, values = append(times, q.edges[bucket]), append(values, g.Values[i])
				}
			}
			return add(series, times, values)
		})
	return p, err
}

// anomaly is an anomaly with the series that it was found in.
type anomaly struct {
	analysis.Anomaly
	series   *seriesPoints
	number   int // of the series
	baseline float64
}

// anomalies is what an analysis found.
type anomalies struct {
	list     []anomaly // the highest score first; equal ones by time, then by series
	points   int       // analyzed
	analyzed int       // series
	tooShort int       // series that have too few points
	exact    bool
}

// analyze looks at the series one by one; each is spread over the processors.
func (s *Server) analyze(ctx context.Context, q *anomalyQuery, p *pointsToAnalyze) (*anomalies, error) {
	longest := 0
	for _, one := range p.series {
		longest = max(longest, len(one.times))
	}
	if !s.memory.acquire(int64(longest) * analysisBytes) {
		return nil, errNoMemory
	}
	defer s.memory.release(int64(longest) * analysisBytes)
	found := &anomalies{exact: p.exact}
	for number, one := range p.series {
		result, err := analysis.Detect(ctx, one.times, one.values, q.options)
		if err != nil {
			return nil, err
		}
		if result.Points == 0 {
			found.tooShort++
			continue
		}
		found.analyzed++
		found.points += result.Points
		for _, a := range result.Anomalies {
			found.list = append(found.list, anomaly{a, one, number, result.Baseline})
		}
	}
	slices.SortFunc(found.list, func(a, b anomaly) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.time(), b.time()), cmp.Compare(a.number, b.number))
	})
	return found, nil
}

func (a *anomaly) time() int64 { return a.series.times[a.Index] }

// appendJSON appends the answer up to, but without, analysis_time_ms and the closing brace.
func (q *anomalyQuery) appendJSON(dst []byte, found *anomalies) []byte {
	shown := found.list[:min(len(found.list), q.limit)]
	dst = append(slices.Grow(dst, len(shown)*anomalyBytes+256), `{"anomalies":[`...)
	for i := range shown {
		dst = q.appendAnomaly(appendComma(dst, i), &shown[i])
	}
	dst = strconv.AppendInt(append(dst, `],"total_anomalies":`...), int64(len(found.list)), 10)
	dst = appendJSONString(append(dst, `,"algorithm":`...), q.options.Algorithm.String())
	dst = appendNullableString(append(dst, `,"granularity":`...), q.granularity)
	dst = strconv.AppendInt(append(dst, `,"series_analyzed":`...), int64(found.analyzed), 10)
	dst = strconv.AppendInt(append(dst, `,"series_too_short":`...), int64(found.tooShort), 10)
	dst = strconv.AppendInt(append(dst, `,"points_analyzed":`...), int64(found.points), 10)
	return appendExactness(dst, &engine.AggregateResult{Exact: found.exact})
}

func (q *anomalyQuery) appendAnomaly(dst []byte, a *anomaly) []byte {
	dst = q.epoch.appendJSON(append(dst, `{"timestamp":`...), a.time())
	dst = numfmt.AppendJSON(append(dst, `,"value":`...), a.series.values[a.Index])
	dst = numfmt.AppendJSON(append(dst, `,"score":`...), a.Score)
	dst = appendJSONString(append(dst, `,"severity":`...), a.Severity.String())
	dst = numfmt.AppendJSON(append(dst, `,"context":{"baseline_avg":`...), a.baseline)
	dst = numfmt.AppendJSON(append(dst, `,"deviation":`...), a.Deviation)
	dst = appendSourceAndTags(append(dst, "},"...), a.series.tags)
	return append(dst, '}')
}
