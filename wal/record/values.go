package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// The column of values. Most measurements are integers or short decimals, so a value is stored as the
// scaled integer m where m / 10^scale is the value bit for bit, and as its eight bytes otherwise: -0,
// NaN, infinities and full-precision numbers. The idea is that of decimal modes such as M3's and ALP's;
// a division of two exact float64s is rounded correctly, so whatever was parsed from a short decimal
// comes back.
//
//	+---------+----------------------------+------------------------------+
//	| scale 1 | class of each value, 4 bit | each value's bytes           |
//	+---------+----------------------------+------------------------------+
//
// The class of value 2i is in the low half of byte i. The scale is one for the column, 0 to 12. Bytes
// are little-endian, so that a value is one load and a mask.
//
//	class 0       0 bytes    the value is +0
//	class 1..7    1..7       zigzag(m), the value is m
//	class 8       8          the value's bits
//	class 9..15   1..7       zigzag(m), the value is m / 10^scale (up to 2^41 written so)
//
// Scale 255 says that all values are stored as their eight bytes and that there are no classes.

const (
	maxScale    = 12
	scaleRaw    = 255
	classRaw    = 8
	classScaled = 8 // added to the width of a scaled integer
	// maxScaled bounds |value * 10^scale|. Below it, the product's rounding error and that of the value
	// add up to far less than a half, so rounding finds m whenever there is one; and few numbers of full
	// precision (one in 4,096) pass for decimals by chance. Unix seconds with milliseconds fit.
	maxScaled = 1 << 41
	// maxPacked bounds zigzag(m): seven bytes.
	maxPacked = 1 << 56
	// scaleProbes is how many values are looked at to choose the scale.
	scaleProbes = 32
)

var powersOfTen = [maxScale + 1]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}

// classWidths and classMasks give the number of bytes of a class, and the bits of a load that count.
var (
	classWidths = [16]uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7}
	classMasks  = [16]uint64{
		0, 1<<8 - 1, 1<<16 - 1, 1<<24 - 1, 1<<32 - 1, 1<<40 - 1, 1<<48 - 1, 1<<56 - 1,
		math.MaxUint64, 1<<8 - 1, 1<<16 - 1, 1<<24 - 1, 1<<32 - 1, 1<<40 - 1, 1<<48 - 1, 1<<56 - 1,
	}
)

func appendValues(dst []byte, values []float64) []byte {
	scale := chooseScale(values)
	dst = append(dst, scale)
	if scale == scaleRaw {
		dst = slices.Grow(dst, 8*len(values))
		for _, value := range values {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(value))
		}
		return dst
	}
	power := float64(powersOfTen[scale])
	classBytes := (len(values) + 1) / 2
	start := len(dst)
	dst = slices.Grow(dst, classBytes+8*len(values))[:start+classBytes+8*len(values)]
	classes, data := dst[start:start+classBytes], dst[start+classBytes:]
	clear(classes)
	used := 0
	for i, value := range values {
		class, packed := pack(value, power)
		classes[i/2] |= class << (i & 1 * 4)
		// There is room: each value before this one took at most 8 of the 8 bytes meant for it.
		binary.LittleEndian.PutUint64(data[used:used+8], packed)
		used += int(classWidths[class])
	}
	return dst[:start+classBytes+used]
}

// pack returns the class of a value and what to store.
func pack(value, power float64) (class byte, packed uint64) {
	valueBits := math.Float64bits(value)
	if whole := int64(value); math.Float64bits(float64(whole)) == valueBits {
		if packed = zigzag(whole); packed < maxPacked {
			return byte((bits.Len64(packed) + 7) / 8), packed
		}
		return classRaw, valueBits
	}
	if scaled, ok := scaleValue(value, power); ok {
		packed = zigzag(scaled)
		return classScaled + byte((bits.Len64(packed)+7)/8), packed
	}
	return classRaw, valueBits
}

// scaleValue returns the integer whose quotient by power is value bit for bit, if there is one.
func scaleValue(value, power float64) (scaled int64, ok bool) {
	product := float64(value * power)
	if !(math.Abs(product) < maxScaled) { // so written for NaN
		return 0, false
	}
	scaled = int64(math.RoundToEven(product))
	return scaled, math.Float64bits(float64(scaled)/power) == math.Float64bits(value)
}

// chooseScale returns the scale that holds all decimals among a few values spread over the column, or
// scaleRaw when none of them is an integer or a decimal. The choice costs bytes at worst, never a value.
func chooseScale(values []float64) byte {
	probes := min(len(values), scaleProbes)
	scale, short := byte(0), false
	for i := range probes {
		value := values[i*len(values)/probes]
		if value == math.Trunc(value) {
			short = short || math.Abs(value) < maxPacked/2
			continue
		}
		if needed, ok := decimals(value, scale); ok {
			scale, short = needed, true
		}
	}
	if !short {
		return scaleRaw
	}
	return scale
}

// decimals returns the smallest scale, from the given one on, that holds the value.
func decimals(value float64, from byte) (scale byte, ok bool) {
	// What fits a scale fits every higher one up to maxScaled, so one try at the highest tells numbers
	// of full precision from decimals.
	highest := byte(maxScale)
	for highest > from && !(math.Abs(value)*float64(powersOfTen[highest]) < maxScaled) {
		highest--
	}
	if _, ok := scaleValue(value, float64(powersOfTen[highest])); !ok {
		return 0, false
	}
	for scale = from; ; scale++ {
		if _, ok := scaleValue(value, float64(powersOfTen[scale])); ok {
			return scale, true
		}
	}
}

// decodeValues is the inverse of appendValues; body must hold nothing else.
func decodeValues(body []byte, values []float64) error {
	if len(body) == 0 {
		return errCut
	}
	scale, body := body[0], body[1:]
	if scale == scaleRaw {
		if len(body) != 8*len(values) {
			return fmt.Errorf("%d values in %d bytes", len(values), len(body))
		}
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(body[8*i:]))
		}
		return nil
	}
	if scale > maxScale {
		return fmt.Errorf("scale %d of values", scale)
	}
	classBytes := (len(values) + 1) / 2
	if len(body) < classBytes {
		return errCut
	}
	classes, data := body[:classBytes], body[classBytes:]
	if len(values)&1 == 1 && classes[classBytes-1]>>4 != 0 {
		return fmt.Errorf("class %d behind the last value", classes[classBytes-1]>>4)
	}
	var divisors [16]float64
	for class := range divisors {
		divisors[class] = 1
		if class > classScaled {
			divisors[class] = float64(powersOfTen[scale])
		}
	}
	for i := range values {
		class := classes[i/2] >> (i & 1 * 4) & 15
		width := int(classWidths[class])
		if width > len(data) {
			return errCut
		}
		packed := loadUint64(data) & classMasks[class]
		data = data[width:]
		if class == classRaw {
			values[i] = math.Float64frombits(packed)
		} else {
			values[i] = float64(unzigzag(packed)) / divisors[class]
		}
	}
	if len(data) != 0 {
		return fmt.Errorf("%d bytes after the last value", len(data))
	}
	return nil
}

// loadUint64 reads eight little-endian bytes, zeros where data ends before.
func loadUint64(data []byte) uint64 {
	if len(data) >= 8 {
		return binary.LittleEndian.Uint64(data)
	}
	var padded [8]byte
	copy(padded[:], data)
	return binary.LittleEndian.Uint64(padded[:])
}
