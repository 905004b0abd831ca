package httpapi

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// Limits of a query.
const (
	maxRawSamples   = 100_000
	maxAggregations = 32
	maxGroupKeys    = model.MaxTags
)

// query is a parsed GET /metrics/query, or one of POST /metrics/query/multi.
type query struct {
	selection engine.Selection
	timeout   time.Duration
	csv       bool
	explain   bool
	epoch     epochUnit

	// As the answer names them; "": not asked for.
	metric, source, granularity, aggregation string

	raw   bool // samples as they are; else aggregated
	limit int
	after engine.Cursor
	print string // what a cursor is bound to

	edges     []int64
	functions []engine.Function
	names     []string // of the functions, as given
	grouping
	fill fill
}

func queryParams() paramSet {
	return paramSet{
		"metric": false, "source": false, "tags": true,
		"granularity": false, "max_points": false, "tz": false, "aggregation": false, "group_by": true, "fill": false,
		"limit": false, "cursor": false,
		"epoch": false, "format": false, "timeout": false, "explain": false,
	}.withRange()
}

// parseQuery reads the parameters. now is in nanoseconds since the epoch, maxTimeout the longest that the
// query may take.
func parseQuery(args *fasthttp.Args, accept string, now int64, maxTimeout time.Duration) (*query, error) {
	p, err := parseParams(args, queryParams())
	if err != nil {
		return nil, err
	}
	metric, matchers, err := parseSeries(p)
	if err != nil {
		return nil, err
	}
	q, err := newQuery(metric, matchers, p, now, maxTimeout)
	if err != nil {
		return nil, err
	}
	format, err := p.oneOf("format", "json", "csv")
	if err != nil {
		return nil, err
	}
	q.csv = format == "csv" || format == "" && prefersCSV(accept)
	if q.csv && q.explain {
		return nil, invalidParameter("explain", "true", "it has no place in CSV; ask for JSON")
	}
	return q, nil
}

// newQuery reads all parameters but those that say which series are meant, and how to spell the answer.
func newQuery(metric string, matchers []*model.Matcher, p params, now int64, maxTimeout time.Duration) (q *query, err error) {
	q = &query{metric: metric, source: p.get("source")}
	q.selection.Matchers = matchers
	if q.selection.From, q.selection.To, err = p.timeRange(now); err != nil {
		return nil, err
	}
	q.raw = p.get("granularity") == "" && p.get("aggregation") == ""
	if q.raw {
		err = q.parseRaw(p)
	} else {
		err = q.parseAggregation(p)
	}
	if err != nil {
		return nil, err
	}
	if q.timeout, err = parseTimeout(p, maxTimeout); err != nil {
		return nil, err
	}
	if q.epoch, err = parseEpoch(p); err != nil {
		return nil, err
	}
	q.explain, err = p.boolean("explain")
	return q, err
}

// parseEpoch reads how times are to be spelt.
func parseEpoch(p params) (epochUnit, error) {
	name, err := p.oneOf("epoch", "s", "ms", "us", "ns")
	return epochUnits[name], err
}

// parseSeries reads which series of which metric are meant.
func parseSeries(p params) (metric string, matchers []*model.Matcher, err error) {
	metric = p.get("metric")
	if metric == "" {
		return "", nil, missingParameter("metric", "give the name of a metric")
	}
	if err := model.CheckSeries(metric, nil); err != nil {
		return "", nil, invalidParameter("metric", metric, err.Error())
	}
	matchers, err = parseMatchers(p)
	if err != nil {
		return "", nil, err
	}
	return metric, append([]*model.Matcher{model.EqualMatcher(model.NameKey, metric)}, matchers...), nil
}

// parseMatchers reads the filters for the source and for tags.
func parseMatchers(p params) ([]*model.Matcher, error) {
	var matchers []*model.Matcher
	add := func(name, given string, filters []tagFilter, err error) error {
		if err != nil {
			return invalidParameter(name, given, err.Error())
		}
		for _, filter := range filters {
			m, err := filter.matcher()
			if err != nil {
				return invalidParameter(name, given, err.Error())
			}
			matchers = append(matchers, m)
		}
		if len(matchers) > maxTagFilters {
			return invalidParameter(name, given, "there are more than "+strconv.Itoa(maxTagFilters)+" filters")
		}
		return nil
	}
	if source := p.get("source"); source != "" {
		filter, err := parseSourceFilter(source)
		if err := add("source", source, []tagFilter{filter}, err); err != nil {
			return nil, err
		}
	}
	for _, given := range p["tags"] {
		filters, err := parseTagFilters(given)
		if err := add("tags", given, filters, err); err != nil {
			return nil, err
		}
	}
	return matchers, nil
}

