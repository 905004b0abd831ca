package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// TestScheduleSendsEachWindowOnce runs window by window, over a standstill, and with windows that end between
// two times of the schedule.
func TestScheduleSendsEachWindowOnce(t *testing.T) {
	hook := newReceiver(t)
	r := newRig(t, "127.0.0.1")
	r.submit(summary(hook.URL))
	for i := range int64(5) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	r.settle()
	if got := len(hook.all()); got != 0 {
		t.Fatalf("%d windows were sent before the first had ended", got)
	}
	r.advance(time.Minute + Lateness - 1)
	r.settle()
	if got := len(hook.all()); got != 0 {
		t.Fatalf("%d windows were sent before samples could come late", got)
	}
	r.put("cpu_usage", "b", start+30*second, 0) // late
	r.advance(1)
	r.settle()
	hook.checkWindows(t, start, 1)
	r.advance(4 * time.Minute) // as if it had stood still
	r.settle()
	hook.checkWindows(t, start, 5)
	if got := len(hook.all()); got != 5 {
		t.Errorf("%d deliveries, want one of each time of the schedule", got)
	}
	r.advance(3 * time.Minute) // without samples: no rows, nothing to send
	r.settle()
	hook.checkWindows(t, start, 5)
	runs := r.runs("summary")
	if len(runs) != 8 || runs[0].Rows != 0 || runs[0].Delivery != nil || runs[7].Delivery.Status != DeliveryDelivered {
		t.Errorf("runs %+v", runs)
	}
}

func TestRangesOfRuns(t *testing.T) {
	for _, c := range []struct {
		schedule, window time.Duration
		ends             []int64 // of the runs from start on, in minutes
	}{
		{time.Minute, time.Minute, []int64{1, 2, 3}},
		{time.Minute, 5 * time.Minute, []int64{5, 10, 15}},
		{10 * time.Minute, 5 * time.Minute, []int64{10, 20, 30}},
		{2 * time.Minute, 5 * time.Minute, []int64{5, 10, 15}},
		{10 * time.Minute, 4 * time.Minute, []int64{8, 20, 28}},
		{time.Hour, 0, []int64{60, 120, 180}},
	} {
		d := Definition{Name: "n", Schedule: c.schedule, Output: Output{Destination: ToWebhook, URL: "http://example.com"},
			Steps: []Step{aggregate(c.window, "avg")}}
		p, err := compile(&d)
		if err != nil {
			t.Fatal(err)
		}
		e := &entry{plan: p, record: record{Definition: d, Position: start}}
		for _, end := range c.ends {
			from, to, at := e.nextRange()
			if from != e.Position || to != start+end*minute || at < to || at%int64(c.schedule) != 0 {
				t.Errorf("every %v, windows of %v: run [%d, %d) at %d, want the end %d", c.schedule, c.window,
					(from-start)/minute, (to-start)/minute, (at-start)/minute, end)
			}
			e.Position = to
		}
	}
	if got := floorWindow(10*week+1, week); got != mondayPhase+9*week {
		t.Errorf("a week begins at %v", time.Unix(0, got).UTC())
	}
}

// TestNamesKeepTheirMetric lets a metric appear that a name might mean as well, and one that wasn't there before.
func TestNamesKeepTheirMetric(t *testing.T) {
	hook := newReceiver(t)
	r := newRig(t, "127.0.0.1")
	d := summary(hook.URL)
	d.Steps[2] = formulaStep("avg_cpu + avg_mem", "")
	r.put("cpu_usage", "a", start-minute, 1)
	answer := r.submit(d)
	if len(answer.Warnings) != 1 {
		t.Errorf("warnings %q, want one of avg_mem", answer.Warnings)
	}
	r.put("cpu_usage", "a", start, 1)
	r.put("cpu_temp", "a", start, 50)
	r.advance(time.Minute + Lateness)
	r.settle()
	r.put("cpu_usage", "a", start+minute, 2)
	r.put("mem_used", "a", start+minute, 10)
	r.advance(time.Minute)
	r.settle()
	r.crash()
	r.put("cpu_usage", "a", start+2*minute, 3)
	r.put("mem_used", "a", start+2*minute, 10)
	r.put("mem_free", "a", start+2*minute, 70)
	r.advance(time.Minute)
	r.settle()
	for i, want := range []any{nil, 12.0, 13.0} {
		if got := hook.all()[i].body.Rows[0]["value"]; got != want {
			t.Errorf("window %d: %v, want %v", i, got, want)
		}
	}
}

