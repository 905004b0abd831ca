package engine

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/rollup"
)

// tierReader reads the points of a pin's series for one step.
type tierReader struct {
	pin  *pin
	step step
	want rollup.Want

	it, sketches *pebble.Iterator // sketches: nil unless they are needed
	columns      rollup.Columns
	hours        []rollup.SketchChunk
	values       []byte // copies of what hours refers to
	key          []byte
	chunks       int // read for the series loaded
}

func newTierReader(p *pin, s step, n needs) (_ *tierReader, err error) {
	r := &tierReader{pin: p, step: s, want: n.columns}
	if !p.stored.named {
		return r, nil
	}
	lower, upper := keys.MetricRange(s.tier, s.partition, p.nameID)
	if r.it, err = p.snapshot.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); err != nil {
		return nil, fmt.Errorf("read points: %w", err)
	}
	if n.sketch {
		lower, upper := keys.SketchRange(s.tier, s.partition, p.nameID)
		if r.sketches, err = p.snapshot.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); err != nil {
			return nil, errors.Join(fmt.Errorf("read sketches: %w", err), r.it.Close())
		}
	}
	return r, nil
}

func (r *tierReader) close() error {
	var err error
	if r.it != nil {
		err = r.it.Close()
	}
	if r.sketches != nil {
		err = errors.Join(err, r.sketches.Close())
	}
	return err
}

// load reads the points, and sketches, of series number i that begin in the step.
func (r *tierReader) load(i int) error {
	r.columns.Reset()
	r.hours, r.values = r.hours[:0], r.values[:0]
	r.chunks = 0
	id := r.pin.ids[i]
	if r.it == nil {
		return nil
	}
	r.key = keys.AppendSeriesPrefix(r.key[:0], r.step.tier, r.step.partition, r.pin.nameID, id)
	if err := r.each(r.it, r.readPoints); err != nil {
		return fmt.Errorf("series %d: points: %w", id, err)
	}
	if r.sketches != nil {
		r.key[0] = keys.PrefixSketch
		if err := r.each(r.sketches, r.readSketches); err != nil {
			return fmt.Errorf("series %d: sketches: %w", id, err)
		}
	}
	return nil
}

// each calls fn for the keys that begin with r.key, until it says that there is no more to be had.
func (r *tierReader) each(it *pebble.Iterator, fn func(key, value []byte) (more bool, err error)) error {
	if !it.Valid() || bytes.Compare(it.Key(), r.key) < 0 {
		it.SeekGE(r.key)
	}
	for ; it.Valid() && bytes.HasPrefix(it.Key(), r.key); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		r.chunks++
		if more, err := fn(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

func (r *tierReader) readPoints(key, value []byte) (more bool, err error) {
	c, err := rollup.Open(key, value)
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	if c.Last() < r.step.from || c.First() >= r.step.to {
		return c.First() < r.step.to, nil
	}
	if err := c.Decode(&r.columns, r.want); err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	return true, nil
}

func (r *tierReader) readSketches(key, value []byte) (more bool, err error) {
	start := len(r.values)
	r.values = append(r.values, value...)
	c, err := rollup.OpenSketches(key, r.values[start:len(r.values):len(r.values)])
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	if c.Last() < r.step.from || c.First() >= r.step.to {
		return c.First() < r.step.to, nil
	}
	r.hours = append(r.hours, c)
	return true, nil
}
