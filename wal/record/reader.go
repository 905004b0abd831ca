package record

import (
	"encoding/binary"
	"fmt"

	"github.com/flopynet/collector/model"
)

// Reader iterates over the records of a payload.
type Reader struct {
	payload []byte
	next    int // offset of the next record
	offset  int // of the current one
	kind    Kind
	body    []byte
	err     error

	expanded bool // payload was inside a compressed record
}

// NewReader returns a Reader before the first record of payload, which it refers to.
func NewReader(payload []byte) *Reader { return &Reader{payload: payload} }

// Next moves to the next record. It returns false at the end of the payload and at the first record
// that is cut short or of an unknown kind; Err tells the two apart.
func (r *Reader) Next() bool {
	if r.err != nil || r.next == len(r.payload) {
		return false
	}
	r.offset = r.next
	rest := r.payload[r.offset:]
	if len(rest) < headerBytes {
		r.err = r.malformed("%d bytes are left, a header has %d", len(rest), headerBytes)
		return false
	}
	kind, length := Kind(rest[0]), binary.BigEndian.Uint32(rest[1:])
	if !kind.known() {
		r.err = fmt.Errorf("%w: kind %d at offset %d of the payload; a newer version may have written it",
			ErrUnknownKind, uint8(kind), r.offset)
		return false
	}
	rest = rest[headerBytes:]
	if uint64(length) > uint64(len(rest)) {
		r.err = r.malformed("a body of %d bytes is cut short at %d", length, len(rest))
		return false
	}
	if kind == KindCompressed {
		return r.expand(rest[:length:length])
	}
	r.kind, r.body = kind, rest[:length:length]
	r.next += headerBytes + int(length)
	return true
}

// Err returns what made Next return false, nil at the end of the payload. It wraps ErrMalformed or
// ErrUnknownKind.
func (r *Reader) Err() error { return r.err }

// Kind returns the kind of the current record.
func (r *Reader) Kind() Kind { return r.kind }

// Definition decodes a KindDefinition record. The identity is a part of the payload. An error wraps
// ErrMalformed, here and below.
func (r *Reader) Definition() (id model.SeriesID, identity []byte, err error) { return r.text() }

// Unit decodes a KindUnit record.
func (r *Reader) Unit() (id model.SeriesID, unit string, err error) {
	id, text, err := r.text()
	return id, string(text), err
}

func (r *Reader) text() (model.SeriesID, []byte, error) {
	id, text, err := cutUvarint(r.body)
	if err != nil {
		return 0, nil, r.malformed("series id of a %s: %w", r.kind, err)
	}
	return model.SeriesID(id), text, nil
}

// Samples decodes a KindSamples record. The slices given are overwritten from their start, grown if
// need be, and returned with equal lengths; after an error their content means nothing. Memory is
// bounded by the size of the record: it has at most two samples a byte.
func (r *Reader) Samples(ids []model.SeriesID, times []int64, values []float64) (
	[]model.SeriesID, []int64, []float64, error,
) {
	ids, times, values, err := decodeSamples(r.body, ids, times, values)
	if err != nil {
		err = r.malformed("samples: %w", err)
	}
	return ids, times, values, err
}

// Delete decodes a KindDelete record: the samples with from <= time < to, in nanoseconds since the epoch,
// of the series are deleted. from is below to and the ids ascend. Memory is bounded by the size of the
// record: it has at most one id a byte.
func (r *Reader) Delete() (from, to int64, ids []model.SeriesID, err error) {
	from, to, ids, err = decodeDelete(r.body)
	if err != nil {
		err = r.malformed("delete: %w", err)
	}
	return from, to, ids, err
}

// Events decodes a KindEvents record. The events have memory of their own, which is bounded by the size of
// the record.
func (r *Reader) Events() ([]model.Event, error) {
	events, err := decodeEvents(r.body)
	if err != nil {
		err = r.malformed("events: %w", err)
	}
	return events, err
}

// Answer decodes a KindAnswer record. The answer has memory of its own.
func (r *Reader) Answer() (*Answer, error) {
	answer, err := decodeAnswer(r.body)
	if err != nil {
		err = r.malformed("answer: %w", err)
	}
	return answer, err
}

func (r *Reader) malformed(format string, args ...any) error {
	return fmt.Errorf("%w at offset %d of the payload: %w", ErrMalformed, r.offset, fmt.Errorf(format, args...))
}
