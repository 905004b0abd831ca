package index

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/model"
)

var cpuMetrics = [...]string{
	"usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait",
	"usage_irq", "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice",
}

// hostSeries is a series of the cpu workload: ten tags and the source.
func hostSeries(host, metric int) model.Series {
	return model.Series{Name: "cpu_" + cpuMetrics[metric], Tags: model.Tags{
		{Key: "arch", Value: []string{"x64", "x86"}[host%2]},
		{Key: "datacenter", Value: fmt.Sprintf("eu-central-1%c", 'a'+host%3)},
		{Key: "hostname", Value: fmt.Sprintf("host_%d", host)},
		{Key: "os", Value: []string{"Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"}[host%3]},
		{Key: "rack", Value: fmt.Sprint(host % 100)},
		{Key: "region", Value: []string{"eu-central-1", "us-west-2", "ap-northeast-1"}[host/2%3]},
		{Key: "service", Value: fmt.Sprint(host % 20)},
		{Key: "service_environment", Value: []string{"production", "staging", "test"}[host/3%3]},
		{Key: "service_version", Value: fmt.Sprint(host % 2)},
		{Key: "source", Value: "telegraf"},
		{Key: "team", Value: []string{"SF", "NYC", "LON", "CHI"}[host%4]},
	}}
}

// workload returns series of hosts with so many metrics each.
func workload(series, metricsPerHost int) oracle {
	all := make(oracle, series)
	for i := range all {
		all[i] = hostSeries(i/metricsPerHost, i%metricsPerHost)
		all[i].ID = model.SeriesID(i + 1)
	}
	return all
}

func liveBytes() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkActiveMemory reports the live bytes a series and the time to register it, when ten series
// share a host and when each has a host of its own.
func BenchmarkActiveMemory(b *testing.B) {
	for _, metrics := range []int{10, 1} {
		for _, count := range []int{100_000, 1_000_000} {
			b.Run(fmt.Sprintf("perHost=%d/series=%d", metrics, count), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					before := liveBytes()
					a := NewActive(1)
					const at = 10_000 // made ahead, so that only the registration is timed
					identities := make([][]byte, at)
					batch := make(oracle, at)
					for done := 0; done < count; done += at {
						for i := range batch {
							n := done + i
							batch[i] = hostSeries(n/metrics, n%metrics)
							identities[i] = model.AppendIdentity(identities[i][:0], batch[i].Name, batch[i].Tags)
						}
						b.StartTimer()
						for i, s := range batch {
							a.Create(identities[i], s.Name, s.Tags)
						}
						b.StopTimer()
					}
					clear(batch)
					clear(identities)
					if a.Len() != count {
						b.Fatalf("%d series", a.Len())
					}
					b.ReportMetric(float64(liveBytes()-before)/float64(count), "live-B/series")
					runtime.KeepAlive(a)
					b.StartTimer()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/series")
			})
		}
	}
}

func BenchmarkActiveLookup(b *testing.B) {
	all := workload(100_000, 10)
	a := NewActive(1)
	identities := make([][]byte, len(all))
	for i, s := range all {
		a.Insert(s)
		identities[i] = identityOf(s)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + 7919) % len(all) {
		if id, found := a.Lookup(identities[i]); !found || id != all[i].ID {
			b.Fatal(id, found)
		}
	}
}

// selections choose some of 100,000 series.
var selections = []struct {
	name     string
	matchers []*model.Matcher
	count    int
}{
	{"tag", []*model.Matcher{model.EqualMatcher("hostname", "host_77")}, 10},
	{"nameAndTag", []*model.Matcher{model.EqualMatcher(model.NameKey, "cpu_usage_user"), model.EqualMatcher("rack", "7")}, 100},
	{"alternatives", []*model.Matcher{regexpMatcher("hostname", "host_(1|22|333|4444|5555|6|77|888|9999|1234)")}, 100},
	{"scan", []*model.Matcher{model.EqualMatcher(model.NameKey, "cpu_usage_user"), regexpMatcher("hostname", "host_77[0-9]*")}, 111},
	{"not", []*model.Matcher{model.EqualMatcher("rack", "7"), regexpMatcher("cluster", "|a")}, 1000},
}

func regexpMatcher(key, value string) *model.Matcher {
	m, err := model.NewMatcher(key, model.MatchRegexp, value)
	if err != nil {
		panic(err)
	}
	return m
}

func BenchmarkActiveSelect(b *testing.B) {
	a := NewActive(1)
	for _, s := range workload(100_000, 10) {
		a.Insert(s)
	}
	for _, row := range selections {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := a.Select(row.matchers).Len(); n != row.count {
					b.Fatalf("%d series, want %d", n, row.count)
				}
			}
		})
	}
}

// storeOf returns a store, flushed and perhaps compacted, with the catalogue and the postings of the
// series. Merges that are not compacted are done by each reader.
func storeOf(b *testing.B, all oracle, compact bool) (db *pebble.DB, nameOf func(uint64) (string, bool)) {
	b.Helper()
	db = openMem(b)
	nameOf = putCatalog(b, db, all, xxhash.Sum64)
	var builder PostingsBuilder
	for _, s := range all {
		builder.Add(s)
	}
	commit(b, db, func(batch *pebble.Batch) error { return builder.Write(batch, model.TierRaw, 20000) })
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	if compact {
		if err := db.Compact(b.Context(), []byte{0}, []byte{0xff}, false); err != nil {
			b.Fatal(err)
		}
	}
	return db, nameOf
}

func BenchmarkSelect(b *testing.B) {
	for _, compact := range []bool{true, false} {
		db, _ := storeOf(b, workload(100_000, 10), compact)
		for _, row := range selections {
			b.Run(fmt.Sprintf("%s/compacted=%v", row.name, compact), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					set, err := Select(db, model.TierRaw, 20000, row.matchers)
					if err != nil || set.Len() != row.count {
						b.Fatalf("%d series, %v, want %d", set.Len(), err, row.count)
					}
				}
			})
		}
	}
}

func BenchmarkLoadSeries(b *testing.B) {
	all := workload(100_000, 10)
	db, nameOf := storeOf(b, all, true)
	for name, step := range map[string]int{"all": 1, "every1000th": 1000} {
		b.Run(name, func(b *testing.B) {
			var ids []model.SeriesID
			for i := 0; i < len(all); i += step {
				ids = append(ids, all[i].ID)
			}
			b.ReportAllocs()
			for b.Loop() {
				loaded := 0
				if err := LoadSeries(db, nameOf, ids, func(s model.Series) error {
					if len(s.Tags) == 11 {
						loaded++
					}
					return nil
				}); err != nil || loaded != len(ids) {
					b.Fatal(loaded, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ids)), "ns/series")
		})
	}
}

// BenchmarkPutCatalog is what a flush of new series writes: catalogue entries and postings.
func BenchmarkPutCatalog(b *testing.B) {
	all := workload(20_000, 10)
	db := openMem(b)
	b.ReportAllocs()
	for b.Loop() {
		batch := db.NewBatch()
		var builder PostingsBuilder
		for _, s := range all {
			if err := PutSeries(batch, s, 1); err != nil {
				b.Fatal(err)
			}
			builder.Add(s)
		}
		if err := builder.Write(batch, model.TierRaw, 20000); err != nil {
			b.Fatal(err)
		}
		if batch.Count() < uint32(2*len(all)) {
			b.Fatal(batch.Count())
		}
		b.SetBytes(int64(batch.Len()))
		if err := batch.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/series")
}
