package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/flopynet/collector/model"
)

const (
	// MaxSamples is how many samples a stored chunk can hold, in either codec: more than a day of one each
	// ten seconds.
	MaxSamples = 16384

	// MaxAppended is how many an open chunk takes, so that little is decoded to read the newest of them.
	MaxAppended = 4096
)

const (
	headerBytes   = 64
	checksumBytes = 4
)

// ErrCorrupt is wrapped by every error about bytes that are not a chunk as this package writes them.
var ErrCorrupt = errors.New("damaged chunk")

// Codec says how a chunk's samples are encoded.
type Codec uint8

// The codecs of the package comment.
const (
	CodecGorilla Codec = 1
	CodecDecimal Codec = 2
)

func (c Codec) String() string {
	switch c {
	case CodecGorilla:
		return "gorilla"
	case CodecDecimal:
		return "decimal"
	default:
		return fmt.Sprintf("codec %d", uint8(c))
	}
}

// Flags tell of properties of a chunk's samples.
type Flags uint16

// FlagNaN is set when a value is NaN.
const FlagNaN Flags = 1

// Header is what is known of a chunk without decoding its samples.
type Header struct {
	Codec   Codec
	Unit    Unit
	Flags   Flags
	Count   int     // of samples, 1 to MaxSamples
	MinTime int64   // of the first sample, nanoseconds since the epoch
	MaxTime int64   // of the last sample
	First   float64 // value at MinTime
	Last    float64 // value at MaxTime

	summed        bool // sum, min and max are those of the samples
	sum, min, max float64
}

// Aggregate returns the aggregates of the chunk's samples. The sum is compensated (see summary) and
// rounded once. ok is false where they don't serve: when a value is NaN, and for the block of an open
// chunk, whose aggregates are not known before it is sealed.
func (h Header) Aggregate() (aggregate model.Aggregate, ok bool) {
	return model.Aggregate{
		Count: int64(h.Count),
		Sum:   h.sum,
		Min:   h.min,
		Max:   h.max,
		First: h.First,
		Last:  h.Last,
	}, h.summed && h.Flags&FlagNaN == 0
}

// ReadHeader returns the header of a stored chunk. It checks that the header is plausible but not the
// checksum: it is for planning, and Open must have the last word before anything is served.
func ReadHeader(value []byte) (Header, error) {
	if err := checkLength(value); err != nil {
		return Header{}, err
	}
	h := Header{
		Codec:   Codec(value[0]),
		Unit:    Unit(value[1]),
		Flags:   Flags(binary.BigEndian.Uint16(value[2:])),
		Count:   int(binary.BigEndian.Uint32(value[4:])),
		MinTime: int64(binary.BigEndian.Uint64(value[8:])),
		MaxTime: int64(binary.BigEndian.Uint64(value[16:])),
		summed:  true,
		sum:     readFloat(value[24:]),
		min:     readFloat(value[32:]),
		max:     readFloat(value[40:]),
		First:   readFloat(value[48:]),
		Last:    readFloat(value[56:]),
	}
	if err := h.check(len(value) - headerBytes - checksumBytes); err != nil {
		return Header{}, err
	}
	return h, nil
}

func checkLength(value []byte) error {
	if least := headerBytes + checksumBytes; len(value) < least {
		return fmt.Errorf("%w: %d bytes, fewer than the %d of a header and a checksum", ErrCorrupt, len(value), least)
	}
	return nil
}

// check reports what of the header can't be, so that a decoder may rely on its numbers.
func (h Header) check(payloadBytes int) error {
	switch {
	case h.Codec != CodecGorilla && h.Codec != CodecDecimal:
		return fmt.Errorf("%w: codec %d is unknown to this version", ErrCorrupt, uint8(h.Codec))
	case h.Unit > MaxUnit:
		return fmt.Errorf("%w: time unit is 10^%d ns, at most 10^%d", ErrCorrupt, uint8(h.Unit), uint8(MaxUnit))
	case h.Count < 1 || h.Count > MaxSamples:
		return fmt.Errorf("%w: count is %d, not 1 to %d", ErrCorrupt, h.Count, MaxSamples)
	case h.Flags&^FlagNaN != 0:
		return fmt.Errorf("%w: flags %#x are unknown to this version", ErrCorrupt, uint16(h.Flags))
	case h.MinTime < model.MinTime || h.MaxTime > model.MaxTime || h.MaxTime < h.MinTime:
		return fmt.Errorf("%w: times %d to %d are not a range", ErrCorrupt, h.MinTime, h.MaxTime)
	}
	steps := int64(h.Count - 1)
	span := h.MaxTime - h.MinTime
	if span%h.Unit.Nanoseconds() != 0 || span/h.Unit.Nanoseconds() < steps || (steps == 0 && span != 0) {
		return fmt.Errorf("%w: %d samples in units of %v don't fit times %d to %d",
			ErrCorrupt, h.Count, h.Unit, h.MinTime, h.MaxTime)
	}
	if h.Codec == CodecDecimal {
		return nil // where its columns end is seen when they are decoded
	}
	least, most := (h.Count-1)*minSampleBits, (h.Count-1)*maxSampleBits
	if bits := 8 * payloadBytes; bits < least || bits > most+7 {
		return fmt.Errorf("%w: a payload of %d bytes can't hold %d samples", ErrCorrupt, payloadBytes, h.Count)
	}
	return nil
}

// put writes the header, the inverse of ReadHeader, into the first headerBytes of value.
func (h Header) put(value []byte) {
	_ = value[headerBytes-1]
	value[0] = byte(h.Codec)
	value[1] = byte(h.Unit)
	binary.BigEndian.PutUint16(value[2:], uint16(h.Flags))
	binary.BigEndian.PutUint32(value[4:], uint32(h.Count))
	binary.BigEndian.PutUint64(value[8:], uint64(h.MinTime))
	binary.BigEndian.PutUint64(value[16:], uint64(h.MaxTime))
	putFloat(value[24:], h.sum)
	putFloat(value[32:], h.min)
	putFloat(value[40:], h.max)
	putFloat(value[48:], h.First)
	putFloat(value[56:], h.Last)
}

func readFloat(src []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(src)) }

func putFloat(dst []byte, v float64) { binary.BigEndian.PutUint64(dst, math.Float64bits(v)) }
