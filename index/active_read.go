package index

import (
	"encoding/binary"

	"github.com/flopynet/collector/model"
)

// Select returns the series that satisfy all matchers, as of one moment during the call. Regular
// expressions are tried without holding up writers.
func (a *Active) Select(matchers []*model.Matcher) *Set {
	a.mu.RLock()
	universe := a.series.Clone()
	a.mu.RUnlock()

	set, err := evaluate(activePostings{a, universe}, matchers)
	if err != nil {
		panic(err) // postings in memory do not fail
	}
	// A series that was added meanwhile may have been seen by some matchers and not by others.
	set.And(universe)
	return set
}

// activePostings is Active as evaluate sees it. Every series of the universe has all its postings.
type activePostings struct {
	active   *Active
	universe *Set
}

func (p activePostings) all() (*Set, error) { return p.universe.Clone(), nil }

func (p activePostings) addTag(dst *Set, key, value string) error {
	a := p.active
	a.mu.RLock()
	defer a.mu.RUnlock()
	if number, found := a.symbols.find(key, value); found {
		a.symbols.at(number).series.addTo(dst)
	}
	return nil
}

func (p activePostings) addValues(dst *Set, key string, want func(value string) bool) error {
	a := p.active
	var candidates []uint32
	a.mu.RLock()
	if known := a.symbols.byKey[key]; known != nil {
		candidates = known.symbols
	}
	pages := a.symbols.pages
	a.mu.RUnlock()

	// Keys and values of the symbols made until now don't change; their postings do.
	var wanted []uint32
	for _, number := range candidates {
		if want(pages.at(number).value) {
			wanted = append(wanted, number)
		}
	}

	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, number := range wanted {
		a.symbols.at(number).series.addTo(dst)
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
		for id := range a.series.from(from) {
			if id >= to || len(ids) == definitionsAtOnce {
				break
			}
			r, _ := a.find(id)
			identities = a.appendIdentity(identities, r)
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

// appendIdentity appends what model.AppendIdentity would for the series.
func (a *Active) appendIdentity(dst []byte, r record) []byte {
	for i, ref := range r.symbols() {
		tag := a.symbols.at(ref)
		if i > 0 { // the name comes without a key
			dst = appendText(dst, tag.key.name)
		}
		dst = appendText(dst, tag.value)
	}
	return dst
}

// hasIdentity reports whether appendIdentity would append these bytes.
func (a *Active) hasIdentity(r record, identity []byte) bool {
	for i, ref := range r.symbols() {
		tag := a.symbols.at(ref)
		same := true
		if i > 0 {
			identity, same = cutText(identity, tag.key.name)
		}
		if same {
			identity, same = cutText(identity, tag.value)
		}
		if !same {
			return false
		}
	}
	return len(identity) == 0
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// cutText cuts what appendText would append for text off the front of data, and reports whether it was
// there.
func cutText(data []byte, text string) (rest []byte, same bool) {
	length, n := binary.Uvarint(data)
	if n <= 0 || length != uint64(len(text)) || len(data)-n < len(text) {
		return nil, false
	}
	end := n + len(text)
	return data[end:], string(data[n:end]) == text
}
