package column

import (
	"math"
	"math/bits"
)

// plan is how a block is written.
type plan struct {
	width  uint
	centre int64 // as it is stored, see centreShift
	dense  bool
	bits   int // that the block takes, about
}

// denseGain is the part of a block's bits, as a divisor, that unary codes have to save: they take longer
// to decode than they are worth below it.
const denseGain = 16

// maxDenseWidth is the width of a sparse block above which unary codes can't save that much.
const maxDenseWidth = 8

// planBlock finds a way to write the values, at most blockSize of them, in few bits. It looks around
// the median of a few; thorough makes it go on to the mean of those near it, and to the middle of what
// then fits a sparse block, around which more may fit.
func planBlock(values []int64, thorough bool) plan {
	best := planAround(values, median(values))
	if !thorough || best.bits == headBits(best.centre, best.width) {
		return best
	}
	mean, _ := best.centres(values)
	if next := planAround(values, mean); next.bits < best.bits {
		best = next
	}
	if best.dense {
		return best
	}
	_, middle := best.centres(values)
	if next := planAround(values, middle); next.bits < best.bits {
		best = next
	}
	return best
}

// centres returns the mean of the values near the plan's centre, and the middle of those that have no
// high part.
func (p plan) centres(values []int64) (mean, middle int64) {
	const near = 3 // bits more than the width
	centre, width := p.centre<<centreShift(p.width), int(p.width)
	least, greatest, sum, count := int64(0), int64(0), int64(0), 0
	for _, v := range values {
		x := v - centre
		length := bits.Len64(zigzag(x))
		if length <= width {
			least, greatest = min(least, x), max(greatest, x)
		}
		if length <= width+near {
			sum += x
			count++
		}
	}
	mean = centre + int64(math.Round(float64(sum)/float64(max(1, count))))
	return mean, centre + least + int64(uint64(greatest-least)/2)
}

// median returns the median of nine of the values: a centre that a few outliers don't move.
func median(values []int64) int64 {
	var some [9]int64
	n := 0
	for i := range some {
		v := values[i*(len(values)-1)/(len(some)-1)]
		at := n
		for ; at > 0 && some[at-1] > v; at-- {
			some[at] = some[at-1]
		}
		some[at] = v
		n++
	}
	return some[len(some)/2]
}

// lengths counts integers by the length of their zigzag form in bits: an integer of length l has no high
// part at width l and one at any width below.
type lengths []uint8

// planAround plans the block around a centre.
func planAround(values []int64, centre int64) (best plan) {
	counts := make(lengths, 65)
	for _, v := range values {
		counts[bits.Len64(zigzag(v-centre))]++
	}
	top := len(counts) - 1
	for top > 0 && counts[top] == 0 {
		top--
	}
	used := counts[:top+1]
	best.width, best.bits = used.sparse(len(values), centre)
	if best.width <= maxDenseWidth {
		if width, cost := used.dense(len(values), centre); cost < best.bits-best.bits/denseGain {
			best.width, best.bits, best.dense = width, cost, true
		}
	}
	best.centre = roundShift(centre, centreShift(best.width))
	return best
}

// roundShift returns v / 2^shift, rounded.
func roundShift(v int64, shift uint) int64 {
	if shift == 0 {
		return v
	}
	return (v>>(shift-1) + 1) >> 1
}

// headBits is what the first byte and the centre take.
func headBits(centre int64, width uint) int {
	code := zigzag(centre >> centreShift(width))
	return 8 + 8*max(1, (bits.Len64(code)+6)/7)
}

// sparse returns the width at which n integers with these lengths take the fewest bits, few of them
// having a high part.
func (c lengths) sparse(n int, centre int64) (width uint, cost int) {
	top := len(c) - 1
	width, cost = uint(top), headBits(centre, uint(top))+(n*top+7)&^7
	highs, bits := 0, 0 // of the longer ones, the number and their lengths' sum
	for w := top - 1; w >= 0 && 8*highs < cost; w-- {
		highs += int(c[w+1])
		bits += int(c[w+1]) * (w + 1)
		if w > 0 && c[w] == 0 {
			continue
		}
		own := headBits(centre, uint(w)) + (n*w+7)&^7 + 8 + 8*highs
		if top > w+1 {
			own += listedBits(highs, bits-highs*w)
		}
		if own < cost {
			width, cost = uint(w), own
		}
	}
	return width, cost
}

// listedBits is about what high parts take in a list beside their positions, if their integers are this
// much longer than the width, together: seven bits fit a byte.
func listedBits(highs, longer int) int { return max(8*highs, (8*longer+16*highs)/7) }

// What a high part takes in unary beyond a bit, in quarters of a bit, by how much longer than the width
// its integer is: an estimate for integers that grow rarer with their distance from the centre. At a
// width of zero the lengths are those of the high parts themselves.
var (
	unaryQuarters      = [5]int{0, 6, 9, 18, 48}
	unaryQuartersWhole = [5]int{0, 4, 10, 19, 48}
)

// dense returns the width at which n integers with these lengths take the fewest bits with all high parts
// in unary.
func (c lengths) dense(n int, centre int64) (width uint, cost int) {
	for w := range uint(maxDenseWidth) {
		quarters := &unaryQuarters
		if w == 0 {
			quarters = &unaryQuartersWhole
		}
		own, longer := 0, 0
		for l := int(w) + 1; l < len(c); l++ {
			longer += int(c[l])
			if l-int(w) < len(quarters) {
				own += int(c[l]) * quarters[l-int(w)]
			} else {
				own += int(c[l]) * 4 * (8 + listedBits(1, l-int(w)))
			}
		}
		own = headBits(centre, w) + n*int(w+1) + own/4
		if w == 0 || own < cost {
			width, cost = w, own
		}
		if longer == 0 {
			break
		}
	}
	return width, cost
}
