package engine

import (
	"math"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/internal/sketch"
	"github.com/flopynet/collector/model"
)

// partial is what is known of the samples of a bucket so far. Partials of disjoint sets of samples
// merge into that of their union, whichever worker, partition or series they come from.
type partial struct {
	count    int64 // of samples, NaN included, stale markers not
	finite   int64 // of samples that are not NaN; the next five fields are about these
	sum      float64
	sumError float64 // what sum lost to rounding (Neumaier's summation)
	m2       float64 // sum of squared distances from the mean, if the request needs it
	min, max float64

	first, last         float64
	firstTime, lastTime int64

	// Sums over series, and how many series contributed.
	rate, increase, delta float64
	rates, deltas         int64

	values *distribution  // of samples that are not NaN, if the request needs percentiles
	sketch *sketch.Sketch // in their place, if they are too many or have expired
}

// needs says what a request wants to know of a bucket, so that nothing else is computed.
type needs struct {
	moments  bool // m2
	values   bool
	sketch   bool // instead of values
	changes  bool // rate, increase, delta
	lookback bool // the last sample before the range

	columns rollup.Want // of points
}

func needsOf(functions []Function, sketched bool) needs {
	n := needs{columns: rollup.WantCounts}
	for _, f := range functions {
		switch f.Kind {
		case Avg, Sum:
			n.columns |= rollup.WantSums
		case Min:
			n.columns |= rollup.WantMins
		case Max:
			n.columns |= rollup.WantMaxs
		case Range:
			n.columns |= rollup.WantMins | rollup.WantMaxs
		case First, Last:
			n.columns |= rollup.WantEnds
		case Stddev:
			n.columns |= rollup.WantSums | rollup.WantM2s
			n.moments = true
		case Quantile:
			n.values, n.sketch = !sketched, sketched
		case Rate, Increase:
			n.columns |= rollup.WantEnds | rollup.WantResets | rollup.WantStale
			n.changes, n.lookback = true, true
		case Delta:
			n.columns |= rollup.WantEnds | rollup.WantResets | rollup.WantStale
			n.changes = true
		}
	}
	return n
}

// headerServes reports whether the aggregates of a chunk's header are all that is needed.
func (n needs) headerServes() bool { return !n.moments && !n.values && !n.sketch && !n.changes }

// scaledServes reports whether nothing is needed that integers can't give which stand for the values.
func (n needs) scaledServes() bool { return n.headerServes() }

// add takes in samples of one series, in time order and without stale markers. clean says that no value is NaN.
func (p *partial) add(n needs, times []int64, values []float64, clean bool) {
	p.addCount(n, times, values)
	if !clean {
		values = withoutNaN(values)
	}
	if len(values) == 0 {
		return
	}
	other := partial{finite: int64(len(values))}
	if n.columns&rollup.WantSums != 0 {
		other.sum, other.sumError = sumOf(values)
	}
	if n.columns&(rollup.WantMins|rollup.WantMaxs) != 0 {
		other.min, other.max = extremesOf(values)
	}
	if n.moments {
		other.m2 = squares(values, other.total()/float64(other.finite))
		p.addMoments(&other)
	} else {
		p.addExtremes(other.min, other.max)
		p.finite += other.finite
		p.addSum(other.sum)
		p.sumError += other.sumError
	}
	if n.sketch {
		p.sketched().AddAll(values)
	}
	if n.values {
		p.distributed().add(values)
	}
}

// addCount counts samples, and compares the first and the last of them.
func (p *partial) addCount(n needs, times []int64, values []float64) {
	end := len(times) - 1
	if n.columns&rollup.WantEnds != 0 {
		p.addEnds(times[0], values[0], times[end], values[end])
	}
	p.count += int64(len(values))
}

// take is add for values of which none is NaN or outside the bounds, and whose memory the caller gives up.
func (p *partial) take(n needs, times []int64, values []float64, low, high float64) {
	n.values = false
	p.add(n, times, values, true)
	p.distributed().take(values, low, high)
}

