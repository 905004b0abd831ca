package engine

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/flopynet/collector/model"
)

// oracle is the trivial model of the engine: a map of samples for each series, in the order in which
// the series were made.
type oracle struct {
	series []*oracleSeries
	byKey  map[string]*oracleSeries
	policy RetentionPolicy
	now    int64
}

type oracleSeries struct {
	model.Series
	samples map[int64]float64
	times   []int64 // of samples, in the order in which they came first

	forgotten bool // the unit may be
}

func (s *oracleSeries) put(at int64, value float64) {
	if _, overwritten := s.samples[at]; !overwritten {
		s.times = append(s.times, at)
	}
	s.samples[at] = value
}

// keepVisible leaves of a series' samples those that retention doesn't hide: as raw samples, or also as
// parts of points.
func (o *oracle) keepVisible(s *oracleSeries, samples []model.Sample, points bool) []model.Sample {
	class := o.policy.ClassOf(s.Name, s.Source())
	raw, hours := o.policy.Floor(class, model.TierRaw, o.now), o.policy.Floor(class, model.Tier1h, o.now)
	return slices.DeleteFunc(samples, func(sample model.Sample) bool {
		return sample.Time < raw && (!points || sample.Time-sample.Time%hour < hours)
	})
}

// remove deletes the samples of a selection and returns how many of them were visible.
func (o *oracle) remove(sel Selection) (visible int64) {
	for _, s := range o.selected(sel.Matchers) {
		for _, sample := range o.keepVisible(s, s.sorted(sel.From, sel.To), true) {
			if !model.IsStale(sample.Value) {
				visible++
			}
		}
		for at := range s.samples {
			if at >= sel.From && at < sel.To {
				delete(s.samples, at)
			}
		}
	}
	return visible
}

// clone returns an oracle whose samples can be removed without the other's noticing.
func (o *oracle) clone() *oracle {
	c := &oracle{policy: o.policy, now: o.now}
	for _, s := range o.series {
		copied := *s
		copied.samples = maps.Clone(s.samples)
		c.series = append(c.series, &copied)
	}
	return c
}

func newOracle() *oracle { return &oracle{byKey: make(map[string]*oracleSeries)} }

func (o *oracle) find(name string, tags model.Tags) *oracleSeries {
	key := string(model.AppendIdentity(nil, name, tags))
	s := o.byKey[key]
	if s == nil {
		s = &oracleSeries{Series: model.Series{Name: name, Tags: tags}, samples: make(map[int64]float64)}
		o.byKey[key] = s
		o.series = append(o.series, s)
	}
	return s
}

func (o *oracle) selected(matchers []*model.Matcher) []*oracleSeries {
	var out []*oracleSeries
	for _, s := range o.series {
		if model.MatchSeries(s.Series, matchers) {
			out = append(out, s)
		}
	}
	return out
}

func (s *oracleSeries) sorted(from, to int64) []model.Sample {
	var out []model.Sample
	for at, v := range s.samples {
		if at >= from && at < to {
			out = append(out, model.Sample{Time: at, Value: v})
		}
	}
	slices.SortFunc(out, func(a, b model.Sample) int { return cmp.Compare(a.Time, b.Time) })
	return out
}

// oracleRow is a raw sample with the identity of its series.
type oracleRow struct {
	identity string
	at       int64
	bits     uint64
}

func (o *oracle) rows(sel Selection) []oracleRow {
	var out []oracleRow
	for _, s := range o.selected(sel.Matchers) {
		identity := string(model.AppendIdentity(nil, s.Name, s.Tags))
		for _, sample := range o.keepVisible(s, s.sorted(sel.From, sel.To), false) {
			if !model.IsStale(sample.Value) {
				out = append(out, oracleRow{identity, sample.Time, math.Float64bits(sample.Value)})
			}
		}
	}
	sortRows(out)
	return out
}

func sortRows(rows []oracleRow) {
	slices.SortFunc(rows, func(a, b oracleRow) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.identity, b.identity))
	})
}

// oracleBucket has what any function may need of a bucket.
type oracleBucket struct {
	all                   []model.Sample // in the order (time, series)
	rate, increase, delta float64
	rates, deltas         int
}

// groups computes a request's answer: by group identity, then by bucket.
func (o *oracle) groups(r AggregateRequest) map[string]map[int]*oracleBucket {
	out := make(map[string]map[int]*oracleBucket)
	for _, s := range o.selected(r.Matchers) {
		tags := model.Tags{}
		switch {
		case r.GroupAll:
			tags = s.Tags
		case len(r.GroupBy) > 0:
			for _, key := range slices.Compact(slices.Sorted(slices.Values(r.GroupBy))) {
				tags = append(tags, model.Tag{Key: key, Value: s.Tags.Get(key)})
			}
		}
		group := fmt.Sprint(tags)
		if out[group] == nil {
			out[group] = make(map[int]*oracleBucket)
		}
		s.fill(r, o.keepVisible(s, s.sorted(r.From-lookback, r.To), true), out[group])
	}
	for group, buckets := range out {
		for number, bucket := range buckets {
			if len(bucket.all) == 0 {
				delete(buckets, number)
				continue
			}
			slices.SortStableFunc(bucket.all, func(a, b model.Sample) int { return cmp.Compare(a.Time, b.Time) })
		}
		if len(buckets) == 0 {
			delete(out, group)
		}
	}
	return out
}

