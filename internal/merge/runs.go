package merge

import (
	"cmp"
	"slices"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// run is a part of a series' samples: in time order, no time twice.
type run struct {
	block    chunk.Block // or, when stored is false,
	samples  []model.Sample
	stored   bool
	min, max int64
	rank     uint64
	hidden   []model.Span // samples inside are deleted; rarely any
}

// decode appends the run's samples that aren't hidden to the columns.
func (r *run) decode(times []int64, values []float64) ([]int64, []float64, error) {
	start := len(times)
	if r.stored {
		var err error
		if times, values, err = r.block.Decode(times, values); err != nil {
			return times, values, err
		}
	} else {
		for _, sample := range r.samples {
			times = append(times, sample.Time)
			values = append(values, sample.Value)
		}
	}
	for _, span := range r.hidden {
		times, values = cut(times, values, start, span)
	}
	return times, values, nil
}

// cut removes a span from the columns' part behind start.
func cut(times []int64, values []float64, start int, span model.Span) ([]int64, []float64) {
	begin, _ := slices.BinarySearch(times[start:], span.From)
	end, _ := slices.BinarySearch(times[start:], span.To)
	if begin >= end {
		return times, values
	}
	return slices.Delete(times, start+begin, start+end), slices.Delete(values, start+begin, start+end)
}

// Runs gathers the runs of one series. Those that overlap no other, nearly all of them, are decoded
// straight into the result. The zero Runs is empty and ready.
type Runs struct{ runs []run }

// Reset forgets all runs and keeps the memory.
func (m *Runs) Reset() { m.runs = m.runs[:0] }

// AddBlock adds a block. Of two runs, that of the higher rank is newer; runs of one rank have no time
// in common, or agree. The samples inside hidden spans are left out.
func (m *Runs) AddBlock(block chunk.Block, rank uint64, hidden []model.Span) {
	m.runs = append(m.runs, run{block: block, stored: true, min: block.MinTime(), max: block.MaxTime(),
		rank: rank, hidden: hiding(hidden, block.MinTime(), block.MaxTime())})
}

// AddSamples adds samples in time order, no time twice.
func (m *Runs) AddSamples(samples []model.Sample, rank uint64, hidden []model.Span) {
	if len(samples) == 0 {
		return
	}
	first, last := samples[0].Time, samples[len(samples)-1].Time
	m.runs = append(m.runs, run{samples: samples, min: first, max: last, rank: rank, hidden: hiding(hidden, first, last)})
}

// hiding returns the spans that touch [first, last].
func hiding(spans []model.Span, first, last int64) []model.Span {
	if !slices.ContainsFunc(spans, func(s model.Span) bool { return s.Overlaps(first, last+1) }) {
		return nil
	}
	return spans
}

// Clusters calls fn for each group of runs that overlap one another, in time order, leaving out what
// lies wholly outside [from, to).
func (m *Runs) Clusters(from, to int64, fn func(Cluster) error) error {
	m.runs = slices.DeleteFunc(m.runs, func(r run) bool { return r.max < from || r.min >= to })
	slices.SortFunc(m.runs, func(a, b run) int { return cmp.Compare(a.min, b.min) })
	for begin := 0; begin < len(m.runs); {
		end, newest := begin+1, m.runs[begin].max
		for end < len(m.runs) && m.runs[end].min <= newest {
			newest = max(newest, m.runs[end].max)
			end++
		}
		cluster := Cluster{runs: m.runs[begin:end]}
		slices.SortFunc(cluster.runs, func(a, b run) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.min, b.min)) })
		if err := fn(cluster); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// Append appends the samples of [from, to) to the columns. An error wraps chunk.ErrCorrupt.
func (m *Runs) Append(times []int64, values []float64, from, to int64) ([]int64, []float64, error) {
	err := m.Clusters(from, to, func(cluster Cluster) error {
		var err error
		times, values, err = cluster.Append(times, values, from, to)
		return err
	})
	return times, values, err
}
