package pipeline

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const (
	maxURLBytes    = 2048
	maxSecretBytes = 1024
	defaultSource  = "pipeline" // of series that are written back
)

// checkOutput checks where rows go, against what the steps make.
func (c *compiler) checkOutput(d *Definition) error {
	o := &d.Output
	switch o.Destination {
	case ToResponse:
		if d.Schedule != 0 {
			return &FieldError{Path: "output.destination", Given: o.Destination, Issue: "a schedule has nobody to answer; use metric or webhook"}
		}
		return nil
	case ToMetric:
		return c.checkMetric(o)
	case ToWebhook:
		return checkWebhook(o)
	}
	return &FieldError{Path: "output.destination", Given: o.Destination, Issue: "unknown destination", Known: []string{ToResponse, ToMetric, ToWebhook}}
}

func (c *compiler) checkMetric(o *Output) error {
	if o.Metric == "" {
		return &FieldError{Path: "output.metric", Issue: "give the name of the metric to write"}
	}
	if !slices.Contains(c.aliases, valueName) {
		return &FieldError{Path: "output.destination", Given: ToMetric, Issue: "what is written is the result of a formula; add a transform step"}
	}
	source := o.Source
	if source == "" {
		source = defaultSource
	}
	tags := model.Normalize(append(slices.Clone(o.Tags), model.Tag{Key: model.SourceKey, Value: source}))
	if err := model.CheckSeries(o.Metric, tags); err != nil {
		return &FieldError{Path: "output", Given: o.Metric, Issue: err.Error()}
	}
	for _, tag := range o.Tags {
		if c.plan.groupAll || slices.Contains(c.plan.groupBy, tag.Key) {
			return &FieldError{Path: "output.tags." + tag.Key, Given: tag.Value, Issue: "the rows' groups have this tag"}
		}
	}
	if c.plan.feedsItself(o) {
		return &FieldError{Path: "output.metric", Given: o.Metric,
			Issue: "the pipeline's own filter would select what it writes; name the metrics to read in a filter, or exclude this one with {\"metric\": {\"not\": \"" + o.Metric + "\"}}"}
	}
	return nil
}

// feedsItself reports whether the plan may select a series that it writes. The tags it groups by take values of
// series that it has selected, so matchers of these hold.
func (p *plan) feedsItself(o *Output) bool {
	for _, m := range p.matchers {
		var value string
		switch m.Key {
		case model.NameKey:
			value = o.Metric
		case model.SourceKey:
			value = o.Source
			if value == "" && (p.groupAll || slices.Contains(p.groupBy, model.SourceKey)) {
				continue
			}
			if value == "" {
				value = defaultSource
			}
		default:
			if p.groupAll || slices.Contains(p.groupBy, m.Key) {
				continue
			}
			value = o.Tags.Get(m.Key)
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}

func checkWebhook(o *Output) error {
	fault := func(issue string) error { return &FieldError{Path: "output.url", Given: o.URL, Issue: issue} }
	if o.URL == "" {
		return fault("give the address that rows are sent to")
	}
	if len(o.URL) > maxURLBytes {
		return fault(fmt.Sprintf("it has %d bytes, at most %d are allowed", len(o.URL), maxURLBytes))
	}
	target, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return fault("it is not a URL")
	case target.Scheme != "http" && target.Scheme != "https":
		return fault("use http or https")
	case target.Hostname() == "":
		return fault("there is no host in it")
	case !goodPort(target.Port()):
		return fault("its port is not a number from 1 to 65535")
	case target.User != nil:
		return &FieldError{Path: "output.url", Issue: "put no user or password into it; sign bodies with output.secret"}
	case target.Fragment != "":
		return fault("a webhook has no fragment")
	case len(o.Secret) > maxSecretBytes:
		return &FieldError{Path: "output.secret", Issue: fmt.Sprintf("it has %d bytes, at most %d are allowed", len(o.Secret), maxSecretBytes)}
	}
	return nil
}

// goodPort reports whether a port, "" for that of the scheme, can be connected to.
func goodPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && number > 0
}

// Origin returns the scheme and host of a webhook, without the rest, which may be a secret of its own.
func (o *Output) Origin() string {
	target, err := url.Parse(o.URL)
	if err != nil {
		return ""
	}
	return target.Scheme + "://" + target.Host
}

// writeTries is how often points are written whose series are dropped at the same moment.
const writeTries = 3

// writeBack writes the value of each row to the output's series, at the start of its window, and returns how
// many. Writing the same rows again changes nothing. What is older than retention is left out, with a warning.
func writeBack(db *engine.DB, o *Output, result *outcome) (written int, err error) {
	for range writeTries {
		if written, err = writeOnce(db, o, result); !errors.Is(err, engine.ErrStaleSeries) {
			break
		}
	}
	return written, err
}

func writeOnce(db *engine.DB, o *Output, result *outcome) (int, error) {
	var batch engine.Batch
	batch.ResolvedAt(db.Epoch())
	t := result.table
	ids := make(map[int]model.SeriesID, len(t.Groups))
	refused := 0
	for i := range t.Rows {
		row := &t.Rows[i]
		if engine.IsMissing(row.Value) {
			continue
		}
		tags := o.series(t.Groups[row.Group])
		if err := db.CheckTime(db.RetentionClassOf(o.Metric, tags.Get(model.SourceKey)), row.Time); err != nil {
			refused++
			continue
		}
		id, known := ids[row.Group]
		if !known {
			if err := model.CheckSeries(o.Metric, tags); err != nil {
				return 0, err
			}
			var err error
			if id, err = db.Resolve(o.Metric, tags); err != nil {
				return 0, err
			}
			ids[row.Group] = id
		}
		batch.Add(id, row.Time, row.Value)
	}
	if refused > 0 {
		result.warnings = append(result.warnings, fmt.Sprintf("%d values are older than retention and were not written", refused))
	}
	return batch.Len(), db.Write(&batch)
}

// series returns the tags of the series that a group's values are written to.
func (o *Output) series(group model.Tags) model.Tags {
	tags := slices.Clone(o.Tags)
	source := o.Source
	for _, tag := range group {
		switch {
		case tag.Value == "":
		case tag.Key != model.SourceKey:
			tags = append(tags, tag)
		case source == "":
			source = tag.Value
		}
	}
	if source == "" {
		source = defaultSource
	}
	return model.Normalize(append(tags, model.Tag{Key: model.SourceKey, Value: strings.Clone(source)}))
}
