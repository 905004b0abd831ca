package rollup

import (
	"encoding/binary"
	"fmt"
)

// readDecimals reads values that are decimals: of each column the integers, and the columns these are
// predicted from, whether they are wanted or not.
func (d *decoder) readDecimals(want Want) error {
	c, dst := d.chunk, d.dst
	m2Bytes, hasM2s := c.column(kindM2s)
	m2s := take(&dst.M2s, d.room(hasM2s && want&WantM2s != 0))
	mins, maxs := take(&dst.Mins, d.room(want&WantMins != 0)), take(&dst.Maxs, d.room(want&WantMaxs != 0))
	firsts, lasts := take(&dst.Firsts, d.room(want&WantEnds != 0)), take(&dst.Lasts, d.room(want&WantEnds != 0))
	sums := take(&dst.Sums, d.room(want&WantSums != 0))
	needEnds := mins != nil || maxs != nil || firsts != nil || lasts != nil
	if sums == nil && m2s == nil && !needEnds {
		return nil
	}
	d.rows()
	if err := d.restoreSums(sums); err != nil {
		return err
	}
	if m2s != nil {
		if err := d.restoreM2s(m2Bytes, m2s); err != nil {
			return err
		}
	}
	if !needEnds {
		return nil
	}
	if err := d.restoreEnds(firsts, lasts); err != nil {
		return err
	}
	return d.restoreExtremes(mins, maxs)
}

// rows prepares the decimals' columns: one row for each point with numbers.
func (d *decoder) rows() {
	n := &d.decimals
	n.exponent = d.chunk.exponent
	n.resize(d.chunk.Len())
	if !d.gaps {
		d.present = d.finite
		return
	}
	row := 0
	for _, count := range d.finite {
		if count > 0 {
			n.counts[row] = count
			row++
		}
	}
	n.truncate(row)
	d.present = n.counts
}

// residuals reads the method of a column, if there is a choice, and its residuals.
func residuals(src []byte, dst []int64, methods int) (m method, rest []byte, err error) {
	if methods > 0 {
		if len(src) == 0 || int(src[0]) >= methods {
			return 0, nil, fmt.Errorf("%w: a column's prediction is missing or unknown to this version", ErrCorrupt)
		}
		m, src = method(src[0]), src[1:]
	}
	rest, err = readRice(src, dst)
	return m, rest, err
}

func (d *decoder) residuals(i kind, dst []int64, methods int) (m method, rest []byte, err error) {
	src, _ := d.chunk.column(i)
	return residuals(src, dst, methods)
}

func (d *decoder) restoreSums(sums []float64) error {
	n := &d.decimals
	src, _ := d.chunk.column(kindSums)
	first, used := binary.Varint(src)
	if used <= 0 {
		return errShort
	}
	m, patches, err := residuals(src[used:], n.sums, sumMethods)
	if err != nil {
		return err
	}
	predictSums(n.sums, n.sums, m, restore, d.present, first)
	if sums == nil {
		return nil
	}
	n.put(sums, d.finite, n.sums)
	return applyPatches(patches, sums)
}

func (d *decoder) restoreM2s(src []byte, m2s []float64) error {
	if len(src) == 0 || src[0] != momentsSquares {
		return d.plainM2s(src, m2s)
	}
	n := &d.decimals
	patches, err := readRice(src[1:], n.unused)
	if err != nil {
		return err
	}
	n.restoreM2s(m2s, d.finite, n.unused)
	return applyPatches(patches, m2s)
}

func (d *decoder) restoreEnds(firsts, lasts []float64) error {
	n := &d.decimals
	m, rest, err := d.residuals(kindLasts, n.lasts, lastMethods)
	if err := nothingLeft(rest, err); err != nil {
		return err
	}
	predictLasts(n.lasts, n.lasts, m, restore, d.present, n.sums)
	m, rest, err = d.residuals(kindFirsts, n.firsts, firstMethods)
	if err := nothingLeft(rest, err); err != nil {
		return err
	}
	predictFirsts(n.firsts, n.firsts, m, restore, n.lasts)
	if firsts != nil {
		n.put(firsts, d.finite, n.firsts)
	}
	if lasts != nil {
		n.put(lasts, d.finite, n.lasts)
	}
	return nil
}

func (d *decoder) restoreExtremes(mins, maxs []float64) error {
	n := &d.decimals
	if mins != nil {
		_, rest, err := d.residuals(kindMins, n.mins, 0)
		if err := nothingLeft(rest, err); err != nil {
			return err
		}
		predictMins(n.mins, n.mins, n.firsts, n.lasts)
		n.put(mins, d.finite, n.mins)
	}
	if maxs != nil {
		_, rest, err := d.residuals(kindMaxs, n.maxs, 0)
		if err := nothingLeft(rest, err); err != nil {
			return err
		}
		predictMaxs(n.maxs, n.maxs, restore, n.firsts, n.lasts)
		n.put(maxs, d.finite, n.maxs)
	}
	return nil
}
