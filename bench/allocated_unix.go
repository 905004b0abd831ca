//go:build unix

package bench

import (
	"os"
	"syscall"
)

// allocated is the disk space of a file: less than its size where it has holes.
func allocated(info os.FileInfo) int64 {
	if status, known := info.Sys().(*syscall.Stat_t); known {
		return int64(status.Blocks) * 512 //nolint:unconvert // not an int64 on all systems
	}
	return info.Size()
}
