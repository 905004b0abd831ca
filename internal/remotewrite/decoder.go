package remotewrite

import (
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
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

// Version is which of the messages a body is.
type Version uint8

// prometheus.WriteRequest and io.prometheus.write.v2.Request.
const (
	V1 Version = iota
	V2
)

// DefaultSource is the source of series that have neither the label source nor job.
const DefaultSource = "default"

// Bounds of one body.
const (
	maxSamples = 1_000_000
	maxSymbols = 4_000_000

	// maxLabelBytes bounds what is put together of symbols, in V2: two bytes of references stand for up to 1,300.
	maxLabelBytes = 1 << 30
)

// ScratchBytes estimates the memory that decoding takes beside a body of so many bytes, in bytes, if it
// consists of nothing but the shortest of samples or, in V2, of symbols.
func ScratchBytes(bodyBytes int, version Version) int64 {
	const (
		shortest       = 2  // a key and a length of 0
		bytesPerSample = 40 // 24 in the batch, 16 while its series is read
		bytesPerSymbol = 8
	)
	scratch := int64(min(bodyBytes/shortest, maxSamples)) * bytesPerSample
	if version == V2 {
		scratch += int64(min(bodyBytes/shortest, maxSymbols)) * bytesPerSymbol
	}
	return scratch
}

// maxReusedBytes bounds each of the buffers that a Decoder keeps from one body to the next.
const maxReusedBytes = 256 << 10

// Decoder decodes bodies, one after the other; it keeps its memory, within bounds, so it is meant to be
// pooled. It is not safe for concurrent use.
type Decoder struct {
	cache    *Cache
	resolver Resolver
	table    *rawcache.Table[entry] // of the cache, for the body at hand

	body     []byte
	version  Version
	batch    *engine.Batch
	permit   func(source string) bool // nil: all sources
	report   Report
	checked  bool   // the body was checked to its end
	families uint32 // the generation of the cache's families
	given    []familyUnit
	units    []pendingUnit
	symbols  []span // of the body, in V2
	labelled int    // bytes of labels put together, in V2

	// What is known of the series at hand.
	index      int // in the request
	samples    []sample
	histograms int
	exemplars  int
	unit       []byte // given with the series, in V2

	metadata int // index of the metadata at hand in the request, in V1

	lastSlot int                // of the series before
	last     *node              // nil: there is none
	texts    map[string]*string // of first labels and units, by themselves
	scratch  []byte             // labels that had to be put together
	tags     model.Tags

	// The last time that was found to be one that can be written, and the class of its series.
	checkedMS    int64
	checkedClass *engine.RetentionClass // nil: there was none yet

	permitted string // the last source that was
}

// span is a part of the body.
type span struct{ start, end uint32 }

// familyUnit is a unit that a body gives to a metric family.
type familyUnit struct{ family, unit string }

// pendingUnit is a unit that the cache learns of once the batch is durable.
type pendingUnit struct {
	seen *rawcache.Node[entry]
	unit string
}

// NewDecoder returns a Decoder that shares the cache with others.
func NewDecoder(cache *Cache, resolver Resolver) *Decoder {
	return &Decoder{cache: cache, resolver: resolver, texts: make(map[string]*string)}
}

// Restrict makes the next Decode refuse series whose source permit says no to.
func (d *Decoder) Restrict(permit func(source string) bool) { d.permit = permit }

// Decode empties the batch and fills it with the samples of a body. Faults of series are in the report. The error
// is a *SyntaxError if the body is bad as a whole, an *engine.LimitError if it has too many samples, symbols or
// bytes of labels, or else one of the resolver's; the batch is then empty.
//
// After the batch has been written, call Commit. When writing it fails with engine.ErrStaleSeries, decode the
// body once more.
func (d *Decoder) Decode(body []byte, version Version, batch *engine.Batch) (*Report, error) {
	d.body, d.version, d.batch = body[:len(body):len(body)], version, batch
	d.table = d.cache.series.At(d.resolver.Epoch())
	d.families = d.cache.families.generation.Load()
	d.reset()
	defer d.release()
	walk := d.walkV1
	if version == V2 {
		walk = d.walkV2
	}
	if err := walk(); err != nil {
		d.reset()
		return nil, err
	}
	return &d.report, nil
}

// Commit tells the cache that the batch of the last Decode is durable: the units in it need not be written again.
func (d *Decoder) Commit() {
	for _, given := range d.given {
		d.cache.families.set(given.family, given.unit)
	}
	for _, pending := range d.units {
		d.noteUnit(pending)
	}
	d.given, d.units = clearSlice(d.given), clearSlice(d.units)
}

// reset forgets what has been decoded of the body.
func (d *Decoder) reset() {
	d.batch.Reset()
	d.batch.ResolvedAt(d.table.Epoch())
	d.report.reset()
	d.given, d.units = clearSlice(d.given), clearSlice(d.units)
	d.checked, d.index, d.metadata, d.labelled, d.lastSlot = false, 0, 0, 0, rawcache.NoSlot
	d.last, d.checkedClass, d.permitted = nil, nil, ""
}

// release drops what belongs to the body at hand, and memory that has become large.
func (d *Decoder) release() {
	d.body, d.batch, d.permit, d.unit, d.last = nil, nil, nil, nil, nil
	if cap(d.symbols) > maxReusedBytes/8 {
		d.symbols = nil
	}
	if cap(d.samples) > maxReusedBytes/16 {
		d.samples = nil
	}
	if cap(d.scratch) > maxReusedBytes {
		d.scratch = nil
	}
	if cap(d.tags) > maxReusedBytes/32 {
		d.tags = nil
	}
	clear(d.tags[:cap(d.tags)])
}

// clearSlice empties a slice, keeping its memory unless it is large, but nothing that it refers to.
func clearSlice[T any](s []T) []T {
	const maxReusedElements = 1 << 10
	if cap(s) > maxReusedElements {
		return nil
	}
	clear(s)
	return s[:0]
}
