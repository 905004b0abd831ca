package quantile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// reference gives the quantiles by sorting.
func reference(values, qs []float64) []float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	out := make([]float64, len(qs))
	for i, q := range qs {
		low, fraction := rankOf(q, len(sorted))
		out[i] = between(sorted[low], sorted[min(low+1, len(sorted)-1)], fraction)
	}
	return out
}

// cut makes pieces of values, of any length.
func cut(r *rand.Rand, values []float64) [][]float64 {
	var pieces [][]float64
	for len(values) > 0 {
		n := min(1+r.IntN(len(values)), 1+r.IntN(20_000))
		pieces = append(pieces, values[:n:n])
		values = values[n:]
	}
	return pieces
}

func boundsOf(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v-v == 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}

// distributions are what values may look like, by what is hard about them.
var distributions = map[string]func(r *rand.Rand) float64{
	"uniform":  func(r *rand.Rand) float64 { return r.Float64() * 100 },
	"decimals": func(r *rand.Rand) float64 { return math.Round(r.NormFloat64()*100) / 100 },
	"integers": func(r *rand.Rand) float64 { return math.Floor(r.Float64() * 10) },
	"constant": func(*rand.Rand) float64 { return 42.5 },
	"zeros":    func(r *rand.Rand) float64 { return math.Copysign(0, r.NormFloat64()) },
	"outlier": func(r *rand.Rand) float64 {
		if r.IntN(1000) == 0 {
			return 1e300
		}
		return r.Float64()
	},
	"magnitudes": func(r *rand.Rand) float64 { return math.Copysign(math.Exp(r.NormFloat64()*200), r.NormFloat64()) },
	"bits": func(r *rand.Rand) float64 {
		if v := math.Float64frombits(r.Uint64()); v == v {
			return v
		}
		return 0
	},
	"tiny": func(r *rand.Rand) float64 { return float64(r.IntN(5)) * math.SmallestNonzeroFloat64 },
	"neighbours": func(r *rand.Rand) float64 {
		if r.IntN(2) == 0 {
			return 1
		}
		return math.Nextafter(1, 2)
	},
	"infinities": func(r *rand.Rand) float64 {
		switch r.IntN(4) {
		case 0:
			return math.Inf(1)
		case 1:
			return math.Inf(-1)
		default:
			return r.NormFloat64()
		}
	},
	"nothing finite": func(r *rand.Rand) float64 { return math.Inf(1 - 2*r.IntN(2)) },
	"extremes":       func(r *rand.Rand) float64 { return math.Copysign(math.MaxFloat64, r.NormFloat64()) },
}

func TestOf(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	qs := []float64{0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1}
	for name, draw := range distributions {
		for _, count := range []int{1, 2, 3, few, few + 1, 5000, 300_000} {
			t.Run(fmt.Sprintf("%s/%d", name, count), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, uint64(count)))
				values := make([]float64, count)
				for i := range values {
					values[i] = draw(r)
				}
				want := reference(values, qs)
				before := slices.Clone(values)
				v := Values{Pieces: cut(r, values)}
				v.Low, v.High = boundsOf(values)
				for _, workers := range []int{1, 3} {
					if got := Of(v, qs, workers); !equal(got, want) {
						t.Errorf("%d workers: quantiles are %v, want %v", workers, got, want)
					}
				}
				v.Low, v.High = v.Low-1e3, v.High+1e9 // bounds that are not tight
				if got := Of(v, qs, 2); !equal(got, want) {
					t.Errorf("with wide bounds quantiles are %v, want %v", got, want)
				}
				if !slices.EqualFunc(values, before, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) {
					t.Error("the values were changed")
				}
			})
		}
	}
}

func TestBetween(t *testing.T) {
	infinity := math.Inf(1)
	for _, row := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{5}, 0.5, 5},
		{[]float64{1, 2}, 0.5, 1.5},
		{[]float64{3, 1, 2}, 0, 1},
		{[]float64{3, 1, 2}, 1, 3},
		{[]float64{1, 2, 3, 4}, 0.9, 3.7},
		{[]float64{-infinity, 5}, 0.5, -infinity},
		{[]float64{5, infinity}, 0.25, infinity},
		{[]float64{infinity, infinity}, 0.3, infinity},
		{[]float64{-1.7e308, 1.7e308}, 0.5, 0},
	} {
		v := Values{Pieces: [][]float64{row.values}}
		v.Low, v.High = boundsOf(row.values)
		if got := Of(v, []float64{row.q}, 1)[0]; got != row.want {
			t.Errorf("quantile %v of %v is %v, want %v", row.q, row.values, got, row.want)
		}
	}
}

// equal compares numbers; between infinities of either sign there is none, and NaN is right.
func equal(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || x != x && y != y })
}

// TestCellsAscend demands of both kinds of cells that a lower value is in no higher cell.
func TestCellsAscend(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for name, draw := range distributions {
		values := make([]float64, 2000)
		for i := range values {
			values[i] = draw(r)
		}
		slices.Sort(values)
		low, high := boundsOf(values)
		if scale := cells / (high - low); scale > 0 && scale <= math.MaxFloat64 {
			l, before := linear{low, scale}, uint(0)
			for _, v := range values {
				if cell := l.cell(v); cell < before || cell >= cells {
					t.Fatalf("%s: %v is in cell %d, behind cell %d", name, v, cell, before)
				} else {
					before = cell
				}
			}
		}
		b, before := byBits(ordered(values[0]), ordered(values[len(values)-1])), uint(0)
		for _, v := range values {
			if v == 0 {
				v = 0 // sorted as equals, in either order
			}
			if cell := b.cell(v); cell < before || cell >= cells {
				t.Fatalf("%s: %v is in cell %d, behind cell %d", name, v, cell, before)
			} else {
				before = cell
			}
		}
	}
}

// BenchmarkOf finds four quantiles of a day of 100 random walks, and by the walk.
func BenchmarkOf(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	qs := []float64{0.5, 0.9, 0.95, 0.99}
	v := Values{Low: 0, High: 100}
	var all []float64
	for range 100 {
		walk := make([]float64, 8640)
		at := r.Float64() * 100
		for i := range walk {
			at = min(max(at+r.NormFloat64(), 0), 100)
			walk[i] = math.Round(at*100) / 100
		}
		v.Pieces = append(v.Pieces, walk)
		all = append(all, walk...)
	}
	want := reference(all, qs)
	for name, of := range map[string]func() []float64{
		"cells": func() []float64 { return Of(v, qs, 1) },
		"sort":  func() []float64 { return reference(all, qs) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := of(); !slices.Equal(got, want) {
					b.Fatalf("quantiles are %v, want %v", got, want)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/value")
		})
	}
}