// stops are the steps of a run and its delivery, behind each of which the process may end.
const (
	stopBeforeRun = iota
	stopAfterCompute
	stopAfterCommit
	stopAfterSend
	stopAfterNote
	stopNever
)

// step takes a pipeline through the steps of a run, and a delivery, up to a stop.
func (r *rig) step(name string, stop int) {
	r.t.Helper()
	m, e := r.m, r.m.pipelines[name]
	if e.due(r.clock.Load()) <= r.clock.Load() && stop > stopBeforeRun {
		a := m.begin(e)
		result, written, err := a.compute(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		if stop > stopAfterCompute {
			if err := a.commit(result, written); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	if d, _ := e.nextDelivery(r.clock.Load()); d != nil && stop > stopAfterCommit {
		status, retryAfter, err := m.sendStored(name, &e.Definition.Output, d.ID)
		if stop > stopAfterSend {
			m.noteAttempt(e, d, status, retryAfter, err)
		}
	}
}

// TestCrashesLoseAndDoubleNothing ends the process between any two steps, again and again, with the real store
// opened again on what was on the disk. In the end the receiver, which counts deliveries of one id once, has
// each window exactly once, and the recording rule has a point for each.
func TestCrashesLoseAndDoubleNothing(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("COLLECTOR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("COLLECTOR_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	hook := newReceiver(t)
	hook.answer = func(n int, w http.ResponseWriter, _ *http.Request) {
		if n%5 == 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	r := newRig(t, "127.0.0.1")
	const windows = 40
	for i := range int64(windows) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	r.submit(summary(hook.URL))
	rule := summary("")
	rule.Name, rule.Output = "rule", Output{Destination: ToMetric, Metric: "cpu_minutely"}
	rule.Steps = append(rule.Steps[:1:1], filter(model.EqualMatcher(model.NameKey, "cpu_usage")), rule.Steps[1], formulaStep("avg_cpu_usage", ""))
	r.submit(rule)
	crashes := [2][stopNever + 1]int{}
	for range 400 {
		r.advance(time.Duration(random.Int64N(int64(time.Minute))))
		for i, name := range []string{"summary", "rule"} {
			stop := random.IntN(2 * stopNever)
			r.step(name, min(stop, stopNever))
			if stop < stopNever {
				crashes[i][stop]++
				r.crash()
			}
		}
	}
	t.Logf("crashes by step %v", crashes)
	for i := range crashes {
		for stop := range stopNever {
			if crashes[i][stop] == 0 {
				t.Errorf("no crash behind step %d", stop)
			}
		}
	}
	for r.m.pending > 0 || r.m.pipelines["summary"].Position < start+windows*minute {
		r.advance(time.Minute)
		r.settle()
	}
	hook.checkWindows(t, start, windows)
	r.checkRule("cpu_minutely", windows)
}

// checkRule fails the test unless the metric has a sample for each window, with the window's number.
func (r *rig) checkRule(metric string, windows int) {
	r.t.Helper()
	result, err := r.db.Samples(r.t.Context(), engine.SamplesRequest{Limit: 1000, Selection: engine.Selection{
		Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, metric)}, From: 0, To: model.MaxTime}})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(result.Rows) != windows || len(result.Series) != 1 || result.Series[0].Source() != "pipeline" {
		r.t.Fatalf("%d samples of %v, want %d", len(result.Rows), result.Series, windows)
	}
	for i, row := range result.Rows {
		if row.Time != start+int64(i)*minute || row.Value != float64(i) {
			r.t.Errorf("sample %d: %v at %v", i, row.Value, time.Unix(0, row.Time))
		}
	}
}

// TestRecordingRule writes a value for each window and group, with the group's tags.
func TestRecordingRule(t *testing.T) {
	r := newRig(t)
	var stored int
	r.m.opts.Stored = func(_ time.Time, samples int) { stored += samples }
	for i := range 3 * minute / second {
		r.put("cpu_usage", string(rune('a'+i%2)), start+i*second, float64(i%2))
	}
	d := Definition{Name: "rule", From: start, To: start + 3*minute,
		Steps: []Step{filter(model.EqualMatcher(model.NameKey, "cpu_usage")),
			{Aggregate: &Aggregate{Window: time.Minute, GroupBy: []string{"host", "source"}}}, formulaStep("avg_cpu * 100", "")},
		Output: Output{Destination: ToMetric, Metric: "cpu_percent", Tags: model.Tags{{Key: "rule", Value: "x"}}}}
	if answer := r.submit(d); answer.Written != 6 || stored != 6 || answer.Run.Rows != 6 {
		t.Errorf("%d written, %d noted: %+v", answer.Written, stored, answer.Run)
	}
	series, err := r.db.Select(t.Context(), engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "cpu_percent")}, To: model.MaxTime})
	if err != nil || len(series) != 2 {
		t.Fatal(series, err)
	}
	want := model.Tags{{Key: "host", Value: "a"}, {Key: "rule", Value: "x"}, {Key: "source", Value: "s"}}
	if fmt.Sprint(series[0].Tags) != fmt.Sprint(want) {
		t.Errorf("tags %v, want %v", series[0].Tags, want)
	}
}

