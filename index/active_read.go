package index

import (
	"sync"

	"github.com/flopynet/collector/model"
)

// Select returns the series that satisfy all matchers, as of one moment during the call. Regular
// expressions are tried without holding up writers.
func (a *Active) Select(matchers []*model.Matcher) *Set {
	p := a.postings()
	set, err := evaluate(p, matchers)
	if err != nil {
		panic(err) // postings in memory do not fail
	}
	// A series that was added meanwhile may have been seen by some matchers and not by others.
	set.And(p.universe)
	return set
}

// activePostings is Active as evaluate sees it. Every series of the universe has all its postings in
// known, which goes on growing unless a Drop puts another in its place.
type activePostings struct {
	mu       *sync.RWMutex // of Active
	known    *registry
	universe *Set
}

func (a *Active) postings() activePostings {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return activePostings{mu: &a.mu, known: a.known, universe: a.known.series.Clone()}
}

// postingsWithin is postings of those series that are also in a set. It takes as long as the smaller of both takes.
func (a *Active) postingsWithin(within *Set) activePostings {
	a.mu.RLock()
	defer a.mu.RUnlock()
	universe := new(Set)
	universe.addCommon(within, &a.known.series)
	return activePostings{mu: &a.mu, known: a.known, universe: universe}
}

func (p activePostings) all() (*Set, error) { return p.universe.Clone(), nil }

func (p activePostings) addTag(dst *Set, key, value string) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if number, found := p.known.symbols.find(key, value); found {
		p.known.symbols.at(number).series.addTo(dst)
	}
	return nil
}

func (p activePostings) addValues(dst *Set, key string, want func(value string) bool) error {
	var candidates []uint32
	p.mu.RLock()
	if known := p.known.symbols.byKey[key]; known != nil {
		candidates = known.symbols
	}
	pages := p.known.symbols.pages
	p.mu.RUnlock()

	// Keys and values of the symbols made until now don't change; their postings do.
	var wanted []uint32
	for _, number := range candidates {
		if want(pages.at(number).value) {
			wanted = append(wanted, number)
		}
	}

	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, number := range wanted {
		p.known.symbols.at(number).series.addTo(dst)
	}
	return nil
}

// definitionsAtOnce is how many definitions are copied under one lock.
const definitionsAtOnce = 256

// Definitions calls fn with the identity, the bytes of model.AppendIdentity, of every series known with
// an id in [from, to), ascending. The bytes are valid until fn returns. No lock is held meanwhile.
func (a *Active) Definitions(from, to model.SeriesID, fn func(id model.SeriesID, identity []byte)) {
	var ids []model.SeriesID
	var ends []int
	var identities []byte
	for from < to {
		ids, ends, identities = ids[:0], ends[:0], identities[:0]
		a.mu.RLock()
		k := a.known
		for id := range k.series.from(from) {
			if id >= to || len(ids) == definitionsAtOnce {
				break
			}
			r, _ := k.find(id)
			identities = k.appendIdentity(identities, r)
			ids, ends = append(ids, id), append(ends, len(identities))
		}
		a.mu.RUnlock()

		start := 0
		for i, id := range ids {
			fn(id, identities[start:ends[i]])
			start = ends[i]
		}
		if len(ids) < definitionsAtOnce {
			return
		}
		from = ids[len(ids)-1] + 1
	}
}

// Has reports whether the series is known.
func (a *Active) Has(id model.SeriesID) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	_, found := a.known.find(id)
	return found
}
