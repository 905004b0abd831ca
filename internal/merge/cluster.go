package merge

import (
	"fmt"
	"slices"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/invariants"
)

// Cluster is a group of runs that overlap one another, from the oldest to the newest.
type Cluster struct{ runs []run }

// Alone returns the block if the cluster is one block of which nothing is hidden: then the block's header
// tells the truth about the cluster.
func (c Cluster) Alone() (block chunk.Block, ok bool) {
	only := &c.runs[0]
	return only.block, len(c.runs) == 1 && only.stored && len(only.hidden) == 0
}

// Bounds returns the times of the first and the last sample of the cluster, hidden ones included.
func (c Cluster) Bounds() (first, last int64) {
	first, last = c.runs[0].min, c.runs[0].max
	for i := range c.runs {
		first, last = min(first, c.runs[i].min), max(last, c.runs[i].max)
	}
	return first, last
}

// Blocks returns how many blocks there are in the cluster, and how many samples are in them.
func (c Cluster) Blocks() (blocks, samples int) {
	for i := range c.runs {
		if c.runs[i].stored {
			blocks++
			samples += c.runs[i].block.Count()
		}
	}
	return blocks, samples
}

// Append appends the samples of the cluster that lie in [from, to) to the columns. An error wraps
// chunk.ErrCorrupt, and leaves the columns as they were.
func (c Cluster) Append(times []int64, values []float64, from, to int64) ([]int64, []float64, error) {
	start := len(times)
	if len(c.runs) == 1 {
		var err error
		if times, values, err = c.runs[0].decode(times, values); err != nil {
			return times[:start], values[:start], err
		}
	} else {
		merged, err := mergeRuns(c.runs)
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
func mergeRuns(runs []run) (columns, error) {
	parts := make([]columns, len(runs))
	for i := range runs {
		var err error
		if parts[i].times, parts[i].values, err = runs[i].decode(nil, nil); err != nil {
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

// checkMerged panics unless the samples behind start are in time order, no time twice.
func checkMerged(times []int64, start int) {
	for i := start + 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			panic(fmt.Sprintf("merge: a merged series has time %d after %d", times[i], times[i-1]))
		}
	}
}