func (s *oracleSeries) fill(r AggregateRequest, samples []model.Sample, buckets map[int]*oracleBucket) {
	bucketAt := func(at int64) int {
		if at < r.From || at >= r.To {
			return -1
		}
		number := sort.Search(len(r.Edges), func(i int) bool { return r.Edges[i] > at }) - 1
		if number == len(r.Edges)-1 {
			return -1
		}
		return number
	}
	type share struct {
		samples           []model.Sample // finite ones
		increase, elapsed float64
	}
	shares := make(map[int]*share)
	var previous *model.Sample // the finite sample before, unless a marker stands between
	for _, sample := range samples {
		if model.IsStale(sample.Value) {
			previous = nil
			continue
		}
		number := bucketAt(sample.Time)
		if number >= 0 {
			if buckets[number] == nil {
				buckets[number] = &oracleBucket{}
			}
			buckets[number].all = append(buckets[number].all, sample)
		}
		if math.IsNaN(sample.Value) {
			continue
		}
		if number >= 0 {
			if shares[number] == nil {
				shares[number] = &share{}
			}
			mine := shares[number]
			mine.samples = append(mine.samples, sample)
			if previous != nil {
				mine.elapsed += float64(sample.Time-previous.Time) / 1e9
				if sample.Value >= previous.Value {
					mine.increase += sample.Value - previous.Value
				} else {
					mine.increase += sample.Value
				}
			}
		}
		previous = &sample
	}
	for number, mine := range shares {
		b := buckets[number]
		if mine.elapsed > 0 {
			b.rate += mine.increase / mine.elapsed
			b.increase += mine.increase
			b.rates++
		}
		b.delta += mine.samples[len(mine.samples)-1].Value - mine.samples[0].Value
		b.deltas++
	}
}

// value computes a function in the most direct way; tolerance is how far an answer may be off, for
// functions whose result hangs on the order of additions.
func (b *oracleBucket) value(f Function) (value, tolerance float64) {
	var finite []float64
	magnitude := 0.0
	for _, sample := range b.all {
		if !math.IsNaN(sample.Value) {
			finite = append(finite, sample.Value)
			magnitude += math.Abs(sample.Value)
		}
	}
	switch f.Kind {
	case Count:
		return float64(len(b.all)), 0
	case First:
		return b.all[0].Value, 0
	case Last:
		last := b.all[len(b.all)-1]
		at, _ := slices.BinarySearchFunc(b.all, last.Time, func(s model.Sample, t int64) int { return cmp.Compare(s.Time, t) })
		return b.all[at].Value, 0
	case Rate:
		return presentIf(b.rates > 0, b.rate), 1e-9 * (1 + math.Abs(b.rate))
	case Increase:
		return presentIf(b.rates > 0, b.increase), 1e-9 * (1 + math.Abs(b.increase))
	case Delta:
		return presentIf(b.deltas > 0, b.delta), 1e-9 * (1 + magnitude)
	}
	if len(finite) == 0 {
		return Missing(), 0
	}
	n := float64(len(finite))
	sum := 0.0
	for _, v := range finite {
		sum += v
	}
	switch f.Kind {
	case Avg:
		return sum / n, 1e-12 * magnitude / n
	case Sum:
		return sum, 1e-12 * magnitude
	case Min:
		return slices.Min(finite), 0
	case Max:
		return slices.Max(finite), 0
	case Range:
		return slices.Max(finite) - slices.Min(finite), 0
	case Stddev:
		squared := 0.0
		for _, v := range finite {
			squared += (v - sum/n) * (v - sum/n)
		}
		return math.Sqrt(squared / n), 1e-6 * (1 + magnitude/n)
	default:
		slices.Sort(finite)
		rank := f.Quantile * (n - 1)
		low := finite[int(math.Floor(rank))]
		high := finite[int(math.Ceil(rank))]
		if low == high || rank == math.Floor(rank) {
			return low, 0
		}
		if math.IsInf(low, 0) || math.IsInf(high, 0) { // between -Inf and +Inf there is no number
			return low + high, 0
		}
		return low + (high-low)*(rank-math.Floor(rank)), 1e-9 * (1 + math.Abs(low) + math.Abs(high))
	}
}

// sketched checks a percentile from a sketch: it must lie within the error bound of something between the
// two samples at its rank.
func (b *oracleBucket) sketched(f Function, got, bound float64) bool {
	var finite []float64
	for _, sample := range b.all {
		if !math.IsNaN(sample.Value) {
			finite = append(finite, sample.Value)
		}
	}
	if len(finite) == 0 {
		return IsMissing(got)
	}
	slices.Sort(finite)
	rank := f.Quantile * float64(len(finite)-1)
	low, high := finite[int(math.Floor(rank))], finite[int(math.Ceil(rank))]
	if math.IsInf(low, 0) || math.IsInf(high, 0) {
		return got == low || got == high || math.IsNaN(got) || got >= low && got <= high
	}
	bound *= 1 + 1e-9
	return got >= low-bound*math.Abs(low) && got <= high+bound*math.Abs(high)
}

func sameValue(got, want, tolerance float64) bool {
	if IsMissing(got) || IsMissing(want) {
		return IsMissing(got) && IsMissing(want)
	}
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return got == want || math.IsNaN(got) && math.IsNaN(want)
	}
	return math.Abs(got-want) <= tolerance
}

// describeRequest is for messages.
func describeRequest(r AggregateRequest) string {
	var matchers []string
	for _, m := range r.Matchers {
		matchers = append(matchers, m.String())
	}
	return fmt.Sprintf("{%s} [%d, %d) %d edges from %d by %d, group by %v all %v functions %v",
		strings.Join(matchers, ","), r.From, r.To, len(r.Edges), r.Edges[0], r.Edges[1]-r.Edges[0], r.GroupBy, r.GroupAll, r.Functions)
}
