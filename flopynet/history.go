package flopynet

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// HistoryQuery asks what was measured of the components. FLOPY-NET's collector kept a row for each poll; here rows are put
// together from the series: one for each component and interval in which it has samples.
type HistoryQuery struct {
	Type      string // fl_server, policy_engine, network, system, policy_count or decision_count (by the hour); "": the first four
	Component string // its source; "": any

	// From and To are nanoseconds since the epoch, [From, To). From 0: a day before To or, if there is nothing in it, before
	// the newest sample.
	From, To int64

	Limit, Offset int
	Ascending     bool
}

// History is a page of rows.
type History struct {
	Rows     []*HistoryRow
	Total    int           // rows of all pages
	Interval time.Duration // that each row is of
}

// HistoryRow is what was measured of a component in an interval. Data has the last value of each metric in it by its name;
// where several series have that name, an object of them by their tags.
type HistoryRow struct {
	Timestamp  string         `json:"timestamp"` // the interval's begin
	Type       string         `json:"type"`
	MetricType string         `json:"metric_type"` // the type again, as the dashboard's other half calls it
	Component  string         `json:"source_component"`
	Data       map[string]any `json:"data"`
}

// historyRange is how far back rows go when it isn't said. maxIntervals bounds the intervals of a range: beyond, they
// become longer.
const (
	historyRange = int64(24 * time.Hour)
	maxIntervals = 20_000
)

// History returns rows, the newest first unless Ascending is set; those of one interval in the order of the types above.
func (t *Testbed) History(ctx context.Context, q HistoryQuery) (*History, error) {
	wanted := kindsOf(q.Type, q.Component)
	open := q.From == 0
	if open {
		q.From = max(q.To-historyRange, model.MinTime)
	}
	h, err := t.history(ctx, wanted, q)
	if err != nil || !open || h.Total > 0 {
		return h, err
	}
	newest, found, err := t.newest(ctx, wanted, q.To)
	if err != nil || !found {
		return h, err
	}
	q.From, q.To = max(newest+1-historyRange, model.MinTime), newest+1
	return t.history(ctx, wanted, q)
}

// newest is the time of the last sample before to of some kinds.
func (t *Testbed) newest(ctx context.Context, wanted []kind, to int64) (newest int64, found bool, err error) {
	for _, k := range wanted {
		samples, _, err := t.latest(ctx, k, to)
		if err != nil {
			return 0, false, err
		}
		for _, sample := range samples {
			newest, found = max(newest, sample.Time), true
		}
	}
	return newest, found, nil
}

// latest returns the newest samples before to of the series that rows of a kind have.
func (t *Testbed) latest(ctx context.Context, k kind, to int64) ([]engine.LatestSample, *columns, error) {
	c, err := t.columns(ctx, k, model.MinTime, to)
	if err != nil {
		return nil, nil, err
	}
	var all []engine.LatestSample
	for _, name := range c.names {
		samples, err := t.db.Latest(ctx, engine.Selection{From: model.MinTime, To: to, Matchers: k.matchers(name)}, maxSeriesLooked)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, slices.DeleteFunc(samples, func(s engine.LatestSample) bool { _, shown := c.series[s.Series.ID]; return !shown })...)
	}
	return all, c, nil
}

// matchers select a metric of a kind.
func (k kind) matchers(name string) []*model.Matcher {
	return []*model.Matcher{model.EqualMatcher(model.NameKey, name), model.EqualMatcher(model.SourceKey, k.source)}
}

