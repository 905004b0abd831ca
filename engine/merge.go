package engine

import (
	"cmp"
	"slices"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/invariants"
	"github.com/flopynet/collector/model"
)

// run is a part of a series' samples: in time order, no time twice.
type run struct {
	block    chunk.Block // or, when stored is false,
	samples  []model.Sample
	stored   bool
	min, max int64
	rank     int // where runs have a sample of the same time, that of the highest rank stands
}

// decode appends the run's samples to the columns.
func (r *run) decode(times []int64, values []float64) ([]int64, []float64, error) {
	if r.stored {
		return r.block.Decode(times, values)
	}
	for _, sample := range r.samples {
		times = append(times, sample.Time)
		values = append(values, sample.Value)
	}
	return times, values, nil
}

// merger brings the runs of one series together. Runs that overlap no other, nearly all of them, are
// decoded straight into the result.
type merger struct{ runs []run }

func (m *merger) reset() { m.runs = m.runs[:0] }

// addBlock adds a block. Blocks of one flush share a rank: they don't overlap.
func (m *merger) addBlock(block chunk.Block, rank int) {
	m.runs = append(m.runs, run{block: block, stored: true, min: block.MinTime(), max: block.MaxTime(), rank: rank})
}

// addView adds what the head holds of [from, to) under two ranks, rank and rank+1. The view's late samples
// are sorted.
func (m *merger) addView(view head.View, rank int, from, to int64) {
	for _, block := range view.Blocks {
		if block.MaxTime() >= from && block.MinTime() < to {
			m.addBlock(block, rank)
		}
	}
	m.addSamples(within(view.Tail, from, to), rank)
	m.addSamples(within(view.Late, from, to), rank+1)
}

// within returns the part of sorted samples that lies in [from, to).
func within(samples []model.Sample, from, to int64) []model.Sample {
	byTime := func(s model.Sample, at int64) int { return cmp.Compare(s.Time, at) }
	begin, _ := slices.BinarySearchFunc(samples, from, byTime)
	end, _ := slices.BinarySearchFunc(samples, to, byTime)
	return samples[begin:max(begin, end)]
}

func (m *merger) addSamples(samples []model.Sample, rank int) {
	if len(samples) > 0 {
		m.runs = append(m.runs, run{samples: samples, min: samples[0].Time, max: samples[len(samples)-1].Time, rank: rank})
	}
}

// clusters calls fn for each group of runs that overlap one another, in time order, leaving out what
// lies wholly outside [from, to). Inside a group, runs are in the order of their ranks.
func (m *merger) clusters(from, to int64, fn func([]run) error) error {
	m.runs = slices.DeleteFunc(m.runs, func(r run) bool { return r.max < from || r.min >= to })
	slices.SortFunc(m.runs, func(a, b run) int { return cmp.Compare(a.min, b.min) })
	for begin := 0; begin < len(m.runs); {
		end, newest := begin+1, m.runs[begin].max
		for end < len(m.runs) && m.runs[end].min <= newest {
			newest = max(newest, m.runs[end].max)
			end++
		}
		cluster := m.runs[begin:end]
		slices.SortFunc(cluster, func(a, b run) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.min, b.min)) })
		if invariants.Enabled {
			checkRuns(cluster)
		}
		if err := fn(cluster); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// merge appends the samples of [from, to) to the columns.
func (m *merger) merge(times []int64, values []float64, from, to int64) ([]int64, []float64, error) {
	err := m.clusters(from, to, func(cluster []run) error {
		var err error
		times, values, err = mergeCluster(cluster, times, values, from, to)
		return err
	})
	return times, values, err
}

// mergeCluster appends the samples of overlapping runs that lie in [from, to).
func mergeCluster(cluster []run, times []int64, values []float64, from, to int64) ([]int64, []float64, error) {
	start := len(times)
	if len(cluster) == 1 {
		var err error
		if times, values, err = cluster[0].decode(times, values); err != nil {
			return times[:start], values[:start], err
		}
	} else {
		merged, err := mergeRuns(cluster)
		if err != nil {
			return times, values, err
		}
		times, values = append(times, merged.times...), append(values, merged.values...)
	}
	if invariants.Enabled {
		checkMerged(times, start)
	}
	times, values = clip(times, values, start, from, to)
	return times, values, nil
}

// clip removes what lies outside [from, to) from the columns' part behind start.
func clip(times []int64, values []float64, start int, from, to int64) ([]int64, []float64) {
	if len(times) == start {
		return times, values
	}
	if times[len(times)-1] >= to {
		end, _ := slices.BinarySearch(times[start:], to)
		times, values = times[:start+end], values[:start+end]
	}
	if len(times) > start && times[start] < from {
		skip, _ := slices.BinarySearch(times[start:], from)
		times = append(times[:start], times[start+skip:]...)
		values = append(values[:start], values[start+skip:]...)
	}
	return times, values
}

// columns are samples of one series in time order.
type columns struct {
	times  []int64
	values []float64
}

// mergeRuns merges neighbours in rank two by two until one is left, so that each sample is moved
// log2(runs) times.
func mergeRuns(cluster []run) (columns, error) {
	parts := make([]columns, len(cluster))
	for i := range cluster {
		var err error
		if parts[i].times, parts[i].values, err = cluster[i].decode(nil, nil); err != nil {
			return columns{}, err
		}
	}
	for len(parts) > 1 {
		half := parts[:0]
		for i := 0; i < len(parts); i += 2 {
			if i+1 == len(parts) {
				half = append(half, parts[i])
			} else {
				half = append(half, mergeTwo(parts[i], parts[i+1]))
			}
		}
		parts = half
	}
	return parts[0], nil
}

// mergeTwo merges two parts; where both have a time, the newer one's value stands.
func mergeTwo(older, newer columns) columns {
	size := len(older.times) + len(newer.times)
	out := columns{times: make([]int64, 0, size), values: make([]float64, 0, size)}
	i, j := 0, 0
	for i < len(older.times) && j < len(newer.times) {
		if older.times[i] < newer.times[j] {
			out.times, out.values = append(out.times, older.times[i]), append(out.values, older.values[i])
			i++
			continue
		}
		if older.times[i] == newer.times[j] {
			i++
		}
		out.times, out.values = append(out.times, newer.times[j]), append(out.values, newer.values[j])
		j++
	}
	out.times = append(append(out.times, older.times[i:]...), newer.times[j:]...)
	out.values = append(append(out.values, older.values[i:]...), newer.values[j:]...)
	return out
}
