package rollup

import (
	"math"

	"github.com/flopynet/collector/internal/column"
)

// Of n samples that are integers / 10^e, let s be the sum of the integers and t that of their squares. Then M2 is
// (n t - s^2) / (n 10^2e), so what tells M2, to within a few units of its last place, is t; and most of t follows
// from s and n: it is at least s^2 / n. What is beyond that is written, in half the bytes of a float64.
// So the column M2s begins with a byte:
//
//	0  a column of floats
//	1  t - floor(s^2 / n) for each point with numbers, in the code of rice.go; then patches. floor(s^2 / n) is of
//	   s^2, which is below 2^62, and of n as float64s.
const (
	momentsPlain = iota
	momentsSquares
)

// maxMomentSum keeps s^2 below 2^62.
const maxMomentSum = 1 << 31

// leastSquares returns what the sum of the squares of n integers is at least if their sum is s, about.
func leastSquares(n, s int64) int64 { return int64(float64(s*s) / float64(n)) }

// m2 returns M2 of n integers with the sum s and the sum of squares t, which are the values times a factor whose
// square is scale.
func m2(n, s, t int64, scale float64) float64 { return float64(n*t-s*s) / float64(float64(n)*scale) }

// m2s writes the column M2s.
func (e *encoder) m2s() {
	start := len(e.payload)
	if e.flags&flagDecimals == 0 || !e.squares() {
		e.payload = append(e.payload[:start], momentsPlain)
		e.payload = column.AppendFloats(e.payload, e.from.M2s)
	}
	e.close(kindM2s, start)
}

// squares writes M2s by the sums of squares, unless these are too large or many M2s are not what follows
// from them.
func (e *encoder) squares() bool {
	d, finite := &e.decimals, e.finite()
	scale := powers[d.exponent] * powers[d.exponent]
	residuals := e.residuals[:len(d.counts)]
	approximations := make([]float64, len(finite))
	row := 0
	for i, n := range finite {
		if n == 0 {
			continue
		}
		s := d.sums[row]
		scaled := float64(e.from.M2s[i] * scale)
		if s <= -maxMomentSum || s >= maxMomentSum || n >= maxMomentSum || !(scaled >= 0 && scaled < 1<<61/float64(n)) {
			return false
		}
		// n t = M2 n + s^2 holds for integers, so rounding finds them again.
		t := (int64(math.RoundToEven(float64(scaled*float64(n)))) + s*s + n/2) / n
		approximations[i] = m2(n, s, t, scale)
		residuals[row] = t - leastSquares(n, s)
		row++
	}
	e.payload = append(e.payload, momentsSquares)
	e.payload = appendRice(e.payload, residuals)
	payload, patches := appendPatches(e.payload, e.from.M2s, approximations)
	e.payload = payload
	return 2*patches <= len(finite)
}

// restoreM2s is the inverse of squares, from the residuals on.
func (d *decimals) restoreM2s(dst []float64, finite, residuals []int64) {
	scale := powers[d.exponent] * powers[d.exponent]
	row := 0
	for i, n := range finite {
		dst[i] = 0
		if n > 0 {
			s := d.sums[row]
			dst[i] = m2(n, s, residuals[row]+leastSquares(n, s), scale)
			row++
		}
	}
}
