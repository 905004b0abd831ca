package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// once is a definition that runs once over the 20 minutes from start.
func once(steps ...Step) Definition {
	return Definition{Name: "once", Steps: steps, Output: Output{Destination: ToResponse}, From: start, To: start + 20*minute}
}

func threshold(column string, above, below float64, mark bool) Step {
	return Step{Threshold: &Threshold{Column: column, Above: &above, Below: &below, Mark: mark}}
}

func TestRows(t *testing.T) {
	r := newRig(t)
	for i, v := range []float64{10, 20, 30} { // windows 0, 1 and 3 of five minutes
		at := start + []int64{0, 5, 15}[i]*minute
		r.put("cpu_usage", "a", at, v)
		r.put("cpu_usage", "b", at+second, v+2)
		if i < 2 {
			r.put("memory_usage", "a", at, 100*v)
		}
	}
	at := func(n int64) string { return time.Unix(0, start+n*5*minute).UTC().Format(time.RFC3339) }
	all := func(s ...Step) []Step {
		return append([]Step{byExperiment(), aggregate(5*time.Minute, "avg", "max")}, s...)
	}
	type row = map[string]any
	cpu := filter(model.EqualMatcher(model.NameKey, "cpu_usage"))
	grouped := Step{Aggregate: &Aggregate{Window: 5 * time.Minute, Functions: []string{"max"}, GroupBy: []string{"host"}}}
	avg := aggregate(5*time.Minute, "avg")
	for _, c := range []struct {
		name  string
		steps []Step
		want  []row
	}{
		{"the seed", all(formulaStep("avg_cpu + max_memory", "")), []row{
			{"timestamp": at(0), "avg_cpu_usage": 11.0, "max_cpu_usage": 12.0, "avg_memory_usage": 1000.0, "max_memory_usage": 1000.0, "value": 1011.0},
			{"timestamp": at(1), "avg_cpu_usage": 21.0, "max_cpu_usage": 22.0, "avg_memory_usage": 2000.0, "max_memory_usage": 2000.0, "value": 2021.0},
			{"timestamp": at(3), "avg_cpu_usage": 31.0, "max_cpu_usage": 32.0, "avg_memory_usage": nil, "max_memory_usage": nil, "value": nil},
		}},
		{"aliases", []Step{cpu, avg, formulaStep("avg_cpu_usage * 2", "double"), formulaStep("double + value", "")}, []row{
			{"timestamp": at(0), "avg_cpu_usage": 11.0, "double": 22.0, "value": 44.0},
			{"timestamp": at(1), "avg_cpu_usage": 21.0, "double": 42.0, "value": 84.0},
			{"timestamp": at(3), "avg_cpu_usage": 31.0, "double": 62.0, "value": 124.0},
		}},
		{"groups", []Step{cpu, grouped, {Sort: &Sort{By: "max_cpu", Descending: true}}, {Limit: &Limit{Count: 3}}}, []row{
			{"timestamp": at(3), "tags": row{"host": "b"}, "max_cpu_usage": 32.0},
			{"timestamp": at(3), "tags": row{"host": "a"}, "max_cpu_usage": 30.0},
			{"timestamp": at(1), "tags": row{"host": "b"}, "max_cpu_usage": 22.0},
		}},
		{"fill linear, and a formula of it", []Step{cpu, avg, {Fill: &Fill{Kind: FillLinear}}, formulaStep("avg_cpu", "")}, []row{
			{"timestamp": at(0), "avg_cpu_usage": 11.0, "value": 11.0}, {"timestamp": at(1), "avg_cpu_usage": 21.0, "value": 21.0},
			{"timestamp": at(2), "avg_cpu_usage": 26.0, "value": 26.0}, {"timestamp": at(3), "avg_cpu_usage": 31.0, "value": 31.0},
		}},
		{"fill a number, newest first", []Step{cpu, avg, {Fill: &Fill{Kind: FillNumber, Number: 7}}, {Sort: &Sort{By: "timestamp", Descending: true}}, {Limit: &Limit{Count: 2}}},
			[]row{{"timestamp": at(3), "avg_cpu_usage": 31.0}, {"timestamp": at(2), "avg_cpu_usage": 7.0}}},
		{"fill previous", []Step{cpu, avg, {Fill: &Fill{Kind: FillPrevious}}, {Sort: &Sort{By: "timestamp", Descending: true}}, {Limit: &Limit{Count: 2}}},
			[]row{{"timestamp": at(3), "avg_cpu_usage": 31.0}, {"timestamp": at(2), "avg_cpu_usage": 21.0}}},
		{"fill null", []Step{cpu, avg, {Fill: &Fill{Kind: FillNull}}, {Sort: &Sort{By: "avg_cpu"}}},
			[]row{{"timestamp": at(0), "avg_cpu_usage": 11.0}, {"timestamp": at(1), "avg_cpu_usage": 21.0}, {"timestamp": at(3), "avg_cpu_usage": 31.0}, {"timestamp": at(2), "avg_cpu_usage": nil}}},
		{"threshold keeps", []Step{cpu, avg, threshold("avg_cpu", 30, 12, false)}, []row{
			{"timestamp": at(0), "avg_cpu_usage": 11.0, "crossed": "below"}, {"timestamp": at(3), "avg_cpu_usage": 31.0, "crossed": "above"}}},
		{"threshold marks, bounds are not crossed", []Step{cpu, avg, formulaStep("avg_cpu", ""), threshold("", 31, 11.5, true)}, []row{
			{"timestamp": at(0), "avg_cpu_usage": 11.0, "value": 11.0, "crossed": "below"},
			{"timestamp": at(1), "avg_cpu_usage": 21.0, "value": 21.0, "crossed": nil},
			{"timestamp": at(3), "avg_cpu_usage": 31.0, "value": 31.0, "crossed": nil}}},
		{"one window", []Step{cpu, {Aggregate: &Aggregate{Functions: []string{"count", "p50"}}}}, []row{{"timestamp": at(0), "count_cpu_usage": 6.0, "p50_cpu_usage": 21.0}}},
		{"nothing", []Step{filter(model.EqualMatcher("host", "none")), avg, formulaStep("avg_cpu", "")}, []row{}},
		{"division by zero", []Step{cpu, avg, formulaStep("avg_cpu / 0", ""), {Limit: &Limit{Count: 1}}}, []row{{"timestamp": at(0), "avg_cpu_usage": 11.0, "value": "+Inf"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := r.submit(once(c.steps...))
			if diff := cmp.Diff(c.want, rowsOf(t, answer.Table)); diff != "" || len(answer.Warnings) > 0 {
				t.Errorf("%s %q", diff, answer.Warnings)
			}
		})
	}
}

func TestNames(t *testing.T) {
	r := newRig(t)
	r.put("cpu_usage", "a", start, 1)
	r.put("cpu_temp", "a", start, 1)
	r.put("cpu", "b", start+minute, 5)
	r.put("mem.used", "a", start, 3)
	steps := func(f string) []Step {
		return []Step{filter(model.EqualMatcher("host", "a")), aggregate(time.Minute, "avg", "p99.9"), formulaStep(f, "")}
	}
	_, err := r.m.Submit(t.Context(), once(steps("avg_cpu")...), true)
	fault, ok := errors.AsType[*FieldError](err)
	if !ok || fault.Path != "pipeline[2].params.formula" || !slices.Equal(fault.Candidates, []string{"avg_cpu_temp", "avg_cpu_usage"}) {
		t.Errorf("an ambiguous name: %+v", err)
	}
	for formula, want := range map[string]any{
		"avg_cpu_u": 1.0, "avg_cpu_temp": 1.0, "avg_mem.used": 3.0, `column("p99.9_mem")`: 3.0, "avg_disk": nil,
	} {
		answer := r.submit(once(steps(formula)...))
		if got := rowsOf(t, answer.Table)[0]["value"]; got != want {
			t.Errorf("%s: %v, want %v", formula, got, want)
		}
		if wantWarning := want == nil; (len(answer.Warnings) > 0) != wantWarning {
			t.Errorf("%s: warnings %q", formula, answer.Warnings)
		}
	}
	// An exact name is meant, whatever begins with it.
	if got := rowsOf(t, r.submit(once(byExperiment(), aggregate(time.Minute, "avg"), formulaStep("avg_cpu", ""))).Table); got[1]["value"] != 5.0 {
		t.Errorf("an exact name: %v", got)
	}
	for formula, known := range map[string]string{"min_cpu": "avg_<metric>", "cpu": "avg_<metric>", "avg_": "p99.9_<metric>"} {
		_, err := r.m.Submit(t.Context(), once(steps(formula)...), true)
		if fault, ok := errors.AsType[*FieldError](err); !ok || !slices.Contains(fault.Known, known) {
			t.Errorf("%s: %+v", formula, err)
		}
	}
}

func TestBadDefinitions(t *testing.T) {
	avg := aggregate(time.Minute, "avg")
	above := 1.0
	hook := func(url string) Output { return Output{Destination: ToWebhook, URL: url} }
	type edit func(d *Definition)
	for _, c := range []struct {
		path string
		edit edit
	}{
		{"name", func(d *Definition) { d.Name = "" }},
		{"name", func(d *Definition) { d.Name = "a/b" }},
		{"name", func(d *Definition) { d.Name = ".a" }},
		{"name", func(d *Definition) { d.Name = strings.Repeat("a", 129) }},
		{"pipeline", func(d *Definition) { d.Steps = nil }},
		{"pipeline", func(d *Definition) { d.Steps = []Step{filter()} }},
		{"pipeline", func(d *Definition) { d.Steps = slices.Repeat([]Step{filter()}, 33) }},
		{"pipeline[0].operation", func(d *Definition) { d.Steps = []Step{formulaStep("1", ""), avg} }},
		{"pipeline[1].operation", func(d *Definition) { d.Steps = []Step{avg, filter()} }},
		{"pipeline[1].operation", func(d *Definition) { d.Steps = []Step{avg, avg} }},
		{"pipeline[0].params.functions[1]", func(d *Definition) { d.Steps = []Step{aggregate(0, "avg", "mean")} }},
		{"pipeline[0].params.functions[1]", func(d *Definition) { d.Steps = []Step{aggregate(0, "avg", "avg")} }},
		{"pipeline[1].params.formula", func(d *Definition) { d.Steps = []Step{avg, formulaStep("avg_cpu +", "")} }},
		{"pipeline[1].params.as", func(d *Definition) { d.Steps = []Step{avg, formulaStep("1", "timestamp")} }},
		{"pipeline[1].params.column", func(d *Definition) { d.Steps = []Step{avg, {Threshold: &Threshold{Above: &above}}} }},
		{"pipeline[1].params", func(d *Definition) { d.Steps = []Step{avg, {Threshold: &Threshold{Column: "avg_cpu"}}} }},
		{"pipeline[1].params.by", func(d *Definition) { d.Steps = []Step{avg, {Sort: &Sort{By: "cpu"}}} }},
		{"pipeline[1].params.count", func(d *Definition) { d.Steps = []Step{avg, {Limit: &Limit{}}} }},
		{"pipeline[2].operation", func(d *Definition) { d.Steps = []Step{avg, {Limit: &Limit{Count: 1}}, {Fill: &Fill{Kind: FillNull}}} }},
		{"pipeline[1].params.method", func(d *Definition) { d.Steps = []Step{avg, {Fill: &Fill{Kind: "x"}}} }},
		{"schedule", func(d *Definition) { d.Schedule, d.Output = time.Millisecond, hook("http://example.com/") }},
		{"schedule", func(d *Definition) { d.Schedule, d.Output = 10_001*time.Minute, hook("http://example.com/") }},
		{"output.destination", func(d *Definition) { d.Schedule = time.Minute }},
		{"output.destination", func(d *Definition) { d.Output.Destination = "mail" }},
		{"output.metric", func(d *Definition) { d.Output = Output{Destination: ToMetric} }},
		{"output.destination", func(d *Definition) { d.Output, d.Steps = Output{Destination: ToMetric, Metric: "m"}, []Step{avg} }},
		{"output", func(d *Definition) { d.Output = Output{Destination: ToMetric, Metric: "a\nb"} }},
		{"output.url", func(d *Definition) { d.Output = hook("") }},
		{"output.url", func(d *Definition) { d.Output = hook("ftp://example.com/") }},
		{"output.url", func(d *Definition) { d.Output = hook("http:///path") }},
		{"output.url", func(d *Definition) { d.Output = hook("http://user:pass@example.com/") }},
		{"output.url", func(d *Definition) { d.Output = hook("http://example.com/#a") }},
		{"output.url", func(d *Definition) { d.Output = hook("http://example.com:65536/") }},
		{"output.url", func(d *Definition) { d.Output = hook("http://example.com:0/") }},
		{"output.url", func(d *Definition) { d.Output = hook("http://example.com/" + strings.Repeat("a", 2048)) }},
	} {
		d := once(byExperiment(), avg, formulaStep("avg_cpu", ""))
		c.edit(&d)
		_, err := compile(&d)
		fault, ok := errors.AsType[*FieldError](err)
		if !ok || fault.Path != c.path || fault.Issue == "" {
			t.Errorf("%+v: %v, want a fault of %s", d, err, c.path)
		}
		if strings.Contains(fault.Given, "pass") {
			t.Errorf("the password is repeated: %v", fault)
		}
	}
}

// TestFeedsItself tells which recording rules would read what they write.
func TestFeedsItself(t *testing.T) {
	name := func(op model.MatchOp, value string) *model.Matcher {
		m, err := model.NewMatcher(model.NameKey, op, value)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	host := model.EqualMatcher("host", "a")
	for _, c := range []struct {
		name     string
		matchers []*model.Matcher
		groupBy  []string
		output   Output
		feeds    bool
	}{
		{"no filter", nil, nil, Output{}, true},
		{"its own name", []*model.Matcher{name(model.MatchEqual, "out")}, nil, Output{}, true},
		{"another name", []*model.Matcher{name(model.MatchEqual, "cpu")}, nil, Output{}, false},
		{"not its name", []*model.Matcher{name(model.MatchNotEqual, "out")}, nil, Output{}, false},
		{"a pattern of names", []*model.Matcher{name(model.MatchRegexp, "o.*")}, nil, Output{}, true},
		{"a tag it does not write", []*model.Matcher{host}, nil, Output{}, false},
		{"a tag it writes", []*model.Matcher{host}, nil, Output{Tags: model.Tags{{Key: "host", Value: "a"}}}, true},
		{"a tag it writes otherwise", []*model.Matcher{host}, nil, Output{Tags: model.Tags{{Key: "host", Value: "b"}}}, false},
		{"a tag it groups by", []*model.Matcher{host}, []string{"host"}, Output{}, true},
		{"another source", []*model.Matcher{model.EqualMatcher("source", "s")}, nil, Output{}, false},
		{"its source", []*model.Matcher{model.EqualMatcher("source", "pipeline")}, nil, Output{}, true},
		{"the source it groups by", []*model.Matcher{model.EqualMatcher("source", "s")}, []string{"source"}, Output{}, true},
		{"a source of its own, beside", []*model.Matcher{model.EqualMatcher("source", "s")}, []string{"source"}, Output{Source: "x"}, false},
	} {
		c.output.Destination, c.output.Metric = ToMetric, "out"
		d := once(filter(c.matchers...), Step{Aggregate: &Aggregate{GroupBy: c.groupBy}}, formulaStep("avg_cpu", ""))
		d.Output = c.output
		_, err := compile(&d)
		if fault, ok := errors.AsType[*FieldError](err); ok != c.feeds || ok && fault.Path != "output.metric" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestLimitsOfRuns(t *testing.T) {
	r := newRig(t)
	for i := range maxMetrics + 1 {
		r.put("m"+string(rune('a'+i%26))+time.Duration(i).String(), "a", start, 1)
	}
	_, err := r.m.Submit(t.Context(), once(byExperiment(), aggregate(0, "avg")), true)
	if limit, ok := errors.AsType[*engine.LimitError](err); !ok || limit.Limit != "metrics of a pipeline" {
		t.Errorf("too many metrics: %v", err)
	}
	_, err = r.m.Submit(t.Context(), once(byExperiment(), aggregate(time.Millisecond, "avg")), true)
	if limit, ok := errors.AsType[*engine.LimitError](err); !ok || limit.Limit != "windows of a pipeline" {
		t.Errorf("too many windows: %v", err)
	}
}

// TestRowsTakeTheirBytes refuses rows whose tags would be repeated too often, until there are fewer.
func TestRowsTakeTheirBytes(t *testing.T) {
	r := newRig(t)
	tags := model.Tags{{Key: model.SourceKey, Value: "s"}}
	for i := range 60 {
		tags = append(tags, model.Tag{Key: "k" + strconv.Itoa(i), Value: strings.Repeat("v", 1000)})
	}
	id, err := r.db.Resolve("long", model.Normalize(tags))
	if err != nil {
		t.Fatal(err)
	}
	var batch engine.Batch
	for i := range int64(3000) {
		batch.Add(id, start+i*second, 1)
	}
	if err := r.db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	steps := []Step{filter(model.EqualMatcher(model.NameKey, "long")), aggregate(time.Second, "avg")}
	steps[1].Aggregate.GroupAll = true
	d := Definition{Name: "long", From: start, To: start + 3600*second, Steps: steps, Output: Output{Destination: ToResponse}}
	_, err = r.m.Submit(t.Context(), d, true)
	if limit, ok := errors.AsType[*engine.LimitError](err); !ok || limit.Limit != "bytes of a pipeline's rows" {
		t.Errorf("got %v", err)
	}
	d.Steps = append(d.Steps, Step{Limit: &Limit{Count: 2}})
	if answer := r.submit(d); len(answer.Table.Rows) != 2 {
		t.Errorf("%d rows", len(answer.Table.Rows))
	}
}

// TestFormulasEndWithTheirRequest stops the formulas of a run whose client is gone.
func TestFormulasEndWithTheirRequest(t *testing.T) {
	f, err := compileFormula("1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	table := &Table{Rows: make([]Row, 1)}
	if err := (&transform{formula: f}).apply(ctx, table, &resolver{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// fullFS is a disk without room.
type fullFS struct{ vfs.FS }

func (fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{TotalBytes: 1 << 40, UsedBytes: 1 << 40}, nil
}

// TestFullDiskStillAnswers answers when nothing can be stored, and says so; what has to be stored is refused.
func TestFullDiskStillAnswers(t *testing.T) {
	r := newRig(t)
	r.put("cpu_usage", "a", start, 7)
	r.close()
	var err error
	if r.db, err = engine.Open("data", engine.Options{FS: fullFS{r.fs}, MinFreeBytes: 1 << 20, MaintainInterval: -1}); err != nil {
		t.Fatal(err)
	}
	if r.m, err = load(r.db, r.options); err != nil {
		t.Fatal(err)
	}
	d := once(byExperiment(), aggregate(0, "avg"))
	answer := r.submit(d)
	if rows := rowsOf(t, answer.Table); len(rows) != 1 || rows[0]["avg_cpu_usage"] != 7.0 || len(answer.Warnings) != 1 {
		t.Errorf("rows %v, warnings %q", rows, answer.Warnings)
	}
	d.Output = Output{Destination: ToWebhook, URL: "https://example.com"}
	if _, err := r.m.Submit(t.Context(), d, true); !errors.Is(err, engine.ErrDiskFull) {
		t.Errorf("a delivery that can't be stored: %v", err)
	}
}

// TestDefinitionsAreStoredWhole compares what is loaded with what was stored, but for what is compiled.
func TestDefinitionsAreStoredWhole(t *testing.T) {
	pattern, err := model.NewMatcher("host", model.MatchNotRegexp, "a|b.*")
	if err != nil {
		t.Fatal(err)
	}
	above := 2.5
	d := Definition{Name: "n", Schedule: time.Minute, From: 5, To: 6,
		Steps: []Step{{Given: json.RawMessage(`{"a":1}`), Filter: &Filter{Matchers: []*model.Matcher{pattern}}},
			{Aggregate: &Aggregate{Window: 3, Functions: []string{"p99.9"}, GroupBy: []string{"x"}, GroupAll: true}},
			{Transform: &Transform{Formula: "f", As: "a"}}, {Fill: &Fill{Kind: FillNumber, Number: 0.1}},
			{Sort: &Sort{By: "b", Descending: true}}, {Limit: &Limit{Count: 3}}, {Threshold: &Threshold{Column: "c", Above: &above, Mark: true}}},
		Output: Output{Destination: "d", URL: "u", Secret: "s", Metric: "m", Source: "o", Tags: model.Tags{{Key: "k", Value: "v"}}}}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Definition
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if err := rebuildMatchers(&back); err != nil {
		t.Fatal(err)
	}
	if m := back.Steps[0].Filter.Matchers[0]; m.Matches("b1") || !m.Matches("c") {
		t.Error("the expression isn't compiled again")
	}
	ignore := cmp.Comparer(func(a, b *model.Matcher) bool { return a.String() == b.String() })
	if diff := cmp.Diff(d, back, ignore); diff != "" {
		t.Error(diff)
	}
}
