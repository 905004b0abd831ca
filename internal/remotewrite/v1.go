package remotewrite

import (
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// walkV1 reads a message of type prometheus.WriteRequest: series at 1 and metadata at 3.
func (d *Decoder) walkV1() error {
	var other []byte // begins with a field that version 2 alone has
	for rest := d.body; len(rest) > 0; {
		f, next, fault := cutField(rest)
		if fault < 0 {
			return d.syntaxError(rest, fault)
		}
		switch f.key {
		case keyBytes1:
			if err := d.seriesV1(f.bytes); err != nil {
				return err
			}
			d.index++
		case keyBytes3:
			if err := d.metadataV1(f.bytes); err != nil {
				return err
			}
			d.metadata++
		case keyBytes4, keyBytes5:
			other = rest
		}
		rest = next
	}
	if other != nil && d.index+d.metadata == 0 {
		return d.otherVersion(other, "io.prometheus.write.v2.Request")
	}
	return nil
}

// seriesV1 reads a message of type TimeSeries: labels at 1, samples at 2, exemplars at 3, histograms at 4.
func (d *Decoder) seriesV1(message []byte) error {
	if known, slot := d.table.Successor(d.lastSlot); known != nil && known.Entry.begins(message) {
		length := known.Entry.length()
		scattered, err := d.valuesV1(message[length:])
		if err != nil {
			return err
		}
		if !scattered {
			return d.take(message[:length], known, slot)
		}
	}
	length := 0
	for length < len(message) && message[length] == keyBytes1 {
		_, next, fault := cutField(message[length:])
		if fault < 0 {
			return d.syntaxError(message[length:], fault)
		}
		length = len(message) - len(next)
	}
	labels := message[:length]
	scattered, err := d.valuesV1(message[length:])
	if err != nil {
		return err
	}
	if scattered {
		if labels, err = d.gatherV1(message); err != nil {
			return err
		}
	}
	return d.take(labels, nil, rawcache.NoSlot)
}

// begins reports whether a message of version 1 begins with the labels of an entry and has no others behind them.
func (e *entry) begins(message []byte) bool {
	n := e.length()
	return len(message) > n && e.isOf(message[:n]) && message[n] != keyBytes1
}

// valuesV1 reads what follows a series' labels. scattered says that there are more of these.
func (d *Decoder) valuesV1(message []byte) (scattered bool, err error) {
	d.samples, d.histograms, d.exemplars = d.samples[:0], 0, 0
	for len(message) > 0 {
		f, next, fault := cutField(message)
		if fault < 0 {
			return false, d.syntaxError(message, fault)
		}
		switch f.key {
		case keyBytes1:
			scattered = true
		case keyBytes2:
			if err := d.addSample(f.bytes); err != nil {
				return false, err
			}
		case keyBytes3:
			d.exemplars++
		case keyBytes4:
			d.histograms++
		}
		message = next
	}
	return scattered, nil
}

// gatherV1 returns the labels of a series that are not in one place. Its fields are well-formed.
func (d *Decoder) gatherV1(message []byte) ([]byte, error) {
	d.scratch = d.scratch[:0]
	for len(message) > 0 {
		f, next, _ := cutField(message)
		if f.key == keyBytes1 {
			if err := d.checkFields(f.bytes); err != nil {
				return nil, err
			}
			d.scratch = append(d.scratch, message[:len(message)-len(next)]...)
		}
		message = next
	}
	return d.scratch, nil
}

// metadataV1 reads a message of type MetricMetadata: the name of a metric family at 2, its unit at 5.
func (d *Decoder) metadataV1(message []byte) error {
	var family, unit []byte
	for len(message) > 0 {
		f, next, fault := cutField(message)
		if fault < 0 {
			return d.syntaxError(message, fault)
		}
		switch f.key {
		case keyBytes2:
			family = f.bytes
		case keyBytes5:
			unit = f.bytes
		}
		message = next
	}
	if len(unit) == 0 || len(family) > model.MaxNameBytes || len(d.given) >= maxFamilies || d.permit != nil {
		return nil // who may write as some sources has no say in the units of others' series
	}
	text := string(unit)
	if err := model.CheckUnit(text); err != nil {
		d.report.refuse(Rejection{Index: d.metadata, Name: string(family), Reason: "in the metadata: " + err.Error()}, isLimit(err))
		return nil
	}
	d.given = append(d.given, familyUnit{string(family), text})
	return nil
}

// checkV1 checks the rest of the body as far as it will be read.
func (d *Decoder) checkV1() error {
	for rest := d.body; len(rest) > 0; {
		f, next, fault := cutField(rest)
		if fault < 0 {
			return d.syntaxError(rest, fault)
		}
		switch f.key {
		case keyBytes1:
			if err := d.checkSeriesV1(f.bytes); err != nil {
				return err
			}
		case keyBytes3:
			if err := d.checkFields(f.bytes); err != nil {
				return err
			}
		}
		rest = next
	}
	return nil
}

// checkSeriesV1 checks a message of type TimeSeries.
func (d *Decoder) checkSeriesV1(message []byte) error {
	for len(message) > 0 {
		f, next, fault := cutField(message)
		if fault < 0 {
			return d.syntaxError(message, fault)
		}
		if f.key == keyBytes1 || f.key == keyBytes2 { // a label or a sample
			if err := d.checkFields(f.bytes); err != nil {
				return err
			}
		}
		message = next
	}
	return nil
}

// checkFields checks that a message consists of fields.
func (d *Decoder) checkFields(message []byte) error {
	for len(message) > 0 {
		_, next, fault := cutField(message)
		if fault < 0 {
			return d.syntaxError(message, fault)
		}
		message = next
	}
	return nil
}
