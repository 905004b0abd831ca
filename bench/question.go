package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// function is what a question wants to know of the samples of a bucket.
type function uint8

const (
	average     function = iota
	totals               // count and sum
	percentiles          // 50, 90, 95 and 99
)

// question is a query of the table, for a metric of one or all hosts.
type question struct {
	name     string
	field    int
	host     int // -1: all
	byHost   bool
	from, to time.Time
	step     time.Duration // of buckets; 0: one for the whole range
	function function
}

// row is one point of an answer: the start of its bucket in milliseconds, and the values of the function.
type row struct {
	host   string // empty unless the answer is by host
	at     int64
	values []float64
}

// percents are the percentiles that are asked for.
var percents = [...]float64{50, 90, 95, 99}

// ranking is what a system understands by a percentile.
type ranking uint8

const (
	linear   ranking = iota // between the two nearest ranks
	nearest                 // the nearest rank, rounded half up
	only95                  // linear, and only one percentile can be asked for at a time
	vmranges                // from a histogram, 18 buckets for each power of ten
)

// expected answers a question from the generator's values.
func (w *Workload) expected(q question, ranks ranking) []row {
	width := q.step
	if width == 0 {
		width = q.to.Sub(q.from)
	}
	hosts := w.allHosts()
	if q.host >= 0 {
		hosts = []int{q.host}
	}
	groups := map[string][]int{"": hosts}
	if q.byHost {
		groups = map[string][]int{}
		for _, host := range hosts {
			groups[hostName(host)] = []int{host}
		}
	}
	var rows []row
	for name, members := range groups {
		for begin := q.from; begin.Before(q.to); begin = begin.Add(width) {
			end := begin.Add(width)
			if end.After(q.to) {
				end = q.to
			}
			if values := w.compute(q, ranks, members, begin, end); values != nil {
				rows = append(rows, row{name, begin.UnixMilli(), values})
			}
		}
	}
	return rows
}

// compute is the function of the samples of some hosts in [from, to), nil if there are none.
func (w *Workload) compute(q question, ranks ranking, hosts []int, from, to time.Time) []float64 {
	first := max(0, ceilDiv(int64(from.Sub(w.Start)), int64(step)))
	last := min(int64(w.Steps), ceilDiv(int64(to.Sub(w.Start)), int64(step)))
	if first >= last {
		return nil
	}
	var sum float64
	var all []float64
	for _, host := range hosts {
		for _, value := range w.series(host, q.field)[first:last] {
			sum += value
			if q.function == percentiles {
				all = append(all, value)
			}
		}
	}
	count := float64(int(last-first) * len(hosts))
	switch q.function {
	case totals:
		return []float64{count, sum}
	case percentiles:
		slices.Sort(all)
		return ranked(all, ranks)
	default:
		return []float64{sum / count}
	}
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }

func floorDiv(a, b int64) int64 {
	quotient := a / b
	if a%b < 0 {
		quotient--
	}
	return quotient
}

// ranked returns the percentiles of sorted values.
func ranked(sorted []float64, ranks ranking) []float64 {
	if ranks == only95 {
		return []float64{percentile(sorted, 95)}
	}
	var values []float64
	for _, percent := range percents {
		if ranks == nearest {
			index := int(math.Floor(float64(len(sorted))*percent/100+0.5)) - 1
			values = append(values, sorted[min(max(index, 0), len(sorted)-1)])
		} else {
			values = append(values, percentile(sorted, percent))
		}
	}
	return values
}

// percentile interpolates between the two nearest ranks.
func percentile(sorted []float64, percent float64) float64 {
	rank := percent / 100 * float64(len(sorted)-1)
	below := int(rank)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (sorted[above]-sorted[below])*(rank-float64(below))
}

// compareRows says what is wrong with an answer, nil if nothing is. Numbers may differ by a share of the larger one.
func compareRows(want, got []row, tolerance float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d points where there should be %d", len(got), len(want))
	}
	order := func(a, b row) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.at, b.at)) }
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	for i, w := range want {
		g := got[i]
		if g.host != w.host || g.at != w.at || len(g.values) != len(w.values) {
			return fmt.Errorf("a point of %q at %d with %d values where there should be one of %q at %d with %d",
				g.host, g.at, len(g.values), w.host, w.at, len(w.values))
		}
		for j, value := range w.values {
			if difference := math.Abs(g.values[j] - value); !(difference <= tolerance*math.Abs(value)) {
				return fmt.Errorf("%v where there should be %v (%q at %d)", g.values[j], value, g.host, g.at)
			}
		}
	}
	return nil
}
