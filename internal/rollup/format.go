package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/flopynet/collector/model"
)

// A stored chunk:
//
//	1 byte   1, the version of the format
//	1 byte   tier: 1 = 5m, 2 = 1h
//	2 bytes  flags: bit n = column n is there, see kind; bit 13 = values are decimals; bit 14 = resets are
//	         known; the others are zero
//	1 byte   only if values are decimals: the exponent e, 0 to 12; a value is an integer / 10^e
//	uvarint  count of points, less one
//	uvarint  start of the first bucket, in widths of the tier
//	uvarint  how many buckets between the first and the last are absent
//	uvarint  length of the column, in bytes, for each column that is there
//	the columns
//	4 bytes  CRC32C of the key, followed by the value up to here
const (
	version       = 1
	checksumBytes = 4

	flagDecimals = 1 << 13
	flagResets   = 1 << 14
)

// MaxPoints is how many points a chunk can hold.
const MaxPoints = 4096

// kind numbers what a chunk may hold of its points, in the order of the bytes. One that is not there has
// its default for all points.
type kind uint8

const (
	kindStarts     kind = iota // integers, in widths; default: no bucket is absent
	kindCounts                 // integers
	kindNaNs                   // integers; default 0
	kindStale                  // a uvarint for each that is true: how many false ones are before it; default false
	kindFirstTimes             // offsets in the bucket; default 0
	kindLastTimes              // offsets; default 0
	kindSums
	kindLasts
	kindFirsts
	kindMins
	kindMaxs
	kindResets // a uvarint for each that is not 0: how many 0 are before it; its 8 bytes; default 0
	kindM2s
	kinds = iota
)

// ErrCorrupt is wrapped by every error about bytes that are not points or sketches as this package
// writes them.
var ErrCorrupt = errors.New("damaged rollup")

var errShort = fmt.Errorf("%w: it ends too early", ErrCorrupt)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC32C of key, then data.
func checksum(key, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, data)
}

// open checks a value's checksum and version and returns what is between them.
func open(key, value []byte) ([]byte, error) {
	end := len(value) - checksumBytes
	if end < 1 {
		return nil, fmt.Errorf("%w: %d bytes, too few for a version and a checksum", ErrCorrupt, len(value))
	}
	want := binary.BigEndian.Uint32(value[end:])
	if got := checksum(key, value[:end]); got != want {
		return nil, fmt.Errorf("%w: checksum is %08x, but %08x is stored", ErrCorrupt, got, want)
	}
	if value[0] != version {
		return nil, fmt.Errorf("%w: format %d is unknown to this version", ErrCorrupt, value[0])
	}
	return value[1:end], nil
}

// Chunk is a stored run of points. It shares the memory it was opened from.
type Chunk struct {
	tier     model.Tier
	flags    uint16
	exponent uint8
	buckets  bucketRange
	payload  []byte
	ends     [kinds]int // of the columns, in payload
}

// Tier returns the tier of the points.
func (c Chunk) Tier() model.Tier { return c.tier }

// Len returns the number of points, 1 to MaxPoints.
func (c Chunk) Len() int { return c.buckets.count }

// First returns the start of the first bucket, in nanoseconds since the epoch.
func (c Chunk) First() int64 { return c.buckets.first }

// Last returns the start of the last bucket.
func (c Chunk) Last() int64 { return c.buckets.last }

// HasResets reports whether Resets were kept.
func (c Chunk) HasResets() bool { return c.flags&flagResets != 0 }

// Open checks a stored chunk against its key. An error wraps ErrCorrupt and says what is wrong.
func Open(key, value []byte) (Chunk, error) {
	src, err := open(key, value)
	if err != nil {
		return Chunk{}, err
	}
	return parse(src)
}

// parse reads what is between version and checksum.
func parse(src []byte) (Chunk, error) {
	if len(src) < 3 {
		return Chunk{}, errShort
	}
	c := Chunk{tier: model.Tier(src[0]), flags: binary.BigEndian.Uint16(src[1:])}
	src = src[3:]
	if c.tier != model.Tier5m && c.tier != model.Tier1h {
		return Chunk{}, fmt.Errorf("%w: it is of the %v, which has no points", ErrCorrupt, c.tier)
	}
	if c.flags >= flagResets<<1 {
		return Chunk{}, fmt.Errorf("%w: flags %#x are unknown to this version", ErrCorrupt, c.flags)
	}
	if c.flags&flagDecimals != 0 {
		if len(src) == 0 || src[0] > maxExponent {
			return Chunk{}, fmt.Errorf("%w: the exponent is missing or above %d", ErrCorrupt, maxExponent)
		}
		c.exponent = src[0]
		src = src[1:]
	}
	var err error
	if c.buckets, src, err = readRange(src, c.tier.Width()); err != nil {
		return Chunk{}, err
	}
	return c, c.parseLengths(src)
}

func (c *Chunk) parseLengths(src []byte) error {
	end := 0
	for i := range c.ends {
		if c.flags&(1<<i) != 0 {
			length, n := binary.Uvarint(src)
			if n <= 0 || length > uint64(len(src)) {
				return fmt.Errorf("%w: the length of column %d is missing or too large", ErrCorrupt, i)
			}
			src = src[n:]
			end += int(length)
		}
		c.ends[i] = end
	}
	if end != len(src) {
		return fmt.Errorf("%w: its columns have %d bytes, but there are %d", ErrCorrupt, end, len(src))
	}
	c.payload = src
	return nil
}

// column returns the bytes of a column and whether it is there.
func (c *Chunk) column(i kind) ([]byte, bool) {
	begin := 0
	if i > 0 {
		begin = c.ends[i-1]
	}
	return c.payload[begin:c.ends[i]], c.flags&(1<<i) != 0
}
