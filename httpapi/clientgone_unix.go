//go:build unix && !linux

package httpapi

import "syscall"

// clientGone reports whether the peer of a socket has closed it or reset it. It takes nothing from the
// socket and does not block. What the peer sent before it closed hides that from us.
func clientGone(socket syscall.RawConn) bool {
	gone := false
	err := socket.Control(func(fd uintptr) {
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waiting := err == syscall.EAGAIN || err == syscall.EINTR
		gone = n <= 0 && !waiting
	})
	return gone || err != nil
}
