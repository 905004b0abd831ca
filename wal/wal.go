package wal

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// LSN is the position of a write batch or a delete in the log. The first is 1.
type LSN uint64

// DefaultSegmentBytes is the size a segment grows to unless Options says otherwise.
const DefaultSegmentBytes = 64 << 20

// Options of a log.
type Options struct {
	FS           vfs.FS
	Dir          string // made if it is missing; its parent must exist
	SegmentBytes int64  // a segment that would grow beyond is closed; 0: DefaultSegmentBytes; at most 1 GiB
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrFailed marks a log of which a write or fsync failed. What is on disk is unknown until the log
	// is opened anew. The cause, such as syscall.ENOSPC, is wrapped too.
	ErrFailed = errors.New("the write-ahead log failed")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the write-ahead log is closed")
)

var (
	errNotReplayed = errors.New("the write-ahead log must be replayed before it is written to")
	errReplayed    = errors.New("the write-ahead log was replayed already")
)

// Log is a write-ahead log. One goroutine at a time may call Replay, Append, Sync and Close; Rotate,
// Truncate, Files, Size and SegmentCount may be called by others meanwhile and never wait for an fsync.
type Log struct {
	fs           vfs.FS
	dir          string
	segmentBytes int64

	// Of the goroutine that appends.
	replayed bool
	failed   error    // once set, what every write returns
	file     vfs.File // of the last of mu.segments; nil: the next Append begins a segment
	header   header   // of file; without one: what the next header says of the segment before it
	size     int64    // of file
	synced   int64    // the part of size that is durable
	last     LSN
	buf      []byte // of the frame being written

	truncating sync.Mutex // held by Truncate, before mu

	mu struct {
		sync.Mutex
		segments []segment // by number; the newest is never removed
		next     uint64    // number of the next segment
		rotate   bool
	}
}

// keepBufferBytes is the largest frame buffer kept between appends.
const keepBufferBytes = 4 << 20

// Open lists the segments of a log. Replay must have run before anything is appended.
func Open(opts Options) (*Log, error) {
	if opts.SegmentBytes == 0 {
		opts.SegmentBytes = DefaultSegmentBytes
	}
	if opts.SegmentBytes < 0 || opts.SegmentBytes > maxSegmentSize {
		return nil, fmt.Errorf("wal: a segment size of %d bytes was asked for, at most %d are possible", opts.SegmentBytes, maxSegmentSize)
	}
	if err := opts.FS.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("wal: make folder %s: %w", opts.Dir, err)
	}
	if err := syncDir(opts.FS, opts.FS.PathDir(opts.Dir)); err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	segments, err := listSegments(opts.FS, opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	l := &Log{fs: opts.FS, dir: opts.Dir, segmentBytes: opts.SegmentBytes}
	l.mu.segments, l.mu.next = segments, 1
	if n := len(segments); n > 0 {
		l.mu.next = segments[n-1].number + 1
	}
	return l, nil
}

// Append writes a frame with the LSNs first to last, in one write. It is durable after the next Sync.
// LSNs are consecutive: first is 1 more than the last of the frame before, or than ReplayResult.LastLSN.
// The payload, at most MaxFrameBytes, is copied. Arguments that break these rules are refused and
// change nothing; after any other error the log has failed (ErrFailed).
func (l *Log) Append(first, last LSN, payload []byte) error {
	if err := l.writable(); err != nil {
		return err
	}
	if first != l.last+1 || last < first || last-first >= math.MaxUint32 {
		return fmt.Errorf("wal: a frame of LSN %d to %d can't follow LSN %d", first, last, l.last)
	}
	if len(payload) > MaxFrameBytes {
		return fmt.Errorf("wal: a frame of %d bytes exceeds the limit of %d; write smaller batches", len(payload), MaxFrameBytes)
	}
	if err := l.prepare(frameOverhead + int64(len(payload))); err != nil {
		return l.fail("begin a segment", err)
	}
	l.buf = appendFrame(l.buf[:0], frame{
		segment: l.header.segment,
		first:   first,
		count:   uint32(last - first + 1),
		synced:  uint32(l.synced),
	}, payload)
	size := int64(len(l.buf))
	if _, err := l.file.Write(l.buf); err != nil {
		return l.fail("append", err)
	}
	if cap(l.buf) > keepBufferBytes {
		l.buf = nil
	}
	l.size += size
	l.last = last

	l.mu.Lock()
	defer l.mu.Unlock()
	active := &l.mu.segments[len(l.mu.segments)-1]
	active.size, active.last = l.size, last
	return nil
}

