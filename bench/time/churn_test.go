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
	series int // in memory
	posted int // in the index
	heap   int64
	rss    int64
	disk   int64
	usage  engine.Usage

	ingest, maintain, store instant // how long it took
}

// instant is a time, or a span of time, on the wall's clock and on that of the process' work.
type instant struct{ wall, cpu time.Duration }

func (i instant) since(begin instant) instant { return instant{i.wall - begin.wall, i.cpu - begin.cpu} }

func (i instant) String() string { return fmt.Sprintf("%.1f %.1f", i.wall.Seconds(), i.cpu.Seconds()) }

// BenchmarkChurn writes days of series that are all new, and keeps two days of them. In the end the store has to be
// about as large as when it had two days.
func BenchmarkChurn(b *testing.B) {
	days := setting(b, "COLLECTOR_BENCH_DAYS", 10)
	series := setting(b, "COLLECTOR_BENCH_SERIES", 100_000)
	perHour := series / churnHours / churnMetrics * churnMetrics
	c := &churn{dir: b.TempDir(), now: start, perHour: perHour, walk: newWalk(perHour)}
	report("%d new series a day, %d days, of which %d are kept", perHour*churnHours, days, churnKept)
	report("%8s %9s %8s %8s %7s | %8s %8s %7s %8s %8s %8s %8s %8s | %s", "day", "in memory", "indexed", "heap MiB", "RSS MiB",
		"disk MiB", "tables", "log", "raw", "points", "sketches", "postings", "catalog", "wall s, CPU s: ingest; maintenance; chunk store after it")
	c.open(b)
	var young, last footprint
	for d := range days {
		profiled(b, fmt.Sprintf("churn day %d", d+1), func() { last = c.day(b, d) })
		c.print(fmt.Sprint(d+1), last)
		if d+1 == churnKept {
			young = last
		}
	}
	if days > churnKept {
		report("%8s %9.3f %8.3f %8.3f %7.3f | %8.3f %8.3f: of day %d", "ratio", ratio(last.series, young.series), ratio(last.posted, young.posted),
			ratio(last.heap, young.heap), ratio(last.rss, young.rss), ratio(last.disk, young.disk), ratio(last.usage.Tables, young.usage.Tables), churnKept)
	}
	c.reopen(b)
	if want := min(days, churnKept) * perHour * churnHours; last.series != want || last.posted != want {
		b.Errorf("%d series in memory and %d in the index after %d days, want %d", last.series, last.posted, days, want)
	}
	if err := c.db.Close(); err != nil {
		b.Fatal(err)
	}
}

func ratio[T int | int64 | uint64](a, b T) float64 { return float64(a) / float64(max(b, 1)) }

func (c *churn) open(b *testing.B) {
	db, err := engine.Open(c.dir, engine.Options{
		Now:              func() time.Time { return c.now },
		Logger:           slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Sync:             engine.SyncOff,
		Retention:        engine.RetentionPolicy{Default: engine.Retention{Raw: churnKept * day}},
		MaintainInterval: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	c.db = db
}

// reopen shows what remains in memory, and on disk without the logs, when nothing is written.
func (c *churn) reopen(b *testing.B) {
	if err := c.db.Close(); err != nil {
		b.Fatal(err)
	}
	c.db = nil
	debug.FreeOSMemory()
	began := time.Now()
	c.open(b)
	opened := time.Since(began)
	c.print("reopened", c.measure(b))
	report("opened in %v", opened.Round(time.Millisecond))
}

// day writes a day, lets maintenance do what there is to do an hour after midnight, and measures.
func (c *churn) day(b *testing.B, number int) footprint {
	begin := start.Add(time.Duration(number) * day)
	begun := c.clock(b)
	for hour := range churnHours {
		c.hour(b, begin.Add(time.Duration(hour+2)*time.Hour), fmt.Sprintf("day%d-hour%d", number, hour))
	}
	c.now = begin.Add(day + time.Hour + time.Minute)
	written := c.clock(b)
	if err := c.db.Maintain(context.Background()); err != nil {
		b.Fatal(err)
	}
	maintained := c.clock(b)
	f := c.measure(b)
	settled := c.clock(b)
	f.ingest, f.maintain, f.store = written.since(begun), maintained.since(written), settled.since(maintained)
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
	report("%8s %9d %8d %8d %7d | %8d %8.1f %7.1f %8.1f %8.1f %8.1f %8.1f %8.1f | %v; %v; %v", name, f.series, f.posted, f.heap/mib, f.rss/mib,
		f.disk/mib, float64(u.Tables)/mib, float64(u.WAL)/mib, float64(u.RawChunks)/mib, float64(u.Points5m+u.Points1h)/mib,
		float64(u.Sketches)/mib, float64(u.RawPostings+u.TierPostings)/mib, float64(u.Catalogue)/mib, f.ingest, f.maintain, f.store)
}

// clock tells the time since the benchmark's package began.
func (c *churn) clock(b *testing.B) instant { return instant{time.Since(began), processTime(b)} }

// began is only ever compared with.
var began = time.Now()
