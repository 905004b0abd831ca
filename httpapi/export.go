package httpapi

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/internal/export"
	"github.com/flopynet/collector/model"
)

const typeFile = "application/octet-stream"

// maxExportMetrics bounds the metrics that an export names.
const maxExportMetrics = 1000

func exportRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/metrics/export", about: "samples of metrics as csv, json, ndjson, parquet or arrow", role: roleRead, query: true,
			handler: (*Server).getExport},
	}
}

// getExport answers GET /metrics/export.
func (s *Server) getExport(r *request) error {
	request, names, err := parseExport(r.http.QueryArgs(), r.received.UnixNano())
	if err != nil {
		return err
	}
	plan, err := s.planExport(r, request)
	if err != nil {
		return err
	}
	if r.http.IsHead() {
		r.respond(fasthttp.StatusOK, typeFile, nil)
	} else {
		err = r.respondStream(typeFile, func(ctx context.Context, w io.Writer) error {
			_, err := plan.Write(ctx, s.db, w, new(export.Progress))
			return err
		})
	}
	if err == nil {
		r.offerFile(exportName(names) + "_export." + string(request.Format))
	}
	return err
}

// planExport looks at the series of an export, within the time of a query.
func (s *Server) planExport(r *request, request export.Request) (*export.Plan, error) {
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	plan, err := export.NewPlan(ctx, s.db, request)
	if errors.Is(err, export.ErrColumns) {
		return nil, newError(fasthttp.StatusUnprocessableEntity, "Too many columns", detail{"limit", "tag columns"}, detail{"max", export.MaxTagColumns},
			detail{"issue", err.Error() + "; select fewer series, or use json or ndjson"})
	}
	return plan, err
}

// parseExport reads the parameters, and returns the names of the metrics as well.
func parseExport(args *fasthttp.Args, now int64) (request export.Request, names []string, err error) {
	p, err := parseParams(args, paramSet{
		"metric": true, "source": false, "tags": true, "format": false, "epoch": false, "csv_safe": false, "columns": true,
		"granularity": false, "max_points": false, "tz": false, "aggregation": false,
	}.withRange())
	if err != nil {
		return request, nil, err
	}
	if names, err = p.metricNames("metric"); err != nil {
		return request, nil, err
	}
	if len(names) == 0 {
		return request, nil, missingParameter("metric", "give the name of a metric, or several with commas")
	}
	matchers, err := parseMatchers(p)
	if err != nil {
		return request, nil, err
	}
	q := &query{}
	q.selection.Matchers = append(matchersOfNames(names), matchers...)
	if q.selection.From, q.selection.To, err = p.requiredRange(now); err != nil {
		return request, nil, err
	}
	request = export.Request{Selection: q.selection, MetricColumn: len(names) > 1}
	if p.firstOf("granularity", "aggregation", "max_points", "tz") != "" {
		if err := q.parseAggregation(p); err != nil {
			return request, nil, err
		}
		if len(q.functions) > 1 {
			return request, nil, invalidParameter("aggregation", p.get("aggregation"), "an export has one value a row; ask for one aggregation")
		}
		request.Edges, request.Function = q.edges, q.functions[0]
	}
	if request.Columns, err = p.exportColumns(); err != nil {
		return request, nil, err
	}
	request.Format, err = p.exportFormat(export.CSV)
	if err != nil {
		return request, nil, err
	}
	return request, names, p.exportSpelling(&request)
}

// metricNames reads a list of metrics. A comma that belongs to a name has a backslash before it.
func (p params) metricNames(parameter string) ([]string, error) {
	var names []string
	for _, given := range p[parameter] {
		scanner := &filterScanner{text: given}
		for {
			name, stop, err := scanner.word(",")
			if err == nil {
				name = strings.TrimSpace(name)
				err = model.CheckSeries(name, nil)
			}
			if err != nil {
				return nil, invalidParameter(parameter, given, err.Error())
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			if len(names) > maxExportMetrics {
				return nil, invalidParameter(parameter, given, "there are more than "+strconv.Itoa(maxExportMetrics)+" names")
			}
			if stop == 0 {
				break
			}
			scanner.at++
		}
	}
	return names, nil
}

// matchersOfNames selects the metrics, all of them if none is named.
func matchersOfNames(names []string) []*model.Matcher {
	switch len(names) {
	case 0:
		return nil
	case 1:
		return []*model.Matcher{model.EqualMatcher(model.NameKey, names[0])}
	}
	return []*model.Matcher{export.NamesMatcher(names)}
}

// requiredRange is timeRange with both ends given.
func (p params) requiredRange(now int64) (from, to int64, err error) {
	fromName, toName, err := p.rangeEnds()
	if err != nil {
		return 0, 0, err
	}
	if fromName == "" {
		return 0, 0, missingParameter("from", "an export needs both ends of its range")
	}
	if toName == "" {
		return 0, 0, missingParameter("to", "an export needs both ends of its range")
	}
	return p.timeRange(now)
}

func (p params) exportFormat(fallback export.Format) (export.Format, error) {
	words := make([]string, len(export.Formats))
	for i, format := range export.Formats {
		words[i] = string(format)
	}
	word, err := p.oneOf("format", words...)
	if word == "" {
		return fallback, err
	}
	return export.Format(word), err
}

// exportColumns reads which columns are wanted; nil: all.
func (p params) exportColumns() ([]string, error) {
	columns, err := p.list("columns")
	if err == nil && columns != nil {
		err = export.CheckColumns(columns)
		if err != nil {
			err = invalidParameter("columns", strings.Join(columns, ","), err.Error())
		}
	}
	return columns, err
}

// exportSpelling reads what there is only for text.
func (p params) exportSpelling(request *export.Request) error {
	epoch, err := parseEpoch(p)
	if err != nil {
		return err
	}
	if request.EpochUnit = int64(epoch); epoch != 0 && (request.Format == export.Parquet || request.Format == export.Arrow) {
		return invalidParameter("epoch", p.get("epoch"), "it is for csv, json and ndjson; "+string(request.Format)+" has a type for times")
	}
	if request.SafeCSV, err = p.boolean("csv_safe"); err == nil && request.SafeCSV && request.Format != export.CSV {
		return invalidParameter("csv_safe", "true", "it is for csv")
	}
	return err
}

// exportName is what an export's file is called after.
func exportName(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "metrics"
}

// offerFile names the file that the answer should be saved as. What is awkward in the plain form of the name
// becomes an underscore; then the whole name follows in the form of RFC 6266.
func (r *request) offerFile(name string) {
	plain := strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7f || strings.ContainsRune(`"\/:*?<>|%`, c) {
			return '_'
		}
		return c
	}, name)
	text := `attachment; filename="` + plain + `"`
	if plain != name {
		text += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	r.http.Response.Header.Set(fasthttp.HeaderContentDisposition, text)
}
