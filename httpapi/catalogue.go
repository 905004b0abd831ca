package httpapi

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Limits of a page of a list.
const (
	defaultListEntries = 100
	maxListEntries     = 10_000
)

func catalogueRoutes() []route {
	get := func(path, about string, handler handler) route {
		return route{method: fasthttp.MethodGet, path: path, about: about, role: roleRead, handler: handler}
	}
	return []route{
		get("/metrics/names", "the metrics there are", (*Server).listNames),
		get("/metrics/sources", "the sources there are", (*Server).listSources),
		get("/metrics/tags", "the tag keys there are", (*Server).listTags),
		get("/metrics/tags/{key}/values", "the values of a tag", (*Server).listTagValues),
		get("/metrics/series", "the series there are", (*Server).listSeries),
	}
}

// listing is a parsed request for a list of what there is.
type listing struct {
	selection engine.Selection
	match     *model.Matcher // of what is listed; nil: all
	page      engine.Page
	print     string // what a cursor is bound to
	epoch     epochUnit
	timeout   time.Duration
}

// parseListing reads the parameters of a list of the values of this key: model.NameKey, a tag's, or anyKey for
// the keys themselves. what is the list's name.
func (r *request) parseListing(key, what string) (*listing, error) {
	known := paramSet{
		"match": false, "metric": false, "source": false, "tags": true, "limit": false, "cursor": false, "timeout": false,
	}.withRange()
	if key == model.NameKey { // the entries have times
		known["epoch"] = false
	}
	p, err := parseParams(r.http.QueryArgs(), known)
	if err != nil {
		return nil, err
	}
	l := new(listing)
	if metric := p.get("metric"); metric != "" {
		_, l.selection.Matchers, err = parseSeries(p)
	} else {
		l.selection.Matchers, err = parseMatchers(p)
	}
	if err != nil {
		return nil, err
	}
	if err := l.parseMatch(p.get("match"), key); err != nil {
		return nil, err
	}
	if l.selection.From, l.selection.To, err = p.timeRangeOrAll(r.received.UnixNano()); err != nil {
		return nil, err
	}
	if l.page.Limit, err = p.integer("limit", 1, maxListEntries, defaultListEntries); err != nil {
		return nil, err
	}
	if l.epoch, err = parseEpoch(p); err != nil {
		return nil, err
	}
	if l.timeout, err = parseTimeout(p, r.server.options.QueryTimeout); err != nil {
		return nil, err
	}
	parts := append([]string{what, key, p.get("match"), p.get("metric"), p.get("source")}, p["tags"]...)
	l.print = strings.Join(append(parts, rangePrint(p)...), "\x00")
	if text := p.get("cursor"); text != "" {
		err = l.resume(text)
	}
	return l, err
}

// anyKey stands for the list of keys; no key has control characters.
const anyKey = "\x00"

// parseMatch reads what the entries of a list begin with or, behind "~", what they match as a whole.
func (l *listing) parseMatch(text, key string) error {
	if text == "" {
		return nil
	}
	expression, isRegex := strings.CutPrefix(text, "~")
	if !isRegex {
		expression = regexp.QuoteMeta(text) + ".*"
	} else if issue := checkRegex(expression); issue != "" {
		return invalidParameter("match", text, issue)
	}
	m, err := model.NewMatcher(key, model.MatchRegexp, expression)
	if err != nil {
		return invalidParameter("match", text, err.Error())
	}
	l.match = m
	if key != anyKey {
		l.selection.Matchers = append(l.selection.Matchers, m)
	}
	return nil
}

// answerList answers with a page of a list under the name what, its entries spelt by spell.
func answerList[T any](r *request, key, what string, before []byte,
	read func(context.Context, *listing) (*engine.List[T], error), spell func(*listing, T) any,
) error {
	l, err := r.parseListing(key, what)
	if err != nil {
		return err
	}
	ctx, cancel := r.context(l.timeout)
	defer cancel()
	list, err := read(ctx, l)
	if err != nil {
		return err
	}
	entries := make([]any, len(list.Entries))
	for i, entry := range list.Entries {
		entries[i] = spell(l, entry)
	}
	next := ""
	if list.More {
		next = l.cursor(list.Next)
	}
	out := appendJSONString(append([]byte{'{'}, before...), what)
	out = appendJSON(append(out, ':'), entries)
	out = appendJSON(append(out, `,"total":`...), list.Total)
	out = appendNullableString(append(out, `,"next_cursor":`...), next)
	r.respondLarge(typeJSON, append(out, "}\n"...))
	return nil
}

