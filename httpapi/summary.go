package httpapi

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

// summary is a parsed GET /metrics/summary.
type summary struct {
	metric, source string
	selection      engine.Selection
	grouping
	epoch       epochUnit
	timeout     time.Duration
	functions   []engine.Function // statistics, then the percentiles
	percentiles []string          // as the answer names them
}

// statistics are what a summary begins with, by the names of the answer. The percentiles follow.
var statistics = [...]struct {
	name     string
	function engine.Function
}{
	{"count", engine.Function{Kind: engine.Count}},
	{"min", engine.Function{Kind: engine.Min}},
	{"max", engine.Function{Kind: engine.Max}},
	{"avg", engine.Function{Kind: engine.Avg}},
	{"median", engine.Function{Kind: engine.Quantile, Quantile: 0.5}},
	{"std_dev", engine.Function{Kind: engine.Stddev}},
}

// defaultPercentiles are those of a summary that asks for none.
var defaultPercentiles = []string{"50", "90", "95", "99"}

func summaryParams() paramSet {
	return paramSet{
		"metric": false, "source": false, "tags": true, "percentiles": true, "group_by": true, "epoch": false, "timeout": false,
	}.withRange()
}

func parseSummary(args *fasthttp.Args, now int64, maxTimeout time.Duration) (*summary, error) {
	p, err := parseParams(args, summaryParams())
	if err != nil {
		return nil, err
	}
	q := &summary{source: p.get("source")}
	if q.metric, q.selection.Matchers, err = parseSeries(p); err != nil {
		return nil, err
	}
	if q.selection.From, q.selection.To, err = p.timeRange(now); err != nil {
		return nil, err
	}
	if err := q.parsePercentiles(p); err != nil {
		return nil, err
	}
	if err := q.parseGroups(p); err != nil {
		return nil, err
	}
	if q.epoch, err = parseEpoch(p); err != nil {
		return nil, err
	}
	q.timeout, err = parseTimeout(p, maxTimeout)
	return q, err
}

// parsePercentiles reads a list such as 50,99.9; p99.9 is understood too.
func (q *summary) parsePercentiles(p params) error {
	given, err := p.list("percentiles")
	if err != nil {
		return err
	}
	if len(given) > maxAggregations {
		return invalidParameter("percentiles", p.get("percentiles"), "there are more than "+strconv.Itoa(maxAggregations))
	}
	if len(given) == 0 {
		given = defaultPercentiles
	}
	for _, known := range statistics {
		q.functions = append(q.functions, known.function)
	}
	for _, text := range given {
		name := "p" + strings.TrimPrefix(text, "p")
		function, err := engine.ParseFunction(name)
		if err != nil {
			return invalidParameter("percentiles", text, "use numbers from 0 to 100, such as 50,99.9")
		}
		q.functions, q.percentiles = append(q.functions, function), append(q.percentiles, name)
	}
	return nil
}

// getSummary answers GET /metrics/summary: the range is one bucket of which several functions are wanted.
func (s *Server) getSummary(r *request) error {
	q, err := parseSummary(r.http.QueryArgs(), r.received.UnixNano(), s.options.QueryTimeout)
	if err != nil {
		return err
	}
	ctx, cancel := r.context(q.timeout)
	defer cancel()
	result, err := s.db.Aggregate(ctx, engine.AggregateRequest{
		Selection: q.selection, Edges: []int64{q.selection.From, q.selection.To}, Functions: q.functions,
		GroupBy: q.groupBy, GroupAll: q.groupAll,
	})
	if err != nil {
		return err
	}
	noteAggregate(ctx, result)
	if values := len(result.Groups) * len(q.functions); values > maxAnswerValues {
		return answerTooLarge(values, "use fewer groups or fewer percentiles")
	}
	out := q.appendJSON(r.takeBody(), result)
	out = appendQueryTime(out, s.options.Now().Sub(r.received))
	r.respondTaken(typeJSON, append(out, "}\n"...))
	return nil
}

// appendJSON appends the answer up to, but without, query_time_ms and the closing brace.
func (q *summary) appendJSON(dst []byte, result *engine.AggregateResult) []byte {
	dst = appendJSONString(append(dst, `{"metric":`...), q.metric)
	dst = appendNullableString(append(dst, `,"source":`...), q.source)
	dst = appendNullableString(append(dst, `,"unit":`...), result.Unit)
	dst = q.epoch.appendJSON(append(dst, `,"time_range":{"from":`...), q.selection.From)
	dst = q.epoch.appendJSON(append(dst, `,"to":`...), q.selection.To)
	dst = append(dst, '}')
	if q.grouped() {
		dst = append(dst, `,"series":[`...)
		for i, group := range result.Groups {
			dst = appendSourceAndTags(append(appendComma(dst, i), '{'), group.Tags)
			dst = q.appendStatistics(append(dst, ','), group.Values)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	} else {
		var values []float64
		if len(result.Groups) > 0 {
			values = result.Groups[0].Values
		}
		dst = q.appendStatistics(append(dst, ','), values)
	}
	if result.Exact {
		return append(dst, `,"method":"exact","error_bound":0`...)
	}
	return appendExactness(dst, result)
}

// appendStatistics appends the member "statistics". values are those of the functions; none: nothing was
// found.
func (q *summary) appendStatistics(dst []byte, values []float64) []byte {
	dst = append(dst, `"statistics":{`...)
	for i, known := range statistics {
		dst = appendJSONString(appendComma(dst, i), known.name)
		dst = append(dst, ':')
		if known.function.Kind == engine.Count && values == nil {
			dst = append(dst, '0')
			continue
		}
		dst = appendNth(dst, values, i)
	}
	dst = append(dst, `,"percentiles":{`...)
	for i, name := range q.percentiles {
		dst = append(appendJSONString(appendComma(dst, i), name), ':')
		dst = appendNth(dst, values, len(statistics)+i)
	}
	return append(dst, "}}"...)
}

// appendNth appends a value, or null if there are none.
func appendNth(dst []byte, values []float64, i int) []byte {
	if values == nil {
		return append(dst, "null"...)
	}
	return appendValue(dst, values[i])
}
