package index

import (
	"strings"
	"sync"

	"github.com/flopynet/collector/model"
)

// Active knows the series this process has met: those it created, and those it read from the catalogue
// or the log. It gives out ids and answers matchers. It is safe for concurrent use.
//
// A series takes about 64 bytes for its record, 28 in hash tables and 2 for each posting; a tag value
// seen for the first time takes about 100 (benchmarks: BenchmarkActiveMemory).
type Active struct {
	mu sync.RWMutex
	// All below is guarded by mu.
	next       model.SeriesID
	records    records
	byIdentity table // position of the record
	byID       table // position of the record
	symbols    symbols
	series     Set
	units      []string // the unit's number is its index
	unitNumber map[string]uint32
	hasher     hasher // never changes, so needs no lock
}

// NewActive returns an empty registry. next is the first id it may give.
func NewActive(next model.SeriesID) *Active { return newActive(next, ^uint64(0)) }

// newActive takes a mask of hashes so that tests can make everything collide.
func newActive(next model.SeriesID, hashMask uint64) *Active {
	hasher := newHasher(hashMask)
	return &Active{
		next:       next,
		symbols:    symbols{byKey: make(map[string]*symbolKey), hasher: hasher},
		units:      []string{""},
		unitNumber: map[string]uint32{"": 0},
		hasher:     hasher,
	}
}

// Lookup returns the id of the series with this identity, the bytes of model.AppendIdentity. It does not
// allocate.
func (a *Active) Lookup(identity []byte) (model.SeriesID, bool) {
	hash := a.hasher.bytes(identity)
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.lookup(hash, identity)
}

func (a *Active) lookup(hash uint64, identity []byte) (model.SeriesID, bool) {
	position, found := a.byIdentity.find(hash, func(position uint32) bool {
		return a.hasIdentity(a.records.at(position), identity)
	})
	if !found {
		return 0, false
	}
	return a.records.at(position).id(), true
}

// Create returns the id of the series with this identity, giving it the next id if it is new. identity
// is model.AppendIdentity of name and tags, which must be normalized. Nothing that is passed is kept.
func (a *Active) Create(identity []byte, name string, tags model.Tags) (id model.SeriesID, created bool) {
	hash := a.hasher.bytes(identity)
	a.mu.Lock()
	defer a.mu.Unlock()
	if id, found := a.lookup(hash, identity); found {
		return id, false
	}
	id = a.next
	a.next++
	a.byIdentity.insert(hash, a.add(id, name, tags))
	return id, true
}

// Insert makes a series known whose id was given before, as the catalogue or the log has it. The ids
// given from now on are above it. A series that is known already stays as it is, its unit included. Of
// two series with one identity, Lookup finds the one inserted first.
func (a *Active) Insert(s model.Series) {
	identity := model.AppendIdentity(nil, s.Name, s.Tags)
	hash := a.hasher.bytes(identity)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = max(a.next, s.ID+1)
	if _, known := a.find(s.ID); known {
		return
	}
	position := a.add(s.ID, s.Name, s.Tags)
	a.records.at(position).setUnit(a.internUnit(s.Unit))
	if _, known := a.lookup(hash, identity); !known {
		a.byIdentity.insert(hash, position)
	}
}

// add makes the record and the postings of a series that is not known by this id.
func (a *Active) add(id model.SeriesID, name string, tags model.Tags) (position uint32) {
	var buffer [model.MaxTags + 2]uint32
	refs := append(buffer[:0], a.symbols.intern(model.NameKey, name))
	for _, tag := range tags {
		refs = append(refs, a.symbols.intern(tag.Key, tag.Value))
	}
	for _, ref := range refs {
		a.symbols.at(ref).series.add(id)
	}
	a.series.Add(id)
	position = a.records.add(id, refs)
	a.byID.insert(a.hasher.id(id), position)
	return position
}

// find returns the record of a series.
func (a *Active) find(id model.SeriesID) (record, bool) {
	position, found := a.byID.find(a.hasher.id(id), func(position uint32) bool {
		return a.records.at(position).id() == id
	})
	if !found {
		return nil, false
	}
	return a.records.at(position), true
}

// Series returns a series. Its strings are shared, its tags the caller's.
func (a *Active) Series(id model.SeriesID) (model.Series, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r, found := a.find(id)
	if !found {
		return model.Series{}, false
	}
	refs := r.symbols()
	s := model.Series{ID: id, Name: a.symbols.at(refs[0]).value, Unit: a.units[r.unit()]}
	s.Tags = make(model.Tags, 0, len(refs)-1)
	for _, ref := range refs[1:] {
		tag := a.symbols.at(ref)
		s.Tags = append(s.Tags, model.Tag{Key: tag.key.name, Value: tag.value})
	}
	return s, true
}

// SetUnit sets the unit of a series and reports whether it was another one. A series that is not known
// has no unit to change.
func (a *Active) SetUnit(id model.SeriesID, unit string) (changed bool) {
	if a.Unit(id) == unit {
		return false // the usual case, without the writers' lock
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r, found := a.find(id)
	if !found || a.units[r.unit()] == unit {
		return false
	}
	r.setUnit(a.internUnit(unit))
	return true
}

// Unit returns the unit of a series, or "" if it has none or is not known.
func (a *Active) Unit(id model.SeriesID) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r, found := a.find(id)
	if !found {
		return ""
	}
	return a.units[r.unit()]
}

// internUnit returns the number of a unit.
func (a *Active) internUnit(unit string) uint32 {
	number, known := a.unitNumber[unit]
	if !known {
		unit = strings.Clone(unit)
		number = uint32(len(a.units))
		a.units = append(a.units, unit)
		a.unitNumber[unit] = number
	}
	return number
}

// Next returns the id that the next new series gets. All below that this process knows are complete.
func (a *Active) Next() model.SeriesID {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.next
}

// Reserve makes sure that no new series gets an id below next.
func (a *Active) Reserve(next model.SeriesID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = max(a.next, next)
}

// Len returns the number of series known.
func (a *Active) Len() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.byID.used
}
