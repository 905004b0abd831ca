package engine

import "github.com/flopynet/collector/model"

// Batch is a set of samples that is written together. It is columnar and is meant to be reused: Reset
// keeps its memory. A Batch must not be touched while Write has it.
type Batch struct {
	ids    []model.SeriesID
	times  []int64
	values []float64
	units  []unitChange
	unitAt map[model.SeriesID]int // place in units
	maxID  model.SeriesID
	epoch  uint64
	answer *Answer
}

type unitChange struct {
	id   model.SeriesID
	unit string
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.ids, b.times, b.values = b.ids[:0], b.times[:0], b.values[:0]
	b.units = b.units[:0]
	clear(b.unitAt)
	b.maxID, b.epoch, b.answer = 0, 0, nil
}

// ResolvedAt says at which DB.Epoch, read before, the oldest of the batch's ids was resolved. Without it
// writing is as right and a little slower.
func (b *Batch) ResolvedAt(epoch uint64) { b.epoch = epoch }

// SetAnswer makes Write keep an answer together with the batch: after a crash both are there or neither is. The
// answer must not be changed afterwards.
func (b *Batch) SetAnswer(answer *Answer) { b.answer = answer }

// Len returns the number of samples.
func (b *Batch) Len() int { return len(b.ids) }

// Add appends a sample of a series that DB.Resolve gave. The time is in nanoseconds since the epoch
// and must have passed DB.CheckTime. Of two samples of one series and time, the later one stands.
func (b *Batch) Add(id model.SeriesID, time int64, value float64) {
	b.ids = append(b.ids, id)
	b.times = append(b.times, time)
	b.values = append(b.values, value)
	b.maxID = max(b.maxID, id)
}

// AddRow is Add for samples of one time: a value for each id.
func (b *Batch) AddRow(ids []model.SeriesID, time int64, values []float64) {
	b.ids = append(b.ids, ids...)
	b.values = append(b.values, values...)
	for _, id := range ids {
		b.times = append(b.times, time)
		b.maxID = max(b.maxID, id)
	}
}

// SetUnit records the unit of a series, which must have passed model.CheckUnit; it becomes durable with
// the batch. The last one written wins.
func (b *Batch) SetUnit(id model.SeriesID, unit string) {
	if at, known := b.unitAt[id]; known {
		b.units[at].unit = unit
		return
	}
	if b.unitAt == nil {
		b.unitAt = make(map[model.SeriesID]int)
	}
	b.unitAt[id] = len(b.units)
	b.units = append(b.units, unitChange{id: id, unit: unit})
	b.maxID = max(b.maxID, id)
}
