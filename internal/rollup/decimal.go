package rollup

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	maxExponent = 12
	maxInteger  = 1 << 53 // integers up to here are float64s
)

var powers = [maxExponent + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}

// decimals are the values of points as integers: the values times 10^exponent. They have a row for each
// point with a sample that is not NaN, and no other.
type decimals struct {
	exponent uint8
	counts   []int64 // of samples that are not NaN; positive
	sums     []int64
	lasts    []int64
	firsts   []int64
	mins     []int64
	maxs     []int64

	unused []int64 // for residuals
	room   []int64 // of all columns, counts first
}

// resize makes room for n rows in each column.
func (d *decimals) resize(n int) {
	d.room = resize(d.room, 7*n)
	for i, column := range d.columns() {
		*column = d.room[i*n : (i+1)*n]
	}
}

// truncate leaves the first rows of each column.
func (d *decimals) truncate(rows int) {
	for _, column := range d.columns() {
		*column = (*column)[:rows]
	}
}

func (d *decimals) columns() [7]*[]int64 {
	return [...]*[]int64{&d.counts, &d.sums, &d.lasts, &d.firsts, &d.mins, &d.maxs, &d.unused}
}

// toInteger returns v * 10^exponent if that is an integer, v again when divided by the power, and not too
// large.
func toInteger(v float64, exponent uint8) (k int64, ok bool) {
	scaled := math.RoundToEven(float64(v * powers[exponent]))
	if !(math.Abs(scaled) <= maxInteger) {
		return 0, false
	}
	k = int64(scaled) // which has no -0
	return k, math.Float64bits(float64(k)/powers[exponent]) == math.Float64bits(v)
}

// exponentOf raises the exponent until all values are decimals with so many places, if there is one.
func exponentOf(values []float64, exponent uint8) (uint8, bool) {
	for _, v := range values {
		for {
			if _, ok := toInteger(v, exponent); ok {
				break
			}
			if exponent == maxExponent {
				return exponent, false
			}
			exponent++
		}
	}
	return exponent, true
}

// fill takes the values of points, if all are decimals, and those of points without numbers zero. A sum may be a few
// units of its last place off the decimal, as it is rounded from a sum of rounded values.
func (d *decimals) fill(c *Columns) (ok bool) {
	d.exponent = 0
	for _, column := range [][]float64{c.Lasts, c.Firsts, c.Mins, c.Maxs} {
		if d.exponent, ok = exponentOf(column, d.exponent); !ok {
			return false
		}
	}
	n := c.Len()
	d.resize(n)
	row := 0
	for i, count := range c.Counts {
		if count == c.NaNs[i] {
			if !c.isZero(i) {
				return false
			}
			continue
		}
		d.counts[row] = count - c.NaNs[i]
		sum := math.RoundToEven(float64(c.Sums[i] * powers[d.exponent]))
		if !(math.Abs(sum) <= maxInteger) {
			return false
		}
		d.sums[row] = int64(sum)
		for _, column := range []struct {
			to   []int64
			from []float64
		}{{d.lasts, c.Lasts}, {d.firsts, c.Firsts}, {d.mins, c.Mins}, {d.maxs, c.Maxs}} {
			if column.to[row], ok = toInteger(column.from[i], d.exponent); !ok {
				return false
			}
		}
		row++
	}
	d.truncate(row)
	return true
}

// isZero reports whether the values of a point are 0, and not -0.
func (c *Columns) isZero(i int) bool {
	all := math.Float64bits(c.Sums[i]) | math.Float64bits(c.Firsts[i]) | math.Float64bits(c.Lasts[i]) |
		math.Float64bits(c.Mins[i]) | math.Float64bits(c.Maxs[i])
	if len(c.M2s) == c.Len() {
		all |= math.Float64bits(c.M2s[i])
	}
	return all == 0
}

// put writes integers as values, of which points without numbers have none.
func (d *decimals) put(dst []float64, finite, integers []int64) {
	power := powers[d.exponent]
	if len(integers) == len(dst) {
		for i, k := range integers {
			dst[i] = float64(k) / power
		}
		return
	}
	row := 0
	for i, n := range finite {
		dst[i] = 0
		if n > 0 {
			dst[i] = float64(integers[row]) / power
			row++
		}
	}
}

// A patch moves a value by some units of its last place: a uvarint, 4 times how many values are between it and
// the one patched before, plus 0 for one unit less, 1 for one unit more, 2 if a varint follows that tells
// how many units. Patches fill the rest of a column's bytes.
const (
	patchDown = iota
	patchUp
	patchFar
	patchKinds = 4
)

// appendPatches appends the patches that make values of their approximations, and returns how many they are.
func appendPatches(dst []byte, values, approximations []float64) (_ []byte, patches int) {
	gap := uint64(0)
	for i, v := range values {
		units := int64(math.Float64bits(v) - math.Float64bits(approximations[i]))
		switch units {
		case 0:
			gap++
			continue
		case -1:
			dst = binary.AppendUvarint(dst, gap*patchKinds+patchDown)
		case 1:
			dst = binary.AppendUvarint(dst, gap*patchKinds+patchUp)
		default:
			dst = binary.AppendUvarint(dst, gap*patchKinds+patchFar)
			dst = binary.AppendVarint(dst, units)
		}
		gap = 0
		patches++
	}
	return dst, patches
}

func applyPatches(src []byte, values []float64) error {
	for at := uint64(0); len(src) > 0; at++ {
		head, n := binary.Uvarint(src)
		if n <= 0 || head/patchKinds >= uint64(len(values))-at || head%patchKinds > patchFar {
			return fmt.Errorf("%w: a patch is cut, unknown, or behind the last value", ErrCorrupt)
		}
		src = src[n:]
		at += head / patchKinds
		units := int64(head%patchKinds)*2 - 1
		if head%patchKinds == patchFar {
			if units, n = binary.Varint(src); n <= 0 {
				return errShort
			}
			src = src[n:]
		}
		values[at] = math.Float64frombits(math.Float64bits(values[at]) + uint64(units))
	}
	return nil
}
