package export

import (
	"github.com/flopynet/collector/model"
)

// maxBatchBytes bounds what a batch holds of tags, so that many series with long tags end it early.
const maxBatchBytes = 8 << 20

// batch gathers rows as columns. Those of text are dictionaries, and a number for each run of rows that are of
// one series.
type batch struct {
	plan    *Plan
	maxRows int

	times  []int64
	values []float64
	texts  []textColumn // metric (if it is a column), source, tags

	series   model.SeriesID // of the last run
	runs     []int          // rows of each
	overhead int            // bytes of all but times and values
}

// textColumn is a column of text.
type textColumn struct {
	numbers    map[string]int32
	dictionary []string
	runs       []int32 // a number of the dictionary by run; -1: no value
	missing    bool    // some are -1
}

func newBatch(p *Plan, maxRows int) *batch {
	b := &batch{plan: p, maxRows: maxRows, times: make([]int64, 0, maxRows), values: make([]float64, 0, maxRows)}
	b.texts = make([]textColumn, len(p.textNames()))
	b.reset()
	return b
}

// textNames are the names of the columns of text.
func (p *Plan) textNames() []string {
	names := append([]string{model.SourceKey}, p.columns...)
	if p.MetricColumn {
		names = append([]string{"metric"}, names...)
	}
	return names
}

// reset empties the batch.
func (b *batch) reset() {
	b.times, b.values, b.runs = b.times[:0], b.values[:0], b.runs[:0]
	b.series, b.overhead = 0, 0
	for i := range b.texts {
		column := &b.texts[i]
		*column = textColumn{numbers: make(map[string]int32), runs: column.runs[:0]}
	}
}

// add takes rows of a series, as many as there is room for, and returns how many these are.
func (b *batch) add(s *model.Series, times []int64, values []float64) int {
	if s.ID != b.series {
		if b.overhead > maxBatchBytes {
			return 0
		}
		b.begin(s)
	}
	n := min(len(times), b.maxRows-len(b.times))
	b.times, b.values = append(b.times, times[:n]...), append(b.values, values[:n]...)
	b.runs[len(b.runs)-1] += n
	return n
}

// begin begins a run.
func (b *batch) begin(s *model.Series) {
	b.series = s.ID
	b.runs = append(b.runs, 0)
	texts := b.texts
	if b.plan.MetricColumn {
		b.note(&texts[0], s.Name)
		texts = texts[1:]
	}
	source, _ := sourceOf(s)
	b.note(&texts[0], source)
	for i, key := range b.plan.keys {
		b.note(&texts[1+i], s.Tags.Get(key))
	}
}

// note takes the text of a run; "" is none.
func (b *batch) note(c *textColumn, text string) {
	b.overhead += 4
	if text == "" {
		c.runs, c.missing = append(c.runs, -1), true
		return
	}
	number, known := c.numbers[text]
	if !known {
		number = int32(len(c.dictionary))
		c.numbers[text] = number
		c.dictionary = append(c.dictionary, text)
		b.overhead += len(text) + 64
	}
	c.runs = append(c.runs, number)
}

// gather passes a series' rows on to add, and calls flush whenever there is no room.
func (b *batch) gather(s *model.Series, times []int64, values []float64, flush func() error) error {
	for len(times) > 0 {
		n := b.add(s, times, values)
		times, values = times[n:], values[n:]
		if len(times) == 0 {
			return nil
		}
		if err := flush(); err != nil {
			return err
		}
		b.reset()
	}
	return nil
}
