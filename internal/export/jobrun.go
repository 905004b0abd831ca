package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/flopynet/collector/engine"
)

// errMaxBytes says that a file doesn't fit.
var errMaxBytes = errors.New("the files of all exports would take more than exports.max_bytes")

// run makes a job's file, once there is a place for one more.
func (j *Jobs) run(one *job) {
	select {
	case j.slots <- struct{}{}:
		defer func() { <-j.slots }()
	case <-j.ctx.Done():
		return
	}
	err := j.produce(one)
	if j.ctx.Err() != nil && err != nil {
		j.options.Logger.Info("an export was interrupted; it will be started again", "export_id", one.status.ID)
		return
	}
	j.finish(one, err)
}

// finish makes durable how a job ended.
func (j *Jobs) finish(one *job, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := one.now()
	s.Finished = j.options.Now().UTC()
	s.Expires = s.Finished.Add(j.options.Keep)
	s.State, s.Progress = Completed, 1
	if err != nil {
		s.State, s.Bytes, s.Progress, s.Failure = Failed, 0, 0, failureText(err)
		j.options.Logger.Error("an export failed", "export_id", s.ID, "error", err)
	} else {
		j.options.Logger.Info("an export is done", "export_id", s.ID, "rows", s.Rows, "bytes", s.Bytes, "took", s.Finished.Sub(s.Created))
	}
	if err := j.db.ChangeState(engine.StateChange{Kind: stateKind, Name: s.ID, Value: encode(s)}); err != nil {
		// It is what it is until the restart, which starts it again.
		j.options.Logger.Error("how an export ended can't be stored", "export_id", s.ID, "error", err)
	}
	one.status = s
	close(one.done)
}

// failureText is what a client learns of an error.
func failureText(err error) string {
	for _, known := range []error{errMaxBytes, engine.ErrDiskFull, ErrColumns} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return engine.ErrDiskFull.Error()
	}
	if errors.Is(err, engine.ErrCorrupt) {
		return "stored data is damaged: " + err.Error()
	}
	return "something went wrong inside the collector; its log has the cause under this id"
}

// produce writes a job's file, which has its name only once all of it is on the disk.
func (j *Jobs) produce(one *job) (err error) {
	one.bytes.Store(0)
	path := filepath.Join(j.options.Dir, one.status.File())
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	err = j.write(j.ctx, one, file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncDirectory(j.options.Dir)
}

func (j *Jobs) write(ctx context.Context, one *job, file *os.File) error {
	plan, err := NewPlan(ctx, j.db, one.status.request())
	if err != nil {
		return err
	}
	one.series.Store(int64(plan.Series))
	_, err = plan.Write(ctx, j.db, &jobWriter{jobs: j, job: one, file: file}, &one.progress)
	return err
}

// jobWriter writes a job's file as long as there is room.
type jobWriter struct {
	jobs *Jobs
	job  *job
	file *os.File
}

func (w *jobWriter) Write(p []byte) (int, error) {
	w.jobs.mu.Lock()
	_, _, bytes := w.jobs.usage()
	w.jobs.mu.Unlock()
	if bytes+int64(len(p)) > w.jobs.options.MaxBytes {
		return 0, errMaxBytes
	}
	if err := w.jobs.db.CheckRoom(int64(len(p))); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	w.job.bytes.Add(int64(n))
	return n, err
}

// syncDirectory makes a new name durable.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := errors.Join(directory.Sync(), directory.Close()); err != nil {
		return fmt.Errorf("sync the directory of exports: %w", err)
	}
	return nil
}
