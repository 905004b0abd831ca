package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/flopynet/collector/model"
)

// maxFew is how many ids a posting holds in a plain slice. A Set of one id takes over 250 bytes, and most
// postings of a tag such as the host have a handful of ids.
const maxFew = 32

// posting is the set of series that have a tag, small while they are few. The zero posting is empty.
type posting struct {
	few  []model.SeriesID // ascending; nil once many is used
	many *Set
}

func (p *posting) add(id model.SeriesID) {
	if p.many != nil {
		p.many.Add(id)
		return
	}
	if n := len(p.few); n == 0 || p.few[n-1] < id {
		p.few = append(p.few, id)
	} else if i, known := slices.BinarySearch(p.few, id); !known {
		p.few = slices.Insert(p.few, i, id)
	}
	if len(p.few) > maxFew {
		p.many, p.few = NewSet(p.few...), nil
	}
}

// addTo adds the posting's ids to the set.
func (p *posting) addTo(set *Set) {
	set.AddMany(p.few)
	if p.many != nil {
		set.Or(p.many)
	}
}

// addCommonTo adds those of the posting's ids to dst that are also in a set.
func (p *posting) addCommonTo(dst, within *Set) {
	for _, id := range p.few {
		if within.Contains(id) {
			dst.Add(id)
		}
	}
	if p.many != nil {
		dst.addCommon(p.many, within)
	}
}

// eachPiece calls fn with every piece of the posting, until it returns an error. The bitmap is fn's to
// read and to optimize, only until it returns: scratch may lie behind it.
func (p *posting) eachPiece(scratch *roaring.Bitmap, fn func(number uint64, bitmap *roaring.Bitmap) error) error {
	if p.many != nil {
		for _, piece := range p.many.pieces {
			if err := fn(piece.number, piece.bitmap); err != nil {
				return err
			}
		}
		return nil
	}
	for i := 0; i < len(p.few); {
		number, _ := split(p.few[i])
		scratch.Clear()
		for i < len(p.few) {
			other, low := split(p.few[i])
			if other != number {
				break
			}
			scratch.Add(low)
			i++
		}
		if err := fn(number, scratch); err != nil {
			return err
		}
	}
	return nil
}
