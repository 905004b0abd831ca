package testbed

import (
	"container/heap"
	"time"
)

// happening is something that is due at its time.
type happening struct {
	at    time.Time
	order int // of two at one time, the one planned first comes first
	do    func()
}

// timeline has happenings in the order of their times.
type timeline struct {
	now     time.Time // of the happening that is being done; between them, what the scenario was brought up to
	planned int
	queue   happenings
}

// plan has something done when its time comes. Times are whole microseconds, as the components' are.
func (l *timeline) plan(at time.Time, do func()) {
	if at = at.Truncate(time.Microsecond); at.Before(l.now) {
		at = l.now
	}
	l.planned++
	heap.Push(&l.queue, happening{at, l.planned, do})
}

// advance does all that is due at t. Time doesn't go back.
func (l *timeline) advance(t time.Time) {
	t = t.Truncate(time.Microsecond)
	for len(l.queue) > 0 && !l.queue[0].at.After(t) {
		next := heap.Pop(&l.queue).(happening)
		l.now = next.at
		next.do()
	}
	if t.After(l.now) {
		l.now = t
	}
}

// happenings is a heap.
type happenings []happening

func (h happenings) Len() int      { return len(h) }
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h happenings) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}
func (h *happenings) Push(x any) { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = happening{}
	*h = old[:len(old)-1]
	return last
}