// addScaled is add for samples [begin, end) of s.
func (p *partial) addScaled(n needs, s *chunk.Scaled, begin, end int) {
	integers := s.Integers[begin:end]
	if n.columns&rollup.WantEnds != 0 {
		last := len(integers) - 1
		p.addEnds(scaledTime(s, begin), s.Scale.Float(integers[0]), scaledTime(s, end-1), s.Scale.Float(integers[last]))
	}
	p.count += int64(len(integers))
	if n.columns&rollup.WantSums != 0 {
		high, low := s.Scale.Sum(sumOfIntegers(integers))
		p.addSum(high)
		if low != 0 {
			p.addSum(low)
		}
	}
	if n.columns&(rollup.WantMins|rollup.WantMaxs) != 0 {
		low, high := extremesOfIntegers(integers)
		p.addExtremes(s.Scale.Float(low), s.Scale.Float(high))
	}
	p.finite += int64(len(integers))
}

// addRegular is add for values of which none is NaN or of a larger magnitude than bound, and for what a header could
// serve. The first is at begin, the last at end.
func (p *partial) addRegular(n needs, begin, end int64, values []float64, bound float64) {
	if n.columns&rollup.WantEnds != 0 {
		p.addEnds(begin, values[0], end, values[len(values)-1])
	}
	p.count += int64(len(values))
	if n.columns&rollup.WantSums != 0 {
		sum, lost := sumWithin(values, bound)
		p.addSum(sum)
		p.sumError += lost
	}
	if n.columns&(rollup.WantMins|rollup.WantMaxs) != 0 {
		p.addExtremes(extremesOf(values))
	}
	p.finite += int64(len(values))
}

// addExtremes compares the extremes of samples that are not in finite yet.
func (p *partial) addExtremes(low, high float64) {
	if p.finite == 0 {
		p.min, p.max = low, high
		return
	}
	p.min, p.max = min(p.min, low), max(p.max, high)
}

// squares returns the sum of squared distances from the mean, NaN left out.
func squares(values []float64, mean float64) float64 {
	m2 := 0.0
	for _, v := range values {
		if d := v - mean; d == d {
			m2 += d * d
		}
	}
	return m2
}

// addHeader takes in the aggregates of a chunk without NaN.
func (p *partial) addHeader(a model.Aggregate, firstTime, lastTime int64) {
	p.addEnds(firstTime, a.First, lastTime, a.Last)
	p.count += a.Count
	p.addFinite(a.Count, a.Sum, a.Min, a.Max)
}

// addPoint takes in point number i of a tier, as far as the request needs it.
func (p *partial) addPoint(c *rollup.Columns, i int, n needs) {
	if c.Counts[i] == 0 {
		return
	}
	if n.columns&rollup.WantEnds != 0 {
		p.addEnds(c.FirstTimes[i], c.Firsts[i], c.LastTimes[i], c.Lasts[i])
	}
	p.count += c.Counts[i]
	finite := c.Counts[i] - c.NaNs[i]
	if finite == 0 {
		return
	}
	sum := 0.0
	if n.columns&rollup.WantSums != 0 {
		sum = c.Sums[i]
	}
	if n.moments && len(c.M2s) > 0 {
		p.mergeSquares(finite, sum, c.M2s[i])
	}
	if n.columns&rollup.WantMins != 0 && (p.finite == 0 || c.Mins[i] < p.min) {
		p.min = c.Mins[i]
	}
	if n.columns&rollup.WantMaxs != 0 && (p.finite == 0 || c.Maxs[i] > p.max) {
		p.max = c.Maxs[i]
	}
	p.finite += finite
	p.addSum(sum)
}

// sketched returns the partial's sketch, made if need be.
func (p *partial) sketched() *sketch.Sketch {
	if p.sketch == nil {
		p.sketch = new(sketch.Sketch)
	}
	return p.sketch
}

// distributed returns the partial's distribution, made if need be.
func (p *partial) distributed() *distribution {
	if p.values == nil {
		p.values = new(distribution)
	}
	return p.values
}

// addFinite merges count, sum and extremes of samples that are not NaN, for requests that don't need m2.
func (p *partial) addFinite(finite int64, sum, low, high float64) {
	if finite == 0 {
		return
	}
	p.addExtremes(low, high)
	p.finite += finite
	p.addSum(sum)
}

