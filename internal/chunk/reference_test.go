package chunk

import (
	"encoding/binary"
	"math"
)

// reference decodes a stored chunk bit by bit, as the format is written down, without a thought of
// speed. It is what the decoder is compared with.
type reference struct {
	payload []byte
	pos     int
}

func (r *reference) read(n int) uint64 {
	var v uint64
	for range n {
		v = v<<1 | uint64(r.payload[r.pos/8]>>(7-r.pos%8)&1)
		r.pos++
	}
	return v
}

func (r *reference) readSigned(n int) int64 { return int64(r.read(n)<<(64-n)) >> (64 - n) }

func referenceDecode(stored []byte) (times []int64, values []float64) {
	unit := int64(math.Pow10(int(stored[1])))
	count := int(binary.BigEndian.Uint32(stored[4:]))
	time := int64(binary.BigEndian.Uint64(stored[8:]))
	bits := binary.BigEndian.Uint64(stored[48:])
	times, values = append(times, time), append(values, math.Float64frombits(bits))
	r := &reference{payload: stored[64 : len(stored)-4]}
	delta, leading, length := int64(0), 0, 64
	for len(times) < count {
		ones := 0
		for ones < 5 && r.read(1) == 1 {
			ones++
		}
		if ones > 0 {
			delta += r.readSigned([]int{0, 7, 14, 20, 28, 64}[ones]) * unit
		}
		time += delta
		if r.read(1) == 1 {
			if r.read(1) == 1 {
				leading, length = int(r.read(5)), int(r.read(6))+1
			}
			bits ^= r.read(length) << (64 - leading - length)
		}
		times, values = append(times, time), append(values, math.Float64frombits(bits))
	}
	return times, values
}
