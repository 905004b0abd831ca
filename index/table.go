package index

// table is a hash table of references: numbers that stand for things kept elsewhere, where the caller
// compares them. It has open addressing with linear probing (Knuth, The Art of Computer Programming,
// vol. 3, 6.4) and no pointers. The zero table is empty.
//
// It takes 11 to 21 bytes an entry, where a map with keys of 8 bytes takes 20 to 40.
type table struct {
	slots []uint64 // the hash's high 32 bits | reference + 1; 0 is free; a power of two of them
	used  int
}

const minTableSlots = 64

// find returns the reference with this hash for which same is true.
func (t *table) find(hash uint64, same func(ref uint32) bool) (ref uint32, found bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint32(len(t.slots) - 1)
	for i := uint32(hash>>32) & mask; ; i = (i + 1) & mask {
		slot := t.slots[i]
		if slot == 0 {
			return 0, false
		}
		if slot>>32 == hash>>32 && same(uint32(slot)-1) {
			return uint32(slot) - 1, true
		}
	}
}

// insert adds a reference, below 2^32 - 1, which find does not find.
func (t *table) insert(hash uint64, ref uint32) {
	if 4*(t.used+1) > 3*len(t.slots) {
		t.grow()
	}
	t.used++
	t.place(hash>>32<<32 | uint64(ref+1))
}

func (t *table) place(slot uint64) {
	mask := uint32(len(t.slots) - 1)
	i := uint32(slot>>32) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]uint64, max(minTableSlots, 2*len(old)))
	for _, slot := range old {
		if slot != 0 {
			t.place(slot)
		}
	}
}
