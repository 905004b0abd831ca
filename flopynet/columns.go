package flopynet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// A kind is a type of rows, put together from the series of one source.
type kind struct {
	name   string
	source string
	names  []string // of its metrics; nil: all that the source has
	asked  bool     // it comes only to who asks for it by name, since its metrics are in the rows of another kind, too

	interval time.Duration // of its rows; 0: that of the polls
	totals   []string      // metrics of which the first one there is counts as the row's value; nil: there is none
	aliases  map[string]string
}

// The types of rows, as FLOPY-NET's dashboard names them.
const (
	typeNetwork       = "network"
	typePolicyCount   = "policy_count"
	typeDecisionCount = "decision_count"
)

// kinds are all types of rows.
func kinds() []kind {
	policies := []string{"active_policies", "enabled_policy_count", "policy_count"}
	decisions := []string{"total_decisions", "allowed_count", "denied_count", "denial_rate", "avg_evaluation_time_ms", "unique_requesters"}
	aliases := map[string]string{"total_evaluations": "total_decisions", "total": "total_decisions", "allowed": "allowed_count", "denied": "denied_count"}
	return []kind{
		{name: FLServer, source: FLServer},
		{name: PolicyEngine, source: PolicyEngine},
		{name: typeNetwork, source: SDNController},
		{name: systemSource, source: systemSource},
		{name: typePolicyCount, source: PolicyEngine, names: policies, asked: true, interval: time.Hour, totals: policies},
		{name: typeDecisionCount, source: PolicyEngine, names: decisions, asked: true, interval: time.Hour, totals: decisions[:1], aliases: aliases},
	}
}

// kindsOf are those of a type and a component, which are matched as FLOPY-NET's programs spell them, in any case; "": any.
func kindsOf(kindName, component string) []kind {
	return slices.DeleteFunc(kinds(), func(k kind) bool {
		return kindName == "" && k.asked || kindName != "" && !strings.EqualFold(kindName, k.name) ||
			component != "" && !strings.EqualFold(component, k.source) && !strings.EqualFold(component, k.name)
	})
}

// Bounds of what is shown of a source. A component has some tens of metrics; what has more series than this is better
// read by name and tags.
const (
	maxShownNames   = 200
	maxShownPerName = 100
	maxSeriesLooked = 20_000
)

// column is where a series stands in a row: under its metric's name, and below that under its tags if the name has several.
type column struct {
	name string
	tags string // "": the value stands under the name itself
}

// columns are the series that rows of a kind have, by id.
type columns struct {
	names  []string // ascending
	series map[model.SeriesID]column
}

// errEnough ends a scan that has seen all it wants.
var errEnough = errors.New("enough was seen")

// columns chooses what rows of a kind have. A metric's series without tags stands for it; without one, its only series does,
// and of several each has its place. Those of a metric with more than maxShownPerName are left out.
func (t *Testbed) columns(ctx context.Context, k kind, from, to int64) (*columns, error) {
	byName := map[string][]model.Series{}
	looked := 0
	selection := engine.Selection{From: from, To: to, Matchers: []*model.Matcher{model.EqualMatcher(model.SourceKey, k.source)}}
	err := t.db.ScanSeries(ctx, selection, func(s model.Series) error {
		if looked++; looked > maxSeriesLooked {
			return errEnough
		}
		if k.names == nil || slices.Contains(k.names, s.Name) {
			if len(byName[s.Name]) <= maxShownPerName {
				byName[s.Name] = append(byName[s.Name], s)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	c := &columns{series: map[model.SeriesID]column{}}
	for name, series := range byName {
		c.add(name, series)
	}
	slices.Sort(c.names)
	c.names = c.names[:min(len(c.names), maxShownNames)]
	return c, nil
}

// add takes in the series of a metric.
func (c *columns) add(name string, series []model.Series) {
	plain := slices.IndexFunc(series, func(s model.Series) bool { return tagsText(s.Tags) == "" })
	switch {
	case plain >= 0:
		series = series[plain : plain+1]
	case len(series) > maxShownPerName:
		return
	}
	c.names = append(c.names, name)
	for _, s := range series {
		place := column{name: name}
		if len(series) > 1 {
			place.tags = tagsText(s.Tags)
		}
		c.series[s.ID] = place
	}
}

// tagsText spells the tags of a series but for its source, as filters do.
func tagsText(tags model.Tags) string {
	var out strings.Builder
	for _, tag := range tags {
		if tag.Key == model.SourceKey {
			continue
		}
		if out.Len() > 0 {
			out.WriteByte(',')
		}
		out.WriteString(tag.Key + ":" + tag.Value)
	}
	return out.String()
}

// put sets a value of a row's data.
func (c column) put(data map[string]any, value float64) {
	if c.tags == "" {
		data[c.name] = value
		return
	}
	values, _ := data[c.name].(map[string]float64)
	if values == nil {
		values = map[string]float64{}
		data[c.name] = values
	}
	values[c.tags] = value
}

// MetricType is the type of the rows of a component, as FLOPY-NET's dashboard names it.
func MetricType(component string) string {
	for _, k := range kinds() {
		if k.source == component && !k.asked {
			return k.name
		}
	}
	return component
}

// Selected is a metric of a source; Source "" is any.
type Selected struct{ Name, Source string }

// SelectMetrics returns the metrics that a metric type of FLOPY-NET's dashboard means: those of a type of rows (fl_server), one
// of a component (fl_server.accuracy), or one of any source (accuracy). Only those that may have samples in the range
// are found for a type of rows.
func (t *Testbed) SelectMetrics(ctx context.Context, metricType string, from, to int64) ([]Selected, error) {
	if wanted := kindsOf(metricType, ""); metricType != "" && len(wanted) == 1 {
		c, err := t.columns(ctx, wanted[0], from, to)
		if err != nil {
			return nil, err
		}
		var all []Selected
		for _, name := range c.names {
			all = append(all, Selected{name, wanted[0].source})
		}
		return all, nil
	}
	if component, name, parted := strings.Cut(metricType, "."); parted {
		if source := SourceOf(component); source != "" {
			return []Selected{{name, source}}, nil
		}
	}
	return []Selected{{Name: metricType}}, nil
}

// SourceOf returns the source of a component's series by what FLOPY-NET's programs call the component; "": it is none of them.
func SourceOf(component string) string {
	for _, k := range kinds() {
		if !k.asked && (strings.EqualFold(component, k.name) || strings.EqualFold(component, k.source)) {
			return k.source
		}
	}
	return ""
}
