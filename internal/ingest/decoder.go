package ingest

import (
	"errors"
	"fmt"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Resolver is what decoding needs of an engine: the methods of engine.DB.
type Resolver interface {
	// Epoch changes when ids and classes that were asked for before may no longer hold.
	Epoch() uint64

	// Resolve returns the id of a series. It must not keep the slice.
	Resolve(name string, tags model.Tags) (model.SeriesID, error)

	// RetentionClassOf returns what CheckTime needs to know of a series.
	RetentionClassOf(name, source string) engine.RetentionClass

	// CheckTime reports why a sample of this time, in nanoseconds since the epoch, can't be written to a
	// series of the class.
	CheckTime(class engine.RetentionClass, ns int64) error
}

// Shape is what a body is meant to be.
type Shape uint8

// The bodies of POST /metrics and of POST /metrics/batch.
const (
	Metrics Shape = iota
	Batches
)

// DefaultSource is the source of metrics that name none.
const DefaultSource = "default"

// MaxBatchIDChars is how many characters a batch_id may have.
const MaxBatchIDChars = 255

// maxSamples bounds the samples of one body.
const maxSamples = 1_000_000

// ScratchBytes estimates the memory that decoding takes beside a body of so many bytes, in bytes, if it
// consists of nothing but the shortest of metrics.
func ScratchBytes(bodyBytes int) int64 {
	const (
		shortestMetric = len(`{"name":"a","value":1},`)
		bytesPerSample = 100 // 24 in the batch, up to 3 slots of 24 for finding duplicates
	)
	return int64(min(bodyBytes/shortestMetric, maxSamples)) * bytesPerSample
}

// maxReusedBytes bounds each of the buffers that a Decoder keeps from one body to the next.
const maxReusedBytes = 64 << 10

// Decoder decodes bodies, one after the other; it keeps its memory, within bounds, so it is meant to be
// pooled. It is not safe for concurrent use.
type Decoder struct {
	scanner
	cache    *Cache
	resolver Resolver
	table    *table // of the cache, for the body at hand

	shape  Shape
	now    int64
	permit func(source string) bool // nil: all sources
	batch  *engine.Batch
	report Report
	err    error // why a walk was stopped, unless the text was bad

	scope      scope
	metric     metric
	duplicates duplicateSet
	units      []pendingUnit

	outlined  bool
	envelopes []envelope
	shapeErr  error // the first fault of the shape that the outline met

	// What was made of the last metric's bytes, since the next one often has the same.
	lastSlot   int
	lastTags   span
	lastHash   uint64 // of lastTags; valid if hashed
	hashed     bool
	lastTime   span
	lastTimeNS int64
	lastUnit   string // raw
	unitText   string // lastUnit, unescaped

	// The last time that was found to be one that can be written, and the class of its series.
	checkedTime  int64
	checkedClass *engine.RetentionClass // nil: there was none yet

	time    int64          // of the metric's sample
	samples []model.Sample // of the metric, if it has several
	scratch []byte         // unescaped text
	parts   []span         // of scratch: alternately a key of the tags and its value
	tags    model.Tags     // of the last series that was taken apart

	// Where tags are from, raw; valid if hasTaken.
	hasTaken               bool
	takenTags, takenSource []byte
}

// errRestart says that the body has to be outlined before its metrics can be read.
var errRestart = errors.New("the body must be outlined")

// NewDecoder returns a Decoder that shares the cache with others.
func NewDecoder(cache *Cache, resolver Resolver) *Decoder {
	return &Decoder{cache: cache, resolver: resolver, duplicates: newDuplicateSet()}
}

// Decode empties the batch and fills it with the samples of a body. now, in nanoseconds since the epoch, is
// the time of samples that have none. Faults of metrics are in the report. The error is a *SyntaxError or a
// *ShapeError if the body is bad as a whole, an *engine.LimitError if it has too many samples, or else one of
// the resolver's; the batch is then empty.
//
// After the batch has been written, call Commit. When writing it fails with engine.ErrStaleSeries, decode the
// body once more.
func (d *Decoder) Decode(body []byte, shape Shape, now int64, batch *engine.Batch) (*Report, error) {
	d.text, d.shape, d.now, d.batch = body, shape, now, batch
	d.outlined, d.envelopes, d.shapeErr = false, clearSlice(d.envelopes), nil
	d.table = d.cache.at(d.resolver.Epoch())
	d.reset()
	defer d.release()
	if err := d.decode(); err != nil {
		d.reset()
		return nil, err
	}
	d.report.finish(shape)
	return &d.report, nil
}

// Restrict makes the next Decode refuse metrics whose source permit says no to.
func (d *Decoder) Restrict(permit func(source string) bool) { d.permit = permit }

// Commit tells the cache that the batch of the last Decode is durable: the units in it need not be
// written again.
func (d *Decoder) Commit() {
	for _, unit := range d.units {
		d.table.setUnit(unit.slot, unit.seen, unit.raw)
	}
	d.units = clearSlice(d.units)
}

func (d *Decoder) decode() error {
	if d.walkBody(true) >= 0 {
		return nil
	}
	if d.err != nil && !errors.Is(d.err, errRestart) {
		return d.err
	}
	d.reset()
	if err := d.outline(); err != nil {
		return err
	}
	for index := range d.envelopes {
		d.enter(index, &d.envelopes[index])
		if d.walkMetrics(d.scope.metrics.start) < 0 {
			return d.stopReason()
		}
		d.leave(&d.envelopes[index])
	}
	return nil
}

// reset forgets what has been decoded of the body.
func (d *Decoder) reset() {
	d.batch.Reset()
	d.batch.ResolvedAt(d.table.epoch)
	d.report.reset()
	d.duplicates.begin(len(d.text))
	d.units = clearSlice(d.units)
	d.err = nil
	d.lastSlot = noSlot
	d.lastTags, d.lastTime, d.hashed = span{}, span{}, false
	d.checkedClass = nil
	d.hasTaken, d.takenTags, d.takenSource = false, nil, nil
}

// release lets go of the body and of buffers that have become large.
func (d *Decoder) release() {
	d.text, d.batch, d.permit = nil, nil, nil
	d.scope, d.metric = scope{}, metric{}
	if cap(d.samples) > maxReusedBytes/16 {
		d.samples = nil
	}
	if cap(d.scratch) > maxReusedBytes {
		d.scratch = nil
	}
	clear(d.tags[:cap(d.tags)])
	d.hasTaken, d.takenTags, d.takenSource = false, nil, nil
}

// stop ends the walk.
func (d *Decoder) stop(err error) int {
	d.err = err
	return failed
}

func (d *Decoder) stopReason() error {
	if d.err != nil {
		return d.err
	}
	return d.syntaxError()
}

// reject counts the metric at hand as refused. The reason is formatted only if it is listed.
func (d *Decoder) reject(limit bool, format string, args ...any) {
	d.report.Rejected++
	d.scope.rejected++
	if limit {
		d.report.limited++
	}
	if len(d.report.Errors) >= maxErrors {
		return
	}
	d.report.Errors = append(d.report.Errors, Rejection{
		Batch: d.scope.index, Index: d.scope.metric, Name: d.metricName(),
		Reason: fmt.Sprintf(format, args...), Limit: limit,
	})
}

// warn adds a warning about the metric at hand. It is formatted only if it is listed.
func (d *Decoder) warn(what string) {
	switch {
	case len(d.report.Warnings) >= maxWarnings:
		d.report.moreWarnings++
	case d.shape == Batches:
		d.report.warn("batches[%d].metrics[%d] %s", d.scope.index, d.scope.metric, what)
	default:
		d.report.warn("metrics[%d] %s", d.scope.metric, what)
	}
}

// metricName returns the name of the metric at hand, as far as it has one that can be shown.
func (d *Decoder) metricName() string {
	if d.kindOf(d.metric.name) != kindString {
		return ""
	}
	if d.metric.name.end-d.metric.name.start > 6*model.MaxNameBytes+2 {
		return clip(d.raw(d.metric.name))
	}
	name, _ := content(d.raw(d.metric.name), nil)
	return string(name)
}
