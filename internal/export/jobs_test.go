package export

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jobWorld is a store on the disk with jobs, and a clock that stands unless it is moved.
type jobWorld struct {
	t       *testing.T
	dir     string
	clock   atomic.Int64
	options JobOptions
	engine  engine.Options
	db      *engine.DB
	jobs    *Jobs
}

func newJobWorld(t *testing.T, options JobOptions) *jobWorld {
	w := &jobWorld{t: t, dir: t.TempDir(), options: options}
	w.clock.Store(time.Date(2025, 6, 16, 10, 30, 0, 0, time.UTC).UnixNano())
	w.engine = engine.Options{Now: func() time.Time { return time.Unix(0, w.clock.Load()) }, MaintainInterval: -1, MinFreeBytes: -1}
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *jobWorld) open() {
	w.t.Helper()
	var err error
	if w.db, err = engine.Open(w.dir, w.engine); err != nil {
		w.t.Fatal(err)
	}
	if w.jobs, err = OpenJobs(w.db, w.options); err != nil {
		w.t.Fatal(err)
	}
}

func (w *jobWorld) close() {
	w.jobs.Close()
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *jobWorld) restart() {
	w.close()
	w.open()
}

func (w *jobWorld) start(r JobRequest) Status {
	w.t.Helper()
	s, err := w.jobs.Start(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *jobWorld) wait(id string) Status {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	s, err := w.jobs.Wait(ctx, id)
	if err != nil || s.State == Processing {
		w.t.Fatalf("%+v, %v", s, err)
	}
	return s
}

// files are those in the directory of exports.
func (w *jobWorld) files() (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, "exports"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func (w *jobWorld) content(s Status) []byte {
	w.t.Helper()
	file, _, err := w.jobs.Open(s.File())
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return content
}

var wholeTime = JobRequest{From: testStart, To: model.MaxTime, Format: JSON}

func TestJob(t *testing.T) {
	w := newJobWorld(t, JobOptions{})
	want := awkward(t, w.db)
	begun := w.start(wholeTime)
	if !regexp.MustCompile(`^exp_20250616_103000_[0-9a-f]{8}$`).MatchString(begun.ID) {
		t.Errorf("id %q", begun.ID)
	}
	s := w.wait(begun.ID)
	content := w.content(s)
	if s.State != Completed || s.Rows != int64(len(want)) || s.Bytes != int64(len(content)) || s.Progress != 1 || s.Finished.IsZero() || s.Expires.Sub(s.Finished) != 24*time.Hour {
		t.Errorf("%+v, %d bytes", s, len(content))
	}
	if got := sortedRows(readJSON(t, content)); !slices.Equal(got, sortedRows(want)) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	one := wholeTime
	one.Metrics, one.Format = []string{"cpu_usage"}, CSV
	if s := w.wait(w.start(one).ID); s.Rows != int64(len(want)/2) || len(readCSV(t, w.content(s))) != len(want)/2 {
		t.Errorf("one metric: %+v", s)
	}
	w.restart()
	if got := w.content(s); string(got) != string(content) {
		t.Error("after a restart it has another content")
	}
}

func TestJobNames(t *testing.T) {
	w := newJobWorld(t, JobOptions{})
	s := w.wait(w.start(wholeTime).ID)
	for _, name := range []string{"", ".", "..", "../VERSION", "exp_1.json", s.ID, s.ID + ".csv", s.ID + ".json.part", "x/" + s.File(), "../exports/" + s.File(), s.File() + "/"} {
		if file, _, err := w.jobs.Open(name); !errors.Is(err, ErrUnknown) || file != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := w.jobs.Status("exp_1"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// TestJobExpires lets a job expire, restarts, and lets it be forgotten.
func TestJobExpires(t *testing.T) {
	w := newJobWorld(t, JobOptions{Keep: time.Hour})
	s := w.wait(w.start(wholeTime).ID)
	w.clock.Store(s.Expires.UnixNano() - 1)
	w.jobs.tidy()
	if got, err := w.jobs.Status(s.ID); err != nil || got.State != Completed || len(w.files()) != 1 {
		t.Errorf("just before: %+v, %v", got, err)
	}
	w.clock.Store(s.Expires.UnixNano())
	for _, when := range []string{"before it is tidied up", "afterwards", "after a restart"} {
		if got, err := w.jobs.Status(s.ID); !errors.Is(err, ErrExpired) || got.State != Expired {
			t.Errorf("%s: %+v, %v", when, got, err)
		}
		if _, _, err := w.jobs.Open(s.File()); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: %v", when, err)
		}
		if w.jobs.tidy(); len(w.files()) != 0 {
			t.Errorf("%s: %v is left", when, w.files())
		}
		if when == "afterwards" {
			w.restart()
		}
	}
	w.clock.Add(int64(remember))
	w.jobs.tidy()
	w.restart()
	if _, err := w.jobs.Status(s.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("long after: %v", err)
	}
}

// block lets no job begin until the function it returns is called.
func (w *jobWorld) block() (release func()) {
	jobs := w.jobs
	for range cap(jobs.slots) {
		jobs.slots <- struct{}{}
	}
	return func() {
		for range cap(jobs.slots) {
			<-jobs.slots
		}
	}
}

// TestJobsAreResumed restarts while jobs wait, and while what an interruption left is in the directory.
func TestJobsAreResumed(t *testing.T) {
	w := newJobWorld(t, JobOptions{})
	want := awkward(t, w.db)
	done := w.wait(w.start(wholeTime).ID)
	release := w.block()
	var waiting []Status
	for range 3 {
		waiting = append(waiting, w.start(wholeTime))
	}
	w.close()
	release()
	// As far as the first had come: before and after its file had its name.
	for _, name := range []string{waiting[0].File() + ".part", waiting[1].File(), "exp_20200101_000000_00000000.csv"} {
		if err := os.WriteFile(filepath.Join(w.dir, "exports", name), []byte("a part"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.open()
	var files []string
	for _, begun := range append(waiting, done) {
		s := w.wait(begun.ID)
		if got := readJSON(t, w.content(s)); s.State != Completed || len(got) != len(want) || s.Rows != int64(len(want)) {
			t.Errorf("%+v, %d rows", s, len(got))
		}
		files = append(files, s.File())
	}
	slices.Sort(files)
	if got := w.files(); !slices.Equal(got, files) {
		t.Errorf("files %v, want %v", got, files)
	}
}

func TestJobLimits(t *testing.T) {
	w := newJobWorld(t, JobOptions{MaxJobs: 2})
	awkward(t, w.db)
	release := w.block()
	first := w.start(wholeTime)
	w.start(wholeTime)
	if _, err := w.jobs.Start(wholeTime); !errors.Is(err, ErrTooMany) {
		t.Errorf("a third: %v", err)
	}
	release()
	s := w.wait(first.ID)

	// Another one of the kind has room in part, and fails; then there is none, and none can begin.
	w.options.MaxBytes = 3*s.Bytes - 1
	w.restart()
	failed := w.wait(w.start(wholeTime).ID)
	if failed.State != Failed || failed.Failure != errMaxBytes.Error() || failed.Bytes != 0 || len(w.files()) != 2 {
		t.Errorf("%+v, files %v", failed, w.files())
	}
	w.options.MaxBytes = s.Bytes
	w.restart()
	if _, err := w.jobs.Start(wholeTime); !errors.Is(err, ErrKept) {
		t.Errorf("without room: %v", err)
	}
	if got, err := w.jobs.Status(failed.ID); err != nil || got.State != Failed || got.Failure != failed.Failure {
		t.Errorf("after a restart: %+v, %v", got, err)
	}

	// So are jobs, however small, and a failed one counts until it expires; then it takes hardly any room.
	w.options.MaxBytes, w.options.MaxKept = 0, 4
	w.restart()
	empty := JobRequest{Metrics: []string{"absent"}, From: 1, To: 2, Format: JSON}
	w.wait(w.start(empty).ID)
	if _, err := w.jobs.Start(empty); !errors.Is(err, ErrMany) {
		t.Errorf("a fifth: %v", err)
	}
	w.clock.Add(int64(24 * time.Hour))
	w.jobs.tidy()
	w.restart()
	last := w.wait(w.start(empty).ID)
	for id, one := range w.jobs.jobs {
		if expired := one.status.State == Expired; expired != (id != last.ID) || expired && one.status.Metrics != nil {
			t.Errorf("%+v", one.status)
		}
	}

	// What the disk must keep free is more than it has.
	w.options.MaxBytes = 0
	w.engine.MinFreeBytes = 1 << 60
	w.restart()
	if _, err := w.jobs.Start(wholeTime); !errors.Is(err, engine.ErrDiskFull) {
		t.Errorf("on a full disk: %v", err)
	}
	if _, err := (&jobWriter{jobs: w.jobs, job: newJob(Status{})}).Write([]byte("x")); !errors.Is(err, engine.ErrDiskFull) {
		t.Errorf("writing to a full disk: %v", err)
	}
	if got := failureText(&os.PathError{Op: "write", Err: syscall.ENOSPC}); got != engine.ErrDiskFull.Error() {
		t.Errorf("without a free block: %s", got)
	}
	w.jobs.Close()
	if _, err := w.jobs.Start(wholeTime); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
