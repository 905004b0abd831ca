package rollup

import (
	"math"

	"github.com/flopynet/collector/model"
)

// Roll appends the points of a tier, Tier5m or Tier1h, that sum up samples of one series at strictly
// increasing times. A bucket with nothing but stale markers is a point, too. The samples must be all of
// their buckets'.
func Roll(dst *Columns, tier model.Tier, times []int64, values []float64) {
	before := dst.Len()
	for len(times) > 0 {
		start, n := bucketOf(times, tier.Width())
		p := point{firstTime: start, lastTime: start}
		p.addEnds(times[:n], values[:n])
		p.addMoments(values[:n])
		dst.Starts = append(dst.Starts, start)
		dst.Counts = append(dst.Counts, p.count)
		dst.NaNs = append(dst.NaNs, p.count-p.finite)
		dst.Stale = append(dst.Stale, int(p.count) < n)
		dst.Sums = append(dst.Sums, p.sum)
		dst.Mins = append(dst.Mins, p.min)
		dst.Maxs = append(dst.Maxs, p.max)
		dst.Firsts = append(dst.Firsts, p.first)
		dst.Lasts = append(dst.Lasts, p.last)
		dst.FirstTimes = append(dst.FirstTimes, p.firstTime)
		dst.LastTimes = append(dst.LastTimes, p.lastTime)
		if len(dst.Resets) == before {
			dst.Resets = append(dst.Resets, p.resets)
		}
		if tier == model.Tier1h && len(dst.M2s) == before {
			dst.M2s = append(dst.M2s, p.squares(values[:n]))
		}
		before++
		times, values = times[n:], values[n:]
	}
}

// point is what Roll gathers of a bucket.
type point struct {
	count, finite         int64
	first, last           float64
	firstTime, lastTime   int64
	sum, min, max, resets float64
}

// addEnds finds the first and the last sample and counts those that are no stale markers.
func (p *point) addEnds(times []int64, values []float64) {
	for i, v := range values {
		if v != v && model.IsStale(v) {
			continue
		}
		if p.count == 0 {
			p.first, p.firstTime = v, times[i]
		}
		p.last, p.lastTime = v, times[i]
		p.count++
	}
}

// addMoments computes what is known of the samples that are not NaN.
func (p *point) addMoments(values []float64) {
	var sum, resets sum
	least, most := math.Inf(1), math.Inf(-1)
	previous := math.Inf(-1)
	for _, v := range values {
		if v != v {
			continue
		}
		p.finite++
		sum.add(v)
		least, most = min(least, v), max(most, v)
		if v < previous {
			resets.add(previous)
		}
		previous = v
	}
	if p.finite > 0 {
		p.sum, p.min, p.max, p.resets = sum.total(), least, most, resets.total()
	}
	if math.IsInf(least, -1) || math.IsInf(most, 1) && p.finite > 0 {
		p.resets = math.NaN() // the increase is not what lies between first and last
	}
}

// squares returns the sum of squared distances from the mean, of the values that are not NaN. It is
// compensated twice, for the rounding of the mean and of the sum, so that it is nearly always the
// float64 that is nearest to it.
func (p *point) squares(values []float64) float64 {
	if p.finite == 0 || p.min == p.max {
		return 0
	}
	mean := p.sum / float64(p.finite)
	var squares, distances sum
	for _, v := range values {
		if d := v - mean; d == d {
			squares.add(float64(d * d))
			distances.add(d)
		}
	}
	off := distances.total()
	squares.add(-float64(off*off) / float64(p.finite))
	total := squares.total()
	if total < 0 {
		return 0
	}
	return total
}

// sum is a sum that knows what it lost to rounding: A. Neumaier, "Rundungsfehleranalyse einiger Verfahren
// zur Summation endlicher Summen", 1974.
type sum struct{ sum, lost float64 }

func (s *sum) add(v float64) {
	total := s.sum + v
	if math.Abs(s.sum) >= math.Abs(v) {
		s.lost += (s.sum - total) + v
	} else {
		s.lost += (v - total) + s.sum
	}
	s.sum = total
}

// total is the sum, rounded once. Where infinities are summed, what was lost is NaN and is left out; a sum that
// is not a number is math.NaN(), so that equal samples make equal bytes on every processor.
func (s *sum) total() float64 {
	switch total := s.sum + s.lost; {
	case total == total:
		return total
	case s.sum == s.sum:
		return s.sum
	default:
		return math.NaN()
	}
}
