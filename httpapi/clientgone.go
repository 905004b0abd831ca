package httpapi

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// clientPoll is how often a running query looks whether its client is still there.
const clientPoll = 250 * time.Millisecond

// clientWatch calls a function once the client of a connection is gone.
type clientWatch struct {
	mu struct {
		sync.Mutex
		timer   *time.Timer
		stopped bool
	}
}

// watchClient looks at the connection every clientPoll and calls cancel when the client has closed its
// side. fasthttp reads nothing while a handler runs, so nobody else would notice. A request that is
// answered sooner costs a timer.
func watchClient(conn net.Conn, cancel context.CancelFunc) *clientWatch {
	w := new(clientWatch)
	if linger, ok := conn.(*lingerConn); ok {
		conn = linger.Conn
	}
	socket, ok := rawConn(conn).(syscall.Conn)
	if !ok {
		return w
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return w
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.timer = time.AfterFunc(clientPoll, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case w.mu.stopped:
		case clientGone(raw):
			cancel()
		default:
			w.mu.timer.Reset(clientPoll)
		}
	})
	return w
}

// stop ends the watch; the connection is not touched afterwards.
func (w *clientWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.stopped = true
	if w.mu.timer != nil {
		w.mu.timer.Stop()
	}
}
