package wal

import (
	"errors"
	"fmt"
	"slices"
)

// Frame is a frame as Replay found it.
type Frame struct {
	First, Last LSN
	Payload     []byte // valid until the callback returns
	File        string // name of the segment, for messages
	Offset      int64  // of the frame in File
}

// Damage is a place where the log does not hold what was once durable.
type Damage struct {
	File   string // name of the segment
	Offset int64
	Bytes  int64 // how many bytes are of no use; 0 when frames are missing rather than bad
	Reason string
}

func (d Damage) String() string {
	return fmt.Sprintf("%s at offset %d (%d bytes): %s", d.File, d.Offset, d.Bytes, d.Reason)
}

// ReplayResult says what Replay found.
type ReplayResult struct {
	LastLSN    LSN   // the highest there is or was, at least the one asked for
	Frames     int   // delivered
	Bytes      int64 // of their payloads
	TornBytes  int64 // cut off the end of the log; no Sync had covered them
	TornFrames int   // whole frames among them, behind a torn one
	Damage     []Damage
}

// Replay calls fn with every good frame that holds an LSN above after, in order, and readies the log for
// Append. after is the checkpoint: nothing up to it is needed, so segments known to lie below are not
// read. Memory is bounded by the largest frame. A torn tail is cut, damage is reported in the result and
// costs the damaged frames only; both as the package comment says.
//
// An error is ErrFormat, what fn returned, or one of reading a file: then Replay may be called again. Or
// it is ErrFailed: what was read could not be made durable.
func (l *Log) Replay(after LSN, fn func(Frame) error) (ReplayResult, error) {
	if l.failed != nil {
		return ReplayResult{}, l.failed
	}
	if l.replayed {
		return ReplayResult{}, errReplayed
	}
	if err := l.readHeaders(); err != nil {
		return ReplayResult{}, err
	}
	if err := l.removeHollow(); err != nil {
		return ReplayResult{}, err
	}
	l.mu.Lock()
	segments := l.mu.segments // only Replay and, once it is done, Append and Truncate change it
	l.mu.Unlock()

	r := &replay{log: l, after: after, fn: fn, last: make([]LSN, len(segments))}
	r.result.LastLSN = after
	for i := range segments {
		if err := r.segment(segments, i); err != nil {
			return r.result, err
		}
		r.last[i] = r.reached
	}
	return r.result, l.finishReplay(r)
}

// finishReplay makes what was replayed durable and sets the log to go on behind it.
func (l *Log) finishReplay(r *replay) error {
	l.mu.Lock()
	segments := l.mu.segments
	for i := range segments {
		segments[i].last = r.last[i]
	}
	l.mu.Unlock()
	l.header = header{}
	if n := len(segments); n > 0 {
		l.header.segment, l.header.previous = segments[n-1].number, segments[n-1].number
		l.header.previousLength = r.end
		if err := syncFile(l.fs, l.path(segments[n-1].number)); err != nil {
			return l.fail("make durable what was replayed", err)
		}
	}
	if err := syncDir(l.fs, l.dir); err != nil {
		return l.fail("make durable what was replayed", err)
	}
	l.last = r.result.LastLSN
	l.replayed = true
	return nil
}

// readHeaders fills in the headers of all segments.
func (l *Log) readHeaders() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var w window
	for i := range l.mu.segments {
		s := &l.mu.segments[i]
		name := segmentName(s.number)
		file, err := l.fs.Open(l.path(s.number))
		if err != nil {
			return fmt.Errorf("wal: open segment: %w", err)
		}
		w.reset(file, name, min(s.size, segmentHeader))
		b, err := w.at(0, segmentHeader)
		if err == nil {
			s.header, s.headerErr = decodeHeader(b, s.number)
			if errors.Is(s.headerErr, ErrFormat) {
				err = fmt.Errorf("wal: %s: %w", name, s.headerErr)
			}
		}
		_ = file.Close() // it was only read
		if err != nil {
			return err
		}
	}
	return nil
}

// removeHollow removes segments at the end of the log that were still being made.
func (l *Log) removeHollow() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := len(l.mu.segments); n > 0 && l.mu.segments[n-1].hollow(); n-- {
		if err := l.fs.Remove(l.path(l.mu.segments[n-1].number)); err != nil {
			return fmt.Errorf("wal: remove unfinished segment: %w", err)
		}
		l.mu.segments = l.mu.segments[:n-1]
	}
	return nil
}

