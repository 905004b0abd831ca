package lineproto

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// line is what is found out about a line that is read in the general way.
type line struct {
	key    []byte // raw, with the space behind it
	fields []field

	// Of its identity, if that had to be taken apart.
	measurement string
	tags        model.Tags // normalized, with the source
	source      string

	wanted []engine.Resolution
	learnt learnt
}

// field is a field of a line.
type field struct {
	key   []byte // raw, with the = behind it
	kind  valueKind
	value float64
	known int // its place in the entry; -1: none

	class *engine.RetentionClass // of its series

	// If it is not known:
	name   string // of its metric
	wanted int    // place in the line's list of what is to be resolved

	bad error // why it can't be stored
}

func (l *line) release() {
	l.key, l.measurement, l.source = nil, "", ""
	if cap(l.tags) > maxReusedFields {
		l.tags = nil
	}
	clear(l.tags[:cap(l.tags)])
	if cap(l.fields) > maxReusedFields {
		l.fields = nil
	}
	clear(l.fields[:cap(l.fields)])
	if cap(l.wanted) > maxReusedFields {
		l.wanted = nil
	}
	clear(l.wanted[:cap(l.wanted)])
	l.learnt.release()
}

// find looks for a line by its raw key, with the space behind it.
func (d *Decoder) find(key []byte) (*rawcache.Node[entry], int) {
	d.line.key = key
	return d.table.Find(xxhash.Sum64(key), func(e *entry) bool { return e.key == string(key) })
}

// fields takes in the fields and the time of a line, of which node knows something, or nil.
func (d *Decoder) fields(node *rawcache.Node[entry], slot, i int) (next int) {
	l := &d.line
	l.fields = l.fields[:0]
	var first *fault // which doesn't end the line: there may be newlines in its strings
	if node == nil {
		first = d.identify(l.key)
	}
	i = d.skipSpaces(i)
	for guess := 0; ; i++ {
		f, next, bad := d.field(i)
		if bad != nil {
			return d.refuseLine(next, cmp.Or(first, bad))
		}
		f.known = -1
		if node != nil && len(l.fields) <= maxLineFields {
			if f.known = node.Entry.find(f.key, guess); f.known >= 0 {
				guess = f.known + 1
			}
		}
		if len(l.fields) <= maxLineFields { // one more than that is enough to refuse the line
			l.fields = append(l.fields, f)
		}
		if i = next; d.at(i) != ',' {
			break
		}
	}
	ns, next, bad := d.time(i)
	if bad != nil {
		return d.refuseLine(i, cmp.Or(first, bad))
	}
	if len(l.fields) > maxLineFields {
		first = cmp.Or(first, d.faultOf(&engine.LimitError{Limit: "fields of a line", Max: maxLineFields, Advice: "write them in several lines"}))
	}
	if first != nil {
		d.refuseLine(d.start, first)
		return next
	}
	d.take(node, slot, ns)
	return next
}

// fault is what is wrong with a line, or with a field.
type fault struct {
	reason string
	limit  bool // it is well-formed but exceeds a limit
}

// fault returns a fault. Its reason is formatted only if there is room for it in the report.
func (d *Decoder) fault(format string, args ...any) *fault {
	if len(d.report.Errors) >= maxErrors {
		return &fault{}
	}
	return &fault{reason: fmt.Sprintf(format, args...)}
}

// field reads the field at i. next is behind it; of a fault, it is where that shows.
func (d *Decoder) field(i int) (f field, next int, bad *fault) {
	end := i
	for ; d.at(end) != '='; end++ {
		switch c := d.at(end); {
		case c == '\\' && isEscaped(d.at(end+1)):
			end++
		case c == ',' || c == ' ' || c == '\n':
			if end == i {
				return f, end, d.fault("a field is missing, want key=value")
			}
			return f, end, d.fault("the field %s has no value, want key=value", clip(d.text[i:end]))
		case c < ' ' || c == 0x7f:
			return f, end, d.fault("the key of the field that begins %s has a control character", clip(d.text[i:end]))
		}
	}
	f.key = d.text[i : end+1]
	if end == i {
		return f, end, d.fault("a field has no key before its =")
	}
	f.value, f.kind, next = d.value(end + 1)
	switch f.kind {
	case kindMissing:
		return f, next, d.fault("the field %s has no value", clip(d.text[i:end]))
	case kindUnclosed:
		return f, next, d.fault("the string of the field %s is not closed", clip(d.text[i:end]))
	case kindUnreadable:
		return f, next, d.fault("the value %s of the field %s is neither a number, a boolean nor a string in quotation marks", clip(d.text[end+1:next]), clip(d.text[i:end]))
	}
	return f, next, nil
}

// time reads what is behind the fields, which end at i, and returns where the next line begins.
func (d *Decoder) time(i int) (ns int64, next int, bad *fault) {
	if i = d.skipSpaces(i); i >= len(d.text) {
		return d.now, i, nil
	}
	if next, ends := d.endOfLine(i); ends {
		return d.now, next, nil
	}
	end := i
	for end < len(d.text) && !endsValue(d.text[end]) {
		end++
	}
	next, ends := d.endOfLine(d.skipSpaces(end))
	if !ends {
		return 0, i, d.fault("there is more than a timestamp behind the fields: %s", clip(d.rest(i)))
	}
	token := d.text[i:end]
	units, err := strconv.ParseInt(string(token), 10, 64)
	switch {
	case err != nil && !isRange(err) || token[0] == '+':
		return 0, i, d.fault("the timestamp %s is not a whole number", clip(token))
	case err != nil || units > math.MaxInt64/d.precision || units < math.MinInt64/d.precision:
		return 0, i, d.fault("the timestamp %s is out of range; is the precision right?", clip(token))
	}
	return units * d.precision, next, nil
}

// rest returns what is left of the line from i on.
func (d *Decoder) rest(i int) []byte {
	text, _, _ := bytes.Cut(d.text[i:], []byte{'\n'})
	return text
}
