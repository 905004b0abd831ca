package engine

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/flopynet/collector/model"
)

const (
	hourWidth     = int64(time.Hour)
	hoursPerBlock = 64

	// maxHourBlocks bounds the hours that are told apart to 65,536 when they lie together, which are seven
	// and a half years, and the memory to 550 KB.
	maxHourBlocks = 1024

	// maxChangedRanges bounds the changes that are kept as ranges; a change of up to shortRangeHours is kept
	// by the hour.
	maxChangedRanges = 64
	shortRangeHours  = 4 * hoursPerBlock
)

// hourChanges keeps the LSN of the last change of each hour of data. It is told of a change before that is
// applied: what was read while LSN n was applied, and holds hours of which none changed since n, is what
// would be read now. Where it has too much to keep it forgets, and then calls unchanged hours changed.
//
// The zero value is ready for use, by several goroutines at a time.
type hourChanges struct {
	mu     sync.RWMutex
	newest uint64               // of all changes
	floor  uint64               // every hour counts as changed by it
	blocks map[int64]*hourBlock // by hour / hoursPerBlock
	ranges []changedRange
}

// hourBlock holds the last changes of hours that follow each other; 0: none.
type hourBlock struct {
	newest uint64
	hours  [hoursPerBlock]uint64
}

// changedRange is a change of all hours from first to last.
type changedRange struct {
	first, last int64
	lsn         uint64
}

// note takes down a change of the hours that these times lie in, in nanoseconds since the epoch, none of
// them negative. The hours met are gathered first, each in the place of its lowest bits, so that the lock is
// taken once for a batch, unless two of its hours are 64 apart or more.
func (h *hourChanges) note(times []int64, lsn uint64) {
	var (
		met   [hoursPerBlock]int64
		inUse uint64
		begin = -hourWidth // of the hour of the sample before
	)
	for _, ns := range times {
		if uint64(ns-begin) < uint64(hourWidth) {
			continue
		}
		hour := ns / hourWidth
		begin = hour * hourWidth
		place := uint64(hour) % hoursPerBlock
		if inUse>>place&1 == 1 {
			if met[place] == hour {
				continue
			}
			h.raise(&met, inUse, lsn)
			inUse = 0
		}
		met[place] = hour
		inUse |= 1 << place
	}
	h.raise(&met, inUse, lsn)
}

// raise takes down a change of the hours that are in use.
func (h *hourChanges) raise(hours *[hoursPerBlock]int64, inUse, lsn uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.newest = max(h.newest, lsn)
	for ; inUse != 0; inUse &= inUse - 1 {
		h.raiseHour(hours[bits.TrailingZeros64(inUse)], lsn)
	}
}

// raiseHour takes down a change of one hour. The caller holds the lock and has raised newest.
func (h *hourChanges) raiseHour(hour int64, lsn uint64) {
	number := hour / hoursPerBlock
	block := h.blocks[number]
	if block == nil {
		if len(h.blocks) == maxHourBlocks {
			h.forget()
			return
		}
		if h.blocks == nil {
			h.blocks = make(map[int64]*hourBlock)
		}
		block = new(hourBlock)
		h.blocks[number] = block
	}
	block.newest = max(block.newest, lsn)
	block.hours[hour%hoursPerBlock] = max(block.hours[hour%hoursPerBlock], lsn)
}

// noteRange takes down a change of the hours that [from, to) touches, however many they are.
func (h *hourChanges) noteRange(from, to int64, lsn uint64) {
	from = max(from, model.MinTime)
	if from >= to {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.newest = max(h.newest, lsn)
	first, last := from/hourWidth, (to-1)/hourWidth
	if last-first < shortRangeHours {
		for hour := first; hour <= last; hour++ {
			h.raiseHour(hour, lsn)
		}
		return
	}
	h.ranges = slices.DeleteFunc(h.ranges, func(r changedRange) bool { return first <= r.first && r.last <= last && r.lsn <= lsn })
	if len(h.ranges) == maxChangedRanges {
		h.forget()
		return
	}
	h.ranges = append(h.ranges, changedRange{first, last, lsn})
}

// forget drops what is known of single hours: every hour now counts as changed by the newest change. The
// caller holds the lock.
func (h *hourChanges) forget() {
	h.floor = h.newest
	clear(h.blocks)
	h.ranges = h.ranges[:0]
}

// changedSince reports whether any hour that [from, to) touches was changed by an LSN above this one. Its
// cost is bounded by the blocks there are, not by the range.
func (h *hourChanges) changedSince(from, to int64, lsn uint64) bool {
	from = max(from, model.MinTime)
	if from >= to {
		return false
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.newest <= lsn {
		return false
	}
	if h.floor > lsn {
		return true
	}
	first, last := from/hourWidth, (to-1)/hourWidth
	for _, r := range h.ranges {
		if r.lsn > lsn && r.first <= last && first <= r.last {
			return true
		}
	}
	firstBlock, lastBlock := first/hoursPerBlock, last/hoursPerBlock
	if lastBlock-firstBlock < int64(len(h.blocks)) {
		for number := firstBlock; number <= lastBlock; number++ {
			if h.blocks[number].changedSince(first-number*hoursPerBlock, last-number*hoursPerBlock, lsn) {
				return true
			}
		}
		return false
	}
	for number, block := range h.blocks {
		if block.changedSince(first-number*hoursPerBlock, last-number*hoursPerBlock, lsn) {
			return true
		}
	}
	return false
}

// changedSince is that of hourChanges for one block. first and last count from the block's first hour and
// may lie outside it. Most blocks answer by their newest change.
func (b *hourBlock) changedSince(first, last int64, lsn uint64) bool {
	if b == nil || b.newest <= lsn {
		return false
	}
	for hour := max(first, 0); hour <= min(last, hoursPerBlock-1); hour++ {
		if b.hours[hour] > lsn {
			return true
		}
	}
	return false
}
