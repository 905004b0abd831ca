package ingest

import (
	"fmt"
	"unicode/utf8"

	"github.com/flopynet/collector/engine"
)

// maxBatches bounds the envelopes of one body.
const maxBatches = 10_000

// envelope is what stands around a list of metrics. A bare list has an envelope of which nothing but
// metrics is present.
type envelope struct {
	source, timestamp, batchID, metrics span
}

// scope is the envelope that applies to the metrics at hand, understood.
type scope struct {
	envelope
	index      int    // of the envelope in the body
	metric     int    // index of the metric at hand
	rawSource  []byte // with quotation marks; nil: the default
	sourceHash uint64
	time       int64
	timeErr    error // why metrics that rely on the envelope's time are refused
	confirmed  bool  // the outline says the same
	accepted   int
	rejected   int
}

// walkBody goes through the whole body. With decode, it reads the metrics as it comes by them and stops with
// errRestart at anything that only an outline can sort out; without, it collects the envelopes.
func (d *Decoder) walkBody(decode bool) int {
	i := d.space(0)
	switch {
	case d.at(i) == '[':
		i = d.walkBare(i, decode)
	case d.at(i) != '{':
		if i = d.skipValue(i); i >= 0 {
			d.shapeFault("", "is neither an object nor an array")
		}
	case d.shape == Batches:
		i = d.walkBatches(i, decode)
	default:
		i = d.walkEnvelope(i, 0, decode)
	}
	if i < 0 {
		return i
	}
	if i = d.space(i); i != len(d.text) {
		return d.expected(i, "nothing behind the body's value")
	}
	if decode && d.shapeErr != nil {
		return d.stop(errRestart)
	}
	return i
}

// outline collects the envelopes and gives the verdict on the body.
func (d *Decoder) outline() error {
	d.outlined, d.envelopes, d.shapeErr = true, d.envelopes[:0], nil
	if d.walkBody(false) < 0 {
		return d.stopReason()
	}
	return d.shapeErr
}

// shapeFault records what is wrong with the shape. Syntax errors further on come before it.
func (d *Decoder) shapeFault(field, reason string) {
	if d.shapeErr == nil {
		d.shapeErr = &ShapeError{Field: field, Reason: reason}
	}
}

// walkBare goes through a list of metrics that has no envelope.
func (d *Decoder) walkBare(i int, decode bool) int {
	bare := envelope{metrics: span{start: i}}
	if decode {
		d.enter(0, &bare)
		i = d.walkMetrics(i)
		d.leave(&bare)
		return i
	}
	bare.metrics.end = d.skipMetrics(i)
	d.envelopes = append(d.envelopes, bare)
	return bare.metrics.end
}

// skipMetrics skips a list of metrics. In it, as much nesting is allowed as where the members of a metric
// are skipped one by one.
func (d *Decoder) skipMetrics(i int) int { return d.skipNested(i, -1) }

// walkBatches goes through an object with a list of envelopes and, maybe, an id of its own.
func (d *Decoder) walkBatches(i int, decode bool) int {
	found := false
	var batchID span
	i, more := d.open(i, '}')
	for more {
		key, value := d.key(i)
		if value < 0 {
			return value
		}
		var next int
		switch d.memberName(key) {
		case "batches":
			if decode && (found || d.at(value) != '[') {
				return d.stop(errRestart)
			}
			found = true
			next = d.walkList(value, decode)
		case "batch_id":
			next = d.skipValue(value)
			batchID = span{value, next}
		default:
			d.report.warnUnknown(d.raw(key), "body")
			next = d.skipValue(value)
		}
		i, more = d.follow(next, '}')
	}
	if i < 0 {
		return i
	}
	if !found {
		d.shapeFault("", `has no "batches"`)
	}
	d.checkBatchID("batch_id", batchID)
	d.report.BatchID = d.batchIDText(batchID)
	return i
}

