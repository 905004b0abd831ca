package httpapi

import (
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

// Limits of the lists of GET /metrics/cardinality.
const (
	defaultCardinalities = 10
	maxCardinalities     = 1000
)

func cardinalityRoutes() []route {
	return []route{{
		method: fasthttp.MethodGet, path: "/metrics/cardinality", about: "the names and tags that most series are made of",
		role: roleRead, handler: (*Server).getCardinality,
	}}
}

// cardinalityAnswer is the answer of GET /metrics/cardinality. Lists begin with the largest.
type cardinalityAnswer struct {
	TotalSeries int               `json:"total_series"`
	TotalNames  int               `json:"total_names"`
	TotalKeys   int               `json:"total_keys"`
	TotalValues int               `json:"total_values"`
	Names       []nameCardinality `json:"names"`
	Keys        []keyCardinality  `json:"keys"`   // by the number of their values
	Values      []tagCardinality  `json:"values"` // by the number of series that have them
}

type nameCardinality struct {
	Name   string `json:"name"`
	Series int    `json:"series"`
}

type keyCardinality struct {
	Key    string `json:"key"`
	Values int    `json:"values"`
	Series int    `json:"series"`
}

type tagCardinality struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Series int    `json:"series"`
}

// getCardinality answers GET /metrics/cardinality.
func (s *Server) getCardinality(r *request) error {
	p, err := parseParams(r.http.QueryArgs(), paramSet{"limit": false, "timeout": false}.withRange())
	if err != nil {
		return err
	}
	from, to, err := p.timeRangeOrAll(r.received.UnixNano())
	if err != nil {
		return err
	}
	limit, err := p.integer("limit", 1, maxCardinalities, defaultCardinalities)
	if err != nil {
		return err
	}
	timeout, err := parseTimeout(p, s.options.QueryTimeout)
	if err != nil {
		return err
	}
	ctx, cancel := r.context(timeout)
	defer cancel()
	report, err := s.db.Cardinality(ctx, from, to, limit)
	if err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, cardinalityOf(&report))
	return nil
}

func cardinalityOf(report *engine.CardinalityReport) cardinalityAnswer {
	answer := cardinalityAnswer{
		TotalSeries: report.Series, TotalNames: report.NameCount, TotalKeys: report.KeyCount, TotalValues: report.TagCount,
		Names:  make([]nameCardinality, len(report.Names)),
		Keys:   make([]keyCardinality, len(report.Keys)),
		Values: make([]tagCardinality, len(report.Tags)),
	}
	for i, n := range report.Names {
		answer.Names[i] = nameCardinality{Name: n.Name, Series: n.Series}
	}
	for i, k := range report.Keys {
		answer.Keys[i] = keyCardinality{Key: k.Key, Values: k.Values, Series: k.Series}
	}
	for i, t := range report.Tags {
		answer.Values[i] = tagCardinality{Key: t.Key, Value: t.Value, Series: t.Series}
	}
	return answer
}
