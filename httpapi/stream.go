package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// firstBytes is how much of an answer is gathered before it is sent. A shorter one is an ordinary answer, and
// so is a fault until then.
const firstBytes = 256 << 10

// streamStall bounds how long a client may take nothing of a stream.
const streamStall = 2 * time.Minute

// streams are the answers under way that are produced while they are sent, and outlive their handlers. They
// come straight from the connection: fasthttp's own streams go through a pipe in pieces of 4 KiB.
type streams struct {
	slots   chan struct{}
	running sync.WaitGroup
}

// maxStreams is how many there may be at a time: each takes tens of MiB at worst.
const maxStreams = 8

func newStreams() *streams { return &streams{slots: make(chan struct{}, maxStreams)} }

// begin takes a slot; end gives it back.
func (s *streams) begin() error {
	select {
	case s.slots <- struct{}{}:
		s.running.Add(1)
		return nil
	default:
		failure := newError(fasthttp.StatusTooManyRequests, "Too many exports are under way",
			detail{"limit", "exports at once"}, detail{"max", maxStreams}, detail{"issue", "retry when one is done, or ask for a job: GET /export/metrics"})
		failure.retryAfter = 5
		return failure
	}
}

func (s *streams) end() {
	<-s.slots
	s.running.Done()
}

// wait returns when all have ended, or the context has.
func (s *streams) wait(ctx context.Context) error { return waitFor(ctx, &s.running) }

// stream is one of them. Its producer, a goroutine, writes to it.
type stream struct {
	server  *Server
	id      string // of the request
	path    string
	client  string
	began   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	watch   *clientWatch
	chunked bool // else the end of the connection is that of the answer

	first  []byte        // until it is sent
	filled chan struct{} // closed when first is full: then the answer is a stream
	header []byte        // of the answer; set before conn is given
	conns  chan net.Conn // gives the connection, once
	conn   net.Conn      // nil until then
	prefix []byte        // of a chunk
	done   chan struct{} // closed when produce has returned
	err    error         // what it returned
	sent   int64         // bytes
}

// respondStream answers with what produce writes, in large pieces. If that is short, or fails at once, the
// answer is an ordinary one. Else it is sent while it is produced, no faster than the client takes it. When
// produce fails then, when the client goes away, or when the server stops, the connection is cut, so that
// nobody takes the part for the whole. produce must stop soon after its context ends.
func (r *request) respondStream(contentType string, produce func(ctx context.Context, w io.Writer) error) error {
	s := r.server
	if err := s.streams.begin(); err != nil {
		return err
	}
	st := &stream{
		server: s, id: r.id, path: string(r.http.Path()), client: r.client().String(), began: r.received,
		chunked: r.http.Request.Header.IsHTTP11(), filled: make(chan struct{}), conns: make(chan net.Conn, 1), done: make(chan struct{}),
	}
	st.ctx, st.cancel = context.WithCancel(s.base)
	st.watch = watchClient(r.http.Conn(), st.cancel)
	go st.run(produce)
	select {
	case <-st.done:
		if st.err != nil {
			return st.err
		}
		r.respondLarge(contentType, st.first)
	case <-st.filled:
		r.stream = st
		r.http.SetStatusCode(fasthttp.StatusOK)
		r.http.SetContentType(contentType)
		r.http.HijackSetNoResponse(true)
		r.http.Hijack(st.serve)
	}
	return nil
}

// handOver gives the stream, if the answer is one, its header as it is when all else is done.
func (r *request) handOver() {
	if r.stream == nil {
		return
	}
	header := &r.http.Response.Header
	header.SetConnectionClose()
	if r.stream.chunked {
		header.SetContentLength(-1)
	} else {
		header.SetContentLength(-2) // till the end of the connection
	}
	r.stream.header = append([]byte(nil), header.Header()...)
}

// run lets the answer be produced.
func (st *stream) run(produce func(context.Context, io.Writer) error) {
	defer st.server.streams.end()
	defer st.cancel()
	defer st.watch.stop()
	st.err = produce(st.ctx, st)
	if st.err == nil && st.conn != nil && st.chunked {
		_, st.err = st.send(net.Buffers{[]byte("0\r\n\r\n")})
	}
	close(st.done)
}

// Write takes a piece of the answer.
func (st *stream) Write(p []byte) (int, error) {
	if st.conn != nil {
		return st.chunk(p)
	}
	if st.first = append(st.first, p...); len(st.first) < firstBytes {
		return len(p), nil
	}
	close(st.filled)
	select {
	case st.conn = <-st.conns:
	case <-st.ctx.Done():
		return 0, st.ctx.Err()
	}
	context.AfterFunc(st.ctx, func() { st.conn.SetWriteDeadline(time.Unix(1, 0)) }) //nolint:errcheck // as good as gone
	if _, err := st.send(net.Buffers{st.header}); err != nil {
		return 0, err
	}
	first := st.first
	st.first = nil
	if _, err := st.chunk(first); err != nil {
		return 0, err
	}
	return len(p), nil
}

// chunk sends a piece of the body.
func (st *stream) chunk(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // an empty chunk would be the end
	}
	if !st.chunked {
		return st.send(net.Buffers{p})
	}
	st.prefix = append(strconv.AppendInt(st.prefix[:0], int64(len(p)), 16), "\r\n"...)
	if _, err := st.send(net.Buffers{st.prefix, p, []byte("\r\n")}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send writes to the connection, unless the context has ended.
func (st *stream) send(pieces net.Buffers) (int, error) {
	if err := st.conn.SetWriteDeadline(deadlineIn(streamStall)); err != nil {
		return 0, err
	}
	if err := st.ctx.Err(); err != nil { // the deadline may have replaced the one that says so
		return 0, err
	}
	n, err := pieces.WriteTo(st.conn)
	st.sent += n
	return int(n), err
}

// serve has the connection, as long as it doesn't return.
func (st *stream) serve(conn net.Conn) {
	if raw, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		conn = raw.UnsafeConn()
	}
	linger, _ := conn.(*lingerConn)
	if linger != nil {
		conn = linger.Conn // a socket, as a rule, which writes several pieces at once
	}
	st.conns <- conn
	<-st.done
	fields := []any{"request_id", st.id, "path", st.path, "bytes", st.sent,
		"duration", st.server.options.Now().Sub(st.began), "client", st.client}
	switch {
	case st.err == nil:
		if linger != nil { // what the client sends meanwhile must not reset what it has not read
			linger.linger.Store(true)
		}
		st.server.logger.Log(st.server.base, st.server.accessLevel(), "the answer was streamed to its end", fields...)
		return
	case st.server.base.Err() != nil:
		st.server.logger.Warn("a streamed answer was cut off by the shutdown", fields...)
	case errors.Is(st.err, context.Canceled) || errors.As(st.err, new(net.Error)):
		st.server.logger.Info("the client of a streamed answer went away, or took nothing for long", append(fields, "error", st.err)...)
	default:
		st.server.logger.Error("a streamed answer failed and was cut off", append(fields, "error", st.err)...)
	}
	if linger != nil {
		linger.reset()
	}
}
