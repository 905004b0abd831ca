package analysis

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel calls do for 0..n-1, on as many goroutines as there are processors, and returns when all are
// done. Once ctx has ended it starts no more, and returns the context's error.
func inParallel(ctx context.Context, n int, do func(i int)) error {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		running.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	running.Wait()
	return ctx.Err()
}
