package bench

import (
	"slices"
	"sync"
)

// Measure names one figure. Two of the same section, name and unit are the same figure.
type Measure struct {
	Section string // the heading of its table, such as "Ingest"
	Name    string // its row, such as "influx dec2"
	Unit    string // such as "samples/s"
}

// cell is the place of a figure in the tables.
type cell struct {
	measure Measure
	system  string
}

// Report gathers what a run finds. Its methods may be called from several goroutines.
type Report struct {
	mu       sync.Mutex
	measures []Measure // in the order in which they came
	systems  []string  // likewise
	values   map[cell][]float64
	problems map[cell]string
	notes    []string
	plots    []Plot
}

// NewReport returns an empty report whose columns are these systems, in this order, and those that come later.
func NewReport(systems ...string) *Report {
	return &Report{systems: systems, values: map[cell][]float64{}, problems: map[cell]string{}}
}

// Add notes one value of a figure. Several values of one, from repeats, are shown as their median.
func (r *Report) Add(measure Measure, system string, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := r.place(measure, system)
	r.values[place] = append(r.values[place], value)
}

// Fail notes why there is no figure, or none that counts: a wrong answer stands in the place of the value,
// however fast it was. The first reason stays.
func (r *Report) Fail(measure Measure, system, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if place := r.place(measure, system); r.problems[place] == "" {
		r.problems[place] = reason
	}
}

// Note adds a remark on the whole run; the same one is kept once.
func (r *Report) Note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// AddPlot adds a plot, or replaces the one of the same file.
func (r *Report) AddPlot(plot Plot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.plots, func(p Plot) bool { return p.File == plot.File }); i >= 0 {
		r.plots[i] = plot
		return
	}
	r.plots = append(r.plots, plot)
}

// place returns where a figure goes, and makes its row and column. The lock must be held.
func (r *Report) place(measure Measure, system string) cell {
	if !slices.Contains(r.measures, measure) {
		r.measures = append(r.measures, measure)
	}
	if !slices.Contains(r.systems, system) {
		r.systems = append(r.systems, system)
	}
	return cell{measure, system}
}

// Value returns the median of a figure's values, and false if it has none or has failed.
func (r *Report) Value(measure Measure, system string) (float64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := cell{measure, system}
	if values := r.values[place]; len(values) > 0 && r.problems[place] == "" {
		return median(values), true
	}
	return 0, false
}

// failed tells whether a figure has failed.
func (r *Report) failed(measure Measure, system string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.problems[cell{measure, system}] != ""
}

// Failures lists what failed, a line each.
func (r *Report) Failures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, measure := range r.measures {
		for _, system := range r.systems {
			if reason := r.problems[cell{measure, system}]; reason != "" {
				lines = append(lines, measure.Section+", "+measure.Name+", "+measure.Unit+", "+system+": "+reason)
			}
		}
	}
	return lines
}

// median is the middle value, or the mean of the two middle ones.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