// Sync makes all frames appended so far durable.
func (l *Log) Sync() error {
	if err := l.writable(); err != nil {
		return err
	}
	return l.sync()
}

func (l *Log) sync() error {
	if l.synced == l.size {
		return nil
	}
	if err := l.file.SyncData(); err != nil {
		return l.fail("fsync", err)
	}
	l.synced = l.size
	return nil
}

// Rotate makes the next Append begin a new segment, unless it does anyway. So, once a flush is done, all
// frames from before the Rotate can be truncated. It returns the number of the newest segment there is, 0 for
// none: if no Append runs meanwhile, nothing is ever written again to it and those before.
func (l *Log) Rotate() (closed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.rotate = true
	if n := len(l.mu.segments); n > 0 {
		closed = l.mu.segments[n-1].number
	}
	return closed
}

// Files returns the names, in the log's folder, of the segments up to a number. They are there until a Truncate.
func (l *Log) Files(last uint64) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for i := range l.mu.segments {
		if number := l.mu.segments[i].number; number <= last {
			names = append(names, segmentName(number))
		}
	}
	return names
}

// Truncate removes the segments, oldest first, whose frames all have LSNs up to through. The newest
// segment stays, and so does everything while Replay runs. The caller vouches that Replay will never
// again be asked for these LSNs. What could not be removed because of an error, a later call removes.
func (l *Log) Truncate(through LSN) error {
	l.truncating.Lock()
	defer l.truncating.Unlock()
	for {
		number, ok := l.oldest(through)
		if !ok {
			return nil
		}
		// Removing a large file takes a while; appends go on meanwhile.
		name := l.path(number)
		if err := l.fs.Remove(name); err != nil && !oserror.IsNotExist(err) {
			return fmt.Errorf("wal: remove %s: %w", name, err)
		}
		l.mu.Lock()
		l.mu.segments = l.mu.segments[1:]
		l.mu.Unlock()
	}
}

// oldest returns the number of the first segment if Truncate may remove it.
func (l *Log) oldest(through LSN) (number uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.segments) < 2 || l.mu.segments[0].last > through {
		return 0, false
	}
	return l.mu.segments[0].number, true
}

// Size returns the bytes of all segments.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := int64(0)
	for i := range l.mu.segments {
		size += l.mu.segments[i].size
	}
	return size
}

// SegmentCount returns the number of segments.
func (l *Log) SegmentCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.segments)
}

// Close makes everything durable and closes the log. Its error is that of the fsync, or, when the log
// had failed before, that failure.
func (l *Log) Close() error {
	if errors.Is(l.failed, ErrClosed) {
		return nil
	}
	err := l.failed
	if l.file != nil {
		if err == nil {
			err = l.sync()
		}
		if closeErr := l.file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("wal: close: %w", closeErr)
		}
		l.file = nil
	}
	l.failed = ErrClosed
	return err
}

func (l *Log) writable() error {
	if l.failed != nil {
		return l.failed
	}
	if !l.replayed {
		return errNotReplayed
	}
	return nil
}

// fail records the first failure of a write and returns it.
func (l *Log) fail(what string, err error) error {
	if l.failed == nil {
		l.failed = fmt.Errorf("%w: %s: %w", ErrFailed, what, err)
	}
	return l.failed
}

// prepare makes sure that file is a segment to which a frame of that size may be appended.
func (l *Log) prepare(frameSize int64) error {
	l.mu.Lock()
	rotate, number := l.mu.rotate, l.mu.next
	l.mu.rotate = false
	l.mu.Unlock()
	if l.file != nil && (l.size == segmentHeader || !rotate && l.size+frameSize <= l.segmentBytes) {
		return nil
	}
	if l.file != nil {
		// A header vouches for the segment before it, so that one must be durable first.
		if err := l.sync(); err != nil {
			return err
		}
		file := l.file
		l.file = nil
		if err := file.Close(); err != nil {
			return err
		}
		l.header.previous, l.header.previousLength = l.header.segment, l.size
	}
	l.header.segment, l.header.previousLast = number, l.last
	file, err := createSegment(l.fs, l.dir, l.header)
	if err != nil {
		return err
	}
	l.file, l.size, l.synced = file, segmentHeader, segmentHeader

	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.next = number + 1
	l.mu.segments = append(l.mu.segments, segment{number: number, size: l.size, last: l.last})
	return nil
}

func (l *Log) path(number uint64) string { return l.fs.PathJoin(l.dir, segmentName(number)) }
