package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const mebibyte = 1 << 20

// partScale asks how cost grows with the number of series.
const partScale = "scale"

// scale fills an engine in this process with more and more series, and measures its memory, its writing and
// its finding at each size; then it has the server take over what was not yet flushed, as after a crash.
type scale struct{}

// Names implements Part.
func (scale) Names() []string { return []string{partScale} }

// scaleSizes are the numbers of series.
func scaleSizes(quick bool) []int {
	if quick {
		return []int{1000, 10_000}
	}
	return []int{1000, 10_000, 100_000, 1_000_000}
}

// scaleFigure is a row of the table; its columns are the sizes.
type scaleFigure struct {
	name, unit string
	plot       string // the file of the plot that it is a line of; empty: none
	line       string // what it is called there
}

var (
	scalePerSeries = scaleFigure{"live heap for each active series, which has 4 samples", "bytes", "", ""}
	scaleHeap      = scaleFigure{"live heap", "MiB", "scale-memory", "live heap"}
	scaleRSS       = scaleFigure{"resident memory of the server, all series active", "MiB", "scale-memory", "resident in the server"}
	scaleNew       = scaleFigure{"first sample of new series", "samples/s", "scale-ingest", "new series"}
	scaleNewCPU    = scaleFigure{"first sample of new series", "CPU us", "", ""}
	scaleKnown     = scaleFigure{"samples of known series", "samples/s", "scale-ingest", "known series"}
	scaleKnownCPU  = scaleFigure{"samples of known series", "CPU us", "", ""}
	scaleReadyTime = scaleFigure{"ready after a crash, with replay", "s", "", ""}
	scaleReadyCPU  = scaleFigure{"ready after a crash, with replay", "CPU s", "", ""}
)

// scalePlots are the plots, by file.
var scalePlots = []Plot{
	{File: "scale-memory", Title: "Memory, by number of active series", Unit: "MiB"},
	{File: "scale-ingest", Title: "Writing, by number of series", Unit: "samples/s"},
	{File: "scale-query", Title: "Finding by tag, by number of series", Unit: "CPU ms"},
	{File: "scale-list", Title: "Lists, by number of series", Unit: "CPU ms"},
}

// Run implements Part.
func (scale) Run(ctx context.Context, run *Run) error {
	r := &scaleRun{Run: run, lines: map[scaleFigure]*Line{}}
	for _, size := range scaleSizes(run.Quick) {
		run.progress.begin(fmt.Sprintf("measuring %s series", spell(float64(size))), 1)
		if err := r.size(ctx, newPopulation(size, run.Day)); err != nil {
			return fmt.Errorf("%d series: %w", size, err)
		}
	}
	for _, plot := range scalePlots {
		plot.XLabel, plot.LogX, plot.LogY = "series", true, true
		for _, figure := range r.drawn {
			if line := r.lines[figure]; figure.plot == plot.File {
				plot.Lines = append(plot.Lines, *line)
			}
		}
		if len(plot.Lines) > 0 {
			run.Report.AddPlot(plot)
		}
	}
	return nil
}

// scaleRun is the part under way.
type scaleRun struct {
	*Run
	lines map[scaleFigure]*Line
	drawn []scaleFigure // those that have a line, in the order in which they came
}

// add notes a figure at a size.
func (r *scaleRun) add(figure scaleFigure, size int, value float64) {
	measure := Measure{"Number of series", figure.name, figure.unit}
	r.Report.Add(measure, sizeName(size), value)
	value, known := r.Report.Value(measure, sizeName(size)) // the median with those of the runs before
	if figure.plot == "" || !known {
		return
	}
	line := r.lines[figure]
	if line == nil {
		line = &Line{Name: figure.line}
		r.lines[figure] = line
		r.drawn = append(r.drawn, figure)
	}
	line.X, line.Y = append(line.X, float64(size)), append(line.Y, value)
}

func (r *scaleRun) fail(figure scaleFigure, size int, err error) error {
	var answer *wrongAnswer
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s: %w", figure.name, err)
	}
	r.Report.Fail(Measure{"Number of series", figure.name, figure.unit}, sizeName(size), err.Error())
	return nil
}

// sizeName is the column of a size.
func sizeName(size int) string { return spell(float64(size)) + " series" }

// size measures at one size.
func (r *scaleRun) size(ctx context.Context, p *population) (err error) {
	directory, err := r.newDirectory(partScale)
	if err != nil {
		return err
	}
	db, err := openEngine(directory, p.now())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := r.write(ctx, db, p); err != nil {
		return err
	}
	if err := r.find(ctx, db, p); err != nil {
		return err
	}
	if err := r.list(ctx, db, p); err != nil {
		return err
	}
	return r.serve(ctx, db, directory, p)
}

// write writes the first sample of all series, and then more of them.
func (r *scaleRun) write(ctx context.Context, db *engine.DB, p *population) error {
	ids := make([]model.SeriesID, p.size)
	before := liveHeap()
	fresh, err := p.writeNew(ctx, db, ids)
	if err != nil {
		return err
	}
	known, err := p.writeKnown(ctx, db, ids, 1, scaleSteps)
	if err != nil {
		return err
	}
	heap := float64(liveHeap() - before)
	more, err := p.writeKnown(ctx, db, ids, scaleSteps, p.steps)
	if err != nil {
		return err
	}
	known.add(more)
	samples := float64(p.size * (p.steps - 1))
	r.add(scaleNew, p.size, float64(p.size)/fresh.wall.Seconds())
	r.add(scaleNewCPU, p.size, fresh.cpu.Seconds()*1e6/float64(p.size))
	r.add(scaleKnown, p.size, samples/known.wall.Seconds())
	r.add(scaleKnownCPU, p.size, known.cpu.Seconds()*1e6/samples)
	r.add(scalePerSeries, p.size, heap/float64(p.size))
	r.add(scaleHeap, p.size, heap/mebibyte)
	return nil
}

