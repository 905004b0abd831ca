package engine

import (
	"math"
	"sort"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// bucketPage is how many partials are allocated together.
const bucketPage = 256

// accumulator gathers the partials of one worker: by group, then by page of buckets, then by bucket.
// Pages without samples are nil.
type accumulator struct {
	edges    []int64
	from, to int64 // of the selection
	needs    needs
	groups   [][][]partial
	bytes    int64 // of the pages
	hint     int   // a bucket that is near the one asked for next
}

func newAccumulator(r *AggregateRequest, groups int, n needs) *accumulator {
	return &accumulator{edges: r.Edges, from: r.From, to: r.To, needs: n, groups: make([][][]partial, groups)}
}

// bucketOf returns the bucket that holds the time; -1 is before the first. A series comes in time order, so it is
// mostly the one that the last time was in, or the next.
func (a *accumulator) bucketOf(time int64) int {
	for bucket := a.hint; bucket < min(a.hint+2, len(a.edges)-1); bucket++ {
		if a.edges[bucket] <= time && time < a.edges[bucket+1] {
			a.hint = bucket
			return bucket
		}
	}
	bucket := sort.Search(len(a.edges), func(i int) bool { return a.edges[i] > time }) - 1
	a.hint = max(bucket, 0)
	return bucket
}

func (a *accumulator) partial(group, bucket int) *partial {
	return &a.page(group, bucket)[bucket%bucketPage]
}

// page returns the page of a bucket, made if need be.
func (a *accumulator) page(group, bucket int) []partial {
	buckets := len(a.edges) - 1
	if a.groups[group] == nil {
		a.groups[group] = make([][]partial, (buckets+bucketPage-1)/bucketPage)
	}
	page := &a.groups[group][bucket/bucketPage]
	if *page == nil {
		size := min(bucketPage, buckets-bucket/bucketPage*bucketPage)
		*page = make([]partial, size)
		if a.bytes += int64(size) * partialBytes; a.needs.sketch {
			a.bytes += int64(size) * partialBytes * sketchPoints
		}
	}
	return *page
}

// seriesState is what rate, increase and delta have to remember of a series between two samples. It
// starts at a bucket of -1 and is folded into its bucket's partial when the series leaves the bucket.
type seriesState struct {
	bucket int

	seen     bool // there is a sample before, and no stale marker since: previous
	previous model.Sample

	// Of the current bucket. Increase and elapsed go from each sample's predecessor to it, wherever that is.
	samples     int64
	increase    float64
	elapsed     int64 // nanoseconds
	first, last float64
}

// addRun takes in samples of one series in time order: those of [from, to), and with needs.lookback
// those shortly before from. A stale marker parts the samples before it from those behind it, for state,
// and is otherwise left out. clean says that no value is NaN, as stale markers are.
func (a *accumulator) addRun(group int, state *seriesState, times []int64, values []float64, clean bool) {
	clean = clean || !hasNaN(values)
	for len(times) > 0 {
		if !clean && model.IsStale(values[0]) {
			if state != nil {
				state.seen = false
			}
			times, values = times[1:], values[1:]
			continue
		}
		bucket := a.bucketOf(times[0])
		if times[0] < a.from {
			bucket = -1
		}
		n := a.runLength(bucket, times)
		if !clean {
			n = beforeStale(values[:n])
		}
		if bucket >= 0 {
			p := a.partial(group, bucket)
			had := p.values != nil
			p.add(a.needs, times[:n], values[:n], clean)
			if !had && p.values != nil {
				a.bytes += distributionBytes
			}
		}
		if state != nil {
			a.change(group, bucket, state, times[:n], values[:n])
		}
		times, values = times[n:], values[n:]
	}
}

// addScaled is addRun for those of the samples that are of [from, to).
func (a *accumulator) addScaled(group int, s *chunk.Scaled, from, to int64) {
	at := scaledBefore(s, 0, from)
	for end := scaledBefore(s, at, to); at < end; {
		bucket := a.bucketOf(scaledTime(s, at))
		next := scaledBefore(s, at, min(a.edges[bucket+1], to))
		a.partial(group, bucket).addScaled(a.needs, s, at, next)
		at = next
	}
}

// addRegular is addScaled for the values of a block without NaN, its samples being step apart.
func (a *accumulator) addRegular(group int, h chunk.Header, step int64, values []float64, from, to int64) {
	of, _ := h.Aggregate()
	bound := max(math.Abs(of.Min), math.Abs(of.Max))
	at := regularBefore(h.MinTime, step, len(values), from)
	for end := regularBefore(h.MinTime, step, len(values), to); at < end; {
		first := h.MinTime + int64(at)*step
		bucket := a.bucketOf(first)
		next := regularBefore(h.MinTime, step, end, a.edges[bucket+1])
		a.partial(group, bucket).addRegular(a.needs, first, h.MinTime+int64(next-1)*step, values[at:next], bound)
		at = next
	}
}

// runLength returns how many samples from the first on lie in the same bucket.
func (a *accumulator) runLength(bucket int, times []int64) int {
	if bucket < 0 {
		return countBefore(times, a.from) // what lies before the range counts as one bucket
	}
	return countBefore(times, a.edges[bucket+1])
}

// beforeStale returns how many values there are before the first stale marker that is not the first of them.
func beforeStale(values []float64) int {
	for i, v := range values {
		if i > 0 && v != v && model.IsStale(v) {
			return i
		}
	}
	return len(values)
}

// change follows a series through a bucket for rate, increase and delta. A value lower than the one
// before is a counter that was reset to zero.
func (a *accumulator) change(group, bucket int, state *seriesState, times []int64, values []float64) {
	if bucket != state.bucket {
		a.fold(group, state)
		state.bucket = bucket
	}
	for i, v := range values {
		if v != v {
			continue
		}
		if state.samples == 0 {
			state.first = v
		}
		if state.seen {
			state.rise(v)
			state.elapsed += times[i] - state.previous.Time
		}
		state.samples++
		state.last = v
		state.previous, state.seen = model.Sample{Time: times[i], Value: v}, true
	}
}

// fold adds a series' share of its bucket to the partial.
func (a *accumulator) fold(group int, state *seriesState) {
	if state.bucket >= 0 && state.samples > 0 {
		p := a.partial(group, state.bucket)
		if state.elapsed > 0 {
			p.rate += state.increase / (float64(state.elapsed) / 1e9)
			p.increase += state.increase
			p.rates++
		}
		p.delta += state.last - state.first
		p.deltas++
	}
	state.samples, state.increase, state.elapsed = 0, 0, 0
}

// merge takes in what a worker for series with higher ids gathered.
func (a *accumulator) merge(other *accumulator) {
	for group, pages := range other.groups {
		if a.groups[group] == nil {
			a.groups[group] = pages
			continue
		}
		for number, page := range pages {
			if a.groups[group][number] == nil {
				a.groups[group][number] = page
				continue
			}
			for bucket := range page {
				a.groups[group][number][bucket].merge(&page[bucket])
			}
		}
	}
}
