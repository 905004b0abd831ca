package numfmt

import (
	"math"
	"math/bits"
)

// fives[n] is 5^n.
var fives = [...]uint64{
	1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125, 244140625, 1220703125, 6103515625, 30517578125,
	152587890625, 762939453125, 3814697265625, 19073486328125, 95367431640625, 476837158203125, 2384185791015625,
}

// shortest returns the digits and the number of decimals of the shortest decimal that is nearest to value among
// all float64s, and the nearest to value of several such. The value lies from 1e-6 to below 2^53 and isn't whole.
//
// It is c times 2^q. With n the number of decimals at which neighbouring float64s are at least one unit but less
// than ten apart, everything is compared in quarters of such a unit: value and the ends of the interval that is
// read as value are 4c and 4c-2, 4c+2 times 5^n times 2^(q+n), whole numbers of 107 bits at most shifted to the
// right, where what is shifted out only matters for being zero or not.
func shortest(value float64) (digits uint64, decimals int) {
	const mantissaBits, bias = 52, 1023
	word := math.Float64bits(value)
	c := word&(1<<mantissaBits-1) | 1<<mantissaBits
	q := int(word>>mantissaBits) - bias - mantissaBits
	below, tenfold := uint64(2), q*1262611 // log10(2^q) in units of 2^-22
	if c == 1<<mantissaBits {              // the float64 before is only half as far away
		below, tenfold = 1, tenfold-524031
	}
	n := -(tenfold >> 22)
	shift := uint(-q - n)
	five := fives[n]
	high, low := bits.Mul64(4*c, five)
	middle := quarters(high, low, shift)
	l, borrow := bits.Sub64(low, below*five, 0)
	least := quarters(high-borrow, l, shift)
	g, carry := bits.Add64(low, 2*five, 0)
	most := quarters(high+carry, g, shift)
	if c&1 != 0 { // the ends are read as the neighbours, whose mantissas are even
		least, most = least+1, most-1
	}
	whole := middle / 4
	if tens := whole / 10; tens > 0 { // one digit less
		lower, upper := least <= 40*tens, 40*tens+40 <= most
		if lower != upper {
			if upper {
				tens++
			}
			return trim(tens, n-1)
		}
	}
	lower, upper := least <= 4*whole, 4*whole+4 <= most
	if lower != upper {
		if upper {
			whole++
		}
		return whole, n
	}
	if rest := middle - 4*whole; rest > 2 || rest == 2 && whole&1 != 0 {
		whole++
	}
	return whole, n
}

// quarters shifts 128 bits to the right by less than 64, and sets the last bit of what is left if others are lost.
func quarters(high, low uint64, shift uint) uint64 {
	kept := high<<(64-shift) | low>>shift
	if low&(1<<shift-1) != 0 {
		kept |= 1
	}
	return kept
}

// trim drops zeros at the end of a decimal.
func trim(digits uint64, decimals int) (uint64, int) {
	for decimals > 0 {
		tens := digits / 10
		if tens*10 != digits {
			break
		}
		digits, decimals = tens, decimals-1
	}
	return digits, decimals
}
