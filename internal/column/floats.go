package column

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	// A column of floats begins with a byte: the exponent of its decimals, with a flag if some values are
	// listed behind them, or formBits.
	exponentMask   = 1<<4 - 1
	flagExceptions = 1 << 4
	formBits       = 1 << 5

	exponentSamples = 64
)

// AppendFloats appends the values, bit for bit, as a column to dst.
func AppendFloats(dst []byte, values []float64) []byte {
	if len(values) == 0 {
		return dst
	}
	start := len(dst)
	integers := make([]int64, len(values))
	dst, isDecimal := appendDecimals(dst, values, integers)
	for i, v := range values {
		integers[i] = int64(math.Float64bits(v))
	}
	if isDecimal && chooseRule(integers).cost(integers) >= 8*(len(dst)-start) {
		return dst
	}
	end := len(dst)
	dst = AppendInts(append(dst, formBits), integers)
	if size := len(dst) - end; !isDecimal || size < end-start {
		copy(dst[start:], dst[end:])
		return dst[:start+size]
	}
	return dst[:end]
}

// appendDecimals appends the values as decimals unless most of them are none. It uses integers, which is
// as long.
func appendDecimals(dst []byte, values []float64, integers []int64) (appended []byte, ok bool) {
	exponent, ok := chooseExponent(values, (len(values)+exponentSamples-1)/exponentSamples)
	if !ok {
		return dst, false
	}
	exceptions := convert(values, integers, exponent)
	if exceptions > len(values)/exponentSamples {
		// Those looked at may not be like the others.
		if exponent, ok = chooseExponent(values, 1); !ok {
			return dst, false
		}
		exceptions = convert(values, integers, exponent)
	}
	if exceptions == 0 {
		return AppendInts(append(dst, byte(exponent)), integers), true
	}
	dst = AppendInts(append(dst, byte(exponent)|flagExceptions), integers)
	return appendExceptions(dst, values, integers, exponent, exceptions), true
}

// convert scales the values to integers and returns how many are no decimals. Those become the integer
// before them, which costs the least.
func convert(values []float64, integers []int64, exponent int) (exceptions int) {
	s := scales[exponent]
	before := int64(0)
	for i, v := range values {
		x, ok := s.integer(v)
		if !ok {
			exceptions++
			x = before
		}
		integers[i] = x
		before = x
	}
	return exceptions
}

// appendExceptions lists the values that the integers don't stand for.
func appendExceptions(dst []byte, values []float64, integers []int64, exponent, count int) []byte {
	s := scales[exponent]
	dst = binary.AppendUvarint(dst, uint64(count))
	next := 0
	for i, x := range integers {
		if v := math.Float64bits(values[i]); v != math.Float64bits(s.float(x)) {
			dst = binary.AppendUvarint(dst, uint64(i-next))
			dst = binary.BigEndian.AppendUint64(dst, v)
			next = i + 1
		}
	}
	return dst
}

// Floats decodes a column of len(dst) floats from the start of src and returns the bytes behind it. An
// error wraps ErrCorrupt; what dst holds then means nothing.
func Floats(src []byte, dst []float64) (rest []byte, err error) {
	if len(dst) == 0 {
		return src, nil
	}
	if len(src) == 0 {
		return nil, errShort
	}
	form := src[0]
	exponent := form & exponentMask
	if form != formBits && (form&^(exponentMask|flagExceptions) != 0 || exponent > maxExponent) {
		return nil, fmt.Errorf("%w: floats in form %#x, which is unknown to this version", ErrCorrupt, form)
	}
	d := floatReader{bits: form == formBits, scale: scales[exponent]}
	if err := d.init(src[1:]); err != nil {
		return nil, err
	}
	d.convert(dst[:1], []int64{d.last})
	for at := dst[1:]; len(at) > 0; {
		n := min(len(at), blockSize)
		if err := d.nextFloats(at[:n]); err != nil {
			return nil, err
		}
		at = at[n:]
	}
	if form&flagExceptions != 0 {
		return patch(d.src, dst)
	}
	return d.src, nil
}

// ScaleOf tells of a column of floats at the start of src whether all of them are decimals, and if so, by which power
// of ten their integers are divided.
func ScaleOf(src []byte) (s Scale, ok bool) {
	if len(src) == 0 || src[0] > maxExponent {
		return Scale{}, false
	}
	return Scale{scales[src[0]]}, true
}

// Scaled decodes a column for which ScaleOf says ok to the integers that its floats are made of. An error wraps
// ErrCorrupt; what dst holds then means nothing.
func Scaled(src []byte, dst []int64) (rest []byte, err error) {
	if len(dst) == 0 {
		return src, nil
	}
	return Ints(src[1:], dst)
}

// floatReader decodes a column of floats but for its exceptions.
type floatReader struct {
	reader
	bits  bool
	scale scale

	integers [blockSize]int64
}

// nextFloats decodes the next len(dst) floats, a block.
func (r *floatReader) nextFloats(dst []float64) error {
	switch {
	case r.mode == modeDelta && r.bits:
		return r.nextBits(dst)
	case r.mode == modeDelta:
		return r.nextDecimals(dst)
	}
	integers := r.integers[:len(dst)]
	if err := r.next(integers); err != nil {
		return err
	}
	r.convert(dst, integers)
	return nil
}

// nextDecimals is nextFloats for the usual column, decimals by their differences: in one go, which takes
// half as long.
func (r *floatReader) nextDecimals(dst []float64) error {
	residuals, add, err := r.block(len(dst))
	if err != nil {
		return err
	}
	dst = dst[:len(residuals)]
	last := r.last
	if r.scale.power == 1 {
		for i, residual := range residuals {
			last += residual + add
			dst[i] = float64(last)
		}
	} else {
		s := r.scale
		for i, residual := range residuals {
			last += residual + add
			dst[i] = s.float(last)
		}
	}
	r.last = last
	return nil
}

// nextBits is nextDecimals for the usual column of floats that are no decimals.
func (r *floatReader) nextBits(dst []float64) error {
	residuals, add, err := r.block(len(dst))
	if err != nil {
		return err
	}
	dst = dst[:len(residuals)]
	last := r.last
	for i, residual := range residuals {
		last += residual + add
		dst[i] = math.Float64frombits(uint64(last))
	}
	r.last = last
	return nil
}

// convert turns the integers of a column into the floats they stand for.
func (r *floatReader) convert(dst []float64, integers []int64) {
	dst = dst[:len(integers)]
	switch {
	case r.bits:
		for i, x := range integers {
			dst[i] = math.Float64frombits(uint64(x))
		}
	case r.scale.power == 1:
		for i, x := range integers {
			dst[i] = float64(x)
		}
	default:
		s := r.scale
		for i, x := range integers {
			dst[i] = s.float(x)
		}
	}
}

// patch sets the values listed at the start of src.
func patch(src []byte, dst []float64) (rest []byte, err error) {
	count, size := binary.Uvarint(src)
	if size <= 0 {
		return nil, errShort
	}
	src = src[size:]
	for ; count > 0; count-- {
		skip, size := binary.Uvarint(src)
		if size <= 0 || len(src) < size+8 {
			return nil, errShort
		}
		if skip >= uint64(len(dst)) {
			return nil, fmt.Errorf("%w: an exception behind the last float", ErrCorrupt)
		}
		dst[skip] = math.Float64frombits(binary.BigEndian.Uint64(src[size:]))
		src, dst = src[size+8:], dst[skip+1:]
	}
	return src, nil
}
