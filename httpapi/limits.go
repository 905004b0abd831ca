package httpapi

import (
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// What a body may take to arrive, and an answer to be taken: bodyGrace, and one second more for each
// minBytesPerSecond.
const (
	bodyGrace         = 30 * time.Second
	minBytesPerSecond = 64 << 10
)

// Sizes of body buffers. Buffers above maxPooledBytes are left to the garbage collector.
const (
	firstBodyBytes   = 16 << 10
	trustedBodyBytes = 1 << 20
	maxPooledBytes   = 4 << 20
)

// body is a request's body, decompressed. Its bytes must not be used after release.
type body struct {
	bytes    []byte
	budget   *memoryBudget
	reserved int64
}

var bodyPool = sync.Pool{New: func() any { return new(body) }}

// readBody reads and decompresses the body. The caller must release what it gets.
func (r *request) readBody() (*body, error) {
	b := bodyPool.Get().(*body)
	b.budget = r.server.memory
	if err := b.reserve(int64(cap(b.bytes))); err != nil {
		b.release()
		return nil, err
	}
	if err := b.read(r); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

func (b *body) read(r *request) error {
	options := &r.server.options
	encoding, err := contentEncoding(&r.http.Request.Header)
	if err != nil {
		return err
	}
	length := int64(r.http.Request.Header.ContentLength()) // below zero: not known
	if length > options.MaxBodyBytes {
		return bodyTooLarge("as sent", options.MaxBodyBytes)
	}
	sent := &sentReader{source: r.bodySource(), request: r, left: options.MaxBodyBytes, limit: options.MaxBodyBytes, started: time.Now()}
	if encoding == "identity" {
		// A length is a promise that costs the client nothing, so a long one is not believed at once.
		if first := min(length+1, trustedBodyBytes); first > int64(cap(b.bytes)) {
			if err := b.grow(first); err != nil {
				return err
			}
		}
		return b.fill(sent, options.MaxBodyBytes, "as sent")
	}
	return b.decompress(encoding, sent, options)
}

// bodySource is the stream of the body as it is sent.
func (r *request) bodySource() io.Reader {
	if stream := r.http.RequestBodyStream(); stream != nil {
		return stream
	}
	return strings.NewReader("")
}

// fill appends what source has, at most limit bytes.
func (b *body) fill(source io.Reader, limit int64, what string) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			// One byte above the limit, so that the reader's end can be seen.
			if err := b.grow(min(max(2*int64(cap(b.bytes)), firstBodyBytes), limit+1)); err != nil {
				return err
			}
		}
		n, err := source.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if int64(len(b.bytes)) > limit {
			return bodyTooLarge(what, limit)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// grow moves the bytes to a buffer of the capacity.
func (b *body) grow(capacity int64) error {
	old := int64(cap(b.bytes))
	if err := b.reserve(capacity); err != nil {
		return err
	}
	b.bytes = append(make([]byte, 0, capacity), b.bytes...)
	b.budget.release(old)
	b.reserved -= old
	return nil
}

func (b *body) reserve(n int64) error {
	if !b.budget.acquire(n) {
		return errNoMemory
	}
	b.reserved += n
	return nil
}

// release gives the memory back.
func (b *body) release() {
	b.budget.release(b.reserved)
	b.reserved = 0
	if cap(b.bytes) > maxPooledBytes {
		b.bytes = nil
	}
	b.bytes = b.bytes[:0]
	bodyPool.Put(b)
}

// sentReader reads a body as it is sent: at most limit bytes, and not slower than is allowed.
type sentReader struct {
	source      io.Reader
	request     *request
	left, limit int64
	started     time.Time
	granted     int64 // bytes read when the deadline was last put off; at first, the header's holds
	err         error // of the source, for telling it from a decompressor's
}

func (s *sentReader) Read(p []byte) (int, error) {
	read := s.limit - s.left
	if read-s.granted >= minBytesPerSecond {
		allowed := bodyGrace + time.Duration(read/minBytesPerSecond)*time.Second
		if err := s.request.http.SetReadDeadline(s.started.Add(allowed)); err != nil {
			return 0, err
		}
		s.granted = read
	}
	n, err := s.source.Read(p)
	s.left -= int64(n)
	if s.left < 0 {
		s.err = bodyTooLarge("as sent", s.limit)
		return 0, s.err
	}
	if length := s.request.http.Request.Header.ContentLength(); errors.Is(err, io.EOF) && s.limit-s.left < int64(length) {
		err = io.ErrUnexpectedEOF // fasthttp takes the end of the connection for that of the body
	}
	switch {
	case errors.Is(err, io.EOF):
		s.request.bodyRead = true
	case err != nil:
		err = brokenBody(err)
		s.err = err
	}
	return n, err
}

// limitSending bounds the time that the client may take to receive the answer, unless that is a stream.
func (r *request) limitSending() {
	if response := &r.http.Response; !response.IsBodyStream() {
		allowed := bodyGrace + time.Duration(len(response.Body())/minBytesPerSecond)*time.Second
		r.http.SetWriteDeadline(time.Now().Add(allowed)) //nolint:errcheck // a connection that is gone can't be written to either
	}
}

// deadlineIn is the deadline of a connection that may take so long.
func deadlineIn(d time.Duration) time.Time { return time.Now().Add(d) }

// brokenBody is the answer, if anybody still hears it, to a body that does not arrive.
func brokenBody(cause error) error {
	if errors.Is(cause, io.ErrUnexpectedEOF) {
		return bodyCutShort()
	}
	if failure := malformed(cause); failure.status == fasthttp.StatusRequestTimeout {
		failure.message = "The request's body did not arrive in time"
		return failure
	}
	return invalidRequest("The request's body is cut short or its chunks are malformed")
}

func bodyCutShort() *apiError {
	return invalidRequest("The request's body was cut short", detail{"issue", "fewer bytes arrived than were announced"})
}

func bodyTooLarge(what string, limit int64) error {
	return newError(fasthttp.StatusRequestEntityTooLarge, "The request's body is too large",
		detail{"limit", "body bytes " + what}, detail{"max", limit}, detail{"issue", "send it in several requests"})
}
