package ingest

import (
	"math/bits"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/flopynet/collector/model"
)

// Cache finds the id of a series from the raw JSON of a metric's name, source and tags, so that they need
// not be taken apart, and guesses which series comes next from the one that came next the last time. Its
// memory is bounded by CacheOptions. It is safe for concurrent use and readers never wait.
//
// Slots form sets of setWays; an entry may be in any slot of the set that its hash picks. Entries never
// change; a slot is filled and replaced atomically. The guesses are slot numbers rather than pointers, so
// that they keep no replaced entry alive; a guess that has become wrong is found out by the comparison of
// bytes which every hit needs anyway.
type Cache struct {
	options CacheOptions
	shift   uint // of a hash, to the number of its set
	slots   []atomic.Pointer[entry]
	next    []atomic.Uint32 // slot + 1 of the entry that came after this slot's; 0: none yet
	bytes   atomic.Int64    // held by entries
	hand    atomic.Uint64   // goes round the slots to free bytes
	victims atomic.Uint64   // goes round the slots of full sets
}

// CacheOptions bounds a Cache. The zero value gives the defaults.
type CacheOptions struct {
	MaxEntries int   // rounded up to a power of two; 0: 131,072
	MaxBytes   int64 // of the entries; 0: 32 MiB
}

const (
	setWays = 8

	// maxEntryBytes is the length of raw text above which a series is not cached.
	maxEntryBytes = 4 << 10

	// entryOverhead is what an entry takes beside its text.
	entryOverhead = 96

	noSlot = -1
)

// entry is a series as it was written. The texts are raw JSON: strings with their quotation marks, tags
// with their braces, "" for what was absent.
type entry struct {
	hash   uint64
	id     model.SeriesID
	name   string
	source string
	tags   string
	unit   string // that the engine is known to have; "": none is
}

// NewCache returns an empty cache.
func NewCache(options CacheOptions) *Cache {
	if options.MaxEntries <= 0 {
		options.MaxEntries = 128 << 10
	}
	if options.MaxBytes <= 0 {
		options.MaxBytes = 32 << 20
	}
	setBits := bits.Len(uint((max(options.MaxEntries, 2*setWays) - 1) / setWays))
	slots := setWays << setBits
	return &Cache{
		options: options,
		shift:   uint(64 - setBits),
		slots:   make([]atomic.Pointer[entry], slots),
		next:    make([]atomic.Uint32, slots),
	}
}

// hashSeries combines the hashes of the three texts.
func hashSeries(name, source, tags uint64) uint64 { return (tags*31+name)*31 + source }

func hashText(raw []byte) uint64 { return xxhash.Sum64(raw) }

// matches compares all of the texts.
func (e *entry) matches(name, source, tags []byte) bool {
	return e.name == string(name) && e.source == string(source) && e.tags == string(tags)
}

func (e *entry) size() int64 {
	return int64(entryOverhead + len(e.name) + len(e.source) + len(e.tags) + len(e.unit))
}

// successor returns the entry that came after the slot's the last time, and its slot.
func (c *Cache) successor(slot int) (*entry, int) {
	if slot == noSlot {
		return nil, noSlot
	}
	next := int(c.next[slot].Load()) - 1
	if next == noSlot {
		return nil, noSlot
	}
	return c.slots[next].Load(), next
}

// setSuccessor remembers that next came after slot.
func (c *Cache) setSuccessor(slot, next int) {
	if slot != noSlot && c.next[slot].Load() != uint32(next+1) {
		c.next[slot].Store(uint32(next + 1))
	}
}

// find looks for a series.
func (c *Cache) find(hash uint64, name, source, tags []byte) (*entry, int) {
	first := int(hash>>c.shift) * setWays
	for slot := first; slot < first+setWays; slot++ {
		if e := c.slots[slot].Load(); e != nil && e.hash == hash && e.matches(name, source, tags) {
			return e, slot
		}
	}
	return nil, noSlot
}

// insert adds a series that was not found, in place of another one if its set is full. It returns nil and
// noSlot if the texts are too long to be kept.
func (c *Cache) insert(hash uint64, id model.SeriesID, name, source, tags []byte) (*entry, int) {
	length := len(name) + len(source) + len(tags)
	if length > maxEntryBytes {
		return nil, noSlot
	}
	var text strings.Builder
	text.Grow(length)
	text.Write(name)
	text.Write(source)
	text.Write(tags)
	whole := text.String()
	e := &entry{
		hash: hash, id: id,
		name:   whole[:len(name)],
		source: whole[len(name) : len(name)+len(source)],
		tags:   whole[len(name)+len(source):],
	}
	slot := c.victim(int(hash>>c.shift) * setWays)
	c.count(c.slots[slot].Swap(e), e)
	c.shrink(slot)
	return e, slot
}

// victim picks a slot of the set that begins at first: a free one if there is one.
func (c *Cache) victim(first int) int {
	for slot := first; slot < first+setWays; slot++ {
		if c.slots[slot].Load() == nil {
			return slot
		}
	}
	return first + int(c.victims.Add(1)%setWays)
}

// shrink frees slots, other than the one given, while there are too many bytes.
func (c *Cache) shrink(slot int) {
	for range c.slots {
		if c.bytes.Load() <= c.options.MaxBytes {
			return
		}
		freed := int(c.hand.Add(1) % uint64(len(c.slots)))
		if freed != slot {
			c.count(c.slots[freed].Swap(nil), nil)
		}
	}
}

// count keeps the sum of bytes when an entry, or nil, takes the place of another.
func (c *Cache) count(removed, added *entry) {
	var change int64
	if added != nil {
		change = added.size()
	}
	if removed != nil {
		change -= removed.size()
	}
	c.bytes.Add(change)
}

// setUnit records that the engine has made the unit durable for the series of an entry that was in the
// slot when the unit was compared. If the slot has another unit by now, two requests have written
// different ones at the same time and there is no telling which the engine took last: it is forgotten, so
// that the next request states its own again. (The same series written in two ways, say with its tags in
// another order, has two entries; clients that give these different units won't see them alternate.)
func (c *Cache) setUnit(slot int, seen *entry, unit string) {
	for {
		now := c.slots[slot].Load()
		if now == nil || now.hash != seen.hash || now.id != seen.id || now.unit == unit {
			return
		}
		changed := *now
		changed.unit = unit
		if now != seen {
			changed.unit = ""
		}
		if c.slots[slot].CompareAndSwap(now, &changed) {
			c.count(now, &changed)
			c.shrink(slot)
			return
		}
	}
}
