package rawcache

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/engine"
)

// Cache holds entries of one of the engine's epochs. A later epoch gets a new table, so that a request which
// began in the earlier can't leave an id there that was dropped since. It is safe for concurrent use and readers
// never wait.
type Cache[E any] struct {
	options Options
	current atomic.Pointer[Table[E]]
}

// Options bounds a Cache. The zero value gives the defaults.
type Options struct {
	MaxEntries int   // rounded up to a power of two; 0: 131,072
	MaxBytes   int64 // of the entries; 0: 32 MiB
}

// Table is the contents of a Cache. Its memory is bounded by Options.
//
// An entry may be in any of setWays slots, from the one on that its hash picks. Of these sets each overlaps the next
// by half, so that one that is fuller than most doesn't push out what it holds. Entries never change; a slot is filled and
// replaced atomically. The guesses are slot numbers rather than pointers, so that they keep no replaced entry alive.
type Table[E any] struct {
	epoch    uint64 // all entries were resolved in it or later
	maxBytes int64  // of the entries
	shift    uint   // of a hash, to the number of its set

	slots   []slot[E]
	bytes   atomic.Int64  // held by entries
	hand    atomic.Uint64 // goes round the slots to free bytes
	victims atomic.Uint64 // goes round the slots of full sets
	asked   atomic.Uint64 // how many wanted to be let in while there was no room

	mu      sync.Mutex
	classes map[engine.RetentionClass]*engine.RetentionClass // that entries share
}

// slot is a place for an entry. It has its guess beside it, since what comes next is asked for right after the entry was.
type slot[E any] struct {
	node atomic.Pointer[Node[E]]
	next atomic.Uint32 // number + 1 of the slot of what came after; 0: nothing yet
}

// Node is an entry in a table. It must not be changed.
type Node[E any] struct {
	Entry E
	hash  uint64
	size  int64
}

// NoSlot is the slot of what is not in a table.
const NoSlot = -1

const (
	setStep = 8           // slots from one set to the next
	setWays = 2 * setStep // slots of a set

	// admitOneOf so many is let in where there is no room: of more entries than fit, asked for in turn, most of those
	// that are there then stay, where each would push out the next otherwise, and none be found.
	admitOneOf = 8
)

// New returns an empty cache.
func New[E any](options Options) *Cache[E] {
	if options.MaxEntries <= 0 {
		options.MaxEntries = 128 << 10
	}
	if options.MaxBytes <= 0 {
		options.MaxBytes = 32 << 20
	}
	c := &Cache[E]{options: options}
	c.current.Store(c.newTable(0))
	return c
}

func (c *Cache[E]) newTable(epoch uint64) *Table[E] {
	setBits := bits.Len(uint((max(c.options.MaxEntries, setWays) - 1) / setStep))
	return &Table[E]{
		epoch:    epoch,
		maxBytes: c.options.MaxBytes,
		shift:    uint(64 - setBits),
		slots:    make([]slot[E], setStep<<setBits),
		classes:  make(map[engine.RetentionClass]*engine.RetentionClass),
	}
}

// At returns the table of an epoch that was read just now, or of a later one.
func (c *Cache[E]) At(epoch uint64) *Table[E] {
	for {
		t := c.current.Load()
		if t.epoch >= epoch {
			return t
		}
		if next := c.newTable(epoch); c.current.CompareAndSwap(t, next) {
			return next
		}
	}
}

// Epoch is the one in which, or after which, all that the table holds was resolved.
func (t *Table[E]) Epoch() uint64 { return t.epoch }

// Share returns the one copy of a class that all of its series share, so that it is compared as an address.
func (t *Table[E]) Share(class engine.RetentionClass) *engine.RetentionClass {
	t.mu.Lock()
	defer t.mu.Unlock()
	shared := t.classes[class]
	if shared == nil {
		shared = &class
		t.classes[class] = shared
	}
	return shared
}

// Successor returns the entry that came after the slot's the last time, and its slot; nil if there is none.
func (t *Table[E]) Successor(slot int) (*Node[E], int) {
	if slot == NoSlot {
		return nil, NoSlot
	}
	next := int(t.slots[slot].next.Load()) - 1
	if next == NoSlot {
		return nil, NoSlot
	}
	return t.slots[next].node.Load(), next
}

// SetSuccessor remembers that next came after slot.
func (t *Table[E]) SetSuccessor(slot, next int) {
	if slot != NoSlot && t.slots[slot].next.Load() != uint32(next+1) {
		t.slots[slot].next.Store(uint32(next + 1))
	}
}

// Find looks for the entry with this hash that matches; nil if there is none.
func (t *Table[E]) Find(hash uint64, matches func(*E) bool) (*Node[E], int) {
	for way := range setWays {
		slot := t.way(hash, way)
		if n := t.slots[slot].node.Load(); n != nil && n.hash == hash && matches(&n.Entry) {
			return n, slot
		}
	}
	return nil, NoSlot
}

// way returns the number of one of the slots that an entry may be in.
func (t *Table[E]) way(hash uint64, way int) (slot int) {
	return (int(hash>>t.shift)*setStep + way) & (len(t.slots) - 1)
}

// Insert adds an entry that was not found and takes so many bytes, and returns it with its slot. Where there is no
// room, few entries are let in, in place of others; the rest have NoSlot.
func (t *Table[E]) Insert(hash uint64, entry E, size int64) (*Node[E], int) {
	n := &Node[E]{Entry: entry, hash: hash, size: size}
	slot := t.place(hash)
	if slot != NoSlot {
		t.count(t.slots[slot].node.Swap(n), n)
		t.shrink(slot)
	}
	return n, slot
}

// Replace puts an entry with the same hash in the place of one, and reports whether that was still there.
func (t *Table[E]) Replace(slot int, old *Node[E], entry E, size int64) bool {
	n := &Node[E]{Entry: entry, hash: old.hash, size: size}
	if !t.slots[slot].node.CompareAndSwap(old, n) {
		return false
	}
	t.count(old, n)
	t.shrink(slot)
	return true
}

// place picks a slot for an entry with this hash: a free one if there is one, or that of an entry that is to go, or
// none.
func (t *Table[E]) place(hash uint64) int {
	free := NoSlot
	for way := 0; way < setWays && free == NoSlot; way++ {
		if slot := t.way(hash, way); t.slots[slot].node.Load() == nil {
			free = slot
		}
	}
	hasRoom := free != NoSlot && t.bytes.Load() < t.maxBytes
	switch {
	case !hasRoom && t.asked.Add(1)%admitOneOf != 0:
		return NoSlot
	case free != NoSlot:
		return free
	}
	return t.way(hash, int(t.victims.Add(1)%setWays))
}

// shrink frees slots, other than the one given, while there are too many bytes.
func (t *Table[E]) shrink(slot int) {
	for range t.slots {
		if t.bytes.Load() <= t.maxBytes {
			return
		}
		freed := int(t.hand.Add(1) % uint64(len(t.slots)))
		if freed != slot {
			t.count(t.slots[freed].node.Swap(nil), nil)
		}
	}
}

// count keeps the sum of bytes when an entry, or nil, takes the place of another.
func (t *Table[E]) count(removed, added *Node[E]) {
	var change int64
	if added != nil {
		change = added.size
	}
	if removed != nil {
		change -= removed.size
	}
	t.bytes.Add(change)
}
