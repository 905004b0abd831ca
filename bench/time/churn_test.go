package timebench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// A series of Churn lives for an hour and gets a sample a minute. Days have 22 of these hours: between two and
// midnight, so that at one, when a day falls out of its retention, only whole days are there.
const (
	churnMetrics = 10
	churnHours   = 22
	churnKept    = 2 // days
)

// churn is a store in which no series lives for long.
type churn struct {
	dir     string
	db      *engine.DB
	now     time.Time
	perHour int // series
	walk    *walk
	batch   engine.Batch
}

// footprint is what a store takes after a day.
type footprint struct {
	series   int // in memory
	posted   int // in the index
	heap     int64
	rss      int64
	disk     int64
	usage    engine.Usage
	maintain time.Duration
}

// BenchmarkChurn writes days of series that are all new, and keeps two days of them: once for two days, once for
// all days. In the end both stores have to be about as large.
func BenchmarkChurn(b *testing.B) {
	days := setting(b, "COLLECTOR_BENCH_DAYS", 10)
	series := setting(b, "COLLECTOR_BENCH_SERIES", 100_000)
	perHour := series / churnHours / churnMetrics * churnMetrics
	report("%d new series a day, %d days, of which %d are kept", perHour*churnHours, days, churnKept)
	report("%10s %9s %9s %9s %9s | %9s %9s %9s %9s %9s %9s %9s | %s", "day", "in memory", "indexed", "heap MiB", "RSS MiB",
		"disk MiB", "tables", "log", "raw", "points", "postings", "catalogue", "maintenance")
	young := runChurn(b, churnKept, perHour)
	old := runChurn(b, days, perHour)
	report("%10s %9.3f %9.3f %9.3f %9.3f | %9.3f %9.3f", "ratio", ratio(old.series, young.series), ratio(old.posted, young.posted),
		ratio(old.heap, young.heap), ratio(old.rss, young.rss), ratio(old.disk, young.disk), ratio(old.usage.Tables, young.usage.Tables))
	if want := churnKept * perHour * churnHours; old.series != want || old.posted != want {
		b.Errorf("%d series in memory and %d in the index after %d days, want %d", old.series, old.posted, days, want)
	}
}

func ratio[T int | int64 | uint64](a, b T) float64 { return float64(a) / float64(max(b, 1)) }

// runChurn writes some days to a store of its own and returns what it takes in the end.
func runChurn(b *testing.B, days, perHour int) (last footprint) {
	c := &churn{dir: b.TempDir(), now: start, perHour: perHour, walk: newWalk(perHour)}
	options := engine.Options{
		Now:              func() time.Time { return c.now },
		Logger:           slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Sync:             engine.SyncOff,
		Retention:        engine.RetentionPolicy{Default: engine.Retention{Raw: churnKept * day}},
		MaintainInterval: -1,
	}
	db, err := engine.Open(c.dir, options)
	if err != nil {
		b.Fatal(err)
	}
	c.db = db
	for d := range days {
		profiled(b, fmt.Sprintf("churn of %d days, day %d", days, d+1), func() { last = c.day(b, d) })
		c.print(fmt.Sprintf("%d of %d", d+1, days), last)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	c.db = nil
	debug.FreeOSMemory()
	began := time.Now()
	if c.db, err = engine.Open(c.dir, options); err != nil {
		b.Fatal(err)
	}
	opened := time.Since(began)
	c.print("reopened", c.measure(b))
	report("opened in %v", opened.Round(time.Millisecond))
	if err := c.db.Close(); err != nil {
		b.Fatal(err)
	}
	return last
}

// day writes a day, lets maintenance do what there is to do an hour after midnight, and measures.
func (c *churn) day(b *testing.B, number int) footprint {
	begin := start.Add(time.Duration(number) * day)
	for hour := range churnHours {
		c.hour(b, begin.Add(time.Duration(hour+2)*time.Hour), fmt.Sprintf("day%d-hour%d", number, hour))
	}
	c.now = begin.Add(day + time.Hour + time.Minute)
	began := time.Now()
	if err := c.db.Maintain(context.Background()); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	f := c.measure(b)
	f.maintain = took
	return f
}

// hour writes an hour of new series.
func (c *churn) hour(b *testing.B, begin time.Time, name string) {
	ids := make([]model.SeriesID, 0, c.perHour)
	for host := range c.perHour / churnMetrics {
		tags := tagsOf(host, fmt.Sprintf("host_%s_%d", name, host))
		for metric := range churnMetrics {
			id, err := c.db.Resolve(fmt.Sprintf("usage_%d", metric), tags)
			if err != nil {
				b.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
	for minute := range 60 {
		at := begin.Add(time.Duration(minute) * time.Minute)
		c.now = at.Add(time.Second)
		c.batch.Reset()
		for i, id := range ids {
			c.batch.Add(id, at.UnixNano(), float64(c.walk.next(i))/100)
		}
		if err := c.db.Write(&c.batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.db.Flush(); err != nil { // as every ten minutes of a clock that isn't in such a hurry
		b.Fatal(err)
	}
}

// measure waits until the store is at rest and looks at what it takes.
func (c *churn) measure(b *testing.B) footprint {
	f := footprint{usage: settle(b, c.db)}
	found, err := c.db.Cardinality(context.Background(), model.MinTime, model.MaxTime, 1)
	if err != nil {
		b.Fatal(err)
	}
	f.series, f.posted = c.db.Stats().Series, found.Series
	f.heap = heapInUse()
	debug.FreeOSMemory()
	f.rss = statusBytes("VmRSS")
	f.disk = diskBytes(b, c.dir)
	return f
}

func (c *churn) print(name string, f footprint) {
	u := f.usage
	report("%10s %9d %9d %9d %9d | %9d %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f | %.1f s", name, f.series, f.posted, f.heap/mib, f.rss/mib,
		f.disk/mib, float64(u.Tables)/mib, float64(u.WAL)/mib, float64(u.RawChunks)/mib, float64(u.Points5m+u.Points1h+u.Sketches)/mib,
		float64(u.RawPostings+u.TierPostings)/mib, float64(u.Catalogue)/mib, f.maintain.Seconds())
}
