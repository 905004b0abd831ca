package ingest

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Cache finds a series from the raw JSON of a metric's name, source and tags, so that they need not be
// taken apart. It is safe for concurrent use and readers never wait.
//
// What it holds is of one of the engine's epochs. A later one gets a new table, so that a request which
// began in the earlier can't leave an id there that was dropped since.
type Cache struct {
	options CacheOptions
	current atomic.Pointer[table]
}

// table is the contents of a Cache. It also guesses which series comes next from the one that came next
// the last time. Its memory is bounded by CacheOptions.
//
// Slots form sets of setWays; an entry may be in any slot of the set that its hash picks. Entries never
// change; a slot is filled and replaced atomically. The guesses are slot numbers rather than pointers, so
// that they keep no replaced entry alive; a guess that has become wrong is found out by the comparison of
// bytes which every hit needs anyway.
type table struct {
	epoch    uint64 // all entries were resolved in it or later
	maxBytes int64  // of the entries
	shift    uint   // of a hash, to the number of its set

	slots   []atomic.Pointer[entry]
	next    []atomic.Uint32 // slot + 1 of the entry that came after this slot's; 0: none yet
	texts   texts
	bytes   atomic.Int64  // held by entries, beside their texts
	hand    atomic.Uint64 // goes round the slots to free bytes
	victims atomic.Uint64 // goes round the slots of full sets
	asked   atomic.Uint64 // how many wanted to be let in while there was no room

	mu      sync.Mutex
	classes map[engine.RetentionClass]*engine.RetentionClass // that entries share
}

// CacheOptions bounds a Cache. The zero value gives the defaults.
type CacheOptions struct {
	MaxEntries int   // rounded up to a power of two; 0: 524,288
	MaxBytes   int64 // of the entries and their texts; 0: 32 MiB, some 350,000 series of hosts with ten metrics
}

const (
	setWays = 8

	// maxEntryBytes is the length of raw text above which a series is not cached.
	maxEntryBytes = 4 << 10

	// entryBytes is what an entry takes beside its texts.
	entryBytes = 64

	// admitOne of so many is let in where there is no room: of more series than fit, written in turn, most of those
	// that are there then stay, where each would push out the next otherwise, and none be found.
	admitOneOf = 8

	noSlot = -1
)

// entry is a series as it was written. The texts are raw JSON: strings with their quotation marks, tags
// with their braces, "" for what was absent.
type entry struct {
	hash   uint64
	id     model.SeriesID
	class  *engine.RetentionClass
	name   *text
	source *text
	tags   *text
	unit   string // that the engine is known to have; "": none is
}

// rawSeries is a series as it stands in a body: its texts, nil for what is absent, and their hashes.
type rawSeries struct {
	name, source, tags             []byte
	nameHash, sourceHash, tagsHash uint64
}

// hash combines the hashes of the texts.
func (s *rawSeries) hash() uint64 { return (s.tagsHash*31+s.nameHash)*31 + s.sourceHash }

// NewCache returns an empty cache.
func NewCache(options CacheOptions) *Cache {
	if options.MaxEntries <= 0 {
		options.MaxEntries = 512 << 10
	}
	if options.MaxBytes <= 0 {
		options.MaxBytes = 32 << 20
	}
	c := &Cache{options: options}
	c.current.Store(c.newTable(0))
	return c
}

func (c *Cache) newTable(epoch uint64) *table {
	setBits := bits.Len(uint((max(c.options.MaxEntries, 2*setWays) - 1) / setWays))
	slots := setWays << setBits
	return &table{
		epoch:    epoch,
		maxBytes: c.options.MaxBytes,
		shift:    uint(64 - setBits),
		slots:    make([]atomic.Pointer[entry], slots),
		next:     make([]atomic.Uint32, slots),
		classes:  make(map[engine.RetentionClass]*engine.RetentionClass),
	}
}

