package record

import (
	"fmt"

	"github.com/klauspost/compress/s2"
)

// A compressed record stands for a whole payload: its body is the records as one block of the S2 format. It
// is the only record of its payload and holds none of its kind.
//
//	+-----------------------------+
//	| S2 block: the other records |
//	+-----------------------------+

// MaxExpandedBytes bounds what a compressed record expands to, and so the memory that reading it takes.
const MaxExpandedBytes = 64 << 20

// minSaving is the share of a payload that compression must save to be worth the time it takes to read it:
// an eighth.
const minSaving = 8

// AppendCompressed appends one record that holds all records of the payload. ok is false, and dst as it was,
// when that would save too little, or the payload is too large. dst has no memory in common with payload.
func AppendCompressed(dst, payload []byte) (_ []byte, ok bool) {
	if len(payload) > MaxExpandedBytes {
		return dst, false
	}
	begin := len(dst)
	dst, start := beginRecord(dst, KindCompressed)
	if room := start + s2.MaxEncodedLen(len(payload)); cap(dst) < room {
		dst = append(make([]byte, 0, room), dst...)
	}
	block := s2.Encode(dst[start:cap(dst)], payload)
	dst = endRecord(dst[:start+len(block)], start)
	if size := len(dst) - begin; size > len(payload)-len(payload)/minSaving {
		return dst[:begin], false
	}
	return dst, true
}

// expand makes the records inside a compressed record those that Next goes through.
func (r *Reader) expand(body []byte) bool {
	if r.expanded || r.offset != 0 || headerBytes+len(body) != len(r.payload) {
		r.err = r.malformed("a compressed record must be alone")
		return false
	}
	length, err := s2.DecodedLen(body)
	if err == nil && length > MaxExpandedBytes {
		err = fmt.Errorf("it expands to %d bytes, at most %d are possible", length, MaxExpandedBytes)
	}
	var payload []byte
	if err == nil {
		payload, err = s2.Decode(nil, body)
	}
	if err != nil {
		r.err = r.malformed("a compressed record: %w", err)
		return false
	}
	r.payload, r.next, r.expanded = payload, 0, true
	return r.Next()
}
