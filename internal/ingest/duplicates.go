package ingest

import (
	"math/bits"
	"math/rand/v2"

	"github.com/flopynet/collector/model"
)

// duplicateSet finds samples of one series and time within a body. It is a hash table with open
// addressing; slots of earlier generations are free, so that it need not be cleared.
type duplicateSet struct {
	slots      []duplicateSlot
	mask       uint64 // of the part of slots in use, whose length is a power of two
	shift      uint   // of a hash, to a slot
	count      int
	generation uint32

	// The multipliers are random and odd, so that nobody can choose times that collide.
	timeFactor, hashFactor uint64
}

type duplicateSlot struct {
	id         model.SeriesID
	time       int64
	generation uint32
}

const (
	minDuplicateSlots = 1 << 10

	// maxReusedDuplicateSlots bounds the table that is kept from one body to the next.
	maxReusedDuplicateSlots = 1 << 16
)

func newDuplicateSet() duplicateSet {
	return duplicateSet{timeFactor: rand.Uint64() | 1, hashFactor: rand.Uint64() | 1}
}

// begin empties the set for a body of so many bytes.
func (d *duplicateSet) begin(bytes int) {
	// A metric takes 100 to 300 bytes as a rule; but if the last body had more of them in as many bytes, so
	// may this one.
	expected := max(bytes/256, min(d.count, bytes/24))
	size := min(max(2*expected, minDuplicateSlots), maxReusedDuplicateSlots)
	if len(d.slots) > maxReusedDuplicateSlots {
		d.slots = nil
	}
	d.resize(1 << bits.Len(uint(size-1)))
}

// resize makes an empty table of the size, which is a power of two.
func (d *duplicateSet) resize(size int) {
	if size > len(d.slots) {
		d.slots = make([]duplicateSlot, size)
		d.generation = 0
	}
	d.generation++
	if d.generation == 0 { // or slots of 2^32 bodies ago would come to life again
		clear(d.slots)
		d.generation = 1
	}
	d.count = 0
	d.mask = uint64(size - 1)
	d.shift = uint(64 - bits.Len64(d.mask))
}

// add reports whether the sample is new to the set, and adds it.
func (d *duplicateSet) add(id model.SeriesID, time int64) bool {
	if 2*d.count > int(d.mask) {
		d.grow()
	}
	hash := (uint64(id) ^ uint64(time)*d.timeFactor) * d.hashFactor
	for i := hash >> d.shift; ; i = (i + 1) & d.mask {
		slot := &d.slots[i]
		if slot.generation != d.generation {
			*slot = duplicateSlot{id, time, d.generation}
			d.count++
			return true
		}
		if slot.time == time && slot.id == id {
			return false
		}
	}
}

// grow doubles the table.
func (d *duplicateSet) grow() {
	old, generation := d.slots[:d.mask+1], d.generation
	d.slots = nil
	d.resize(2 * len(old))
	for _, slot := range old {
		if slot.generation == generation {
			d.add(slot.id, slot.time)
		}
	}
}
