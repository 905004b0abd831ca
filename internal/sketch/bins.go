package sketch

import "math"

// RelativeError bounds how far the number that stands for a bin is from any value in it, relative to that
// value.
const RelativeError = 0.01

// Bins of positive values; a negative value is counted like its opposite, but apart. In units of the
// smallest subnormal number:
//
//	bin                     values
//	1 to 8191               that many units
//	8192 + 35 o + k         from 2^13 * 2^o * edges[k] on, up to the next bin
//
// where o is an octave, 0 to 2084, and edges[k] is 2^(k/35). Below 8192 units, floats are too far apart for
// a bin of several to have one that is close enough to all of them.
const (
	exactBins  = 1 << exactBits
	exactBits  = 13
	octaveBins = 35
	octaves    = 1074 + 1024 - exactBits
	maxBin     = exactBins + octaves*octaveBins - 1

	mantissaBits = 52
	mantissaMask = 1<<mantissaBits - 1
	absoluteMask = 1<<63 - 1

	// firstNormal is the octave of the smallest normal number, less its biased exponent, 1.
	firstNormal = mantissaBits - exactBits - 1

	smallestNormal = 1 << mantissaBits // its bits
	bitsOfInfinity = 0x7ff << mantissaBits
)

// edges are where the bins of an octave begin, in units of 2^-52 of its width: 2^52 * (2^(k/35) - 1), rounded up.
var edges = [octaveBins + 1]uint64{
	0x0, 0x51ed35254d7b, 0xa57de9c16bc8, 0xfaba81d4e5e0, 0x151ab8c56eea3,
	0x1aa59c4115e7e, 0x204ce10811782, 0x2611186bae675, 0x2bf2d6a54f7db, 0x31f2b2e54f85d,
	0x381147622f887, 0x3e4f316812c30, 0x44ad116889e7c, 0x4b2b8b0aaf3c8, 0x51cb453b9536d,
	0x588cea3f093be, 0x5f7127c0ac32a, 0x6678aee5629f8, 0x6da4345d1e0ae, 0x74f47075017a0,
	0x7c6a1f29e2ce7, 0x8406003b2ae5d, 0x8bc8d73e16610, 0x93b36bb158fff, 0x9bc68911258c0,
	0xa402feeb9c533, 0xac69a0f5a241d, 0xb4fb472022b1b, 0xbdb8cdadbe121, 0xc6a31548e794e,
	0xcfbb031a741a5, 0xd90180e09c9e4, 0xe2777d0676771, 0xec1deabbe3c15, 0xf5f5c20dfe5f3,
	1 << mantissaBits,
}

// cell is what the 8 highest bits of a mantissa tell of the bin within the octave: the bin before the
// next edge, and that edge. No two edges share a cell.
type cell struct {
	edge uint64
	bin  int64
}

var cells = func() (table [256]cell) {
	k := 0
	for i := range table {
		for edges[k+1] <= uint64(i)<<(mantissaBits-8) {
			k++
		}
		table[i] = cell{edge: edges[k+1], bin: int64(k)}
	}
	return table
}()

// binOf returns the bin of a normal positive float with these bits.
func binOf(bits uint64) int64 {
	mantissa := bits & mantissaMask
	c := &cells[mantissa>>(mantissaBits-8)]
	bin := int64(bits>>mantissaBits+firstNormal)*octaveBins + exactBins + c.bin
	if mantissa >= c.edge {
		bin++
	}
	return bin
}

// binOfAny is binOf for subnormal floats and zero, too. The bin of zero is 0.
func binOfAny(bits uint64) int64 {
	switch {
	case bits >= smallestNormal:
		return binOf(bits)
	case bits < exactBins: // the bits of a subnormal number are how many units it is
		return int64(bits)
	}
	// As if it were normal: multiplied by 2^52, it is, and 52 octaves higher.
	scaled := math.Float64bits(math.Float64frombits(bits) * (1 << mantissaBits))
	return binOf(scaled) - mantissaBits*octaveBins
}

// valueOf returns the number that stands for a bin: the one whose relative error is the same for both of
// its edges.
func valueOf(bin int64) float64 {
	if bin < exactBins {
		return math.Float64frombits(uint64(bin))
	}
	octave, k := (bin-exactBins)/octaveBins, (bin-exactBins)%octaveBins
	low := 1 + float64(edges[k])/(1<<mantissaBits)
	high := 1 + float64(edges[k+1])/(1<<mantissaBits)
	return math.Ldexp(float64(2*low*high)/(low+high), int(octave)+exactBits-1074)
}
