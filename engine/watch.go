package engine

import (
	"errors"
	"slices"
	"sync"

	"github.com/flopynet/collector/model"
)

// Update is a sample that was written, as watchers get it.
type Update struct {
	Position
	Series *model.Series // shared: not to be changed
	model.Sample
}

// Format turns updates into the messages that watchers are sent. Watchers with the same Format, which are
// compared with ==, share the work: each update is turned into a message once. So there should be few
// Formats, of comparable types. The methods are called by several goroutines.
type Format interface {
	// Prepare returns what the messages of a series have in common. It is kept, and made anew when the
	// series' unit changes.
	Prepare(s *model.Series) any
	// AppendUpdate appends the message of an update; prepared is what Prepare returned for its series.
	AppendUpdate(dst []byte, prepared any, u *Update) []byte
}

// EventFormat is a Format that has messages for events, too. Watchers with another Format get no events.
type EventFormat interface {
	Format
	AppendEvent(dst []byte, at Position, e *Event) []byte
}

// AnyOf selects series whose tag Key has one of the values. With Key = model.NameKey it is about the metric's name,
// with model.SourceKey about the source; the value "" stands for the tag being absent.
type AnyOf struct {
	Key    string
	Values []string
}

// Subscription says what a watcher gets: updates of the series that satisfy all of AnyOf and Matchers, which are all
// series when there is neither; and events.
type Subscription struct {
	AnyOf    []AnyOf
	Matchers []*model.Matcher

	OnlyEvents bool     // no updates
	Events     bool     // events, too
	EventTypes []string // only of these types; none: all
}

// matches reports whether the updates of a series are subscribed to.
func (s *Subscription) matches(series *model.Series) bool {
	if s.OnlyEvents {
		return false
	}
	for _, any := range s.AnyOf {
		value := series.Name
		if any.Key != model.NameKey {
			value = series.Tags.Get(any.Key)
		}
		if !slices.Contains(any.Values, value) {
			return false
		}
	}
	return model.MatchSeries(*series, s.Matchers)
}

func (s *Subscription) wantsEvent(e *Event) bool {
	return s.Events && (len(s.EventTypes) == 0 || slices.Contains(s.EventTypes, e.Type))
}

// WatchOptions says how updates are watched.
type WatchOptions struct {
	// Format makes the messages that Take returns. nil: Take returns the newest update of each series.
	Format Format

	// MaxSeries bounds the series of which updates wait when Format is nil; updates of more are dropped.
	MaxSeries int

	// After begins behind this position instead of now. ErrNotBuffered: what followed it isn't all there
	// any more, or it is of an earlier run.
	After *Resume

	// Skip leaves out updates that lie between After and now.
	Skip func(*Update) bool
}

// ErrNotBuffered says that watching can't begin at a position.
var ErrNotBuffered = errors.New("what followed the position is no longer buffered")

// Batched is what waited for a watcher. It is meant to be reused.
type Batched struct {
	Data    []byte   // whole messages of the watcher's Format, in LSN order
	Updates []Update // without a Format: the newest of each series that has one, by series id
	Count   int      // of messages or updates

	// Dropped is how many updates were dropped before those above, since the watcher was too slow. With
	// Estimated the hub was, which hadn't looked yet whose they were: they are at most so many.
	Dropped   uint64
	Estimated bool

	Through Position // without a Format: of the last update that came in
}

// Watcher is someone who is told of updates once they are durable and visible. Take, CatchUp and Close are for one
// goroutine, all else for any.
type Watcher struct {
	hub    *watchHub
	format *formatState // nil: newest
	skip   func(*Update) bool
	ready  chan struct{}
	done   chan struct{}
	queue  watchQueue
	limit  int // of series, without a format

	subscriptions []*subscription // guarded by hub.mu, like all below
	begun         bool            // it has subscribed to something
	live          bool            // the hub delivers
	closed        bool
	from          uint64 // number of the first entry that the hub is to deliver
	touched       bool   // something came in this round
	lastEvent     uint64 // number of the last event it got, plus one: it may be subscribed to several times

	// The consumer's, until the watcher is live.
	cursor  watchCursor
	catchUp catchUp
	once    sync.Once // of done
}

// Watch begins to watch. The watcher gets nothing until it subscribes to something; its first subscription begins
// where Watch placed it, later ones when they are made, or as far back as is still being caught up with. It must be
// closed. When the store is closed, Done is.
func (db *DB) Watch(o WatchOptions) (*Watcher, error) {
	h := db.watch
	w := &Watcher{hub: h, skip: o.Skip, limit: o.MaxSeries, ready: make(chan struct{}, 1), done: make(chan struct{})}
	if err := h.enter(w, o.Format); err != nil {
		return nil, err
	}
	h.activate()
	if o.After == nil {
		w.cursor = h.endCursor()
		return w, nil
	}
	var ok bool
	if o.After.Run == h.run {
		w.cursor, ok = h.ring.cursorAfter(o.After.Position)
	}
	if !ok {
		w.Close()
		return nil, ErrNotBuffered
	}
	return w, nil
}

// WatchPosition is the position of the last update that is visible. Watching after it gives all that follow, if
// that is done soon. It is meant to be called while a Watcher is open.
func (db *DB) WatchPosition() Resume {
	return Resume{Position: Position{LSN: db.pipe.applied.Load(), Index: maxIndex}, Run: db.watch.run}
}

// Subscribe adds a subscription and returns a function that ends it.
func (w *Watcher) Subscribe(s Subscription) (unsubscribe func()) {
	sub := &subscription{Subscription: s, watcher: w}
	w.hub.subscribe(sub)
	return func() { w.hub.unsubscribe(sub) }
}

// Ready is signalled when there is something to take. Without a Format, whose consumers choose when to take, only when
// CatchUp is to be called.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Done is closed when the watcher or the store is closed.
func (w *Watcher) Done() <-chan struct{} { return w.done }

// Take moves what waits into the batch, without waiting itself. Of messages it returns 64 KiB or somewhat more at
// once; if some remain, Ready is signalled. Without a Format all that was visible when it was called is in it.
func (w *Watcher) Take(b *Batched) {
	behind := w.CatchUp()
	if w.format == nil {
		w.hub.deliverAll()
	}
	taken, more := w.queue.take(b)
	w.hub.queued.Add(int64(-taken))
	w.hub.delivered.Add(uint64(b.Count))
	if more || behind {
		w.signal()
	}
}

// Position is the watcher's place as clients may keep it.
func (w *Watcher) Position(at Position) Resume { return Resume{Position: at, Run: w.hub.run} }

// Close ends the watching.
func (w *Watcher) Close() { w.hub.leave(w) }

func (w *Watcher) signal() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// deliver puts an update into the queue.
func (w *Watcher) deliver(u *Update, message []byte) {
	if w.format == nil {
		if !w.queue.pushNewest(u, w.limit) {
			w.hub.dropped.Add(1)
		}
		return
	}
	w.push(message)
}

func (w *Watcher) push(message []byte) {
	grown, dropped := w.queue.push(message, w.hub.queueLimit())
	w.hub.queued.Add(int64(grown))
	if dropped > 0 {
		w.hub.dropped.Add(dropped)
	}
}

// lose notes that the watcher missed what left the ring before it was looked at.
func (w *Watcher) lose(n uint64) {
	if n > 0 {
		w.queue.lose(n)
		w.hub.overrun.Add(n)
		w.signal()
	}
}

// finish tells the consumer that nothing more comes.
func (w *Watcher) finish() { w.once.Do(func() { close(w.done) }) }
