package remotewrite

import (
	"github.com/cespare/xxhash/v2"

	"github.com/flopynet/collector/model"
)

// changeUnit puts the unit of the series at hand into the batch, if it is given and is not the one that the engine is known to have.
func (d *Decoder) changeUnit(known *node, labels []byte) {
	var unit string
	if d.unit != nil {
		unit = string(d.unit)
		if err := model.CheckUnit(unit); err != nil {
			d.report.refuse(Rejection{Index: d.index, Name: nameOf(labels), Reason: "in the metadata: " + err.Error()}, isLimit(err))
			unit = ""
		}
	} else {
		unit = d.cache.families.unitOf(string(valueOf(labels, nameLabel)))
	}
	e := &known.Entry
	switch {
	case unit != "" && unit != e.unitText():
		d.batch.SetUnit(e.id, unit)
	case e.families == d.families:
		return
	default:
		unit = e.unitText()
	}
	d.units = append(d.units, pendingUnit{known, unit})
}

// noteUnit records that the engine has made a unit durable for the series of an entry. If the cache has another
// unit for it by now, two requests have written different ones at the same time and there is no telling which the
// engine took last: it is forgotten, so that the next request states its own again.
func (d *Decoder) noteUnit(pending pendingUnit) {
	seen := &pending.seen.Entry
	labels := append(append(d.scratch[:0], *seen.first...), *seen.others...)
	hash := xxhash.Sum64(labels)
	for {
		now, slot := d.table.Find(hash, func(e *entry) bool { return e.isOf(labels) })
		if now == nil || now.Entry.id != seen.id {
			return
		}
		changed := now.Entry
		changed.families = d.families
		switch {
		case now.Entry.unitText() == pending.unit:
		case now != pending.seen:
			changed.unit, changed.families = nil, d.families-1
		default:
			changed.unit, _ = d.text([]byte(pending.unit))
		}
		if changed == now.Entry || d.table.Replace(slot, now, changed, changed.size()) {
			return
		}
	}
}
