package export

import "io"

// largeWriter joins small pieces and passes on large ones as they are.
type largeWriter struct {
	out  io.Writer
	held []byte
	err  error // the first, which stays
}

// joinedBytes is below which length pieces are joined.
const joinedBytes = 32 << 10

func (w *largeWriter) Write(p []byte) (int, error) {
	if len(p) < joinedBytes {
		if w.held = append(w.held, p...); len(w.held) < pieceBytes {
			return len(p), w.err
		}
		return len(p), w.Flush()
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return w.pass(p)
}

// Flush writes what is held.
func (w *largeWriter) Flush() error {
	if len(w.held) > 0 {
		_, _ = w.pass(w.held)
		w.held = w.held[:0]
	}
	return w.err
}

func (w *largeWriter) pass(p []byte) (n int, err error) {
	if w.err == nil {
		n, w.err = w.out.Write(p)
	}
	return n, w.err
}
