package tsdb

import (
	"context"
	"syscall"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// round is the values of one batch: one for each series.
func rounds(n int) [][]float64 {
	w := newWalk(hosts*metrics, dec2)
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, hosts*metrics)
		for k := range out[i] {
			out[i][k] = w.next(k)
		}
	}
	return out
}

// BenchmarkAppend appends 1,000 samples a batch, one for each of 1,000 known series, with the log written
// and not fsynced: prometheus/tsdb does no more per commit. One goroutine, the same values. Prometheus
// compacts once a minute at most, which is more than a run here takes, so it only ever fills its log and
// its head. "collector" does the same; "collector-flushing" also writes chunks to its store all the time,
// as it would.
func BenchmarkAppend(b *testing.B) {
	values := rounds(2000)
	never := engine.Options{FlushSamples: 1 << 30}
	b.Run("collector", func(b *testing.B) { appendCollector(b, values, never) })
	b.Run("collector-flushing", func(b *testing.B) { appendCollector(b, values, engine.Options{}) })
	b.Run("prometheus", func(b *testing.B) { appendPrometheus(b, values) })
}

// processTime returns the CPU time of all threads so far, in nanoseconds: what else runs on the machine
// disturbs it less than elapsed time.
func processTime(b *testing.B) int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func appendCollector(b *testing.B, values [][]float64, opts engine.Options) {
	opts.Sync, opts.MinFreeBytes = engine.SyncOff, -1
	db, err := engine.Open(b.TempDir(), opts)
	if err != nil {
		b.Fatal(err)
	}
	var ids []model.SeriesID
	for host := range hosts {
		var tags model.Tags
		for _, tag := range tagsOf(host) {
			tags = append(tags, model.Tag{Key: tag[0], Value: tag[1]})
		}
		for metric := range metrics {
			id, err := db.Resolve(metricName(metric), tags)
			if err != nil {
				b.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
	var batch engine.Batch
	at := start
	b.ReportAllocs()
	written, cpu := 0, processTime(b)
	for b.Loop() {
		batch.Reset()
		for k, v := range values[int((at-start)/step)%len(values)] {
			batch.Add(ids[k], at, v)
		}
		if err := db.Write(&batch); err != nil {
			b.Fatal(err)
		}
		written += len(ids)
		at += step
	}
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(float64(processTime(b)-cpu)/float64(written), "cpu-ns/sample")
	result, err := db.Aggregate(context.Background(), engine.AggregateRequest{
		Selection: engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, metricName(3))}, From: start, To: at},
		Edges:     []int64{start, at},
		Functions: []engine.Function{{Kind: engine.Count}},
	})
	if err != nil || result.Groups[0].Values[0] != float64(written/metrics) {
		b.Fatalf("%+v, %v; want %d samples", result, err, written/metrics)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

func appendPrometheus(b *testing.B, values [][]float64) {
	opts := promtsdb.DefaultOptions()
	opts.RetentionDuration = 1 << 50 // the workload's times are long past
	db, err := promtsdb.Open(b.TempDir(), nil, nil, opts, nil)
	if err != nil {
		b.Fatal(err)
	}
	db.DisableCompactions()
	var series []labels.Labels
	for host := range hosts {
		for metric := range metrics {
			pairs := []string{"__name__", metricName(metric)}
			for _, tag := range tagsOf(host) {
				pairs = append(pairs, tag[0], tag[1])
			}
			series = append(series, labels.FromStrings(pairs...))
		}
	}
	refs := make([]storage.SeriesRef, len(series))
	at := start
	b.ReportAllocs()
	written, cpu := 0, processTime(b)
	for b.Loop() {
		app := db.Appender(context.Background())
		for k, v := range values[int((at-start)/step)%len(values)] {
			ref, err := app.Append(refs[k], series[k], at/1e6, v)
			if err != nil {
				b.Fatal(err)
			}
			refs[k] = ref
		}
		if err := app.Commit(); err != nil {
			b.Fatal(err)
		}
		written += len(series)
		at += step
	}
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(float64(processTime(b)-cpu)/float64(written), "cpu-ns/sample")
	if got := db.Head().NumSeries(); got != uint64(len(series)) {
		b.Fatalf("the head has %d series", got)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