// history is History for a range that is known.
func (t *Testbed) history(ctx context.Context, wanted []kind, q HistoryQuery) (*History, error) {
	h := &History{Interval: t.rowInterval(wanted, q.To-q.From), Rows: []*HistoryRow{}}
	edges := edgesOf(q.From, q.To, int64(h.Interval))
	all := make([]*kindRows, len(wanted))
	for i, k := range wanted {
		all[i] = &kindRows{kind: k, rows: map[int]*HistoryRow{}}
		if err := all[i].find(ctx, t, edges, q); err != nil {
			return nil, err
		}
		for _, present := range all[i].present {
			if present {
				h.Total++
			}
		}
	}
	h.choose(all, edges, q)
	for _, rows := range all {
		if err := rows.fill(ctx, t, edges, q); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// rowInterval is that of the slowest poll among the kinds, or a multiple of it where the range would have too many.
func (t *Testbed) rowInterval(wanted []kind, length int64) time.Duration {
	interval := time.Duration(0)
	for _, k := range wanted {
		interval = max(interval, k.interval)
		if k.interval == 0 {
			interval = max(interval, t.Interval(k.source))
		}
	}
	if interval <= 0 {
		interval = defaultInterval
	}
	times := (length/int64(interval) + maxIntervals) / maxIntervals
	return time.Duration(max(times, 1)) * interval
}

// edgesOf are those of the intervals that a range touches, aligned to the epoch.
func edgesOf(from, to, interval int64) []int64 {
	edges := []int64{from - from%interval}
	for last := edges[0]; last < to; {
		if last += interval; last < 0 { // beyond the end of time
			last = math.MaxInt64
		}
		edges = append(edges, last)
	}
	return edges
}

// kindRows are the rows of a kind.
type kindRows struct {
	kind
	columns *columns
	present []bool              // by interval: whether there is a row
	rows    map[int]*HistoryRow // of the page, by interval
}

// find looks where there are rows.
func (k *kindRows) find(ctx context.Context, t *Testbed, edges []int64, q HistoryQuery) (err error) {
	if k.columns, err = t.columns(ctx, k.kind, q.From, q.To); err != nil {
		return err
	}
	k.present = make([]bool, len(edges)-1)
	return k.scan(ctx, t, edges, q, engine.Count, func(_ column, interval int, _ float64) { k.present[interval] = true })
}

// scan calls fn with a function of each series' samples, interval by interval.
func (k *kindRows) scan(ctx context.Context, t *Testbed, edges []int64, q HistoryQuery, function engine.FunctionKind, fn func(c column, interval int, value float64)) error {
	for _, name := range k.columns.names {
		request := engine.AggregateRequest{
			Selection: engine.Selection{From: q.From, To: q.To, Matchers: k.matchers(name)},
			Edges:     edges, Functions: []engine.Function{{Kind: function}},
		}
		_, err := t.db.ScanBuckets(ctx, request, func(s model.Series, g engine.Group) error {
			if place, shown := k.columns.series[s.ID]; shown {
				for i, interval := range g.Buckets {
					fn(place, interval, g.Values[i])
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// maxPageSeries bounds the series that the rows of a page have, all together: there are fewer rows where they are many.
const maxPageSeries = 1_000_000

// choose makes the rows of the page, without their values.
func (h *History) choose(all []*kindRows, edges []int64, q HistoryQuery) {
	skip, series := q.Offset, 0
	for n := range len(edges) - 1 {
		interval := n
		if !q.Ascending {
			interval = len(edges) - 2 - n
		}
		for _, k := range all {
			switch {
			case !k.present[interval]:
			case skip > 0:
				skip--
			case len(h.Rows) == q.Limit || series >= maxPageSeries:
				return
			default:
				series += len(k.columns.series)
				k.rows[interval] = k.row(edges[interval])
				h.Rows = append(h.Rows, k.rows[interval])
			}
		}
	}
}

// row makes a row without values.
func (k kind) row(ns int64) *HistoryRow {
	return &HistoryRow{Timestamp: string(timefmt.AppendTime(nil, ns)), Type: k.name, MetricType: k.name, Component: k.source, Data: map[string]any{}}
}

// fill reads the values of the page's rows.
func (k *kindRows) fill(ctx context.Context, t *Testbed, edges []int64, q HistoryQuery) error {
	if len(k.rows) == 0 {
		return nil
	}
	first, last := len(edges), 0
	for interval := range k.rows {
		first, last = min(first, interval), max(last, interval)
	}
	err := k.scan(ctx, t, edges[first:last+2], q, engine.Last, func(c column, interval int, value float64) {
		if row := k.rows[first+interval]; row != nil && isFinite(value) {
			c.put(row.Data, value)
		}
	})
	for interval, row := range k.rows {
		k.finish(row.Data, edges[interval])
	}
	return err
}

// isFinite reports whether JSON has the value.
func isFinite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

// finish adds to a row's data what the dashboard reads of it beside the values: when they were, in seconds since the epoch,
// whose they are and, of the rows for its policy chart, what it draws.
func (k kind) finish(data map[string]any, ns int64) {
	data["timestamp"] = epochSeconds(ns)
	data["component"], data["source_component"] = k.source, k.source
	for alias, name := range k.aliases {
		if value, known := data[name]; known {
			data[alias] = value
		}
	}
	for _, name := range k.totals {
		if value, known := data[name]; known {
			data["metric_value"] = value
			return
		}
	}
}
