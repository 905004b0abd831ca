package numfmt

import "math/bits"

// What is here appends to slices that have room.

const pairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// appendWhole appends a whole number.
func appendWhole(dst []byte, n uint64) []byte {
	if n < 10 {
		return append(dst, byte('0'+n))
	}
	if n < 100 {
		return append(dst, pairs[2*n], pairs[2*n+1])
	}
	return appendDigits(dst, n, digitsOf(n))
}

// digitsOf returns how many digits a number has that isn't 0.
func digitsOf(n uint64) int {
	count := bits.Len64(n) * 1233 >> 12
	if n >= tens[count] {
		count++
	}
	return count
}

// appendDigits appends a number with zeros before it so that there are count digits.
func appendDigits(dst []byte, n uint64, count int) []byte {
	start := len(dst)
	dst = dst[:start+count]
	text := dst[start:]
	for count > 1 {
		rest := n / 100
		pair := 2 * (n - rest*100)
		n = rest
		count -= 2
		text[count+1] = pairs[pair+1]
		text[count] = pairs[pair]
	}
	if count > 0 {
		text[0] = byte('0' + n)
	}
	return dst
}

// appendScaled appends a number of millionths that isn't whole, without zeros at its end.
func appendScaled(dst []byte, millionths uint64) []byte {
	whole := millionths / fractionUnit
	fraction := millionths - whole*fractionUnit
	dst = append(appendWhole(dst, whole), '.')
	for {
		first := fraction / 1e4
		dst = append(dst, pairs[2*first], pairs[2*first+1])
		fraction = (fraction - first*1e4) * 100
		if fraction == 0 {
			break
		}
	}
	if dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendDecimal appends digits divided by 10^decimals.
func appendDecimal(dst []byte, digits uint64, decimals int) []byte {
	if decimals == 0 {
		return appendWhole(dst, digits)
	}
	if decimals >= len(tens) { // below 1: there are no more than 17 digits
		return appendDigits(append(dst, '0', '.'), digits, decimals)
	}
	whole := digits / tens[decimals]
	dst = append(appendWhole(dst, whole), '.')
	return appendDigits(dst, digits-whole*tens[decimals], decimals)
}
