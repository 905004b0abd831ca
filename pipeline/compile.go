package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Limits of a definition.
const (
	maxNameBytes    = 128
	maxSteps        = 32
	maxFunctions    = 32
	maxStoredBytes  = 64 << 10
	minSchedule     = time.Second
	maxWindowsOfRun = 10_000  // of one on a schedule
	maxBackfill     = 100_000 // runs that are made up for at once
	defaultFunction = "avg"
)

// plan is a checked definition, ready to run.
type plan struct {
	matchers   []*model.Matcher
	width      int64 // of a window, in nanoseconds; 0: the whole range
	functions  functions
	groupBy    []string
	groupAll   bool
	operations []operation
}

// functions are what the aggregate step computes.
type functions struct {
	names  []string
	parsed []engine.Function
}

func (p *plan) grouped() bool { return p.groupAll || len(p.groupBy) > 0 }

// compile checks a definition and makes a plan of it. The errors are *FieldError.
func compile(d *Definition) (*plan, error) {
	if err := checkPipelineName(d.Name); err != nil {
		return nil, err
	}
	switch {
	case len(d.Steps) == 0:
		return nil, &FieldError{Path: "pipeline", Given: "[]", Issue: "give at least an aggregate step"}
	case len(d.Steps) > maxSteps:
		return nil, &FieldError{Path: "pipeline", Given: strconv.Itoa(len(d.Steps)) + " steps", Issue: fmt.Sprintf("at most %d are allowed", maxSteps)}
	case d.Schedule != 0 && d.Schedule < minSchedule:
		return nil, &FieldError{Path: "schedule", Given: d.Schedule.String(), Issue: "the shortest schedule is 1s"}
	}
	c := compiler{plan: &plan{width: int64(d.Schedule)}}
	for i := range d.Steps {
		if err := c.step(&d.Steps[i], fmt.Sprintf("pipeline[%d]", i)); err != nil {
			return nil, err
		}
	}
	if !c.aggregated {
		return nil, &FieldError{Path: "pipeline", Issue: "there is no aggregate step; add one with a window and functions"}
	}
	if d.Schedule != 0 && int64(d.Schedule)/c.plan.width > maxWindowsOfRun {
		return nil, &FieldError{Path: "schedule", Given: d.Schedule.String(),
			Issue: fmt.Sprintf("a run would cover more than %d windows; use a shorter schedule or a wider window", maxWindowsOfRun)}
	}
	return c.plan, c.checkOutput(d)
}

// checkPipelineName holds names to what needs no escaping in paths and files.
func checkPipelineName(name string) error {
	issue := ""
	switch {
	case name == "":
		issue = "give the pipeline a name"
	case len(name) > maxNameBytes:
		issue = fmt.Sprintf("it has %d bytes, at most %d are allowed", len(name), maxNameBytes)
	}
	for i := 0; i < len(name) && issue == ""; i++ {
		b := name[i]
		plain := b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9'
		if !plain && (i == 0 || b != '_' && b != '-' && b != '.') {
			issue = "use letters, digits, and behind the first of them also _ - and ."
		}
	}
	if issue == "" {
		return nil
	}
	return &FieldError{Path: "name", Given: name, Issue: issue}
}

// compiler makes a plan step by step.
type compiler struct {
	plan       *plan
	aggregated bool
	reduced    string   // the first operation that took rows away or out of their order
	aliases    []string // "value" among them, once there is a formula
}

func (c *compiler) step(s *Step, path string) error {
	params := path + ".params"
	switch {
	case s.Filter != nil:
		if c.aggregated {
			return &FieldError{Path: path + ".operation", Given: "filter", Issue: "filters come before the aggregate step; threshold keeps rows by their values"}
		}
		c.plan.matchers = append(c.plan.matchers, s.Filter.Matchers...)
		return nil
	case s.Aggregate != nil:
		return c.aggregate(s.Aggregate, path)
	case !c.aggregated:
		return &FieldError{Path: path + ".operation", Issue: "it works on rows, which an aggregate step before it has to make"}
	case s.Transform != nil:
		return c.transform(s.Transform, params)
	case s.Fill != nil:
		if c.reduced != "" {
			return &FieldError{Path: path + ".operation", Given: "fill", Issue: "it comes before " + c.reduced + ", which takes rows away or out of their order"}
		}
		if kinds := []string{FillNull, FillPrevious, FillLinear, FillNumber}; !slices.Contains(kinds, s.Fill.Kind) {
			return &FieldError{Path: params + ".method", Given: s.Fill.Kind, Issue: "unknown method", Known: kinds}
		}
		c.plan.operations = append(c.plan.operations, filling{*s.Fill})
		return nil
	case s.Sort != nil:
		by, err := c.reference(s.Sort.By, params+".by")
		c.reduce("sort", sorting{by: by, descending: s.Sort.Descending})
		if s.Sort.By == timestampName {
			return nil
		}
		return err
	case s.Limit != nil:
		if s.Limit.Count < 1 {
			return &FieldError{Path: params + ".count", Given: strconv.Itoa(s.Limit.Count), Issue: "give a whole number of at least 1"}
		}
		c.reduce("limit", limiting{*s.Limit})
		return nil
	case s.Threshold != nil:
		return c.threshold(s.Threshold, params)
	}
	return &FieldError{Path: path, Issue: "it is empty"}
}

