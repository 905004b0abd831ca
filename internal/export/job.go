package export

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// State is how far a job is.
type State string

// The states of a job.
const (
	Processing State = "processing"
	Completed  State = "completed"
	Failed     State = "failed"
	Expired    State = "expired" // its file is gone
)

// JobRequest is what a job exports: all samples of some metrics.
type JobRequest struct {
	Metrics  []string `json:"metrics,omitempty"` // none: all
	From, To int64    // [From, To), in nanoseconds since the epoch
	Format   Format
}

// request returns the export that the job makes.
func (r JobRequest) request() Request {
	selection := engine.Selection{From: r.From, To: r.To}
	if len(r.Metrics) > 0 {
		selection.Matchers = []*model.Matcher{NamesMatcher(r.Metrics)}
	}
	return Request{Selection: selection, Format: r.Format, MetricColumn: len(r.Metrics) != 1}
}

// Status is what is known of a job at one moment.
type Status struct {
	JobRequest
	ID       string
	State    State
	Created  time.Time
	Finished time.Time // zero while it is processing
	Expires  time.Time // of the file; zero while it is processing
	Bytes    int64     // of the file, as far as it is written
	Rows     int64     // in it, likewise
	Progress float64   // from 0 to 1, by series
	Failure  string    // of a failed job: why
}

// File is the name of the job's file.
func (s Status) File() string { return s.ID + "." + string(s.Format) }

// job is an export to a file. Its status is guarded by Jobs.mu, its counters are not.
type job struct {
	status   Status
	progress Progress
	bytes    atomic.Int64
	series   atomic.Int64  // that there are; 0: not known yet
	done     chan struct{} // closed when it is no longer processing
}

// now returns the status with what the counters say.
func (j *job) now() Status {
	s := j.status
	if s.State != Processing {
		return s
	}
	s.Bytes, s.Rows = j.bytes.Load(), j.progress.Rows.Load()
	if series := j.series.Load(); series > 0 {
		s.Progress = float64(j.progress.Series.Load()) / float64(series)
	}
	return s
}

// stateKind is the kind of small state in the store that jobs are; the name is the job's id.
const stateKind = "export"

// newJob returns a job for a status.
func newJob(s Status) *job {
	j := &job{status: s, done: make(chan struct{})}
	if s.State != Processing {
		close(j.done)
	}
	return j
}

// encode returns the job's state as the store keeps it.
func encode(s Status) []byte {
	value, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("the state of the export %s: %v", s.ID, err)) // of plain fields
	}
	return value
}

// decode is the inverse of encode.
func decode(name string, value []byte) (s Status, err error) {
	if err := json.Unmarshal(value, &s); err != nil || s.ID != name {
		return s, fmt.Errorf("the state of the export %q can't be read: %w", name, engine.ErrCorrupt)
	}
	return s, nil
}
