package lineproto

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// valueField is the key of the field whose metric has the name of the measurement alone.
const valueField = "value"

// learnt is what becomes of the entry of a line once its fields are resolved.
type learnt struct {
	keys    []byte // raw field keys in a row, each with its =
	ends    []int  // of the keys
	ids     []model.SeriesID
	classes []*engine.RetentionClass
	from    int // fields that the entry had
}

func (l *learnt) begin(e *entry) {
	l.keys, l.ends, l.ids, l.classes, l.from = l.keys[:0], l.ends[:0], l.ids[:0], l.classes[:0], 0
	if e == nil {
		return
	}
	for i, name := range e.names {
		l.add([]byte(name), e.ids[i], e.classOf(i))
	}
	l.from = len(e.ids)
}

// add adds a field, unless it is one of many or there already.
func (l *learnt) add(key []byte, id model.SeriesID, class *engine.RetentionClass) {
	if len(l.ids) >= maxEntryFields || slices.Contains(l.ids, id) {
		return
	}
	l.keys = append(l.keys, key...)
	l.ends = append(l.ends, len(l.keys))
	l.ids = append(l.ids, id)
	l.classes = append(l.classes, class)
}

func (l *learnt) release() {
	if cap(l.keys) > maxReusedBytes {
		l.keys = nil
	}
	clear(l.classes[:cap(l.classes)])
}

// take adds what the line's fields have to the batch, at this time.
func (d *Decoder) take(node *rawcache.Node[entry], slot int, ns int64) {
	l := &d.line
	var e *entry
	source := l.source
	if node != nil {
		e, source = &node.Entry, node.Entry.source
	}
	if d.permit != nil && !d.permit(source) {
		d.refuseLine(d.start, d.fault("the source is %s, which the key may not write as", clip([]byte(source))))
		return
	}
	same, bad := d.classify(e)
	if bad != nil {
		d.refuseLine(d.start, bad)
		return
	}
	if same != nil {
		if err := d.checkTime(same, ns); err != nil {
			d.refuseLine(d.start, d.faultOf(err))
			return
		}
	}
	if !d.resolve(ns) {
		return
	}
	l.learnt.begin(e)
	for i := range l.fields {
		if d.takeField(e, &l.fields[i], ns); d.err != nil {
			return
		}
	}
	d.learn(node, slot)
}

// classify finds the names and classes of the line's fields, as far as they can be stored. It returns the class
// that all have, nil if they differ. A fault is that of a line of which only fields were known.
func (d *Decoder) classify(e *entry) (same *engine.RetentionClass, bad *fault) {
	l := &d.line
	first, apart := true, e == nil // whether the identity has been taken apart
	for i := range l.fields {
		f := &l.fields[i]
		switch {
		case f.kind != kindNumber:
			continue
		case f.known >= 0:
			f.class = e.classOf(f.known)
		default:
			if !apart {
				if bad := d.identity(e.key); bad != nil {
					return nil, bad
				}
				apart = true
			}
			f.name, f.bad = l.metric(f.key)
			f.class = d.share(d.resolver.RetentionClassOf(f.name, l.source))
		}
		if first {
			same, first = f.class, false
		} else if same != f.class {
			same = nil
		}
	}
	return same, nil
}

// metric returns the name of the metric of a field, given by its raw key, or why there can be none.
func (l *line) metric(key []byte) (string, error) {
	raw := key[:len(key)-1]
	if len(raw) > maxFieldKeyBytes {
		return "", &model.LimitError{What: "field key", Got: len(raw), Limit: model.MaxNameBytes, Unit: "bytes"}
	}
	field := unescape(string(raw), isEscaped)
	if field == valueField {
		return l.measurement, nil
	}
	return l.measurement + "_" + field, nil
}

// share returns the one copy of a class.
func (d *Decoder) share(class engine.RetentionClass) *engine.RetentionClass {
	if d.lastClass == nil || *d.lastClass != class {
		d.lastClass = d.table.Share(class)
	}
	return d.lastClass
}

// checkTime reports why a sample of this time can't be written to a series of the class.
func (d *Decoder) checkTime(class *engine.RetentionClass, ns int64) error {
	if ns == d.checkedTime && class == d.checkedClass {
		return nil
	}
	if err := d.resolver.CheckTime(*class, ns); err != nil {
		return err
	}
	d.checkedTime, d.checkedClass = ns, class
	return nil
}

// resolve finds out which fields can't be stored, once and for all, since the clock goes on, and has the engine give ids
// to the series of the others, where they are not known. It returns false if decoding is to stop.
func (d *Decoder) resolve(ns int64) bool {
	l := &d.line
	l.wanted = l.wanted[:0]
	for i := range l.fields {
		f := &l.fields[i]
		if f.kind != kindNumber || f.bad != nil {
			continue
		}
		if f.bad = d.checkTime(f.class, ns); f.bad != nil || f.known >= 0 {
			continue
		}
		if f.bad = model.CheckSeries(f.name, nil); f.bad == nil { // the tags have been checked
			f.wanted = len(l.wanted)
			l.wanted = append(l.wanted, engine.Resolution{Name: f.name, Tags: l.tags})
		}
	}
	if len(l.wanted) > 0 {
		d.err = d.resolver.ResolveAll(l.wanted)
	}
	return d.err == nil
}

// takeField adds a field's sample to the batch, or refuses it.
func (d *Decoder) takeField(e *entry, f *field, ns int64) {
	switch f.kind {
	case kindString:
		d.refuseField(f.key, d.fault("the value is a string, want a number or a boolean"))
		return
	case kindTooBig:
		d.refuseField(f.key, d.fault("the value is out of range of its type"))
		return
	}
	id, bad := model.SeriesID(0), f.bad
	switch {
	case bad != nil:
	case f.known >= 0:
		id = e.ids[f.known]
	default:
		if id, bad = d.line.wanted[f.wanted].ID, d.line.wanted[f.wanted].Err; bad == nil {
			d.line.learnt.add(f.key, id, f.class)
		}
	}
	if bad != nil {
		d.refuseField(f.key, d.faultOf(bad))
		return
	}
	if d.report.Accepted >= maxSamples {
		d.err = &engine.LimitError{Limit: "samples of a request", Max: maxSamples, Advice: "send them in several requests"}
		return
	}
	d.batch.Add(id, ns, f.value)
	d.report.Accepted++
}

// learn puts what was learnt about the line into the cache.
func (d *Decoder) learn(node *rawcache.Node[entry], slot int) {
	l := &d.line.learnt
	if len(l.ids) == l.from || node == nil && len(d.line.key) > maxKeyBytes || len(l.keys) > maxKeyBytes {
		return
	}
	e := entry{ids: slices.Clone(l.ids), class: l.classes[0]}
	if slices.ContainsFunc(l.classes, func(class *engine.RetentionClass) bool { return class != e.class }) {
		e.class, e.classes = nil, slices.Clone(l.classes)
	}
	names, shared := d.cache.layouts.share(l.keys, l.ends)
	e.names = names
	if node != nil {
		e.key, e.source = node.Entry.key, node.Entry.source
		d.table.Replace(slot, node, e, e.size(shared))
		return
	}
	e.key, e.source = string(d.line.key), d.line.source
	if _, slot = d.table.Insert(xxhash.Sum64(d.line.key), e, e.size(shared)); slot != rawcache.NoSlot {
		d.table.SetSuccessor(d.lastSlot, slot)
		d.lastSlot = slot
	}
}
