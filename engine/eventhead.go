package engine

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/wal"
)

// eventHead holds the events that are in the log and not yet in the chunk store.
type eventHead struct {
	mu   sync.RWMutex
	list []placedEvent       // by LSN; elements don't change, and the list is replaced when its front goes
	ids  map[string]struct{} // of the list

	// again has the IDs of events that were left out since others stood, and the LSN of the last of each. While the log
	// has that, the others must not go: the next replay would take what was left out for new.
	again map[string]wal.LSN

	size    atomic.Int64  // about what list and again take, in bytes
	changes atomic.Uint64 // counts when ids came to the chunk store, or went from it
}

// placedEvent is an event with its key.
type placedEvent struct {
	place keys.Event
	event Event
}

// eventBatch is the events of one write on their way through the pipeline.
type eventBatch struct {
	events []Event
	size   int    // in bytes, about
	named  []bool // the ID is the client's, so the event may be stored already
	stored []bool // it was in the chunk store
	at     uint64 // when that was looked up: eventHead.changes
}

// view returns the events of the head, by LSN. They must not be changed.
func (h *eventHead) view() []placedEvent {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.list[:len(h.list):len(h.list)]
}

// known reports for each event of a batch whether the head has its ID.
func (h *eventHead) known(b *eventBatch) []bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	known := make([]bool, len(b.events))
	for i := range b.events {
		_, known[i] = h.ids[b.events[i].ID]
	}
	return known
}

// add appends the events but for those to be skipped, the first of each ID. It returns those it has appended.
func (h *eventHead) add(lsn wal.LSN, events []Event, skip func(i int) bool) []placedEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.list)
	if h.ids == nil {
		h.ids = make(map[string]struct{})
	}
	for i := range events {
		if _, twice := h.ids[events[i].ID]; twice || skip(i) {
			h.leaveOut(events[i].ID, lsn)
			continue
		}
		event := events[i]
		event.Details = bytes.Clone(event.Details)
		h.ids[event.ID] = struct{}{}
		h.list = append(h.list, placedEvent{keys.Event{Time: event.Time, LSN: uint64(lsn), N: uint64(i)}, event})
		h.size.Add(int64(eventBytes(&event)))
	}
	return h.list[before:]
}

// againBytes is about what an entry of again takes, without its ID.
const againBytes = 64

// leaveOut remembers an ID under which an event was left out. The caller holds mu.
func (h *eventHead) leaveOut(id string, lsn wal.LSN) {
	if _, known := h.again[id]; !known {
		h.size.Add(int64(againBytes + len(id)))
		id = strings.Clone(id) // it may be a part of a request
	}
	if h.again == nil {
		h.again = make(map[string]wal.LSN)
	}
	h.again[id] = lsn
}

// logged reports whether the log has an event under one of the IDs that was left out.
func (h *eventHead) logged(ids []string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.ContainsFunc(ids, func(id string) bool { _, found := h.again[id]; return found })
}

// upTo returns the events up to an LSN.
func (h *eventHead) upTo(lsn wal.LSN) []placedEvent {
	list := h.view()
	n := 0
	for n < len(list) && list[n].place.LSN <= uint64(lsn) {
		n++
	}
	return list[:n]
}

// release forgets the events that upTo returned, which the chunk store has by now, and what the log up to the LSN was
// needed for.
func (h *eventHead) release(written []placedEvent, lsn wal.LSN) {
	if len(written) > 0 {
		// Who doesn't find an ID in the head any more then sees that it has to be looked up again.
		h.changes.Add(1)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, at := range h.again {
		if at <= lsn {
			delete(h.again, id)
			h.size.Add(-int64(againBytes + len(id)))
		}
	}
	if len(h.again) == 0 {
		h.again = nil // maps don't shrink
	}
	if len(written) == 0 {
		return
	}
	for i := range written {
		delete(h.ids, written[i].event.ID)
		h.size.Add(-int64(eventBytes(&written[i].event)))
	}
	h.list = append([]placedEvent(nil), h.list[len(written):]...)
	if len(h.list) == 0 {
		h.ids = nil
	}
}

// applyEvents makes the events of a batch visible, but for those that are there already. It is called in the
// order of the log, and changes nothing when it is called again for a batch.
func (db *DB) applyEvents(lsn wal.LSN, b *eventBatch) error {
	known := db.events.known(b)
	if b.at != db.events.changes.Load() {
		if err := db.findStored(b); err != nil {
			return err
		}
	}
	added := db.events.add(lsn, b.events, func(i int) bool { return known[i] || b.stored[i] })
	db.watch.publishEvents(lsn, added)
	return nil
}
