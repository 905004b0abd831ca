package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/flopynet/collector/internal/column"
)

// Want is a set of columns.
type Want uint8

// What can be decoded beside Starts. Sums are independent of the columns behind them here; WantEnds takes
// Sums along, if the values are decimals, and WantMins and WantMaxs both.
const (
	WantCounts Want = 1 << iota // Counts and NaNs
	WantStale
	WantSums
	WantEnds // Firsts, Lasts, FirstTimes, LastTimes
	WantMins
	WantMaxs
	WantResets
	WantM2s

	WantAll Want = 1<<iota - 1
)

// scratch is what Decode needs beside the columns it fills.
type scratch struct {
	counts, nans, difference []int64
	decimals                 decimals
}

// decoder reads the columns of a chunk into dst.
type decoder struct {
	chunk  *Chunk
	dst    *Columns
	before int // points that dst had

	starts  []int64
	finite  []int64 // samples of each point that are not NaN
	gaps    bool    // there are points without
	present []int64 // finite, but not of these
	*scratch
}

// Decode appends the points to dst: Starts and the columns that are wanted. Of the others, and of Resets and
// M2s if the chunk does not keep them, nothing is left in dst once it has points. An error wraps ErrCorrupt;
// then dst means nothing until it is reset.
func (c Chunk) Decode(dst *Columns, want Want) error {
	d := decoder{chunk: &c, dst: dst, before: dst.Len(), scratch: &dst.scratch}
	d.starts = take(&dst.Starts, d.room(true))
	starts, _ := c.column(kindStarts)
	if err := c.buckets.readStarts(starts, d.starts, c.tier.Width()); err != nil {
		return err
	}
	if err := d.readCounts(want); err != nil {
		return err
	}
	if err := d.readStale(want); err != nil {
		return err
	}
	if err := d.readTimes(want); err != nil {
		return err
	}
	if err := d.readValues(want); err != nil {
		return err
	}
	return d.readResets(want)
}

// room is by how many elements a column is to grow, and from what length. A column with another length was
// not kept before.
type room struct{ before, more int }

// room returns what a column needs, if it is wanted.
func (d *decoder) room(wanted bool) room {
	if !wanted {
		return room{before: -1}
	}
	return room{before: d.before, more: d.chunk.Len()}
}

// take appends the room to a column and returns it apart; or it empties the column, if it is not wanted or
// was not kept before: then the result is nil.
func take[T any](column *[]T, r room) (added []T) {
	if len(*column) != r.before {
		*column = (*column)[:0]
		return nil
	}
	*column = slices.Grow(*column, r.more)[:r.before+r.more]
	return (*column)[r.before:]
}

// resize returns a slice of n elements, whatever they hold, in the memory of another if they fit.
func resize(values []int64, n int) []int64 {
	return slices.Grow(values[:0], n)[:n]
}