// TestFailedRunsAreTriedAgain fails runs by a series limit and then lifts it.
func TestFailedRunsAreTriedAgain(t *testing.T) {
	hook := newReceiver(t)
	hook.answer = func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	r := newRig(t, "127.0.0.1")
	r.m.opts.MaxPending = 2
	for i := range int64(4) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	r.submit(summary(hook.URL))
	r.advance(4*time.Minute + Lateness)
	r.settle()
	view, err := r.m.Get("summary")
	if err != nil || view.Status != StatusFailing || view.Pending != 2 || view.Position != start+2*minute {
		t.Errorf("a full queue: %+v, %v", view, err)
	}
	if last := view.LastRun; last.Status != RunFailed || last.Error == "" {
		t.Errorf("the failed run: %+v", last)
	}
	_, err = r.m.Submit(t.Context(), Definition{Name: "other", From: start, To: start + minute, Steps: summary("").Steps,
		Output: Output{Destination: ToWebhook, URL: hook.URL}}, true)
	if !errors.Is(err, ErrQueueFull) {
		t.Errorf("a full queue, asked for one more: %v", err)
	}
	hook.mu.Lock()
	hook.answer = nil
	hook.mu.Unlock()
	for range 3 {
		r.advance(time.Minute)
		r.settle()
	}
	view, _ = r.m.Get("summary")
	if view.Status != StatusScheduled || view.Pending != 0 {
		t.Errorf("the queue has room again: %+v", view)
	}
	hook.checkWindows(t, start, 4)
	tried := 0
	for _, run := range r.runs("summary") {
		tried = max(tried, run.Tries)
	}
	if tried < 2 {
		t.Errorf("no run tells that it was tried again")
	}
}

// TestReplacing goes on where the replaced pipeline was, with its deliveries, and keeps what an admin made from others.
func TestReplacing(t *testing.T) {
	first, second := newReceiver(t), newReceiver(t)
	first.answer = func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	r := newRig(t, "127.0.0.1")
	for i := range int64(4) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	created := r.submit(summary(first.URL))
	r.advance(2*time.Minute + Lateness)
	r.settle()
	if len(first.all()) == 0 {
		t.Fatal("nothing was sent")
	}
	answer := summaryOnce()
	if _, err := r.m.Submit(t.Context(), answer, false); !errors.Is(err, ErrForbidden) {
		t.Errorf("a reader replaced a webhook: %v", err)
	}
	again := r.submit(summary(second.URL))
	if again.Created || !created.Created || again.ID != created.ID {
		t.Errorf("created %+v, replaced %+v", created, again)
	}
	r.advance(2 * time.Minute)
	r.settle()
	second.checkWindows(t, start, 4)
	third := summary(first.URL)
	r.put("cpu_usage", "a", start+4*minute, 4)
	r.submit(third)
	r.advance(time.Minute)
	r.settle()
	if replaced := r.submit(answer); replaced.Created || replaced.Status != StatusCompleted {
		t.Errorf("%+v", replaced)
	}
	if run := r.runs("summary")[1]; run.Delivery.Status != DeliveryCancelled || r.m.pending != 0 || r.m.pendingBytes != 0 {
		t.Errorf("without a webhook the delivery is %+v; %d wait", run.Delivery, r.m.pending)
	}
	if _, err := r.m.Submit(t.Context(), answer, false); err != nil {
		t.Errorf("what only answers may be replaced by anybody: %v", err)
	}
}

