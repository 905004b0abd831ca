package export

import (
	"fmt"
	"math"
	"math/rand/v2"
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

// BenchmarkExport exports 100 series of a day at 10 s: 864,000 rows, of two decimals and in full.
func BenchmarkExport(b *testing.B) {
	db := openStore(b)
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"dec2", "full"} {
		for host := range 100 {
			id, err := db.Resolve(name, model.Tags{{Key: "host", Value: fmt.Sprintf("host_%d", host)}, {Key: "region", Value: "eu-central-1"}, {Key: "source", Value: "bench"}})
			if err != nil {
				b.Fatal(err)
			}
			var batch engine.Batch
			v := 50.0
			for i := range 8640 {
				v += random.NormFloat64()
				stored := v
				if name == "dec2" {
					stored = math.Round(v*100) / 100
				}
				batch.Add(id, testStart+int64(i)*10e9, stored)
			}
			if err := db.Write(&batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := db.Maintain(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, format := range Formats {
		for _, name := range []string{"dec2", "full"} {
			b.Run(string(format)+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				var out countingWriter
				rows := int64(0)
				before := cpuTime(b)
				for b.Loop() {
					plan, err := NewPlan(b.Context(), db, Request{Selection: selectionOf(name), Format: format})
					if err != nil {
						b.Fatal(err)
					}
					out.bytes = 0
					n, err := plan.Write(b.Context(), db, &out, new(Progress))
					if err != nil {
						b.Fatal(err)
					}
					rows += n
				}
				b.ReportMetric(float64(rows)/1e6/b.Elapsed().Seconds(), "Mrows/s")
				b.ReportMetric(float64(cpuTime(b)-before)/float64(rows), "cpu-ns/row")
				b.ReportMetric(float64(out.bytes)/864_000, "bytes/row")
			})
		}
	}
}
