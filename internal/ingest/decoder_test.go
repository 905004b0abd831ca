package ingest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const seedBody = `{
"source": "fl_server",
"timestamp": "2024-01-15T10:30:00Z",
"metrics": [
{"name": "cpu_usage", "value": 45.2, "unit": "percent", "tags": {"host": "fl-server-01", "experiment_id": "exp_001"}},
{"name": "memory_usage", "value": 512.5, "unit": "MB", "tags": {"host": "fl-server-01", "experiment_id": "exp_001"}},
{"name": "active_clients", "value": 5, "unit": "count", "tags": {"experiment_id": "exp_001"}}
]
}`

func newTestDecoder() *Decoder { return NewDecoder(NewCache(CacheOptions{}), newMemoryResolver()) }

func mustDecode(t *testing.T, d *Decoder, body string, shape Shape) (outcome, *Report) {
	t.Helper()
	out, report, err := decodeBody(t, d, []byte(body), shape)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return out, report
}

func TestSeedBody(t *testing.T) {
	tags := model.Tags{{Key: "experiment_id", Value: "exp_001"}, {Key: "host", Value: "fl-server-01"}, {Key: "source", Value: "fl_server"}}
	fewer := model.Tags{tags[0], tags[2]}
	want := outcome{
		Samples: []string{
			sampleText("cpu_usage", tags, testNow, 45.2),
			sampleText("memory_usage", tags, testNow, 512.5),
			sampleText("active_clients", fewer, testNow, 5),
		},
		Units: []string{
			seriesText("cpu_usage", tags) + " percent", seriesText("memory_usage", tags) + " MB", seriesText("active_clients", fewer) + " count",
		},
	}
	d := newTestDecoder()
	for pass := range 3 {
		got, report := mustDecode(t, d, seedBody, Metrics)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pass %d (-want +got):\n%s", pass, diff)
		}
		wantReport := &Report{Accepted: 3, Batches: []BatchReport{{Source: "fl_server", Accepted: 3}}}
		if diff := cmp.Diff(wantReport, report, cmpopts.IgnoreUnexported(Report{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("pass %d (-want +got):\n%s", pass, diff)
		}
		want.Units = nil // they are known from now on
	}
}

func TestReport(t *testing.T) {
	tests := []struct {
		name   string
		body   string
		shape  Shape
		report Report
	}{
		{"nothing", `{"metrics":[]}`, Metrics, Report{Batches: []BatchReport{{Source: "default"}}}},
		{"bare", `[{"name":"page_views","value":25}]`, Metrics, Report{Accepted: 1, Batches: []BatchReport{{Source: "default", Accepted: 1}}}},
		{"batch id", `{"metrics":[],"batch_id":"b\u0031","source":"s"}`, Metrics, Report{BatchID: "b1", Batches: []BatchReport{{Source: "s", BatchID: "b1"}}}},
		{"batches", `{"batches":[{"source":"a","metrics":[{"name":"x","value":1}]},{"batch_id":"2","metrics":[{"name":"x","value":"1"}]}]}`, Batches, Report{
			Accepted: 1, Rejected: 1,
			Errors:  []Rejection{{Batch: 1, Index: 0, Name: "x", Reason: `value is the string "1", want a finite number`}},
			Batches: []BatchReport{{Source: "a", Accepted: 1}, {Source: "default", BatchID: "2", Rejected: 1}},
		}},
		{"batch id of batches", `{"batch_id":"b\u0031","batches":[{"batch_id":"2","metrics":[]}]}`, Batches, Report{
			BatchID: "b1", Batches: []BatchReport{{Source: "default", BatchID: "2"}},
		}},
		{"batch id behind batches", `{"batch_id":1,"batches":[{"metrics":[{"name":"x","value":1}]}],"batch_id":"b"}`, Batches, Report{
			Accepted: 1, BatchID: "b", Batches: []BatchReport{{Source: "default", Accepted: 1}},
		}},
		{"values", `[{"name":"x","values":[[1705314600,1],["now-1h",2]]}]`, Metrics, Report{Accepted: 2, Batches: []BatchReport{{Source: "default", Accepted: 2}}}},
		{"duplicate samples", `{"batches":[{"metrics":[{"name":"x","value":1}]},{"metrics":[{"name":"x","value":2}]}]}`, Batches, Report{
			Accepted: 2, Batches: []BatchReport{{Source: "default", Accepted: 1}, {Source: "default", Accepted: 1}},
			Warnings: []string{"batches[1].metrics[0] replaces an earlier sample of the same series and time in this request"},
		}},
		{"unknown keys", `{"hostname":1,"metrics":[{"name":"x","value":1,"type":"gauge"},{"name":"y","value":1,"type":"gauge"}],"hostname":2}`, Metrics, Report{
			Accepted: 2, Batches: []BatchReport{{Source: "default", Accepted: 2}},
			Warnings: []string{`unknown key "hostname" in a body is ignored`, `unknown key "type" in a metric is ignored`},
		}},
		{"values and timestamp", `[{"name":"x","timestamp":1705314600,"values":[]}]`, Metrics, Report{
			Batches: []BatchReport{{Source: "default"}}, Warnings: []string{"metrics[0] has values, so its timestamp is ignored"},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newTestDecoder()
			for range 2 {
				_, report := mustDecode(t, d, test.body, test.shape)
				if diff := cmp.Diff(&test.report, report, cmpopts.IgnoreUnexported(Report{}), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestRejections(t *testing.T) {
	long := strings.Repeat("x", 65_000)
	tests := []struct {
		metric string
		reason string
		limit  bool
	}{
		{`5`, "the metric is not an object", false},
		{`{"value":1}`, "name is missing, want a string", false},
		{`{"name":null,"value":1}`, "name is null, want a string", false},
		{`{"name":"","value":1}`, "name is empty", false},
		{`{"name":"a\u0007","value":1}`, `name "a\a" has a control character`, false},
		{`{"name":"` + long + `","value":1}`, "name has 65000 bytes, at most 256 are allowed", true},
		{`{"name":"a"}`, "value is missing, want a finite number", false},
		{`{"name":"a","value":null}`, "value is null, want a finite number", false},
		{`{"name":"a","value":"NaN"}`, `value is the string "NaN", want a finite number`, false},
		{`{"name":"a","value":true}`, "value is true, want a finite number", false},
		{`{"name":"a","value":{"b":1}}`, "value is an object, want a finite number", false},
		{`{"name":"a","value":1e999}`, "value 1e999 is out of range of a float64", false},
		{`{"name":"a","value":-1e999}`, "value -1e999 is out of range of a float64", false},
		{`{"name":"a","value":1,"values":[]}`, "the metric has both value and values", false},
		{`{"name":"a","values":1}`, "values is the number 1, want an array of [timestamp, value] pairs", false},
		{`{"name":"a","values":[[1705314600,1],[1705314600]]}`, "values[1] is not a pair of a timestamp and a value", false},
		{`{"name":"a","values":[{}]}`, "values[0] is not a pair of a timestamp and a value", false},
		{`{"name":"a","values":[[null,1]]}`, "the timestamp of values[0] is null, want a time", false},
		{`{"name":"a","values":[[1705314600,"1"]]}`, `the value of values[0] is the string "1", want a finite number`, false},
		{`{"name":"a","values":[[1705314600,1e999]]}`, "the value of values[0], 1e999, is out of range of a float64", false},
		{`{"name":"a","value":1,"timestamp":true}`, "timestamp is true, want a string or a number", false},
		{`{"name":"a","value":1,"timestamp":"1969-12-31T00:00:00Z"}`, `"1969-12-31T00:00:00Z" is not a time: it is outside 1970-01-01 to 2262-04-11`, false},
		{`{"name":"a","value":1,"timestamp":"2300-01-01"}`, `"2300-01-01" is not a time: it is outside 1970-01-01 to 2262-04-11`, false},
		{`{"name":"a","value":1,"timestamp":60}`, "timestamp is too old", false},
		{`{"name":"a","value":1,"source":5}`, "source is the number 5, want a string", false},
		{`{"name":"a","value":1,"source":"a\u0007"}`, `source "a\a" has a control character`, false},
		{`{"name":"a","value":1,"source":"` + long + `"}`, "source has 65000 bytes, at most 1024 are allowed", true},
		{`{"name":"a","value":1,"unit":5}`, "unit is the number 5, want a string", false},
		{`{"name":"a","value":1,"unit":"` + long + `"}`, "unit has 65000 bytes, at most 256 are allowed", true},
		{`{"name":"a","value":1,"tags":[]}`, "tags is an array, want an object", false},
		{`{"name":"a","value":1,"tags":{"b":{}}}`, `the value of tag "b" is an object, want a string, a number or a boolean`, false},
		{`{"name":"a","value":1,"tags":{"":"b"}}`, "tag key is empty", false},
		{`{"name":"a","value":1,"tags":{"b":"` + long + `"}}`, `value of tag "b" has 65000 bytes, at most 1024 are allowed`, true},
		{`{"name":"a","value":1,"tags":` + manyTags(65) + `}`, "series has 65 tags, at most 64 are allowed", true},
		{`{"name":"a","value":1,"tags":` + manyTags(1_000_000) + `}`, "tags has 1000000 members, at most 1024 are allowed", true},
		{`{"name":"a","value":1,"tags":{"source":"x","exported_source":"y"}}`, "tags has exported_source and also source, which would become exported_source", false},
	}
	for _, test := range tests {
		d := newTestDecoder()
		_, report := mustDecode(t, d, `[{"name":"fine","value":1},`+test.metric+`]`, Metrics)
		if report.Accepted != 1 || report.Rejected != 1 || len(report.Errors) != 1 || report.OnlyLimits() != test.limit {
			t.Errorf("%.80s: report %+v", test.metric, report)
			continue
		}
		if got := report.Errors[0]; got.Index != 1 || got.Reason != test.reason || got.Limit != test.limit {
			t.Errorf("%.80s:\n got %+v\nwant %s (limit: %v)", test.metric, got, test.reason, test.limit)
		}
		if len(d.resolver.(*memoryResolver).series) != 1 {
			t.Errorf("%.80s: a rejected metric has made a series", test.metric)
		}
	}
}

func manyTags(count int) string {
	var out strings.Builder
	for i := range count {
		fmt.Fprintf(&out, `,"k%d":"v"`, i)
	}
	return "{" + out.String()[1:] + "}"
}

func TestShapeErrors(t *testing.T) {
	tests := []struct {
		body  string
		shape Shape
		want  string
	}{
		{`5`, Metrics, "the body is neither an object nor an array"},
		{`{}`, Metrics, `metrics is missing, want an array of metrics; a body with "batches" belongs to POST /metrics/batch`},
		{`{"metrics":null}`, Metrics, "metrics is null, want an array of metrics"},
		{`{"metrics":{}}`, Metrics, "metrics is an object, want an array of metrics"},
		{`{"source":5,"metrics":[]}`, Metrics, "source is the number 5, want a string"},
		{`{"metrics":[],"timestamp":[]}`, Metrics, "timestamp is an array, want a string or a number"},
		{`{"metrics":[],"batch_id":7}`, Metrics, "batch_id is the number 7, want a string of at most 255 characters"},
		{`{"metrics":[]}`, Batches, `the body has no "batches"`},
		{`{"batches":5}`, Batches, "batches is the number 5, want an array"},
		{`{"batches":[{"metrics":[]},[]]}`, Batches, "batches[1] is an array, want an object"},
		{`{"batches":[],"batch_id":7,"batches":[]}`, Batches, "batch_id is the number 7, want a string of at most 255 characters"},
		{`{"batches":[{"metrics":[]},{"source":"x"}]}`, Batches, "batches[1].metrics is missing, want an array of metrics"},
	}
	for _, test := range tests {
		_, _, err := decodeBody(t, newTestDecoder(), []byte(test.body), test.shape)
		var shape *ShapeError
		if !errors.As(err, &shape) || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.body, err, test.want)
		}
	}
}

// TestFailuresLeaveNothing checks that a body which turns out bad at its end has made no series.
func TestFailuresLeaveNothing(t *testing.T) {
	d := newTestDecoder()
	mustDecode(t, d, seedBody, Metrics)
	before := len(d.resolver.(*memoryResolver).series)
	for _, body := range []string{
		`{"metrics":[{"name":"new","value":1}]`, `{"metrics":[{"name":"new","value":1},]}`, `[{"name":"new","value":1}]x`,
		strings.TrimSuffix(seedBody, "}"), `{"metrics":[{"name":"new","value":1}],"metrics":5}`, `{"metrics":[{"name":"new","value":1}],"source":5}`,
	} {
		if _, _, err := decodeBody(t, d, []byte(body), Metrics); err == nil {
			t.Errorf("%s is accepted", body)
		}
	}
	// Here the source is known only behind the metrics, of which the first is known under the default one.
	mustDecode(t, d, `[{"name":"known","value":1}]`, Metrics)
	mustDecode(t, d, `{"metrics":[{"name":"known","value":1},{"name":"new","value":1}],"source":"late"}`, Metrics)
	series := d.resolver.(*memoryResolver).series
	if len(series) != before+3 || series[before+1].Source() != "late" || series[before+2].Source() != "late" {
		t.Errorf("series are %v", series)
	}
}

func TestResolverErrors(t *testing.T) {
	d := newTestDecoder()
	resolver := d.resolver.(*memoryResolver)
	resolver.err = fmt.Errorf("no more: %w", &engine.LimitError{Limit: "MaxSeries", Max: 1})
	_, report := mustDecode(t, d, seedBody, Metrics)
	if report.Rejected != 3 || !report.OnlyLimits() {
		t.Errorf("report %+v", report)
	}
	resolver.err = engine.ErrClosed
	if _, _, err := decodeBody(t, d, []byte(seedBody), Metrics); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("error %v, want that of the resolver", err)
	}
}

func TestLimitsOfABody(t *testing.T) {
	metric := `{"name":"a","value":1}`
	for _, test := range []struct {
		body  string
		shape Shape
		limit bool
	}{
		{"[" + strings.Repeat(metric+",", maxSamples-1) + metric + "]", Metrics, false},
		{"[" + strings.Repeat(metric+",", maxSamples) + metric + "]", Metrics, true},
		{`{"batches":[` + strings.Repeat(`{"metrics":[]},`, maxBatches-1) + `{"metrics":[]}]}`, Batches, false},
		{`{"batches":[` + strings.Repeat(`{"metrics":[]},`, maxBatches) + `{"metrics":[]}]}`, Batches, true},
	} {
		var batch engine.Batch
		report, err := newTestDecoder().Decode([]byte(test.body), test.shape, testNow, &batch)
		var limit *engine.LimitError
		if test.limit != errors.As(err, &limit) {
			t.Errorf("%.40s...: error %v", test.body, err)
		}
		if err == nil && (len(report.Warnings) > maxWarnings+1 || report.Accepted != batch.Len()) {
			t.Errorf("%.40s...: %d accepted, %d warnings", test.body, report.Accepted, len(report.Warnings))
		}
	}
	_, report := mustDecode(t, newTestDecoder(), "["+strings.Repeat("5,", 1_000)+"5]", Metrics)
	if report.Rejected != 1_001 || len(report.Errors) != maxErrors {
		t.Errorf("%d rejected, %d listed", report.Rejected, len(report.Errors))
	}
}

func TestUnits(t *testing.T) {
	body := func(unit string) []byte { return []byte(`[{"name":"a","value":1,"unit":` + unit + `}]`) }
	d := newTestDecoder()
	written := func(unit string, commit bool) int {
		var batch engine.Batch
		if _, err := d.Decode(body(unit), Metrics, testNow, &batch); err != nil {
			t.Fatal(err)
		}
		if commit {
			d.Commit()
		}
		_, units := readBatch(&batch, d.resolver.(*memoryResolver).series)
		return len(units)
	}
	for step, test := range []struct {
		unit   string
		commit bool
		want   int
	}{
		{`"percent"`, false, 1}, {`"percent"`, true, 1}, {`"percent"`, true, 0}, {`null`, true, 0},
		{`"ratio"`, true, 1}, {`"ratio"`, true, 0}, {`""`, true, 1}, {`""`, true, 0}, {`"percent"`, true, 1},
	} {
		if got := written(test.unit, test.commit); got != test.want {
			t.Errorf("step %d, unit %s: %d units written, want %d", step, test.unit, got, test.want)
		}
	}
}

// TestUnitsOfConcurrentRequests lets two requests overlap that give a series different units: which of them
// the engine took last is unknown, so the next one must be written whatever it is.
func TestUnitsOfConcurrentRequests(t *testing.T) {
	cache, resolver := NewCache(CacheOptions{}), newMemoryResolver()
	decoders := [2]*Decoder{NewDecoder(cache, resolver), NewDecoder(cache, resolver)}
	var batch engine.Batch
	decode := func(d *Decoder, unit string) int {
		if _, err := d.Decode([]byte(`[{"name":"a","value":1,"unit":"`+unit+`"}]`), Metrics, testNow, &batch); err != nil {
			t.Fatal(err)
		}
		_, units := readBatch(&batch, resolver.series)
		return len(units)
	}
	decode(decoders[0], "warm-up")
	decode(decoders[0], "x")
	decode(decoders[1], "y")
	decoders[1].Commit()
	decoders[0].Commit()
	for _, unit := range []string{"x", "y"} {
		if decode(decoders[0], unit) != 1 {
			t.Errorf("unit %s is taken for known", unit)
		}
	}
}

func TestConcurrentDecoders(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	cache := NewCache(CacheOptions{MaxEntries: 32, MaxBytes: 2 << 10})
	var group sync.WaitGroup
	for worker := range uint64(4) {
		group.Go(func() {
			m := &bodyMaker{Rand: rand.New(rand.NewPCG(seed, worker))}
			// All resolvers number series alike only if ids follow from the identity, so give each its own.
			d := NewDecoder(cache, hashResolver{})
			var batch engine.Batch
			for range 1_500 {
				body := m.body()
				report, err := d.Decode(body, Metrics, testNow, &batch)
				if err != nil {
					continue
				}
				var want reference
				if err := want.decode(body, Metrics); err != nil || len(want.out.Samples) != report.Accepted {
					t.Errorf("accepted %d of %d\n%s", report.Accepted, len(want.out.Samples), body)
				}
				d.Commit()
			}
		})
	}
	group.Wait()
	table := cache.current.Load()
	checkHeld(t, table)
	if held := table.held(); held > 2<<10 {
		t.Errorf("the cache holds %d bytes", held)
	}
}

// hashResolver gives ids without memory.
type hashResolver struct{}

func (hashResolver) Resolve(name string, tags model.Tags) (model.SeriesID, error) {
	return model.SeriesID(hashText(model.AppendIdentity(nil, name, tags))), nil
}

func (hashResolver) Epoch() uint64 { return 0 }

func (hashResolver) RetentionClassOf(string, string) (class engine.RetentionClass) { return class }

func (hashResolver) CheckTime(class engine.RetentionClass, ns int64) error {
	return (*memoryResolver)(nil).CheckTime(class, ns)
}
