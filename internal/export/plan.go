package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Plan is an export of which the columns are known.
type Plan struct {
	Request
	Series int // that matched; those without a sample in the range included

	keys    []string // of the tag columns, ascending, without the source
	columns []string // their names
	known   map[string]bool
}

// Progress tells how far an export is. It may be read while the export goes on.
type Progress struct {
	Rows   atomic.Int64
	Series atomic.Int64 // those that are done
}

// NewPlan looks at the series that match. ErrColumns says that there would be too many columns.
func NewPlan(ctx context.Context, db *engine.DB, r Request) (*Plan, error) {
	p := &Plan{Request: r, known: map[string]bool{}}
	err := db.ScanSeries(ctx, r.Selection, func(s model.Series) error {
		p.Series++
		if !r.Format.isTable() {
			return nil
		}
		for _, tag := range s.Tags {
			if tag.Key != model.SourceKey {
				p.known[tag.Key] = true
			}
		}
		if len(p.known) > MaxTagColumns {
			return ErrColumns
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for key := range p.known {
		p.keys = append(p.keys, key)
	}
	slices.Sort(p.keys)
	p.columns = ColumnNames([]string{model.SourceKey}, p.keys)
	return p, nil
}

// covers reports whether the series has no tag without a column. Only a series that had no samples in the
// range when the plan was made can have one; such a series is none of this export's.
func (p *Plan) covers(s *model.Series) bool {
	if !p.Format.isTable() {
		return true
	}
	for _, tag := range s.Tags {
		if tag.Key != model.SourceKey && !p.known[tag.Key] {
			return false
		}
	}
	return true
}

// encoder spells blocks of rows.
type encoder interface {
	// write appends the rows of a series' block. The series is another one only if its ID is.
	write(s *model.Series, times []int64, values []float64) error
	// close writes what is left, and the end.
	close() error
}

// Write writes the export and returns the number of its rows. What it writes to w comes in large pieces. An
// error means that what was written is not whole.
func (p *Plan) Write(ctx context.Context, db *engine.DB, w io.Writer, progress *Progress) (rows int64, err error) {
	defer func() {
		if cause := recover(); cause != nil { // the libraries for Parquet and Arrow panic at times
			err = fmt.Errorf("writing %s panicked: %v", p.Format, cause)
		}
	}()
	out, err := p.newEncoder(w)
	if err != nil {
		return 0, err
	}
	last := model.SeriesID(0)
	write := func(s *model.Series, times []int64, values []float64) error {
		if !p.covers(s) {
			return nil
		}
		if s.ID != last && last != 0 {
			progress.Series.Add(1)
		}
		last = s.ID
		rows += int64(len(times))
		progress.Rows.Store(rows)
		return out.write(s, times, values)
	}
	if p.Edges == nil {
		err = db.Scan(ctx, p.Selection, func(s model.Series, times []int64, values []float64) error { return write(&s, times, values) })
	} else {
		err = p.scanBuckets(ctx, db, write)
	}
	// The encoder is closed even then, for what it holds.
	return rows, errors.Join(err, out.close())
}

// scanBuckets passes on the buckets that have a value.
func (p *Plan) scanBuckets(ctx context.Context, db *engine.DB, write func(*model.Series, []int64, []float64) error) error {
	r := engine.AggregateRequest{Selection: p.Selection, Edges: p.Edges, Functions: []engine.Function{p.Function}}
	var times []int64
	var values []float64
	_, err := db.ScanBuckets(ctx, r, func(s model.Series, g engine.Group) error {
		times, values = times[:0], values[:0]
		for i, bucket := range g.Buckets {
			if !engine.IsMissing(g.Values[i]) {
				times, values = append(times, p.Edges[bucket]), append(values, g.Values[i])
			}
		}
		if len(times) == 0 {
			return nil
		}
		return write(&s, times, values)
	})
	return err
}

func (p *Plan) newEncoder(w io.Writer) (encoder, error) {
	switch p.Format {
	case CSV:
		return newCSV(p, w), nil
	case JSON, NDJSON:
		return newJSON(p, w), nil
	case Parquet:
		return newParquet(p, w)
	case Arrow:
		return newArrow(p, w), nil
	}
	return nil, fmt.Errorf("there is no export format %q", p.Format)
}
