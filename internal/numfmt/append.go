package numfmt

import (
	"math"
	"slices"
	"strconv"
)

// maxBytes is how long a number is at most that isn't strconv's: a sign, "0.00000" and 17 digits.
const maxBytes = 32

// A decimal of fractionDigits digits after the point and 15 in all is found by one multiplication.
const (
	fractionDigits = 6
	fractionUnit   = 1e6
	maxExact       = 1e15 // decimals below differ as float64s
)

// Append appends the shortest number that reads back as value, spelt as encoding/json does: without an exponent
// from 1e-6 to below 1e21. NaN, +Inf and -Inf are those words.
func Append(dst []byte, value float64) []byte {
	magnitude := math.Abs(value)
	if !(magnitude < 1<<53) {
		return appendAny(dst, value)
	}
	dst = slices.Grow(dst, maxBytes)
	if math.Signbit(value) {
		dst = append(dst, '-')
	}
	if whole := uint64(magnitude); float64(whole) == magnitude {
		return appendWhole(dst, whole)
	}
	if magnitude < maxExact/fractionUnit {
		// The quotient of two numbers that are exact is the float64 nearest to the decimal; and as decimals of up
		// to 15 digits all differ as float64s, no other one that is as short can be.
		scaled := uint64(magnitude*fractionUnit + 0.5)
		if float64(scaled)/fractionUnit == magnitude {
			return appendScaled(dst, scaled)
		}
	}
	if magnitude < 1e-6 {
		return appendAny(dst[:len(dst)-signBytes(value)], value)
	}
	digits, decimals := shortest(magnitude)
	return appendDecimal(dst, digits, decimals)
}

// AppendJSON is Append, but with the words as JSON strings: JSON has no numbers for these.
func AppendJSON(dst []byte, value float64) []byte {
	if value-value == 0 { // finite
		return Append(dst, value)
	}
	return append(Append(append(dst, '"'), value), '"')
}

func signBytes(value float64) int {
	if math.Signbit(value) {
		return 1
	}
	return 0
}

// appendAny appends any float64.
func appendAny(dst []byte, value float64) []byte {
	format := byte('f')
	if magnitude := math.Abs(value); magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21) {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, value, format, -1, 64)
	if n := len(dst); format == 'e' && n-start >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 becomes e-9
		dst = dst[:n-1]
	}
	return dst
}
