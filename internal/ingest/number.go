package ingest

import "strconv"

// exactPowers holds the powers of ten that a float64 represents exactly.
var exactPowers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// decimal is a number as it is written: its digits as an integer, times ten to the exponent. It is whole
// only if there are at most maxMantissaDigits digits.
type decimal struct {
	mantissa uint64
	digits   int
	exponent int
	negative bool
}

// maxMantissaDigits is how many decimal digits a uint64 always holds.
const maxMantissaDigits = 19

// maxExponent is where the exponents of numbers are cut off. It is far beyond what a float64 can hold and
// far from the limits of an int; the mantissa has fewer digits than a body has bytes.
const maxExponent = 1 << 40

// number reads the number at i to the nearest float64, as strconv.ParseFloat does. A number too large
// for a float64 gives an infinity.
func (s *scanner) number(i int) (value float64, next int) {
	d, next := s.decimal(i)
	if next < 0 {
		return 0, next
	}
	// Integers below 2^53 and the powers of ten up to 10^22 are exact, so that one multiplication or
	// division rounds once and correctly (W. D. Clinger, How to Read Floating Point Numbers Accurately).
	if d.digits <= maxMantissaDigits && d.mantissa < 1<<53 && d.exponent >= -22 && d.exponent <= 22 {
		value = float64(d.mantissa)
		if d.exponent < 0 {
			value /= exactPowers[-d.exponent]
		} else {
			value *= exactPowers[d.exponent]
		}
		if d.negative {
			value = -value
		}
		return value, next
	}
	// The grammar of JSON is narrower than Go's, so the only error there can be is that of range, which
	// comes with an infinity.
	value, _ = strconv.ParseFloat(string(s.text[i:next]), 64)
	return value, next
}

// skipNumber skips the number at i.
func (s *scanner) skipNumber(i int) int {
	_, next := s.decimal(i)
	return next
}

// decimal reads the number at i: -?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?
func (s *scanner) decimal(i int) (d decimal, next int) {
	text := s.text
	if s.at(i) == '-' {
		d.negative = true
		i++
	}
	start := i
	for i < len(text) && isDigit(text[i]) {
		d.mantissa = d.mantissa*10 + uint64(text[i]-'0')
		i++
	}
	d.digits = i - start
	if d.digits == 0 {
		return d, s.expected(i, "a digit")
	}
	if d.digits > 1 && text[start] == '0' {
		return d, s.fail(start, "a number must not begin with a zero that another digit follows")
	}
	if i < len(text) && text[i] == '.' {
		i++
		point := i
		for i < len(text) && isDigit(text[i]) {
			d.mantissa = d.mantissa*10 + uint64(text[i]-'0')
			i++
		}
		if i == point {
			return d, s.expected(i, "a digit behind the decimal point")
		}
		d.digits += i - point
		d.exponent = point - i
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		var exponent int
		exponent, i = s.exponent(i)
		d.exponent += exponent
	}
	return d, i
}

// exponent reads the exponent at i, which begins with an e.
func (s *scanner) exponent(i int) (exponent, next int) {
	i++
	negative := s.at(i) == '-'
	if negative || s.at(i) == '+' {
		i++
	}
	if !isDigit(s.at(i)) {
		return 0, s.expected(i, "a digit of the exponent")
	}
	for ; isDigit(s.at(i)); i++ {
		exponent = min(exponent*10+int(s.text[i]-'0'), maxExponent)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, i
}

func isDigit(b byte) bool { return b-'0' <= 9 }