// refuse reports the first of the named parameters that was given.
func refuse(p params, issue string, names ...string) error {
	if name := p.firstOf(names...); name != "" {
		return invalidParameter(name, p.get(name), issue)
	}
	return nil
}

// parseRaw reads what is about raw samples.
func (q *query) parseRaw(p params) error {
	err := refuse(p, "it needs granularity or aggregation", "max_points", "tz", "group_by", "fill")
	if err != nil {
		return err
	}
	if q.limit, err = p.integer("limit", 1, maxRawSamples, maxRawSamples); err != nil {
		return err
	}
	q.print = q.fingerprint(p)
	if text := p.get("cursor"); text != "" {
		return q.resume(text)
	}
	return nil
}

// parseAggregation reads what is about buckets.
func (q *query) parseAggregation(p params) error {
	if err := refuse(p, "it is for raw samples, without granularity and aggregation", "limit", "cursor"); err != nil {
		return err
	}
	if err := q.parseFunctions(p); err != nil {
		return err
	}
	if err := q.parseGroups(p); err != nil {
		return err
	}
	var err error
	if q.fill, err = parseFill(p.get("fill")); err != nil {
		return err
	}
	return q.parseBuckets(p)
}

// parseFunctions reads the list of aggregations; a granularity alone means the average.
func (q *query) parseFunctions(p params) error {
	names, err := p.list("aggregation")
	if err != nil {
		return err
	}
	q.aggregation = strings.Join(names, ",")
	if len(names) == 0 {
		names = []string{"avg"}
	}
	if len(names) > maxAggregations {
		return invalidParameter("aggregation", p.get("aggregation"), "there are more than "+strconv.Itoa(maxAggregations))
	}
	for _, name := range names {
		function, err := engine.ParseFunction(name)
		if err != nil {
			return invalidParameter("aggregation", p.get("aggregation"), err.Error())
		}
		q.functions = append(q.functions, function)
	}
	q.names = names
	return nil
}

// grouping says which series an answer keeps apart.
type grouping struct {
	groupBy  []string // tag keys
	groupAll bool
}

func (g *grouping) parseGroups(p params) error {
	keys, err := p.list("group_by")
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key == "*" {
			g.groupAll = true
		}
	}
	if g.groupAll && len(keys) > 1 {
		return invalidParameter("group_by", p.get("group_by"), "* means every tag, so it stands alone")
	}
	if len(keys) > maxGroupKeys {
		return invalidParameter("group_by", p.get("group_by"), "there are more than "+strconv.Itoa(maxGroupKeys)+" keys")
	}
	if !g.groupAll {
		g.groupBy = keys
	}
	return nil
}

// grouped reports whether the answer is a list of series.
func (g *grouping) grouped() bool { return g.groupAll || len(g.groupBy) > 0 }

// parseBuckets reads the width of the buckets and finds their edges. Without one, the whole range is a
// bucket.
func (q *query) parseBuckets(p params) error {
	from, to := q.selection.From, q.selection.To
	zone, err := loadZone(p.get("tz"))
	if err != nil {
		return err
	}
	text := p.get("granularity")
	if text != "auto" {
		if err := refuse(p, "it needs granularity=auto", "max_points"); err != nil {
			return err
		}
	}
	switch text {
	case "":
		if err := refuse(p, "it needs granularity", "tz"); err != nil {
			return err
		}
		q.edges = []int64{from, to}
		return nil
	case "auto":
		maxPoints, err := p.integer("max_points", 1, maxBuckets, defaultMaxPoints)
		if err != nil {
			return err
		}
		var g granularity
		g, q.edges, err = autoGranularity(from, to, zone, maxPoints)
		q.granularity = g.text
		return err
	}
	g, err := parseGranularity(text)
	if err != nil {
		return err
	}
	q.granularity = g.text
	q.edges, err = g.edges(from, to, zone)
	return err
}

// parseTimeout reads a duration, or a number of seconds, of at most longest.
func parseTimeout(p params, longest time.Duration) (time.Duration, error) {
	text := p.get("timeout")
	if text == "" {
		return longest, nil
	}
	timeout, err := timefmt.ParseDuration(text)
	if seconds, failure := strconv.ParseFloat(text, 64); failure == nil && seconds <= longest.Seconds() {
		timeout, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || timeout <= 0 || timeout > longest {
		return 0, invalidParameter("timeout", text, "use a duration such as 500ms or 5s, of at most "+longest.String())
	}
	return timeout, nil
}

// prefersCSV reports whether an Accept header likes CSV better than JSON.
func prefersCSV(accept string) bool {
	csv, json := 0.0, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		switch name, weight := acceptPart(part); name {
		case "text/csv":
			csv = weight
		case "application/json":
			json = weight
		}
	}
	return csv > json
}
