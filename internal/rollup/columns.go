package rollup

// Columns are points of one series in a tier, one element of each slice a bucket. Buckets ascend; those
// without samples are absent. Times are in nanoseconds since the epoch. A slice that was not asked for when
// a chunk was decoded is empty.
type Columns struct {
	Starts []int64 // of the buckets, multiples of the tier's width
	Counts []int64 // of samples, NaN included, stale markers not; 0 where there is nothing but stale markers
	NaNs   []int64 // how many of Counts are NaN
	Stale  []bool  // the bucket has a stale marker

	// Of the samples that are not NaN; 0 if there are none. A sum is compensated and rounded once.
	Sums, Mins, Maxs []float64

	// Of all samples but stale markers. Where there are none, the values are 0 and the times the bucket's start.
	Firsts, Lasts         []float64
	FirstTimes, LastTimes []int64

	// Resets are what the increase of a counter is above last less first inside the bucket: of the samples
	// that are not NaN, the sum of those that are followed by a lower one; NaN where one is infinite. It is
	// empty when not kept.
	Resets []float64

	// M2s are sums of squared distances from the mean, of the samples that are not NaN. It is empty when not
	// kept: only hours have it.
	M2s []float64

	scratch scratch
}

// Len returns the number of points.
func (c *Columns) Len() int { return len(c.Starts) }

// Reset empties the columns and keeps their memory.
func (c *Columns) Reset() {
	c.Starts, c.Counts, c.NaNs, c.Stale = c.Starts[:0], c.Counts[:0], c.NaNs[:0], c.Stale[:0]
	c.Sums, c.Mins, c.Maxs = c.Sums[:0], c.Mins[:0], c.Maxs[:0]
	c.Firsts, c.Lasts = c.Firsts[:0], c.Lasts[:0]
	c.FirstTimes, c.LastTimes = c.FirstTimes[:0], c.LastTimes[:0]
	c.Resets, c.M2s = c.Resets[:0], c.M2s[:0]
}

// Append copies points lo to hi (exclusive) of from. What from does not keep, or c did not keep so far, c
// does not keep either.
func (c *Columns) Append(from *Columns, lo, hi int) {
	before, all := c.Len(), from.Len()
	c.Starts = append(c.Starts, from.Starts[lo:hi]...)
	c.Counts = appendRun(c.Counts, from.Counts, lo, hi, before, all)
	c.NaNs = appendRun(c.NaNs, from.NaNs, lo, hi, before, all)
	c.Stale = appendRun(c.Stale, from.Stale, lo, hi, before, all)
	c.Sums = appendRun(c.Sums, from.Sums, lo, hi, before, all)
	c.Mins = appendRun(c.Mins, from.Mins, lo, hi, before, all)
	c.Maxs = appendRun(c.Maxs, from.Maxs, lo, hi, before, all)
	c.Firsts = appendRun(c.Firsts, from.Firsts, lo, hi, before, all)
	c.Lasts = appendRun(c.Lasts, from.Lasts, lo, hi, before, all)
	c.FirstTimes = appendRun(c.FirstTimes, from.FirstTimes, lo, hi, before, all)
	c.LastTimes = appendRun(c.LastTimes, from.LastTimes, lo, hi, before, all)
	c.Resets = appendRun(c.Resets, from.Resets, lo, hi, before, all)
	c.M2s = appendRun(c.M2s, from.M2s, lo, hi, before, all)
}

// appendRun appends a run of a column of all points to one of so far before points, unless either is not
// kept: then the result is empty.
func appendRun[T any](dst, from []T, lo, hi, before, all int) []T {
	if len(dst) != before || len(from) != all {
		return dst[:0]
	}
	return append(dst, from[lo:hi]...)
}

// bucketOf returns the start of the bucket that holds the first of the times, which is not negative, and
// how many of them the bucket holds.
func bucketOf(times []int64, width int64) (start int64, n int) {
	start = times[0] - times[0]%width
	for n = 1; n < len(times) && times[n]-start < width; n++ {
	}
	return start, n
}
