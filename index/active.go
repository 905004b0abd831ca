package index

import (
	"slices"
	"sync"

	"github.com/flopynet/collector/model"
)

// Active knows the series this process has met: those it created, and those it read from the catalogue
// or the log. It gives out ids and answers matchers. It is safe for concurrent use.
//
// A series takes about 64 bytes for its record, 28 in hash tables and 2 for each posting; a tag value
// seen for the first time takes about 100 (benchmarks: BenchmarkActiveMemory).
type Active struct {
	hasher hasher
	dropMu sync.Mutex // held by Drop, of which there is one at a time; taken before mu

	mu sync.RWMutex
	// All below is guarded by mu.
	next         model.SeriesID
	known        *registry // what it points at is guarded, too; Drop puts another in its place
	dropping     bool
	unitsChanged []model.SeriesID // series that got another unit since a Drop began
}

// NewActive returns an empty registry. next is the first id it may give.
func NewActive(next model.SeriesID) *Active { return newActive(next, ^uint64(0)) }

// newActive takes a mask of hashes so that tests can make everything collide.
func newActive(next model.SeriesID, hashMask uint64) *Active {
	hasher := newHasher(hashMask)
	return &Active{next: next, hasher: hasher, known: newRegistry(hasher)}
}

// Lookup returns the id of the series with this identity, the bytes of model.AppendIdentity. It does not
// allocate.
func (a *Active) Lookup(identity []byte) (model.SeriesID, bool) {
	hash := a.hasher.bytes(identity)
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.known.lookup(hash, identity)
}

// Wanted is a series of which the id is looked for, or which is to get one, together with others.
type Wanted struct {
	Identity []byte // model.AppendIdentity of Name and Tags
	Name     string
	Tags     model.Tags // normalized
	ID       model.SeriesID

	hash uint64 // of Identity; set by LookupAll
}

// wantedAtOnce is how many series are looked up, or made, under one lock.
const wantedAtOnce = 128

// LookupAll sets the ID of each series of the list, 0 where it isn't known, and returns how many are not.
func (a *Active) LookupAll(list []Wanted) (unknown int) {
	for i := range list {
		list[i].hash = a.hasher.bytes(list[i].Identity)
	}
	for some := range slices.Chunk(list, wantedAtOnce) {
		a.mu.RLock()
		for i := range some {
			w := &some[i]
			var known bool
			if w.ID, known = a.known.lookup(w.hash, w.Identity); !known {
				unknown++
			}
		}
		a.mu.RUnlock()
	}
	return unknown
}

// CreateAll gives an ID to each series of the list that LookupAll left without: that of another call which made it
// meanwhile, or the next one, to at most so many. It returns how many it made and how many have none still. Nothing
// that is passed is kept. Neighbours that have the same slice as Tags cost less.
func (a *Active) CreateAll(list []Wanted, most int) (made, left int) {
	var symbols tagSymbols
	for some := range slices.Chunk(list, wantedAtOnce) {
		a.mu.Lock()
		symbols.forget() // Drop may have put another registry in place
		for i := range some {
			w := &some[i]
			if w.ID != 0 {
				continue
			}
			var known bool
			if w.ID, known = a.known.lookup(w.hash, w.Identity); known {
				continue
			}
			if made >= most {
				left++
				continue
			}
			w.ID = a.next
			a.next++
			made++
			a.known.byIdentity.insert(w.hash, a.known.addRecord(w.ID, symbols.of(&a.known.symbols, w.Name, w.Tags)))
		}
		a.mu.Unlock()
	}
	return made, left
}

// Create is LookupAll and CreateAll of one series.
func (a *Active) Create(identity []byte, name string, tags model.Tags) (id model.SeriesID, created bool) {
	list := [...]Wanted{{Identity: identity, Name: name, Tags: tags}}
	if a.LookupAll(list[:]) == 0 {
		return list[0].ID, false
	}
	made, _ := a.CreateAll(list[:], 1)
	return list[0].ID, made > 0
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
	k := a.known
	if _, found := k.find(s.ID); found {
		return
	}
	position := k.add(s.ID, s.Name, s.Tags)
	k.records.at(position).setUnit(k.internUnit(s.Unit))
	if _, found := k.lookup(hash, identity); !found {
		k.byIdentity.insert(hash, position)
	}
}

// Series returns a series. Its strings are shared, its tags the caller's.
func (a *Active) Series(id model.SeriesID) (model.Series, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	k := a.known
	r, found := k.find(id)
	if !found {
		return model.Series{}, false
	}
	refs := r.symbols()
	s := model.Series{ID: id, Name: k.symbols.at(refs[0]).value, Unit: k.units[r.unit()]}
	s.Tags = make(model.Tags, 0, len(refs)-1)
	for _, ref := range refs[1:] {
		tag := k.symbols.at(ref)
		s.Tags = append(s.Tags, model.Tag{Key: tag.key.name, Value: tag.value})
	}
	return s, true
}

// Name returns the metric's name of a series.
func (a *Active) Name(id model.SeriesID) (string, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r, found := a.known.find(id)
	if !found {
		return "", false
	}
	return a.known.symbols.at(r.symbols()[0]).value, true
}

// SetUnit sets the unit of a series and reports whether it was another one. A series that is not known
// has no unit to change.
func (a *Active) SetUnit(id model.SeriesID, unit string) (changed bool) {
	if a.Unit(id) == unit {
		return false // the usual case, without the writers' lock
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.known
	r, found := k.find(id)
	if !found || k.units[r.unit()] == unit {
		return false
	}
	r.setUnit(k.internUnit(unit))
	if a.dropping {
		a.unitsChanged = append(a.unitsChanged, id)
	}
	return true
}

// Unit returns the unit of a series, or "" if it has none or is not known.
func (a *Active) Unit(id model.SeriesID) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r, found := a.known.find(id)
	if !found {
		return ""
	}
	return a.known.units[r.unit()]
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
	return a.known.byID.used
}
