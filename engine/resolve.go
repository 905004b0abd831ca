package engine

import (
	"fmt"
	"sync"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// Resolution is a series that is resolved together with others.
type Resolution struct {
	Name string
	Tags model.Tags

	ID  model.SeriesID // what ResolveAll found or gave; 0: Err says why there is none
	Err error          // a *LimitError
}

// resolveScratch is the memory of one ResolveAll, used again by later ones.
type resolveScratch struct {
	wanted     []index.Wanted
	identities []byte
}

// So much of a list, in bytes of identities or in series, is resolved at once: the tags of a line take 80 KiB at most,
// but its thousands of fields have them all. A scratch that grew larger nevertheless is not kept.
const (
	maxResolveScratchBytes  = 1 << 20
	maxResolveScratchSeries = 8 << 10
)

var resolveScratches = sync.Pool{New: func() any { return new(resolveScratch) }}

// Resolve returns the id of the series with this identity and gives it one if it is new. tags must be
// normalized and hold the source; name and tags must have passed model.CheckSeries. A new series
// becomes durable with the first batch that writes to it.
func (db *DB) Resolve(name string, tags model.Tags) (model.SeriesID, error) {
	list := [...]Resolution{{Name: name, Tags: tags}}
	if err := db.ResolveAll(list[:]); err != nil {
		return 0, err
	}
	return list[0].ID, list[0].Err
}

// ResolveAll is Resolve for each series of the list, at less cost: locks are taken once for many, and neighbours
// that have the same slice as Tags share what has to be done for these. Limits refuse series one by one, in the
// order of the list. After an error of its own the list is of no use.
func (db *DB) ResolveAll(list []Resolution) error {
	scratch := resolveScratches.Get().(*resolveScratch)
	defer scratch.release()
	for len(list) > 0 {
		n := scratch.fill(list)
		if err := db.resolveSome(scratch.wanted, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// resolveSome is ResolveAll for as much of its list as wanted holds.
func (db *DB) resolveSome(wanted []index.Wanted, list []Resolution) error {
	// Loaded before the look-up: what is found after nothing was being dropped is alive, or the batch's epoch is
	// older than the dropping and its ids are checked.
	gone := db.dropping.Load()
	unknown := db.active.LookupAll(wanted)
	if gone != nil { // only who wants one of these has to wait until they are gone
		for i := range wanted {
			if w := &wanted[i]; w.ID != 0 && gone.Contains(w.ID) {
				w.ID = 0
				unknown++
			}
		}
	}
	if unknown > 0 {
		if err := db.resolveUnknown(wanted, list, gone); err != nil {
			return err
		}
	}
	for i := range list {
		list[i].ID = wanted[i].ID
	}
	return nil
}

// resolveUnknown goes on where not all series are in memory, or some may be about to go from there.
func (db *DB) resolveUnknown(wanted []index.Wanted, list []Resolution, gone *index.Set) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	db.resolveMu.RLock()
	defer db.resolveMu.RUnlock()
	if gone != nil {
		db.active.LookupAll(wanted) // again, since now nothing is being dropped
	}
	for i := range wanted {
		w := &wanted[i]
		if w.ID != 0 {
			continue
		}
		id, _, err := db.lookupStored(w.Identity)
		if err != nil {
			return fmt.Errorf("look up series %q: %w", w.Name, err)
		}
		w.ID = id
	}
	if err := db.limits.create(db, wanted); err != nil {
		for i := range wanted {
			if wanted[i].ID == 0 {
				list[i].Err = err
			}
		}
	}
	return nil
}

// fill takes over the list, or the beginning of a long one, and returns how much of it. Identities are encoded into one
// buffer; that of the tags only once for neighbours that share them.
func (s *resolveScratch) fill(list []Resolution) (taken int) {
	s.wanted, s.identities = s.wanted[:0], s.identities[:0]
	var encoded []byte // the tags of the entry before
	for i := range list {
		if len(s.identities) >= maxResolveScratchBytes || i >= maxResolveScratchSeries {
			return i
		}
		r := &list[i]
		r.ID, r.Err = 0, nil
		start := len(s.identities)
		s.identities = model.AppendIdentity(s.identities, r.Name, nil)
		tagsStart := len(s.identities)
		if i > 0 && sameSlice(r.Tags, list[i-1].Tags) {
			s.identities = append(s.identities, encoded...)
		} else {
			s.identities = model.AppendTags(s.identities, r.Tags)
		}
		encoded = s.identities[tagsStart:]
		// A buffer that grew stays behind with the identities it has: they don't change.
		s.wanted = append(s.wanted, index.Wanted{Identity: s.identities[start:], Name: r.Name, Tags: r.Tags})
	}
	return len(list)
}

// sameSlice reports whether two Tags are the same memory.
func sameSlice(a, b model.Tags) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// release gives the scratch back for reuse, without what it refers to.
func (s *resolveScratch) release() {
	if cap(s.identities) > maxResolveScratchBytes || cap(s.wanted) > maxResolveScratchSeries {
		return
	}
	clear(s.wanted)
	resolveScratches.Put(s)
}
