package httpapi

import (
	"context"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

// maxAnswerValues bounds the values in an answer, which is built in memory.
const maxAnswerValues = 2_000_000

func queryRoutes() []route {
	return []route{{
		method:  fasthttp.MethodGet,
		path:    "/metrics/query",
		about:   "samples of a metric, raw or aggregated",
		handler: (*Server).getQuery,
	}}
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
	a, err := s.answer(ctx, q)
	if err != nil {
		return err
	}
	if q.csv {
		if a.nextCursor != "" {
			r.http.Response.Header.Set("X-Next-Cursor", a.nextCursor)
		}
		r.respondLarge(typeCSV, a.appendCSV(nil))
		return nil
	}
	out := a.appendJSON(nil)
	milliseconds := float64(s.options.Now().Sub(r.received).Microseconds()) / 1000
	out = append(out, `,"query_time_ms":`...)
	out = appendJSONFloat(out, milliseconds)
	r.respondLarge(typeJSON, append(out, "}\n"...))
	return nil
}

// answer is what a query found, before it is spelt as JSON or CSV.
type answer struct {
	query      *query
	unit       string
	samples    *engine.SamplesResult // of a raw query
	groups     []series              // of an aggregation
	nextCursor string
}

// answer asks the engine.
func (s *Server) answer(ctx context.Context, q *query) (*answer, error) {
	if q.raw {
		result, err := s.db.Samples(ctx, engine.SamplesRequest{Selection: q.selection, Limit: q.limit, After: q.after})
		if err != nil {
			return nil, err
		}
		return rawAnswer(q, result), nil
	}
	result, err := s.db.Aggregate(ctx, engine.AggregateRequest{
		Selection: q.selection, Edges: q.edges, Functions: q.functions, GroupBy: q.groupBy, GroupAll: q.groupAll,
	})
	if err != nil {
		return nil, err
	}
	return aggregateAnswer(q, result)
}

func rawAnswer(q *query, result *engine.SamplesResult) *answer {
	a := &answer{query: q, samples: result}
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
	a := &answer{query: q, unit: result.Unit}
	values := 0
	for _, group := range result.Groups {
		if len(group.Buckets) == 0 {
			continue
		}
		points := len(group.Buckets)
		if q.fill.kind != fillNone {
			points = len(q.edges) - 1
		}
		if values += points * len(q.functions); values > maxAnswerValues {
			return nil, limitExceeded("The answer is too large", "values in an answer", maxAnswerValues, int64(values),
				"use a coarser granularity, a shorter range, fewer groups or fewer aggregations")
		}
		if filled := fillGroup(group, len(q.edges)-1, len(q.functions), q.fill, q.edges); len(filled.buckets) > 0 {
			a.groups = append(a.groups, filled)
		}
	}
	return a, nil
}
