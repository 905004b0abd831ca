package bench

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
)

// TestHistoryIsAnsweredAsWritten asks all questions of the part range about two days, and then of a history in which a
// sample differs from what was written: that must be noticed.
func TestHistoryIsAnsweredAsWritten(t *testing.T) {
	h := newHistory(2, time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC))
	db, err := openEngine(t.TempDir(), h.end().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.write(t.Context(), db, &progress{out: io.Discard}), db.Maintain(t.Context())); err != nil {
		t.Fatal(err)
	}
	ask := func(q spanQuery) error {
		bucket := 30 * time.Minute
		if q.fine {
			bucket = spanStep
		}
		_, err := h.ask(t.Context(), db, q, 24*time.Hour, bucket)
		return err
	}
	for _, q := range spanQueries {
		if err := ask(q); err != nil {
			t.Errorf("%s: %v", q.name, err)
		}
	}
	for i := range h.values[0] {
		h.values[0][i] += 20_000
	}
	for _, q := range spanQueries {
		var answer *wrongAnswer
		if err := ask(q); !errors.As(err, &answer) {
			t.Errorf("%s about other samples than those written: %v", q.name, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestHistoryQuantile(t *testing.T) {
	h := newHistory(1, time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC))
	var values []uint16
	for _, series := range h.values {
		values = append(values, series[100:107]...)
	}
	slices.Sort(values) // 700 of them: 0.95 is at 664.05
	want := (0.95*float64(values[664]) + 0.05*float64(values[665])) / 100
	if got := h.quantile(spanSeries, 100, 107, 0.95); near("p95", got, want, 1e-12) != nil {
		t.Errorf("p95 is %v, want %v", got, want)
	}
}

// TestPopulationIsFoundByTag writes a population and has the part scale look for all that it looks for.
func TestPopulationIsFoundByTag(t *testing.T) {
	p := newPopulation(2000, time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC))
	p.steps = 6
	db, err := openEngine(t.TempDir(), p.now())
	if err != nil {
		t.Fatal(err)
	}
	run := &Run{Report: NewReport(oursName), progress: &progress{out: io.Discard}}
	r := &scaleRun{Run: run, lines: map[scaleFigure]*Line{}}
	if err := errors.Join(r.write(t.Context(), db, p), r.find(t.Context(), db, p), r.list(t.Context(), db, p)); err != nil {
		t.Fatal(err)
	}
	if failures := run.Report.Failures(); len(failures) > 0 {
		t.Error(failures)
	}
	var batch engine.Batch
	for _, host := range []int{7, 33} { // one of them is in what each question selects
		series := p.identities(nil, host*perHost+p.metric, host*perHost+p.metric+1)
		if err := db.ResolveAll(series); err != nil {
			t.Fatal(err)
		}
		batch.Add(series[0].ID, p.at(2), 1e6)
	}
	if err := errors.Join(db.Write(&batch), r.find(t.Context(), db, p)); err != nil {
		t.Fatal(err)
	}
	if failures := run.Report.Failures(); len(failures) != 4 {
		t.Errorf("%d of 4 wrong answers were noticed: %v", len(failures), failures)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