func (c *compiler) reduce(name string, o operation) {
	if c.reduced == "" {
		c.reduced = name
	}
	c.plan.operations = append(c.plan.operations, o)
}

func (c *compiler) aggregate(a *Aggregate, path string) error {
	p := c.plan
	if c.aggregated {
		return &FieldError{Path: path + ".operation", Given: "aggregate", Issue: "there is one already; its functions may be several"}
	}
	c.aggregated = true
	if a.Window != 0 {
		p.width = int64(a.Window)
	}
	names := a.Functions
	if len(names) == 0 {
		names = []string{defaultFunction}
	}
	if len(names) > maxFunctions {
		return &FieldError{Path: path + ".params.functions", Given: strconv.Itoa(len(names)) + " functions", Issue: fmt.Sprintf("at most %d are allowed", maxFunctions)}
	}
	for i, name := range names {
		at := fmt.Sprintf("%s.params.functions[%d]", path, i)
		parsed, err := engine.ParseFunction(name)
		if err != nil {
			return &FieldError{Path: at, Given: name, Issue: err.Error()}
		}
		if slices.Contains(p.functions.names, name) {
			return &FieldError{Path: at, Given: name, Issue: "it is listed twice"}
		}
		p.functions.names = append(p.functions.names, name)
		p.functions.parsed = append(p.functions.parsed, parsed)
	}
	if len(a.GroupBy) > model.MaxTags {
		return &FieldError{Path: path + ".params.group_by", Given: strconv.Itoa(len(a.GroupBy)) + " keys", Issue: fmt.Sprintf("at most %d are allowed", model.MaxTags)}
	}
	p.groupBy, p.groupAll = a.GroupBy, a.GroupAll
	return nil
}

func (c *compiler) transform(s *Transform, params string) error {
	f, err := compileFormula(s.Formula)
	if err != nil {
		return &FieldError{Path: params + ".formula", Given: s.Formula, Issue: err.Error()}
	}
	o := &transform{formula: f, as: s.As}
	for _, name := range f.names {
		input, err := c.reference(name, params+".formula")
		if err != nil {
			return err
		}
		o.inputs = append(o.inputs, input)
	}
	if s.As != "" {
		issue := ""
		switch {
		case slices.Contains(reserved, s.As):
			issue = "every row may have this key already; choose another name"
		case model.CheckSeries(s.As, nil) != nil:
			issue = model.CheckSeries(s.As, nil).Error()
		}
		if issue != "" {
			return &FieldError{Path: params + ".as", Given: s.As, Issue: issue}
		}
		c.aliases = append(c.aliases, s.As)
	}
	if !slices.Contains(c.aliases, valueName) {
		c.aliases = append(c.aliases, valueName)
	}
	c.plan.operations = append(c.plan.operations, o)
	return nil
}

func (c *compiler) threshold(s *Threshold, params string) error {
	o := watching{Threshold: *s}
	if o.Column == "" {
		o.Column = valueName
	}
	if s.Above == nil && s.Below == nil {
		return &FieldError{Path: params, Issue: "give a bound: above, below or both"}
	}
	var err error
	o.column, err = c.reference(o.Column, params+".column")
	c.reduce("threshold", o)
	return err
}

// reference checks the use of a column.
func (c *compiler) reference(name, path string) (reference, error) {
	ref := reference{name: name, path: path, alias: slices.Contains(c.aliases, name)}
	return ref, c.plan.checkName(name, path, c.aliases)
}
