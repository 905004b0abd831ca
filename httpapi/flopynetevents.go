package httpapi

import (
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/model"
)

// Limits of the lists under /api that FLOPY-NET's dashboard asks for. Its own collector has no upper ones; more is cut to ours.
const (
	defaultListedEvents    = 100
	maxListedEvents        = 10_000
	defaultListedDecisions = 500
	maxListedDecisions     = 10_000
)

func flopynetEventRoutes() []route {
	return []route{
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/events", about: "events of all components, the newest first", role: roleRead, handler: (*Server).getFlopynetEvents},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/events/summary", about: "how many events there are, by component and level", role: roleRead, handler: (*Server).getFlopynetSummary},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/events/data", about: "the newest events, as a bare array", role: roleRead, handler: (*Server).getFlopynetEventData},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/policy/decisions", about: "decisions of the policy engine, the newest first", role: roleRead, handler: (*Server).getFlopynetDecisions},
	}
}

// flopynetEventParams are those that choose events.
func flopynetEventParams(more ...string) paramSet {
	known := paramSet{
		"source_component": false, "component": false, "event_type": false, "event_level": false, "level": false, "limit": false,
	}.withRange()
	for _, name := range more {
		known[name] = false
	}
	return known
}

// getFlopynetEvents answers GET /api/events.
func (s *Server) getFlopynetEvents(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), flopynetEventParams("offset", "since_id"))
	if err != nil {
		return err
	}
	filter, err := p.eventFilter(r.received.UnixNano())
	if err != nil {
		return err
	}
	limit, err := p.cutInteger("limit", defaultListedEvents, maxListedEvents)
	if err != nil {
		return err
	}
	offset, err := p.cutInteger("offset", 0, 1<<30)
	if err != nil {
		return err
	}
	var since *uint64
	if text := p.get("since_id"); text != "" {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return invalidParameter("since_id", text, "use the id of an event, a whole number; 0 is before all of them")
		}
		since = &id
		offset = min(offset, maxSinceOffset)
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	list, err := s.testbed.ListEvents(ctx, filter, since, limit, offset)
	if err != nil {
		return err
	}
	return r.respondListed(list, flopynet.EventBytes(list.Events))
}

// maxSinceOffset bounds what is kept in memory to find what lies behind an offset by the order of writing.
const maxSinceOffset = 1_000_000

// getFlopynetSummary answers GET /api/events/summary.
func (s *Server) getFlopynetSummary(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), flopynetEventParams())
	if err != nil {
		return err
	}
	filter, err := p.eventFilter(r.received.UnixNano())
	if err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	summary, err := s.testbed.SummarizeEvents(ctx, filter)
	if err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, summary)
	return nil
}

// getFlopynetEventData answers GET /api/events/data.
func (s *Server) getFlopynetEventData(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), flopynetEventParams())
	if err != nil {
		return err
	}
	filter, err := p.eventFilter(r.received.UnixNano())
	if err != nil {
		return err
	}
	limit, err := p.cutInteger("limit", defaultListedEvents, maxListedEvents)
	if err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	events, err := s.testbed.NewestEvents(ctx, filter, limit)
	if err != nil {
		return err
	}
	return r.respondListed(events, flopynet.EventBytes(events))
}

// getFlopynetDecisions answers GET /api/policy/decisions.
func (s *Server) getFlopynetDecisions(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), paramSet{"policy_id": false, "component": false, "result": false, "limit": false}.withRange())
	if err != nil {
		return err
	}
	query := flopynet.DecisionQuery{PolicyID: p.get("policy_id"), Component: p.get("component")}
	if query.From, query.To, err = p.closedRange(r.received.UnixNano()); err != nil {
		return err
	}
	if query.Limit, err = p.cutInteger("limit", defaultListedDecisions, maxListedDecisions); err != nil {
		return err
	}
	if word := p.get("result"); word != "" {
		var allowed bool
		switch strings.ToLower(word) {
		case "allow", "allowed", "true", "1":
			allowed = true
		case "deny", "denied", "false", "0":
		default:
			return invalidParameter("result", word, "use allow or deny")
		}
		query.Allowed = &allowed
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	decisions, err := s.testbed.Decisions(ctx, query)
	if err != nil {
		return err
	}
	size := 0
	for _, one := range decisions {
		size += len(one)
	}
	return r.respondListed(decisions, size)
}

// eventFilter reads the parameters that choose events. Of two names for one thing the longer one counts.
func (p params) eventFilter(now int64) (filter flopynet.EventFilter, err error) {
	filter.From, filter.To, err = p.closedRange(now)
	filter.Component = p.get(p.firstOf("source_component", "component"))
	filter.Type = p.get("event_type")
	filter.Level = p.get(p.firstOf("event_level", "level"))
	return filter, err
}

// closedRange reads the ends of a range, both of which belong to it, and returns it as [from, to). An end that isn't given is open.
func (p params) closedRange(now int64) (from, to int64, err error) {
	from, to = model.MinTime, model.MaxTime
	fromName, toName, err := p.rangeEnds()
	if err != nil {
		return 0, 0, err
	}
	if fromName != "" {
		if from, err = p.time(fromName, now); err != nil {
			return 0, 0, err
		}
	}
	if toName != "" {
		if to, err = p.time(toName, now); err != nil {
			return 0, 0, err
		}
		to = min(to, model.MaxTime-1) + 1
	}
	return from, to, nil
}

// cutInteger reads a whole number from 0 on; what is larger than most counts as most.
func (p params) cutInteger(name string, fallback, most int) (int, error) {
	text := p.get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalidParameter(name, text, "use a whole number from 0 on")
	}
	return min(n, most), nil
}
