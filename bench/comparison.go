package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Names of the parts that share the data they write.
const (
	partIngest = "ingest"
	partDisk   = "disk"
	partQuery  = "query"
	partExport = "export"
)

// comparison writes each load into each system in turn, and asks what has been written.
type comparison struct{}

// Names implements Part.
func (comparison) Names() []string { return []string{partIngest, partDisk, partQuery, partExport} }

// load is what is written into a system with no data.
type load struct {
	shape    Shape
	variant  string
	encoding string
}

// title is the row of a load in the tables.
func (l load) title() string {
	if l.shape.Name == "cpu" {
		return l.encoding + " " + l.variant
	}
	return l.shape.Name + " " + l.encoding + " " + l.variant
}

// loads are those that the run is to compare.
func (run *Run) loads() []load {
	var loads []load
	for _, variant := range run.Variants {
		for _, encoding := range run.Encodings {
			loads = append(loads, load{cpuShape(run.Quick), variant, encoding})
		}
	}
	if slices.Contains(run.Parts, partIngest) && slices.Contains(run.Variants, variantDec2) {
		for _, encoding := range run.Encodings {
			loads = append(loads, load{highShape(run.Quick), variantDec2, encoding})
		}
	}
	return loads
}

// Run implements Part.
func (comparison) Run(ctx context.Context, run *Run) error {
	var w *Workload
	for _, l := range run.loads() {
		for _, system := range run.systems {
			if !system.takes(l.encoding) || !run.wanted(system, l) {
				continue
			}
			if w == nil || w.Shape != l.shape || w.Variant != l.variant {
				w = NewWorkload(l.shape, l.variant, run.Day)
			}
			if err := run.compareOne(ctx, system, l, w); err != nil {
				return fmt.Errorf("%s, %s: %w", system.Name(), l.title(), err)
			}
		}
	}
	return nil
}

// primary tells whether a load is the one whose data a system is asked about: that of the first encoding
// which it takes.
func (run *Run) primary(system System, l load) bool {
	for _, encoding := range run.Encodings {
		if system.takes(encoding) {
			return encoding == l.encoding && l.shape.Name == "cpu"
		}
	}
	return false
}

// wants tells whether a part is to be measured of a system with a load. Variants differ in what they take on
// disk, and full in what reading takes; the rest is measured of dec2 alone, and the slow peers are asked about no
// other.
func (run *Run) wants(part string, system System, l load) bool {
	if !slices.Contains(run.Parts, part) {
		return false
	}
	primary, only := run.primary(system, l), len(run.Variants) == 1
	isPair := system.Name() == oursName || system.Name() == baselineName
	switch part {
	case partIngest:
		return l.variant == variantDec2 || only || (primary && isPair)
	case partDisk:
		return primary && (l.variant != variantInt || only || isPair)
	case partQuery:
		return primary && (l.variant == variantDec2 || only || (l.variant == variantFull && isPair))
	default:
		return primary && len(system.exports()) > 0 && (l.variant != variantInt || only)
	}
}

// wanted tells whether anything is to be measured of a load.
func (run *Run) wanted(system System, l load) bool {
	return slices.ContainsFunc(comparison{}.Names(), func(part string) bool { return run.wants(part, system, l) })
}

// compareOne starts a system, writes a load, and asks about it.
func (run *Run) compareOne(ctx context.Context, system System, l load, w *Workload) (err error) {
	s, err := run.startNew(ctx, system, serveMode{profile: run.profileOf(system, "ingest", l)})
	if err != nil {
		return err
	}
	defer func() {
		if run.Profile != "" { // a program that is killed writes none
			err = errors.Join(err, s.stop())
		}
		err = errors.Join(err, s.discard())
	}()
	done, err := run.ingest(ctx, s, w, l)
	if err != nil {
		var status *statusError
		if ctx.Err() == nil && errors.As(err, &status) {
			run.Report.Fail(Measure{"Ingest", l.title(), "samples/s"}, system.Name(), err.Error())
			return nil // the others go on
		}
		return errors.Join(err, s.hasEnded())
	}
	run.reportIngest(system, l, done)
	run.progress.begin("settling "+system.Name(), 1)
	err = system.settle(ctx, s)
	run.progress.done()
	if err != nil {
		return fmt.Errorf("settling: %w", err)
	}
	if err := run.reportSettled(ctx, s, w, l); err != nil {
		return err
	}
	if run.wants(partDisk, system, l) {
		if s, err = run.disk(ctx, s, w, l); err != nil {
			return fmt.Errorf("measuring its size: %w", err)
		}
	}
	if run.wants(partQuery, system, l) {
		if s, err = run.queries(ctx, s, w, l); err != nil {
			return fmt.Errorf("asking: %w", err)
		}
	}
	if run.wants(partExport, system, l) {
		if s, err = run.exports(ctx, s, w, l); err != nil {
			return fmt.Errorf("exporting: %w", err)
		}
	}
	return nil
}

