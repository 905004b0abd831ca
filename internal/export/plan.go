package export

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Plan is an export of which the columns are known.
type Plan struct {
	Request
	Series int // that matched; those without a sample in the range included

	metric, source bool // are columns
	tags           []column
	known          map[string]bool // keys that have columns
	small          []bool          // columns of text, of which an Arrow dictionary has small numbers
}

// Progress tells how far an export is. It may be read while the export goes on.
type Progress struct {
	Rows   atomic.Int64
	Series atomic.Int64 // those that are done
}

// NewPlan looks at the series that match. ErrColumns says that there would be too many columns.
func NewPlan(ctx context.Context, db *engine.DB, r Request) (*Plan, error) {
	p := &Plan{Request: r, metric: r.MetricColumn, source: true, known: map[string]bool{}}
	wanted := r.wantedKeys()
	seen := textCount{}
	err := db.ScanSeries(ctx, r.Selection, func(s model.Series) error {
		p.Series++
		if !r.Format.isTable() && wanted == nil {
			return nil
		}
		for _, tag := range s.Tags {
			if tag.Key != model.SourceKey && (wanted == nil || wanted[tag.Key]) {
				p.known[tag.Key] = true
			}
		}
		if len(p.known) > MaxTagColumns {
			return ErrColumns
		}
		if r.Format == Arrow {
			seen.note(model.NameKey, s.Name)
			for _, tag := range s.Tags {
				if tag.Key == model.SourceKey || p.known[tag.Key] {
					seen.note(tag.Key, tag.Value)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.nameColumns()
	for _, column := range p.texts() {
		p.small = append(p.small, r.Format == Arrow && seen.few(column.key))
	}
	return p, nil
}

// nameColumns settles which columns there are.
func (p *Plan) nameColumns() {
	keys := slices.Sorted(maps.Keys(p.known))
	names := ColumnNames([]string{model.SourceKey}, keys)
	if p.Columns == nil {
		for i, key := range keys {
			p.tags = append(p.tags, column{key, names[i]})
		}
		return
	}
	p.metric, p.source = false, false
	for _, name := range p.Columns {
		switch name {
		case columnTimestamp, columnValue:
		case columnMetric:
			p.metric = true
		case model.SourceKey:
			p.source = true
		default: // a tag that no series has is a column nevertheless: what reads exports again and again relies on it
			tag := column{name, name}
			if i := slices.Index(names, name); i >= 0 {
				tag.key = keys[i]
			}
			p.tags = append(p.tags, tag)
		}
	}
	slices.SortFunc(p.tags, func(a, b column) int { return strings.Compare(a.key, b.key) })
}

// covers reports whether the series has no tag without a column. Only a series that had no samples in the
// range when the plan was made can have one; such a series is none of this export's. If the columns were asked
// for, they are all that is wanted.
func (p *Plan) covers(s *model.Series) bool {
	if !p.Format.isTable() || p.Columns != nil {
		return true
	}
	for _, tag := range s.Tags {
		if tag.Key != model.SourceKey && !p.known[tag.Key] {
			return false
		}
	}
	return true
}

// Write writes the export and returns the number of its rows. What it writes to w comes in large pieces, one at a
// time, but from other goroutines. An error means that what was written is not whole.
func (p *Plan) Write(ctx context.Context, db *engine.DB, w io.Writer, progress *Progress) (rows int64, err error) {
	encoder, err := p.newEncoder(w)
	if err != nil {
		return 0, err
	}
	f := newFlow(ctx, p, encoder, progress)
	write := func(s *model.Series, times []int64, values []float64) error {
		if !p.covers(s) {
			return nil
		}
		return f.add(s, times, values)
	}
	if p.Edges == nil {
		err = db.Scan(f.ctx, p.Selection, func(s model.Series, times []int64, values []float64) error { return write(&s, times, values) })
	} else {
		err = p.scanBuckets(f.ctx, db, write)
	}
	return f.end(err)
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
