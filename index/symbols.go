package index

import (
	"hash/maphash"
	"strings"

	"github.com/flopynet/collector/model"
)

// symbol is a tag that some series of Active has, or a name, as the value of model.NameKey. A series
// refers to its symbols by number. Key and value never change.
type symbol struct {
	key    *symbolKey
	value  string
	series posting
}

// symbolKey is a tag key and the symbols that have it, in order of first use.
type symbolKey struct {
	name    string
	symbols []uint32
}

// symbolsPerPage times the size of a symbol is what an Active with few of them takes.
const symbolsPerPage = 512

// symbolPages holds symbols by number. Pages don't move, so that a symbol's key and value, once seen, can
// be read without a lock.
type symbolPages []*[symbolsPerPage]symbol

func (p symbolPages) at(number uint32) *symbol {
	return &p[number/symbolsPerPage][number%symbolsPerPage]
}

// symbols numbers tags.
type symbols struct {
	pages  symbolPages
	count  uint32
	byText table
	byKey  map[string]*symbolKey
	hasher hasher
}

// hasher hashes with a seed of its own, so that nobody can choose tags that collide. mask makes tests
// collide.
type hasher struct {
	seed maphash.Seed
	mask uint64
}

func newHasher(mask uint64) hasher { return hasher{seed: maphash.MakeSeed(), mask: mask} }

func (h hasher) bytes(b []byte) uint64 { return maphash.Bytes(h.seed, b) & h.mask }

func (h hasher) id(id model.SeriesID) uint64 { return maphash.Comparable(h.seed, id) & h.mask }

func (h hasher) tag(key, value string) uint64 {
	// The multiplier, 2^64 / golden ratio, makes the order count.
	return (maphash.String(h.seed, key)*0x9e3779b97f4a7c15 ^ maphash.String(h.seed, value)) & h.mask
}

func (s *symbols) at(number uint32) *symbol { return s.pages.at(number) }

// find returns the symbol of a tag.
func (s *symbols) find(key, value string) (number uint32, found bool) {
	return s.findHash(s.hasher.tag(key, value), key, value)
}

func (s *symbols) findHash(hash uint64, key, value string) (number uint32, found bool) {
	return s.byText.find(hash, func(ref uint32) bool {
		known := s.at(ref)
		return known.value == value && known.key.name == key
	})
}

// intern returns the symbol of a tag, which it makes if it is new. It keeps copies of the strings.
func (s *symbols) intern(key, value string) (number uint32) {
	hash := s.hasher.tag(key, value)
	if known, found := s.findHash(hash, key, value); found {
		return known
	}
	return s.add(hash, key, strings.Clone(value))
}

// add makes a symbol of a tag that has none. It keeps the value.
func (s *symbols) add(hash uint64, key, value string) (number uint32) {
	symbolKey := s.internKey(key)
	if s.count%symbolsPerPage == 0 {
		s.pages = append(s.pages, new([symbolsPerPage]symbol))
	}
	number = s.count
	s.count++
	made := s.at(number)
	made.key, made.value = symbolKey, value
	symbolKey.symbols = append(symbolKey.symbols, number)
	s.byText.insert(hash, number)
	return number
}

func (s *symbols) internKey(name string) *symbolKey {
	known := s.byKey[name]
	if known == nil {
		known = &symbolKey{name: strings.Clone(name)}
		s.byKey[known.name] = known
	}
	return known
}

// tagSymbols finds the symbols of series, those of tags that several have only once.
type tagSymbols struct {
	tags   model.Tags // of the series before
	buffer [model.MaxTags + 2]uint32
}

// forget lets nothing be taken over from the series before.
func (t *tagSymbols) forget() { t.tags = nil }

// of returns the symbols of a name and of tags, in that order, until it is called again.
func (t *tagSymbols) of(known *symbols, name string, tags model.Tags) []uint32 {
	refs := t.buffer[:]
	if 1+len(tags) > len(refs) {
		refs = make([]uint32, 1+len(tags)) // no writer makes such a series
		t.tags = nil
	}
	refs = refs[:1+len(tags)]
	refs[0] = known.intern(model.NameKey, name)
	if len(tags) > 0 && len(tags) == len(t.tags) && &tags[0] == &t.tags[0] {
		return refs
	}
	for i, tag := range tags {
		refs[1+i] = known.intern(tag.Key, tag.Value)
	}
	if len(refs) <= len(t.buffer) {
		t.tags = tags
	}
	return refs
}