// reportIngest adds what writing a load took.
func (run *Run) reportIngest(system System, l load, done ingested) {
	if !run.wants(partIngest, system, l) {
		return
	}
	millions := float64(done.samples) / 1e6
	run.Report.Add(ingestRate(l), system.Name(), float64(done.samples)/done.wall.Seconds())
	run.Report.Add(ingestCPU(l), system.Name(), done.cpu.Seconds()/millions)
	run.Report.Add(peakMemory(l), system.Name(), float64(done.peak)/(1<<20))
	run.Report.Add(Measure{"Payload", l.title(), "bytes/sample"}, system.Name(), float64(done.bytes)/float64(done.samples))
}

func ingestRate(l load) Measure { return Measure{"Ingest", l.title(), "samples/s"} }
func ingestCPU(l load) Measure {
	return Measure{"Ingest: CPU of the server", l.title(), "s/million samples"}
}
func settledCPU(l load) Measure {
	return Measure{"Ingest: CPU of the server until all is settled", l.title(), "s/million samples"}
}
func peakMemory(l load) Measure { return Measure{"Ingest: peak memory", l.title(), "MiB"} }

// reportSettled adds what writing and settling took, and counts what is there: no figure of a load counts of which
// anything is missing.
func (run *Run) reportSettled(ctx context.Context, s *server, w *Workload, l load) error {
	var figures []Measure
	if run.wants(partIngest, s.system, l) {
		cpu, err := s.process.CPU()
		if err != nil {
			return err
		}
		run.Report.Add(settledCPU(l), s.system.Name(), cpu.Seconds()/(float64(w.Samples())/1e6))
		figures = append(figures, ingestRate(l), ingestCPU(l), settledCPU(l), peakMemory(l))
	}
	if run.wants(partDisk, s.system, l) {
		figures = append(figures, diskAll(l))
		if _, isOurs := s.system.(*collector); isOurs {
			figures = append(figures, diskRestarted(l), diskRaw(l), diskTiers(l), diskSketches(l), diskRest(l))
		}
	}
	if figures == nil {
		return nil
	}
	if err := s.verifyTotals(w); err != nil {
		if ended := errors.Join(ctx.Err(), s.hasEnded()); ended != nil {
			return ended
		}
		for _, figure := range figures {
			run.Report.Fail(figure, s.system.Name(), "wrong: "+err.Error())
		}
	}
	return nil
}

// verifyTotals compares count and sum of each metric with the generator's.
func (s *server) verifyTotals(w *Workload) error {
	for field := range fields {
		if err := s.verify(w, question{name: "totals", field: field, host: -1, from: w.Start, to: w.End(), function: totals}); err != nil {
			return fmt.Errorf("count and sum of %s: %w", metricName(field), err)
		}
	}
	return nil
}

// disk measures the bytes of a sample on disk.
func (run *Run) disk(ctx context.Context, s *server, w *Workload, l load) (*server, error) {
	size, err := s.system.size(s)
	if err != nil {
		return s, err
	}
	samples := float64(w.Samples())
	run.Report.Add(diskAll(l), s.system.Name(), float64(size)/samples)
	ours, isOurs := s.system.(*collector)
	if !isOurs {
		return s, nil
	}
	if err := s.stop(); err != nil {
		return s, err
	}
	usage, err := ours.usage(s.directory)
	if err != nil {
		return s, err
	}
	if size, err = s.system.size(s); err != nil {
		return s, err
	}
	run.Report.Add(diskRestarted(l), s.system.Name(), float64(size)/samples)
	for _, one := range []struct {
		measure Measure
		bytes   uint64
	}{
		{diskRaw(l), usage.RawChunks + usage.RawPostings + usage.Catalogue},
		{diskTiers(l), usage.Points5m + usage.Points1h + usage.TierPostings},
		{diskSketches(l), usage.Sketches},
		{diskRest(l), usage.Rest + usage.WAL},
	} {
		run.Report.Add(one.measure, s.system.Name(), float64(one.bytes)/samples)
	}
	return run.startAgain(ctx, s, serveMode{})
}

func diskAll(l load) Measure { return Measure{"Disk", "all, settled, " + l.variant, "bytes/sample"} }

// diskRestarted is without the logs that the chunk store keeps to write over them, up to three of 32 MiB.
func diskRestarted(l load) Measure {
	return Measure{"Disk", "all, after a restart, " + l.variant, "bytes/sample"}
}
func diskRaw(l load) Measure {
	return Measure{"Disk", "samples and their index, " + l.variant, "bytes/sample"}
}
func diskTiers(l load) Measure {
	return Measure{"Disk", "5m and 1h points, " + l.variant, "bytes/sample"}
}
func diskSketches(l load) Measure { return Measure{"Disk", "sketches, " + l.variant, "bytes/sample"} }
func diskRest(l load) Measure {
	return Measure{"Disk", "log and the rest, " + l.variant, "bytes/sample"}
}

// profileOf is the file for the profile of our server in a phase, empty if none is to be taken.
func (run *Run) profileOf(system System, phase string, l load) string {
	if _, isOurs := system.(*collector); !isOurs || run.Profile == "" {
		return ""
	}
	return run.profilePath(phase + "-" + l.shape.Name + "-" + l.encoding + "-" + l.variant)
}
