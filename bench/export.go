package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// exportFormat is a way to get the samples of a metric out of a system.
type exportFormat struct {
	name string // as in the tables
	path func(w *Workload, field int) string

	// read reads a body and hands each sample to the check.
	read func(body io.Reader, check *rowCheck) error
}

// Names of formats, as in the tables.
const (
	exportCSV     = "CSV"
	exportLines   = "JSON lines"
	exportParquet = "Parquet"
	exportArrow   = "Arrow"
)

// exportRuns is how often each format is timed; one more is read and compared before.
const exportRuns = 5

func exportRate(l load, format string) Measure {
	return Measure{"Export of 1 metric, " + l.variant, format, "rows/s"}
}

// exports times each format of a system. What is timed is only counted; it has as many bytes as what was
// compared, row by row, with the generator.
func (run *Run) exports(ctx context.Context, s *server, w *Workload, l load) (*server, error) {
	if profile := run.profileOf(s.system, partExport, l); profile != "" {
		var err error
		if s, err = run.restart(ctx, s, serveMode{profile: profile}); err != nil {
			return s, err
		}
	}
	for _, format := range s.system.exports() {
		run.progress.begin(fmt.Sprintf("exporting %s of %s from %s", format.name, l.variant, s.system.Name()), exportRuns)
		rate, err := run.timeExport(ctx, s, w, format)
		run.progress.done()
		if err != nil {
			if err := errors.Join(ctx.Err(), s.hasEnded()); err != nil {
				return s, err
			}
			run.Report.Fail(exportRate(l, format.name), s.system.Name(), "wrong: "+err.Error())
			continue
		}
		run.Report.Add(exportRate(l, format.name), s.system.Name(), rate)
	}
	return s, nil
}

// timeExport returns the rows a second of a format, the median of some runs.
func (run *Run) timeExport(ctx context.Context, s *server, w *Workload, format exportFormat) (float64, error) {
	path := format.path(w, 0)
	checked, err := s.checkExport(w, format, path)
	if err != nil {
		return 0, err
	}
	var rates []float64
	for range exportRuns {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var got byteCount
		began := time.Now()
		if err := s.client.stream(path, &got); err != nil {
			return 0, err
		}
		rates = append(rates, float64(w.Hosts*w.Steps)/time.Since(began).Seconds())
		if got != checked {
			return 0, fmt.Errorf("%d bytes after one export of %d", got, checked)
		}
		run.progress.add(1)
	}
	return median(rates), nil
}

// byteCount counts what is written to it.
type byteCount int64

// Write implements io.Writer.
func (c *byteCount) Write(p []byte) (int, error) {
	*c += byteCount(len(p))
	return len(p), nil
}

// checkExport reads an export and compares every row. It returns its length.
func (s *server) checkExport(w *Workload, format exportFormat, path string) (byteCount, error) {
	reader, writer := io.Pipe()
	var length byteCount
	ended := make(chan struct{}) // the client is for the next one then
	go func() {
		defer close(ended)
		writer.CloseWithError(s.client.stream(path, io.MultiWriter(&length, writer)))
	}()
	_, tolerance := s.system.semantics(question{})
	if s.system.Key() == oursName {
		tolerance = 0
	}
	check := &rowCheck{w: w, tolerance: tolerance, seen: make([]bool, w.Hosts*w.Steps)}
	err := format.read(reader, check)
	if err == nil {
		_, err = io.Copy(io.Discard, reader) // to the end, so that the length is known
	}
	_ = reader.CloseWithError(errors.New("the rest isn't read")) // ends the writer where reading has failed
	<-ended
	if err != nil {
		return 0, err
	}
	if missing := len(check.seen) - check.rows; missing > 0 {
		return 0, fmt.Errorf("%d rows of %d are missing", missing, len(check.seen))
	}
	return length, nil
}

// rowCheck compares exported samples of the first metric with the generator's.
type rowCheck struct {
	w         *Workload
	tolerance float64 // as a share of the value
	seen      []bool  // by host and step
	rows      int
}

// add compares one sample. Its time is in nanoseconds since the epoch.
func (c *rowCheck) add(host string, at int64, value float64) error {
	number, err := strconv.Atoi(strings.TrimPrefix(host, "host_"))
	since := at - c.w.Start.UnixNano()
	row := int(since / int64(step))
	if err != nil || number < 0 || number >= c.w.Hosts || since < 0 || since%int64(step) != 0 || row >= c.w.Steps {
		return fmt.Errorf("a row of host %q at %d, which was never written", host, at)
	}
	want := c.w.series(number, 0)[row]
	if difference := math.Abs(value - want); !(difference <= c.tolerance*math.Abs(want)) {
		return fmt.Errorf("%v where there should be %v (%s at %d)", value, want, host, at)
	}
	place := number*c.w.Steps + row
	if c.seen[place] {
		return fmt.Errorf("%s at %d comes twice", host, at)
	}
	c.seen[place] = true
	c.rows++
	return nil
}
