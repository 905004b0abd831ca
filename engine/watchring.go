package engine

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/flopynet/collector/model"
)

// Position is the place of an update in the order in which writes became visible: the LSN of its batch, and
// which of the batch it is. The zero Position lies before all.
type Position struct {
	LSN   uint64
	Index uint32
}

func (p Position) less(other Position) bool {
	return p.LSN < other.LSN || p.LSN == other.LSN && p.Index < other.Index
}

// Resume is a Position as a text for clients that may come back later: "lsn-index-run". The run tells one
// opening of the store from another. After a restart a position isn't in the ring anyway; and with a log that is
// not synced always, one LSN may have stood for two batches, before and after a power failure.
type Resume struct {
	Position
	Run uint32
}

// String spells the position as ParseResume reads it.
func (r Resume) String() string { return string(r.Append(nil)) }

// Append appends what String returns.
func (r Resume) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, r.LSN, 10)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, uint64(r.Index), 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, uint64(r.Run), 16)
}

// ParseResume is the inverse of Resume.String.
func ParseResume(text string) (Resume, error) {
	parts := strings.Split(text, "-")
	if len(parts) != 3 {
		return Resume{}, fmt.Errorf("position %q is not of the form lsn-index-run", text)
	}
	lsn, err1 := strconv.ParseUint(parts[0], 10, 64)
	index, err2 := strconv.ParseUint(parts[1], 10, 32)
	run, err3 := strconv.ParseUint(parts[2], 16, 32)
	r := Resume{Position: Position{LSN: lsn, Index: uint32(index)}, Run: uint32(run)}
	if err1 != nil || err2 != nil || err3 != nil || r.String() != text {
		return Resume{}, fmt.Errorf("position %q is not of the form lsn-index-run", text)
	}
	return r, nil
}

// blockEntries is how many samples a block of the ring has room for.
const blockEntries = 4096

// watchEntry is a sample in the ring.
type watchEntry struct {
	at    Position
	id    model.SeriesID
	time  int64
	value float64
}

// watchBlock is a part of the ring: samples, or events. It is filled from front to back, and what lies below
// count doesn't change any more: so it is read without a lock while the next entries are added.
type watchBlock struct {
	first   uint64   // number of its first entry, of all that were ever published
	before  Position // of the entry before its first
	entries []watchEntry
	events  []placedEvent // instead of entries
	at      uint64        // LSN of the events
	count   atomic.Int64
	next    atomic.Pointer[watchBlock]
	gone    atomic.Bool // no longer in the ring; set before next is cut

	size int // places that it counts for; the publisher's
}

// watchRing keeps what was published last, in the order of the log. There is one publisher, who never waits:
// a reader that is too slow finds that the block it stands on is gone. Blocks aren't reused, so that readers need no
// lock; the publisher allocates one for every 4,096 samples.
type watchRing struct {
	capacity int // in entries; see entryBytes
	oldest   atomic.Pointer[watchBlock]
	end      atomic.Uint64 // number that the next entry gets

	// The publisher's: guarded by the apply stage.
	newest *watchBlock
	spare  []watchEntry // room that a block left when events came between
	held   int          // sizes of all blocks
	last   Position     // of the newest entry
}

// reset begins an empty ring behind a position. No reader may stand in it.
func (r *watchRing) reset(last Position) {
	r.newest, r.spare, r.held, r.last = nil, nil, 0, last
	r.oldest.Store(nil)
	r.add(&watchBlock{size: 1})
}

// drop gives the ring's memory back.
func (r *watchRing) drop() {
	r.newest, r.spare, r.held = nil, nil, 0
	r.oldest.Store(nil)
}

// publishSamples adds the samples of a batch.
func (r *watchRing) publishSamples(lsn uint64, ids []model.SeriesID, times []int64, values []float64) {
	for done := 0; done < len(ids); {
		b := r.newest
		used := int(b.count.Load())
		if b.events != nil || used == len(b.entries) {
			r.addSpace()
			continue
		}
		n := min(len(ids)-done, len(b.entries)-used)
		into := b.entries[used : used+n]
		for i := range into {
			k := done + i
			into[i] = watchEntry{at: Position{LSN: lsn, Index: uint32(k)}, id: ids[k], time: times[k], value: values[k]}
		}
		done += n
		r.last = Position{LSN: lsn, Index: uint32(done - 1)}
		b.count.Store(int64(used + n))
		r.end.Add(uint64(n))
	}
}

