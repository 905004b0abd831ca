package httpapi

import (
	"slices"
	"strings"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/timefmt"
)

// roundsRequest is a request for rounds.
type roundsRequest struct {
	query     flopynet.RoundsQuery
	format    string // detailed, summary or chart
	order     string // asc or desc
	source    string // which the old collector could be told; here there is one
	since     *int   // rounds after this one
	withStats bool
	withChart bool
	polling   bool
}

func roundsParams() paramSet {
	return paramSet{
		"start_round": false, "end_round": false, "limit": false, "offset": false, "min_accuracy": false, "max_accuracy": false, "source": false,
		"format": false, "sort_order": false, "since_round": false, "since_timestamp": false, "include_stats": false, "include_charts": false,
		"polling_mode": false, "training": false,
	}
}

func parseRounds(p params, now int64) (*roundsRequest, error) {
	req := &roundsRequest{
		format: "detailed", order: "asc", source: "both",
	}
	for name, into := range map[string]*bool{"include_stats": &req.withStats, "include_charts": &req.withChart, "polling_mode": &req.polling} {
		var err error
		if *into, err = p.spokenBoolean(name, false); err != nil {
			return nil, err
		}
	}
	q := &req.query
	for _, word := range []struct {
		name  string
		into  *string
		words []string
	}{
		{"format", &req.format, []string{"detailed", "summary", "chart"}}, {"sort_order", &req.order, []string{"asc", "desc"}},
		{"source", &req.source, []string{"both", "collector", "fl_server"}},
	} {
		given := strings.ToLower(p.get(word.name))
		switch {
		case given == "":
		case !slices.Contains(word.words, given):
			return nil, invalidParameter(word.name, p.get(word.name), "use one of "+strings.Join(word.words, ", "))
		default:
			*word.into = given
		}
	}
	q.Descending, q.WithMetrics, q.WithoutParts = req.order == "desc", req.format == "detailed", req.format == "summary"
	err := p.roundNumbers("start_round", "end_round", q)
	if err != nil {
		return nil, err
	}
	if q.Limit, err = p.clamped("limit", 1, maxFLRounds, defaultFLRounds); err != nil {
		return nil, err
	}
	if q.Offset, err = p.clamped("offset", 0, maxRound, 0); err != nil {
		return nil, err
	}
	if q.MinAccuracy, err = p.decimal("min_accuracy"); err != nil {
		return nil, err
	}
	if q.MaxAccuracy, err = p.decimal("max_accuracy"); err != nil {
		return nil, err
	}
	if q.Training, err = p.training(); err != nil {
		return nil, err
	}
	return req, req.parseSince(p, now)
}

// parseSince reads what the rounds must come after.
func (req *roundsRequest) parseSince(p params, now int64) error {
	if p.get("since_round") != "" {
		since, err := p.clamped("since_round", 0, maxRound, 0)
		if err != nil {
			return err
		}
		req.since, req.query.From = &since, max(req.query.From, since+1)
	}
	if p.get("since_timestamp") == "" {
		return nil
	}
	at, err := p.time("since_timestamp", now)
	req.query.FromTime = at
	return err
}

// wholeNow spells the present in whole milliseconds.
func (s *Server) wholeNow() string {
	return string(timefmt.AppendTime(nil, s.options.Now().Truncate(time.Millisecond).UnixNano()))
}

// roundsAnswer is the answer to GET /api/metrics/fl/rounds.
type roundsAnswer struct {
	Rounds         []flopynet.FLRound          `json:"rounds"`
	TotalRounds    int                         `json:"total_rounds"` // that match, on all pages
	ReturnedRounds int                         `json:"returned_rounds"`
	LatestRound    int                         `json:"latest_round"` // of the newest training
	Pagination     pagination                  `json:"pagination"`
	Filters        roundFilters                `json:"filters"`
	SourcesUsed    map[string]int              `json:"sources_used"`
	ChartData      *chartData                  `json:"chart_data,omitempty"`
	Statistics     *flopynet.FLTrainingSummary `json:"statistics,omitempty"`
	Metadata       roundsMetadata              `json:"metadata"`
}

type pagination struct {
	Limit   int  `json:"limit"`
	Offset  int  `json:"offset"`
	HasMore bool `json:"has_more"`
}

type roundFilters struct {
	StartRound  int      `json:"start_round"`
	EndRound    *int     `json:"end_round"`
	MinAccuracy *float64 `json:"min_accuracy"`
	MaxAccuracy *float64 `json:"max_accuracy"`
	SinceRound  *int     `json:"since_round"`
	Source      string   `json:"source"`
	Format      string   `json:"format"`
	SortOrder   string   `json:"sort_order"`
	Training    string   `json:"training"`
}

type roundsMetadata struct {
	ExecutionTimeMS   float64 `json:"execution_time_ms"`
	ResponseTimestamp string  `json:"response_timestamp"`
	APIVersion        string  `json:"api_version"`
	Trainings         int     `json:"trainings"` // that there are
}