// walkList goes through a list of envelopes, which takes the place of any before it.
func (d *Decoder) walkList(i int, decode bool) int {
	if !decode {
		d.envelopes, d.shapeErr = d.envelopes[:0], nil
	}
	if d.at(i) != '[' {
		value := span{i, d.skipValue(i)}
		if value.end >= 0 {
			d.shapeFault("batches", "is "+d.describe(value)+", want an array")
		}
		return value.end
	}
	i, more := d.open(i, ']')
	for index := 0; more; index++ {
		var next int
		switch {
		case index >= maxBatches:
			return d.stop(&engine.LimitError{Limit: "batches of a request", Max: maxBatches, Advice: "send them in several requests"})
		case d.at(i) == '{':
			next = d.walkEnvelope(i, index, decode)
		case decode:
			return d.stop(errRestart)
		default:
			if next = d.skipValue(i); next >= 0 {
				d.shapeFault(fmt.Sprintf("batches[%d]", index), "is "+d.describe(span{i, next})+", want an object")
			}
		}
		i, more = d.follow(next, ']')
	}
	return i
}

// walkEnvelope goes through an object with a list of metrics.
func (d *Decoder) walkEnvelope(i, index int, decode bool) int {
	var e envelope
	i, more := d.open(i, '}')
	for more {
		key, value := d.key(i)
		if value < 0 {
			return value
		}
		member := d.envelopeMember(&e, key)
		if decode && e.metrics.present() && member != nil && member != &e.batchID {
			return d.stop(errRestart) // it should have been known before
		}
		var next int
		switch {
		case member != &e.metrics:
			next = d.skipValue(value)
		case decode:
			next = d.decodeEnvelope(value, index, &e)
		default:
			next = d.skipMetrics(value)
		}
		if member != nil {
			*member = span{value, next}
		}
		i, more = d.follow(next, '}')
	}
	if i < 0 {
		return i
	}
	if decode {
		if !e.metrics.present() || !d.isBatchID(e.batchID) {
			return d.stop(errRestart)
		}
		d.leave(&e)
		return i
	}
	d.checkEnvelope(&e, index)
	d.envelopes = append(d.envelopes, e)
	return i
}

// envelopeMember returns where the member with the key belongs; nil: nowhere.
func (d *Decoder) envelopeMember(e *envelope, key span) *span {
	switch d.memberName(key) {
	case "source":
		return &e.source
	case "timestamp":
		return &e.timestamp
	case "batch_id":
		return &e.batchID
	case "metrics":
		return &e.metrics
	}
	where := "body"
	if d.shape == Batches {
		where = "batch"
	}
	d.report.warnUnknown(d.raw(key), where)
	return nil
}

// decodeEnvelope reads the metrics at i by what is known of their envelope.
func (d *Decoder) decodeEnvelope(i, index int, e *envelope) int {
	if d.at(i) != '[' || !d.isTextOrNull(e.source) || !d.isTime(e.timestamp) {
		return d.stop(errRestart)
	}
	e.metrics = span{start: i}
	d.enter(index, e)
	return d.walkMetrics(i)
}

// checkEnvelope records what is wrong with the shape of an envelope.
func (d *Decoder) checkEnvelope(e *envelope, index int) {
	prefix := ""
	if d.shape == Batches {
		prefix = fmt.Sprintf("batches[%d].", index)
	}
	if !d.isTextOrNull(e.source) {
		d.shapeFault(prefix+"source", "is "+d.describe(e.source)+", want a string")
	}
	if !d.isTime(e.timestamp) {
		d.shapeFault(prefix+"timestamp", "is "+d.describe(e.timestamp)+", want a string or a number")
	}
	d.checkBatchID(prefix+"batch_id", e.batchID)
	switch d.kindOf(e.metrics) {
	case kindArray:
	case kindAbsent:
		reason := "is missing, want an array of metrics"
		if d.shape == Metrics {
			reason += `; a body with "batches" belongs to POST /metrics/batch`
		}
		d.shapeFault(prefix+"metrics", reason)
	default:
		d.shapeFault(prefix+"metrics", "is "+d.describe(e.metrics)+", want an array of metrics")
	}
}

