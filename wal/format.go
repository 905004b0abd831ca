package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// All numbers are big-endian. A segment is a header and frames, one behind the other.
//
//	segment header                           48 bytes
//	+----------+-----------+-----------+------------+--------------+-----------+----------+
//	| magic  8 | version 4 | segment 8 | previous 8 | its length 8 | its LSN 8 | CRC32C 4 |
//	+----------+-----------+-----------+------------+--------------+-----------+----------+
//
// Previous is the number of the segment before, 0 if there was none; its length is the number of its
// bytes that count, all durable; its LSN is the last one before this segment. Every format version
// keeps magic, version and CRC in these places.
//
//	frame                                    36 + length + 4 bytes
//	+---------+-----------+-------------+---------+----------+----------+----------+---------+----------+
//	| magic 4 | segment 8 | first LSN 8 | count 4 | synced 4 | length 4 | CRC32C 4 | payload | CRC32C 4 |
//	+---------+-----------+-------------+---------+----------+----------+----------+---------+----------+
//
// The frame holds the LSNs first to first+count-1. Synced is the length of the part of the segment
// that was durable when the frame was written. The first CRC is over the header before it; the second
// over the payload, begun with the first, so that a payload counts only behind its own header. The
// magics begin with a byte that UTF-8 never has, so no text is taken for a header.

const (
	segmentMagic   = "\xffFLPYWAL"
	formatVersion  = 1
	frameMagic     = "\xffFRM"
	segmentHeader  = 48 // bytes
	frameHeader    = 36 // bytes
	frameTrailer   = 4  // bytes
	frameOverhead  = frameHeader + frameTrailer
	maxSegmentSize = 1 << 30
)

// MaxFrameBytes is the largest payload of a frame, in bytes.
const MaxFrameBytes = 64 << 20

// ErrFormat is returned by Replay for a segment of a format version, or of a kind of file, that this
// build does not know.
var ErrFormat = errors.New("not a write-ahead log segment this version can read")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the content of a segment's header.
type header struct {
	segment        uint64
	previous       uint64
	previousLength int64
	previousLast   LSN
}

func appendHeader(dst []byte, h header) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = binary.BigEndian.AppendUint32(dst, formatVersion)
	dst = binary.BigEndian.AppendUint64(dst, h.segment)
	dst = binary.BigEndian.AppendUint64(dst, h.previous)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.previousLength))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.previousLast))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// decodeHeader is the inverse of appendHeader. The error wraps ErrFormat when the checksum fits and the
// header is yet none of ours; every other error means that the bytes are damaged or were never written.
func decodeHeader(b []byte, segment uint64) (header, error) {
	if len(b) < segmentHeader {
		return header{}, fmt.Errorf("%d bytes are no segment header, which has %d", len(b), segmentHeader)
	}
	const crcAt = segmentHeader - 4
	if binary.BigEndian.Uint32(b[crcAt:]) != crc32.Checksum(b[:crcAt], castagnoli) {
		return header{}, errors.New("the segment header's checksum does not fit")
	}
	if string(b[:8]) != segmentMagic {
		return header{}, fmt.Errorf("%w: it begins with %q, not %q", ErrFormat, b[:8], segmentMagic)
	}
	if version := binary.BigEndian.Uint32(b[8:]); version != formatVersion {
		return header{}, fmt.Errorf("%w: its format version is %d, this build reads %d", ErrFormat, version, formatVersion)
	}
	h := header{
		segment:        binary.BigEndian.Uint64(b[12:]),
		previous:       binary.BigEndian.Uint64(b[20:]),
		previousLength: int64(binary.BigEndian.Uint64(b[28:])),
		previousLast:   LSN(binary.BigEndian.Uint64(b[36:])),
	}
	if h.segment != segment {
		return header{}, fmt.Errorf("the header is that of segment %d", h.segment)
	}
	if h.previous >= h.segment || h.previousLength < 0 {
		return header{}, fmt.Errorf("the header of segment %d names %d bytes of segment %d as what precedes it",
			h.segment, h.previousLength, h.previous)
	}
	return h, nil
}

// frame is the content of a frame's header.
type frame struct {
	segment uint64
	first   LSN
	count   uint32
	synced  uint32
	length  uint32
	crc     uint32 // of the header
}

func (f frame) last() LSN { return f.first + LSN(f.count) - 1 }

// size returns the length of the whole frame.
func (f frame) size() int64 { return frameOverhead + int64(f.length) }

// appendFrame appends a frame; length and crc of f are not looked at.
func appendFrame(dst []byte, f frame, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, frameMagic...)
	dst = binary.BigEndian.AppendUint64(dst, f.segment)
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.first))
	dst = binary.BigEndian.AppendUint32(dst, f.count)
	dst = binary.BigEndian.AppendUint32(dst, f.synced)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	crc := crc32.Checksum(dst[start:], castagnoli)
	dst = binary.BigEndian.AppendUint32(dst, crc)
	dst = append(dst, payload...)
	return binary.BigEndian.AppendUint32(dst, crc32.Update(crc, castagnoli, payload))
}

// decodeFrameHeader reads the header of a frame that stands at an offset of a segment. It accepts only
// what appendFrame can have written there.
func decodeFrameHeader(b []byte, segment uint64, offset int64) (frame, error) {
	if len(b) < frameHeader {
		return frame{}, errors.New("a frame's header is cut short")
	}
	if string(b[:4]) != frameMagic {
		return frame{}, errors.New("no frame begins here")
	}
	f := frame{
		segment: binary.BigEndian.Uint64(b[4:]),
		first:   LSN(binary.BigEndian.Uint64(b[12:])),
		count:   binary.BigEndian.Uint32(b[20:]),
		synced:  binary.BigEndian.Uint32(b[24:]),
		length:  binary.BigEndian.Uint32(b[28:]),
		crc:     binary.BigEndian.Uint32(b[32:]),
	}
	switch {
	case f.crc != crc32.Checksum(b[:frameHeader-4], castagnoli):
		return frame{}, errors.New("a frame header's checksum does not fit")
	case f.segment != segment:
		return frame{}, fmt.Errorf("the frame belongs to segment %d", f.segment)
	case f.count == 0 || f.first == 0 || uint64(f.first) > math.MaxUint64-uint64(f.count),
		f.length > MaxFrameBytes, int64(f.synced) > offset:
		return frame{}, errors.New("a frame's header contradicts itself")
	}
	return f, nil
}

// checkPayload verifies what follows the header: payload and trailer.
func (f frame) checkPayload(b []byte) (payload []byte, err error) {
	payload = b[:f.length]
	if binary.BigEndian.Uint32(b[f.length:]) != crc32.Update(f.crc, castagnoli, payload) {
		return nil, fmt.Errorf("the checksum of a frame's payload does not fit (LSN %d to %d)", f.first, f.last())
	}
	return payload, nil
}