// at returns the table of an epoch that was read just now, or of a later one.
func (c *Cache) at(epoch uint64) *table {
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

// share returns the one copy of a class that all of its series share, so that it is compared as an address.
func (t *table) share(class engine.RetentionClass) *engine.RetentionClass {
	t.mu.Lock()
	defer t.mu.Unlock()
	shared := t.classes[class]
	if shared == nil {
		shared = &class
		t.classes[class] = shared
	}
	return shared
}

func hashText(raw []byte) uint64 { return xxhash.Sum64(raw) }

// matches compares all of the texts.
func (e *entry) matches(s *rawSeries) bool {
	return e.name.value == string(s.name) && e.source.value == string(s.source) && e.tags.value == string(s.tags)
}

// size is what the entry takes beside its shared texts.
func (e *entry) size() int64 { return int64(entryBytes + len(e.unit)) }

// held is what all entries take, with their texts.
func (t *table) held() int64 { return t.bytes.Load() + t.texts.bytes.Load() }

// successor returns the entry that came after the slot's the last time, and its slot.
func (t *table) successor(slot int) (*entry, int) {
	if slot == noSlot {
		return nil, noSlot
	}
	next := int(t.next[slot].Load()) - 1
	if next == noSlot {
		return nil, noSlot
	}
	return t.slots[next].Load(), next
}

// setSuccessor remembers that next came after slot.
func (t *table) setSuccessor(slot, next int) {
	if slot != noSlot && t.next[slot].Load() != uint32(next+1) {
		t.next[slot].Store(uint32(next + 1))
	}
}

// find looks for a series.
func (t *table) find(s *rawSeries) (*entry, int) {
	hash := s.hash()
	first := int(hash>>t.shift) * setWays
	for slot := first; slot < first+setWays; slot++ {
		if e := t.slots[slot].Load(); e != nil && e.hash == hash && e.matches(s) {
			return e, slot
		}
	}
	return nil, noSlot
}

// insert adds a series that was not found. It returns nil and noSlot if the texts are too long to be kept, or if
// there is no room and the series isn't let in.
func (t *table) insert(s *rawSeries, series resolved) (*entry, int) {
	if len(s.name)+len(s.source)+len(s.tags) > maxEntryBytes {
		return nil, noSlot
	}
	hash := s.hash()
	slot := t.place(int(hash>>t.shift) * setWays)
	if slot == noSlot {
		return nil, noSlot
	}
	e := &entry{
		hash: hash, id: series.id, class: series.class,
		name:   t.texts.share(s.name, s.nameHash),
		source: t.texts.share(s.source, s.sourceHash),
		tags:   t.texts.share(s.tags, s.tagsHash),
	}
	t.bytes.Add(e.size())
	t.drop(t.slots[slot].Swap(e))
	t.shrink(slot)
	return e, slot
}

// place picks a slot of the set that begins at first: a free one if there is one, or that of an entry that is to go,
// or none.
func (t *table) place(first int) int {
	free := noSlot
	for slot := first; slot < first+setWays && free == noSlot; slot++ {
		if t.slots[slot].Load() == nil {
			free = slot
		}
	}
	hasRoom := free != noSlot && t.held() < t.maxBytes
	switch {
	case !hasRoom && t.asked.Add(1)%admitOneOf != 0:
		return noSlot
	case free != noSlot:
		return free
	}
	return first + int(t.victims.Add(1)%setWays)
}

// shrink frees slots, other than the one given, while there are too many bytes.
func (t *table) shrink(slot int) {
	for range t.slots {
		if t.held() <= t.maxBytes {
			return
		}
		freed := int(t.hand.Add(1) % uint64(len(t.slots)))
		if freed != slot {
			t.drop(t.slots[freed].Swap(nil))
		}
	}
}

// drop lets go of what an entry that was taken out of its slot held. It may be nil.
func (t *table) drop(e *entry) {
	if e == nil {
		return
	}
	t.bytes.Add(-e.size())
	for _, text := range [...]*text{e.name, e.source, e.tags} {
		t.texts.release(text)
	}
}

// setUnit records that the engine has made the unit durable for the series of an entry that was in the
// slot when the unit was compared. If the slot has another unit by now, two requests have written
// different ones at the same time and there is no telling which the engine took last: it is forgotten, so
// that the next request states its own again. (The same series written in two ways, say with its tags in
// another order, has two entries; clients that give these different units won't see them alternate.)
func (t *table) setUnit(slot int, seen *entry, unit string) {
	for {
		now := t.slots[slot].Load()
		if now == nil || now.hash != seen.hash || now.id != seen.id || now.unit == unit {
			return
		}
		changed := *now
		changed.unit = unit
		if now != seen {
			changed.unit = ""
		}
		if t.slots[slot].CompareAndSwap(now, &changed) {
			t.bytes.Add(changed.size() - now.size()) // the texts have changed hands
			t.shrink(slot)
			return
		}
	}
}
