package httpapi

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// clientGone reports whether the peer of a socket has closed it or reset it. It takes nothing from the
// socket and does not block. Unlike a look at what comes next, it isn't misled by what the peer sent before
// it closed: with TLS, that is a word of goodbye.
func clientGone(socket syscall.RawConn) bool {
	gone := false
	err := socket.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} //nolint:gosec // a descriptor fits
		n, err := unix.Poll(poll, 0)
		gone = err == nil && n > 0
	})
	return gone || err != nil
}
