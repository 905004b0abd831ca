package lineproto

import (
	"bytes"
	"math"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// Resolver is what decoding needs of an engine: the methods of engine.DB.
type Resolver interface {
	// Epoch changes when ids and classes that were asked for before may no longer hold.
	Epoch() uint64

	// ResolveAll gives each series of the list its id, or the limit that refuses it. It must not keep the slices.
	ResolveAll(list []engine.Resolution) error

	// RetentionClassOf returns what CheckTime needs to know of a series.
	RetentionClassOf(name, source string) engine.RetentionClass

	// CheckTime reports why a sample of this time, in nanoseconds since the epoch, can't be written to a
	// series of the class.
	CheckTime(class engine.RetentionClass, ns int64) error
}

// DefaultSource is the source of lines that have no tag of that name.
const DefaultSource = "default"

// Bounds of a body. What a line takes while it is read doesn't grow with the body.
const (
	maxSamples    = 1_000_000
	maxLineFields = 1 << 14

	// maxLineKeyBytes is what no raw measurement and tags that keep the limits of a series can exceed: each byte
	// escaped, and each tag with its comma and its =.
	maxLineKeyBytes = 2 * (model.MaxNameBytes + (model.MaxTags+1)*(model.MaxTagKeyBytes+model.MaxTagValueBytes+len(",=")))

	// maxFieldKeyBytes is likewise that of a field's raw key.
	maxFieldKeyBytes = 2 * model.MaxNameBytes
)

// ScratchBytes estimates the memory that decoding takes beside a body of so many bytes, in bytes, if it consists
// of nothing but the shortest of fields.
func ScratchBytes(bodyBytes int) int64 {
	const (
		shortestField  = len("a=1,")
		bytesPerSample = 24  // in the batch
		bytesPerField  = 256 // of the line at hand: the field, and what resolves its series
	)
	fields := bodyBytes / shortestField
	return int64(min(fields, maxSamples))*bytesPerSample + int64(min(fields, maxLineFields))*bytesPerField
}

// Bounds of what a Decoder keeps from one body to the next.
const (
	maxReusedFields = 1 << 10
	maxReusedBytes  = 64 << 10
)

// Decoder decodes bodies, one after the other; it keeps its memory, within bounds, so it is meant to be pooled.
// It is not safe for concurrent use.
type Decoder struct {
	cache    *Cache
	resolver Resolver

	// Of the body at hand.
	text      []byte
	precision int64 // nanoseconds of a timestamp's unit
	now       int64
	permit    func(source string) bool // nil: all sources
	table     *rawcache.Table[entry]
	batch     *engine.Batch
	report    Report
	err       error // why decoding was stopped

	// Where line numbers were last counted to.
	countedTo, countedLines int

	// What was made of the line before, since the next one often has the same.
	lastSlot   int
	lastTime   []byte // raw, with the newline behind it; nil: none
	lastTimeNS int64

	// The last time that was found to be one that can be written, and the class of its series.
	checkedTime  int64
	checkedClass *engine.RetentionClass // nil: there was none yet
	lastClass    *engine.RetentionClass // that was shared

	// Of the line at hand.
	start  int          // of the line
	values [256]float64 // of a row
	line   line
}

// NewDecoder returns a Decoder that shares the cache with others.
func NewDecoder(cache *Cache, resolver Resolver) *Decoder {
	return &Decoder{cache: cache, resolver: resolver}
}

// Restrict makes the next Decode refuse lines whose source permit says no to.
func (d *Decoder) Restrict(permit func(source string) bool) { d.permit = permit }

// Decode empties the batch and fills it with the samples of a body. precision is the unit of timestamps, in
// nanoseconds. now, in nanoseconds since the epoch, is the time of lines that have none. Faults of lines and fields
// are in the report. The error is an *engine.LimitError if there are too many samples, or else one of the
// resolver's; the batch is then empty.
//
// When writing the batch fails with engine.ErrStaleSeries, decode the body once more.
func (d *Decoder) Decode(body []byte, precision, now int64, batch *engine.Batch) (*Report, error) {
	d.text, d.precision, d.now, d.batch, d.err = body, precision, now, batch, nil
	d.table = d.cache.lines.At(d.resolver.Epoch())
	d.countedTo, d.countedLines = 0, 1
	d.lastSlot, d.lastTime, d.checkedClass, d.lastClass = rawcache.NoSlot, nil, nil, nil
	d.batch.Reset()
	d.batch.ResolvedAt(d.table.Epoch())
	d.report.reset()
	defer d.release()
	for i := 0; i < len(d.text) && d.err == nil; {
		i = d.decodeLine(i)
	}
	if d.err != nil {
		d.batch.Reset()
		return nil, d.err
	}
	return &d.report, nil
}

// release lets go of the body and of buffers that have become large.
func (d *Decoder) release() {
	d.text, d.batch, d.permit, d.lastTime, d.table = nil, nil, nil, nil, nil
	d.line.release()
}

// at returns the byte at i, a newline behind the end.
func (d *Decoder) at(i int) byte {
	if i < len(d.text) {
		return d.text[i]
	}
	return '\n'
}

// hasPrefix reports whether the text at i begins with prefix.
func (d *Decoder) hasPrefix(i int, prefix string) bool {
	return len(d.text)-i >= len(prefix) && string(d.text[i:i+len(prefix)]) == prefix
}

func (d *Decoder) skipSpaces(i int) int {
	for i < len(d.text) && d.text[i] == ' ' {
		i++
	}
	return i
}

// behindLine returns where the line behind the newline at i, or after it, begins.
func (d *Decoder) behindLine(i int) int {
	if i >= len(d.text) {
		return len(d.text)
	}
	if end := bytes.IndexByte(d.text[i:], '\n'); end >= 0 {
		return i + end + 1
	}
	return len(d.text)
}

// endOfLine returns where the next line begins if the one at hand ends at i.
func (d *Decoder) endOfLine(i int) (next int, ok bool) {
	if d.at(i) == '\r' {
		i++
	}
	if d.at(i) != '\n' {
		return i, false
	}
	return min(i+1, len(d.text)), true
}

// decodeLine takes in what begins at i, where a line may, and returns where the next one does.
func (d *Decoder) decodeLine(i int) (next int) {
	d.start = i
	node, slot := d.table.Successor(d.lastSlot)
	if node != nil && d.hasPrefix(i, node.Entry.key) {
		i += len(node.Entry.key)
	} else {
		if i = d.skipSpaces(i); d.isBlank(i) {
			return d.behindLine(i)
		}
		d.start = i
		end, ok := d.keyEnd(i)
		if !ok {
			return d.refuseLine(end, d.fault("there are no fields, want measurement,tag=value field=value"))
		}
		node, slot = d.find(d.text[i:end])
		i = end
	}
	if node != nil {
		d.table.SetSuccessor(d.lastSlot, slot)
		d.lastSlot = slot
		if next, ok := d.row(&node.Entry, i); ok {
			return next
		}
	}
	return d.fields(node, slot, i)
}

// isBlank reports whether there is nothing on the line from i on, or a comment.
func (d *Decoder) isBlank(i int) bool {
	_, ends := d.endOfLine(i)
	return ends || d.at(i) == '#'
}

// keyEnd returns where the measurement and the tags that begin at i end, behind their space.
func (d *Decoder) keyEnd(i int) (end int, ok bool) {
	for ; i < len(d.text); i++ {
		switch d.text[i] {
		case ' ':
			return i + 1, true
		case '\n':
			return i, false
		case '\\':
			if isEscaped(d.at(i + 1)) {
				i++
			}
		}
	}
	return i, false
}

// row takes in the fields and the time of a line, if they are as they mostly are.
func (d *Decoder) row(e *entry, i int) (next int, ok bool) {
	if e.class == nil || d.permit != nil {
		return i, false
	}
	for n, name := range e.names {
		if !d.hasPrefix(i, name) {
			return i, false
		}
		i += len(name)
		value, end := number(d.text, i)
		if end < 0 {
			var kind valueKind
			if value, kind, end = d.unusual(i); kind != kindNumber {
				return i, false
			}
		}
		d.values[n], i = value, end
		if i < len(d.text) && d.text[i] == ',' {
			i++
			continue
		}
		ns, next, ok := d.rowTime(i)
		if !ok || ns != d.checkedTime || e.class != d.checkedClass {
			if !ok || d.resolver.CheckTime(*e.class, ns) != nil {
				return i, false
			}
			d.checkedTime, d.checkedClass = ns, e.class
		}
		count := n + 1
		if d.report.Accepted+count > maxSamples {
			return i, false
		}
		d.report.Accepted += count
		d.batch.AddRow(e.ids[:count], ns, d.values[:count])
		return next, true
	}
	return i, false
}

// rowTime reads the time of a row whose fields end at i, and returns where the next line begins.
func (d *Decoder) rowTime(i int) (ns int64, next int, ok bool) {
	if i >= len(d.text) || d.text[i] == '\n' {
		return d.now, min(i+1, len(d.text)), true
	}
	if d.text[i] != ' ' {
		return 0, i, false
	}
	i++
	if last := d.lastTime; last != nil && len(d.text)-i >= len(last) && string(d.text[i:i+len(last)]) == string(last) {
		return d.lastTimeNS, i + len(last), true
	}
	start := i
	var units uint64
	for i < len(d.text) && isDigit(d.text[i]) {
		units = units*10 + uint64(d.text[i]-'0')
		i++
	}
	if i == start || i-start > maxMantissaDigits || units > math.MaxInt64/uint64(d.precision) || d.at(i) != '\n' {
		return 0, i, false
	}
	ns = int64(units) * d.precision
	if i < len(d.text) {
		i++
		d.lastTime, d.lastTimeNS = d.text[start:i], ns
	}
	return ns, i, true
}

// refuseLine refuses the line at hand as a whole, for a fault at i, and returns where the next one begins.
func (d *Decoder) refuseLine(i int, bad *fault) (next int) {
	d.report.RejectedLines++
	d.list(nil, bad)
	return d.behindLine(i)
}

// refuseField refuses a field, given by its raw key, of the line at hand.
func (d *Decoder) refuseField(key []byte, bad *fault) {
	d.report.RejectedFields++
	d.list(key, bad)
}

func (d *Decoder) list(key []byte, bad *fault) {
	if bad.limit {
		d.report.limited++
	}
	if len(d.report.Errors) >= maxErrors {
		return
	}
	field := ""
	if len(key) > 0 {
		raw := key[:len(key)-1]
		field = clipText(unescape(string(raw[:min(len(raw), maxFieldKeyBytes)]), isEscaped))
	}
	d.countedLines += bytes.Count(d.text[d.countedTo:d.start], []byte{'\n'})
	d.countedTo = d.start
	d.report.Errors = append(d.report.Errors, Rejection{Line: d.countedLines, Field: field, Reason: bad.reason})
}
