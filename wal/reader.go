package wal

import (
	"bytes"
	"errors"
)

// segmentReader finds the frames of one segment. It decides by checksums and numbers alone; the order
// of LSNs is the caller's business.
type segmentReader struct {
	window
	segment uint64
	durable int64 // bytes known to have been durable; -1: ask the frames behind a bad place
}

// found is what stands at an offset: a frame, or bytes that are none.
type found struct {
	frame   frame
	payload []byte
	end     int64 // of the frame, or where to look for the next one
	bad     error // why there is no frame; nil if there is one
}

// read looks at the frame at offset. The error is one of reading the file.
func (r *segmentReader) read(offset int64) (found, error) {
	b, err := r.at(offset, frameHeader)
	if err != nil {
		return found{}, err
	}
	f, bad := decodeFrameHeader(b, r.segment, offset)
	at := found{frame: f, end: offset + f.size(), bad: bad}
	switch {
	case at.bad != nil:
		at.end = offset + 1
	case at.end > r.limit:
		// Found out before any memory is taken for it.
		at.end, at.bad = offset+frameHeader, errors.New("a frame is cut short")
	default:
		if b, err = r.at(offset+frameHeader, int(f.length)+frameTrailer); err != nil {
			return found{}, err
		}
		at.payload, at.bad = f.checkPayload(b)
	}
	return at, nil
}

// seek returns the first offset from the given one on at which a good header of a frame stands, and that
// header; the limit if there is none.
func (r *segmentReader) seek(offset int64) (int64, frame, error) {
	for offset < r.limit {
		b, err := r.from(offset, frameHeader)
		if err != nil {
			return 0, frame{}, err
		}
		i := bytes.Index(b, []byte(frameMagic))
		switch {
		case i < 0:
			// The magic may begin in the last bytes of the buffer.
			offset += int64(max(1, len(b)-len(frameMagic)+1))
			continue
		case i > 0:
			offset += int64(i) // the buffer may end within the header
			continue
		}
		if f, bad := decodeFrameHeader(b, r.segment, offset); bad == nil {
			return offset, f, nil
		}
		offset++
	}
	return r.limit, frame{}, nil
}

// isTorn reports whether the bad bytes from offset to next were never durable. What was durable, if it is
// not known from elsewhere, is learnt from the frames behind.
func (r *segmentReader) isTorn(offset, next int64) (bool, error) {
	if r.durable < 0 {
		durable, _, err := r.behind(next)
		if err != nil {
			return false, err
		}
		r.durable = durable
	}
	return offset >= r.durable, nil
}

// behind goes through the headers from offset on. It returns how much of the segment was durable when
// they were written, and how many there are.
func (r *segmentReader) behind(offset int64) (durable int64, frames int, err error) {
	for {
		var f frame
		if offset, f, err = r.seek(offset); err != nil || offset >= r.limit {
			return durable, frames, err
		}
		durable = max(durable, int64(f.synced))
		frames++
		offset += f.size()
	}
}
