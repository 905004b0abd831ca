package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flopynet/collector/model"
)

// The body of a delete record: the range of time, then the series as differences, the first to 0.
//
//	+-------------+-----------+---------------+-------------------------------+
//	| from varint | to varint | count uvarint | count differences, uvarint    |
//	+-------------+-----------+---------------+-------------------------------+
//
// Differences are not shortened to runs as those of a samples record are: so a body of n bytes never
// stands for more than n series, and a reader needs no limit of its own.

var (
	errEmptyRange = errors.New("the range of time is empty")
	errNotAscend  = errors.New("the series ids don't ascend")
)

// AppendDelete appends the record that deletes the samples with from <= time < to, in nanoseconds since
// the epoch, of some series. It panics when the range is empty or the ids don't strictly ascend. A delete
// of no series is allowed. Equal input gives equal bytes.
func AppendDelete(dst []byte, from, to int64, ids []model.SeriesID) []byte {
	if from >= to {
		panic(fmt.Sprintf("record: a delete from %d to %d", from, to))
	}
	dst, start := beginRecord(dst, KindDelete)
	dst = binary.AppendVarint(dst, from)
	dst = binary.AppendVarint(dst, to)
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	var last model.SeriesID
	for i, id := range ids {
		if i > 0 && id <= last {
			panic(fmt.Sprintf("record: a delete of series %d behind series %d", id, last))
		}
		dst = binary.AppendUvarint(dst, uint64(id-last))
		last = id
	}
	return endRecord(dst, start)
}

// decodeDelete is the inverse of AppendDelete for a record's body.
func decodeDelete(body []byte) (from, to int64, ids []model.SeriesID, err error) {
	var packed [2]uint64
	for i := range packed {
		if packed[i], body, err = cutUvarint(body); err != nil {
			return 0, 0, nil, err
		}
	}
	from, to = unzigzag(packed[0]), unzigzag(packed[1])
	if from >= to {
		return 0, 0, nil, fmt.Errorf("%w: from %d to %d", errEmptyRange, from, to)
	}
	count, body, err := cutUvarint(body)
	if err != nil {
		return 0, 0, nil, err
	}
	if count > uint64(len(body)) { // a difference takes a byte at least
		return 0, 0, nil, fmt.Errorf("%d series in %d bytes", count, len(body))
	}
	ids = make([]model.SeriesID, count)
	var last model.SeriesID
	for i := range ids {
		var difference uint64
		if difference, body, err = cutUvarint(body); err != nil {
			return 0, 0, nil, err
		}
		id := last + model.SeriesID(difference)
		if i > 0 && id <= last {
			return 0, 0, nil, fmt.Errorf("%w: %d behind %d", errNotAscend, id, last)
		}
		ids[i], last = id, id
	}
	if len(body) != 0 {
		return 0, 0, nil, fmt.Errorf("%d bytes after the last series", len(body))
	}
	return from, to, ids, nil
}
