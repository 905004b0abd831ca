package pipeline

import (
	"cmp"
	"slices"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Limits of a run.
const (
	maxMetrics = 1000
	maxRows    = 100_000
	maxValues  = 1_000_000 // rows times columns
	maxBytes   = 128 << 20 // of the rows as JSON, by estimate; each repeats its columns' names and its group's tags
)

// Table is what a run computes: rows of values by window and group.
type Table struct {
	Columns []string     // names of the values
	Groups  []model.Tags // nil: there is one, of all series
	Rows    []Row
	grouped bool
	valued  bool // a formula gave the rows a value
	marked  bool // a threshold told the rows
	edges   []int64
}

// Row is a row of a Table. A missing value is engine.Missing().
type Row struct {
	Time    int64 // where the window begins, in nanoseconds since the epoch
	Group   int
	Values  []float64 // by column
	Value   float64   // of the last formula
	Crossed string    // the bound that a threshold found crossed: above, below or ""
	window  int
}

// column returns the place of a column, -1 if there is none.
func (t *Table) column(name string) int { return slices.Index(t.Columns, name) }

// setColumn adds a column, or replaces the one of the name; values are by row.
func (t *Table) setColumn(name string, values []float64) {
	at := t.column(name)
	if at < 0 {
		at = len(t.Columns)
		t.Columns = append(t.Columns, name)
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		if at == len(row.Values) {
			row.Values = append(slices.Clip(row.Values), values[i])
		} else {
			row.Values[at] = values[i]
		}
	}
}

// tableBuilder joins the aggregations of several metrics by window and group.
type tableBuilder struct {
	table    *Table
	groupOf  map[string]int // by the encoded tags
	rowOf    map[rowKey]int
	identity []byte
}

type rowKey struct{ group, window int }

func newTableBuilder(edges []int64, grouped bool) *tableBuilder {
	return &tableBuilder{
		table:   &Table{edges: edges, grouped: grouped},
		groupOf: make(map[string]int), rowOf: make(map[rowKey]int),
	}
}

// add takes in the aggregation of a metric, with a value by function.
func (b *tableBuilder) add(metric string, functions []string, result *engine.AggregateResult) error {
	first := len(b.table.Columns)
	for _, function := range functions {
		b.table.Columns = append(b.table.Columns, function+"_"+metric)
	}
	for _, group := range result.Groups {
		number := b.group(group.Tags)
		for i, window := range group.Buckets {
			row := b.row(number, window)
			for len(row.Values) < first {
				row.Values = append(row.Values, engine.Missing())
			}
			row.Values = append(row.Values, group.Values[i*len(functions):(i+1)*len(functions)]...)
		}
	}
	return checkSize(len(b.table.Rows), len(b.table.Columns))
}

func (b *tableBuilder) group(tags model.Tags) int {
	b.identity = model.AppendIdentity(b.identity[:0], "", tags)
	number, known := b.groupOf[string(b.identity)]
	if !known {
		number = len(b.table.Groups)
		b.groupOf[string(b.identity)] = number
		b.table.Groups = append(b.table.Groups, tags)
	}
	return number
}

func (b *tableBuilder) row(group, window int) *Row {
	at, known := b.rowOf[rowKey{group, window}]
	if !known {
		at = len(b.table.Rows)
		b.rowOf[rowKey{group, window}] = at
		b.table.Rows = append(b.table.Rows, Row{Time: b.table.edges[window], Group: group, window: window, Value: engine.Missing()})
	}
	return &b.table.Rows[at]
}

// finish completes the rows and puts them in the order of time and group, the groups by their tags.
func (b *tableBuilder) finish() *Table {
	t := b.table
	order := make([]int, len(t.Groups))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return slices.CompareFunc(t.Groups[i], t.Groups[j], func(a, b model.Tag) int {
			return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
		})
	})
	groups, place := make([]model.Tags, len(order)), make([]int, len(order))
	for i, group := range order {
		groups[i], place[group] = t.Groups[group], i
	}
	t.Groups = groups
	for i := range t.Rows {
		row := &t.Rows[i]
		row.Group = place[row.Group]
		for len(row.Values) < len(t.Columns) {
			row.Values = append(row.Values, engine.Missing())
		}
	}
	t.sortByTime()
	return t
}

func (t *Table) sortByTime() {
	slices.SortFunc(t.Rows, func(a, b Row) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Group, b.Group)) })
}

// checkSize refuses a table that would take too much memory.
func checkSize(rows, columns int) error {
	switch {
	case rows > maxRows:
		return &engine.LimitError{Limit: "rows of a pipeline", Max: maxRows,
			Advice: "use a wider window, a shorter range or fewer groups"}
	case rows*columns > maxValues:
		return &engine.LimitError{Limit: "values of a pipeline", Max: maxValues,
			Advice: "filter by metric, use a wider window, a shorter range, or fewer groups or functions"}
	}
	return nil
}

// checkBytes refuses a table whose JSON would take too much memory.
func (t *Table) checkBytes() error {
	const ofRow, ofValue, ofTag = 60, 24, 6 // bytes beside names and tags
	columns := ofRow
	for _, name := range t.Columns {
		columns += len(name) + ofValue
	}
	groups := make([]int, len(t.Groups))
	for i, tags := range t.Groups {
		for _, tag := range tags {
			groups[i] += len(tag.Key) + len(tag.Value) + ofTag
		}
	}
	bytes := 0
	for i := range t.Rows {
		bytes += columns + groups[t.Rows[i].Group]
	}
	if bytes <= maxBytes {
		return nil
	}
	return &engine.LimitError{Limit: "bytes of a pipeline's rows", Max: maxBytes,
		Advice: "group by fewer tags, use a wider window or a shorter range, or add a limit step"}
}
