package sketch

import "slices"

const (
	pageBits = 7
	pageSize = 1 << pageBits
	pageMask = pageSize - 1
)

// page counts the values of neighbouring bins.
type page [pageSize]int64

// side counts the values of one sign. Pages that were never needed are nil, so what it holds is bounded by
// the number of bins there can be: 635 pages of 1 KiB.
type side struct {
	first int64 // number of pages[0]
	pages []*page
}

// page returns the page with this number, which is at most maxBin >> pageBits.
func (s *side) page(number int64) *page {
	if at := uint64(number - s.first); at < uint64(len(s.pages)) && s.pages[at] != nil {
		return s.pages[at]
	}
	return s.newPage(number)
}

func (s *side) newPage(number int64) *page {
	switch {
	case len(s.pages) == 0:
		s.first = number
		s.pages = append(s.pages, nil)
	case number < s.first:
		s.pages = slices.Insert(s.pages, 0, make([]*page, s.first-number)...)
		s.first = number
	case number >= s.first+int64(len(s.pages)):
		more := number - s.first - int64(len(s.pages)) + 1
		s.pages = append(s.pages, make([]*page, more)...)
	}
	p := new(page)
	s.pages[number-s.first] = p
	return p
}

func (s *side) merge(o *side) {
	for i, from := range o.pages {
		if from == nil {
			continue
		}
		to := s.page(o.first + int64(i))
		for j, n := range from {
			to[j] += n
		}
	}
}

// reset sets the counts to zero and keeps the pages.
func (s *side) reset() {
	for _, p := range s.pages {
		if p != nil {
			clear(p[:])
		}
	}
}

func (s *side) bytes() int {
	n := 8 * cap(s.pages)
	for _, p := range s.pages {
		if p != nil {
			n += 8 * pageSize
		}
	}
	return n
}

// ascend yields the bins that hold values and how many, in ascending order.
func (s *side) ascend(yield func(bin, n int64) bool) {
	for i, p := range s.pages {
		if p == nil {
			continue
		}
		for j, n := range p {
			if n != 0 && !yield((s.first+int64(i))<<pageBits+int64(j), n) {
				return
			}
		}
	}
}

// descend is ascend in descending order.
func (s *side) descend(yield func(bin, n int64) bool) {
	for i, p := range slices.Backward(s.pages) {
		if p == nil {
			continue
		}
		for j, n := range slices.Backward(p[:]) {
			if n != 0 && !yield((s.first+int64(i))<<pageBits+int64(j), n) {
				return
			}
		}
	}
}
