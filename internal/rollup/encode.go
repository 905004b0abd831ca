package rollup

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/flopynet/collector/internal/column"
	"github.com/flopynet/collector/model"
)

// encoder gathers the columns of a chunk.
type encoder struct {
	tier    model.Tier
	from    *Columns
	flags   uint16
	payload []byte
	lengths [kinds]int

	decimals  decimals
	integers  []int64 // for one column
	residuals []int64 // for another way to write it
}

// Encode appends the points as one chunk, as it is stored under key, to dst. There must be 1 to MaxPoints
// of them, of Tier5m or Tier1h, each column but Resets and M2s complete; anything else is the caller's
// mistake and panics. Resets are not kept if they would take more than about a byte a point, which is so when
// they are not a counter's.
func Encode(dst, key []byte, tier model.Tier, c *Columns) []byte {
	c.check(tier)
	n := c.Len()
	e := encoder{tier: tier, from: c, integers: make([]int64, n), residuals: make([]int64, n)}
	e.payload = make([]byte, 0, 128+16*n)
	e.times()
	if e.decimals.fill(c) {
		e.flags |= flagDecimals
		e.predicted()
	} else {
		e.plain()
	}
	e.resets()
	if tier == model.Tier1h && len(c.M2s) == n {
		e.m2s()
	}

	start := len(dst)
	dst = append(dst, version, byte(tier))
	dst = binary.BigEndian.AppendUint16(dst, e.flags)
	if e.flags&flagDecimals != 0 {
		dst = append(dst, e.decimals.exponent)
	}
	dst = appendRange(dst, c.Starts, tier.Width())
	for i, length := range e.lengths {
		if e.flags&(1<<i) != 0 {
			dst = binary.AppendUvarint(dst, uint64(length))
		}
	}
	dst = append(dst, e.payload...)
	return binary.BigEndian.AppendUint32(dst, checksum(key, dst[start:]))
}

// check panics unless the columns are what Encode demands of its callers.
func (c *Columns) check(tier model.Tier) {
	n, width := c.Len(), tier.Width()
	if n < 1 || n > MaxPoints || width == 0 {
		panic(fmt.Sprintf("rollup: Encode was given %d points of tier %v", n, tier))
	}
	for _, length := range []int{
		len(c.Counts), len(c.NaNs), len(c.Stale), len(c.Sums), len(c.Mins), len(c.Maxs), len(c.Firsts),
		len(c.Lasts), len(c.FirstTimes), len(c.LastTimes),
	} {
		if length != n {
			panic(fmt.Sprintf("rollup: Encode was given %d points, but a column has %d", n, length))
		}
	}
	before := -width
	for i, start := range c.Starts {
		if start%width != 0 || start <= before || start > model.MaxTime || c.NaNs[i] < 0 || c.Counts[i] < c.NaNs[i] {
			panic(fmt.Sprintf("rollup: the bucket at %d after that at %d, with %d samples, %d of them NaN", start, before, c.Counts[i], c.NaNs[i]))
		}
		before = start
	}
}

// close ends a column that began at payload[start:].
func (e *encoder) close(i kind, start int) {
	e.flags |= 1 << i
	e.lengths[i] = len(e.payload) - start
}

func (e *encoder) ints(i kind, values []int64) {
	start := len(e.payload)
	e.payload = column.AppendInts(e.payload, values)
	e.close(i, start)
}

// times writes all that is not a value.
func (e *encoder) times() {
	c, width := e.from, e.tier.Width()
	if absent(c.Starts, width) > 0 {
		start := len(e.payload)
		e.payload = appendStarts(e.payload, c.Starts, width)
		e.close(kindStarts, start)
	}
	e.ints(kindCounts, c.Counts)
	if anyNotZero(c.NaNs) {
		e.ints(kindNaNs, c.NaNs)
	}
	e.stale()
	e.offsets(kindFirstTimes, c.FirstTimes)
	e.offsets(kindLastTimes, c.LastTimes)
}

func anyNotZero(values []int64) bool {
	for _, v := range values {
		if v != 0 {
			return true
		}
	}
	return false
}

func (e *encoder) stale() {
	start, before := len(e.payload), 0
	for _, stale := range e.from.Stale {
		if !stale {
			before++
			continue
		}
		e.payload = binary.AppendUvarint(e.payload, uint64(before))
		before = 0
	}
	if len(e.payload) > start {
		e.close(kindStale, start)
	}
}

