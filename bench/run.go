package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options says what to compare, and how.
type Options struct {
	Program   string        // the collector's own; it is run as "collector serve"
	Peers     []string      // of PeerNames; empty: those that are installed
	Encodings []string      // of EncodingNames; empty: all
	Variants  []string      // of VariantNames; empty: all
	Parts     []string      // of PartNames; empty: all
	Quick     bool          // a small workload, to see that all works
	Repeat    int           // runs in turn, of which the medians count; 0: 1
	Out       string        // the folder for RESULTS.md and plots
	Profile   string        // a folder for profiles of our server; empty: none
	Command   string        // how the run was called, for RESULTS.md
	Timeout   time.Duration // of the whole run; 0: none
	Stdout    io.Writer     // for the tables
	Stderr    io.Writer     // for progress
}

// Run is a comparison under way, as its parts see it.
type Run struct {
	Options
	Report *Report
	Day    time.Time // the start of the day, the last whole one in UTC, that the data is of

	load      string // average, before it began
	directory string // for data; removed in the end
	processes processes
	progress  *progress
	systems   []System // to be compared, ours first
}

// Compare runs the selected parts, prints tables and writes RESULTS.md and plots. It ends with an error if
// anything answered wrongly, after all else was written.
func Compare(ctx context.Context, options Options) (err error) {
	run, err := newRun(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(run.directory)) }()
	defer run.processes.killAll()
	if run.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, run.Timeout)
		defer cancel()
	}
	// What waits for an answer of theirs is let go at once.
	defer context.AfterFunc(ctx, run.processes.killAll)()
	began := time.Now()
	// What was measured until something failed, or somebody had enough, is worth being seen.
	failed := run.runParts(ctx)
	if failed != nil {
		run.Report.Note("This run ended early: " + oneLine(failed.Error()))
	}
	return errors.Join(failed, run.finish(context.WithoutCancel(ctx), time.Since(began)))
}

// runParts runs all selected parts, and again for each repeat.
func (run *Run) runParts(ctx context.Context) error {
	for repeat := range run.Repeat {
		if run.Repeat > 1 {
			run.progress.say("run %d of %d", repeat+1, run.Repeat)
		}
		for _, part := range selectedParts(run.Parts) {
			if err := part.Run(ctx, run); err != nil {
				return fmt.Errorf("part %s: %w", strings.Join(part.Names(), ", "), err)
			}
		}
	}
	return nil
}

// newRun checks the options, fills in what was left out, and makes room.
func newRun(options Options) (*Run, error) {
	for _, list := range []struct {
		flag  string
		given *[]string
		valid []string
	}{
		{"peers", &options.Peers, append(PeerNames(), "none")},
		{"encodings", &options.Encodings, EncodingNames()},
		{"variants", &options.Variants, VariantNames()},
		{"parts", &options.Parts, PartNames()},
	} {
		if err := checkNames(list.flag, *list.given, list.valid); err != nil {
			return nil, err
		}
		if len(*list.given) == 0 {
			*list.given = slices.DeleteFunc(slices.Clone(list.valid), func(name string) bool { return name == "none" })
		}
	}
	options.Repeat = max(options.Repeat, 1)
	run := &Run{Options: options, Day: time.Now().UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour), load: loadAverage(), progress: &progress{out: options.Stderr}}
	if err := run.findSystems(); err != nil {
		return nil, err
	}
	names := make([]string, len(run.systems))
	for i, system := range run.systems {
		names[i] = system.Name()
	}
	run.Report = NewReport(names...)
	if run.Profile != "" {
		if err := os.MkdirAll(run.Profile, 0o755); err != nil {
			return nil, err
		}
	}
	directory, err := os.MkdirTemp("", "collector-bench-")
	run.directory = directory
	return run, err
}

// findSystems looks for the programs to compare. A peer that isn't there is left out with a word.
func (run *Run) findSystems() error {
	run.systems = []System{&collector{program: run.Program}}
	for _, peer := range peers() {
		if !slices.Contains(run.Peers, peer.Key()) {
			continue
		}
		if err := peer.Find(); err != nil {
			run.progress.say("left out: %v", err)
			continue
		}
		run.systems = append(run.systems, peer)
	}
	return nil
}

// newDirectory makes an empty one for the data of a system.
func (run *Run) newDirectory(name string) (string, error) {
	return os.MkdirTemp(run.directory, strings.ReplaceAll(name, " ", "-")+"-")
}

// finish prints the tables and writes the results.
func (run *Run) finish(ctx context.Context, took time.Duration) error {
	for _, section := range run.Report.sections() {
		fmt.Fprintf(run.Stdout, "\n%s", run.Report.table(section))
	}
	run.addComparisonPlots()
	text := run.results(ctx, took)
	if err := os.MkdirAll(run.Out, 0o755); err != nil {
		return err
	}
	undrawn := run.writePlots() // the results are worth being seen without them
	path := filepath.Join(run.Out, "RESULTS.md")
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), undrawn); err != nil {
		return err
	}
	run.progress.say("written: %s", path)
	if failures := run.Report.Failures(); len(failures) > 0 {
		return fmt.Errorf("%d figures failed:\n%s", len(failures), strings.Join(failures, "\n"))
	}
	return nil
}
