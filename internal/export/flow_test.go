package export

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flopynet/collector/model"
)

// trialEncoder notes what is done with batches, and holds up or fails as it is told.
type trialEncoder struct {
	bound     size
	prepareFn func(b *batch) error
	writeFn   func(b *batch) error

	written []float64 // not guarded: one batch is written at a time
	ended   bool
}

func (e *trialEncoder) size() size {
	if e.bound.rows == 0 {
		e.bound = size{rows: 10, groupRows: 30}
	}
	return e.bound
}

func (e *trialEncoder) begin() error { return nil }

func (e *trialEncoder) prepare(b *batch) error {
	if e.prepareFn != nil {
		return e.prepareFn(b)
	}
	return nil
}

func (e *trialEncoder) write(b *batch) error {
	if e.writeFn != nil {
		if err := e.writeFn(b); err != nil {
			return err
		}
	}
	e.written = append(e.written, b.values...)
	return nil
}

func (e *trialEncoder) close() error {
	e.ended = true
	return nil
}

// pump passes n rows on, in blocks of up to 7 rows and series of 25, until add fails.
func pump(f *flow, n int) error {
	for i := 0; i < n; {
		series := model.Series{ID: model.SeriesID(1 + i/25), Name: "m"}
		var times []int64
		var values []float64
		for end := min(n, i+7, i/25*25+25); i < end; i++ {
			times, values = append(times, int64(i)), append(values, float64(i))
		}
		if err := f.add(&series, times, values); err != nil {
			return err
		}
	}
	return nil
}

// TestFlowKeepsTheOrder prepares every other batch only when the next one is, and finds rows in order.
func TestFlowKeepsTheOrder(t *testing.T) {
	var turns atomic.Int64
	later := make(chan struct{})
	e := &trialEncoder{prepareFn: func(b *batch) error {
		switch turns.Add(1) {
		case 1:
			<-later
		case 2:
			close(later)
		}
		return nil
	}}
	var progress Progress
	f := newFlow(t.Context(), &Plan{}, e, &progress)
	const rows = 1003
	n, err := f.end(pump(f, rows))
	if err != nil || n != rows || progress.Rows.Load() != rows || progress.Series.Load() != (rows-1)/25 || !e.ended {
		t.Fatalf("%d rows, %d and %d series as progress, ended %v: %v", n, progress.Rows.Load(), progress.Series.Load(), e.ended, err)
	}
	for i, v := range e.written {
		if v != float64(i) {
			t.Fatalf("row %d is %v", i, v)
		}
	}
}

// TestFlowIsBounded lets the writer hold up: the scan gets no further than the batches that there are.
func TestFlowIsBounded(t *testing.T) {
	goOn := make(chan struct{})
	e := &trialEncoder{writeFn: func(*batch) error { <-goOn; return nil }}
	f := newFlow(t.Context(), &Plan{}, e, new(Progress))
	var passed atomic.Int64
	done := make(chan error, 1)
	go func() {
		for i := range 50 {
			if err := f.add(&model.Series{ID: 1}, make([]int64, 10), make([]float64, 10)); err != nil {
				done <- err
				return
			}
			passed.Store(int64(i + 1))
		}
		done <- nil
	}()
	for passed.Load() < encodersAtOnce+1 {
		runtime.Gosched()
	}
	for range 1000 { // it would go on now, if anything let it
		runtime.Gosched()
	}
	if got := passed.Load(); got != encodersAtOnce+1 {
		t.Errorf("%d batches are filled while none is written; there are %d", got, encodersAtOnce+1)
	}
	close(goOn)
	if n, err := f.end(<-done); n != 500 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestFlowEnds ends at the first failure, wherever it is: nothing after it is written, and the end neither.
func TestFlowEnds(t *testing.T) {
	broken := errors.New("broken")
	at := func(row int, fail func() error) func(b *batch) error {
		return func(b *batch) error {
			if b.values[0] == float64(row) {
				return fail()
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		encoder *trialEncoder
		want    string
	}{
		"preparing":         {&trialEncoder{prepareFn: at(200, func() error { return broken })}, "broken"},
		"writing":           {&trialEncoder{writeFn: at(200, func() error { return broken })}, "broken"},
		"panic, preparing":  {&trialEncoder{prepareFn: at(200, func() error { panic("oops") })}, "oops"},
		"panic, writing":    {&trialEncoder{writeFn: at(200, func() error { panic("oops") })}, "oops"},
		"the scan's own":    {&trialEncoder{}, "scanned"},
		"the first of more": {&trialEncoder{writeFn: func(b *batch) error { return fmt.Errorf("at %v", b.values[0]) }}, "at 0"},
	} {
		t.Run(name, func(t *testing.T) {
			e := c.encoder
			f := newFlow(t.Context(), &Plan{}, e, new(Progress))
			err := pump(f, 5000)
			if err == nil && c.want == "scanned" {
				err = errors.New("scanned")
			}
			n, err := f.end(err)
			if err == nil || !strings.Contains(err.Error(), c.want) || e.ended {
				t.Errorf("%v, ended %v", err, e.ended)
			}
			if int(n) != len(e.written) || c.want != "scanned" && n > 200 {
				t.Errorf("%d rows, %d were written", n, len(e.written))
			}
		})
	}
}

// TestFlowIsCancelled cancels while the writer holds up.
func TestFlowIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := &trialEncoder{}
	e.writeFn = func(*batch) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	f := newFlow(ctx, &Plan{}, e, new(Progress))
	if n, err := f.end(pump(f, 5000)); n != 0 || !errors.Is(err, context.Canceled) || e.ended {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestRunsHaveRows ends series where batches end, and passes on a block of no rows: no run and no batch is without rows.
func TestRunsHaveRows(t *testing.T) {
	for name, bound := range map[string]size{
		"rows":   {rows: 10, groupRows: 10},
		"groups": {rows: 10, groupRows: 30},
		"text":   {rows: 1000, textBytes: 100, rowBytes: func(*model.Series) int { return 10 }},
	} {
		t.Run(name, func(t *testing.T) {
			e := &trialEncoder{bound: bound, prepareFn: func(b *batch) error {
				rows := 0
				for _, one := range b.runs {
					if one.rows == 0 {
						return fmt.Errorf("a run of none in a batch of %d rows", len(b.times))
					}
					rows += one.rows
				}
				if rows == 0 || rows != len(b.times) {
					return fmt.Errorf("%d rows in runs, %d in all", rows, len(b.times))
				}
				return nil
			}}
			f := newFlow(t.Context(), &Plan{}, e, new(Progress))
			scanned := pump(f, 1000)
			if scanned == nil {
				scanned = f.add(&model.Series{ID: 1000}, nil, nil)
			}
			if n, err := f.end(scanned); n != 1000 || err != nil {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
}
