//go:build unix

package engine

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

// queryWorkload is a day of one metric of 100 hosts, a sample every 10 s, beside nine others that are there for
// the index's sake.
type queryWorkload struct {
	db     *DB
	start  int64
	values [][]float64 // by host
}

const (
	queryHosts   = 100
	querySamples = 8640
	queryStep    = int64(10e9)
)

// kinds are how the workload's values are rounded.
var queryKinds = []struct {
	name  string
	round func(float64) float64
}{
	{"dec2", func(v float64) float64 { return math.Round(v*100) / 100 }},
	{"full", func(v float64) float64 { return v }},
	{"int", math.Floor},
}

// loadQueries writes the workload, and leaves it as a day does that is over: joined and rolled up.
func loadQueries(b *testing.B, round func(float64) float64) *queryWorkload {
	w := &queryWorkload{start: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
	now := time.Unix(0, w.start).Add(36 * time.Hour)
	db, err := Open(b.TempDir(), Options{Sync: SyncOff, MinFreeBytes: -1, MaintainInterval: -1, Now: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	w.db = db
	ids := benchSeries(b, db, queryHosts)
	walk := newWalker(len(ids))
	w.values = make([][]float64, queryHosts)
	var batch Batch
	for step := range int64(querySamples) {
		batch.Reset()
		for k, id := range ids {
			if k%10 != 0 && step%60 != 0 {
				continue
			}
			v := round(walk.step(k))
			batch.Add(id, w.start+step*queryStep, v)
			if k%10 == 0 {
				w.values[k/10] = append(w.values[k/10], v)
			}
		}
		if err := db.Write(&batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := db.Maintain(context.Background()); err != nil {
		b.Fatal(err)
	}
	return w
}

// request asks for the metric over the day less what is cut off at its ends.
func (w *queryWorkload) request(width, cut int64, functions ...Function) AggregateRequest {
	r := AggregateRequest{Functions: functions}
	r.Matchers = []*model.Matcher{model.EqualMatcher(model.NameKey, "usage_0")}
	r.From, r.To = w.start+cut, w.start+querySamples*queryStep
	for edge := r.From; edge < r.To; edge += width {
		r.Edges = append(r.Edges, edge)
	}
	r.Edges = append(r.Edges, r.To)
	return r
}

// benchQuery is a query of the workload. raw: no points answer it.
type benchQuery struct {
	name    string
	request AggregateRequest
	raw     bool
}

func (w *queryWorkload) queries() []benchQuery {
	quantiles := []Function{{Kind: Quantile, Quantile: 0.5}, {Kind: Quantile, Quantile: 0.9}, {Kind: Quantile, Quantile: 0.95},
		{Kind: Quantile, Quantile: 0.99}}
	average := Function{Kind: Avg}
	day := int64(24 * time.Hour)
	one := w.request(60e9, 0, average)
	one.Matchers = append(one.Matchers, model.EqualMatcher("host", "host_42"))
	one.From, one.To, one.Edges = w.start+10*hour, w.start+11*hour, one.Edges[600:661]
	hourly := w.request(hour, 0, average)
	hourly.GroupBy = []string{"host"}
	hosts := w.request(day, 0, quantiles...)
	hosts.GroupBy = []string{"host"}
	return []benchQuery{
		{"a", one, true},
		{"b", w.request(300e9, 0, average), false},
		{"b-raw", w.request(300e9, queryStep, average), true},
		{"b-raw-all", w.request(300e9, queryStep, average, Function{Kind: Min}, Function{Kind: Max}, Function{Kind: Count}), true},
		{"c", hourly, false},
		{"d0", w.request(day, 0, quantiles...), true},
		{"d1", hosts, true},
	}
}

// BenchmarkQuery asks for a day as users do, without the cache of results. Each answer is compared with what a
// trivial computation gives.
func BenchmarkQuery(b *testing.B) {
	for _, kind := range queryKinds {
		b.Run(kind.name, func(b *testing.B) {
			w := loadQueries(b, kind.round)
			for _, q := range w.queries() {
				b.Run(q.name, func(b *testing.B) {
					first, err := w.db.Aggregate(context.Background(), q.request)
					if err != nil {
						b.Fatal(err)
					}
					w.check(b, q, first)
					b.ReportAllocs()
					begin := cpuTime(b)
					for b.Loop() {
						result, err := w.db.Aggregate(context.Background(), q.request)
						if err != nil || !reflect.DeepEqual(result.Groups, first.Groups) {
							b.Fatalf("an answer differs from the first: %v", err)
						}
					}
					b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
				})
			}
			if err := w.db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// cpuTime returns what the process has spent of processors' time: on a busy machine it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func (w *queryWorkload) check(b *testing.B, q benchQuery, result *AggregateResult) {
	b.Helper()
	if got := result.Explain.Tiers[model.TierRaw]; got != q.raw || !result.Exact {
		b.Fatalf("raw samples were read: %v, want %v; exact: %v", got, q.raw, result.Exact)
	}
	hosts := make([]int, queryHosts)
	for i := range hosts {
		hosts[i] = i
	}
	switch {
	case result.SeriesCount == 1:
		hosts = []int{42}
	case len(q.request.GroupBy) > 0:
		for i, group := range result.Groups {
			if _, err := fmt.Sscanf(group.Tags.Get("host"), "host_%d", &hosts[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i, group := range result.Groups {
		of := hosts
		if len(q.request.GroupBy) > 0 {
			of = hosts[i : i+1]
		}
		for j, bucket := range group.Buckets {
			want := w.compute(of, q.request.Edges[bucket], q.request.Edges[bucket+1], q.request.Functions)
			for k, v := range want {
				if got := group.Values[j*len(want)+k]; math.Abs(got-v) > 1e-12*math.Abs(v) {
					b.Fatalf("function %v of bucket %d of %v is %v, want %v", q.request.Functions[k], bucket, group.Tags, got, v)
				}
			}
		}
		if len(group.Buckets) != len(q.request.Edges)-1 {
			b.Fatalf("%d buckets of %d", len(group.Buckets), len(q.request.Edges)-1)
		}
	}
}

// compute gives the functions of some hosts' samples of [from, to), trivially.
func (w *queryWorkload) compute(hosts []int, from, to int64, functions []Function) []float64 {
	var all []float64
	for _, host := range hosts {
		all = append(all, w.values[host][(from-w.start)/queryStep:(to-w.start)/queryStep]...)
	}
	slices.Sort(all)
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	var out []float64
	for _, f := range functions {
		switch f.Kind {
		case Avg:
			out = append(out, sum/float64(len(all)))
		case Min:
			out = append(out, all[0])
		case Max:
			out = append(out, all[len(all)-1])
		case Count:
			out = append(out, float64(len(all)))
		case Quantile:
			rank := f.Quantile * float64(len(all)-1)
			low := int(rank)
			v := all[low]
			if low+1 < len(all) {
				v += (all[low+1] - v) * (rank - float64(low))
			}
			out = append(out, v)
		}
	}
	return out
}
