package timebench

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const (
	yearSeries = 100
	yearMetric = "usage_user"
	queryRuns  = 30
)

// year is a store that holds a year of 100 series, one sample every ten seconds.
type year struct {
	days     int
	dir      string
	db       *engine.DB
	expected expected
}

// BenchmarkYear writes a year in time order, an hour of all series a batch, each fsynced; then lets Maintain
// join and roll up all of it; then opens the store anew and asks for it all, with the result cache off.
// The last day ended an hour ago. Answers are compared with what was counted while the values were made.
func BenchmarkYear(b *testing.B) {
	y := &year{days: setting(b, "COLLECTOR_BENCH_DAYS", 365), dir: os.Getenv("COLLECTOR_BENCH_DIR")}
	if y.dir == "" {
		y.dir = b.TempDir()
	}
	books := filepath.Join(y.dir, "expected.gob")
	if y.expected.load(b, books) {
		if y.expected.Days != y.days {
			b.Fatalf("%s holds %d days, not %d: take another folder", y.dir, y.expected.Days, y.days)
		}
		report("%s holds the data already", y.dir)
	} else {
		y.make(b)
		y.expected.save(b, books)
	}
	y.open(b)
	report("open\n%s", usageText(settle(b, y.db), y.expected.Samples))
	forgetPeak()
	b.Run("Query", y.queries)
	report("queries: peak RSS %d MiB, heap %d MiB", statusBytes("VmHWM")/mib, heapInUse()/mib)
	if err := y.db.Close(); err != nil {
		b.Fatal(err)
	}
}

// end is when the last day is over.
func (y *year) end() time.Time { return start.AddDate(0, 0, y.days) }

// open opens the store, an hour after its last day.
func (y *year) open(b *testing.B) {
	began := time.Now()
	now := func() time.Time { return y.end().Add(time.Hour + time.Since(began)) }
	// Anything worth a warning is worth seeing.
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := engine.Open(filepath.Join(y.dir, "data"), engine.Options{Now: now, MaintainInterval: -1, Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	y.db = db
}

// make fills the store, lets it do all maintenance and closes it.
func (y *year) make(b *testing.B) {
	y.open(b)
	forgetPeak()
	profiled(b, "ingest", func() { y.ingest(b) })
	forgetPeak()
	profiled(b, "maintain", func() { y.maintain(b) })
	if err := y.db.Close(); err != nil {
		b.Fatal(err)
	}
}

func (y *year) ingest(b *testing.B) {
	var ids []model.SeriesID
	for host := range yearSeries {
		id, err := y.db.Resolve(yearMetric, tagsOf(host, fmt.Sprintf("host_%d", host)))
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, id)
	}
	var batch engine.Batch
	w, at := newWalk(yearSeries), start
	hour := func() {
		batch.Reset()
		for range time.Hour / step {
			for i, id := range ids {
				value := w.next(i)
				y.expected.add(i, value)
				batch.Add(id, at.UnixNano(), float64(value)/100)
			}
			at = at.Add(step)
		}
	}
	var wall, made time.Duration
	cpu := processTime(b)
	for range y.days {
		y.expected.newDay(yearSeries)
		for range day / time.Hour {
			made += threadTime(b, hour)
			began := time.Now()
			if err := y.db.Write(&batch); err != nil {
				b.Fatal(err)
			}
			wall += time.Since(began)
		}
		made += threadTime(b, y.expected.endDay)
	}
	y.expected.end()
	began := time.Now()
	if err := y.db.Flush(); err != nil {
		b.Fatal(err)
	}
	wall += time.Since(began)
	cpu = processTime(b) - cpu - made
	samples := y.expected.Samples
	report("ingest: %d samples, %.1f s, %.2f M samples/s, CPU %.1f s, %.3f s a million; peak RSS %d MiB, heap %d MiB; on disk %d MiB",
		samples, wall.Seconds(), float64(samples)/1e6/wall.Seconds(), cpu.Seconds(), cpu.Seconds()/float64(samples)*1e6,
		statusBytes("VmHWM")/mib, heapInUse()/mib, diskBytes(b, y.dir)/mib)
}

func (y *year) maintain(b *testing.B) {
	began, cpu := time.Now(), processTime(b)
	if err := y.db.Maintain(context.Background()); err != nil {
		b.Fatal(err)
	}
	wall, used := time.Since(began), processTime(b)-cpu
	usage := settle(b, y.db)
	samples := y.expected.Samples
	report("maintain: %.1f s, %.2f M samples/s, CPU %.1f s, and %.1f s until the chunk store was quiet; peak RSS %d MiB, heap %d MiB; on disk %d MiB\n%s",
		wall.Seconds(), float64(samples)/1e6/wall.Seconds(), used.Seconds(), (processTime(b) - cpu - used).Seconds(),
		statusBytes("VmHWM")/mib, heapInUse()/mib, diskBytes(b, y.dir)/mib, usageText(usage, samples))
	report("%+v", y.db.Stats().Maintenance)
}

// queries runs each query some times and compares its answer.
func (y *year) queries(b *testing.B) {
	var daily []int64
	for d := range y.days + 1 {
		daily = append(daily, start.AddDate(0, 0, d).UnixNano())
	}
	whole := []int64{daily[0], daily[y.days]}
	avg := []engine.Function{{Kind: engine.Avg}}
	var percentiles []engine.Function
	for _, rank := range ranks {
		percentiles = append(percentiles, engine.Function{Kind: engine.Quantile, Quantile: rank})
	}
	statistics := []engine.Function{{Kind: engine.Count}, {Kind: engine.Min}, {Kind: engine.Max}, {Kind: engine.Avg}, {Kind: engine.Stddev}}
	summary := slices.Concat(percentiles, statistics)
	for _, q := range []struct {
		name    string
		request engine.AggregateRequest
		check   func(*testing.B, *engine.AggregateResult)
	}{
		{"avg 1d folded", engine.AggregateRequest{Edges: daily, Functions: avg}, y.checkFolded},
		{"avg 1d by host", engine.AggregateRequest{Edges: daily, Functions: avg, GroupBy: []string{"host"}}, y.checkHosts},
		{"summary", engine.AggregateRequest{Edges: whole, Functions: summary}, y.checkSummary},
		{"summary by host", engine.AggregateRequest{Edges: whole, Functions: summary, GroupBy: []string{"host"}}, nil},
		{"percentiles 1d", engine.AggregateRequest{Edges: daily, Functions: percentiles}, y.checkPercentiles},
	} {
		q.request.Selection = engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, yearMetric)}, From: whole[0], To: whole[1]}
		b.Run(q.name, func(b *testing.B) { profiled(b, q.name, func() { y.query(b, q.request, q.check) }) })
	}
}

