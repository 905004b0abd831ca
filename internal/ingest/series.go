package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// exportedSource is what a tag named source becomes, since that is the key of a series' source.
const exportedSource = "exported_source"

// maxTagMembers bounds the members of a tags object that are looked at, beyond the tags that a series may
// have: some can be null, empty or repeated.
const maxTagMembers = 16 * model.MaxTags

// pendingUnit is a unit that the cache learns of once the batch is durable.
type pendingUnit struct {
	slot int
	seen *entry
	raw  string
}

// series returns the id of the series of the metric at hand. stored is false if the metric was rejected or,
// with ok false, if the walk is to stop.
func (d *Decoder) series() (id model.SeriesID, stored, ok bool) {
	tags, valid := d.rawTags()
	if !valid {
		return 0, false, true
	}
	source, sourceHash, valid := d.rawSource()
	if !valid {
		return 0, false, true
	}
	if d.permit != nil && !d.permitted(source) {
		return 0, false, true
	}
	var text rawSeries
	found, slot := d.lookUp(&text, tags, source, sourceHash)
	unit, changed, valid := d.changedUnit(found)
	if !valid {
		return 0, false, true
	}
	if found != nil {
		isGood := len(d.samples) == 0 && d.isChecked(found.class, d.time)
		if !isGood && !d.checkTimes(found.class) {
			return 0, false, true
		}
	} else {
		if !d.confirm() {
			d.stop(errRestart)
			return 0, false, false
		}
		series, stored, ok := d.resolve(tags, source)
		if !stored {
			return 0, false, ok
		}
		if found, slot = d.table.insert(&text, series); found == nil {
			found = &entry{id: series.id}
		}
	}
	d.table.setSuccessor(d.lastSlot, slot)
	d.lastSlot = slot
	if changed {
		d.batch.SetUnit(found.id, unit)
		if slot != noSlot {
			d.units = append(d.units, pendingUnit{slot, found, d.lastUnit})
		}
	}
	return found.id, true, true
}

// lookUp finds the series in the cache: where it was expected, or anywhere. It fills in text only for the latter.
func (d *Decoder) lookUp(text *rawSeries, tags, source []byte, sourceHash uint64) (*entry, int) {
	m := &d.metric
	if e := m.expected; e != nil && m.sameName && (m.sameTags || tags == nil && e.tags.value == "") && e.source.value == string(source) {
		return e, m.slot
	}
	name := d.raw(m.name)
	*text = rawSeries{name: name, source: source, tags: tags,
		nameHash: hashText(name), sourceHash: sourceHash, tagsHash: d.tagsHash(tags)}
	return d.table.find(text)
}

// rawTags returns the tags object, nil if there is none, or rejects the metric.
func (d *Decoder) rawTags() (raw []byte, ok bool) {
	value := d.metric.tags
	switch d.kindOf(value) {
	case kindAbsent, kindNull:
		return nil, true
	case kindObject:
	default:
		d.reject(false, "tags is %s, want an object", d.describe(value))
		return nil, false
	}
	if !d.metric.lastTags {
		d.hashed = false
	}
	d.lastTags = value
	return d.raw(value), true
}

// tagsHash returns the hash of the tags, which are those of lastTags or nil.
func (d *Decoder) tagsHash(tags []byte) uint64 {
	if tags == nil {
		return hashText(nil)
	}
	if !d.hashed {
		d.lastHash, d.hashed = hashText(tags), true
	}
	return d.lastHash
}

// rawSource returns the metric's source or else the envelope's, nil for the default, or rejects the metric.
func (d *Decoder) rawSource() (raw []byte, hash uint64, ok bool) {
	value := d.metric.source
	if !value.present() {
		return d.scope.rawSource, d.scope.sourceHash, true
	}
	if !d.isTextOrNull(value) {
		d.reject(false, "source is %s, want a string", d.describe(value))
		return nil, 0, false
	}
	raw, given := d.sourceOf(value)
	if !given {
		return d.scope.rawSource, d.scope.sourceHash, true
	}
	return raw, hashText(raw), true
}

// permitted reports whether the source, given raw, may be written, or rejects the metric.
func (d *Decoder) permitted(source []byte) bool {
	text := DefaultSource
	if source != nil {
		text = d.textOf(source)
	}
	if d.permit(text) {
		return true
	}
	d.reject(false, "source is %q, which the key may not write as", clip([]byte(text)))
	return false
}

// changedUnit returns the metric's unit if it differs from what the entry has, or rejects the metric.
func (d *Decoder) changedUnit(found *entry) (unit string, changed, ok bool) {
	value := d.metric.unit
	switch d.kindOf(value) {
	case kindAbsent, kindNull:
		return "", false, true
	case kindString:
	default:
		d.reject(false, "unit is %s, want a string", d.describe(value))
		return "", false, false
	}
	raw := d.raw(value)
	if found != nil && found.unit == string(raw) {
		return "", false, true
	}
	if d.lastUnit != string(raw) {
		text := d.textOf(raw)
		if err := model.CheckUnit(text); err != nil {
			d.reject(isLimit(err), "%s", err)
			return "", false, false
		}
		d.lastUnit, d.unitText = string(raw), text
	}
	return d.unitText, true, true
}

