package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

var benchNames = [10]string{"usage_0", "usage_1", "usage_2", "usage_3", "usage_4", "usage_5", "usage_6", "usage_7", "usage_8", "usage_9"}

// benchTags makes the ten tags and the source of a host, as in TSBS' devops case.
func benchTags(host int) model.Tags {
	return model.Tags{
		{Key: "arch", Value: []string{"x64", "x86"}[host%2]},
		{Key: "datacenter", Value: fmt.Sprintf("eu-west-1%c", 'a'+host%3)},
		{Key: "host", Value: fmt.Sprintf("host_%d", host)},
		{Key: "os", Value: "Ubuntu16.04LTS"},
		{Key: "rack", Value: fmt.Sprint(host % 100)},
		{Key: "region", Value: "eu-west-1"},
		{Key: "service", Value: fmt.Sprint(host % 20)},
		{Key: "service_environment", Value: "production"},
		{Key: "service_version", Value: fmt.Sprint(host % 2)},
		{Key: model.SourceKey, Value: "bench"},
		{Key: "team", Value: []string{"SF", "LON", "NYC", "CHI"}[host%4]},
	}
}

// benchSeries makes hosts x 10 series.
func benchSeries(b *testing.B, db *DB, hosts int) []model.SeriesID {
	b.Helper()
	var ids []model.SeriesID
	for host := range hosts {
		tags := benchTags(host)
		for _, name := range benchNames {
			id, err := db.Resolve(name, tags)
			if err != nil {
				b.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
	return ids
}

// walker is the workload's random walk, rounded to two decimals.
type walker struct {
	random *rand.Rand
	values []float64
}

func newWalker(series int) *walker {
	w := &walker{random: rand.New(rand.NewPCG(1, 2)), values: make([]float64, series)}
	for i := range w.values {
		w.values[i] = w.random.Float64() * 100
	}
	return w
}

func (w *walker) next(i int) float64 { return math.Round(w.step(i)*100) / 100 }

// step is next before it is rounded.
func (w *walker) step(i int) float64 {
	w.values[i] = min(max(w.values[i]+w.random.NormFloat64(), 0), 100)
	return w.values[i]
}

// BenchmarkWrite appends 1,000 samples a batch, one for each of 1,000 known series, in one goroutine.
// Generating them is not timed.
func BenchmarkWrite(b *testing.B) {
	for name, mode := range map[string]SyncMode{"synced": SyncAlways, "unsynced": SyncOff} {
		b.Run(name, func(b *testing.B) {
			db, err := Open(b.TempDir(), Options{Sync: mode, MinFreeBytes: -1})
			if err != nil {
				b.Fatal(err)
			}
			ids := benchSeries(b, db, 100)
			batches := make([]Batch, 512)
			w := newWalker(len(ids))
			at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
			b.ReportAllocs()
			written := 0
			for i := 0; b.Loop(); i++ {
				if i%len(batches) == 0 {
					b.StopTimer()
					for j := range batches {
						batches[j].Reset()
						for k, id := range ids {
							batches[j].Add(id, at, w.next(k))
						}
						at += 10e9
					}
					b.StartTimer()
				}
				if err := db.Write(&batches[i%len(batches)]); err != nil {
					b.Fatal(err)
				}
				written += len(ids)
			}
			b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "samples/s")
			if got := db.Stats().SamplesAccepted; got != uint64(written) {
				b.Fatalf("%d samples accepted, %d written", got, written)
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkReplay opens a store whose log holds 4 million samples.
func BenchmarkReplay(b *testing.B) {
	const rounds = 4000
	dir := b.TempDir()
	opts := Options{Sync: SyncOff, MinFreeBytes: -1, FlushSamples: 1 << 30}
	db, err := Open(dir, opts)
	if err != nil {
		b.Fatal(err)
	}
	ids := benchSeries(b, db, 100)
	w := newWalker(len(ids))
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	var batch Batch
	for range rounds {
		batch.Reset()
		for k, id := range ids {
			batch.Add(id, at, w.next(k))
		}
		at += 10e9
		if err := db.Write(&batch); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		b.StopTimer()
		db.abandon(b)
		b.StartTimer()
		if db, err = Open(dir, opts); err != nil {
			b.Fatal(err)
		}
		if got := db.head.Samples(); got != rounds*int64(len(ids)) {
			b.Fatalf("%d samples were replayed", got)
		}
	}
	b.ReportMetric(float64(b.N)*rounds*float64(len(ids))/b.Elapsed().Seconds(), "samples/s")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkResolve gives ids to new series with ten tags each and a source, ten of which have the same tags.
func BenchmarkResolve(b *testing.B) {
	for _, size := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db, err := Open(b.TempDir(), Options{Sync: SyncOff, MinFreeBytes: -1, MaxSeries: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			list := make([]Resolution, 0, size)
			b.ReportAllocs()
			series := 0
			for b.Loop() {
				list = list[:0]
				for len(list) < size {
					var tags model.Tags
					if series%10 == 0 || len(list) == 0 {
						tags = benchTags(series / 10)
					} else {
						tags = list[len(list)-1].Tags
					}
					list = append(list, Resolution{Name: benchNames[series%10], Tags: tags})
					series++
				}
				if err := db.ResolveAll(list); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(series), "ns/series")
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkFlushNew flushes 200,000 series that the catalogue doesn't know, with ten samples each: as chunks, and as
// the head's image.
func BenchmarkFlushNew(b *testing.B) {
	for name, minChunk := range map[string]int{"chunks": 1, "image": 256} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				db, err := Open(b.TempDir(), Options{Sync: SyncOff, MinFreeBytes: -1, MinChunkSamples: minChunk, FlushSamples: 8 << 20})
				if err != nil {
					b.Fatal(err)
				}
				ids := benchSeries(b, db, 20_000)
				at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
				var batch Batch
				for step := range int64(10) {
					for some := range slices.Chunk(ids, 5000) {
						batch.Reset()
						for i, id := range some {
							batch.Add(id, at+step*10e9, float64(int64(i)*step%7))
						}
						if err := db.Write(&batch); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.StartTimer()
				if err := db.Flush(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// abandon closes the store without a flush, as a crash leaves it.
func (db *DB) abandon(tb testing.TB) {
	tb.Helper()
	failure := ErrClosed
	db.failure.Store(&failure)
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkSelect finds 100 of 100,000 series by tag: in memory, and on disk after a restart.
func BenchmarkSelect(b *testing.B) {
	dir := b.TempDir()
	opts := Options{Sync: SyncOff, MinFreeBytes: -1, MinChunkSamples: 1}
	db, err := Open(dir, opts)
	if err != nil {
		b.Fatal(err)
	}
	ids := benchSeries(b, db, 10_000)
	var batch Batch
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	for _, id := range ids {
		batch.Add(id, at, 1)
	}
	if err := db.Write(&batch); err != nil {
		b.Fatal(err)
	}
	selection := Selection{Matchers: []*model.Matcher{
		model.EqualMatcher(model.NameKey, "usage_3"), model.EqualMatcher("rack", "42")}, From: at, To: at + 1}
	run := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			found, err := db.find(context.Background(), selection)
			if err != nil || len(found.ids) != 100 {
				b.Fatalf("%d series, %v", len(found.ids), err)
			}
		}
	}
	b.Run("memory", run)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	if db, err = Open(dir, opts); err != nil {
		b.Fatal(err)
	}
	b.Run("disk", run)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAggregate asks for one metric of 100 hosts over 24 hours at 5 minutes from raw samples, 864,000
// of them in chunks.
func BenchmarkAggregate(b *testing.B) {
	db, err := Open(b.TempDir(), Options{Sync: SyncOff, MinFreeBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	ids := benchSeries(b, db, 100)
	w := newWalker(len(ids))
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	var batch Batch
	for step := range int64(8640) {
		batch.Reset()
		for k := 0; k < len(ids); k += 10 {
			batch.Add(ids[k], start+step*10e9, w.next(k))
		}
		if err := db.Write(&batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	request := AggregateRequest{
		Selection: Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "usage_0")}, From: start, To: start + 8640*10e9},
		Functions: []Function{{Kind: Avg}, {Kind: Count}},
	}
	for edge := start; edge <= request.To; edge += 300e9 {
		request.Edges = append(request.Edges, edge)
	}
	b.ReportAllocs()
	for b.Loop() {
		result, err := db.Aggregate(context.Background(), request)
		if err != nil || len(result.Groups) != 1 || len(result.Groups[0].Buckets) != 288 || result.Groups[0].Values[1] != 3000 {
			b.Fatalf("%+v, %v", result, err)
		}
	}
	b.ReportMetric(float64(b.N)*864_000/b.Elapsed().Seconds(), "samples/s")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
