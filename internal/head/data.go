package head

import (
	"fmt"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// tailSamples is how many raw samples a series gathers before they are compressed together: 256 bytes.
const tailSamples = 16

// busySamples is how many samples make a series one of which as many are expected again.
const busySamples = 1024

// data is what a series gathered in one generation. Everything but the tail is only appended to.
type data struct {
	closed []chunk.Block // full, or ended by a new day or by a much finer time unit
	open   chunk.Appender
	tail   []model.Sample
	late   []model.Sample

	count    int   // of samples held, overwritten ones included
	blockMax int64 // newest time in closed, open and late; -1: none
	period   int64 // of the last write
}

// newData returns the place for a new generation of a series; before is the frozen one, or nil.
func newData(before *data) *data {
	d := &data{blockMax: -1}
	if before != nil && before.open.Count() >= busySamples {
		d.open.Reset(before.open.Size())
	}
	return d
}

// add stores a sample; a later call wins over an earlier one with the same time. It reports whether the
// sample takes room of its own, which an overwrite in the tail doesn't.
func (d *data) add(time int64, value float64) bool {
	n := len(d.tail)
	switch {
	case time <= d.blockMax:
		d.late = append(d.late, model.Sample{Time: time, Value: value})
	case n == 0 || time > d.tail[n-1].Time:
		if n == tailSamples {
			d.compressTail()
			n = 0
		}
		if n == cap(d.tail) {
			d.growTail()
		}
		d.tail = append(d.tail, model.Sample{Time: time, Value: value})
	default:
		return d.insert(time, value)
	}
	d.count++
	return true
}

// insert puts a sample among those of the tail, none of which is older than the blocks.
func (d *data) insert(time int64, value float64) bool {
	at := len(d.tail)
	for at > 0 && d.tail[at-1].Time >= time {
		at--
	}
	if d.tail[at].Time == time {
		d.tail[at].Value = value
		return false
	}
	if len(d.tail) == tailSamples {
		// Make room by compressing what is older; the sample's place moves with it.
		newer := append([]model.Sample(nil), d.tail[at:]...)
		d.tail = d.tail[:at]
		d.compressTail()
		d.tail = append(append(d.tail, model.Sample{Time: time, Value: value}), newer...)
		if len(d.tail) > tailSamples {
			d.compressTail()
		}
		d.count++
		return true
	}
	if len(d.tail) == cap(d.tail) {
		d.growTail()
	}
	d.tail = append(d.tail, model.Sample{})
	copy(d.tail[at+1:], d.tail[at:])
	d.tail[at] = model.Sample{Time: time, Value: value}
	d.count++
	return true
}

// growTail doubles the tail's room, from two samples on: most series of a short-lived experiment never
// need more.
func (d *data) growTail() {
	grown := make([]model.Sample, len(d.tail), min(max(2, 2*cap(d.tail)), tailSamples))
	copy(grown, d.tail)
	d.tail = grown
}

// compressTail moves the tail into blocks.
func (d *data) compressTail() {
	var times [tailSamples + 1]int64
	var values [tailSamples + 1]float64
	n := len(d.tail)
	for i, sample := range d.tail {
		times[i], values[i] = sample.Time, sample.Value
	}
	d.encode(times[:n], values[:n])
	d.tail = d.tail[:0]
}

// encode appends samples newer than blockMax to the blocks. A block never spans two partitions, so that
// the flush can write it as it is.
func (d *data) encode(times []int64, values []float64) {
	n := len(times)
	for from := 0; from < n; {
		day := model.TierRaw.PartitionOf(times[from])
		to := n
		if model.TierRaw.PartitionOf(times[n-1]) != day {
			for to = from + 1; model.TierRaw.PartitionOf(times[to]) == day; to++ {
			}
		}
		if d.open.Count() > 0 && model.TierRaw.PartitionOf(d.open.MinTime()) != day {
			d.closeBlock()
		}
		from += d.open.Append(times[from:to], values[from:to])
		if from < to {
			d.closeBlock()
		}
	}
	if n > 0 {
		d.blockMax = times[n-1]
	}
}

func (d *data) closeBlock() {
	if d.open.Count() > 0 {
		d.closed = append(d.closed, d.open.Block())
		d.open.Reset(d.open.Size())
	}
}

// join adds all samples of a newer generation to d.
func (d *data) join(newer *data) error {
	v := newer.view()
	var times []int64
	var values []float64
	for _, block := range v.Blocks {
		var err error
		if times, values, err = block.Decode(times, values); err != nil {
			return fmt.Errorf("decode a block of the head: %w", err)
		}
	}
	for i, time := range times {
		d.add(time, values[i])
	}
	for _, sample := range v.Tail {
		d.add(sample.Time, sample.Value)
	}
	for _, sample := range v.Late {
		d.add(sample.Time, sample.Value)
	}
	d.period = newer.period
	return nil
}
