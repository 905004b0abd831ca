package bench

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Names of the system that is ours and of the one that its ratios are to.
const (
	oursName     = "collector"
	baselineName = "VictoriaMetrics"
)

// sections are the headings in the order in which their figures came.
func (r *Report) sections() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sections []string
	for _, measure := range r.measures {
		if !slices.Contains(sections, measure.Section) {
			sections = append(sections, measure.Section)
		}
	}
	return sections
}

// table spells the figures of a section, in Markdown: a row for each measure, a column for each system that
// has any of them, and our ratio to the baseline.
func (r *Report) table(section string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	measures := slices.DeleteFunc(slices.Clone(r.measures), func(m Measure) bool { return m.Section != section })
	systems := slices.DeleteFunc(slices.Clone(r.systems), func(system string) bool {
		return !slices.ContainsFunc(measures, func(m Measure) bool { return r.known(cell{m, system}) })
	})
	compared := slices.Contains(systems, oursName) && slices.Contains(systems, baselineName)
	header := append([]string{section, "unit"}, systems...)
	if compared {
		header = append(header, oursName+" / "+baselineName)
	}
	rows := [][]string{header}
	for _, measure := range measures {
		row := []string{measure.Name, measure.Unit}
		for _, system := range systems {
			row = append(row, r.figure(cell{measure, system}))
		}
		if compared {
			row = append(row, r.ratio(measure))
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

func (r *Report) known(place cell) bool { return len(r.values[place]) > 0 || r.problems[place] != "" }

// figure spells the median of a figure, what it failed of, or nothing.
func (r *Report) figure(place cell) string {
	switch values := r.values[place]; {
	case r.problems[place] != "":
		return "FAILED"
	case len(values) == 0:
		return ""
	default:
		return spell(median(values))
	}
}

// ratio spells what our figure is of the baseline's, where both have one.
func (r *Report) ratio(measure Measure) string {
	ours, baseline := cell{measure, oursName}, cell{measure, baselineName}
	if r.problems[ours] != "" || r.problems[baseline] != "" || len(r.values[ours]) == 0 || len(r.values[baseline]) == 0 {
		return ""
	}
	if base := median(r.values[baseline]); base != 0 {
		return spell(median(r.values[ours])/base) + "x"
	}
	return ""
}

// spell writes a figure with three significant digits, or all those of a whole number, and thousands apart.
func spell(value float64) string {
	if math.IsNaN(value) || math.IsInf(value, 0) || (value == math.Trunc(value) && math.Abs(value) < 1000) {
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(value)))))
	if decimals > 0 {
		return strconv.FormatFloat(value, 'f', decimals, 64)
	}
	digits := strconv.FormatFloat(math.Abs(value), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if value < 0 {
		return "-" + digits
	}
	return digits
}

// markdown writes rows, of which the first is the header, as a table whose columns are aligned for
// terminals too. What isn't text is aligned to the right.
func markdown(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text), 3)
		}
	}
	const left = 2 // columns of text
	var table strings.Builder
	for n, row := range rows {
		for i, text := range row {
			width := widths[i] - utf8.RuneCountInString(text)
			if i < left {
				fmt.Fprintf(&table, "| %s%s ", text, strings.Repeat(" ", width))
			} else {
				fmt.Fprintf(&table, "| %s%s ", strings.Repeat(" ", width), text)
			}
		}
		table.WriteString("|\n")
		if n == 0 {
			for i, width := range widths {
				if i < left {
					table.WriteString("| " + strings.Repeat("-", width) + " ")
				} else {
					table.WriteString("| " + strings.Repeat("-", width-1) + ": ")
				}
			}
			table.WriteString("|\n")
		}
	}
	return table.String()
}
