package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/pipeline"
)

// pipelineBody is the body of POST /metrics/pipeline.
type pipelineBody struct {
	Name     string            `json:"name"`
	Pipeline []json.RawMessage `json:"pipeline"`
	Output   struct {
		Destination string            `json:"destination"`
		URL         string            `json:"url"`
		Secret      string            `json:"secret"`
		Metric      string            `json:"metric"`
		Source      string            `json:"source"`
		Tags        map[string]string `json:"tags"`
	} `json:"output"`
	Schedule string `json:"schedule"`
	bodyRange
}

// definition makes the pipeline's definition; now is the server's clock.
func (b *pipelineBody) definition(now int64) (pipeline.Definition, error) {
	d := pipeline.Definition{Name: b.Name}
	if b.Name == "" {
		return d, missingField("name", "give the pipeline a name")
	}
	for i, raw := range b.Pipeline {
		step, err := pipelineStep(raw)
		if fault, ok := errors.AsType[*fieldFault](err); ok {
			return d, fault.within("[" + strconv.Itoa(i) + "]").within("pipeline").answer(reflect.TypeFor[pipelineBody]())
		}
		if err != nil {
			return d, err
		}
		d.Steps = append(d.Steps, step)
	}
	if err := b.output(&d.Output); err != nil {
		return d, err
	}
	return d, b.times(&d, now)
}

// output checks that only the fields of the destination are given.
func (b *pipelineBody) output(o *pipeline.Output) error {
	given := &b.Output
	*o = pipeline.Output{Destination: given.Destination, URL: given.URL, Secret: given.Secret, Metric: given.Metric, Source: given.Source}
	if o.Destination == "" {
		o.Destination = pipeline.ToResponse
	}
	for _, key := range slices.Sorted(maps.Keys(given.Tags)) {
		if key == model.SourceKey || key == model.NameKey || given.Tags[key] == "" {
			return invalidField("output.tags", key, "a tag needs a key, which is not source, and a value")
		}
		o.Tags = append(o.Tags, model.Tag{Key: key, Value: given.Tags[key]})
	}
	for _, field := range []struct {
		name        string
		given       bool
		destination string
	}{
		{"url", o.URL != "", pipeline.ToWebhook}, {"secret", o.Secret != "", pipeline.ToWebhook},
		{"metric", o.Metric != "", pipeline.ToMetric}, {"source", o.Source != "", pipeline.ToMetric}, {"tags", len(o.Tags) > 0, pipeline.ToMetric},
	} {
		if field.given && field.destination != o.Destination {
			return invalidField("output."+field.name, "", "it is for the destination "+field.destination+", and this one is "+o.Destination)
		}
	}
	return nil
}

// times reads the schedule and the range.
func (b *pipelineBody) times(d *pipeline.Definition, now int64) (err error) {
	if b.Schedule == "" {
		d.From, d.To, err = b.resolve("", now)
		return err
	}
	if d.Schedule, err = timefmt.ParseDuration(b.Schedule); err != nil || d.Schedule == 0 {
		return invalidField("schedule", b.Schedule, "use a duration of at least 1s, such as 30s, 1m or 1h30m")
	}
	ends := b.params()
	fromName, toName, err := ends.rangeEnds()
	if err != nil {
		return inBody(err, "")
	}
	if toName != "" {
		return invalidField(toName, ends.get(toName), "a schedule has no end; delete the pipeline to end it")
	}
	if fromName != "" {
		d.From, err = ends.time(fromName, now)
		d.From = max(d.From, 1) // 0 says that nothing is given; the window is the same
	}
	return inBody(err, "")
}

// pipelineOperations reads the params of each operation.
var pipelineOperations = map[string]func(params json.RawMessage, step *pipeline.Step) error{
	"filter": readFilterStep, "aggregate": readAggregateStep, "transform": readTransformStep, "fill": readFillStep,
	"sort": readSortStep, "limit": readLimitStep, "threshold": readThresholdStep,
}

// pipelineStep reads one step. The faults are *fieldFault.
func pipelineStep(raw json.RawMessage) (pipeline.Step, error) {
	var body struct {
		Operation string          `json:"operation"`
		Params    json.RawMessage `json:"params"`
	}
	var step pipeline.Step
	if raw[0] != '{' {
		return step, &fieldFault{given: string(raw), issue: `it must be an object such as {"operation": "aggregate", "params": {"window": "5m"}}`}
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return step, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return step, err
	}
	step.Given = compact.Bytes()
	read, known := pipelineOperations[body.Operation]
	if !known {
		names := slices.Sorted(maps.Keys(pipelineOperations))
		issue := "use one of " + strings.Join(names, ", ")
		if nearest := nearestName(body.Operation, names); nearest != "" {
			issue = "Did you mean " + nearest + "? Otherwise " + issue
		}
		return step, &fieldFault{path: "operation", given: body.Operation, issue: issue}
	}
	params := body.Params
	if len(params) == 0 {
		params = json.RawMessage("{}")
	}
	err := read(params, &step)
	if fault, ok := errors.AsType[*fieldFault](err); ok {
		return step, fault.within("params")
	}
	return step, err
}

