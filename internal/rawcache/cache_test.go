package rawcache

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// text is an entry of the tests: the bytes it is found by.
type text string

func (t text) hash() uint64 { return xxhash.Sum64String(string(t)) }

// look finds a text, or inserts it, and reports whether it was there.
func look(table *Table[text], key text) (slot int, found bool) {
	if node, slot := table.Find(key.hash(), func(e *text) bool { return *e == key }); node != nil {
		return slot, true
	}
	_, slot = table.Insert(key.hash(), key, int64(100+len(key)))
	return slot, false
}

func held(table *Table[text]) (entries int, bytes int64) {
	for i := range table.slots {
		if n := table.slots[i].node.Load(); n != nil {
			entries++
			bytes += n.size
		}
	}
	return entries, bytes
}

func TestBounds(t *testing.T) {
	for _, options := range []Options{{MaxEntries: 64}, {MaxEntries: 1024, MaxBytes: 10_000}, {MaxEntries: 1, MaxBytes: 1}} {
		cache := New[text](options)
		table := cache.At(0)
		for i := range 3_000 {
			look(table, text(fmt.Sprint("key ", i)))
			if entries, bytes := held(table); entries > max(options.MaxEntries, setWays) ||
				options.MaxBytes > 0 && bytes > options.MaxBytes+200 || bytes != table.bytes.Load() {
				t.Fatalf("%+v: %d entries of %d bytes, counted as %d", options, entries, bytes, table.bytes.Load())
			}
		}
	}
}

// TestUnevenSets fills a part of the slots: what falls into a full set has room beside it.
func TestUnevenSets(t *testing.T) {
	const entries = 64 << 10
	table := New[text](Options{MaxEntries: entries}).At(0)
	const keys = entries * 3 / 8
	for i := range keys {
		look(table, text(fmt.Sprint("key ", i)))
	}
	if there, _ := held(table); there < keys-keys/2000 {
		t.Errorf("%d of %d are there", there, keys)
	}
}

// TestMoreThanFits asks for twice as many entries as there is room for, in turn: a good part must be found.
func TestMoreThanFits(t *testing.T) {
	table := New[text](Options{MaxEntries: 1024}).At(0)
	hits := 0
	const rounds = 20
	for range rounds {
		for i := range 2048 {
			if _, found := look(table, text(fmt.Sprint("key ", i))); found {
				hits++
			}
		}
	}
	if share := float64(hits) / (rounds * 1024); share < 0.5 {
		t.Errorf("%.2f of what could be found was", share)
	}
}

func TestGuesses(t *testing.T) {
	table := New[text](Options{}).At(0)
	keys := []text{"a", "b", "c"}
	last := NoSlot
	for range 2 {
		for _, key := range keys {
			slot, _ := look(table, key)
			table.SetSuccessor(last, slot)
			last = slot
		}
	}
	for i := range 6 {
		node, slot := table.Successor(last)
		if node == nil || node.Entry != keys[i%3] {
			t.Fatalf("%d: %v", i, node)
		}
		last = slot
	}
	if node, slot := table.Successor(NoSlot); node != nil || slot != NoSlot {
		t.Error(node, slot)
	}
}

func TestReplace(t *testing.T) {
	table := New[text](Options{}).At(0)
	look(table, "a")
	node, slot := table.Find(text("a").hash(), func(e *text) bool { return *e == "a" })
	if !table.Replace(slot, node, "a2", 500) || table.Replace(slot, node, "a3", 700) {
		t.Error("the one that is there can be replaced, and only once")
	}
	if entries, bytes := held(table); entries != 1 || bytes != 500 || table.bytes.Load() != 500 {
		t.Errorf("%d entries of %d bytes, counted as %d", entries, bytes, table.bytes.Load())
	}
}

func TestEpochs(t *testing.T) {
	cache := New[text](Options{})
	old := cache.At(0)
	look(old, "a")
	table := cache.At(3)
	if _, found := look(table, "a"); found || table.Epoch() != 3 {
		t.Errorf("found %v in epoch %d", found, table.Epoch())
	}
	look(old, "b") // of a request that began in the old epoch
	if _, found := look(cache.At(2), "b"); found {
		t.Error("what an old request left has come to a later epoch")
	}
}

func TestConcurrentUse(t *testing.T) {
	cache := New[text](Options{MaxEntries: 64, MaxBytes: 5_000})
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			last := NoSlot
			for i := range 5_000 {
				table := cache.At(uint64(i / 1_000))
				if i%1_000 == 0 {
					last = NoSlot
				}
				table.Successor(last)
				if slot, _ := look(table, text(fmt.Sprint("key ", (i+worker)%100))); slot != NoSlot {
					table.SetSuccessor(last, slot)
					last = slot
				}
			}
		})
	}
	group.Wait()
	if entries, bytes := held(cache.At(0)); entries > 64 || bytes != cache.At(0).bytes.Load() {
		t.Errorf("%d entries of %d bytes", entries, bytes)
	}
}
