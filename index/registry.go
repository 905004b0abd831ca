package index

import (
	"encoding/binary"
	"strings"

	"github.com/flopynet/collector/model"
)

// registry is a set of series with all that is known of them. It has no lock.
type registry struct {
	records    records
	byIdentity table // position of the record
	byID       table // position of the record
	symbols    symbols
	series     Set
	units      []string // the unit's number is its index
	unitNumber map[string]uint32
	hasher     hasher
}

func newRegistry(hasher hasher) *registry {
	return &registry{
		symbols:    symbols{byKey: make(map[string]*symbolKey), hasher: hasher},
		units:      []string{""},
		unitNumber: map[string]uint32{"": 0},
		hasher:     hasher,
	}
}

// lookup returns the id of the series with this identity, whose hash is given.
func (k *registry) lookup(hash uint64, identity []byte) (model.SeriesID, bool) {
	position, found := k.byIdentity.find(hash, func(position uint32) bool {
		return k.hasIdentity(k.records.at(position), identity)
	})
	if !found {
		return 0, false
	}
	return k.records.at(position).id(), true
}

// find returns the record of a series.
func (k *registry) find(id model.SeriesID) (record, bool) {
	position, found := k.byID.find(k.hasher.id(id), func(position uint32) bool {
		return k.records.at(position).id() == id
	})
	if !found {
		return nil, false
	}
	return k.records.at(position), true
}

// add makes the record and the postings of a series that is not known by this id.
func (k *registry) add(id model.SeriesID, name string, tags model.Tags) (position uint32) {
	var symbols tagSymbols
	return k.addRecord(id, symbols.of(&k.symbols, name, tags))
}

// addRecord is add for a series whose name and tags have symbols.
func (k *registry) addRecord(id model.SeriesID, refs []uint32) (position uint32) {
	for _, ref := range refs {
		k.symbols.at(ref).series.add(id)
	}
	k.series.Add(id)
	position = k.records.add(id, refs)
	k.byID.insert(k.hasher.id(id), position)
	return position
}

// internUnit returns the number of a unit.
func (k *registry) internUnit(unit string) uint32 {
	number, known := k.unitNumber[unit]
	if !known {
		unit = strings.Clone(unit)
		number = uint32(len(k.units))
		k.units = append(k.units, unit)
		k.unitNumber[unit] = number
	}
	return number
}

// appendIdentity appends what model.AppendIdentity would for the series.
func (k *registry) appendIdentity(dst []byte, r record) []byte {
	for i, ref := range r.symbols() {
		tag := k.symbols.at(ref)
		if i > 0 { // the name comes without a key
			dst = appendText(dst, tag.key.name)
		}
		dst = appendText(dst, tag.value)
	}
	return dst
}

// hasIdentity reports whether appendIdentity would append these bytes.
func (k *registry) hasIdentity(r record, identity []byte) bool {
	for i, ref := range r.symbols() {
		tag := k.symbols.at(ref)
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
