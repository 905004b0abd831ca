//go:build !unix

package bench

import "os"

// allocated is the size of a file, since holes in it can't be seen here.
func allocated(info os.FileInfo) int64 { return info.Size() }
