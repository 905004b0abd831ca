package lineproto

import (
	"bytes"
	"math"
	"strconv"
)

// exactPowers holds the powers of ten that a float64 represents exactly.
var exactPowers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// maxMantissaDigits is how many decimal digits a uint64 always holds.
const maxMantissaDigits = 19

// number reads the number at i if it is a plain one: digits with or without a point, an integer's i maybe, and
// something behind it that may follow a value. next is negative for all others, be they good or bad.
func number(text []byte, i int) (value float64, next int) {
	negative := i < len(text) && text[i] == '-'
	if negative {
		i++
	}
	start := i
	var mantissa uint64
	for i < len(text) && isDigit(text[i]) {
		mantissa = mantissa*10 + uint64(text[i]-'0')
		i++
	}
	digits, decimals := i-start, 0
	whole := true
	if i < len(text) && text[i] == '.' {
		i++
		point := i
		for i < len(text) && isDigit(text[i]) {
			mantissa = mantissa*10 + uint64(text[i]-'0')
			i++
		}
		decimals, whole = i-point, false
		digits += decimals
	}
	// Integers below 2^53 and the powers of ten up to 10^22 are exact, so that one division rounds once and
	// correctly (W. D. Clinger, How to Read Floating Point Numbers Accurately).
	if digits == 0 || digits > maxMantissaDigits || mantissa >= 1<<53 {
		return 0, -1
	}
	value = float64(mantissa)
	if decimals > 0 {
		value /= exactPowers[decimals]
	}
	if i < len(text) {
		if whole && text[i] == 'i' {
			i++
		}
		if i < len(text) && !endsValue(text[i]) {
			return 0, -1
		}
	}
	if negative {
		value = -value
		if whole && mantissa == 0 && text[i-1] == 'i' {
			value = 0 // an integer has no negative zero
		}
	}
	return value, i
}

func isDigit(b byte) bool { return b-'0' <= 9 }

// endsValue reports whether a value that is no string ends before the byte.
func endsValue(b byte) bool { return b == ',' || b == ' ' || b == '\n' || b == '\r' }

// valueKind is what a field's value is.
type valueKind uint8

const (
	kindNumber  valueKind = iota // or boolean
	kindString                   // which is not stored
	kindTooBig                   // a number beyond what its type can hold
	kindMissing                  // likewise the following, which are faults of the line
	kindUnclosed
	kindUnreadable
)

// value reads the value at i, whatever it is. next is behind it; of a fault, it is where that shows.
func (d *Decoder) value(i int) (value float64, kind valueKind, next int) {
	if value, next = number(d.text, i); next >= 0 {
		return value, kindNumber, next
	}
	return d.unusual(i)
}

// unusual is value for what number doesn't read.
func (d *Decoder) unusual(i int) (value float64, kind valueKind, next int) {
	if d.at(i) == '"' {
		return d.skipString(i)
	}
	end := i
	for end < len(d.text) && !endsValue(d.text[end]) {
		end++
	}
	token := d.text[i:end]
	if len(token) == 0 {
		return 0, kindMissing, i
	}
	if isDigit(token[len(token)-1]) {
		value, kind = longNumber(token)
		return value, kind, end
	}
	switch string(token) {
	case "t", "T", "true", "True", "TRUE":
		return 1, kindNumber, end
	case "f", "F", "false", "False", "FALSE":
		return 0, kindNumber, end
	}
	value, kind = longNumber(token)
	return value, kind, end
}

// skipString skips the string at i.
func (d *Decoder) skipString(i int) (value float64, kind valueKind, next int) {
	for next = i + 1; next < len(d.text); next++ {
		switch d.text[next] {
		case '\\':
			next++ // whatever it escapes, if anything, is not the end
		case '"':
			if next+1 < len(d.text) && !endsValue(d.text[next+1]) {
				// Where a mark is missing, the next string's first one ends this: what is on the lines between is read.
				if line := bytes.IndexByte(d.text[i:next], '\n'); line >= 0 {
					return 0, kindUnreadable, i + line
				}
				return 0, kindUnreadable, next + 1
			}
			return 0, kindString, next + 1
		}
	}
	return 0, kindUnclosed, i
}

// longNumber reads a number of any form.
func longNumber(token []byte) (value float64, kind valueKind) {
	var err error
	last := len(token) - 1
	switch {
	case token[0] != '-' && token[0] != '.' && !isDigit(token[0]):
		return 0, kindUnreadable
	case token[last] == 'i':
		var n int64
		n, err = strconv.ParseInt(string(token[:last]), 10, 64)
		value = float64(n)
	case token[last] == 'u':
		var n uint64
		n, err = strconv.ParseUint(string(token[:last]), 10, 64)
		value = float64(n)
	case !isDecimal(token):
		return 0, kindUnreadable
	default:
		value, err = strconv.ParseFloat(string(token), 64)
	}
	switch {
	case err == nil && !math.IsInf(value, 0):
		return value, kindNumber
	case isRange(err):
		return 0, kindTooBig
	}
	return 0, kindUnreadable
}

// isDecimal reports whether a number has nothing but what decimal numbers are made of. What Go takes for a number
// beyond that is none here.
func isDecimal(token []byte) bool {
	for _, b := range token {
		if !isDigit(b) && b != '.' && b != '-' && b != '+' && b|0x20 != 'e' {
			return false
		}
	}
	return true
}