// find asks for the sum over all time of what a few tags select: always as many series, of however many there are.
func (r *scaleRun) find(ctx context.Context, db *engine.DB, p *population) error {
	for _, q := range []struct {
		name  string
		line  string
		pairs []string // besides the metric
		of    func(host int) bool
	}{
		{"sum of 1 series, by its host", "1 series", []string{"host", hostName(7)}, func(host int) bool { return host == 7 }},
		{"sum of 10 series, by one tag", "10 series", []string{"rack", "3"}, func(host int) bool { return host/10 == 3 }},
		{"sum of 100 series, by one tag", "100 series", []string{"row", "0"}, func(host int) bool { return host/100 == 0 }},
		{"sum of 50 series, by two tags, one of which half of all have", "50 series, two tags", []string{"row", "0", "arch", "x86"},
			func(host int) bool { return host/100 == 0 && host%2 == 1 }},
	} {
		request := engine.AggregateRequest{
			Selection: engine.Selection{Matchers: matching(append(q.pairs, model.NameKey, metricName(p.metric))...), From: p.at(0), To: p.at(p.steps)},
			Edges:     []int64{p.at(0), p.at(p.steps)},
			Functions: []engine.Function{{Kind: engine.Count}, {Kind: engine.Sum}},
		}
		count, sum := p.sum(q.of)
		figure := scaleFigure{q.name, "CPU ms", "scale-query", q.line}
		var result *engine.AggregateResult
		took, err := askOften(ctx, func() (err error) {
			result, err = db.Aggregate(ctx, request)
			return err
		}, func() error {
			if len(result.Groups) != 1 || len(result.Groups[0].Values) != 2 {
				return wrong("%d groups", len(result.Groups))
			}
			return errors.Join(near("count", result.Groups[0].Values[0], float64(count), 0), near("sum", result.Groups[0].Values[1], sum, 1e-9))
		})
		if err != nil {
			if err := r.fail(figure, p.size, err); err != nil {
				return err
			}
			continue
		}
		r.add(figure, p.size, milliseconds(took.cpu))
	}
	return nil
}

// list asks for the first page of each list.
func (r *scaleRun) list(ctx context.Context, db *engine.DB, p *population) error {
	all := engine.Selection{From: model.MinTime, To: model.MaxTime}
	part := engine.Selection{From: p.at(0), To: p.at(p.steps)}
	page := engine.Page{Limit: 100}
	hosts := func(s engine.Selection) error {
		list, err := db.Values(ctx, s, "host", page)
		return checkPage(list, err, page, p.size/perHost)
	}
	for _, q := range []struct {
		name string
		line string
		ask  func() error // with its check, which takes no time
	}{
		{"all names of metrics", "metrics", func() error {
			list, err := db.Names(ctx, all, page)
			return checkPage(list, err, page, perHost)
		}},
		{"100 of the hosts", "hosts", func() error { return hosts(all) }},
		{"100 of the hosts that have samples in a part of a day", "hosts, part of a day", func() error { return hosts(part) }},
		{"the two values of arch", "a tag of two values", func() error {
			list, err := db.Values(ctx, all, "arch", page)
			return checkPage(list, err, page, 2)
		}},
		{"the 10 series of a host", "10 series", func() error {
			list, err := db.SeriesList(ctx, engine.Selection{Matchers: matching("host", hostName(7)), From: all.From, To: all.To}, page)
			return checkPage(list, err, page, perHost)
		}},
	} {
		figure := scaleFigure{"list " + q.name, "CPU ms", "scale-list", q.line}
		took, err := askOften(ctx, q.ask, func() error { return nil })
		if err != nil {
			if err := r.fail(figure, p.size, err); err != nil {
				return err
			}
			continue
		}
		r.add(figure, p.size, milliseconds(took.cpu))
	}
	return nil
}

// checkPage complains unless it is the first page of a list of so many entries.
func checkPage[T any](list *engine.List[T], err error, page engine.Page, total int) error {
	if err != nil {
		return err
	}
	if list.Total != total || len(list.Entries) != min(total, page.Limit) {
		return wrong("%d entries of %d, want %d of %d", len(list.Entries), list.Total, min(total, page.Limit), total)
	}
	return nil
}

// serve has the server take over a snapshot of the engine, whose log it has to replay: all its series are active then.
func (r *scaleRun) serve(ctx context.Context, db *engine.DB, directory string, p *population) error {
	made, err := db.Snapshot(ctx, partScale)
	if err != nil {
		return err
	}
	s, err := r.start(ctx, &collector{program: r.Program}, filepath.Join(directory, filepath.FromSlash(made.Path)), serveMode{})
	if err != nil {
		return err
	}
	ready := time.Since(s.started)
	memory, err1 := s.process.resident()
	cpu, err2 := s.process.CPU()
	s.client.close()
	s.process.Kill()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	r.add(scaleRSS, p.size, float64(memory)/mebibyte)
	r.add(scaleReadyTime, p.size, ready.Seconds())
	r.add(scaleReadyCPU, p.size, cpu.Seconds())
	return nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
