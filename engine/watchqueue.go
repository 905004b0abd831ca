package engine

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/flopynet/collector/model"
)

// Memory for updates that wait to be taken. A queue may grow to maxQueueBytes while all together hold less
// than queueBudget; beyond that to its share of it, and to minQueueBytes in any case.
const (
	queueBudget   = 256 << 20
	maxQueueBytes = 4 << 20
	minQueueBytes = 64 << 10
)

// takeBytes is about how much one Take returns, and how large a queue may remain when it is empty.
const takeBytes = 64 << 10

// watchQueue is what waits for one watcher: messages of its format, of which the oldest are dropped when
// there is no room, or with newest, the newest update of each series.
type watchQueue struct {
	mu      sync.Mutex
	data    []byte // messages, one behind the other
	head    int    // where the oldest begins
	lengths []int32
	first   int // of lengths that is in use

	newest  map[model.SeriesID]Update
	through Position // of the last update that came

	dropped   uint64 // since the last take
	estimated bool   // what was dropped may be less
}

// push adds a message and returns by how many bytes the queue has grown, and how many messages were dropped.
func (q *watchQueue) push(message []byte, limit int) (grown int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.data) - q.head
	for q.first < len(q.lengths) && len(q.data)-q.head+len(message) > limit {
		q.head += int(q.lengths[q.first])
		q.first++
		dropped++
	}
	q.dropped += dropped
	if q.head > len(q.data)/2 { // so that each byte is moved once at most for each that is added
		q.data = q.data[:copy(q.data, q.data[q.head:])]
		q.lengths = q.lengths[:copy(q.lengths, q.lengths[q.first:])]
		q.head, q.first = 0, 0
	}
	q.data = append(q.data, message...)
	q.lengths = append(q.lengths, int32(len(message)))
	return len(q.data) - q.head - before, dropped
}

// pushNewest notes an update unless a newer one of its series waits. Of two of one time, the later stands. It reports
// false if there are too many series.
func (q *watchQueue) pushNewest(u *Update, limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.through = u.Position
	waiting, known := q.newest[u.Series.ID]
	if !known && len(q.newest) >= limit {
		q.dropped++
		return false
	}
	if !known || waiting.Time <= u.Time {
		q.newest[u.Series.ID] = *u
	}
	return true
}

// lose notes that updates were lost on the way to the queue: n at most.
func (q *watchQueue) lose(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped += n
	q.estimated = true
}

// take moves about takeBytes of messages, or all updates, into the batch. It returns how many bytes left the queue,
// and whether something remains.
func (q *watchQueue) take(b *Batched) (taken int, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b.Data, b.Updates, b.Count = b.Data[:0], b.Updates[:0], 0
	b.Dropped, b.Estimated, b.Through = q.dropped, q.estimated, q.through
	q.dropped, q.estimated = 0, false
	if q.newest != nil {
		b.Updates = slices.AppendSeq(b.Updates, maps.Values(q.newest))
		slices.SortFunc(b.Updates, func(x, y Update) int { return cmp.Compare(x.Series.ID, y.Series.ID) })
		b.Count = len(b.Updates)
		clear(q.newest)
		return 0, false
	}
	for q.first < len(q.lengths) && taken < takeBytes {
		taken += int(q.lengths[q.first])
		q.first++
		b.Count++
	}
	b.Data = append(b.Data, q.data[q.head:q.head+taken]...)
	q.head += taken
	if q.first < len(q.lengths) {
		return taken, true
	}
	q.data, q.lengths, q.head, q.first = q.data[:0], q.lengths[:0], 0, 0
	if cap(q.data) > takeBytes {
		q.data, q.lengths = nil, nil
	}
	return taken, false
}

// drop forgets everything and returns how many bytes that were.
func (q *watchQueue) drop() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	held := len(q.data) - q.head
	q.data, q.lengths, q.head, q.first = nil, nil, 0, 0
	clear(q.newest)
	return held
}
