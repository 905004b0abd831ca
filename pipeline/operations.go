package pipeline

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/flopynet/collector/engine"
)

// crossedName is the key under which rows say which bound of a threshold they cross.
const crossedName = "crossed"

// operation changes a table.
type operation interface {
	apply(ctx context.Context, t *Table, r *resolver) error
}

// reference is the use of a column by its name.
type reference struct {
	name, path string
	alias      bool
}

// place returns the reference's column in the table, -1 if there is none. valueName is not looked for.
func (ref reference) place(t *Table, r *resolver) (int, error) {
	if ref.alias {
		return t.column(ref.name), nil
	}
	column, err := r.column(ref.name, ref.path)
	if err != nil || column == "" {
		return -1, err
	}
	return t.column(column), nil
}

// read returns a function that reads the column of a row.
func (ref reference) read(t *Table, r *resolver) (func(*Row) float64, error) {
	if ref.name == valueName && ref.alias {
		return func(row *Row) float64 { return row.Value }, nil
	}
	at, err := ref.place(t, r)
	if err != nil {
		return nil, err
	}
	return func(row *Row) float64 {
		if at < 0 {
			return engine.Missing()
		}
		return row.Values[at]
	}, nil
}

// transform is the operation of a Transform.
type transform struct {
	formula *formula
	inputs  []reference // by the formula's names
	as      string
}

func (o *transform) apply(ctx context.Context, t *Table, r *resolver) error {
	readers := make([]func(*Row) float64, len(o.inputs))
	for i, input := range o.inputs {
		var err error
		if readers[i], err = input.read(t, r); err != nil {
			return err
		}
	}
	evaluator := o.formula.evaluator()
	for i := range t.Rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		row := &t.Rows[i]
		missing := false
		for k, name := range o.formula.names {
			value := readers[k](row)
			evaluator.env[name] = value
			missing = missing || engine.IsMissing(value)
		}
		row.Value = engine.Missing()
		if missing {
			continue
		}
		result, err := evaluator.compute()
		if err != nil {
			r.warn("the formula of a row failed, which makes it null: " + err.Error())
			continue
		}
		row.Value = result
	}
	t.valued = true
	if o.as != "" {
		values := make([]float64, len(t.Rows))
		for i := range values {
			values[i] = t.Rows[i].Value
		}
		t.setColumn(o.as, values)
	}
	return checkSize(len(t.Rows), len(t.Columns))
}

// filling is the operation of a Fill.
type filling struct{ Fill }

func (o filling) apply(_ context.Context, t *Table, _ *resolver) error {
	windows := len(t.edges) - 1
	groups := len(t.Groups)
	if len(t.Rows) == 0 {
		return nil
	}
	if err := checkSize(windows*groups, len(t.Columns)); err != nil {
		return err
	}
	rows := make([]Row, windows*groups)
	for i := range rows {
		rows[i] = Row{Time: t.edges[i/groups], Group: i % groups, window: i / groups, Value: engine.Missing()}
	}
	for _, row := range t.Rows {
		rows[row.window*groups+row.Group] = row
	}
	for i := range rows {
		for len(rows[i].Values) < len(t.Columns) {
			rows[i].Values = append(rows[i].Values, engine.Missing())
		}
	}
	t.Rows = rows
	for group := range groups {
		for column := range t.Columns {
			o.column(t, group, column)
		}
	}
	return nil
}

// column fills the gaps of a column in the rows of a group.
func (o filling) column(t *Table, group, column int) {
	groups := len(t.Groups)
	known := -1 // the last window before the gap that has a value
	at := func(window int) *float64 { return &t.Rows[window*groups+group].Values[column] }
	for window := range len(t.edges) - 1 {
		value := at(window)
		if !engine.IsMissing(*value) {
			if o.Kind == FillLinear && known >= 0 {
				for between := known + 1; between < window; between++ {
					share := float64(t.edges[between]-t.edges[known]) / float64(t.edges[window]-t.edges[known])
					*at(between) = *at(known)*(1-share) + *value*share
				}
			}
			known = window
			continue
		}
		switch {
		case o.Kind == FillNumber:
			*value = o.Number
		case o.Kind == FillPrevious && known >= 0:
			*value = *at(known)
		}
	}
}

// sorting is the operation of a Sort.
type sorting struct {
	by         reference
	descending bool
}

func (o sorting) apply(_ context.Context, t *Table, r *resolver) error {
	if o.by.name == timestampName {
		t.sortByTime()
		if o.descending {
			slices.Reverse(t.Rows)
		}
		return nil
	}
	read, err := o.by.read(t, r)
	if err != nil {
		return err
	}
	slices.SortStableFunc(t.Rows, func(a, b Row) int {
		x, y := read(&a), read(&b)
		noX, noY := math.IsNaN(x), math.IsNaN(y) // a missing value is one of the NaN
		switch {
		case noX || noY:
			return cmp.Compare(boolAsInt(noX), boolAsInt(noY))
		case o.descending:
			return cmp.Compare(y, x)
		}
		return cmp.Compare(x, y)
	})
	return nil
}

func boolAsInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// limiting is the operation of a Limit.
type limiting struct{ Limit }

func (o limiting) apply(_ context.Context, t *Table, _ *resolver) error {
	t.Rows = t.Rows[:min(o.Count, len(t.Rows))]
	return nil
}

// watching is the operation of a Threshold.
type watching struct {
	Threshold
	column reference
}

func (o watching) apply(_ context.Context, t *Table, r *resolver) error {
	read, err := o.column.read(t, r)
	if err != nil {
		return err
	}
	for i := range t.Rows {
		t.Rows[i].Crossed = o.crossed(read(&t.Rows[i]))
	}
	t.marked = true
	if !o.Mark {
		t.Rows = slices.DeleteFunc(t.Rows, func(row Row) bool { return row.Crossed == "" })
	}
	return nil
}

// crossed returns which bound a value crosses.
func (o watching) crossed(value float64) string {
	switch { // a comparison with NaN, which missing values are, is false
	case o.Above != nil && value > *o.Above:
		return "above"
	case o.Below != nil && value < *o.Below:
		return "below"
	}
	return ""
}
