package engine

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

const (
	// watchIdle is how long what is written is still buffered when the last watcher has gone: it may come back
	// for what it missed.
	watchIdle = 5 * time.Minute

	// roundBlocks is how many blocks the hub goes through before it wakes those for whom something came. Then it pauses,
	// so that a busy store wakes them at most 50,000 times a second altogether, and they send more at once.
	roundBlocks = 16
	pausePerOne = 20 * time.Microsecond
	maxPause    = 50 * time.Millisecond
)

// watchHub takes updates from the ring, in which the write path puts them, to the watchers. The write path never
// waits for it, and it waits for no watcher.
type watchHub struct {
	db     *DB
	run    uint32      // names this opening of the store
	active atomic.Bool // updates are put into the ring; changed under the apply stage
	ring   watchRing
	wake   chan struct{}
	idle   *time.Timer   // runs out when nobody has watched for watchIdle
	units  atomic.Uint64 // counts changes of units

	queued    atomic.Int64 // bytes in all queues
	watching  atomic.Int64 // watchers
	delivered atomic.Uint64
	dropped   atomic.Uint64 // by queues
	overrun   atomic.Uint64 // left the ring before the hub or a watcher came to them

	mu sync.Mutex
	// All below is guarded by mu.
	closed    bool
	watchers  map[*Watcher]struct{}
	formats   []*formatState
	interests interests
	cursor    watchCursor
	touched   []*Watcher
}

// formatState is a Format with what was encoded last.
type formatState struct {
	Format
	events  EventFormat // nil: it has no messages for events
	slot    int
	message []byte
	encoded uint64 // number of the entry of which message is, plus one
}

func newWatchHub(db *DB, capacity int) *watchHub {
	h := &watchHub{db: db, run: rand.Uint32(), wake: make(chan struct{}, 1), idle: time.NewTimer(watchIdle), watchers: make(map[*Watcher]struct{})}
	h.ring.capacity = capacity
	h.interests.reset()
	return h
}

// publishSamples is called by the apply stage for each batch. It costs a load while nobody watches.
func (h *watchHub) publishSamples(c *commit) {
	if h.active.Load() {
		h.ring.publishSamples(uint64(c.lsn), c.ids, c.times, c.values)
	}
}

// publishEvents is publishSamples for the events of a batch that are new.
func (h *watchHub) publishEvents(lsn wal.LSN, events []placedEvent) {
	if h.active.Load() {
		h.ring.publishEvents(uint64(lsn), events)
	}
}

// published is called by the apply stage when a frame is visible.
func (h *watchHub) published() {
	if h.active.Load() {
		h.wakeUp()
	}
}

func (h *watchHub) wakeUp() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// activate makes sure that updates are put into the ring. A watcher must have entered, so that the hub stays
// active.
func (h *watchHub) activate() {
	h.db.pipe.applying.Lock()
	defer h.db.pipe.applying.Unlock()
	if h.active.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring.reset(Position{LSN: h.db.pipe.applied.Load(), Index: maxIndex})
	h.cursor = watchCursor{block: h.ring.newest}
	h.active.Store(true)
}

// deactivate gives up the ring if there is still nobody.
func (h *watchHub) deactivate() {
	h.db.pipe.applying.Lock()
	defer h.db.pipe.applying.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watchers) > 0 {
		return
	}
	h.active.Store(false)
	h.ring.drop()
	h.cursor = watchCursor{}
	h.interests.reset()
}

// endCursor returns a cursor behind what is visible now.
func (h *watchHub) endCursor() watchCursor {
	h.db.pipe.applying.Lock()
	defer h.db.pipe.applying.Unlock()
	b := h.ring.newest
	return watchCursor{block: b, offset: int(b.count.Load())}
}

// enter takes in a watcher.
func (h *watchHub) enter(w *Watcher, format Format) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if format == nil {
		w.queue.newest = make(map[model.SeriesID]Update)
	} else {
		w.format = h.formatOf(format)
	}
	h.watchers[w] = struct{}{}
	h.watching.Store(int64(len(h.watchers)))
	return nil
}

func (h *watchHub) formatOf(format Format) *formatState {
	for _, known := range h.formats {
		if known.Format == format {
			return known
		}
	}
	f := &formatState{Format: format, slot: len(h.formats)}
	f.events, _ = format.(EventFormat)
	h.formats = append(h.formats, f)
	return f
}

// leave lets a watcher go.
func (h *watchHub) leave(w *Watcher) {
	h.mu.Lock()
	h.remove(w)
	h.mu.Unlock()
	h.queued.Add(int64(-w.queue.drop()))
}

func (h *watchHub) remove(w *Watcher) {
	w.closed = true
	for _, s := range w.subscriptions {
		h.interests.remove(s)
	}
	w.subscriptions = nil
	delete(h.watchers, w)
	h.watching.Store(int64(len(h.watchers)))
	if len(h.watchers) == 0 {
		h.idle.Reset(watchIdle)
	}
	w.finish()
}

func (h *watchHub) subscribe(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := s.watcher
	if w.closed {
		return
	}
	if w.live {
		h.deliverUpTo(h.ring.end.Load()) // what was written before isn't for this subscription
		h.interests.add(s)
	}
	w.subscriptions, w.begun = append(w.subscriptions, s), true
	if !w.live {
		w.signal() // it catches up
	}
}