// query asks at least queryRuns times.
func (y *year) query(b *testing.B, request engine.AggregateRequest, check func(*testing.B, *engine.AggregateResult)) {
	var took []time.Duration
	var first time.Duration
	var result *engine.AggregateResult
	runtime.GC()
	cpu := processTime(b)
	for range max(b.N, queryRuns) {
		began := time.Now()
		var err error
		if result, err = y.db.Aggregate(context.Background(), request); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		first = took[0]
	}
	cpu = (processTime(b) - cpu) / time.Duration(len(took))
	if check != nil {
		check(b, result)
	}
	milliseconds := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(first), "first-ms")
	b.ReportMetric(milliseconds(percentile(took, 0.5)), "p50-ms")
	b.ReportMetric(milliseconds(percentile(took, 0.99)), "p99-ms")
	b.ReportMetric(milliseconds(cpu), "cpu-ms")
	b.Logf("%+v", result.Explain)
}

// near fails unless got is want, but for a share of it.
func near(b *testing.B, what string, got, want, share float64) {
	b.Helper()
	if math.Abs(got-want) > share*math.Abs(want) || math.IsNaN(got) {
		b.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// checkFolded compares the average of each day over all series.
func (y *year) checkFolded(b *testing.B, r *engine.AggregateResult) {
	if len(r.Groups) != 1 || len(r.Groups[0].Values) != y.days || !r.Exact {
		b.Fatalf("%d groups, exact: %v", len(r.Groups), r.Exact)
	}
	for d, got := range r.Groups[0].Values {
		sum := int64(0)
		for _, s := range y.expected.Sums[d] {
			sum += s
		}
		near(b, fmt.Sprintf("day %d", d), got, float64(sum)/100/float64(yearSeries*y.expected.PerDay), 1e-12)
	}
}

// checkHosts compares the average of each day and host.
func (y *year) checkHosts(b *testing.B, r *engine.AggregateResult) {
	if len(r.Groups) != yearSeries || !r.Exact {
		b.Fatalf("%d groups, exact: %v", len(r.Groups), r.Exact)
	}
	for _, group := range r.Groups {
		var host int
		if _, err := fmt.Sscanf(group.Tags.Get("host"), "host_%d", &host); err != nil || len(group.Values) != y.days {
			b.Fatalf("%v with %d days, %v", group.Tags, len(group.Values), err)
		}
		for d, got := range group.Values {
			near(b, fmt.Sprintf("day %d of host %d", d, host), got, float64(y.expected.Sums[d][host])/100/float64(y.expected.PerDay), 1e-12)
		}
	}
}

// checkSummary compares the summary of all, percentiles within their bound.
func (y *year) checkSummary(b *testing.B, r *engine.AggregateResult) {
	values := r.Groups[0].Values
	for i, want := range y.expected.All {
		near(b, fmt.Sprintf("percentile %v", ranks[i]), values[i], want/100, max(r.ErrorBound, 1e-12)*1.0001)
	}
	sum := int64(0)
	for _, day := range y.expected.Sums {
		for _, s := range day {
			sum += s
		}
	}
	near(b, "count", values[3], float64(y.expected.Samples), 0)
	near(b, "min", values[4], float64(y.expected.Min)/100, 0)
	near(b, "max", values[5], float64(y.expected.Max)/100, 0)
	near(b, "avg", values[6], float64(sum)/100/float64(y.expected.Samples), 1e-12)
}

// checkPercentiles compares those of each day.
func (y *year) checkPercentiles(b *testing.B, r *engine.AggregateResult) {
	values := r.Groups[0].Values
	for d, day := range y.expected.Day {
		for i, want := range day {
			near(b, fmt.Sprintf("percentile %v of day %d", ranks[i], d), values[d*len(ranks)+i], want/100, max(r.ErrorBound, 1e-12)*1.0001)
		}
	}
}