// addEnds compares the first and last sample. Of two samples of the same time the one added earlier
// stays, which is that of the series with the lower id.
func (p *partial) addEnds(firstTime int64, first float64, lastTime int64, last float64) {
	if p.count == 0 || firstTime < p.firstTime {
		p.first, p.firstTime = first, firstTime
	}
	if p.count == 0 || lastTime > p.lastTime {
		p.last, p.lastTime = last, lastTime
	}
}

// addMoments merges count, sum, extremes and m2 of finite samples (Chan, Golub and LeVeque's update).
func (p *partial) addMoments(other *partial) {
	if other.finite == 0 {
		return
	}
	if p.finite == 0 {
		p.finite, p.sum, p.sumError, p.m2 = other.finite, other.sum, other.sumError, other.m2
		p.min, p.max = other.min, other.max
		return
	}
	p.mergeSquares(other.finite, other.total(), other.m2)
	p.finite += other.finite
	p.addSum(other.sum)
	p.sumError += other.sumError
	p.min, p.max = min(p.min, other.min), max(p.max, other.max)
}

// mergeSquares adds to m2 that of further samples, which are not in finite and sum yet.
func (p *partial) mergeSquares(finite int64, sum, m2 float64) {
	if p.finite == 0 {
		p.m2 = m2
		return
	}
	a, b := float64(p.finite), float64(finite)
	distance := sum/b - p.total()/a
	p.m2 += m2 + distance*distance*a*b/(a+b)
}

func (p *partial) addSum(v float64) {
	t := p.sum + v
	if math.Abs(p.sum) >= math.Abs(v) {
		p.sumError += (p.sum - t) + v
	} else {
		p.sumError += (v - t) + p.sum
	}
	p.sum = t
}

// total is the sum with what rounding lost. Where infinities are summed, the correction is NaN and is
// left out.
func (p *partial) total() float64 {
	if total := p.sum + p.sumError; total == total {
		return total
	}
	return p.sum
}

// merge takes in the partial of other samples of the bucket, those of series with higher ids.
func (p *partial) merge(other *partial) {
	if other.count > 0 {
		p.addEnds(other.firstTime, other.first, other.lastTime, other.last)
		p.count += other.count
		p.addMoments(other)
	}
	p.rate += other.rate
	p.increase += other.increase
	p.delta += other.delta
	p.rates += other.rates
	p.deltas += other.deltas
	switch {
	case other.values == nil:
	case p.values == nil:
		p.values = other.values
	default:
		p.values.merge(other.values)
	}
	switch {
	case other.sketch == nil:
	case p.sketch == nil:
		p.sketch = other.sketch
	default:
		p.sketch.Merge(other.sketch)
	}
}

// Missing returns the value that IsMissing knows.
func Missing() float64 { return math.Float64frombits(0x7ff0000000000002) }

// value computes the function that has this number in the request. Percentiles of values were computed before.
func (p *partial) value(f Function, number int) float64 {
	switch f.Kind {
	case Count:
		return float64(p.count)
	case First:
		return p.first
	case Last:
		return p.last
	case Rate:
		return presentIf(p.rates > 0, p.rate)
	case Increase:
		return presentIf(p.rates > 0, p.increase)
	case Delta:
		return presentIf(p.deltas > 0, p.delta)
	}
	if p.finite == 0 {
		return Missing()
	}
	switch f.Kind {
	case Avg:
		return p.total() / float64(p.finite)
	case Sum:
		return p.total()
	case Min:
		return p.min
	case Max:
		return p.max
	case Range:
		return p.max - p.min
	case Stddev:
		if total := p.total(); total-total != 0 {
			return math.NaN() // no distance from an infinite mean is a number
		}
		return math.Sqrt(p.m2 / float64(p.finite))
	case Quantile:
		if p.sketch != nil {
			return p.sketch.Quantile(f.Quantile)
		}
	}
	return p.values.quantiles[number]
}

func presentIf(present bool, value float64) float64 {
	if present {
		return value
	}
	return Missing()
}
