package quantile

import (
	"math/bits"
	"sync"
)

// cells is how many cells a range is divided into. Two tables of counts fit into a processor's first cache.
const (
	cellBits = 11
	cells    = 1 << cellBits
)

// divider tells which cell a value is in: of a lower value, no higher one.
type divider interface {
	// count adds to counts how many values are in each cell.
	count(counts *[cells]uint32, values []float64)
	// gather appends the values of the wanted cells to what is gathered of each; wanted holds a cell's number in
	// gathered, or -1.
	gather(gathered [][]float64, wanted *[cells]int16, values []float64)
}

// linear has cells of equal width.
type linear struct{ low, scale float64 }

// cell returns the cell of a value. What is below the first or behind the last, an infinity as a rule, is in
// that.
func (l linear) cell(v float64) uint {
	at := (v - l.low) * l.scale
	if i := int64(at); uint64(i) < cells {
		return uint(i)
	}
	if at < 0 {
		return 0
	}
	return cells - 1
}

// count uses two tables, since values that follow each other often are of one cell: then each addition would
// wait for that before.
func (l linear) count(counts *[cells]uint32, values []float64) {
	var other [cells]uint32
	for len(values) >= 2 {
		a, b := l.cell(values[0]), l.cell(values[1])
		counts[a%cells]++
		other[b%cells]++
		values = values[2:]
	}
	for _, v := range values {
		counts[l.cell(v)%cells]++
	}
	for i, n := range other {
		counts[i] += n
	}
}

func (l linear) gather(gathered [][]float64, wanted *[cells]int16, values []float64) {
	for _, v := range values {
		if number := wanted[l.cell(v)%cells]; number >= 0 {
			gathered[number] = append(gathered[number], v)
		}
	}
}

// bitCells has cells by the highest bits of the ordered integers that differ.
type bitCells struct {
	low   uint64
	shift uint
}

// byBits returns cells for ordered integers from low to high.
func byBits(low, high uint64) bitCells {
	return bitCells{low: low, shift: uint(max(bits.Len64(high-low)-cellBits, 0))}
}

func (b bitCells) cell(v float64) uint { return uint((ordered(v) - b.low) >> b.shift) }

func (b bitCells) count(counts *[cells]uint32, values []float64) {
	for _, v := range values {
		counts[b.cell(v)%cells]++
	}
}

func (b bitCells) gather(gathered [][]float64, wanted *[cells]int16, values []float64) {
	for _, v := range values {
		if number := wanted[b.cell(v)%cells]; number >= 0 {
			gathered[number] = append(gathered[number], v)
		}
	}
}

// target is a cell that holds ranks.
type target struct {
	cell, count int
	before      int // values of the cells before it
	ranks       []int
	out         []float64 // for the ranks
}

// share is how many values are worth a worker.
const share = 1 << 16

// divide sets out to the values at the ranks, of more than a few values, by dividing them into cells.
func divide(out []float64, pieces [][]float64, ranks []int, workers int, d divider) {
	total := Values{Pieces: pieces}.Count()
	workers = max(1, min(workers, len(pieces), total/share))
	counts := make([][cells]uint32, workers)
	spread(workers, pieces, func(w int, part [][]float64) {
		for _, piece := range part {
			d.count(&counts[w], piece)
		}
	})
	targets := targetsOf(out, ranks, counts)
	var wanted [cells]int16
	for i := range wanted {
		wanted[i] = -1
	}
	for i, t := range targets {
		wanted[t.cell] = int16(i)
	}
	gathered := make([][][]float64, workers)
	spread(workers, pieces, func(w int, part [][]float64) {
		gathered[w] = make([][]float64, len(targets))
		for i, t := range targets {
			gathered[w][i] = make([]float64, 0, counts[w][t.cell])
		}
		for _, piece := range part {
			d.gather(gathered[w], &wanted, piece)
		}
	})
	for i, t := range targets {
		var found [][]float64
		for w := range gathered {
			found = append(found, gathered[w][i])
			gathered[w][i] = nil // so that they are not kept beside what comes of them
		}
		for j := range t.ranks {
			t.ranks[j] -= t.before
		}
		if t.count <= few {
			sortedAt(t.out, concat(found), t.ranks)
		} else {
			atRanksOfBits(t.out, found, t.ranks, workers)
		}
	}
}

// targetsOf returns the cells that hold the ranks. There are at most as many as cells.
func targetsOf(out []float64, ranks []int, counts [][cells]uint32) []target {
	var targets []target
	before, done := 0, 0
	for cell := 0; cell < cells && done < len(ranks); cell++ {
		count := 0
		for w := range counts {
			count += int(counts[w][cell])
		}
		begin := done
		for done < len(ranks) && ranks[done] < before+count {
			done++
		}
		if done > begin {
			targets = append(targets, target{cell: cell, count: count, before: before, ranks: ranks[begin:done], out: out[begin:done]})
		}
		before += count
	}
	return targets
}

func concat(pieces [][]float64) []float64 {
	all := pieces[0]
	for _, piece := range pieces[1:] {
		all = append(all, piece...)
	}
	return all
}

// spread hands each worker its part of the pieces, and waits for all.
func spread(workers int, pieces [][]float64, fn func(w int, part [][]float64)) {
	if workers == 1 {
		fn(0, pieces)
		return
	}
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() { fn(w, pieces[len(pieces)*w/workers:len(pieces)*(w+1)/workers]) })
	}
	running.Wait()
}
