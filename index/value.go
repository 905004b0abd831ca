package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// A value that Pebble merges is a set, behind a byte that says how it is held:
//
//	+---+-----------------------------------------------+
//	| 1 | Roaring bitmap, portable format                |  under keys.PrefixPosting, keys.PrefixDirty
//	+---+-----------------------------------------------+
//	| 2 | uvarint id, then uvarint differences           |  under keys.PrefixIdentity
//	+---+-----------------------------------------------+
//	| 3 | string: a value as above, then one or more     |  under all of them
//	|   | strings: operands that could not be read       |
//	+---+-----------------------------------------------+
//
// Where string is a uvarint length and that many bytes. Operands kept aside are in ascending order,
// without repetition. The encoding of a union does not depend on the order of its operands.
const (
	kindBitmap  byte = 1
	kindIDs     byte = 2
	kindDamaged byte = 3
)

// mergeable is a value taken apart. Which of bitmap and ids is used, kind says.
type mergeable struct {
	kind    byte
	bitmap  *roaring.Bitmap
	ids     []model.SeriesID // ascending
	damaged [][]byte         // ascending
}

// kindOf returns the kind of the sets that are merged under a key.
func kindOf(key []byte) byte {
	if len(key) > 0 && key[0] == keys.PrefixIdentity {
		return kindIDs
	}
	return kindBitmap
}

// newMergeable returns the empty set.
func newMergeable(kind byte) *mergeable {
	m := &mergeable{kind: kind}
	if kind == kindBitmap {
		m.bitmap = roaring.New()
	}
	return m
}

// add unites an operand with m. An operand that can't be read is kept aside.
func (m *mergeable) add(operand []byte) {
	if m.addSet(operand) {
		return
	}
	if inner, damaged, ok := cutDamaged(operand); ok && m.addSet(inner) {
		for _, d := range damaged {
			m.keepAside(d)
		}
		return
	}
	m.keepAside(operand)
}

func (m *mergeable) keepAside(operand []byte) {
	i, known := slices.BinarySearchFunc(m.damaged, operand, bytes.Compare)
	if !known {
		m.damaged = slices.Insert(m.damaged, i, bytes.Clone(operand))
	}
}

// addSet unites an undamaged value with m, or returns false and leaves m as it is.
func (m *mergeable) addSet(value []byte) bool {
	if len(value) == 0 || value[0] != m.kind {
		return false
	}
	if m.kind == kindIDs {
		ids, err := parseIDs(value[1:])
		if err == nil {
			m.ids = uniteIDs(m.ids, ids)
		}
		return err == nil
	}
	bitmap, err := parseBitmap(value[1:])
	if err == nil {
		m.bitmap.Or(bitmap)
	}
	return err == nil
}

// append appends the encoding of m.
func (m *mergeable) append(dst []byte) []byte {
	if len(m.damaged) == 0 {
		return m.appendSet(dst)
	}
	dst = append(dst, kindDamaged)
	dst = appendBytes(dst, m.appendSet(nil))
	for _, operand := range m.damaged {
		dst = appendBytes(dst, operand)
	}
	return dst
}

func (m *mergeable) appendSet(dst []byte) []byte {
	if m.kind == kindIDs {
		return appendIDs(append(dst, kindIDs), m.ids)
	}
	return appendBitmap(append(dst, kindBitmap), m.bitmap)
}

// cutDamaged takes a value of kindDamaged apart.
func cutDamaged(value []byte) (inner []byte, damaged [][]byte, ok bool) {
	if len(value) == 0 || value[0] != kindDamaged {
		return nil, nil, false
	}
	inner, rest, ok := cutBytes(value[1:])
	for ok && len(rest) > 0 {
		var operand []byte
		operand, rest, ok = cutBytes(rest)
		if n := len(damaged); n > 0 && bytes.Compare(damaged[n-1], operand) >= 0 {
			ok = false
		}
		damaged = append(damaged, operand)
	}
	return inner, damaged, ok && len(damaged) > 0
}

// decodeBitmap returns the bitmap that is stored under the key of a posting or of a mark of changed series.
// It does not share memory with value.
func decodeBitmap(key, value []byte) (*roaring.Bitmap, error) {
	if len(value) == 0 || value[0] != kindBitmap {
		return nil, corrupt(key, notASet(value))
	}
	bitmap, err := parseBitmap(value[1:])
	if err != nil {
		return nil, corrupt(key, err)
	}
	return bitmap, nil
}

// decodeIdentity returns the ids that are stored under the key of a hash.
func decodeIdentity(key, value []byte) ([]model.SeriesID, error) {
	if len(value) == 0 || value[0] != kindIDs {
		return nil, corrupt(key, notASet(value))
	}
	ids, err := parseIDs(value[1:])
	if err != nil {
		return nil, corrupt(key, err)
	}
	return ids, nil
}

func notASet(value []byte) error {
	if _, damaged, ok := cutDamaged(value); ok {
		return fmt.Errorf("%d parts of its value could not be read and were kept aside", len(damaged))
	}
	return errors.New("its value is of no known kind")
}

// appendIDs appends ascending ids: the first, then the differences.
func appendIDs(dst []byte, ids []model.SeriesID) []byte {
	var last model.SeriesID
	for _, id := range ids {
		dst = binary.AppendUvarint(dst, uint64(id-last))
		last = id
	}
	return dst
}

// parseIDs is the inverse of appendIDs.
func parseIDs(data []byte) ([]model.SeriesID, error) {
	var ids []model.SeriesID
	var last model.SeriesID
	for len(data) > 0 {
		difference, rest, ok := cutUvarint(data)
		id := last + model.SeriesID(difference)
		if !ok || id <= last {
			return nil, fmt.Errorf("%w: series ids", model.ErrBadEncoding)
		}
		ids = append(ids, id)
		last, data = id, rest
	}
	return ids, nil
}

// uniteIDs merges two ascending lists.
func uniteIDs(a, b []model.SeriesID) []model.SeriesID {
	if len(a) == 0 {
		return b
	}
	a = append(a, b...)
	slices.Sort(a)
	return slices.Compact(a)
}

func appendBytes(dst, data []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(data)))
	return append(dst, data...)
}

func cutBytes(data []byte) (cut, rest []byte, ok bool) {
	length, rest, ok := cutUvarint(data)
	if !ok || length > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:length], rest[length:], true
}

// cutUvarint reads a uvarint of minimal length off the front of data.
func cutUvarint(data []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(data)
	if n <= 0 || (n > 1 && data[n-1] == 0) {
		return 0, nil, false
	}
	return v, data[n:], true
}
