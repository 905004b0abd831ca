package index

import "github.com/flopynet/collector/model"

// recordsAtOnce is how many series Drop copies under one lock, which takes less than a millisecond.
const recordsAtOnce = 256

// Drop forgets the series: their identities and ids, postings, units, and what symbols nothing else has. The
// memory is given back, since what is left is copied aside and then put in the old one's place; that takes
// about a microsecond a series left, and their memory twice meanwhile. Others are hardly held up: series
// created or changed during the copying are found afterwards as well. Ids are not given out again. Ids
// that are not known are passed over. gone must not change until Drop returns.
func (a *Active) Drop(gone *Set) {
	a.dropMu.Lock()
	defer a.dropMu.Unlock()
	a.mu.Lock()
	if !a.known.series.Intersects(gone) {
		a.mu.Unlock()
		return
	}
	c := copier{from: a.known, to: newRegistry(a.hasher), except: gone}
	a.dropping = true
	a.mu.Unlock()

	for complete := false; !complete; {
		a.mu.RLock()
		complete = c.copy(recordsAtOnce)
		a.mu.RUnlock()
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	for complete := false; !complete; { // what was created since the last look, a few at most
		complete = c.copy(recordsAtOnce)
	}
	for _, id := range a.unitsChanged {
		c.copyUnit(id)
	}
	a.known, a.dropping, a.unitsChanged = c.to, false, nil
}

// copier copies the series of one registry to another, some at a time.
type copier struct {
	from, to *registry
	except   *Set

	position uint32   // in from, of the next record
	symbols  []uint32 // by number in from: the number in to, plus one; 0: none yet
	refs     []uint32
	identity []byte
}

// copy copies at most limit series and reports whether that were all.
func (c *copier) copy(limit int) (complete bool) {
	for range limit {
		r, after, found := c.from.records.next(c.position)
		if !found {
			return true
		}
		c.position = after
		if c.except.Contains(r.id()) {
			continue
		}
		c.refs = c.refs[:0]
		for _, ref := range r.symbols() {
			c.refs = append(c.refs, c.symbol(ref))
		}
		position := c.to.addRecord(r.id(), c.refs)
		c.to.records.at(position).setUnit(c.to.internUnit(c.from.units[r.unit()]))
		c.identity = c.from.appendIdentity(c.identity[:0], r)
		hash := c.to.hasher.bytes(c.identity)
		if _, known := c.to.lookup(hash, c.identity); !known {
			c.to.byIdentity.insert(hash, position)
		}
	}
	return false
}

// symbol returns the number that a symbol has where the series are copied to.
func (c *copier) symbol(ref uint32) uint32 {
	if ref >= uint32(len(c.symbols)) {
		c.symbols = append(c.symbols, make([]uint32, c.from.symbols.count-uint32(len(c.symbols)))...)
	}
	if c.symbols[ref] == 0 {
		s := c.from.symbols.at(ref)
		c.symbols[ref] = 1 + c.to.symbols.add(c.to.hasher.tag(s.key.name, s.value), s.key.name, s.value)
	}
	return c.symbols[ref] - 1
}

// copyUnit copies the unit of a series that was copied before, if it was.
func (c *copier) copyUnit(id model.SeriesID) {
	from, known := c.from.find(id)
	to, copied := c.to.find(id)
	if known && copied {
		to.setUnit(c.to.internUnit(c.from.units[from.unit()]))
	}
}