// listedName is an entry of GET /metrics/names.
type listedName struct {
	Name   string          `json:"name"`
	Unit   *string         `json:"unit"`
	Series int             `json:"series"`
	First  json.RawMessage `json:"first"` // a time, or null if only stale markers are left
	Last   json.RawMessage `json:"last"`
}

// listedSeries is an entry of GET /metrics/series.
type listedSeries struct {
	Metric string          `json:"metric"`
	Source *string         `json:"source"`
	Tags   json.RawMessage `json:"tags"`
	Unit   *string         `json:"unit"`
	First  json.RawMessage `json:"first"` // as in listedName
	Last   json.RawMessage `json:"last"`
}

// listedBytes is about the length of a listedSeries without its tags.
const listedBytes = 256

// listedKey is an entry of GET /metrics/tags.
type listedKey struct {
	Key    string `json:"key"`
	Values int    `json:"values"`
	Series int    `json:"series"`
}

// listedSource is an entry of GET /metrics/sources, and listedValue of the values of a tag.
type listedSource struct {
	Source string `json:"source"`
	Series int    `json:"series"`
}

type listedValue struct {
	Value  string `json:"value"`
	Series int    `json:"series"`
}

// nullable returns a pointer to the text, nil if that is empty.
func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ends spells when the first and the last sample were.
func (l *listing) ends(e engine.Extent) (first, last json.RawMessage) {
	if !e.Found {
		return json.RawMessage("null"), json.RawMessage("null")
	}
	return l.epoch.appendJSON(nil, e.First), l.epoch.appendJSON(nil, e.Last)
}

func (s *Server) listNames(r *request) error {
	return answerList(r, model.NameKey, "names", nil,
		func(ctx context.Context, l *listing) (*engine.List[engine.NameEntry], error) {
			return s.db.Names(ctx, l.selection, l.page)
		},
		func(l *listing, e engine.NameEntry) any {
			first, last := l.ends(e.Extent)
			return listedName{Name: e.Name, Unit: nullable(e.Unit), Series: e.Series, First: first, Last: last}
		})
}

func (s *Server) listSources(r *request) error {
	return answerList(r, model.SourceKey, "sources", nil,
		func(ctx context.Context, l *listing) (*engine.List[engine.ValueEntry], error) {
			return s.db.Values(ctx, l.selection, model.SourceKey, l.page)
		},
		func(_ *listing, e engine.ValueEntry) any { return listedSource{Source: e.Value, Series: e.Series} })
}

func (s *Server) listTags(r *request) error {
	return answerList(r, anyKey, "tags", nil,
		func(ctx context.Context, l *listing) (*engine.List[engine.KeyEntry], error) {
			var want func(string) bool
			if l.match != nil {
				want = l.match.Matches
			}
			return s.db.Keys(ctx, l.selection, want, l.page)
		},
		func(_ *listing, e engine.KeyEntry) any {
			return listedKey{Key: e.Key, Values: e.Values, Series: e.Series}
		})
}

func (s *Server) listTagValues(r *request) error {
	key := r.pathValue("key")
	if err := model.CheckSeries("m", model.Tags{{Key: key, Value: "v"}}); err != nil {
		return invalidParameter("key", key, err.Error())
	}
	before := append(appendJSONString([]byte(`"key":`), key), ',')
	return answerList(r, key, "values", before,
		func(ctx context.Context, l *listing) (*engine.List[engine.ValueEntry], error) {
			return s.db.Values(ctx, l.selection, key, l.page)
		},
		func(_ *listing, e engine.ValueEntry) any { return listedValue{Value: e.Value, Series: e.Series} })
}

func (s *Server) listSeries(r *request) error {
	return answerList(r, model.NameKey, "series", nil,
		func(ctx context.Context, l *listing) (*engine.List[engine.SeriesEntry], error) {
			list, err := s.db.SeriesList(ctx, l.selection, l.page)
			if err != nil {
				return nil, err
			}
			size := int64(0)
			for _, e := range list.Entries {
				size += 2 * (listedBytes + tagsBytes(e.Tags)) // each by itself, and in the answer
			}
			return list, r.hold(size)
		},
		func(l *listing, e engine.SeriesEntry) any {
			first, last := l.ends(e.Extent)
			return listedSeries{Metric: e.Name, Source: nullable(e.Source()), Tags: appendTags(nil, e.Tags), Unit: nullable(e.Unit), First: first, Last: last}
		})
}