// replay is the state of one call of Replay.
type replay struct {
	log     *Log
	after   LSN
	fn      func(Frame) error
	result  ReplayResult
	reader  segmentReader
	reached LSN   // the highest LSN so far, of a frame or as a header vouches
	lost    bool  // damage was reported since the last good frame, so LSNs are missing
	end     int64 // of what counts in the segment read last
	last    []LSN // reached after each segment
}

// segment replays segments[i].
func (r *replay) segment(segments []segment, i int) error {
	s := &segments[i]
	var next *segment // the one that knows how long this one is
	if i+1 < len(segments) && segments[i+1].headerErr == nil {
		next = &segments[i+1]
	}
	r.checkChain(segments, i)
	if next != nil && next.header.previousLast <= r.after {
		r.raise(next.header.previousLast)
		return nil
	}
	known := next != nil && next.header.previous == s.number
	if s.hollow() && !known {
		return nil // it was removed by an earlier Replay, and came back when power failed
	}
	name := segmentName(s.number)
	file, err := r.log.fs.Open(r.log.path(s.number))
	if err != nil {
		return fmt.Errorf("wal: open segment: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	r.reader.reset(file, name, s.size)
	r.reader.segment, r.reader.durable = s.number, -1
	if known {
		r.reader.durable = next.header.previousLength
		r.reader.limit = min(s.size, next.header.previousLength)
	}
	if s.headerErr != nil && r.reader.limit > 0 {
		r.damage(name, 0, min(segmentHeader, r.reader.limit), s.headerErr.Error())
	}
	if err := r.frames(name); err != nil {
		return err
	}
	if known && s.size < next.header.previousLength {
		r.damage(name, s.size, next.header.previousLength-s.size,
			fmt.Sprintf("the segment was %d bytes long and is now %d", next.header.previousLength, s.size))
	}
	if !known {
		r.result.TornBytes += max(0, s.size-r.end)
	}
	return nil
}

// checkChain reports segments that are missing before segments[i], if anything in them is needed.
func (r *replay) checkChain(segments []segment, i int) {
	if segments[i].headerErr != nil {
		return
	}
	h := &segments[i].header
	missing := h.previous != 0 && !slices.ContainsFunc(segments[:i], func(s segment) bool { return s.number == h.previous })
	if missing && h.previousLast > max(r.after, r.reached) {
		r.damage(segmentName(h.previous), 0, 0,
			fmt.Sprintf("the segment is missing, and with it LSN %d to %d", max(r.after, r.reached)+1, h.previousLast))
	}
	r.raise(h.previousLast)
}

// frames replays the frames of the segment that the reader is on.
func (r *replay) frames(name string) error {
	offset := int64(segmentHeader)
	for offset < r.reader.limit {
		at, err := r.reader.read(offset)
		if err != nil {
			return err
		}
		if at.bad == nil {
			if err := r.deliver(name, offset, at); err != nil {
				return err
			}
			offset = at.end
			continue
		}
		next, _, err := r.reader.seek(at.end)
		if err != nil {
			return err
		}
		torn, err := r.reader.isTorn(offset, next)
		if err != nil {
			return err
		}
		if torn {
			_, frames, err := r.reader.behind(next)
			if err != nil {
				return err
			}
			r.result.TornFrames += frames
			break
		}
		r.damage(name, offset, next-offset, at.bad.Error())
		offset = next
	}
	r.end = offset
	return nil
}

// deliver hands a good frame to the caller if its LSNs fit and it is asked for.
func (r *replay) deliver(name string, offset int64, at found) error {
	f := at.frame
	if f.first <= r.reached {
		r.damage(name, offset, f.size(), fmt.Sprintf("a frame of LSN %d to %d stands behind LSN %d", f.first, f.last(), r.reached))
		return nil
	}
	if f.first > r.reached+1 && !r.lost {
		r.damage(name, offset, 0, fmt.Sprintf("LSN %d to %d are missing", r.reached+1, f.first-1))
	}
	r.lost = false
	r.raise(f.last())
	if f.last() <= r.after {
		return nil
	}
	r.result.Frames++
	r.result.Bytes += int64(len(at.payload))
	return r.fn(Frame{First: f.first, Last: f.last(), Payload: at.payload, File: name, Offset: offset})
}

func (r *replay) raise(lsn LSN) {
	r.reached = max(r.reached, lsn)
	r.result.LastLSN = max(r.result.LastLSN, lsn)
}

func (r *replay) damage(file string, offset, size int64, reason string) {
	r.lost = true
	r.result.Damage = append(r.result.Damage, Damage{File: file, Offset: offset, Bytes: size, Reason: reason})
}
