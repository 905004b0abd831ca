package httpapi

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// lingerTimeout bounds how long a closing connection is read for the client's sake.
const lingerTimeout = 5 * time.Second

// lingerListener gives out connections that can be closed gently. An answer sent before the request's
// body was read would be lost if the connection were simply closed: unread data makes the kernel reset
// it, and the client loses what it has not yet taken from its socket.
type lingerListener struct {
	net.Listener
	limit int64 // bytes to read and discard, at most
}

func (l *lingerListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingerConn{Conn: conn, limit: l.limit}, nil
}

// lingerConn is a connection whose Close, once linger is set, ends its own side and then reads and
// discards what the client still sends, for a while and up to a limit.
type lingerConn struct {
	net.Conn
	limit  int64
	linger atomic.Bool
}

func (c *lingerConn) Close() error {
	if c.linger.Swap(false) {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			if c.SetReadDeadline(time.Now().Add(lingerTimeout)) == nil {
				io.CopyN(io.Discard, c.Conn, c.limit) //nolint:errcheck // whatever ends it, the connection is closed next
			}
		}
	}
	return c.Conn.Close()
}

// prefetchedBytes is how much of a body of known length fasthttp has read before a handler runs.
const prefetchedBytes = 8 << 10

// closeIfUnread makes the connection close, gently, when the client may still be sending the request's
// body.
func (r *request) closeIfUnread() {
	length := r.http.Request.Header.ContentLength() // below zero: chunked, or no body at all
	if r.bodyRead || r.http.RequestBodyStream() == nil || length >= 0 && length <= prefetchedBytes {
		return
	}
	r.http.SetConnectionClose()
	r.closeGently()
}

func (r *request) closeGently() {
	if conn, ok := r.http.Conn().(*lingerConn); ok {
		conn.linger.Store(true)
	}
}

// reset makes the next Close cut the connection, so that the client doesn't take it for an orderly end.
func (c *lingerConn) reset() {
	under := rawConn(c.Conn)
	if socket, ok := under.(*net.TCPConn); ok {
		socket.SetLinger(0) //nolint:errcheck // a connection that is gone can't be cut either
	}
	if under != c.Conn {
		under.Close() //nolint:errcheck // as above; TLS must not say goodbye any more
	}
}

// rawConn returns the connection that a TLS connection is on, and any other as it is.
func rawConn(conn net.Conn) net.Conn {
	if encrypted, ok := conn.(*tls.Conn); ok {
		return encrypted.NetConn()
	}
	return conn
}