// TestReplacingMakesUpForNoMoreThanAnew replaces a pipeline of weeks, which is days behind, by one of seconds.
func TestReplacingMakesUpForNoMoreThanAnew(t *testing.T) {
	r := newRig(t, "127.0.0.1")
	d := summary("http://127.0.0.1:1/")
	d.Schedule, d.Steps = 52*7*24*time.Hour, []Step{byExperiment(), aggregate(52*7*24*time.Hour, "avg")}
	r.submit(d)
	fast := summary("http://127.0.0.1:1/")
	fast.Schedule, fast.Steps = time.Second, []Step{byExperiment(), aggregate(time.Second, "avg")}
	_, err := r.m.Submit(t.Context(), fast, true)
	if fault, ok := errors.AsType[*FieldError](err); !ok || fault.Path != "from" {
		t.Errorf("got %v", err)
	}
	fast.From = start - 60*second
	r.submit(fast)
	d.From = 1 // a hundred runs, though of a schedule of seconds
	d.Schedule = time.Second
	r.submit(d)
}

// TestClockIsSetBack goes on with what has failed when the time of its next try is suddenly far away.
func TestClockIsSetBack(t *testing.T) {
	hook := newReceiver(t)
	hook.answer = func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	r := newRig(t, "127.0.0.1")
	r.put("cpu_usage", "a", start, 0)
	d := summary(hook.URL)
	d.Schedule, d.From, d.To = 0, start, start+minute
	r.submit(d)
	r.settle()
	r.advance(-24 * time.Hour)
	r.settle()
	if got := r.runs("summary")[0].Delivery; got.Status != DeliveryDelivered || len(hook.all()) != 2 {
		t.Errorf("%+v", got)
	}
	e := &entry{plan: &plan{width: minute}}
	e.Definition.Schedule, e.Position, e.retryAt = time.Minute, start-3*minute, start+24*3600*second
	if at := e.due(start); at > start {
		t.Errorf("a run that failed is due at %d, %d after now", at, at-start)
	}
}

// summaryOnce is a pipeline of the same name that runs once and answers.
func summaryOnce() Definition {
	d := summary("")
	d.Schedule, d.Output, d.From, d.To = 0, Output{Destination: ToResponse}, start, start+minute
	return d
}

// TestForgetting bounds pipelines and runs, in memory and in the store, and leaves nothing of what is deleted.
func TestForgetting(t *testing.T) {
	hook := newReceiver(t)
	r := newRig(t, "127.0.0.1")
	r.m.opts.MaxPipelines = 5
	for i := range int64(maxRuns + 10) {
		r.put("cpu_usage", "a", start+i*minute, float64(i))
	}
	r.submit(summary(hook.URL))
	r.advance((maxRuns+10)*time.Minute + Lateness)
	r.settle()
	for i := range 7 {
		d := summaryOnce()
		d.Name = "once" + strconv.Itoa(i)
		r.advance(time.Second)
		r.submit(d)
	}
	r.crash()
	var names []string
	for _, view := range r.m.List() {
		names = append(names, view.Definition.Name)
	}
	if fmt.Sprint(names) != "[once3 once4 once5 once6 summary]" {
		t.Errorf("kept %v", names)
	}
	if got := len(r.runs("summary")); got != maxRuns {
		t.Errorf("%d runs are kept", got)
	}
	counts := r.countState()
	if counts[kindPipeline] != 5 || counts[kindRun] != maxRuns+4 || counts[kindDelivery] != maxRuns || counts[kindBody] != 0 {
		t.Errorf("the store has %v", counts)
	}
	hook.mu.Lock()
	hook.answer = func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	hook.mu.Unlock()
	r.put("cpu_usage", "a", start+(maxRuns+10)*minute, 1)
	r.advance(time.Minute)
	r.settle()
	if cancelled, err := r.m.Delete("summary"); cancelled != 1 || err != nil {
		t.Errorf("deleted: %d, %v", cancelled, err)
	}
	for i := 3; i < 7; i++ {
		if _, err := r.m.Delete("once" + strconv.Itoa(i)); err != nil {
			t.Error(err)
		}
	}
	if counts := r.countState(); len(counts) != 0 || r.m.pending != 0 || r.m.pendingBytes != 0 {
		t.Errorf("of deleted pipelines the store has %v", counts)
	}
	if _, err := r.m.Delete("summary"); !errors.Is(err, ErrUnknown) {
		t.Errorf("deleted twice: %v", err)
	}
}

func (r *rig) countState() map[string]int {
	counts := map[string]int{}
	for _, kind := range []string{kindPipeline, kindRun, kindDelivery, kindBody} {
		if err := r.db.EachState(kind, func(string, []byte) error { counts[kind]++; return nil }); err != nil {
			r.t.Fatal(err)
		}
	}
	return counts
}
