package index

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/model"
)

const benchSeries = 200_000

// BenchmarkRemoveSeries takes a share of 200,000 series out of a partition's postings.
func BenchmarkRemoveSeries(b *testing.B) {
	all := workload(benchSeries, 10)
	db, _ := storeOf(b, all, true)
	for _, share := range []int{1, 2, 100} {
		gone := new(Set)
		for i := 0; i < len(all); i += share {
			gone.Add(all[i].ID)
		}
		b.Run(fmt.Sprintf("oneOf=%d", share), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				batch := db.NewBatch()
				if err := RemoveSeries(db, batch, model.TierRaw, 20000, gone); err != nil {
					b.Fatal(err)
				}
				if batch.Count() < 100 {
					b.Fatalf("%d postings changed", batch.Count())
				}
				b.ReportMetric(float64(batch.Len()), "batch-B")
				if err := batch.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(gone.Len()), "ns/series")
		})
	}
}

// BenchmarkDeleteSeries takes series out of the catalogue.
func BenchmarkDeleteSeries(b *testing.B) {
	all := workload(benchSeries, 10)
	db, _ := storeOf(b, all, true)
	b.ReportAllocs()
	for b.Loop() {
		batch := db.NewBatch()
		if err := DeleteSeries(db, batch, all[:benchSeries/10]); err != nil {
			b.Fatal(err)
		}
		if batch.Count() != 2*benchSeries/10 {
			b.Fatal(batch.Count())
		}
		if err := batch.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(benchSeries/10), "ns/series")
}

// BenchmarkDrop forgets one in eleven of 220,000 series, with ten metrics a host and with one. The longest
// waits are those of a Lookup and of a Create that are tried all the while.
func BenchmarkDrop(b *testing.B) {
	for _, metrics := range []int{10, 1} {
		b.Run(fmt.Sprintf("perHost=%d", metrics), func(b *testing.B) {
			all := workload(benchSeries*11/10, metrics)
			gone := new(Set)
			for i := 0; i < len(all); i += 11 {
				gone.Add(all[i].ID)
			}
			var lookup, create time.Duration
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				a := NewActive(1)
				for _, s := range all {
					a.Insert(s)
				}
				var done atomic.Bool
				var others sync.WaitGroup
				identity := identityOf(all[1])
				others.Go(func() {
					lookup = max(lookup, longest(&done, func(int) {
						if _, found := a.Lookup(identity); !found {
							b.Error("not found")
						}
					}))
				})
				others.Go(func() {
					create = max(create, longest(&done, func(i int) {
						s := model.Series{Name: "new", Tags: model.Tags{{Key: "host", Value: fmt.Sprint(i)}}}
						a.Create(identityOf(s), s.Name, s.Tags)
					}))
				})
				b.StartTimer()
				a.Drop(gone)
				b.StopTimer()
				done.Store(true)
				others.Wait()
				if a.Len() < benchSeries {
					b.Fatalf("%d series are left", a.Len())
				}
				b.StartTimer()
			}
			b.ReportMetric(lookup.Seconds()*1e3, "longest-lookup-ms")
			b.ReportMetric(create.Seconds()*1e3, "longest-create-ms")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSeries, "ns/survivor")
		})
	}
}

// longest calls fn until done and returns the longest time that a call took.
func longest(done *atomic.Bool, fn func(i int)) (took time.Duration) {
	for i := 0; !done.Load(); i++ {
		begin := time.Now()
		fn(i)
		took = max(took, time.Since(begin))
		time.Sleep(50 * time.Microsecond)
	}
	return took
}

// BenchmarkCardinality counts 200,000 series that are in ten partitions and in memory.
func BenchmarkCardinality(b *testing.B) {
	all := workload(benchSeries, 10)
	db, _ := storeOf(b, all, true)
	active := NewActive(1)
	var builder PostingsBuilder
	for _, s := range all {
		active.Insert(s)
		builder.Add(s)
	}
	places := []Place{{model.TierRaw, 20000}}
	for i := range model.Partition(9) {
		place := Place{model.TierRaw, 20001 + i}
		commit(b, db, func(batch *pebble.Batch) error { return builder.Write(batch, place.Tier, place.Partition) })
		places = append(places, place)
	}
	for _, count := range []int{1, 10} {
		b.Run(fmt.Sprintf("partitions=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				report, err := Cardinality(context.Background(), db, places[:count], active, nil, 20)
				if err != nil || report.Series != benchSeries || report.Keys[0].Values != benchSeries/10 {
					b.Fatalf("%+v, %v", report, err)
				}
			}
		})
	}
}
