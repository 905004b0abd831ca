package column

import (
	"encoding/binary"
	"math"
)

// reference decodes columns as they are written down in the package comment, bit by bit and without a
// thought of speed. It is what the decoders are compared with.
type reference struct {
	src []byte
	bit int // of src[0]
}

func (r *reference) byte() byte {
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func (r *reference) varint() int64 {
	v, n := binary.Varint(r.src)
	r.src = r.src[n:]
	return v
}

func (r *reference) uvarint() uint64 {
	v, n := binary.Uvarint(r.src)
	r.src = r.src[n:]
	return v
}

// bits reads n bits, the lowest first.
func (r *reference) bits(n int) uint64 {
	v := uint64(0)
	for i := range n {
		v |= uint64(r.src[0]>>r.bit&1) << i
		if r.bit++; r.bit == 8 {
			r.src, r.bit = r.src[1:], 0
		}
	}
	return v
}

func (r *reference) align() {
	if r.bit > 0 {
		r.src, r.bit = r.src[1:], 0
	}
}

func (r *reference) ints(n int) []int64 {
	mode, first, step := r.byte(), r.varint(), int64(0)
	if mode != 2 {
		step = r.varint()
	}
	values := []int64{first}
	difference := step
	for len(values) < n {
		residuals := make([]int64, min(128, n-len(values)))
		if mode != 0 {
			residuals = r.block(len(residuals))
		}
		for _, residual := range residuals {
			i, last := int64(len(values)), values[len(values)-1]
			switch mode {
			case 0, 1:
				values = append(values, first+i*step+residual)
			case 2:
				values = append(values, last+residual)
			case 3:
				difference += residual
				values = append(values, last+difference)
			}
		}
	}
	return values
}

func (r *reference) block(n int) []int64 {
	head, stored := r.byte(), r.varint()
	width, sparse, dense := int(head&63), head>>6&1 == 1, head>>7 == 1
	if head == 255 {
		width, sparse, dense = 64, false, false
	}
	centre, half := stored, int64(0)
	for range width - 6 {
		centre *= 2
	}
	if width > 0 && width < 64 {
		half = 1 << (width - 1)
	}
	low, high := make([]uint64, n), make([]int64, n)
	for i := range low {
		low[i] = r.bits(width)
	}
	r.align()
	if dense {
		for i := range high {
			zeros := int64(0)
			for r.bits(1) == 0 {
				zeros++
			}
			if high[i] = zeros / 2; zeros%2 == 1 {
				high[i] = -(zeros + 1) / 2
			}
		}
		r.align()
	}
	if sparse {
		head := r.byte()
		list := r.src[:int(head&127)+1]
		r.src = r.src[len(list):]
		for _, b := range list {
			more := int64(0)
			if head >= 128 {
				more = int64(r.uvarint())
			}
			if b < 128 {
				high[b] += 1 + more
			} else {
				high[b-128] -= 1 + more
			}
		}
	}
	residuals := make([]int64, n)
	for i := range residuals {
		residuals[i] = centre - half + int64(low[i]) + high[i]<<width
	}
	return residuals
}

func (r *reference) floats(n int) []float64 {
	form := r.byte()
	integers := r.ints(n)
	values := make([]float64, n)
	for i, x := range integers {
		if form == 32 {
			values[i] = math.Float64frombits(uint64(x))
		} else {
			values[i] = float64(x) / math.Pow10(int(form&15))
		}
	}
	if form&16 != 0 {
		at := 0
		for range r.uvarint() {
			at += int(r.uvarint())
			values[at] = math.Float64frombits(binary.BigEndian.Uint64(r.src))
			r.src = r.src[8:]
			at++
		}
	}
	return values
}
