package pipeline

import (
	"slices"
	"strings"
)

// Names that rows have beside their columns.
const (
	timestampName = "timestamp"
	valueName     = "value"
)

// reserved can't be aliases: rows have these keys anyway.
var reserved = []string{timestampName, valueName, "source", "tags", crossedName}

// checkName reports why a name can't stand for any column, whatever metrics there are. aliases are those that
// earlier steps have made.
func (p *plan) checkName(name, path string, aliases []string) error {
	if slices.Contains(aliases, name) {
		return nil
	}
	function, metric, found := strings.Cut(name, "_")
	if found && metric != "" && slices.Contains(p.functions.names, function) {
		return nil
	}
	known := slices.Clone(aliases)
	for _, function := range p.functions.names {
		known = append(known, function+"_<metric>")
	}
	return &FieldError{Path: path, Given: name, Known: known,
		Issue: "unknown name " + name + "; a name is an alias, or a function of the aggregate step, _ and a metric"}
}

// resolver finds the metrics that names in formulas stand for.
type resolver struct {
	metrics  []string          // that have samples, sorted
	bindings map[string]string // name -> metric, from earlier runs; those found are added
	keep     bool              // an ambiguous name is a warning, not an error
	warnings []string
}

// column returns the name of the column that a name of the form <function>_<metric> stands for. It is "" when
// there is none yet, which is noted. A name that may mean several is a *FieldError, with path.
func (r *resolver) column(name, path string) (string, error) {
	function, prefix, _ := strings.Cut(name, "_")
	if metric, bound := r.bindings[name]; bound {
		return function + "_" + metric, nil
	}
	if _, exact := slices.BinarySearch(r.metrics, prefix); exact {
		r.bind(name, prefix)
		return name, nil
	}
	var candidates []string
	for _, metric := range r.metrics {
		if strings.HasPrefix(metric, prefix) {
			candidates = append(candidates, metric)
		}
	}
	switch len(candidates) {
	case 0:
		if len(r.metrics) > 0 {
			r.warn(name + " is null: no metric of the selection begins with " + prefix + " and has samples in the range")
		}
		return "", nil
	case 1:
		r.bind(name, candidates[0])
		return function + "_" + candidates[0], nil
	}
	for i, metric := range candidates {
		candidates[i] = function + "_" + metric
	}
	if r.keep {
		r.warn(name + " is null, since it may mean any of " + strings.Join(candidates, ", ") + "; write one of them")
		return "", nil
	}
	return "", &FieldError{Path: path, Given: name, Candidates: candidates,
		Issue: name + " is ambiguous; write one of the candidates"}
}

// bind keeps what a name stands for.
func (r *resolver) bind(name, metric string) {
	if r.bindings == nil {
		r.bindings = make(map[string]string)
	}
	r.bindings[name] = metric
}

// maxWarnings bounds the warnings of a run.
const maxWarnings = 20

func (r *resolver) warn(text string) {
	if len(r.warnings) < maxWarnings && !slices.Contains(r.warnings, text) {
		r.warnings = append(r.warnings, text)
	}
}
