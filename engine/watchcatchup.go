package engine

import (
	"slices"

	"github.com/flopynet/collector/model"
)

// catchUp is what a watcher needs until it is live: it looks at the ring by itself, with its consumer's
// goroutine, and so as fast as that takes what it finds.
type catchUp struct {
	subscriptions []*subscription
	targets       map[model.SeriesID]*target // nil: not wanted
	message       []byte
}

// catchUpBytes is how many bytes of messages are found at once.
const catchUpBytes = 4 * takeBytes

// CatchUp looks through updates that lie between the place where the watcher was placed and now, once it has
// subscribed. It reports whether there are more. Take calls it.
func (w *Watcher) CatchUp() (more bool) {
	h := w.hub
	h.mu.Lock()
	if w.live || w.closed || !w.begun {
		h.mu.Unlock()
		return false
	}
	if w.catchUp.targets == nil || !slices.Equal(w.catchUp.subscriptions, w.subscriptions) {
		w.catchUp.subscriptions = slices.Clone(w.subscriptions)
		w.catchUp.targets = make(map[model.SeriesID]*target)
	}
	h.mu.Unlock()

	for found := 0; found < catchUpBytes; {
		n, lost := w.cursor.read(&h.ring, blockEntries)
		w.lose(lost)
		if n == 0 {
			return !w.join()
		}
		done, bytes := w.look(n, catchUpBytes-found)
		w.cursor.offset += done
		found += bytes
	}
	return true
}

// join hands the watcher over to the hub, if the hub isn't far ahead of it and subscriptions haven't changed.
func (w *Watcher) join() bool {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.closed {
		return true
	}
	if !slices.Equal(w.catchUp.subscriptions, w.subscriptions) {
		return false
	}
	for w.cursor.number() < h.cursor.number() {
		n, lost := w.cursor.read(&h.ring, int(h.cursor.number()-w.cursor.number()))
		w.lose(lost)
		n = min(n, int(max(h.cursor.number(), w.cursor.number())-w.cursor.number()))
		if n == 0 {
			break
		}
		for done := 0; done < n; {
			step, _ := w.look(n-done, maxQueueBytes)
			w.cursor.offset += step
			done += step
		}
	}
	w.from = max(w.cursor.number(), h.cursor.number())
	w.live = true
	for _, s := range w.subscriptions {
		h.interests.add(s)
	}
	w.cursor, w.catchUp = watchCursor{}, catchUp{}
	return true
}

// look puts what the watcher wants of the next n entries into its queue, until that are maxBytes.
func (w *Watcher) look(n, maxBytes int) (done, bytes int) {
	c := w.cursor
	for ; done < n && bytes < maxBytes; done++ {
		i := c.offset + done
		if w.catchUp.message = w.catchUp.message[:0]; c.block.events != nil {
			w.lookAtEvent(c.block.place(i), &c.block.events[i].event)
		} else {
			w.lookAt(&c.block.entries[i])
		}
		bytes += len(w.catchUp.message)
	}
	return done, bytes
}

func (w *Watcher) lookAt(entry *watchEntry) {
	t, known := w.catchUp.targets[entry.id]
	if !known {
		if series, found := w.hub.db.active.Series(entry.id); found {
			for _, s := range w.catchUp.subscriptions {
				if s.matches(&series) {
					t = &target{series: &series}
					break
				}
			}
		}
		w.catchUp.targets[entry.id] = t
	}
	if t == nil || model.IsStale(entry.value) {
		return
	}
	u := Update{Position: entry.at, Series: t.series, Sample: model.Sample{Time: entry.time, Value: entry.value}}
	if w.skip != nil && w.skip(&u) {
		return
	}
	if w.format != nil {
		w.catchUp.message = w.format.AppendUpdate(w.catchUp.message, t.prepare(w.format), &u)
	}
	w.deliver(&u, w.catchUp.message)
}

func (w *Watcher) lookAtEvent(at Position, e *Event) {
	for _, s := range w.catchUp.subscriptions {
		if w.format != nil && w.format.events != nil && s.wantsEvent(e) {
			w.catchUp.message = w.format.events.AppendEvent(w.catchUp.message, at, e)
			w.push(w.catchUp.message)
			return
		}
	}
}
