package export

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/metadata"
)

// timesPage encodes times as differences.
func timesPage(dst []byte, times []int64) (parquetPage, []byte) {
	page := parquetPage{encoding: parquet.Encodings.DeltaBinaryPacked, low: slices.Min(times), high: slices.Max(times), ordered: true}
	return page, appendDeltas(dst, times)
}

// valuesPage spells values as they are.
func valuesPage(dst []byte, values []float64) (parquetPage, []byte) {
	page := parquetPage{encoding: parquet.Encodings.Plain}
	low, high := math.Inf(1), math.Inf(-1)
	dst = slices.Grow(dst, 8*len(values))
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	page.low, page.high, page.ordered = int64(math.Float64bits(low)), int64(math.Float64bits(high)), low <= high
	return page, dst
}

// textPage encodes a column of text as runs of numbers of its dictionary.
func textPage(dst []byte, b *batch, column parquetColumn) (parquetPage, []byte) {
	page := parquetPage{encoding: parquet.Encodings.RLEDict}
	b.scratch = b.numbersOf(b.scratch, column.text)
	numbers := b.scratch
	if column.optional {
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = appendRuns(dst, b.runs, 1, func(i int) int64 {
			if numbers[i] < 0 {
				page.nulls += b.runs[i].rows
				return 0
			}
			return 1
		})
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	width := max(bits.Len32(uint32(max(slices.Max(numbers), 0))), 1)
	dst = append(dst, byte(width))
	if len(b.runs) <= len(b.times)/8 {
		return page, appendRuns(dst, b.runs, width, func(i int) int64 { return int64(numbers[i]) })
	}
	packed := make([]uint64, 0, len(b.times)+7)
	for i, number := range numbers {
		for range b.runs[i].rows {
			if number >= 0 {
				packed = append(packed, uint64(number))
			}
		}
	}
	for len(packed)%8 != 0 {
		packed = append(packed, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(packed)/8)<<1|1)
	return page, appendPacked(dst, packed, uint(width))
}

// appendRuns appends the values of runs, neighbours of the same value as one, in Parquet's encoding of runs.
// Runs of a negative value are left out.
func appendRuns(dst []byte, runs []run, width int, valueOf func(i int) int64) []byte {
	last, rows := int64(-1), 0
	flush := func() {
		if rows > 0 {
			dst = binary.AppendUvarint(dst, uint64(rows)<<1)
			for shift := 0; shift < width; shift += 8 {
				dst = append(dst, byte(last>>shift))
			}
		}
	}
	for i := range runs {
		v := valueOf(i)
		if v < 0 {
			continue
		}
		if v != last {
			flush()
			last, rows = v, 0
		}
		rows += runs[i].rows
	}
	flush()
	return dst
}

// DELTA_BINARY_PACKED has blocks of deltaBlock differences, in parts of deltaPart that have a width each.
const (
	deltaBlock = 128
	deltaPart  = 32
)

// appendDeltas appends integers, of which there is one at least, as DELTA_BINARY_PACKED.
func appendDeltas(dst []byte, values []int64) []byte {
	dst = append(binary.AppendUvarint(dst, deltaBlock), deltaBlock/deltaPart)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	dst = binary.AppendVarint(dst, values[0])
	var deltas [deltaBlock]int64
	var above [deltaPart]uint64
	for begin := 1; begin < len(values); begin += deltaBlock {
		n := min(deltaBlock, len(values)-begin)
		least := int64(math.MaxInt64)
		for i := range n {
			deltas[i] = values[begin+i] - values[begin+i-1] // may wrap around, as it does when it is read
			least = min(least, deltas[i])
		}
		dst = binary.AppendVarint(dst, least)
		widths := len(dst)
		dst = append(dst, make([]byte, deltaBlock/deltaPart)...)
		for part := 0; part*deltaPart < n; part++ {
			most := uint64(0)
			clear(above[:])
			for i, delta := range deltas[part*deltaPart : min((part+1)*deltaPart, n)] {
				above[i] = uint64(delta) - uint64(least)
				most |= above[i]
			}
			width := bits.Len64(most)
			dst[widths+part] = byte(width)
			if width > 0 {
				dst = appendPacked(dst, above[:], uint(width))
			}
		}
	}
	return dst
}

// appendPacked appends the last width bits of each value, the first one's in the lowest bits.
func appendPacked(dst []byte, values []uint64, width uint) []byte {
	word, filled := uint64(0), uint(0)
	for _, v := range values {
		word |= v << filled
		if filled += width; filled >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, word)
			filled -= 64
			word = v >> (width - filled)
		}
	}
	for ; filled > 0; filled -= min(filled, 8) {
		dst = append(dst, byte(word))
		word >>= 8
	}
	return dst
}

// statisticsOf tells a column's extremes and nulls. A dictionary has the texts of all its pages, and no others.
func statisticsOf(pages []parquetPage, texts *dictionary, floats bool) metadata.EncodedStatistics {
	s := metadata.EncodedStatistics{HasNullCount: true}
	for _, page := range pages {
		s.NullCount += int64(page.nulls)
	}
	if texts != nil {
		if len(texts.texts) > 0 {
			s.HasMin, s.HasMax = true, true
			s.Min, s.Max = []byte(slices.Min(texts.texts)), []byte(slices.Max(texts.texts))
		}
		return s
	}
	s.Signed = true
	less := func(a, b int64) bool { return a < b }
	if floats {
		less = func(a, b int64) bool { return math.Float64frombits(uint64(a)) < math.Float64frombits(uint64(b)) }
	}
	var low, high int64
	for _, page := range pages {
		if !page.ordered {
			continue
		}
		if !s.HasMin || less(page.low, low) {
			low = page.low
		}
		if !s.HasMax || less(high, page.high) {
			high = page.high
		}
		s.HasMin, s.HasMax = true, true
	}
	if floats && s.HasMin { // a zero may be either: the format wants those that leave out neither
		if math.Float64frombits(uint64(low)) == 0 {
			low = math.MinInt64 // -0
		}
		if math.Float64frombits(uint64(high)) == 0 {
			high = 0
		}
	}
	s.Min, s.Max = binary.LittleEndian.AppendUint64(nil, uint64(low)), binary.LittleEndian.AppendUint64(nil, uint64(high))
	return s
}