func readFilterStep(raw json.RawMessage, step *pipeline.Step) error {
	var body struct {
		Metric  *bodyFilter           `json:"metric"`
		Metrics *bodyFilter           `json:"metrics"`
		Source  *bodyFilter           `json:"source"`
		Tags    map[string]bodyFilter `json:"tags"`
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return err
	}
	if len(body.Tags) > maxTagFilters {
		return &fieldFault{path: "tags", given: strconv.Itoa(len(body.Tags)), issue: "there are more than " + strconv.Itoa(maxTagFilters) + " filters"}
	}
	step.Filter = &pipeline.Filter{}
	add := func(filter *bodyFilter, key, path string) error {
		if filter == nil || (path == "metric" || path == "source") && filter.text() == "" {
			return nil // as in queries: any
		}
		m, err := filter.matcher(key, path)
		if err != nil {
			return &fieldFault{path: path, given: filter.text(), issue: err.Error()}
		}
		step.Filter.Matchers = append(step.Filter.Matchers, m)
		return nil
	}
	if body.Metric != nil && body.Metrics != nil {
		return &fieldFault{path: "metrics", given: body.Metrics.text(), issue: "it means the same as metric, which is given too"}
	}
	if body.Metric == nil {
		body.Metric = body.Metrics
	}
	if err := errors.Join(add(body.Metric, model.NameKey, "metric"), add(body.Source, model.SourceKey, "source")); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(body.Tags)) {
		if key == model.NameKey {
			return &fieldFault{path: "tags", issue: "the key of a tag is empty"}
		}
		filter := body.Tags[key]
		if err := add(&filter, key, "tags."+key); err != nil {
			return err
		}
	}
	return nil
}

func readAggregateStep(raw json.RawMessage, step *pipeline.Step) error {
	var body struct {
		Window    string   `json:"window"`
		Functions bodyList `json:"functions"`
		GroupBy   bodyList `json:"group_by"`
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return err
	}
	a := &pipeline.Aggregate{Functions: splitWords(body.Functions), GroupBy: splitWords(body.GroupBy)}
	if body.Window != "" {
		var err error
		if a.Window, err = timefmt.ParseDuration(body.Window); err != nil || a.Window == 0 {
			return &fieldFault{path: "window", given: body.Window, issue: "use a duration such as 30s, 5m or 1h30m"}
		}
	}
	for i, key := range a.GroupBy {
		switch {
		case key == "*" && len(a.GroupBy) > 1:
			return &fieldFault{path: "group_by", given: strings.Join(a.GroupBy, ","), issue: "* means every tag, so it stands alone"}
		case key == "" || slices.Contains(a.GroupBy[:i], key):
			return &fieldFault{path: "group_by", given: strings.Join(a.GroupBy, ","), issue: "a key is empty or listed twice"}
		}
	}
	if len(a.GroupBy) == 1 && a.GroupBy[0] == "*" {
		a.GroupBy, a.GroupAll = nil, true
	}
	step.Aggregate = a
	return nil
}

// splitWords splits each element at its commas.
func splitWords(list bodyList) []string {
	var words []string
	for _, element := range list {
		for word := range strings.SplitSeq(element, ",") {
			words = append(words, strings.TrimSpace(word))
		}
	}
	return words
}

func readTransformStep(raw json.RawMessage, step *pipeline.Step) error {
	var body struct {
		Formula string `json:"formula"`
		As      string `json:"as"`
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return err
	}
	if body.Formula == "" {
		return &fieldFault{path: "formula", issue: "give a formula such as avg_cpu + max_memory"}
	}
	step.Transform = &pipeline.Transform{Formula: body.Formula, As: body.As}
	return nil
}

func readFillStep(raw json.RawMessage, step *pipeline.Step) error {
	var body struct {
		Method bodyScalar `json:"method"`
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return err
	}
	switch text := string(body.Method); text {
	case pipeline.FillNull, pipeline.FillPrevious, pipeline.FillLinear:
		step.Fill = &pipeline.Fill{Kind: text}
	default:
		number, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			return &fieldFault{path: "method", given: text, issue: `use "null", "previous", "linear" or a number`}
		}
		step.Fill = &pipeline.Fill{Kind: pipeline.FillNumber, Number: number}
	}
	return nil
}

func readSortStep(raw json.RawMessage, step *pipeline.Step) error {
	var body struct {
		By    string `json:"by"`
		Order string `json:"order"`
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return err
	}
	if body.Order != "" && body.Order != "asc" && body.Order != "desc" {
		return &fieldFault{path: "order", given: body.Order, issue: "use asc or desc"}
	}
	if body.By == "" {
		body.By = "timestamp"
	}
	step.Sort = &pipeline.Sort{By: body.By, Descending: body.Order == "desc"}
	return nil
}

func readLimitStep(raw json.RawMessage, step *pipeline.Step) error {
	var body struct {
		Count int `json:"count"`
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return err
	}
	step.Limit = &pipeline.Limit{Count: body.Count}
	return nil
}

func readThresholdStep(raw json.RawMessage, step *pipeline.Step) error {
	var body struct {
		Column string   `json:"column"`
		Above  *float64 `json:"above"`
		Below  *float64 `json:"below"`
		Mode   string   `json:"mode"`
	}
	if err := decodeJSONObject(raw, &body); err != nil {
		return err
	}
	if body.Mode != "" && body.Mode != "keep" && body.Mode != "mark" {
		return &fieldFault{path: "mode", given: body.Mode, issue: "use keep, to have only rows that cross a bound, or mark, to have all"}
	}
	step.Threshold = &pipeline.Threshold{Column: body.Column, Above: body.Above, Below: body.Below, Mark: body.Mode == "mark"}
	return nil
}
