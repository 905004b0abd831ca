package chunk

import (
	"fmt"
	"slices"
)

// Block is an immutable run of encoded samples, from an Appender or from a stored chunk, whose memory it
// shares. The zero Block holds nothing and decodes to nothing.
type Block struct {
	header   Header
	words    []byte // the payload, or its whole words if it comes from an Appender
	tail     uint64 // the bits behind them, at the top
	tailBits uint8
}

// Header returns what is known of the samples without decoding them.
func (b Block) Header() Header { return b.header }

// Count returns the number of samples.
func (b Block) Count() int { return b.header.Count }

// MinTime returns the first sample's time in nanoseconds since the epoch.
func (b Block) MinTime() int64 { return b.header.MinTime }

// MaxTime returns the last sample's time.
func (b Block) MaxTime() int64 { return b.header.MaxTime }

// Decode appends all samples, in time order, to times and values and returns the slices, which grow at
// most once. An error wraps ErrCorrupt; the slices are then as they were.
func (b Block) Decode(times []int64, values []float64) ([]int64, []float64, error) {
	n := b.header.Count
	if n == 0 {
		return times, values, nil
	}
	oldTimes, oldValues := len(times), len(values)
	newTimes := slices.Grow(times, n)[:oldTimes+n]
	newValues := slices.Grow(values, n)[:oldValues+n]
	var err error
	if b.header.Codec == CodecDecimal {
		err = b.decodeDecimal(newTimes[oldTimes:], newValues[oldValues:])
	} else {
		err = b.decodeGorilla(newTimes[oldTimes:], newValues[oldValues:])
	}
	if err != nil {
		return times, values, err
	}
	return newTimes, newValues, nil
}

// decodeGorilla decodes the block into slices as long as it is.
func (b *Block) decodeGorilla(times []int64, values []float64) error {
	times[0], values[0] = b.header.MinTime, b.header.First
	var decoder decoder
	decoder.init(b)
	decoder.decode(times[1:], values[1:])
	return decoder.check(&b.header)
}

// Seal appends the samples as a stored chunk under key to dst. There must be at least one.
func (b Block) Seal(dst, key []byte) []byte {
	if b.header.Count == 0 {
		panic("chunk: Seal of an empty Block")
	}
	header := b.header
	if !header.summed {
		b.summarize(&header)
	}
	start := len(dst)
	dst = slices.Grow(dst, headerBytes+len(b.words)+8+checksumBytes)
	dst = append(dst[:start+headerBytes], b.words...)
	return complete(dst, start, key, header, b.tail, b.tailBits)
}

// summarize computes the aggregates by decoding, a piece at a time. What doesn't decode is a mistake of
// this package or of Append's caller; it must not become a chunk for which a log is given up.
func (b Block) summarize(header *Header) {
	var times [decodeStep]int64
	var values [decodeStep]float64
	s := newSummary()
	values[0] = header.First
	s.add(values[:1])
	var decoder decoder
	decoder.init(&b)
	for left := header.Count - 1; left > 0; {
		n := min(left, decodeStep)
		decoder.decode(times[:n], values[:n])
		s.add(values[:n])
		left -= n
	}
	if err := decoder.check(&b.header); err != nil {
		panic(fmt.Sprintf("chunk: an open chunk can't be decoded: %v", err))
	}
	s.fill(header)
}