// entryBytes is what a watchEntry takes. Events, which may be large, count for as many as would take the same.
const entryBytes = 40

// publishEvents adds the events of a batch.
func (r *watchRing) publishEvents(lsn uint64, events []placedEvent) {
	if len(events) == 0 {
		return
	}
	b := r.newest
	if used := int(b.count.Load()); used < len(b.entries) {
		r.spare = b.entries[used:]
		b.size -= len(r.spare)
		r.held -= len(r.spare)
	}
	block := &watchBlock{events: slices.Clone(events), at: lsn} // a copy: the head's list holds others, too
	for i := range events {
		block.size += eventBytes(&events[i].event) / entryBytes
	}
	block.count.Store(int64(len(events)))
	r.add(block)
	r.last = Position{LSN: lsn, Index: uint32(len(events) - 1)}
	r.end.Add(uint64(len(events)))
}

// addSpace adds a block for samples.
func (r *watchRing) addSpace() {
	entries := r.spare
	if r.spare = nil; entries == nil {
		entries = make([]watchEntry, min(blockEntries, r.capacity))
	}
	r.add(&watchBlock{entries: entries, size: len(entries)})
}

// add makes the block the newest, and lets the oldest go if they are too many.
func (r *watchRing) add(b *watchBlock) {
	b.first, b.before = r.end.Load(), r.last
	if r.newest == nil {
		r.oldest.Store(b)
	} else {
		r.newest.next.Store(b)
	}
	r.newest = b
	r.held += b.size
	for oldest := r.oldest.Load(); r.held-oldest.size-b.size >= r.capacity && oldest != b; oldest = r.oldest.Load() {
		r.held -= oldest.size
		r.oldest.Store(oldest.next.Load())
		oldest.gone.Store(true)
		oldest.next.Store(nil) // who stands on it must not hold the memory of all that follows
	}
}

// watchCursor is a reader's place in the ring.
type watchCursor struct {
	block  *watchBlock
	offset int
}

// number is that of the entry the cursor stands before.
func (c *watchCursor) number() uint64 { return c.block.first + uint64(c.offset) }

// read returns how many entries, at most limit, may be read from the cursor's block at its offset; 0: there are none
// yet. lost says how many the cursor had to skip, since they had left the ring.
func (c *watchCursor) read(r *watchRing, limit int) (n int, lost uint64) {
	for {
		if n = int(c.block.count.Load()) - c.offset; n > 0 {
			return min(n, limit), lost
		}
		next := c.block.next.Load()
		gone := next == nil && c.block.gone.Load()
		if next == nil && !gone {
			return 0, lost
		}
		if int(c.block.count.Load()) > c.offset {
			continue // added before the next block was
		}
		if gone {
			number := c.number()
			next = r.oldest.Load()
			lost += next.first - number
		}
		c.block, c.offset = next, 0
	}
}

// place returns the position of entry i of the block.
func (b *watchBlock) place(i int) Position {
	if b.events != nil {
		return Position{LSN: b.at, Index: uint32(i)}
	}
	return b.entries[i].at
}

// cursorAfter returns a cursor behind a position. ok is false if something behind it is no longer in the ring.
func (r *watchRing) cursorAfter(after Position) (c watchCursor, ok bool) {
	b := r.oldest.Load()
	if b == nil || after.less(b.before) {
		return watchCursor{}, false
	}
	for next := b.next.Load(); next != nil && !after.less(next.before); next = b.next.Load() {
		b = next
	}
	count := int(b.count.Load())
	offset := sort.Search(count, func(i int) bool { return after.less(b.place(i)) })
	return watchCursor{block: b, offset: offset}, true
}

// maxIndex is the Index of a Position behind all updates of its LSN.
const maxIndex = math.MaxUint32
