package httpapi

import (
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

func deleteRoutes() []route {
	return []route{{
		method: fasthttp.MethodDelete, path: "/metrics", about: "delete samples of a metric", role: roleAdmin, mutates: true,
		handler: (*Server).deleteMetrics,
	}}
}

// deletion is a parsed DELETE /metrics.
type deletion struct {
	selection engine.Selection
	all       bool // of the time
	dryRun    bool
}

// parseDeletion is stricter than other requests: nothing has a default, since a forgotten filter would cost
// data.
func parseDeletion(args *fasthttp.Args, now int64) (*deletion, error) {
	p, err := parseParams(args, paramSet{"metric": false, "source": false, "tags": true, "all": false, "dry_run": false}.withRange())
	if err != nil {
		return nil, err
	}
	for name, value := range args.All() {
		if len(value) == 0 && len(name) > 0 {
			return nil, invalidParameter(string(name), "", "it has no value, so it is unclear what is to be deleted")
		}
	}
	d := &deletion{}
	if _, d.selection.Matchers, err = parseSeries(p); err != nil {
		return nil, err
	}
	if d.dryRun, err = p.boolean("dry_run"); err != nil {
		return nil, err
	}
	if d.all, err = p.boolean("all"); err != nil {
		return nil, err
	}
	return d, d.parseRange(p, now)
}

// parseRange reads the range, both ends of which must be given, or else all=true.
func (d *deletion) parseRange(p params, now int64) error {
	from, to, err := p.rangeEnds()
	if err != nil {
		return err
	}
	switch {
	case d.all && from != "":
		return invalidParameter("all", "true", "it means all time, but "+from+" is given too")
	case d.all && to != "":
		return invalidParameter("all", "true", "it means all time, but "+to+" is given too")
	case d.all:
		d.selection.From, d.selection.To = model.MinTime, model.MaxTime
		return nil
	case from == "" && to == "":
		return missingParameter("from", "give both from and to, or all=true for all time")
	case from == "":
		return missingParameter("from", "only "+to+" is given; give both from and to, or all=true for all time")
	case to == "":
		return missingParameter("to", "only "+from+" is given; give both from and to, or all=true for all time")
	}
	d.selection.From, d.selection.To, err = p.timeRange(now)
	return err
}

// deleteAnswer says what a delete hid. The times are the ends of the range that was really deleted; see
// engine.DeleteResult. They are null for all=true, which has no ends.
type deleteAnswer struct {
	Status        string  `json:"status"` // success, or dry_run: nothing was changed
	Series        int     `json:"series"`
	SamplesHidden int64   `json:"samples_hidden"`
	From          *string `json:"from"`
	To            *string `json:"to"`
}

// deleteMetrics answers DELETE /metrics.
func (s *Server) deleteMetrics(r *request) error {
	d, err := parseDeletion(r.http.QueryArgs(), r.received.UnixNano())
	if err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	result, err := s.db.Delete(ctx, d.selection, d.dryRun)
	if err != nil {
		return err
	}
	answer := deleteAnswer{Status: "success", Series: result.Series, SamplesHidden: result.Samples}
	if d.dryRun {
		answer.Status = "dry_run"
	}
	if !d.all {
		from, to := formatTime(result.From), formatTime(result.To)
		answer.From, answer.To = &from, &to
	}
	r.respondValue(fasthttp.StatusOK, answer)
	return nil
}
