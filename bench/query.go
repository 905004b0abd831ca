package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// A query is repeated this often, but not for longer than queryTime unless it is to reach leastRuns. Before,
// it is asked a few times untimed, so that what the first needs to read is in memory.
const (
	queryRuns  = 200
	quickRuns  = 20
	leastRuns  = 3
	warmupRuns = 2
	queryTime  = 3 * time.Second
)

// The queries of the table. b4 has a step that no tier of points divides, so that all systems read raw samples.
const (
	queryA   = "a: 1 metric, 1 host, 1h at 1m avg"
	queryB   = "b: 1 metric, all hosts into one, 24h at 5m avg"
	rawQuery = "b4: like b at 4m, from raw samples alone"
	queryC   = "c: 1 metric by host, 24h at 1h avg"
	queryD0  = "d0: p50 p90 p95 p99 of all raw samples of 24h"
	queryD1  = "d1: the same by host"
)

// questions are the queries of the table over a workload.
func questions(w *Workload) []question {
	end := w.End()
	hour := question{name: queryA, host: 0, from: end.Add(-time.Hour), to: end, step: time.Minute}
	day := func(name string, step time.Duration, byHost bool, asked function) question {
		return question{name: name, host: -1, byHost: byHost, from: w.Start, to: end, step: step, function: asked}
	}
	return []question{
		hour,
		day(queryB, 5*time.Minute, false, average),
		day(rawQuery, 4*time.Minute, false, average),
		day(queryC, time.Hour, true, average),
		day(queryD0, 0, false, percentiles),
		day(queryD1, 0, true, percentiles),
	}
}

// varied is a question about another host, if it is about one, so that not the same few chunks are read.
func (q question) varied(w *Workload, number int) question {
	if q.host >= 0 {
		q.host = number * 7 % w.Hosts
	}
	return q
}

// queries asks all questions: without a cache of answers, and of ours with it too.
func (run *Run) queries(ctx context.Context, s *server, w *Workload, l load) (*server, error) {
	modes := []string{""}
	if _, isOurs := s.system.(*collector); isOurs {
		modes = []string{"", "cached"}
	}
	for _, mode := range modes {
		if _, isOurs := s.system.(*collector); isOurs {
			var err error
			profile := run.profileOf(s.system, "query"+mode, l)
			if s, err = run.restart(ctx, s, serveMode{uncached: mode == "", profile: profile}); err != nil {
				return s, err
			}
		}
		for _, q := range questions(w) {
			if s.system.ask(q) == "" || (mode != "" && q.name == rawQuery) {
				continue
			}
			run.progress.begin(fmt.Sprintf("asking %s %s of %s %s", s.system.Name(), q.name, l.variant, mode), run.queryRuns())
			half, most, err := run.time(ctx, s, w, q)
			run.progress.done()
			p50, p99 := queryMeasures(l, q.name, mode)
			if err != nil {
				if err := errors.Join(ctx.Err(), s.hasEnded()); err != nil {
					return s, err
				}
				run.Report.Fail(p50, s.system.Name(), "wrong: "+err.Error())
				continue
			}
			run.Report.Add(p50, s.system.Name(), half)
			run.Report.Add(p99, s.system.Name(), most)
		}
	}
	return s, nil
}

// queryMeasures are the two figures of a query.
func queryMeasures(l load, name, mode string) (p50, p99 Measure) {
	section := "Queries, " + l.variant
	if mode != "" {
		section += ", " + mode
	}
	return Measure{section, name, "ms p50"}, Measure{section, name, "ms p99"}
}

// queryRuns is how often a query is asked, if that doesn't take too long.
func (run *Run) queryRuns() int {
	if run.Quick {
		return quickRuns
	}
	return queryRuns
}

// time asks a question again and again and returns the median and 99th percentile of the times, in
// milliseconds. Every answer is checked, while the clock stands still.
func (run *Run) time(ctx context.Context, s *server, w *Workload, q question) (p50, p99 float64, err error) {
	var times []float64
	var want []row // of the host wanted; finding it takes longer than most systems need
	wanted := q.host
	var response fasthttp.Response
	ranks, _ := s.system.semantics(q)
	began := time.Now()
	for number := range warmupRuns + run.queryRuns() {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		asked := q.varied(w, number)
		path := s.system.ask(asked)
		sent := time.Now()
		body, err := s.client.get(path, &response)
		took := time.Since(sent)
		if err != nil {
			return 0, 0, err
		}
		if want == nil || asked.host != wanted {
			want, wanted = w.expected(asked, ranks), asked.host
		}
		if err := s.check(asked, body, want); err != nil {
			return 0, 0, err
		}
		run.progress.add(1)
		if number < warmupRuns && time.Since(began) < queryTime {
			continue
		}
		times = append(times, took.Seconds()*1000)
		if len(times) >= leastRuns && time.Since(began) > queryTime {
			break
		}
	}
	slices.Sort(times)
	if q.name == rawQuery {
		if err := s.checkRaw(q); err != nil {
			return 0, 0, err
		}
	}
	return median(times), times[int(math.Ceil(0.99*float64(len(times))))-1], nil
}

// verify asks a question once and checks the answer.
func (s *server) verify(w *Workload, q question) error {
	var response fasthttp.Response
	body, err := s.client.get(s.system.ask(q), &response)
	if err != nil {
		return err
	}
	ranks, _ := s.system.semantics(q)
	return s.check(q, body, w.expected(q, ranks))
}

// check compares an answer with the rows that it should have.
func (s *server) check(q question, body []byte, want []row) error {
	got, err := s.system.read(q, body)
	if err != nil {
		return fmt.Errorf("an answer that can't be read: %w: %.200s", err, body)
	}
	_, tolerance := s.system.semantics(q)
	return compareRows(want, got, tolerance)
}

// checkRaw makes sure that our answer to a question came from raw samples.
func (s *server) checkRaw(q question) error {
	if _, isOurs := s.system.(*collector); !isOurs {
		return nil
	}
	var response fasthttp.Response
	body, err := s.client.get(s.system.ask(q)+"&explain=true", &response)
	if err != nil {
		return err
	}
	var answer struct {
		Explain struct {
			Tiers []string `json:"tiers"`
		} `json:"explain"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if !slices.Equal(answer.Explain.Tiers, []string{"raw"}) {
		return fmt.Errorf("tiers %v were read, where it should be raw alone", answer.Explain.Tiers)
	}
	return nil
}
