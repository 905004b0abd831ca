package chunk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/flopynet/collector/model"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Open checks a stored chunk against its key and returns its samples as a Block that shares value's
// memory. An error wraps ErrCorrupt and says what is wrong.
func Open(key, value []byte) (Block, error) {
	if err := checkLength(value); err != nil {
		return Block{}, err
	}
	end := len(value) - checksumBytes
	want := binary.BigEndian.Uint32(value[end:])
	if got := checksum(key, value[:end]); got != want {
		return Block{}, fmt.Errorf("%w: checksum is %08x, but %08x is stored", ErrCorrupt, got, want)
	}
	header, err := ReadHeader(value)
	if err != nil {
		return Block{}, err
	}
	return Block{header: header, words: value[headerBytes:end:end]}, nil
}

// complete finishes the chunk whose header's room and whole words are in dst[start:].
func complete(dst []byte, start int, key []byte, header Header, tail uint64, tailBits uint8) []byte {
	payloadEnd := len(dst) + (int(tailBits)+7)/8
	dst = binary.BigEndian.AppendUint64(dst, tail)[:payloadEnd]
	header.put(dst[start:])
	return binary.BigEndian.AppendUint32(dst, checksum(key, dst[start:]))
}

// checksum is the CRC32C of key, then data.
func checksum(key, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, data)
}

// checkSamples panics unless samples are what Append and Encode demand of their callers: as many times
// as values, and times that increase from after last to model.MaxTime at most.
func checkSamples(last int64, times []int64, values []float64) {
	if len(times) != len(values) {
		panic(fmt.Sprintf("chunk: %d times and %d values", len(times), len(values)))
	}
	for _, time := range times {
		if time <= last || time > model.MaxTime {
			panic(fmt.Sprintf("chunk: time %d is out of range or not after %d", time, last))
		}
		last = time
	}
}
