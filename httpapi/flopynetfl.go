package httpapi

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/flopynet"
)

// Limits of rounds in an answer; a larger limit means the most.
const (
	defaultFLMetrics = 100
	maxFLMetrics     = 1000
	defaultFLRounds  = 1000
	maxFLRounds      = 10_000
	maxRound         = 1_000_000_000
)

func flopynetFLRoutes() []route {
	return []route{
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics/fl", about: "the newest rounds of training", role: roleRead, query: true, handler: (*Server).getFLMetrics},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics/fl/rounds", about: "rounds of training, by number", role: roleRead, query: true, handler: (*Server).getFLRounds},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics/fl/status", about: "how the training does", role: roleRead, handler: (*Server).getFLMonitoring},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics/fl/config", about: "how the training is configured", role: roleRead, handler: (*Server).getFLConfig},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics/fl/summary", about: "the training in a few numbers", role: roleRead, query: true, handler: (*Server).getFLSummary},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/metrics/fl/chart-data", about: "the newest rounds, for a chart", role: roleRead, query: true, handler: (*Server).getFLChart},
	}
}

// clamped reads a whole number of at least low. What is above high means high.
func (p params) clamped(name string, low, high, fallback int) (int, error) {
	text := p.get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < int64(low) {
		return 0, invalidParameter(name, text, "use a whole number from "+strconv.Itoa(low)+" on")
	}
	return int(min(n, int64(high))), nil
}

// decimal reads a number, nil if it was not given.
func (p params) decimal(name string) (*float64, error) {
	text := p.get(name)
	if text == "" {
		return nil, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return nil, invalidParameter(name, text, "use a number")
	}
	return &value, nil
}

// training reads which training is meant.
func (p params) training() (int, error) {
	switch text := p.get("training"); text {
	case "", "latest":
		return 0, nil
	case "all":
		return flopynet.AllTrainings, nil
	default:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, invalidParameter("training", text, "use latest, all, or a number from 1 on")
		}
		return n, nil
	}
}

// roundNumbers reads the parameters first and last into a query.
func (p params) roundNumbers(first, last string, q *flopynet.RoundsQuery) (err error) {
	if q.From, err = p.clamped(first, 0, maxRound, 0); err != nil {
		return err
	}
	if q.To, err = p.clamped(last, 0, maxRound, 0); err != nil {
		return err
	}
	if p.get(last) != "" && q.To == 0 {
		q.From = maxRound // rounds begin at 1
	}
	return nil
}

// roundTimes reads a range of time into a query; without one it is about all time.
func (p params) roundTimes(now int64, q *flopynet.RoundsQuery) error {
	fromName, toName, err := p.rangeEnds()
	if err != nil {
		return err
	}
	if fromName != "" {
		if q.FromTime, err = p.time(fromName, now); err != nil {
			return err
		}
	}
	if toName == "" {
		return nil
	}
	if q.ToTime, err = p.time(toName, now); err != nil {
		return err
	}
	if q.FromTime >= q.ToTime {
		return invalidTimeRange(q.FromTime, q.ToTime)
	}
	return nil
}

// sinceRequest is how long a request has taken, in milliseconds.
func (s *Server) sinceRequest(r *request) float64 {
	return float64(s.options.Now().Sub(r.received).Microseconds()) / float64(time.Millisecond/time.Microsecond)
}

// respondFL answers with what tells of the training as a whole.
func (r *request) respondFL(value any) error {
	r.respondLarge(typeJSON, append(appendJSON(nil, value), '\n'))
	return nil
}

// getFLMetrics answers GET /api/metrics/fl.
func (s *Server) getFLMetrics(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), paramSet{
		"limit": false, "min_round": false, "max_round": false, "include_raw": false, "training": false,
	}.withRange())
	if err != nil {
		return err
	}
	var q flopynet.RoundsQuery
	if q.Limit, err = p.clamped("limit", 1, maxFLMetrics, defaultFLMetrics); err != nil {
		return err
	}
	if q.Training, err = p.training(); err != nil {
		return err
	}
	if err := p.roundNumbers("min_round", "max_round", &q); err != nil {
		return err
	}
	if err := p.roundTimes(r.received.UnixNano(), &q); err != nil {
		return err
	}
	if q.WithMetrics, err = p.spokenBoolean("include_raw", false); err != nil {
		return err
	}
	answer, err := s.testbed.FLMetrics(q)
	if err != nil {
		return err
	}
	return r.respondListed(struct {
		flopynet.FLMetrics
		ExecutionTimeMS float64 `json:"execution_time_ms"`
	}{answer, s.sinceRequest(r)}, flopynet.MetricBytes(answer.Metrics))
}

// getFLMonitoring answers GET /api/metrics/fl/status.
func (s *Server) getFLMonitoring(r *request) error {
	if _, err := knownParams(r.http.QueryArgs(), paramSet{}); err != nil {
		return err
	}
	answer, err := s.testbed.FLMonitoring()
	if err != nil {
		return err
	}
	return r.respondFL(answer)
}

// getFLConfig answers GET /api/metrics/fl/config.
func (s *Server) getFLConfig(r *request) error {
	if _, err := knownParams(r.http.QueryArgs(), paramSet{}); err != nil {
		return err
	}
	answer := s.testbed.FLConfig()
	answer.Metadata.ExecutionTimeMS = s.sinceRequest(r)
	return r.respondFL(answer)
}

// getFLSummary answers GET /api/metrics/fl/summary, of the newest rounds up to the limit.
func (s *Server) getFLSummary(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), paramSet{"limit": false})
	if err != nil {
		return err
	}
	limit, err := p.clamped("limit", 1, maxFLRounds, defaultFLRounds)
	if err != nil {
		return err
	}
	answer, err := s.testbed.FLSummary(limit)
	if err != nil {
		return err
	}
	return r.respondFL(answer)
}
