package index

import (
	"iter"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/flopynet/collector/model"
)

// pieceBits is the number of low bits of a SeriesID that are a position in a piece.
const pieceBits = 20

// pieceMask cuts the position in its piece out of a SeriesID.
const pieceMask = 1<<pieceBits - 1

// piece is the part of a set whose ids have number as their high bits. It is never empty.
type piece struct {
	number uint64
	bitmap *roaring.Bitmap // of the ids' low pieceBits bits
}

func split(id model.SeriesID) (number uint64, low uint32) {
	return uint64(id) >> pieceBits, uint32(id & pieceMask)
}

func join(number uint64, low uint32) model.SeriesID {
	return model.SeriesID(number<<pieceBits | uint64(low))
}

// Set is a set of SeriesIDs, held as Roaring bitmaps of 2^20 ids each (Lemire et al., "Roaring bitmaps:
// implementation of an optimized software library", 2018). The zero Set is empty. A Set may be read by
// many goroutines, or be changed by one.
type Set struct {
	pieces []piece // by number
}

// NewSet returns the set of the ids given.
func NewSet(ids ...model.SeriesID) *Set {
	s := new(Set)
	s.AddMany(ids)
	return s
}

// find returns where the piece is, or would be.
func (s *Set) find(number uint64) (int, bool) {
	if n := len(s.pieces); n > 0 && s.pieces[n-1].number == number {
		return n - 1, true
	}
	return slices.BinarySearchFunc(s.pieces, number, func(p piece, number uint64) int {
		switch {
		case p.number < number:
			return -1
		case p.number > number:
			return 1
		}
		return 0
	})
}

// Add puts an id into the set.
func (s *Set) Add(id model.SeriesID) {
	number, low := split(id)
	i, ok := s.find(number)
	if !ok {
		s.pieces = slices.Insert(s.pieces, i, piece{number: number, bitmap: roaring.New()})
	}
	s.pieces[i].bitmap.Add(low)
}

// AddMany puts ids into the set. They need not be sorted.
func (s *Set) AddMany(ids []model.SeriesID) {
	for _, id := range ids {
		s.Add(id)
	}
}

// addPiece puts all ids of a bitmap into the set. The bitmap then belongs to the set.
func (s *Set) addPiece(number uint64, bitmap *roaring.Bitmap) {
	if bitmap.IsEmpty() {
		return
	}
	i, ok := s.find(number)
	if ok {
		s.pieces[i].bitmap.Or(bitmap)
		return
	}
	s.pieces = slices.Insert(s.pieces, i, piece{number: number, bitmap: bitmap})
}

// Contains reports whether the id is in the set.
func (s *Set) Contains(id model.SeriesID) bool {
	number, low := split(id)
	i, ok := s.find(number)
	return ok && s.pieces[i].bitmap.Contains(low)
}

// Intersects reports whether the sets have an id in common.
func (s *Set) Intersects(other *Set) bool {
	return slices.ContainsFunc(s.pieces, func(p piece) bool {
		i, ok := other.find(p.number)
		return ok && p.bitmap.Intersects(other.pieces[i].bitmap)
	})
}

// Len returns the number of ids.
func (s *Set) Len() int {
	total := 0
	for _, p := range s.pieces {
		total += int(p.bitmap.GetCardinality())
	}
	return total
}

// IsEmpty reports whether there is no id in the set.
func (s *Set) IsEmpty() bool { return len(s.pieces) == 0 }

// Clone returns a copy that shares no memory with s.
func (s *Set) Clone() *Set {
	clone := &Set{pieces: make([]piece, len(s.pieces))}
	for i, p := range s.pieces {
		clone.pieces[i] = piece{number: p.number, bitmap: p.bitmap.Clone()}
	}
	return clone
}

// Or adds the ids of other, which stays as it is.
func (s *Set) Or(other *Set) {
	for _, p := range other.pieces {
		i, ok := s.find(p.number)
		if ok {
			s.pieces[i].bitmap.Or(p.bitmap)
			continue
		}
		s.pieces = slices.Insert(s.pieces, i, piece{number: p.number, bitmap: p.bitmap.Clone()})
	}
}

// And drops the ids that are not in other, which stays as it is.
func (s *Set) And(other *Set) {
	s.pieces = slices.DeleteFunc(s.pieces, func(p piece) bool {
		i, ok := other.find(p.number)
		if ok {
			p.bitmap.And(other.pieces[i].bitmap)
		}
		return !ok || p.bitmap.IsEmpty()
	})
}

// addCommon adds the ids that are in both of two other sets, which stay as they are.
func (s *Set) addCommon(a, b *Set) {
	if len(a.pieces) > len(b.pieces) {
		a, b = b, a
	}
	for _, p := range a.pieces {
		if i, ok := b.find(p.number); ok {
			s.addPiece(p.number, roaring.And(p.bitmap, b.pieces[i].bitmap))
		}
	}
}

// filter returns those of the ids that keep says true of.
func (s *Set) filter(keep func(model.SeriesID) bool) *Set {
	kept := new(Set)
	for id := range s.All() {
		if keep(id) {
			kept.Add(id)
		}
	}
	return kept
}

// AndNot drops the ids that are in other, which stays as it is.
func (s *Set) AndNot(other *Set) {
	s.pieces = slices.DeleteFunc(s.pieces, func(p piece) bool {
		i, ok := other.find(p.number)
		if ok {
			p.bitmap.AndNot(other.pieces[i].bitmap)
		}
		return p.bitmap.IsEmpty()
	})
}

// All iterates over the ids in ascending order. The set must not be changed meanwhile.
func (s *Set) All() iter.Seq[model.SeriesID] { return s.from(0) }

// from iterates over the ids that are at least first, in ascending order.
func (s *Set) from(first model.SeriesID) iter.Seq[model.SeriesID] {
	return func(yield func(model.SeriesID) bool) {
		number, low := split(first)
		start, _ := s.find(number)
		for _, p := range s.pieces[start:] {
			ids := p.bitmap.Iterator()
			if p.number == number {
				ids.AdvanceIfNeeded(low)
			}
			for ids.HasNext() {
				if !yield(join(p.number, ids.Next())) {
					return
				}
			}
		}
	}
}

// AppendTo appends the ids in ascending order to dst.
func (s *Set) AppendTo(dst []model.SeriesID) []model.SeriesID {
	dst = slices.Grow(dst, s.Len())
	var buffer [512]uint32
	for _, p := range s.pieces {
		ids := p.bitmap.ManyIterator()
		for n := ids.NextMany(buffer[:]); n > 0; n = ids.NextMany(buffer[:]) {
			for _, low := range buffer[:n] {
				dst = append(dst, join(p.number, low))
			}
		}
	}
	return dst
}
