package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/model"
)

// The body of a samples record: three columns of count entries each, and none when count is 0.
//
//	+---------------+-----------------+-----+-------+--------+
//	| count uvarint | time exponent 1 | ids | times | values |
//	+---------------+-----------------+-----+-------+--------+
//
// Ids and times are columns of deltas: the first entry (ids uvarint, times varint), then tokens that
// stand for count-1 differences between neighbours, modulo 2^64.
//
//	single  uvarint zigzag(delta) << 1
//	run     uvarint length << 1 | 1, uvarint zigzag(delta)     the same delta, length times
//
// The deltas of times are divided by 10 to the time exponent (0, 3, 6 or 9): the coarsest that loses
// nothing. So a batch of known series at one time, and one of one series at a fixed step, both take a
// few bytes besides their values.

// MaxSamples is the largest number of samples in one record.
const MaxSamples = 1 << 24

// maxTimeExponent stands for whole seconds.
const maxTimeExponent = 9

var (
	errCut   = errors.New("the body is cut short")
	errToken = errors.New("a run does not fit its column")
)

// AppendSamples appends one write batch: sample i is of series ids[i]. A batch without samples is
// allowed: it gives units that are written alone an LSN. Equal input gives equal bytes. AppendSamples
// panics when the columns differ in length or have more than MaxSamples entries: batches are limited
// far below that before they are encoded.
func AppendSamples(dst []byte, ids []model.SeriesID, times []int64, values []float64) []byte {
	count := len(ids)
	if len(times) != count || len(values) != count || count > MaxSamples {
		panic(fmt.Sprintf("record: columns of %d ids, %d times and %d values (at most %d)",
			count, len(times), len(values), MaxSamples))
	}
	dst, start := beginRecord(dst, KindSamples)
	dst = binary.AppendUvarint(dst, uint64(count))
	if count > 0 {
		exponent := timeExponent(times)
		dst = append(dst, exponent)
		dst = binary.AppendUvarint(dst, uint64(ids[0]))
		dst = appendDeltas(dst, ids, 1)
		dst = binary.AppendVarint(dst, times[0])
		dst = appendDeltas(dst, times, powersOfTen[exponent])
		dst = appendValues(dst, values)
	}
	return endRecord(dst, start)
}

// decodeSamples is the inverse of AppendSamples for a record's body.
func decodeSamples(body []byte, ids []model.SeriesID, times []int64, values []float64) (
	_ []model.SeriesID, _ []int64, _ []float64, err error,
) {
	count, body, err := cutUvarint(body)
	if err != nil {
		return ids, times, values, err
	}
	// Each value takes half a byte at least.
	if count > MaxSamples || count > 2*uint64(len(body)) {
		return ids, times, values, fmt.Errorf("%d samples in %d bytes", count, len(body))
	}
	n := int(count)
	ids, times, values = resize(ids, n), resize(times, n), resize(values, n)
	if n == 0 {
		if len(body) != 0 {
			return ids, times, values, fmt.Errorf("%d bytes after the last sample", len(body))
		}
		return ids, times, values, nil
	}
	exponent := body[0]
	if exponent%3 != 0 || exponent > maxTimeExponent {
		return ids, times, values, fmt.Errorf("time exponent %d", exponent)
	}
	first, body, err := cutUvarint(body[1:])
	if err != nil {
		return ids, times, values, err
	}
	ids[0] = model.SeriesID(first)
	if body, err = decodeDeltas(body, ids, 1); err != nil {
		return ids, times, values, err
	}
	if first, body, err = cutUvarint(body); err != nil {
		return ids, times, values, err
	}
	times[0] = unzigzag(first)
	if body, err = decodeDeltas(body, times, powersOfTen[exponent]); err != nil {
		return ids, times, values, err
	}
	return ids, times, values, decodeValues(body, values)
}

// timeExponent returns the largest exponent whose power of ten every delta is a multiple of. Times in
// whole milliseconds give 6 at least.
func timeExponent(times []int64) byte {
	exponent := byte(maxTimeExponent)
	unit := powersOfTen[exponent]
	seen := int64(0) // the delta before
	for i := 1; i < len(times); i++ {
		delta := times[i] - times[i-1]
		if delta == seen {
			continue
		}
		for delta%unit != 0 {
			exponent -= 3
			unit = powersOfTen[exponent]
		}
		seen = delta
	}
	return exponent
}

// appendDeltas appends the differences between neighbours, each a multiple of unit.
func appendDeltas[T ~int64 | ~uint64](dst []byte, column []T, unit int64) []byte {
	for i := 1; i < len(column); {
		delta := column[i] - column[i-1]
		end := i + 1
		for end < len(column) && column[end]-column[end-1] == delta {
			end++
		}
		token := zigzag(int64(delta) / unit)
		if length := end - i; length > 1 || token >= 1<<63 {
			dst = binary.AppendUvarint(dst, uint64(length)<<1|1)
			dst = binary.AppendUvarint(dst, token)
		} else {
			dst = binary.AppendUvarint(dst, token<<1)
		}
		i = end
	}
	return dst
}

// decodeDeltas is the inverse of appendDeltas: it fills column behind its first entry and returns what
// follows the last token.
func decodeDeltas[T ~int64 | ~uint64](body []byte, column []T, unit int64) ([]byte, error) {
	value := column[0]
	for column = column[1:]; len(column) > 0; {
		token, rest, err := cutUvarint(body)
		if err != nil {
			return nil, err
		}
		body = rest
		if token&1 == 0 {
			value += T(unzigzag(token>>1) * unit)
			column[0] = value
			column = column[1:]
			continue
		}
		length := token >> 1
		if length == 0 || length > uint64(len(column)) {
			return nil, errToken
		}
		if token, body, err = cutUvarint(body); err != nil {
			return nil, err
		}
		delta := T(unzigzag(token) * unit)
		run := column[:length]
		for i := range run {
			value += delta
			run[i] = value
		}
		column = column[length:]
	}
	return body, nil
}

func zigzag(n int64) uint64   { return uint64(n)<<1 ^ uint64(n>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func cutUvarint(body []byte) (uint64, []byte, error) {
	if len(body) > 0 && body[0] < 0x80 {
		return uint64(body[0]), body[1:], nil
	}
	value, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, nil, errCut
	}
	return value, body[n:], nil
}

// resize returns a slice of length n that uses the memory of s if that is enough.
func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
