package httpapi

import (
	"net"
	"sync"
	"time"
)

// Time limits of live connections.
const (
	liveSendTimeout  = 75 * time.Second // for what is sent at once, 64 KiB or so
	livePingInterval = 30 * time.Second // after which a WebSocket's client is asked whether it's there
	liveReadTimeout  = 75 * time.Second // without a word of it, not even a pong
	liveHurryTimeout = time.Second      // for the last things, once the connection is to end
)

// liveBufferBytes is the room that the operating system gives to what a live client hasn't received. What doesn't fit
// waits where it is counted and where the oldest can be dropped; and a ping doesn't wait behind megabytes.
const liveBufferBytes = 256 << 10

// liveConn is a connection that was taken over from fasthttp, with its deadlines. One goroutine sends, another
// reads.
type liveConn struct {
	net.Conn

	mu     sync.Mutex
	hasty  bool // the server is stopping
	ending bool // only the client's last word is waited for
}

func newLiveConn(conn net.Conn) *liveConn {
	if socket, ok := socketOf(conn).(interface{ SetWriteBuffer(bytes int) error }); ok {
		socket.SetWriteBuffer(liveBufferBytes) //nolint:errcheck // else it is larger
	}
	return &liveConn{Conn: conn}
}

// socketOf returns what is below all that we and others have put around a connection.
func socketOf(conn net.Conn) net.Conn {
	for {
		switch c := conn.(type) {
		case *lingerConn:
			conn = c.Conn
		case interface{ UnsafeConn() net.Conn }: // fasthttp's, once it is taken over
			conn = c.UnsafeConn()
		case interface{ NetConn() net.Conn }: // TLS
			conn = c.NetConn()
		default:
			return conn
		}
	}
}

// send writes bytes, whole frames or events, within the time limit.
func (c *liveConn) send(data []byte) error {
	c.mu.Lock()
	limit := liveSendTimeout
	if c.hasty {
		limit = liveHurryTimeout
	}
	err := c.SetWriteDeadline(deadlineIn(limit))
	c.mu.Unlock()
	if err == nil {
		_, err = c.Write(data)
	}
	return err
}

// hurry gives a send that is under way, and those that come, little time.
func (c *liveConn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hasty = true
	c.SetWriteDeadline(deadlineIn(liveHurryTimeout)) //nolint:errcheck // a closed connection needs no deadline
}

// heard gives the client time for its next word.
func (c *liveConn) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.SetReadDeadline(deadlineIn(liveReadTimeout)) //nolint:errcheck // as above
	}
}

// end gives the reader little time for the client's last word.
func (c *liveConn) end(limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
	c.SetReadDeadline(deadlineIn(limit)) //nolint:errcheck // as above
}
