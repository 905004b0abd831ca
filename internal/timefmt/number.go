package timefmt

import "github.com/flopynet/collector/model"

// pow10[i] is 10^i.
var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// ParseNumber reads a number since the epoch, in the grammar of JSON. Its magnitude tells the unit:
// below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. It is read
// as decimal digits, never through a float64; digits below the nanosecond are cut off. The error is a
// *ParseError.
func ParseNumber(text string) (int64, error) {
	number, ok := splitNumber(text)
	switch {
	case !ok:
		return 0, timeError(text, reasonTime)
	case number.zero:
		return 0, nil
	case number.negative:
		return 0, timeError(text, reasonRange)
	}
	places := number.integerDigits + unitDigits(number.integerDigits)
	if places > 19 { // 19 digits fit a uint64
		return 0, timeError(text, reasonRange)
	}
	var ns uint64
	for i, taken := number.first, 0; taken < places; i++ {
		switch {
		case i >= number.end:
			ns *= 10
		case text[i] == '.':
			continue
		default:
			ns = ns*10 + uint64(text[i]-'0')
		}
		taken++
	}
	if ns > uint64(model.MaxTime) {
		return 0, timeError(text, reasonRange)
	}
	return int64(ns), nil
}

// unitDigits returns how many decimal places lie between the unit of a number with so many integer
// digits and a nanosecond.
func unitDigits(integerDigits int) int {
	switch {
	case integerDigits <= 11:
		return 9
	case integerDigits <= 14:
		return 6
	case integerDigits <= 17:
		return 3
	default:
		return 0
	}
}

// decimalNumber describes a number's text: its significant digits are text[first:end] without the
// decimal point, and the decimal point of its value lies integerDigits behind the first of them.
type decimalNumber struct {
	negative, zero bool
	first, end     int
	integerDigits  int // below zero for a number like 0.001
}

// maxExponent is beyond any exponent that matters and far from overflow.
const maxExponent = 1 << 20

// splitNumber checks the grammar of JSON: -?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?
func splitNumber(text string) (n decimalNumber, ok bool) {
	i := 0
	if n.negative = text != "" && text[0] == '-'; n.negative {
		i++
	}
	start := i
	i = skipDigits(text, i)
	point := i
	if point == start || text[start] == '0' && point > start+1 {
		return n, false
	}
	if i < len(text) && text[i] == '.' {
		if i = skipDigits(text, point+1); i == point+1 {
			return n, false
		}
	}
	n.end = i
	exponent, ok := parseExponent(text[i:])
	if !ok {
		return n, false
	}
	n.first = start
	for n.first < n.end && (text[n.first] == '0' || text[n.first] == '.') {
		n.first++
	}
	n.zero = n.first == n.end
	n.integerDigits = point - n.first + exponent
	if n.first > point {
		n.integerDigits++ // the decimal point itself
	}
	return n, true
}

// parseExponent reads nothing or an exponent, which must fill the text. Large ones are cut to
// maxExponent.
func parseExponent(text string) (exponent int, ok bool) {
	if text == "" {
		return 0, true
	}
	i, negative := 1, false
	if len(text) > 1 && (text[1] == '-' || text[1] == '+') {
		i, negative = 2, text[1] == '-'
	}
	if text[0] != 'e' && text[0] != 'E' || i == len(text) || skipDigits(text, i) != len(text) {
		return 0, false
	}
	for ; i < len(text); i++ {
		exponent = min(exponent*10+int(text[i]-'0'), maxExponent)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, true
}

func skipDigits(text string, i int) int {
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	return i
}