// isTextOrNull reports whether a member is absent, null or a string.
func (d *Decoder) isTextOrNull(value span) bool {
	switch d.kindOf(value) {
	case kindAbsent, kindNull, kindString:
		return true
	default:
		return false
	}
}

// isTime reports whether a member is absent, null, a string or a number.
func (d *Decoder) isTime(value span) bool {
	return d.isTextOrNull(value) || d.kindOf(value) == kindNumber
}

// memberName returns the text of a key if it may be one of ours, else "".
func (d *Decoder) memberName(key span) string {
	raw := d.raw(key)
	const longest = len(`"\u0074\u0069\u006d\u0065\u0073\u0074\u0061\u006d\u0070"`)
	if len(raw) > longest {
		return ""
	}
	var buffer [longest]byte
	text, _ := content(raw, buffer[:0])
	for _, name := range [...]string{
		"name", "value", "tags", "unit", "timestamp", "source", "values", "metrics", "batches", "batch_id",
	} {
		if string(text) == name {
			return name
		}
	}
	return ""
}

// enter begins with the metrics of an envelope.
func (d *Decoder) enter(index int, e *envelope) {
	d.scope = scope{envelope: *e, index: index, time: d.now}
	if raw, given := d.sourceOf(e.source); given {
		d.scope.rawSource = raw
	}
	d.scope.sourceHash = hashText(d.scope.rawSource)
	if kind := d.kindOf(e.timestamp); kind == kindString || kind == kindNumber {
		d.scope.time, d.scope.timeErr = d.parseTime(e.timestamp)
	}
}

// leave ends with the metrics of an envelope, which is known whole only now.
func (d *Decoder) leave(e *envelope) {
	report := BatchReport{Source: DefaultSource, Accepted: d.scope.accepted, Rejected: d.scope.rejected}
	if d.scope.rawSource != nil {
		report.Source = d.textOf(d.scope.rawSource)
	}
	report.BatchID = d.batchIDText(e.batchID)
	d.report.Batches = append(d.report.Batches, report)
}

// confirm makes sure that the metrics at hand are subject to the envelope that was assumed, and that the
// body is sound, before anything is done that outlasts it.
func (d *Decoder) confirm() bool {
	if d.scope.confirmed {
		return true
	}
	if !d.outlined && d.outline() != nil {
		return false
	}
	if d.scope.index >= len(d.envelopes) {
		return false
	}
	actual, assumed := &d.envelopes[d.scope.index], &d.scope.envelope
	d.scope.confirmed = d.shapeErr == nil && actual.metrics.start == assumed.metrics.start &&
		actual.source == assumed.source && actual.timestamp == assumed.timestamp
	return d.scope.confirmed
}

// textOf returns the text of a string, given raw, as a copy.
func (d *Decoder) textOf(raw []byte) string {
	text, _ := content(raw, nil)
	return string(text)
}

// sourceOf returns a source as raw JSON, unless it is absent, null or empty.
func (d *Decoder) sourceOf(value span) (raw []byte, given bool) {
	if d.kindOf(value) != kindString || value.end-value.start == len(`""`) {
		return nil, false
	}
	return d.raw(value), true
}

// checkBatchID records what is wrong with the shape of a batch_id.
func (d *Decoder) checkBatchID(field string, value span) {
	if !d.isBatchID(value) {
		d.shapeFault(field, fmt.Sprintf("is %s, want a string of at most %d characters", d.describe(value), MaxBatchIDChars))
	}
}

// batchIDText returns the text of a batch_id, "" if none was given.
func (d *Decoder) batchIDText(value span) string {
	if d.kindOf(value) != kindString {
		return ""
	}
	return d.textOf(d.raw(value))
}

// isBatchID reports whether a member is absent, null or a string that is not too long.
func (d *Decoder) isBatchID(value span) bool {
	if d.kindOf(value) != kindString || value.end-value.start <= MaxBatchIDChars+2 {
		return d.isTextOrNull(value)
	}
	return utf8.RuneCountInString(d.textOf(d.raw(value))) <= MaxBatchIDChars
}
