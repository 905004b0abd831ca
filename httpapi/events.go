package httpapi

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
)

// Limits of the list of GET /events.
const (
	defaultEvents = 100
	maxEvents     = 10_000
)

func eventRoutes() []route {
	return []route{
		{method: fasthttp.MethodPost, path: "/events", about: "write events", role: roleWrite, mutates: true, handler: (*Server).postEvents},
		{method: fasthttp.MethodGet, path: "/events", about: "events by time, type, component and level", role: roleRead, handler: (*Server).getEvents},
	}
}

// eventList is a request for events.
type eventList struct {
	query engine.EventQuery
	epoch epochUnit
	print string // of the parameters that choose the events
}

// getEvents answers GET /events. The newest come first unless order=oldest.
func (s *Server) getEvents(r *request) error {
	p, err := parseParams(r.http.QueryArgs(), paramSet{
		"type": true, "component": true, "level": true, "limit": false, "cursor": false, "order": false, "epoch": false, "timeout": false,
	}.withRange())
	if err != nil {
		return err
	}
	list, err := parseEventList(p, r.received.UnixNano())
	if err != nil {
		return err
	}
	timeout, err := parseTimeout(p, s.options.QueryTimeout)
	if err != nil {
		return err
	}
	ctx, cancel := r.context(timeout)
	defer cancel()
	result, err := s.db.Events(ctx, list.query)
	if err != nil {
		return err
	}
	r.respondLarge(typeJSON, list.appendJSON(nil, result))
	return nil
}

func parseEventList(p params, now int64) (*eventList, error) {
	list := &eventList{query: engine.EventQuery{Total: true}}
	q := &list.query
	var err error
	for name, into := range map[string]*[]string{"type": &q.Types, "component": &q.Components, "level": &q.Levels} {
		if *into, err = p.list(name); err != nil {
			return nil, err
		}
	}
	for _, level := range q.Levels {
		if !slices.Contains(engine.EventLevels, level) {
			return nil, invalidParameter("level", level, "use "+strings.Join(engine.EventLevels, ", ")+", or several of them with commas")
		}
	}
	if q.From, q.To, err = p.timeRange(now); err != nil {
		return nil, err
	}
	if q.Limit, err = p.integer("limit", 1, maxEvents, defaultEvents); err != nil {
		return nil, err
	}
	order, err := p.oneOf("order", "newest", "oldest")
	if err != nil {
		return nil, err
	}
	q.Newest = order != "oldest"
	epoch, err := p.oneOf("epoch", "s", "ms", "us", "ns")
	if err != nil {
		return nil, err
	}
	list.epoch = epochUnits[epoch]
	list.print = strings.Join(append([]string{order, strings.Join(q.Types, ","), strings.Join(q.Components, ","),
		strings.Join(q.Levels, ",")}, rangePrint(p)...), "\x00")
	if text := p.get("cursor"); text != "" {
		return list, list.resume(text)
	}
	return list, nil
}

// cursor spells the place behind the last event of a page.
func (l *eventList) cursor(after engine.EventCursor) string {
	raw := []byte{cursorEvents}
	for _, field := range [...]uint64{uint64(l.query.From), uint64(l.query.To), uint64(after.Time), after.LSN, after.N} {
		raw = binary.BigEndian.AppendUint64(raw, field)
	}
	return sealCursor(raw, l.print)
}

// resume sets the list on behind the cursor, which must come from the same list.
func (l *eventList) resume(text string) error {
	raw, err := openCursor(text, l.print, cursorEvents, eventCursorBytes)
	if err != nil {
		return err
	}
	field := func(i int) uint64 { return binary.BigEndian.Uint64(raw[1+8*i:]) }
	l.query.From, l.query.To = int64(field(0)), int64(field(1))
	l.query.After = &engine.EventCursor{Time: int64(field(2)), LSN: field(3), N: field(4)}
	return nil
}

// appendJSON appends the answer.
func (l *eventList) appendJSON(dst []byte, result *engine.EventResult) []byte {
	dst = append(dst, `{"events":[`...)
	for i := range result.Events {
		dst = appendEvent(appendComma(dst, i), &result.Events[i], l.epoch)
	}
	dst = fmt.Appendf(dst, `],"total":%d,"next_cursor":`, result.Total)
	next := ""
	if result.More {
		next = l.cursor(result.Next)
	}
	dst = appendNullableString(dst, next)
	if result.Damaged > 0 {
		dst = append(dst, `,"warnings":[`...)
		dst = appendJSONString(dst, fmt.Sprintf("%d events of the range are damaged on disk and left out; the log names them", result.Damaged))
		dst = append(dst, ']')
	}
	return append(dst, "}\n"...)
}

// appendEvent appends an event as JSON. What it doesn't have is null.
func appendEvent(dst []byte, e *engine.Event, epoch epochUnit) []byte {
	dst = appendJSONString(append(dst, `{"event_id":`...), e.ID)
	dst = epoch.appendJSON(append(dst, `,"timestamp":`...), e.Time)
	dst = appendJSONString(append(dst, `,"component":`...), e.Component)
	dst = appendJSONString(append(dst, `,"event_type":`...), e.Type)
	dst = appendJSONString(append(dst, `,"level":`...), e.Level)
	dst = appendNullableString(append(dst, `,"message":`...), e.Message)
	dst = append(dst, `,"details":`...)
	if e.Details == nil {
		dst = append(dst, "null"...)
	}
	return append(append(dst, e.Details...), '}')
}

// appendEventsAnswer appends the answer to a request that wrote events, or had none to write.
func appendEventsAnswer(dst []byte, given *eventSubmission, now int64) []byte {
	status := "success"
	if given.rejected > 0 {
		status = "partial"
	}
	dst = fmt.Appendf(dst, `{"status":"%s","%ss_accepted":%d,"timestamp":"`, status, given.noun, len(given.events))
	dst = append(timefmt.AppendTime(dst, now), `","event_ids":[`...)
	for i := range given.events {
		dst = appendJSONString(appendComma(dst, i), given.events[i].ID)
	}
	dst = append(dst, ']')
	if given.rejected > 0 {
		dst = fmt.Appendf(dst, `,"%ss_rejected":%d,"errors":`, given.noun, given.rejected)
		dst = appendJSON(dst, given.errors)
	}
	if len(given.warnings) > 0 {
		dst = appendJSON(append(dst, `,"warnings":`...), given.warnings)
	}
	return append(dst, "}\n"...)
}
