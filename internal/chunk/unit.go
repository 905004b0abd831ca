package chunk

import "fmt"

// Unit is a unit of time: the power of ten of nanoseconds with this exponent.
type Unit uint8

// MaxUnit is a second. A coarser unit would save nothing: what changes between samples at whole seconds
// fits the shortest code already.
const MaxUnit Unit = 9

var unitNanoseconds = [MaxUnit + 1]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// Nanoseconds returns the length of the unit, which must not exceed MaxUnit.
func (u Unit) Nanoseconds() int64 { return unitNanoseconds[u] }

func (u Unit) String() string { return fmt.Sprintf("1e%d ns", uint8(u)) }

// refine returns the coarsest unit, none coarser than u, of which every step from last through times is
// a multiple.
func (u Unit) refine(last int64, times []int64) Unit {
	known := int64(0) // a step that is a multiple of the unit
	for _, time := range times {
		step := time - last
		last = time
		if step == known {
			continue
		}
		for step%u.Nanoseconds() != 0 {
			u--
		}
		known = step
	}
	return u
}
