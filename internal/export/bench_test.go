package export

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

type countingWriter struct{ bytes int64 }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.bytes += int64(len(p))
	return len(p), nil
}

// cpuTime returns the CPU time of this process so far, in nanoseconds.
func cpuTime(t testing.TB) int64 {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// benchTags are ten tags, of which host alone tells series apart, and a source.
func benchTags(host int) model.Tags {
	return model.Normalize(model.Tags{
		{Key: "arch", Value: "x64"}, {Key: "datacenter", Value: "eu-central-1a"}, {Key: "host", Value: fmt.Sprintf("host_%d", host)},
		{Key: "os", Value: "Ubuntu16.04LTS"}, {Key: "rack", Value: fmt.Sprint(host * 7 % 100)}, {Key: "region", Value: "eu-central-1"},
		{Key: "service", Value: fmt.Sprint(host % 20)}, {Key: "service_environment", Value: "production"},
		{Key: "service_version", Value: fmt.Sprint(host % 2)}, {Key: "team", Value: []string{"SF", "NYC", "LON", "CHI"}[host%4]},
		{Key: "source", Value: "bench"},
	})
}

const (
	benchHosts   = 100
	benchSamples = 8640
)

// storeBench stores 100 series of a day at 10 s, of two decimals or in full, and returns their rows.
func storeBench(b *testing.B, db *engine.DB, name string) (rows []row) {
	random := rand.New(rand.NewPCG(1, 2))
	for host := range benchHosts {
		tags := benchTags(host)
		id, err := db.Resolve(name, tags)
		if err != nil {
			b.Fatal(err)
		}
		plain := map[string]string{}
		for _, tag := range tags {
			plain[tag.Key] = tag.Value
		}
		text := tagsText(plain)
		var batch engine.Batch
		v := 50.0
		for i := range benchSamples {
			v = min(max(v+random.NormFloat64(), 0), 100)
			stored := v
			if name == "dec2" {
				stored = math.Round(v*100) / 100
			}
			at := testStart + int64(i)*10e9
			batch.Add(id, at, stored)
			rows = append(rows, row{at, math.Float64bits(stored), "cpu_usage", text})
		}
		if err := db.Write(&batch); err != nil {
			b.Fatal(err)
		}
	}
	return rows
}

// BenchmarkExport exports 864,000 rows, with ten tags and with the columns timestamp and value alone. What the
// first hosts have is read back before, row by row and bit by bit.
func BenchmarkExport(b *testing.B) {
	db := openStore(b)
	stored := map[string][]row{}
	for _, name := range []string{"dec2", "full"} {
		stored[name] = storeBench(b, db, name)
	}
	if err := db.Maintain(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, format := range Formats {
		for _, name := range []string{"dec2", "full"} {
			const checked = 10
			first := selectionOf(name)
			hosts, err := model.NewMatcher("host", model.MatchRegexp, "host_[0-9]")
			if err != nil {
				b.Fatal(err)
			}
			first.Matchers = append(first.Matchers, hosts)
			if got := readers[format](b, export(b, db, Request{Selection: first, Format: format})); !slices.Equal(got, stored[name][:checked*benchSamples]) {
				b.Fatalf("%s of %s isn't what was stored", format, name)
			}
			b.Run(string(format)+"/"+name, func(b *testing.B) { benchExport(b, db, Request{Selection: selectionOf(name), Format: format}) })
			b.Run(string(format)+"/"+name+"/slim", func(b *testing.B) {
				benchExport(b, db, Request{Selection: selectionOf(name), Format: format, Columns: []string{columnTimestamp, columnValue}})
			})
		}
	}
}

func benchExport(b *testing.B, db *engine.DB, r Request) {
	b.ReportAllocs()
	var out countingWriter
	rows, before := int64(0), cpuTime(b)
	for b.Loop() {
		plan, err := NewPlan(b.Context(), db, r)
		if err != nil {
			b.Fatal(err)
		}
		out.bytes = 0
		n, err := plan.Write(b.Context(), db, &out, new(Progress))
		if err != nil || n != benchHosts*benchSamples {
			b.Fatalf("%d rows, %v", n, err)
		}
		rows += n
	}
	b.ReportMetric(float64(rows)/1e6/b.Elapsed().Seconds(), "Mrows/s")
	b.ReportMetric(float64(cpuTime(b)-before)/float64(rows), "cpu-ns/row")
	b.ReportMetric(float64(out.bytes)/(benchHosts*benchSamples), "bytes/row")
}
