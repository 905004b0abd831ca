package index

import "github.com/flopynet/collector/model"

// A record is what Active keeps of a series, in words of 32 bits:
//
//	id low | id high | unit | number of symbols | symbol of the name | symbol of each tag ...
//
// 64 bytes with ten tags and a source, without pointers, so that the garbage collector has nothing to
// follow.
type record []uint32

const recordHeaderWords = 4

func (r record) id() model.SeriesID { return model.SeriesID(r[0]) | model.SeriesID(r[1])<<32 }

func (r record) unit() uint32 { return r[2] }

func (r record) setUnit(unit uint32) { r[2] = unit }

// symbols returns the symbol of the name and then those of the tags.
func (r record) symbols() []uint32 { return r[recordHeaderWords : recordHeaderWords+r[3]] }

const (
	pageBits  = 14 // 64 KiB
	pageWords = 1 << pageBits
)

// records holds records in pages. A position is the number of a page and a word in it, so there is room
// for 2^32 words, some 250 million series. A record lies in one page; one that is longer than a page has
// a longer page of its own.
type records struct {
	pages [][]uint32
	used  uint32 // words of the last page
}

// at returns the record at a position. It may go on behind the record's end.
func (r *records) at(position uint32) record {
	return r.pages[position>>pageBits][position%pageWords:]
}

// add makes a record and returns its position.
func (r *records) add(id model.SeriesID, symbols []uint32) (position uint32) {
	words := recordHeaderWords + len(symbols)
	if len(r.pages) == 0 || int(r.used)+words > pageWords {
		r.pages = append(r.pages, make([]uint32, max(pageWords, words)))
		r.used = 0
	}
	page := uint32(len(r.pages) - 1)
	position = page<<pageBits | r.used
	made := r.pages[page][r.used:]
	made[0], made[1] = uint32(id), uint32(id>>32)
	made[3] = uint32(len(symbols))
	copy(made[recordHeaderWords:], symbols)
	r.used += uint32(words)
	return position
}

// next returns the record that is at a position, or behind it on a later page, and where to look for the one
// after it. Without one, it returns the position unchanged: a record added later will be found there.
func (r *records) next(position uint32) (found record, after uint32, ok bool) {
	for page := position >> pageBits; page < uint32(len(r.pages)); page++ {
		at := max(position, page<<pageBits)
		words := r.pages[page][at%pageWords:]
		if len(words) > recordHeaderWords && record(words)[3] > 0 {
			found = record(words)
			length := uint32(recordHeaderWords + len(found.symbols()))
			return found, min(at+length, (page+1)<<pageBits), true
		}
	}
	return nil, position, false
}
