package quantile

import (
	"math"
	"slices"
)

// Values are the values of a distribution, in pieces, in any order. None is NaN.
type Values struct {
	Pieces [][]float64

	// Low and High are bounds of those that are finite. They need not be tight: bounds that are far off cost
	// time.
	Low, High float64
}

// Count returns how many values there are.
func (v Values) Count() int {
	count := 0
	for _, piece := range v.Pieces {
		count += len(piece)
	}
	return count
}

// Of returns the quantiles for qs, which are from 0 to 1: each the value at rank q * (Count - 1), interpolated
// linearly between the two neighbouring ranks, as numpy does by default (R. J. Hyndman and Y. Fan, "Sample
// Quantiles in Statistical Packages", 1996, type 7). There must be a value. Many values are shared between
// workers, at most so many.
func Of(v Values, qs []float64, workers int) []float64 {
	count := v.Count()
	ranks := make([]int, 0, 2*len(qs))
	for _, q := range qs {
		low, _ := rankOf(q, count)
		ranks = append(ranks, low, min(low+1, count-1))
	}
	slices.Sort(ranks)
	ranks = slices.Compact(ranks)
	values := make([]float64, len(ranks))
	atRanks(values, v, slices.Clone(ranks), workers)
	out := make([]float64, len(qs))
	for i, q := range qs {
		low, fraction := rankOf(q, count)
		place, _ := slices.BinarySearch(ranks, low)
		next, _ := slices.BinarySearch(ranks, min(low+1, count-1))
		out[i] = between(values[place], values[next], fraction)
	}
	return out
}

// rankOf returns the rank below a quantile, and how far that is from there to the next.
func rankOf(q float64, count int) (low int, fraction float64) {
	rank := q * float64(count-1)
	low = min(int(rank), count-1)
	return low, rank - float64(low)
}

// between interpolates between two values.
func between(a, b, fraction float64) float64 {
	switch step := b - a; {
	case fraction == 0 || a == b:
		return a
	case math.IsInf(step, 0): // an end is infinite, or they are too far apart for their difference
		return a*(1-fraction) + b*fraction
	case fraction < 0.5:
		return a + step*fraction
	default:
		return b - step*(1-fraction)
	}
}

// few is up to how many values are sorted at once.
const few = 512

// atRanks sets out to the values at the ranks, which ascend and count from 0. It changes ranks.
func atRanks(out []float64, v Values, ranks []int, workers int) {
	count := v.Count()
	if count <= few {
		sortedAt(out, slices.Concat(v.Pieces...), ranks)
		return
	}
	if v.Low == v.High && allFinite(v.Pieces) {
		for i := range out {
			out[i] = v.Low
		}
		return
	}
	if scale := cells / (v.High - v.Low); scale > 0 && scale <= math.MaxFloat64 {
		divide(out, v.Pieces, ranks, workers, linear{v.Low, scale})
		return
	}
	atRanksOfBits(out, v.Pieces, ranks, workers)
}

// allFinite reports whether no value is infinite.
func allFinite(pieces [][]float64) bool {
	for _, piece := range pieces {
		for _, v := range piece {
			if v-v != 0 {
				return false
			}
		}
	}
	return true
}

func sortedAt(out, values []float64, ranks []int) {
	slices.Sort(values)
	for i, rank := range ranks {
		out[i] = values[rank]
	}
}

// atRanksOfBits is atRanks by the order of bits, which always gets on: cells of a single number are done.
func atRanksOfBits(out []float64, pieces [][]float64, ranks []int, workers int) {
	low, high := uint64(math.MaxUint64), uint64(0)
	for _, piece := range pieces {
		for _, v := range piece {
			key := ordered(v)
			low, high = min(low, key), max(high, key)
		}
	}
	if low == high {
		for i := range out {
			out[i] = pieces[0][0]
		}
		return
	}
	divide(out, pieces, ranks, workers, byBits(low, high))
}

// ordered maps floats to integers in the same order, -0 before 0.
func ordered(v float64) uint64 {
	bits := math.Float64bits(v)
	return bits ^ (uint64(int64(bits)>>63) | 1<<63)
}
