package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// maxQueries bounds the queries of one request.
const maxQueries = 100

func multiRoutes() []route {
	return []route{{method: fasthttp.MethodPost, path: "/metrics/query/multi", about: "several queries at once", role: roleRead, query: true,
		handler: (*Server).queryMulti}}
}

// multiBody is the body of POST /metrics/query/multi. What stands outside holds for each query that doesn't
// say it itself.
type multiBody struct {
	Queries *[]multiQuery `json:"queries"`
	multiOptions
}

// multiQuery is one of the queries. A value in it that is wrong, though of the right type, is kept for its own
// result to tell.
type multiQuery struct {
	multiFields
	fault *fieldFault
}

type multiFields struct {
	Metric string `json:"metric"`
	Cursor string `json:"cursor"`
	multiOptions
}

// UnmarshalJSON implements json.Unmarshaler.
func (q *multiQuery) UnmarshalJSON(raw []byte) error {
	err := decodeJSONObject(raw, &q.multiFields)
	if fault, ok := errors.AsType[*fieldFault](err); ok && fault.value {
		q.fault = fault
		return nil
	}
	return err
}

// multiOptions are the parameters of GET /metrics/query in JSON, but for format. One that is given as ""
// takes back what stands outside.
type multiOptions struct {
	Source *bodyFilter           `json:"source"`
	Tags   map[string]bodyFilter `json:"tags"`
	bodyRange
	Granularity *string     `json:"granularity"`
	MaxPoints   *int        `json:"max_points"`
	TZ          *string     `json:"tz"`
	Aggregation *bodyList   `json:"aggregation"`
	GroupBy     *bodyList   `json:"group_by"`
	Fill        *bodyScalar `json:"fill"`
	Limit       *int        `json:"limit"`
	Epoch       *string     `json:"epoch"`
	Timeout     *bodyScalar `json:"timeout"`
	Explain     *bool       `json:"explain"`
}

// over returns the options with what they leave open taken from outer.
func (o multiOptions) over(outer *multiOptions) multiOptions {
	inherit(&o.Source, outer.Source)
	if o.Tags == nil {
		o.Tags = outer.Tags
	}
	o.bodyRange = o.bodyRange.over(&outer.bodyRange)
	inherit(&o.Granularity, outer.Granularity)
	inherit(&o.MaxPoints, outer.MaxPoints)
	inherit(&o.TZ, outer.TZ)
	inherit(&o.Aggregation, outer.Aggregation)
	inherit(&o.GroupBy, outer.GroupBy)
	inherit(&o.Fill, outer.Fill)
	inherit(&o.Limit, outer.Limit)
	inherit(&o.Epoch, outer.Epoch)
	inherit(&o.Timeout, outer.Timeout)
	inherit(&o.Explain, outer.Explain)
	return o
}

func inherit[T any](own **T, outer *T) {
	if *own == nil {
		*own = outer
	}
}

// params spells the options as the parameters of the same names.
func (o *multiOptions) params() params {
	p := o.bodyRange.params()
	set := func(name, value string) {
		if value != "" {
			p[name] = []string{value}
		}
	}
	for name, text := range map[string]*string{"granularity": o.Granularity, "tz": o.TZ, "epoch": o.Epoch} {
		if text != nil {
			set(name, *text)
		}
	}
	for name, number := range map[string]*int{"max_points": o.MaxPoints, "limit": o.Limit} {
		if number != nil {
			set(name, strconv.Itoa(*number))
		}
	}
	for name, list := range map[string]*bodyList{"aggregation": o.Aggregation, "group_by": o.GroupBy} {
		if list != nil && len(*list) > 0 {
			p[name] = *list
		}
	}
	for name, scalar := range map[string]*bodyScalar{"fill": o.Fill, "timeout": o.Timeout} {
		if scalar != nil {
			set(name, string(*scalar))
		}
	}
	if o.Explain != nil {
		set("explain", strconv.FormatBool(*o.Explain))
	}
	if o.Source != nil {
		set("source", o.Source.text())
	}
	for _, key := range slices.Sorted(maps.Keys(o.Tags)) { // a cursor is bound to them
		filter := o.Tags[key].filter
		filter.Key = key
		p["tags"] = append(p["tags"], filter.String())
	}
	return p
}