func (h *watchHub) unsubscribe(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := s.watcher
	if i := slices.Index(w.subscriptions, s); i >= 0 {
		w.subscriptions = slices.Delete(w.subscriptions, i, i+1)
		if w.live {
			h.interests.remove(s)
			h.interests.forget()
		}
	}
}

// queueLimit returns to how many bytes a queue may grow now.
func (h *watchHub) queueLimit() int {
	if h.queued.Load() < queueBudget {
		return maxQueueBytes
	}
	return int(min(max(queueBudget/max(h.watching.Load(), 1), minQueueBytes), maxQueueBytes))
}

// loop is the hub's goroutine.
func (h *watchHub) loop() {
	defer h.idle.Stop()
	defer h.close()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-h.db.stop:
			return
		case <-h.idle.C:
			h.deactivate()
			continue
		case <-h.wake:
		}
		for more := true; more; {
			var woken int
			if woken, more = h.round(); woken == 0 {
				continue
			}
			pause.Reset(min(time.Duration(woken)*pausePerOne, maxPause))
			select {
			case <-h.db.stop:
				return
			case <-pause.C:
			}
		}
	}
}

// round takes some blocks to the watchers and wakes those for whom something came. It returns how many these are, and
// whether there is more to be done.
func (h *watchHub) round() (woken int, more bool) {
	for range roundBlocks {
		if more = h.deliverBlock(); !more {
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	woken = len(h.touched)
	for _, w := range h.touched {
		w.touched = false
		w.signal()
	}
	clear(h.touched)
	h.touched = h.touched[:0]
	return woken, more
}

// deliverUpTo delivers what lies before the entry with this number. The caller holds h.mu.
func (h *watchHub) deliverUpTo(number uint64) {
	for h.cursor.block != nil && h.cursor.number() < number && h.deliverLocked() {
		h.wakeUp() // the loop wakes those for whom something came
	}
}

// deliverAll delivers all that is visible.
func (h *watchHub) deliverAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliverUpTo(h.ring.end.Load())
}

// deliverBlock delivers what the block under the cursor has. It reports whether there was anything.
func (h *watchHub) deliverBlock() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deliverLocked()
}

// deliverLocked is deliverBlock for who holds h.mu.
func (h *watchHub) deliverLocked() bool {
	if h.cursor.block == nil {
		return false
	}
	n, lost := h.cursor.read(&h.ring, blockEntries)
	if lost > 0 {
		for w := range h.watchers {
			if w.live {
				w.lose(lost)
			}
		}
	}
	if n > 0 && len(h.watchers) > 0 {
		h.interests.renew(h.db.Epoch())
		h.deliverEntries(h.cursor, n)
	}
	h.cursor.offset += n
	return n > 0
}

// deliverEntries delivers n entries at the cursor.
func (h *watchHub) deliverEntries(c watchCursor, n int) {
	units := h.units.Load()
	for i := c.offset; i < c.offset+n; i++ {
		number := c.block.first + uint64(i)
		if c.block.events != nil {
			h.deliverEvent(number, c.block.place(i), &c.block.events[i].event)
			continue
		}
		entry := &c.block.entries[i]
		if model.IsStale(entry.value) {
			continue
		}
		if t := h.interests.target(h.db, entry.id, units); t != nil {
			h.deliverSample(number, entry, t)
		}
	}
}

func (h *watchHub) deliverSample(number uint64, entry *watchEntry, t *target) {
	u := Update{Position: entry.at, Series: t.series, Sample: model.Sample{Time: entry.time, Value: entry.value}}
	gone := false
	for _, w := range t.watchers {
		if w.closed {
			gone = true
			continue
		}
		if number < w.from {
			continue
		}
		var message []byte
		if f := w.format; f != nil {
			if f.encoded != number+1 {
				f.message = f.AppendUpdate(f.message[:0], t.prepare(f), &u)
				f.encoded = number + 1
			}
			message = f.message
		}
		w.deliver(&u, message)
		if w.format != nil {
			h.touch(w)
		}
	}
	if gone {
		h.interests.compact(t)
	}
}

func (h *watchHub) deliverEvent(number uint64, at Position, e *Event) {
	for s := range h.interests.events {
		w := s.watcher
		f := w.format
		if f == nil || f.events == nil || number < w.from || w.lastEvent == number+1 || !s.wantsEvent(e) {
			continue
		}
		if f.encoded != number+1 {
			f.message = f.events.AppendEvent(f.message[:0], at, e)
			f.encoded = number + 1
		}
		w.lastEvent = number + 1
		w.push(f.message)
		h.touch(w)
	}
}

func (h *watchHub) touch(w *Watcher) {
	if !w.touched {
		w.touched = true
		h.touched = append(h.touched, w)
	}
}

func (h *watchHub) stats() WatchStats {
	return WatchStats{
		Watchers: int(h.watching.Load()), QueuedBytes: h.queued.Load(),
		Delivered: h.delivered.Load(), Dropped: h.dropped.Load(), Overrun: h.overrun.Load(),
	}
}

// close ends all watchers.
func (h *watchHub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		h.remove(w)
	}
}
