package tsdb

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/flopynet/collector/internal/chunk"
)

// A Prometheus chunk has 120 samples, one of ours up to 4,096.
const (
	prometheusChunk = 120
	codecSamples    = 4080 // of a series: a multiple of 120 below 4,096
	codecSeries     = 100  // as many as make it useless to learn the branches by heart
)

// codecData is some series in both encodings.
type codecData struct {
	tb     testing.TB
	times  []int64
	values [][]float64

	gotTimes  []int64
	gotValues []float64
	appender  chunk.Appender
	iterator  chunkenc.Iterator
}

func newCodecData(tb testing.TB, make func(series int) []float64) *codecData {
	d := &codecData{tb: tb}
	for i := range int64(codecSamples) {
		d.times = append(d.times, start+i*step)
	}
	for series := range codecSeries {
		d.values = append(d.values, make(series))
	}
	return d
}

// walks makes random walks.
func walks(round func(float64) float64) func(int) []float64 {
	w := newWalk(codecSeries, round)
	return func(series int) []float64 {
		values := make([]float64, codecSamples)
		for i := range values {
			values[i] = w.next(series)
		}
		return values
	}
}

// uniform makes two decimals with steps that are all as likely, of which no code takes less room than one of a
// fixed width.
func uniform(series int) []float64 {
	random := rand.New(rand.NewPCG(3, uint64(series)))
	values := make([]float64, codecSamples)
	hundredths := 5000
	for i := range values {
		values[i] = float64(hundredths) / 100
		hundredths += random.IntN(256) - 128
	}
	return values
}

// sealed returns stored chunks, in the smaller of the codecs.
func (d *codecData) sealed() []chunk.Block {
	var blocks []chunk.Block
	for _, values := range d.values {
		block, err := chunk.Open(nil, chunk.Encode(nil, nil, d.times, values))
		if err != nil {
			d.tb.Fatal(err)
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// open returns chunks as the head has them.
func (d *codecData) open() []chunk.Block {
	var blocks []chunk.Block
	for _, values := range d.values {
		var a chunk.Appender
		a.Append(d.times, values)
		blocks = append(blocks, a.Block())
	}
	return blocks
}

// decodeOurs returns what decodes one chunk of each series, and has checked it.
func (d *codecData) decodeOurs(blocks []chunk.Block) func() {
	decode := func(block chunk.Block) {
		var err error
		if d.gotTimes, d.gotValues, err = block.Decode(d.gotTimes[:0], d.gotValues[:0]); err != nil {
			d.tb.Fatal(err)
		}
	}
	for series, block := range blocks {
		decode(block)
		d.check(series, 1)
	}
	return func() {
		for _, block := range blocks {
			decode(block)
		}
	}
}

// decodeTheirs does the same for the chunks of prometheus/tsdb.
func (d *codecData) decodeTheirs() func() {
	var all [][]*chunkenc.XORChunk
	for _, values := range d.values {
		all = append(all, encodeTheirs(d.tb, d.times, values))
	}
	gotTimes, gotValues := make([]int64, codecSamples), make([]float64, codecSamples)
	d.gotTimes, d.gotValues = gotTimes, gotValues
	decode := func(chunks []*chunkenc.XORChunk) {
		i := 0
		for _, c := range chunks {
			d.iterator = c.Iterator(d.iterator)
			for d.iterator.Next() != chunkenc.ValNone {
				gotTimes[i], gotValues[i] = d.iterator.At()
				i++
			}
		}
	}
	for series, chunks := range all {
		decode(chunks)
		d.check(series, 1e6)
	}
	return func() {
		for _, chunks := range all {
			decode(chunks)
		}
	}
}

// check compares what was decoded of a series, with times in units of some nanoseconds.
func (d *codecData) check(series int, unit int64) {
	d.tb.Helper()
	for i, time := range d.times {
		if d.gotTimes[i] != time/unit || d.gotValues[i] != d.values[series][i] {
			d.tb.Fatalf("sample %d of series %d is (%d, %v), want (%d, %v)", i, series, d.gotTimes[i], d.gotValues[i], time/unit, d.values[series][i])
		}
	}
}

// encodeOurs encodes all as the head does, sixteen samples at a time.
func (d *codecData) encodeOurs() {
	for _, values := range d.values {
		d.appender.Reset(0)
		for i := 0; i < codecSamples; i += 16 {
			if n := d.appender.Append(d.times[i:i+16], values[i:i+16]); n != 16 {
				d.tb.Fatalf("%d samples were appended", n)
			}
		}
	}
}

func (d *codecData) encodeTheirs() {
	for _, values := range d.values {
		encodeTheirs(d.tb, d.times, values)
	}
}

func encodeTheirs(tb testing.TB, times []int64, values []float64) []*chunkenc.XORChunk {
	var chunks []*chunkenc.XORChunk
	for from := 0; from < len(times); from += prometheusChunk {
		c := chunkenc.NewXORChunk()
		app, err := c.Appender()
		if err != nil {
			tb.Fatal(err)
		}
		for i := from; i < from+prometheusChunk; i++ {
			app.Append(0, times[i]/1e6, values[i])
		}
		chunks = append(chunks, c)
	}
	return chunks
}

// BenchmarkDecode decodes, and BenchmarkEncode encodes, 4,080 samples of each of 100 series.
func BenchmarkDecode(b *testing.B) {
	eachVariant(b, func(d *codecData, run func(name string, fn func())) {
		run("collector-head", d.decodeOurs(d.open()))
		run("collector", d.decodeOurs(d.sealed()))
		run("prometheus", d.decodeTheirs())
	})
}

func BenchmarkEncode(b *testing.B) {
	eachVariant(b, func(d *codecData, run func(name string, fn func())) {
		run("collector-head", d.encodeOurs)
		run("prometheus", d.encodeTheirs)
	})
}

func eachVariant(b *testing.B, fn func(d *codecData, run func(name string, fn func()))) {
	for _, variant := range variants {
		fn(newCodecData(b, walks(variant.round)), func(name string, fn func()) {
			b.Run(fmt.Sprintf("%s/%s", variant.name, name), func(b *testing.B) {
				for b.Loop() {
					fn()
				}
				b.ReportMetric(float64(b.N)*codecSeries*codecSamples/b.Elapsed().Seconds(), "samples/s")
			})
		})
	}
}

// decodeContest decodes chunks of 100 series.
func decodeContest(name string, target, floor float64, make func(series int) []float64, blocks func(*codecData) []chunk.Block) func(t *testing.T) *contest {
	return func(t *testing.T) *contest {
		d := newCodecData(t, make)
		return &contest{name: name, target: target, floor: floor, ours: d.decodeOurs(blocks(d)), theirs: d.decodeTheirs()}
	}
}

// encodeContest encodes what the head gets.
func encodeContest(t *testing.T) *contest {
	d := newCodecData(t, walks(dec2))
	return &contest{name: "encode gorilla", target: 3, floor: 2, ours: d.encodeOurs, theirs: d.encodeTheirs}
}
