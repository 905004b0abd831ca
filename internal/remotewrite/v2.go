package remotewrite

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// walkV2 reads a message of type io.prometheus.write.v2.Request: symbols at 4 and series at 5. The symbols are
// collected first, wherever they are.
func (d *Decoder) walkV2() error {
	d.symbols = d.symbols[:0]
	var other []byte // begins with a field that version 1 alone has
	for rest := d.body; len(rest) > 0; {
		f, next, fault := cutField(rest)
		if fault < 0 {
			return d.syntaxError(rest, fault)
		}
		switch f.key {
		case keyBytes1:
			other = rest
		case keyBytes4:
			if len(d.symbols) >= maxSymbols {
				return &engine.LimitError{Limit: "symbols of a request", Max: maxSymbols, Advice: "send them in several requests"}
			}
			end := uint32(len(d.body) - len(next))
			d.symbols = append(d.symbols, span{end - uint32(len(f.bytes)), end})
		}
		rest = next
	}
	for rest := d.body; len(rest) > 0; {
		f, next, _ := cutField(rest)
		if f.key == keyBytes5 {
			if err := d.seriesV2(f.bytes); err != nil {
				return err
			}
			d.index++
		}
		rest = next
	}
	if other != nil && d.index == 0 {
		return d.otherVersion(other, "prometheus.WriteRequest")
	}
	return nil
}

// symbol returns the string that a reference is to.
func (d *Decoder) symbol(reference uint32) (text []byte, ok bool) {
	if int64(reference) >= int64(len(d.symbols)) {
		return nil, false
	}
	at := d.symbols[reference]
	return d.body[at.start:at.end], true
}

// seriesV2 reads a message of type TimeSeries: references to labels at 1, samples at 2, histograms at 3, exemplars
// at 4 and metadata at 5.
func (d *Decoder) seriesV2(message []byte) error {
	d.samples, d.histograms, d.exemplars, d.unit = d.samples[:0], 0, 0, nil
	labels := labelBuilder{decoder: d, text: d.scratch[:0]}
	var bad error
	for len(message) > 0 {
		f, next, fault := cutField(message)
		if fault < 0 {
			return d.syntaxError(message, fault)
		}
		switch f.key {
		case keyBytes1:
			fault = labels.addPacked(f.bytes)
		case keyVarint1:
			labels.add(uint32(f.integer))
		case keyBytes2:
			if err := d.addSample(f.bytes); err != nil {
				return err
			}
		case keyBytes3:
			d.histograms++
		case keyBytes4:
			d.exemplars++
		case keyBytes5:
			if fault = d.metadataV2(f.bytes, &bad); fault < 0 {
				return d.syntaxError(f.bytes, fault)
			}
		}
		if fault < 0 {
			return d.syntaxError(message, fault)
		}
		message = next
	}
	d.scratch = labels.text
	if d.labelled += len(labels.text); d.labelled > maxLabelBytes {
		return &engine.LimitError{Limit: "bytes of labels of a request", Max: maxLabelBytes, Advice: "send the series in several requests"}
	}
	if err := labels.finish(); err != nil {
		bad = err
	}
	if bad != nil {
		d.report.Exemplars += d.exemplars
		d.rejectSeries(labels.text, bad)
		return nil //nolint:nilerr // it is in the report
	}
	if known, slot := d.table.Successor(d.lastSlot); known != nil && known.Entry.isOf(labels.text) {
		return d.take(labels.text, known, slot)
	}
	return d.take(labels.text, nil, rawcache.NoSlot)
}

// labelBuilder puts labels, given by references in turn to a name and to a value, into the form of version 1.
type labelBuilder struct {
	decoder *Decoder
	text    []byte
	name    []byte
	hasName bool  // and the next reference is that of its value
	count   int   // of labels
	err     error // the first fault
}

// addPacked adds a list of references.
func (b *labelBuilder) addPacked(references []byte) (fault int) {
	for len(references) > 0 {
		reference, n := uint64(references[0]), 1
		if reference >= 0x80 {
			if reference, n = protowire.ConsumeVarint(references); n < 0 {
				return n
			}
		}
		references = references[n:]
		b.add(uint32(reference))
	}
	return 0
}

func (b *labelBuilder) add(reference uint32) {
	text, ok := b.decoder.symbol(reference)
	switch {
	case b.err != nil:
	case !ok:
		b.err = &labelError{fmt.Sprintf("labels_refs refers to symbol %d, there are %d", reference, len(b.decoder.symbols))}
	case !b.hasName:
		if b.count++; b.count > maxLabels {
			b.err = &model.LimitError{What: "series", Got: b.count, Limit: maxLabels, Unit: "labels"}
		} else if len(text) > model.MaxTagKeyBytes {
			b.err = &model.LimitError{What: "tag key", Got: len(text), Limit: model.MaxTagKeyBytes, Unit: "bytes"}
		}
	case len(text) > model.MaxTagValueBytes: // before it is copied for each series that refers to it
		b.err = &model.LimitError{What: "value of tag " + clip(string(b.name)), Got: len(text), Limit: model.MaxTagValueBytes, Unit: "bytes"}
	default:
		b.text = appendLabel(b.text, b.name, text)
	}
	b.name, b.hasName = text, !b.hasName
}

// finish returns what was wrong.
func (b *labelBuilder) finish() error {
	if b.err == nil && b.hasName {
		return &labelError{"labels_refs has an odd number of references"}
	}
	return b.err
}

// metadataV2 reads a message of type Metadata: the reference to a unit at 4. bad is what is wrong with the unit.
func (d *Decoder) metadataV2(message []byte, bad *error) (fault int) {
	for len(message) > 0 {
		var f field
		if f, message, fault = cutField(message); fault < 0 {
			return fault
		}
		if f.key != keyVarint4 {
			continue
		}
		d.unit = nil
		if reference := uint32(f.integer); reference != 0 {
			unit, ok := d.symbol(reference)
			if len(unit) > 0 {
				d.unit = unit
			}
			if !ok {
				*bad = &labelError{fmt.Sprintf("unit_ref refers to symbol %d, there are %d", reference, len(d.symbols))}
			}
		}
	}
	return 0
}

// checkV2 checks the series as far as they will be read.
func (d *Decoder) checkV2() error {
	for rest := d.body; len(rest) > 0; {
		f, next, _ := cutField(rest)
		if f.key == keyBytes5 {
			if err := d.checkSeriesV2(f.bytes); err != nil {
				return err
			}
		}
		rest = next
	}
	return nil
}

// checkSeriesV2 checks a message of type TimeSeries.
func (d *Decoder) checkSeriesV2(message []byte) error {
	for len(message) > 0 {
		f, next, fault := cutField(message)
		if fault < 0 {
			return d.syntaxError(message, fault)
		}
		switch f.key {
		case keyBytes1:
			for references := f.bytes; len(references) > 0 && fault >= 0; {
				if _, fault = protowire.ConsumeVarint(references); fault >= 0 {
					references = references[fault:]
				}
			}
			if fault < 0 {
				return d.syntaxError(message, fault)
			}
		case keyBytes2, keyBytes5: // a sample or metadata
			if err := d.checkFields(f.bytes); err != nil {
				return err
			}
		}
		message = next
	}
	return nil
}
