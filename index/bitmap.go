package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/flopynet/collector/model"
)

// Constants of the portable Roaring format, https://github.com/RoaringBitmap/RoaringFormatSpec.
const (
	cookieWithRuns    = 12347
	cookieWithoutRuns = 12346
	offsetThreshold   = 4    // with runs, offsets are there from so many containers on
	maxArrayLen       = 4096 // larger containers are bitmaps
	bitmapBytes       = 8192
	maxContainers     = 1 << (pieceBits - 16)
)

// appendBitmap appends the bitmap in the portable Roaring format, each container in its smallest form. It
// may change how the bitmap is held in memory.
func appendBitmap(dst []byte, bitmap *roaring.Bitmap) []byte {
	bitmap.RunOptimize()
	buffer := bytes.NewBuffer(dst)
	if _, err := bitmap.WriteTo(buffer); err != nil {
		panic(err) // a bytes.Buffer does not fail
	}
	return buffer.Bytes()
}

// parseBitmap is the inverse of appendBitmap. The bitmap does not share memory with data.
func parseBitmap(data []byte) (*roaring.Bitmap, error) {
	if !checkBitmap(data) {
		return nil, fmt.Errorf("%w: Roaring bitmap of %d bytes", model.ErrBadEncoding, len(data))
	}
	bitmap := roaring.New()
	if err := bitmap.UnmarshalBinary(data); err != nil {
		return nil, fmt.Errorf("%w: Roaring bitmap: %w", model.ErrBadEncoding, err)
	}
	return bitmap, nil
}

// checkBitmap reports whether data is a bitmap of one piece and nothing else: the library reads, but does
// not check, order, lengths and counts, and its own check takes quadratic time in the number of runs.
func checkBitmap(data []byte) bool {
	if len(data) < 8 {
		return false
	}
	cookie := binary.LittleEndian.Uint32(data)
	var count int
	var isRun []byte
	switch {
	case cookie == cookieWithoutRuns:
		count = int(min(binary.LittleEndian.Uint32(data[4:]), maxContainers+1))
		data = data[8:]
	case cookie&0xffff == cookieWithRuns:
		count = int(cookie>>16) + 1
		flagBytes := (count + 7) / 8
		if len(data) < 4+flagBytes {
			return false
		}
		isRun, data = data[4:4+flagBytes], data[4+flagBytes:]
	default:
		return false
	}
	headerBytes := 4 * count
	if isRun == nil || count >= offsetThreshold {
		headerBytes += 4 * count
	}
	if count > maxContainers || len(data) < headerBytes {
		return false
	}
	header, data := data[:4*count], data[headerBytes:]
	for i, last := 0, -1; i < count; i++ {
		key := int(binary.LittleEndian.Uint16(header[4*i:]))
		length := int(binary.LittleEndian.Uint16(header[4*i+2:])) + 1
		if key <= last || key >= maxContainers {
			return false
		}
		last = key
		check := checkContainer
		if isRun != nil && isRun[i/8]>>(i%8)&1 == 1 {
			check = checkRuns
		}
		used := check(data, length)
		if used == 0 {
			return false
		}
		data = data[used:]
	}
	return len(data) == 0
}

// checkRuns returns the size of a container of runs that hold length values in all, or 0.
func checkRuns(data []byte, length int) int {
	if len(data) < 2 {
		return 0
	}
	runs := int(binary.LittleEndian.Uint16(data))
	used := 2 + 4*runs
	if len(data) < used {
		return 0
	}
	end := -1 // of the previous run; the next may not touch it
	for i := range runs {
		start := int(binary.LittleEndian.Uint16(data[2+4*i:]))
		if start <= end {
			return 0
		}
		more := int(binary.LittleEndian.Uint16(data[4+4*i:]))
		end = start + more + 1
		length -= more + 1
	}
	if end > 1<<16 || length != 0 {
		return 0
	}
	return used
}

// checkContainer returns the size of a container of length values, an array or a bitmap, or 0.
func checkContainer(data []byte, length int) int {
	if length > maxArrayLen {
		if len(data) < bitmapBytes {
			return 0
		}
		for i := 0; i < bitmapBytes; i += 8 {
			length -= bits.OnesCount64(binary.LittleEndian.Uint64(data[i:]))
		}
		if length != 0 {
			return 0
		}
		return bitmapBytes
	}
	if len(data) < 2*length {
		return 0
	}
	for i, last := 0, -1; i < length; i++ {
		value := int(binary.LittleEndian.Uint16(data[2*i:]))
		if value <= last {
			return 0
		}
		last = value
	}
	return 2 * length
}
