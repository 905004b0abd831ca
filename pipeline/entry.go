package pipeline

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// record is what is stored of a pipeline.
type record struct {
	ID         string            `json:"id"`
	Definition Definition        `json:"definition"`
	Created    int64             `json:"created"`
	Updated    int64             `json:"updated"`
	Generation int               `json:"generation"` // how often it was defined
	Position   int64             `json:"position,omitempty"`
	Bindings   map[string]string `json:"bindings,omitempty"`
	NextRun    uint64            `json:"next_run"` // number of the next run
}

// The states of a run.
const (
	RunCompleted = "completed"
	RunFailed    = "failed"
)

// Run is what is kept of a run. Times are in nanoseconds since the epoch.
type Run struct {
	ID         string        `json:"id"`
	Number     uint64        `json:"number"`
	Scheduled  bool          `json:"scheduled,omitempty"`
	Status     string        `json:"status"`
	From       int64         `json:"from"`
	To         int64         `json:"to"`
	Started    int64         `json:"started"`
	Took       time.Duration `json:"took"`
	Rows       int           `json:"rows"`
	Written    int           `json:"written,omitempty"` // samples, to the destination metric
	Error      string        `json:"error,omitempty"`
	Tries      int           `json:"tries"` // of a failed one: how often so far
	Warnings   []string      `json:"warnings,omitempty"`
	DeliveryID string        `json:"delivery_id,omitempty"`
}

// entry is a pipeline in memory.
type entry struct {
	record
	plan *plan
	runs []*Run // the newest last

	deliveries map[string]*Delivery // of the runs, and those that wait
	waiting    []*Delivery          // in their order
	heldUntil  int64                // nothing is sent before: the receiver can't be reached

	busy     bool // a scheduled run is under way
	sending  bool // a delivery is under way
	retryAt  int64
	failures int // runs, one behind the other
	gone     bool
}

// width is that of a window.
func (e *entry) width() int64 { return e.plan.width }

// nextRange returns the windows [from, to) of the next scheduled run: from the position on, those that end at
// or before the next time of the schedule at which there is one. It hangs on nothing but the position.
func (e *entry) nextRange() (from, to, at int64) {
	from = e.Position
	width, period := e.width(), int64(e.Definition.Schedule)
	if from > math.MaxInt64-width-period {
		return from, from, never
	}
	at = from + width // the earliest end of a window, and up to a time of the schedule
	if late := at % period; late != 0 {
		at += period - late
	}
	return from, floorWindow(at, width), at
}

// unlessSetBack returns the time of a further try, or now if it is farther away than anybody waits: the clock was
// set back.
func unlessSetBack(at, now int64, longest time.Duration) int64 {
	if at-now > int64(longest) {
		return now
	}
	return at
}

// due returns when the next scheduled run is to begin.
func (e *entry) due(now int64) int64 {
	if e.Definition.Schedule == 0 || e.busy || e.gone {
		return never
	}
	_, _, at := e.nextRange()
	if at > math.MaxInt64-int64(Lateness) {
		return never
	}
	return max(at+int64(Lateness), unlessSetBack(e.retryAt, now, retryWait))
}

// runID returns the id of a scheduled run: the same whenever and however often it is tried.
func (e *entry) runID(from, to int64) string {
	return fmt.Sprintf("%s-%d-%d-%d", e.ID, e.Generation, from, to)
}

// lastRun returns the newest run, or nil.
func (e *entry) lastRun() *Run {
	if len(e.runs) == 0 {
		return nil
	}
	return e.runs[len(e.runs)-1]
}

// nextDelivery returns the oldest delivery that is due, or nil and when one will be.
func (e *entry) nextDelivery(now int64) (*Delivery, int64) {
	if e.sending || len(e.waiting) == 0 {
		return nil, never
	}
	if held := unlessSetBack(e.heldUntil, now, maxRetryAfter); held > now {
		return nil, held
	}
	next := int64(never)
	for _, d := range e.waiting {
		try := unlessSetBack(d.NextTry, now, maxRetryAfter)
		if try <= now {
			return d, 0
		}
		next = min(next, try)
	}
	return nil, next
}

// drop takes a delivery out of those that wait.
func (e *entry) drop(d *Delivery) {
	e.waiting = slices.DeleteFunc(e.waiting, func(other *Delivery) bool { return other == d })
}

// Errors that callers tell apart with errors.Is.
var (
	ErrUnknown   = errors.New("there is no pipeline of this name")
	ErrQueueFull = errors.New("too many deliveries wait for their receivers")
	ErrForbidden = errors.New("the name belongs to a pipeline that only an admin may replace; choose another")
)
