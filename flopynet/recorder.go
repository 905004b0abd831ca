package flopynet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// recorder stores what is learnt of a component.
type recorder struct {
	db     *engine.DB
	source string
	logger *slog.Logger
	now    func() time.Time
	stored func(at time.Time, samples int)

	mu      sync.Mutex
	batch   engine.Batch
	hasUnit map[model.SeriesID]bool // series whose unit is written already
}

func newRecorder(db *engine.DB, source string, logger *slog.Logger, now func() time.Time, stored func(time.Time, int)) *recorder {
	return &recorder{db: db, source: source, logger: logger, now: now, stored: stored, hasUnit: map[model.SeriesID]bool{}}
}

// maxUnitsKnown bounds hasUnit; to write a unit once more costs a few bytes.
const maxUnitsKnown = 100_000

// point is one sample to be stored.
type point struct {
	name  string
	unit  string     // "" where there is none
	tags  model.Tags // without the source, in any order
	time  int64      // nanoseconds since the epoch
	value float64
}

// writeTries is how often samples are written whose series are dropped at the same moment.
const writeTries = 3

// samples stores points; when it returns they are durable. Points that can't be stored, since their time is older than what is
// kept, or a limit has been reached, don't keep the others from it; the error is that of the last of them, a *refusal.
// Other errors say that nothing was stored, and that it should be tried again.
func (r *recorder) samples(points []point) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for range writeTries {
		if err = r.write(points); !errors.Is(err, engine.ErrStaleSeries) {
			break
		}
	}
	return err
}

// refusal says why some points can't be stored, now or later.
type refusal struct{ cause error }

func (e *refusal) Error() string { return "some samples can't be stored: " + e.cause.Error() }
func (e *refusal) Unwrap() error { return e.cause }

// write is one try of samples. The caller holds mu.
func (r *recorder) write(points []point) error {
	r.batch.Reset()
	r.batch.ResolvedAt(r.db.Epoch())
	var refused error
	var withUnit []model.SeriesID
	for i := range points {
		id, err := r.add(&points[i])
		_, isRefusal := errors.AsType[*refusal](err)
		switch {
		case isRefusal:
			refused = err
		case err != nil:
			return err
		case points[i].unit != "" && !r.hasUnit[id]:
			r.batch.SetUnit(id, points[i].unit)
			withUnit = append(withUnit, id)
		}
	}
	if r.batch.Len() == 0 {
		return refused
	}
	if err := r.db.Write(&r.batch); err != nil {
		return err
	}
	r.stored(r.now(), r.batch.Len())
	if len(r.hasUnit) > maxUnitsKnown {
		clear(r.hasUnit)
	}
	for _, id := range withUnit {
		r.hasUnit[id] = true
	}
	return refused
}

// check normalizes the point's tags, with the source among them, and reports why it can't be stored.
func (r *recorder) check(p *point) error {
	p.tags = model.Normalize(append(slices.Clone(p.tags), model.Tag{Key: model.SourceKey, Value: r.source}))
	if err := model.CheckSeries(p.name, p.tags); err != nil {
		return err
	}
	if err := model.CheckUnit(p.unit); err != nil {
		return err
	}
	return r.db.CheckTime(r.db.RetentionClassOf(p.name, r.source), p.time)
}

// add puts a point into the batch.
func (r *recorder) add(p *point) (model.SeriesID, error) {
	if err := r.check(p); err != nil {
		return 0, &refusal{fmt.Errorf("%s: %w", p.name, err)}
	}
	id, err := r.db.Resolve(p.name, p.tags)
	if _, limited := errors.AsType[*engine.LimitError](err); limited {
		return 0, &refusal{fmt.Errorf("%s: %w", p.name, err)}
	}
	if err == nil {
		r.batch.Add(id, p.time, p.value)
	}
	return id, err
}

// eventsPerWrite is how many events are written at once.
const eventsPerWrite = 500

// events stores events; when it returns they are durable, each once by its id. An event that can't be stored as it is loses
// what is at fault, its details or its message; one that can't be stored even so is logged and left out. The error
// says that not all of them were stored, and that it should be tried again.
func (r *recorder) events(ctx context.Context, events []engine.Event) error {
	good := make([]engine.Event, 0, len(events))
	var first error // of those that are left out
	for _, event := range events {
		if fault := r.fit(&event); fault == nil {
			good = append(good, event)
		} else if first == nil {
			first = fmt.Errorf("the event %.100q of the type %.100q: %w", event.ID, event.Type, fault)
		}
	}
	if first != nil {
		r.logger.Warn("events of a peer can't be stored", "peer", r.source, "events", len(events)-len(good), "first", first)
	}
	for some := range slices.Chunk(good, eventsPerWrite) {
		if err := r.writeEvents(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// writeEvents halves what is too large for one write.
func (r *recorder) writeEvents(ctx context.Context, events []engine.Event) error {
	err := r.db.WriteEvents(ctx, events)
	if _, large := errors.AsType[*engine.LimitError](err); large && len(events) > 1 {
		half := len(events) / 2
		return errors.Join(r.writeEvents(ctx, events[:half]), r.writeEvents(ctx, events[half:]))
	}
	return err
}

// fit cuts off what keeps an event from being stored, and says what can't be cut off.
func (r *recorder) fit(event *engine.Event) error {
	for range 3 {
		fault := r.db.CheckEvent(event)
		switch {
		case fault == nil:
			return nil
		case fault.Field == "details":
			event.Details, _ = json.Marshal(map[string]string{"left_out": "the details: " + fault.Reason})
		case fault.Field == "message":
			event.Message = "(a message that " + fault.Reason + ")"
		case fault.Field == "level":
			event.Level = ""
		default:
			return fault
		}
	}
	return r.db.CheckEvent(event)
}