// chartData is rounds by columns.
type chartData struct {
	Rounds     []int     `json:"rounds"`
	Timestamps []any     `json:"timestamps"`
	Accuracy   []float64 `json:"accuracy"`
	Loss       []float64 `json:"loss"`
	Clients    []int     `json:"clients"`
}

func newChartData(rounds []flopynet.FLRound) *chartData {
	c := &chartData{Rounds: []int{}, Timestamps: []any{}, Accuracy: []float64{}, Loss: []float64{}, Clients: []int{}}
	for i := range rounds {
		r := &rounds[i]
		c.Rounds, c.Timestamps, c.Clients = append(c.Rounds, r.Round), append(c.Timestamps, r.Timestamp), append(c.Clients, r.Clients)
		c.Accuracy, c.Loss = append(c.Accuracy, r.Accuracy), append(c.Loss, r.Loss)
	}
	return c
}

// getFLRounds answers GET /api/metrics/fl/rounds.
func (s *Server) getFLRounds(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), roundsParams())
	if err != nil {
		return err
	}
	req, err := parseRounds(p, r.received.UnixNano())
	if err != nil {
		return err
	}
	found, err := s.testbed.FLRounds(req.query)
	if err != nil {
		return err
	}
	if req.polling && (req.since != nil || p.get("since_timestamp") != "") {
		return r.respondListed(s.roundUpdates(req, &found), flopynet.RoundBytes(found.Rounds))
	}
	q := &req.query
	answer := roundsAnswer{
		Rounds: found.Rounds, TotalRounds: found.Total, ReturnedRounds: len(found.Rounds), LatestRound: found.Latest,
		Pagination: pagination{q.Limit, q.Offset, q.Offset+len(found.Rounds) < found.Total},
		Filters: roundFilters{
			StartRound: max(q.From, 1), MinAccuracy: q.MinAccuracy, MaxAccuracy: q.MaxAccuracy, SinceRound: req.since, Source: req.source,
			Format: req.format, SortOrder: req.order, Training: "latest",
		},
		SourcesUsed: map[string]int{"fl_server_rounds": 0, "collector_rounds": len(found.Rounds), "merged_rounds": len(found.Rounds)},
		Metadata: roundsMetadata{
			ResponseTimestamp: s.wholeNow(), APIVersion: "2.0", Trainings: found.Trainings,
		},
	}
	if q.To > 0 {
		answer.Filters.EndRound = &q.To
	}
	if given := p.get("training"); given != "" {
		answer.Filters.Training = given
	}
	if req.format == "chart" || req.withChart {
		answer.ChartData = newChartData(found.Rounds)
	}
	if req.withStats {
		statistics := flopynet.SumUp(found.Rounds)
		answer.Statistics = &statistics
	}
	answer.Metadata.ExecutionTimeMS = s.sinceRequest(r)
	return r.respondListed(answer, flopynet.RoundBytes(found.Rounds))
}

// roundUpdates is the answer to who asks again and again for what is new.
type roundUpdates struct {
	NewRounds       []flopynet.FLRound `json:"new_rounds"`
	Count           int                `json:"count"`
	LatestCollector int                `json:"latest_round_collector"`
	LatestFLServer  int                `json:"latest_round_fl_server"`
	SinceRound      *int               `json:"since_round"`
	HasMore         bool               `json:"has_more"`
	Timestamp       string             `json:"timestamp"`
	PollingMode     bool               `json:"polling_mode"`
}

func (s *Server) roundUpdates(req *roundsRequest, found *flopynet.FLRounds) roundUpdates {
	return roundUpdates{
		NewRounds: found.Rounds, Count: len(found.Rounds), LatestCollector: found.Latest, LatestFLServer: s.testbed.FLStatus().CurrentRound,
		SinceRound: req.since, HasMore: req.query.Offset+len(found.Rounds) < found.Total,
		Timestamp: s.wholeNow(), PollingMode: true,
	}
}

// getFLChart answers GET /api/metrics/fl/chart-data: the newest rounds, in ascending order.
func (s *Server) getFLChart(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), paramSet{"limit": false, "include_details": false, "training": false})
	if err != nil {
		return err
	}
	details, err := p.spokenBoolean("include_details", false)
	if err != nil {
		return err
	}
	q := flopynet.RoundsQuery{WithoutParts: !details, WithMetrics: true}
	if q.Limit, err = p.clamped("limit", 1, maxFLRounds, defaultFLRounds); err != nil {
		return err
	}
	if q.Training, err = p.training(); err != nil {
		return err
	}
	found, err := s.testbed.LatestFLRounds(q)
	if err != nil {
		return err
	}
	return r.respondListed(struct {
		Rounds []flopynet.FLRound `json:"rounds"`
		Total  int                `json:"total"`
		Chart  *chartData         `json:"chart_data"`
	}{found.Rounds, found.Total, newChartData(found.Rounds)}, flopynet.RoundBytes(found.Rounds))
}
