package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// windowBytes is how much of a segment is read at once; more only for a larger frame.
const windowBytes = 1 << 20

// window gives access to any place of a file through one buffer.
type window struct {
	file  vfs.File
	name  string
	limit int64  // bytes of the file that may be looked at
	start int64  // offset of buf in the file
	buf   []byte // what was read last
}

// reset makes the window one on another file. The buffer is kept.
func (w *window) reset(file vfs.File, name string, limit int64) {
	*w = window{file: file, name: name, limit: limit, buf: w.buf[:0]}
}

// at returns up to n bytes of the file from offset on, fewer only at the limit. They are valid until the
// next call.
func (w *window) at(offset int64, n int) ([]byte, error) {
	n = int(max(0, min(int64(n), w.limit-offset)))
	if from := offset - w.start; from >= 0 && from+int64(n) <= int64(len(w.buf)) {
		return w.buf[from : from+int64(n)], nil
	}
	var kept []byte // what of buf is wanted still
	if from := offset - w.start; from >= 0 && from < int64(len(w.buf)) {
		kept = w.buf[from:]
	}
	ahead := max(n, int(min(windowBytes, w.limit-offset)))
	w.start, w.buf = offset, slices.Grow(w.buf[:0], ahead)[:ahead]
	have := copy(w.buf, kept)
	read, err := io.ReadFull(io.NewSectionReader(w.file, offset+int64(have), int64(ahead-have)), w.buf[have:])
	if err != nil {
		w.buf = w.buf[:0]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("it ends after %d bytes: %w", offset+int64(have+read), io.ErrUnexpectedEOF)
		}
		return nil, fmt.Errorf("wal: read %s at offset %d: %w", w.name, offset, err)
	}
	return w.buf[:n], nil
}

// from returns what is in the buffer from offset on: n bytes at least, fewer only at the limit.
func (w *window) from(offset int64, n int) ([]byte, error) {
	if _, err := w.at(offset, n); err != nil {
		return nil, err
	}
	return w.buf[offset-w.start:], nil
}
