package tsdb

import (
	"testing"

	"github.com/flopynet/collector/engine"
)

// neverFlush leaves everything in the log and the head, as prometheus/tsdb does here: it compacts once a
// minute at most, which is more than a run takes.
var neverFlush = engine.Options{FlushSamples: 1 << 30}

// BenchmarkAppend appends 1,000 samples a batch, one for each of 1,000 known series, with the log written
// and not fsynced: prometheus/tsdb does no more per commit. One goroutine, the same values. "collector" only ever
// fills its log and its head, and so does prometheus/tsdb; "collector-flushing" also writes chunks to its store
// all the time, as it would.
func BenchmarkAppend(b *testing.B) {
	values := rounds(2000, metrics, dec2)
	run := func(name string, open func() store) {
		b.Run(name, func(b *testing.B) {
			s := open()
			b.ReportAllocs()
			written, cpu := 0, processTime(b)
			for b.Loop() {
				written += s.write()
			}
			b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "samples/s")
			b.ReportMetric(float64(processTime(b)-cpu)/float64(written), "cpu-ns/sample")
			s.close()
		})
	}
	run("collector", func() store { return openOurs(b, values, neverFlush) })
	run("collector-flushing", func() store { return openOurs(b, values, engine.Options{}) })
	run("prometheus", func() store { return openTheirs(b, values) })
}

// appendContest appends 120 samples to each series a call: as many as make prometheus/tsdb begin a new chunk.
func appendContest(t *testing.T) *contest {
	values := rounds(2000, metrics, dec2)
	ours, theirs := openOurs(t, values, neverFlush), openTheirs(t, values)
	times := func(s store) func() {
		return func() {
			for range prometheusChunk {
				s.write()
			}
		}
	}
	return &contest{
		name: "append", target: 3, floor: 2, ours: times(ours), theirs: times(theirs),
		close: func() { ours.close(); theirs.close() },
	}
}
