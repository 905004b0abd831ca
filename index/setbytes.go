package index

import (
	"encoding/binary"
	"fmt"

	"github.com/flopynet/collector/model"
)

// A Set as bytes is its pieces, by ascending number, none of them empty:
//
//	+----------------+----------------+---------------------------------+
//	| number uvarint | length uvarint | Roaring bitmap, portable format |
//	+----------------+----------------+---------------------------------+
//
// The empty set has no bytes.

// maxPiece is the highest number of a piece.
const maxPiece = 1<<(64-pieceBits) - 1

// AppendSet appends the ids of the set, compactly, to dst. The set stays as it is and may be read
// meanwhile.
func AppendSet(dst []byte, s *Set) []byte {
	var bitmap []byte
	for _, p := range s.pieces {
		bitmap = appendBitmap(bitmap[:0], p.bitmap.Clone())
		dst = appendBytes(binary.AppendUvarint(dst, p.number), bitmap)
	}
	return dst
}

// ParseSet is the inverse of AppendSet. The set shares no memory with src. An error wraps
// model.ErrBadEncoding.
func ParseSet(src []byte) (*Set, error) {
	s := new(Set)
	for len(src) > 0 {
		number, rest, ok := cutUvarint(src)
		if n := len(s.pieces); !ok || number > maxPiece || n > 0 && number <= s.pieces[n-1].number {
			return nil, fmt.Errorf("%w: number of piece %d of a set", model.ErrBadEncoding, n)
		}
		data, rest, ok := cutBytes(rest)
		if !ok {
			return nil, fmt.Errorf("%w: length of piece %d of a set", model.ErrBadEncoding, len(s.pieces))
		}
		bitmap, err := parseBitmap(data)
		if err != nil {
			return nil, fmt.Errorf("piece %d of a set: %w", len(s.pieces), err)
		}
		if bitmap.IsEmpty() {
			return nil, fmt.Errorf("%w: piece %d of a set is empty", model.ErrBadEncoding, len(s.pieces))
		}
		s.pieces = append(s.pieces, piece{number: number, bitmap: bitmap})
		src = rest
	}
	return s, nil
}
