package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/wcharczuk/go-chart/v2"
)

// results is the text of RESULTS.md.
func (run *Run) results(ctx context.Context, took time.Duration) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Results\n\nWritten by `%s` on %s, in %v. What is measured and how is in the documentation of the package bench.\n\n",
		run.Command, time.Now().UTC().Format("2006-01-02"), took.Round(time.Second))
	fmt.Fprintf(&text, "Machine: %s. Data on %s. Load average when the run began: %s.\n\n", machine(), fileSystemOf("/proc/mounts", run.directory), run.load)
	if run.Quick {
		text.WriteString("This was a quick run: the workload is small, ranges of 24 hours are of two, and the figures say little.\n\n")
	}
	for _, system := range run.systems {
		fmt.Fprintf(&text, "- %s: %s\n", system.Name(), system.Version(ctx))
	}
	for _, note := range run.Report.notes {
		fmt.Fprintf(&text, "- %s\n", note)
	}
	if failures := run.Report.Failures(); len(failures) > 0 {
		text.WriteString("\n## Failures\n\n")
		for _, failure := range failures {
			fmt.Fprintf(&text, "- %s\n", oneLine(failure))
		}
	}
	text.WriteString("\n## Targets\n\n")
	text.WriteString(run.targetTable())
	text.WriteString("\n## Figures\n")
	if remarks := run.remarks(); len(remarks) > 0 {
		text.WriteString("\n- " + strings.Join(remarks, "\n- ") + "\n")
	}
	for _, section := range run.Report.sections() {
		fmt.Fprintf(&text, "\n%s", run.Report.table(section))
	}
	if len(run.Report.plots) > 0 {
		text.WriteString("\n## Plots\n\n")
		for _, plot := range run.Report.plots {
			fmt.Fprintf(&text, "![%s](plots/%s.svg)\n\n", plot.Title, plot.File)
		}
	}
	return text.String()
}

// remarks say where figures beside each other aren't of quite the same thing.
func (run *Run) remarks() []string {
	var remarks []string
	say := func(text string, needed ...cell) {
		for _, one := range needed {
			if _, known := run.Report.Value(one.measure, one.system); !known {
				return
			}
		}
		remarks = append(remarks, text)
	}
	dec2 := load{variant: variantDec2}
	asked := func(query, system string) cell {
		p50, _ := queryMeasures(dec2, query, "")
		return cell{p50, system}
	}
	say(fmt.Sprintf("p99 is of %d answers, or of as many as come in %v, %d at least; of fewer than 100 it is the slowest.", run.queryRuns(), queryTime, leastRuns), asked(queryA, oursName))
	say("d0: VictoriaMetrics answers from a histogram, and may be 15 % off; ours are exact.", asked(queryD0, oursName), asked(queryD0, baselineName))
	say("d1: Prometheus is asked for one percentile, the others for four.", asked(queryD1, (&prometheus{}).Name()))
	lines := exportRate(dec2, exportLines)
	say("JSON lines: ours are a row each, with its tags; those of VictoriaMetrics are a series each, with arrays. CSV has the same columns of both.", cell{lines, oursName}, cell{lines, baselineName})
	return remarks
}

// oneLine makes a text fit for an item of a list.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// machine describes what the run was on.
func machine() string {
	parts := []string{fmt.Sprintf("%d CPUs (%s), %s/%s, %s", runtime.NumCPU(), procField("/proc/cpuinfo", "model name"), runtime.GOOS, runtime.GOARCH, runtime.Version())}
	if total := procField("/proc/meminfo", "MemTotal"); total != "" {
		parts = append(parts, total+" of memory")
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts = append(parts, "Linux "+strings.TrimSpace(string(kernel)))
	}
	return strings.Join(parts, ", ")
}

// loadAverage is that of the last 1, 5 and 15 minutes: whether others are at work on the machine.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) >= 3 {
		return strings.Join(fields[:3], ", ")
	}
	return "unknown"
}

// fileSystemOf is the type of the file system that a folder is on, as a table of mounts has it. What an fsync
// costs hangs on it: nothing on tmpfs.
func fileSystemOf(mounts, folder string) string {
	text, err := os.ReadFile(mounts)
	if err != nil {
		return "unknown"
	}
	kind, longest := "unknown", -1
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		inside, err := filepath.Rel(fields[1], folder)
		if err == nil && filepath.IsLocal(inside) && len(fields[1]) >= longest {
			kind, longest = fields[2], len(fields[1])
		}
	}
	return kind
}

// procField is the value of the first line of that name in a file of "name: value" lines, empty if there is none.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// writePlots draws all plots into the folder plots.
func (run *Run) writePlots() error {
	directory := filepath.Join(run.Out, "plots")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, plot := range run.Report.plots {
		file, err := os.Create(filepath.Join(directory, plot.File+".svg"))
		if err != nil {
			return err
		}
		if err := plot.render(chart.SVG, file); err != nil {
			_ = file.Close() // the first error says why
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// addComparisonPlots draws throughput and latency as bars, from the report's figures.
func (run *Run) addComparisonPlots() {
	var rates, latencies []BarGroup
	for _, measure := range run.Report.measures {
		group := BarGroup{Name: measure.Name}
		for _, system := range run.Report.systems {
			if value, ok := run.Report.Value(measure, system); ok {
				group.Bars = append(group.Bars, Bar{system, value})
			}
		}
		switch {
		case len(group.Bars) == 0:
		case measure.Section == "Ingest":
			rates = append(rates, group)
		case measure.Section == "Queries, "+variantDec2 && measure.Unit == "ms p50":
			group.Name, _, _ = strings.Cut(group.Name, ":")
			latencies = append(latencies, group)
		}
	}
	if rates != nil {
		run.Report.AddPlot(Plot{File: "throughput", Title: "Writing", Unit: "samples/s", Bars: rates})
	}
	if latencies != nil {
		run.Report.AddPlot(Plot{File: "latency", Title: "Queries without a cache of answers, median", Unit: "ms", LogY: true, Bars: latencies})
	}
}

// profilePath is where a profile of this name goes.
func (run *Run) profilePath(name string) string { return filepath.Join(run.Profile, name+".pprof") }
