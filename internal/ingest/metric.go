package ingest

import (
	"math"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// metric is where the members of a metric are, and the value, which is read on the way.
type metric struct {
	name, value, values, unit, tags, timestamp, source span

	number   float64 // if value is a number
	expected *entry  // the series that the cache guesses
	slot     int     // of expected
	sameName bool    // name is that of expected, byte for byte
	sameTags bool    // and so are the tags
	lastTags bool    // the tags are those of the metric before, byte for byte
}

// walkMetrics reads the list of metrics at i.
func (d *Decoder) walkMetrics(i int) int {
	i, more := d.open(i, ']')
	for ; more; d.scope.metric++ {
		next := d.walkMetric(i)
		if next >= 0 && !d.takeMetric(i) {
			return failed
		}
		i, more = d.follow(next, ']')
	}
	return i
}

// walkMetric notes the members of the metric at i.
func (d *Decoder) walkMetric(i int) int {
	d.metric = metric{}
	if d.at(i) != '{' {
		return d.skipValue(i)
	}
	m := &d.metric
	m.expected, m.slot = d.table.successor(d.lastSlot)
	i, more := d.open(i, '}')
	for more {
		member, value := d.metricMember(i)
		if value < 0 {
			return value
		}
		var next int
		switch member {
		case &m.name:
			next = d.walkName(value)
		case &m.tags:
			next = d.walkTags(value)
		case &m.value:
			next = d.walkNumber(value)
		default:
			next = d.skipValue(value)
		}
		if member != nil {
			*member = span{value, next}
		}
		i, more = d.follow(next, '}')
	}
	return i
}

// metricMember reads the key at i and returns which member it names, nil for an unknown one, and the
// offset of the value.
func (d *Decoder) metricMember(i int) (member *span, value int) {
	m := &d.metric
	switch d.at(i + 1) {
	case 'n':
		if d.hasPrefix(i, `"name"`) {
			return &m.name, d.colon(i + len(`"name"`))
		}
	case 'v':
		if d.hasPrefix(i, `"value"`) {
			return &m.value, d.colon(i + len(`"value"`))
		}
	case 't':
		if d.hasPrefix(i, `"tags"`) {
			return &m.tags, d.colon(i + len(`"tags"`))
		}
		if d.hasPrefix(i, `"timestamp"`) {
			return &m.timestamp, d.colon(i + len(`"timestamp"`))
		}
	case 'u':
		if d.hasPrefix(i, `"unit"`) {
			return &m.unit, d.colon(i + len(`"unit"`))
		}
	}
	key, value := d.key(i)
	if value < 0 {
		return nil, value
	}
	switch d.memberName(key) {
	case "name":
		return &m.name, value
	case "value":
		return &m.value, value
	case "values":
		return &m.values, value
	case "unit":
		return &m.unit, value
	case "tags":
		return &m.tags, value
	case "timestamp":
		return &m.timestamp, value
	case "source":
		return &m.source, value
	}
	d.report.warnUnknown(d.raw(key), "metric")
	return nil, value
}

// walkName skips the name at i: at one stride if it is the expected one.
func (d *Decoder) walkName(i int) int {
	m := &d.metric
	if m.sameName = m.expected != nil && d.hasPrefix(i, m.expected.name.value); m.sameName {
		return i + len(m.expected.name.value)
	}
	return d.skipValue(i)
}

// walkTags skips the tags at i: at one stride if they are the expected ones, or those of the metric
// before. A JSON object can't be the beginning of another, so that comparing its length is enough.
func (d *Decoder) walkTags(i int) int {
	m := &d.metric
	m.lastTags = false
	m.sameTags = m.expected != nil && m.expected.tags.value != "" && d.hasPrefix(i, m.expected.tags.value)
	if m.sameTags {
		return i + len(m.expected.tags.value)
	}
	last := d.lastTags
	if length := last.end - last.start; length > 0 && d.at(i) == '{' && len(d.text)-i >= length &&
		string(d.text[i:i+length]) == string(d.raw(last)) {
		m.lastTags = true
		return i + length
	}
	return d.skipValue(i)
}

// walkNumber reads the value at i if it is a number and skips it otherwise.
func (d *Decoder) walkNumber(i int) int {
	if c := d.at(i); c != '-' && !isDigit(c) {
		return d.skipValue(i)
	}
	var next int
	d.metric.number, next = d.number(i)
	return next
}

// takeMetric adds the metric that was walked, which began at i, to the batch, or rejects it. It returns
// false if the walk is to stop.
func (d *Decoder) takeMetric(i int) bool {
	m := &d.metric
	if d.at(i) != '{' {
		d.reject(false, "the metric is not an object")
		return true
	}
	if !m.sameName && d.kindOf(m.name) != kindString {
		d.reject(false, "name is %s, want a string", d.describe(m.name))
		return true
	}
	if kind := d.kindOf(m.values); kind != kindAbsent && kind != kindNull {
		return d.takeValues(kind)
	}
	if !d.checkNumber() {
		return true
	}
	var ok bool
	if d.time, ok = d.sampleTime(m.timestamp); !ok {
		return true
	}
	d.samples = d.samples[:0]
	id, stored, ok := d.series()
	if !stored {
		return ok
	}
	return d.add(id, d.time, m.number)
}

// checkNumber rejects the metric unless its value is a finite number.
func (d *Decoder) checkNumber() bool {
	m := &d.metric
	switch {
	case d.kindOf(m.value) != kindNumber:
		d.reject(false, "value is %s, want a finite number", d.describe(m.value))
	case math.IsInf(m.number, 0):
		d.reject(false, "value %s is out of range of a float64", clip(d.raw(m.value)))
	default:
		return true
	}
	return false
}

// takeValues is takeMetric for a metric with several samples.
func (d *Decoder) takeValues(kind kind) bool {
	m := &d.metric
	if value := d.kindOf(m.value); value != kindAbsent && value != kindNull {
		d.reject(false, "the metric has both value and values")
		return true
	}
	if kind != kindArray {
		d.reject(false, "values is %s, want an array of [timestamp, value] pairs", d.describe(m.values))
		return true
	}
	if stamp := d.kindOf(m.timestamp); stamp != kindAbsent && stamp != kindNull {
		d.warn("has values, so its timestamp is ignored")
	}
	if !d.readPairs() {
		return true
	}
	if len(d.samples) == 0 {
		return true
	}
	id, stored, ok := d.series()
	if !stored {
		return ok
	}
	for _, sample := range d.samples {
		if !d.add(id, sample.Time, sample.Value) {
			return false
		}
	}
	return true
}

// readPairs fills samples with the metric's values, or rejects it.
func (d *Decoder) readPairs() bool {
	d.samples = d.samples[:0]
	i, more := d.open(d.metric.values.start, ']')
	for index := 0; more; index++ {
		if len(d.samples) >= maxSamples {
			d.reject(true, "values has more than %d pairs", maxSamples)
			return false
		}
		start := i
		i, more = d.follow(d.skipValue(start), ']')
		sample, ok := d.readPair(start, index)
		if !ok {
			return false
		}
		d.samples = append(d.samples, sample)
	}
	return true
}

// readPair reads the [timestamp, value] at i, or rejects the metric.
func (d *Decoder) readPair(i, index int) (sample model.Sample, ok bool) {
	var pair [2]span
	count := 0
	if d.at(i) == '[' {
		next, more := d.open(i, ']')
		for ; more; count++ {
			end := d.skipValue(next)
			if count < len(pair) {
				pair[count] = span{next, end}
			}
			next, more = d.follow(end, ']')
		}
	}
	if count != len(pair) {
		d.reject(false, "values[%d] is not a pair of a timestamp and a value", index)
		return sample, false
	}
	if kind := d.kindOf(pair[0]); kind == kindNull {
		d.reject(false, "the timestamp of values[%d] is null, want a time", index)
		return sample, false
	}
	if d.kindOf(pair[1]) != kindNumber {
		d.reject(false, "the value of values[%d] is %s, want a finite number", index, d.describe(pair[1]))
		return sample, false
	}
	sample.Value, _ = d.number(pair[1].start)
	if math.IsInf(sample.Value, 0) {
		d.reject(false, "the value of values[%d], %s, is out of range of a float64", index, clip(d.raw(pair[1])))
		return sample, false
	}
	sample.Time, ok = d.sampleTime(pair[0])
	return sample, ok
}

// sampleTime reads a time, or the envelope's if it is absent, and rejects the metric if it is none.
func (d *Decoder) sampleTime(value span) (ns int64, ok bool) {
	var err error
	switch d.kindOf(value) {
	case kindAbsent, kindNull:
		ns, err = d.scope.time, d.scope.timeErr
	case kindString, kindNumber:
		if d.lastTime.present() && string(d.raw(value)) == string(d.raw(d.lastTime)) {
			return d.lastTimeNS, true
		}
		if ns, err = d.parseTime(value); err == nil {
			d.lastTime, d.lastTimeNS = value, ns
		}
	default:
		d.reject(false, "timestamp is %s, want a string or a number", d.describe(value))
		return 0, false
	}
	if err != nil {
		d.reject(false, "%s", err)
		return 0, false
	}
	return ns, true
}

// checkTimes rejects the metric if one of its samples can't be written to a series of the class.
func (d *Decoder) checkTimes(class *engine.RetentionClass) bool {
	if len(d.samples) == 0 {
		return d.checkTime(class, d.time)
	}
	for i := range d.samples {
		if ns := d.samples[i].Time; !d.isChecked(class, ns) && !d.checkTime(class, ns) {
			return false
		}
	}
	return true
}

// isChecked reports whether the time is the last one that was found to be good, for the same class.
func (d *Decoder) isChecked(class *engine.RetentionClass, ns int64) bool {
	return ns == d.checkedTime && class == d.checkedClass
}

func (d *Decoder) checkTime(class *engine.RetentionClass, ns int64) bool {
	if err := d.resolver.CheckTime(*class, ns); err != nil {
		d.reject(false, "%s", err)
		return false
	}
	d.checkedTime, d.checkedClass = ns, class
	return true
}

// parseTime reads a time from a string or a number.
func (d *Decoder) parseTime(value span) (int64, error) {
	raw := d.raw(value)
	if raw[0] != '"' {
		return timefmt.ParseNumber(string(raw))
	}
	var text []byte
	text, d.scratch = content(raw, d.scratch[:0])
	return timefmt.ParseTime(string(text), d.now)
}

// add adds a sample to the batch. It returns false if the walk is to stop.
func (d *Decoder) add(id model.SeriesID, ns int64, value float64) bool {
	if d.report.Accepted >= maxSamples {
		d.stop(&engine.LimitError{Limit: "samples of a request", Max: maxSamples, Advice: "send them in several requests"})
		return false
	}
	d.batch.Add(id, ns, value)
	d.report.Accepted++
	d.scope.accepted++
	if !d.duplicates.add(id, ns) {
		d.warn("replaces an earlier sample of the same series and time in this request")
	}
	return true
}
