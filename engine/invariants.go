package engine

import (
	"fmt"

	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// The checks of this file run under the build tag invariants only; docs/format.md, section 6, has what
// they hold. Each caller asks invariants.Enabled first.

// checkOrder panics unless a frame follows the one applied before it.
func (p *pipeline) checkOrder(f *frame) {
	if applied := p.applied.Load(); f.first <= f.last && uint64(f.first) <= applied {
		panic(fmt.Sprintf("engine: a frame of LSN %d to %d is applied after LSN %d", f.first, f.last, applied))
	}
	last := wal.LSN(p.applied.Load())
	for _, c := range f.commits {
		if c.barrier == nil {
			if c.lsn <= last || c.lsn > f.last {
				panic(fmt.Sprintf("engine: LSN %d comes after %d in a frame that ends with %d", c.lsn, last, f.last))
			}
			last = c.lsn
		}
		if c.err == nil && c.maxID >= f.defined {
			panic(fmt.Sprintf("engine: LSN %d to %d has series %d, the log defines those below %d", f.first, f.last, c.maxID, f.defined))
		}
	}
}

// checkView panics unless a view's blocks are in time order, each within a day, and its tail behind them.
func checkView(id model.SeriesID, view head.View) {
	last := int64(-1)
	for _, block := range view.Blocks {
		if block.MinTime() <= last || model.TierRaw.PartitionOf(block.MinTime()) != model.TierRaw.PartitionOf(block.MaxTime()) {
			panic(fmt.Sprintf("engine: series %d has a block [%d, %d] behind time %d", id, block.MinTime(), block.MaxTime(), last))
		}
		last = block.MaxTime()
	}
	for _, sample := range view.Tail {
		if sample.Time <= last {
			panic(fmt.Sprintf("engine: series %d has time %d in its tail behind %d", id, sample.Time, last))
		}
		last = sample.Time
	}
}