// parse makes the query that was meant. element is where it stands in the body.
func (q multiQuery) parse(outer *multiOptions, element string, now int64, maxTimeout time.Duration) (*query, error) {
	if q.fault != nil {
		fault := q.fault.within(element)
		return nil, invalidField(fault.path, fault.given, fault.issue)
	}
	path := element + "."
	q.multiOptions = q.over(outer)
	selection := bodySelection{Metric: q.Metric, Source: q.Source, Tags: q.Tags}
	matchers, err := selection.matchers(path)
	if err != nil {
		return nil, err
	}
	p := q.params()
	if q.Cursor != "" {
		p["cursor"] = []string{q.Cursor}
	}
	parsed, err := newQuery(q.Metric, matchers, p, now, maxTimeout)
	return parsed, inBody(err, path)
}

// queryMulti answers POST /metrics/query/multi. The queries run one after the other, each of which is spread
// over the engine's workers; they share the request's time and the size of an answer.
func (s *Server) queryMulti(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	var body multiBody
	if err := decodeBody(r, &body); err != nil {
		return err
	}
	if body.Queries == nil {
		return missingField("queries", `give an array such as [{"metric": "cpu_usage", "aggregation": "avg"}]`)
	}
	queries := *body.Queries
	if len(queries) > maxQueries {
		return limitExceeded("Too many queries", "queries in a request", maxQueries, int64(len(queries)), "send them in several requests")
	}
	timeout := s.options.QueryTimeout
	if body.Timeout != nil {
		var err error
		if timeout, err = parseTimeout(params{"timeout": {string(*body.Timeout)}}, timeout); err != nil {
			return inBody(err, "")
		}
	}
	ctx, cancel := r.context(timeout)
	defer cancel()
	out := append([]byte(nil), `{"results":[`...)
	values := 0
	for i := range queries {
		var err error
		if out, err = s.appendResult(ctx, r, appendComma(out, i), &body, i, &values); err != nil {
			return err
		}
	}
	out = appendQueryTime(append(out, ']'), s.options.Now().Sub(r.received))
	r.respondLarge(typeJSON, append(out, "}\n"...))
	return nil
}

// appendResult appends the answer of query number i, or what is wrong with it. An error ends the request:
// nobody waits any more. values counts those of the results so far.
func (s *Server) appendResult(ctx context.Context, r *request, dst []byte, body *multiBody, i int, values *int) ([]byte, error) {
	began, start := s.options.Now(), len(dst)
	asked := &(*body.Queries)[i]
	q, err := asked.parse(&body.multiOptions, "queries["+strconv.Itoa(i)+"]", r.received.UnixNano(), s.options.QueryTimeout)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, q.timeout)
		defer cancel()
		var more int
		dst, more, err = s.appendAnswer(ctx, r, dst, q, began)
		if *values += more; err == nil && *values > maxAnswerValues {
			err = answerTooLarge(*values, "the queries share this limit: send them in several requests, or ask for less")
		}
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return dst, err
	}
	dst = appendJSONString(append(dst[:start], `{"metric":`...), asked.Metric)
	dst = append(dst, `,"error":`...)
	return append(r.classify(err).append(dst, r.id, r.received.UnixNano()), '}'), nil
}

// bodyList is a list in a body, given as an array of strings or as one string with commas between them.
type bodyList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *bodyList) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return decodeJSONObject(raw, (*[]string)(l))
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return &fieldFault{given: string(raw), issue: "it must be a string or an array of strings"}
	}
	if text != "" {
		*l = bodyList{text}
	}
	return nil
}

// bodyScalar is a value in a body that may be given as a string or as a number.
type bodyScalar string

// UnmarshalJSON implements json.Unmarshaler.
func (s *bodyScalar) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case '"':
		return json.Unmarshal(raw, (*string)(s))
	case '{', '[', 't', 'f':
		return &fieldFault{given: string(raw), issue: "it must be a string or a number"}
	}
	*s = bodyScalar(raw)
	return nil
}
