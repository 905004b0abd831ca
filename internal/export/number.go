package export

import (
	"math"
	"strconv"
)

// maxDecimals is how many decimals the short way of spelling a number tries. From 1e-6 on, numbers are spelt
// without an exponent.
const maxDecimals = 6

var powersOfTen = [maxDecimals + 1]float64{1, 10, 100, 1e3, 1e4, 1e5, 1e6}

// numbers appends float64s as the shortest text that reads back as the same value, spelt as encoding/json does.
// Neighbours often have as many decimals, so that of the last one is tried first. The zero value is ready.
type numbers struct {
	decimals int
	misses   int // values in a row that are no short decimals
	skip     int // values for which that isn't tried
}

// maxMisses is after how many misses in a row the short way is left alone for some values.
const (
	maxMisses = 4
	skipped   = 64
)

// append appends a value; NaN, +Inf and -Inf are words.
func (n *numbers) append(dst []byte, v float64) []byte {
	if n.skip > 0 {
		n.skip--
		return appendAny(dst, v)
	}
	if scaled, ok := exact(v, n.decimals); ok {
		n.misses = 0
		return appendDecimal(dst, scaled, n.decimals)
	}
	for decimals := range maxDecimals + 1 {
		if scaled, ok := exact(v, decimals); ok {
			n.decimals, n.misses = decimals, 0
			return appendDecimal(dst, scaled, decimals)
		}
	}
	if n.misses++; n.misses == maxMisses {
		n.misses, n.skip = 0, skipped
	}
	return appendAny(dst, v)
}

// exact returns v times 10^decimals if that, as a whole number below 10^15, divided by 10^decimals is v again.
// Both are exact as float64s, so the quotient is the float64 nearest to the decimal; and since decimals of up
// to 15 digits are all different as float64s, no shorter one is.
func exact(v float64, decimals int) (scaled int64, ok bool) {
	product := v * powersOfTen[decimals]
	if !(product > -1e15 && product < 1e15) {
		return 0, false
	}
	scaled = int64(product + math.Copysign(0.5, product))
	back := float64(scaled) / powersOfTen[decimals]
	return scaled, back == v && (scaled != 0 || !math.Signbit(v))
}

// appendDecimal appends scaled divided by 10^decimals, without zeros at its end.
func appendDecimal(dst []byte, scaled int64, decimals int) []byte {
	for decimals > 0 && scaled%10 == 0 {
		scaled /= 10
		decimals--
	}
	if decimals == 0 {
		return strconv.AppendInt(dst, scaled, 10)
	}
	if scaled < 0 {
		dst = append(dst, '-')
		scaled = -scaled
	}
	power := int64(powersOfTen[decimals])
	whole := scaled / power
	fraction := scaled - whole*power
	dst = append(strconv.AppendInt(dst, whole, 10), '.')
	for range decimals {
		power /= 10
		digit := fraction / power
		fraction -= digit * power
		dst = append(dst, byte('0'+digit))
	}
	return dst
}

// appendAny appends any float64.
func appendAny(dst []byte, v float64) []byte {
	format := byte('f')
	if magnitude := math.Abs(v); magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21) {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, format, -1, 64)
	if n := len(dst); format == 'e' && n-start >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 becomes e-9
		dst = dst[:n-1]
	}
	return dst
}