// nothingLeft demands that a column was read to its end.
func nothingLeft(rest []byte, err error) error {
	switch {
	case err == nil && len(rest) > 0:
		return fmt.Errorf("%w: %d bytes are left over behind a column", ErrCorrupt, len(rest))
	case err == nil || errors.Is(err, ErrCorrupt):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
}

// ints reads a column of integers, if it is there; else all are 0.
func (d *decoder) ints(i kind, dst []int64) error {
	src, there := d.chunk.column(i)
	if !there {
		clear(dst)
		return nil
	}
	return nothingLeft(column.Ints(src, dst))
}

// readCounts reads Counts and NaNs, which decimals need even if they are not wanted.
func (d *decoder) readCounts(want Want) error {
	n := d.chunk.Len()
	counts, nans := take(&d.dst.Counts, d.room(want&WantCounts != 0)), take(&d.dst.NaNs, d.room(want&WantCounts != 0))
	if counts == nil {
		d.counts = resize(d.counts, n)
		counts = d.counts
	}
	if nans == nil {
		d.nans = resize(d.nans, n)
		nans = d.nans
	}
	if err := d.ints(kindCounts, counts); err != nil {
		return err
	}
	if err := d.ints(kindNaNs, nans); err != nil {
		return err
	}
	d.finite = counts
	wrong := int64(0)
	if _, there := d.chunk.column(kindNaNs); there {
		d.difference = resize(d.difference, n)
		d.finite = d.difference
		for i, count := range counts {
			d.finite[i] = count - nans[i]
			wrong |= count | nans[i]
		}
	}
	for _, finite := range d.finite {
		wrong |= finite
		d.gaps = d.gaps || finite == 0
	}
	if wrong < 0 {
		return fmt.Errorf("%w: a count is negative, or more samples are NaN than there are", ErrCorrupt)
	}
	return nil
}

func (d *decoder) readStale(want Want) error {
	stale := take(&d.dst.Stale, d.room(want&WantStale != 0))
	if stale == nil {
		return nil
	}
	clear(stale)
	src, _ := d.chunk.column(kindStale)
	for at := uint64(0); len(src) > 0; at++ {
		gap, n := binary.Uvarint(src)
		if n <= 0 || gap >= uint64(len(stale))-at {
			return fmt.Errorf("%w: a stale marker is cut, or behind the last point", ErrCorrupt)
		}
		at += gap
		stale[at] = true
		src = src[n:]
	}
	return nil
}

func (d *decoder) readTimes(want Want) error {
	firsts := take(&d.dst.FirstTimes, d.room(want&WantEnds != 0))
	lasts := take(&d.dst.LastTimes, d.room(want&WantEnds != 0))
	if err := d.offsets(kindFirstTimes, firsts); err != nil {
		return err
	}
	return d.offsets(kindLastTimes, lasts)
}

func (d *decoder) offsets(i kind, dst []int64) error {
	if dst == nil {
		return nil
	}
	src, there := d.chunk.column(i)
	if !there {
		copy(dst, d.starts)
		return nil
	}
	if len(src) == 0 || src[0] > 9 {
		return fmt.Errorf("%w: the unit of times is missing or above a second", ErrCorrupt)
	}
	unit := int64(powers[src[0]])
	if err := nothingLeft(column.Ints(src[1:], dst)); err != nil {
		return err
	}
	for j, start := range d.starts {
		dst[j] = start + dst[j]*unit
	}
	return nil
}

func (d *decoder) readValues(want Want) error {
	if d.chunk.flags&flagDecimals != 0 {
		return d.readDecimals(want)
	}
	return d.readPlain(want)
}

// readPlain reads values that are as they are.
func (d *decoder) readPlain(want Want) error {
	dst := d.dst
	for _, each := range []struct {
		i      kind
		values []float64
	}{
		{kindSums, take(&dst.Sums, d.room(want&WantSums != 0))},
		{kindLasts, take(&dst.Lasts, d.room(want&WantEnds != 0))},
		{kindFirsts, take(&dst.Firsts, d.room(want&WantEnds != 0))},
		{kindMins, take(&dst.Mins, d.room(want&WantMins != 0))},
		{kindMaxs, take(&dst.Maxs, d.room(want&WantMaxs != 0))},
	} {
		if each.values == nil {
			continue
		}
		src, _ := d.chunk.column(each.i)
		if err := nothingLeft(column.Floats(src, each.values)); err != nil {
			return err
		}
	}
	src, there := d.chunk.column(kindM2s)
	if m2s := take(&dst.M2s, d.room(there && want&WantM2s != 0)); m2s != nil {
		return d.plainM2s(src, m2s)
	}
	return nil
}

func (d *decoder) plainM2s(src []byte, m2s []float64) error {
	if len(src) == 0 || src[0] != momentsPlain {
		return fmt.Errorf("%w: M2s are in a form that is unknown to this version", ErrCorrupt)
	}
	return nothingLeft(column.Floats(src[1:], m2s))
}

func (d *decoder) readResets(want Want) error {
	resets := take(&d.dst.Resets, d.room(d.chunk.HasResets() && want&WantResets != 0))
	if resets == nil {
		return nil
	}
	clear(resets)
	src, _ := d.chunk.column(kindResets)
	for at := uint64(0); len(src) > 0; at++ {
		gap, n := binary.Uvarint(src)
		if n <= 0 || gap >= uint64(len(resets))-at || len(src) < n+8 {
			return fmt.Errorf("%w: a reset is cut, or behind the last point", ErrCorrupt)
		}
		at += gap
		resets[at] = math.Float64frombits(binary.LittleEndian.Uint64(src[n:]))
		src = src[n+8:]
	}
	return nil
}