// rejectSeries rejects the metric for a fault of its name or tags. For any other error it stops the
// walk and returns false.
func (d *Decoder) rejectSeries(err error) bool {
	_, isText := errors.AsType[*model.TextError](err)
	_, isTags := errors.AsType[*tagsError](err)
	if limit := isLimit(err); limit || isText || isTags {
		d.reject(limit, "%s", err)
		return true
	}
	d.stop(err)
	return false
}

// tagsError says what is wrong with tags, other than texts and limits.
type tagsError struct{ reason string }

func (e *tagsError) Error() string { return e.reason }

// resolved is what the engine says of a series.
type resolved struct {
	id    model.SeriesID
	class *engine.RetentionClass // shared by all series of the class
}

// resolve takes the name, the source and the tags apart and has the engine give them an id, unless there is
// nothing to be written to it. stored and ok are as those of series.
func (d *Decoder) resolve(rawTags, rawSource []byte) (series resolved, stored, ok bool) {
	name, err := d.identity(rawTags, rawSource)
	if err != nil {
		return series, false, d.rejectSeries(err)
	}
	series.class = d.table.share(d.resolver.RetentionClassOf(name, d.tags.Get(model.SourceKey)))
	if !d.checkTimes(series.class) {
		return series, false, true
	}
	if series.id, err = d.resolver.Resolve(name, d.tags); err != nil {
		return series, false, d.rejectSeries(err)
	}
	return series, true, true
}

// identity returns the name and leaves the normalized tags, with the source, in tags. New series mostly come several
// with the same tags, which are taken apart only once.
func (d *Decoder) identity(rawTags, rawSource []byte) (name string, err error) {
	if d.hasTaken && bytes.Equal(rawTags, d.takenTags) && bytes.Equal(rawSource, d.takenSource) {
		name = d.textOf(d.raw(d.metric.name))
		return name, model.CheckSeries(name, nil)
	}
	d.hasTaken = false
	if err := d.takeTags(rawTags, rawSource); err != nil {
		return "", err
	}
	name = d.textOf(d.raw(d.metric.name))
	if err := model.CheckSeries(name, d.tags); err != nil {
		return "", err
	}
	d.hasTaken, d.takenTags, d.takenSource = true, rawTags, rawSource
	return name, nil
}

// takeTags fills tags. The strings are parts of one fresh string; the slice is used again. A source that is given
// isn't empty, so that one that is empty is the default one.
func (d *Decoder) takeTags(rawTags, rawSource []byte) error {
	d.scratch, d.parts = d.scratch[:0], d.parts[:0]
	if err := d.readTags(rawTags); err != nil {
		return err
	}
	source := DefaultSource
	sourceAt := d.addText(rawSource)

	whole := string(d.scratch)
	tags := d.tags[:0]
	for i := 0; i < len(d.parts); i += 2 {
		key, value := d.parts[i], d.parts[i+1]
		tags = append(tags, model.Tag{Key: whole[key.start:key.end], Value: whole[value.start:value.end]})
	}
	tags = model.Normalize(tags)
	d.tags = tags
	if i := slices.IndexFunc(tags, func(tag model.Tag) bool { return tag.Key == model.SourceKey }); i >= 0 {
		if tags.Get(exportedSource) != "" {
			return &tagsError{"tags has " + exportedSource + " and also source, which would become " + exportedSource}
		}
		tags[i].Key = exportedSource
	}
	if rawSource != nil {
		source = whole[sourceAt.start:sourceAt.end]
	}
	d.tags = model.Normalize(append(tags, model.Tag{Key: model.SourceKey, Value: source}))
	return nil
}

// addText appends the text of a string, given raw, to scratch and returns where it is there.
func (d *Decoder) addText(raw []byte) span {
	start := len(d.scratch)
	if raw != nil {
		d.scratch = appendUnescaped(d.scratch, raw[1:len(raw)-1])
	}
	return span{start, len(d.scratch)}
}

// readTags puts the keys and values of a tags object into scratch and parts.
func (d *Decoder) readTags(raw []byte) error {
	if raw == nil {
		return nil
	}
	i, more := d.open(d.metric.tags.start, '}')
	for more {
		if len(d.parts) >= 2*maxTagMembers {
			return &model.LimitError{What: "tags", Got: d.countMembers(), Limit: maxTagMembers, Unit: "members"}
		}
		key, start := d.key(i)
		value := span{start, d.skipValue(start)}
		d.parts = append(d.parts, d.addText(d.raw(key)))
		switch d.kindOf(value) {
		case kindNull:
			d.parts = append(d.parts, span{})
		case kindString:
			d.parts = append(d.parts, d.addText(d.raw(value)))
		case kindNumber, kindBool:
			start := len(d.scratch)
			d.scratch = append(d.scratch, d.raw(value)...)
			d.parts = append(d.parts, span{start, len(d.scratch)})
		default:
			return &tagsError{fmt.Sprintf("the value of tag %s is %s, want a string, a number or a boolean",
				clip(d.raw(key)), d.describe(value))}
		}
		i, more = d.follow(value.end, '}')
	}
	return nil
}

// countMembers counts the members of the metric's tags.
func (d *Decoder) countMembers() int {
	count := 0
	i, more := d.open(d.metric.tags.start, '}')
	for ; more; count++ {
		_, value := d.key(i)
		i, more = d.follow(d.skipValue(value), '}')
	}
	return count
}
