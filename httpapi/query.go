package httpapi

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/numfmt"
)

// maxAnswerValues bounds the values in an answer, which is built in memory.
const maxAnswerValues = 2_000_000

func queryRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/metrics/query", about: "samples of a metric, raw or aggregated", role: roleRead, query: true,
			handler: (*Server).getQuery},
		{method: fasthttp.MethodGet, path: "/metrics/summary", about: "statistics and percentiles of a metric", role: roleRead, query: true,
			handler: (*Server).getSummary},
	}
}

// getQuery answers GET /metrics/query.
func (s *Server) getQuery(r *request) error {
	q, err := parseQuery(r.http.QueryArgs(), string(r.http.Request.Header.Peek(fasthttp.HeaderAccept)),
		r.received.UnixNano(), s.options.QueryTimeout)
	if err != nil {
		return err
	}
	ctx, cancel := r.context(q.timeout)
	defer cancel()
	if q.csv {
		a, err := s.answer(ctx, q)
		if err != nil {
			return err
		}
		size := a.textBytes()
		if err := r.hold(size); err != nil {
			return err
		}
		a.setHeaders(&r.http.Response.Header)
		r.respondLarge(typeCSV, a.appendCSV(make([]byte, 0, size)))
		return nil
	}
	out, _, err := s.appendAnswer(ctx, r, r.takeBody(), q, r.received)
	if err != nil {
		return err
	}
	r.respondTaken(typeJSON, append(out, '\n'))
	return nil
}

// appendAnswer appends a query's answer as a JSON object, with the time it took since it began. values is how
// many it has.
func (s *Server) appendAnswer(ctx context.Context, r *request, dst []byte, q *query, began time.Time) (_ []byte, values int, err error) {
	asked := s.options.Now()
	a, err := s.answer(ctx, q)
	if err != nil {
		return dst, 0, err
	}
	answered := s.options.Now()
	size := a.textBytes()
	if err := r.hold(size); err != nil {
		return dst, 0, err
	}
	dst = a.appendJSON(slices.Grow(dst, int(size)))
	now := s.options.Now()
	if q.explain {
		dst = append(dst, `,"explain":`...)
		dst = appendJSON(dst, s.explain(a, answered.Sub(asked), now.Sub(answered)))
	}
	return append(appendQueryTime(dst, now.Sub(began)), '}'), a.values, nil
}

func appendQueryTime(dst []byte, took time.Duration) []byte {
	return numfmt.AppendJSON(append(dst, `,"query_time_ms":`...), milliseconds(took))
}

// setHeaders tells with CSV what has no place in it.
func (a *answer) setHeaders(header *fasthttp.ResponseHeader) {
	if a.nextCursor != "" {
		header.Set("X-Next-Cursor", a.nextCursor)
	}
	if a.aggregated == nil || a.aggregated.Exact {
		return
	}
	header.Set("X-Exact", "false")
	if a.aggregated.Sketched {
		header.Set("X-Error-Bound", strconv.FormatFloat(a.aggregated.ErrorBound, 'g', -1, 64))
	}
}

// appendExactness appends in what an answer differs from one that was computed of the samples themselves:
// nothing as a rule.
func appendExactness(dst []byte, result *engine.AggregateResult) []byte {
	if result.Exact {
		return dst
	}
	dst = append(dst, `,"exact":false`...)
	if result.Sketched {
		dst = append(dst, `,"method":"sketch","error_bound":`...)
		dst = numfmt.AppendJSON(dst, result.ErrorBound)
	}
	return dst
}

// answer is what a query found, before it is spelt as JSON or CSV.
type answer struct {
	query      *query
	unit       string
	samples    *engine.SamplesResult   // of a raw query
	aggregated *engine.AggregateResult // of an aggregation
	groups     []series                // of the same, filled
	values     int
	nextCursor string
}

// answer asks the engine.
func (s *Server) answer(ctx context.Context, q *query) (*answer, error) {
	if q.raw {
		result, err := s.db.Samples(ctx, engine.SamplesRequest{Selection: q.selection, Limit: q.limit, After: q.after})
		if err != nil {
			return nil, err
		}
		noteRead(ctx, len(result.Series), len(result.Rows))
		return rawAnswer(q, result), nil
	}
	result, err := s.db.Aggregate(ctx, engine.AggregateRequest{
		Selection: q.selection, Edges: q.edges, Functions: q.functions, GroupBy: q.groupBy, GroupAll: q.groupAll,
	})
	if err != nil {
		return nil, err
	}
	noteAggregate(ctx, result)
	return aggregateAnswer(q, result)
}

func rawAnswer(q *query, result *engine.SamplesResult) *answer {
	a := &answer{query: q, samples: result, values: len(result.Rows)}
	for _, matching := range result.Series {
		if matching.Unit != "" {
			a.unit = matching.Unit
			break
		}
	}
	if result.More {
		a.nextCursor = q.cursor(result.Next)
	}
	return a
}

// aggregateAnswer fills the groups' gaps as the query says. A group without a single sample in the range
// is left out, whatever the query fills gaps with.
func aggregateAnswer(q *query, result *engine.AggregateResult) (*answer, error) {
	a := &answer{query: q, unit: result.Unit, aggregated: result}
	for _, group := range result.Groups {
		if len(group.Buckets) == 0 {
			continue
		}
		points := len(group.Buckets)
		if q.fill.kind != fillNone {
			points = len(q.edges) - 1
		}
		if a.values += points * len(q.functions); a.values > maxAnswerValues {
			return nil, answerTooLarge(a.values, "use a coarser granularity, a shorter range, fewer groups or fewer aggregations")
		}
		if filled := fillGroup(group, len(q.edges)-1, len(q.functions), q.fill, q.edges); len(filled.buckets) > 0 {
			a.groups = append(a.groups, filled)
		}
	}
	return a, nil
}

func answerTooLarge(values int, advice string) error {
	return limitExceeded("The answer is too large", "values in an answer", maxAnswerValues, int64(values), advice)
}
