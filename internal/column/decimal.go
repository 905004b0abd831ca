package column

import "math"

const (
	// maxExponent is the most digits behind the point that a decimal has.
	maxExponent = 14

	// maxScaled is the largest magnitude of a scaled integer: up to here, all are floats.
	maxScaled = 1 << 53
)

// scale turns integers into the decimals they stand for.
type scale struct {
	power float64 // 10^exponent

	// high + low is 1/power to twice the precision of a float64.
	high, low float64
}

var scales = makeScales()

func makeScales() (scales [maxExponent + 1]scale) {
	power := 1.0
	for i := range scales {
		high := 1 / power
		// The remainder 1 - power*high is exact, and so are the first 53 bits of what it leaves to add.
		scales[i] = scale{power: power, high: high, low: math.FMA(-power, high, 1) / power}
		power *= 10 // exact up to 10^22
	}
	return scales
}

// float returns x / 10^exponent, correctly rounded, for x up to maxScaled. A division would take longer.
//
// The product is off by less than 2^-105 of itself before its one rounding: 2^-107 for low, 2^-106 for the
// product with it. A quotient of such an integer and 10^e, e being at most 14, is never half way between two floats,
// and at least 2^-101 of itself away from there: the two differ by a whole number of units of
// 1/(10^e * 2^54), relative to it. So both round alike.
func (s scale) float(x int64) float64 {
	f := float64(x)
	return math.FMA(f, s.high, f*s.low)
}

// Scale turns integers of a column of decimals into floats.
type Scale struct{ scale }

// Power returns the power of ten that the integers are divided by.
func (s Scale) Power() float64 { return s.power }

// Float returns the float that an integer of the column stands for.
func (s Scale) Float(x int64) float64 { return s.float(x) }

// Sum returns what a sum of integers stands for, in two parts, each rounded: the second is 0 unless the sum is
// beyond the integers that are floats.
func (s Scale) Sum(x int64) (high, low float64) {
	if x >= -maxScaled && x <= maxScaled {
		return s.float(x), 0
	}
	const mask = 1<<26 - 1
	return float64(x&^mask) / s.power, float64(x&mask) / s.power
}

// integer returns the integer that stands for v, if there is one.
func (s *scale) integer(v float64) (x int64, ok bool) {
	f := v * s.power
	if !(math.Abs(f) <= maxScaled) {
		return 0, false
	}
	x = int64(f + math.Copysign(0.5, f))
	return x, math.Float64bits(s.float(x)) == math.Float64bits(v)
}

// exponentOf returns the least exponent at which v is a decimal.
func exponentOf(v float64) (exponent int, ok bool) {
	for e := range scales {
		if _, ok := scales[e].integer(v); ok {
			return e, true
		}
	}
	return 0, false
}

const (
	exceptionBits = 80 // that a value which is no decimal takes
	digitQuarters = 13 // of a bit, that a digit takes: 4 log2(10)
)

// chooseExponent returns the exponent at which every stride-th of the values takes the fewest bits as a
// decimal. ok is false if less than half of them are decimals then.
func chooseExponent(values []float64, stride int) (exponent int, ok bool) {
	var counts [maxExponent + 1]int
	n := 0
	for i := stride / 2; i < len(values); i += stride {
		if e, ok := exponentOf(values[i]); ok {
			counts[e]++
		}
		n++
	}
	least, decimals := math.MaxInt, 0
	for e, count := range counts {
		decimals += count
		if cost := (n-decimals)*exceptionBits + n*e*digitQuarters/4; cost < least {
			least, exponent, ok = cost, e, 2*decimals >= n
		}
	}
	return exponent, ok
}