// offsets writes times as their distances from the starts of their buckets.
func (e *encoder) offsets(i kind, times []int64) {
	exponent, unit := uint8(9), int64(1e9)
	for j, time := range times {
		offset := time - e.from.Starts[j]
		for offset%unit != 0 {
			exponent, unit = exponent-1, unit/10
		}
		e.integers[j] = offset
	}
	if !anyNotZero(e.integers) {
		return
	}
	for j := range e.integers {
		e.integers[j] /= unit
	}
	start := len(e.payload)
	e.payload = append(e.payload, exponent)
	e.payload = column.AppendInts(e.payload, e.integers)
	e.close(i, start)
}

// plain writes values as they are.
func (e *encoder) plain() {
	c := e.from
	for _, each := range []struct {
		i      kind
		values []float64
	}{{kindSums, c.Sums}, {kindLasts, c.Lasts}, {kindFirsts, c.Firsts}, {kindMins, c.Mins}, {kindMaxs, c.Maxs}} {
		start := len(e.payload)
		e.payload = column.AppendFloats(e.payload, each.values)
		e.close(each.i, start)
	}
}

// predicted writes values as what remains of them beside a prediction.
func (e *encoder) predicted() {
	d := &e.decimals
	start := len(e.payload)
	first := int64(0)
	if len(d.sums) > 0 {
		first = d.sums[0]
	}
	e.payload = binary.AppendVarint(e.payload, first)
	e.best(sumMethods, func(out []int64, m method) { predictSums(out, d.sums, m, predict, d.counts, first) })
	sums := make([]float64, e.from.Len())
	d.put(sums, e.finite(), d.sums)
	e.payload, _ = appendPatches(e.payload, e.from.Sums, sums)
	e.close(kindSums, start)

	start = len(e.payload)
	e.best(lastMethods, func(out []int64, m method) { predictLasts(out, d.lasts, m, predict, d.counts, d.sums) })
	e.close(kindLasts, start)

	start = len(e.payload)
	e.best(firstMethods, func(out []int64, m method) { predictFirsts(out, d.firsts, m, predict, d.lasts) })
	e.close(kindFirsts, start)

	residuals := e.residuals[:len(d.counts)]
	start = len(e.payload)
	predictMins(residuals, d.mins, d.firsts, d.lasts)
	e.payload = appendRice(e.payload, residuals)
	e.close(kindMins, start)

	start = len(e.payload)
	predictMaxs(residuals, d.maxs, predict, d.firsts, d.lasts)
	e.payload = appendRice(e.payload, residuals)
	e.close(kindMaxs, start)
}

// finite returns how many samples of each point are not NaN.
func (e *encoder) finite() []int64 {
	for i, count := range e.from.Counts {
		e.integers[i] = count - e.from.NaNs[i]
	}
	return e.integers
}

// best writes the method whose residuals are the smallest, and these.
func (e *encoder) best(methods int, residualsOf func(out []int64, m method)) {
	residuals := e.residuals[:len(e.decimals.counts)]
	best, least := method(0), math.MaxInt
	for m := range method(methods) {
		residualsOf(residuals, m)
		if size := riceBits(residuals); size < least {
			best, least = m, size
		}
	}
	if int(best) != methods-1 { // the last one tried
		residualsOf(residuals, best)
	}
	e.payload = append(e.payload, byte(best))
	e.payload = appendRice(e.payload, residuals)
}

// resets writes those that are not zero, if they are few.
func (e *encoder) resets() {
	values := e.from.Resets
	if len(values) != e.from.Len() {
		return
	}
	start, before := len(e.payload), 0
	for _, v := range values {
		bits := math.Float64bits(v)
		if bits == 0 {
			before++
			continue
		}
		e.payload = binary.AppendUvarint(e.payload, uint64(before))
		e.payload = binary.LittleEndian.AppendUint64(e.payload, bits)
		before = 0
		if len(e.payload)-start > len(values)+freeResetBytes {
			e.payload = e.payload[:start]
			return
		}
	}
	e.flags |= flagResets
	if len(e.payload) > start {
		e.close(kindResets, start)
	}
}

// freeResetBytes is what resets may take beyond a byte a point.
const freeResetBytes = 16
