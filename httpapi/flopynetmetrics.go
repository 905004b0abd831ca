package httpapi

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/model"
)

// Limits of GET /api/metrics. What asks for more gets the most, as it always did there; the answer says so.
const (
	defaultHistoryRows = 100
	maxHistoryRows     = 1000
	maxHistoryOffset   = 1 << 31
)

func flopynetMetricsRoutes() []route {
	return []route{
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics", about: "what was measured of the components, interval by interval", role: roleRead, query: true,
			handler: (*Server).getHistory},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics/latest", about: "what was measured last of a component", role: roleRead, query: true,
			openHead: true, handler: (*Server).getLatestRow},
	}
}

// historyAnswer is the answer of GET /api/metrics.
type historyAnswer struct {
	Status          string                 `json:"status"`
	Count           int                    `json:"count"`
	Offset          int                    `json:"offset"`
	Limit           int                    `json:"limit"`
	Total           int                    `json:"total"`
	IntervalSeconds float64                `json:"interval_seconds"`
	Metrics         []*flopynet.HistoryRow `json:"metrics"`
}

// getHistory answers GET /api/metrics.
func (s *Server) getHistory(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), paramSet{
		"type": false, "metric_type": false, "source_component": false, "component": false, "limit": false, "offset": false, "sort_desc": false,
	}.withRange())
	if err != nil {
		return err
	}
	q, err := parseHistory(p, r.received.UnixNano())
	if err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	history, err := s.testbed.History(ctx, q)
	if err != nil {
		return err
	}
	r.respondLarge(typeJSON, appendJSON(nil, historyAnswer{
		Status: "success", Count: len(history.Rows), Offset: q.Offset, Limit: q.Limit, Total: history.Total,
		IntervalSeconds: history.Interval.Seconds(), Metrics: history.Rows,
	}))
	return nil
}

// parseHistory reads the parameters. FLOPY-NET's dashboard has two names for some of them.
func parseHistory(p params, now int64) (q flopynet.HistoryQuery, err error) {
	q.Type, q.Component = p.get(p.firstOf("type", "metric_type")), p.get(p.firstOf("source_component", "component"))
	if q.From, q.To, err = historyRange(p, now); err != nil {
		return q, err
	}
	if q.Limit, err = p.integer("limit", 0, maxHistoryOffset, defaultHistoryRows); err != nil {
		return q, err
	}
	q.Limit = min(q.Limit, maxHistoryRows)
	if q.Offset, err = p.integer("offset", 0, maxHistoryOffset, 0); err != nil {
		return q, err
	}
	descending, err := p.spokenBoolean("sort_desc", true)
	q.Ascending = !descending
	return q, err
}

// historyRange reads the range, of which the begin may be left open: 0.
func historyRange(p params, now int64) (from, to int64, err error) {
	fromName, _, err := p.rangeEnds()
	if err != nil {
		return 0, 0, err
	}
	from, to, err = p.timeRange(now)
	if fromName == "" {
		return 0, to, err
	}
	return max(from, 1), to, err // the epoch's begin is no open one
}

// spokenBoolean reads true or false in any of the spellings that Python's programs have for them.
func (p params) spokenBoolean(name string, fallback bool) (bool, error) {
	given := p.get(name)
	switch word := strings.ToLower(given); {
	case word == "":
		return fallback, nil
	case slices.Contains([]string{"true", "1", "t", "yes"}, word):
		return true, nil
	case slices.Contains([]string{"false", "0", "f", "no"}, word):
		return false, nil
	}
	return false, invalidParameter(name, given, "use true or false")
}

// latestAnswer is the answer of GET /api/metrics/latest, but for the FL server's.
type latestAnswer struct {
	Status    string `json:"status"`
	Message   string `json:"message,omitempty"`
	Timestamp string `json:"timestamp"`
	Metrics   any    `json:"metrics"`
}

// getLatestRow answers GET /api/metrics/latest.
func (s *Server) getLatestRow(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), paramSet{"type": false, "metric_type": false})
	if err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	wanted, to := p.get(p.firstOf("type", "metric_type")), model.MaxTime+1 // also what the clock of a peer that runs ahead has stamped
	switch {
	case strings.EqualFold(wanted, flopynet.FLServer):
		latest, err := s.testbed.LatestFL(ctx, to)
		if err != nil {
			return err
		}
		r.respondValue(fasthttp.StatusOK, latest)
		return nil
	case strings.EqualFold(wanted, flopynet.MetricType(flopynet.SDNController)):
		latest, err := s.testbed.LatestNetwork(ctx, to)
		if err != nil {
			return err
		}
		r.respondValue(fasthttp.StatusOK, latestAnswer{Status: "success", Timestamp: latest.Timestamp, Metrics: latest})
		return nil
	}
	row, err := s.testbed.LatestRow(ctx, wanted, to)
	switch {
	case err != nil:
		return err
	case row == nil:
		r.respondValue(fasthttp.StatusOK, latestAnswer{Status: "success", Message: "No metrics found", Timestamp: formatTime(r.received.UnixNano()), Metrics: struct{}{}})
	default:
		r.respondValue(fasthttp.StatusOK, latestAnswer{Status: "success", Timestamp: row.Timestamp, Metrics: row})
	}
	return nil
}

// present answers HEAD where nothing but that is asked: whether we are here. It tells nothing that would need a key.
func (s *Server) present(r *request) error {
	r.respond(fasthttp.StatusOK, typeJSON, nil)
	return nil
}
