package remotewrite

import (
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// node is a series in the cache.
type node = rawcache.Node[entry]

// addSample reads a sample of the series at hand.
func (d *Decoder) addSample(message []byte) error {
	s, fault := readSample(message)
	if fault < 0 {
		return d.syntaxError(message, fault)
	}
	if d.report.Samples+len(d.samples) >= maxSamples {
		return &engine.LimitError{Limit: "samples of a request", Max: maxSamples, Advice: "send them in several requests"}
	}
	d.samples = append(d.samples, s)
	return nil
}

// take adds what was read of the series with these labels, in the form of version 1, to the batch, or refuses it. known is its
// entry in the cache if it has been found there already, in a slot. The error ends the walk.
func (d *Decoder) take(labels []byte, known *node, slot int) error {
	var hash uint64
	if known == nil {
		hash = xxhash.Sum64(labels)
		known, slot = d.table.Find(hash, func(e *entry) bool { return e.isOf(labels) })
	}
	d.report.Exemplars += d.exemplars
	if d.histograms > 0 {
		d.rejectHistograms(labels)
	}
	fresh := known == nil
	if fresh {
		var err error
		if known, slot, err = d.resolve(hash, labels); known == nil {
			return err
		}
	} else if len(d.samples) > 0 {
		if d.permit != nil && !d.permits(labels) {
			return nil
		}
		d.dropBadTimes(known.Entry.class, labels)
	}
	d.table.SetSuccessor(d.lastSlot, slot)
	d.lastSlot, d.last = slot, known
	if len(d.samples) == 0 {
		return nil
	}
	id := known.Entry.id
	for i := range d.samples {
		d.batch.Add(id, d.samples[i].ms*nsPerMS, d.samples[i].value)
	}
	d.report.Samples += len(d.samples)
	if fresh || known.Entry.families != d.families || d.unit != nil && known.Entry.unitText() != string(d.unit) {
		d.changeUnit(known, labels)
	}
	return nil
}

const nsPerMS = 1e6

// dropBadTimes refuses those samples of the series that can't be written to one of the class, and drops them.
func (d *Decoder) dropBadTimes(class *engine.RetentionClass, labels []byte) {
	kept := d.samples[:0]
	for _, s := range d.samples {
		if s.ms == d.checkedMS && class == d.checkedClass || d.checkTime(class, s.ms, labels) {
			kept = append(kept, s)
		}
	}
	d.samples = kept
}

// checkTime refuses a sample if one of its time can't be written to a series of the class.
func (d *Decoder) checkTime(class *engine.RetentionClass, ms int64, labels []byte) bool {
	var err error
	if ms < -model.MaxTime/nsPerMS || ms > model.MaxTime/nsPerMS {
		err = fmt.Errorf("timestamp %d, in milliseconds, is not between 1970-01-01 and 2262-04-11", ms)
	} else {
		err = d.resolver.CheckTime(*class, ms*nsPerMS)
	}
	if err != nil {
		d.report.Rejected++
		d.report.refuse(Rejection{Index: d.index, Name: nameOf(labels), Reason: err.Error()}, false)
		return false
	}
	d.checkedMS, d.checkedClass = ms, class
	return true
}

// resolve has the engine give an id to the series, and puts it into the cache, unless there is nothing to be written to it: then
// it returns nil.
func (d *Decoder) resolve(hash uint64, labels []byte) (*node, int, error) {
	text := string(labels)
	name, tags, err := d.identity(labels, text)
	if _, malformed := errors.AsType[*SyntaxError](err); malformed {
		return nil, 0, err
	}
	if len(d.samples) == 0 {
		return nil, 0, nil
	}
	if err == nil {
		err = model.CheckSeries(name, tags)
	}
	if err != nil {
		d.rejectSeries(labels, err)
		return nil, 0, nil
	}
	if d.permit != nil && !d.permits(labels) {
		return nil, 0, nil
	}
	class := d.table.Share(d.resolver.RetentionClassOf(name, tags.Get(model.SourceKey)))
	if d.dropBadTimes(class, labels); len(d.samples) == 0 {
		return nil, 0, nil
	}
	if err := d.check(); err != nil {
		return nil, 0, err
	}
	id, err := d.resolver.Resolve(name, tags)
	if err != nil {
		if !isLimit(err) {
			return nil, 0, err
		}
		d.rejectSeries(labels, err)
		return nil, 0, nil
	}
	fresh := entry{id: id, class: class, families: d.families}
	if d.unit == nil && d.cache.families.unitOf(name) != "" {
		fresh.families-- // it is looked for again until it is durable, which the batch may never become
	}
	if len(text) > maxEntryBytes {
		fresh.first, fresh.others = new(string), new(string)
		return &node{Entry: fresh}, rawcache.NoSlot, nil
	}
	d.share(&fresh, labels)
	known, slot := d.table.Insert(hash, fresh, fresh.size())
	return known, slot, nil
}

// maxTexts bounds the texts that a Decoder knows.
const maxTexts = 1 << 10

// text returns the text of the bytes, which are few, and whether it was known: then others have it too.
func (d *Decoder) text(bytes []byte) (text *string, known bool) {
	if text, known = d.texts[string(bytes)]; !known {
		if len(d.texts) >= maxTexts {
			clear(d.texts)
		}
		copied := string(bytes)
		text = &copied
		d.texts[copied] = text
	}
	return text, known
}

// share gives an entry its texts: those of other entries, where they are the same.
func (d *Decoder) share(e *entry, labels []byte) {
	n := firstLabel(labels)
	e.first, e.firstShared = d.text(labels[:n])
	if last := d.last; last != nil && *last.Entry.others == string(labels[n:]) {
		e.others, e.othersShared = last.Entry.others, true
	} else {
		others := string(labels[n:])
		e.others = &others
	}
}

// check checks the body to its end, before anything is done that outlasts it.
func (d *Decoder) check() error {
	if d.checked {
		return nil
	}
	d.checked = true
	if d.version == V2 {
		return d.checkV2()
	}
	return d.checkV1()
}
