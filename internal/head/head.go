package head

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/model"
)

const (
	shardBits  = 4
	shardCount = 1 << shardBits
	pageBits   = 9
	pageSize   = 1 << pageBits
)

// Head is the set of all series with samples in memory. Apply, Delete, Freeze and Thaw are called by one
// goroutine at a time for any shard; readers may run beside them.
type Head struct {
	shards [shardCount]shard
}

// shard holds the series whose id is congruent to its number. Ids ascend without large gaps, so a
// directory of pages finds a series with two loads and without hashing.
type shard struct {
	mu       sync.RWMutex
	pages    []*page
	frozenAt uint64 // position of the log at which all that is frozen was; see Freeze

	samples atomic.Int64 // in cur and frozen, overwritten ones included
}

type page [pageSize]series

// series has nothing but its samples; who it is, the index knows.
type series struct {
	cur    *data // written since the last freeze; nil: nothing
	frozen *data // being flushed; nil: nothing
}

// count returns how many samples the series holds, overwritten ones included.
func (s *series) count() int {
	total := 0
	for _, d := range [...]*data{s.frozen, s.cur} {
		if d != nil {
			total += d.count
		}
	}
	return total
}

// New returns an empty head.
func New() *Head { return &Head{} }

// Samples returns how many samples the head holds, those that were overwritten included.
func (h *Head) Samples() int64 {
	var total int64
	for i := range h.shards {
		total += h.shards[i].samples.Load()
	}
	return total
}

func shardOf(id model.SeriesID) int { return int(id & (shardCount - 1)) }

// find returns the series, or nil if nothing of its page was ever written. sh.mu is held.
func (sh *shard) find(id model.SeriesID) *series {
	slot := uint64(id) >> shardBits
	number := slot >> pageBits
	if number >= uint64(len(sh.pages)) || sh.pages[number] == nil {
		return nil
	}
	return &sh.pages[number][slot&(pageSize-1)]
}

// findOrAdd is find for a writer. sh.mu is held exclusively.
func (sh *shard) findOrAdd(id model.SeriesID) *series {
	slot := uint64(id) >> shardBits
	number := slot >> pageBits
	if number >= uint64(len(sh.pages)) {
		sh.pages = append(sh.pages, make([]*page, number+1-uint64(len(sh.pages)))...)
	}
	if sh.pages[number] == nil {
		sh.pages[number] = new(page)
	}
	return &sh.pages[number][slot&(pageSize-1)]
}

// each calls fn for every series of the shard that has a place. sh.mu is held.
func (sh *shard) each(shardNumber int, fn func(id model.SeriesID, s *series)) {
	for number, p := range sh.pages {
		if p == nil {
			continue
		}
		for i := range p {
			if p[i].cur != nil || p[i].frozen != nil {
				slot := uint64(number)<<pageBits | uint64(i)
				fn(model.SeriesID(slot<<shardBits|uint64(shardNumber)), &p[i])
			}
		}
	}
}

// Frozen tells of a series that had samples when the head was frozen.
type Frozen struct {
	ID    model.SeriesID
	Count int  // of samples, overwritten ones included
	Idle  bool // nothing came for the series in this period and the one before
}

// Freeze makes what every series holds immutable and returns which series those are, by id. Nothing may
// be frozen already. It must run between two calls of Apply, so that all shards freeze at one position
// of the log, seq, which Views tell. The period is a count of time that says which series are idle.
func (h *Head) Freeze(period int64, seq uint64) []Frozen {
	var frozen []Frozen
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		sh.frozenAt = seq
		sh.each(i, func(id model.SeriesID, s *series) {
			s.frozen, s.cur = s.cur, nil
			frozen = append(frozen, Frozen{ID: id, Count: s.frozen.count, Idle: s.frozen.period < period-1})
		})
		sh.mu.Unlock()
	}
	slices.SortFunc(frozen, func(a, b Frozen) int { return cmp.Compare(a.ID, b.ID) })
	return frozen
}

// FrozenView returns the frozen samples of a series. They don't change until Release or Thaw. With
// compress the tail is moved into the blocks first, as is fit for a series that is about to be written.
func (h *Head) FrozenView(id model.SeriesID, compress bool) View {
	sh := &h.shards[shardOf(id)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.find(id)
	if s == nil || s.frozen == nil {
		return View{}
	}
	if compress {
		s.frozen.compressTail()
	}
	v := s.frozen.view()
	v.Seq = sh.frozenAt
	return v
}

// Has reports whether the head holds samples of the series.
func (h *Head) Has(id model.SeriesID) bool {
	sh := &h.shards[shardOf(id)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	s := sh.find(id)
	return s != nil && (s.cur != nil || s.frozen != nil)
}

// Release forgets the frozen samples of the series: they are in chunks now.
func (h *Head) Release(ids []model.SeriesID) {
	for _, id := range ids {
		sh := &h.shards[shardOf(id)]
		sh.mu.Lock()
		if s := sh.find(id); s != nil && s.frozen != nil {
			sh.samples.Add(-int64(s.frozen.count))
			s.frozen = nil
		}
		sh.mu.Unlock()
	}
}

// Thaw joins the frozen samples of the series with what was written since, as if they had never been
// frozen. It leaves out those in a span that hidden returns for the series and for the position of the log
// at which they were frozen: what was deleted since. hidden may be nil. It is called under the lock of the
// shard and must not call the head: so a delete that is made known to hidden before it is handed to an
// Applier is seen here, or finds the samples thawed. After an error, which only damaged memory can cause,
// the series has all its frozen samples and perhaps not all that came since.
func (h *Head) Thaw(ids []model.SeriesID, hidden func(id model.SeriesID, seq uint64) []model.Span) error {
	var failed []error
	for _, id := range ids {
		if err := h.shards[shardOf(id)].thaw(id, hidden); err != nil {
			failed = append(failed, fmt.Errorf("series %d: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

func (sh *shard) thaw(id model.SeriesID, hidden func(id model.SeriesID, seq uint64) []model.Span) (err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.find(id)
	if s == nil || s.frozen == nil {
		return nil
	}
	before := s.count()
	if hidden != nil {
		var kept *data
		if kept, err = s.frozen.without(hidden(id, sh.frozenAt)); err == nil {
			s.frozen = kept
		}
	}
	if s.frozen != nil {
		newer := s.cur
		s.cur = s.frozen
		if newer != nil {
			err = errors.Join(err, s.cur.join(newer))
		}
		s.frozen = nil
	}
	sh.samples.Add(int64(s.count() - before))
	return err
}

// Trim gives back the memory of places in which no series has samples.
func (h *Head) Trim() {
	for i := range h.shards {
		h.shards[i].trim()
	}
}

func (sh *shard) trim() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for number, p := range sh.pages {
		if p != nil && *p == (page{}) {
			sh.pages[number] = nil
		}
	}
}
