package export

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/flopynet/collector/engine"
)

// What Jobs refuses.
var (
	ErrTooMany = errors.New("too many export jobs are under way")
	ErrKept    = errors.New("the files of earlier exports fill the room there is for them")
	ErrMany    = errors.New("there are too many earlier exports that haven't expired yet")
	ErrUnknown = errors.New("there is no such export")
	ErrExpired = errors.New("the export has expired")
	ErrClosed  = errors.New("exports are being shut down")
)

// JobOptions configures Jobs. Its zero value is ready for use.
type JobOptions struct {
	Dir      string           // of the files; "": exports, in the data directory
	Now      func() time.Time // nil: that the store has
	Logger   *slog.Logger     // nil: nothing is logged
	MaxBytes int64            // of all files; 0: 10 GiB
	Keep     time.Duration    // how long a file is kept; 0: 24 hours
	MaxJobs  int              // under way at a time; 0: 4
	MaxKept  int              // jobs whose files are kept, or that failed in that time; 0: 4,096
}

// remember is how long an expired job is still known as one.
const remember = 30 * 24 * time.Hour

// tidyInterval is how often files are looked at that may have expired.
const tidyInterval = time.Minute

// Jobs are exports to files. A job survives a restart: one that was not done is started again.
type Jobs struct {
	db      *engine.DB
	options JobOptions
	ctx     context.Context
	cancel  context.CancelFunc
	slots   chan struct{} // one for each job under way
	running sync.WaitGroup

	mu     sync.Mutex
	jobs   map[string]*job // by id
	closed bool
}

// OpenJobs takes up what the store knows of jobs, and starts again those that were interrupted.
func OpenJobs(db *engine.DB, options JobOptions) (*Jobs, error) {
	if options.Dir == "" {
		options.Dir = filepath.Join(db.Dir(), "exports")
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.MaxBytes == 0 {
		options.MaxBytes = 10 << 30
	}
	if options.Keep == 0 {
		options.Keep = 24 * time.Hour
	}
	if options.MaxJobs == 0 {
		options.MaxJobs = 4
	}
	if options.MaxKept == 0 {
		options.MaxKept = 4096
	}
	if options.Now == nil {
		options.Now = db.Now
	}
	j := &Jobs{db: db, options: options, slots: make(chan struct{}, options.MaxJobs), jobs: make(map[string]*job)}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	if err := os.MkdirAll(options.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the directory of exports: %w", err)
	}
	err := db.EachState(stateKind, func(name string, value []byte) error {
		s, err := decode(name, value)
		if err != nil {
			return err
		}
		j.jobs[name] = newJob(s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the export jobs: %w", err)
	}
	if err := j.removeStrays(); err != nil {
		return nil, err
	}
	j.tidy()
	for _, one := range j.jobs {
		if one.status.State == Processing {
			options.Logger.Info("an export that was interrupted is started again", "export_id", one.status.ID)
			j.running.Go(func() { j.run(one) })
		}
	}
	j.running.Go(j.tidyLoop)
	return j, nil
}

// removeStrays removes files of exports that are none of a completed job: what an interruption left behind.
func (j *Jobs) removeStrays() error {
	entries, err := os.ReadDir(j.options.Dir)
	if err != nil {
		return fmt.Errorf("read the directory of exports: %w", err)
	}
	kept := make(map[string]bool)
	for _, one := range j.jobs {
		if one.status.State == Completed {
			kept[one.status.File()] = true
		}
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, "exp_") && !kept[name] {
			if err := os.Remove(filepath.Join(j.options.Dir, name)); err != nil {
				return fmt.Errorf("remove what is left of an export: %w", err)
			}
		}
	}
	return nil
}

// Start begins a job. It returns when that is durable.
func (j *Jobs) Start(r JobRequest) (Status, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return Status{}, ErrClosed
	}
	underWay, kept, bytes := j.usage()
	switch {
	case underWay >= j.options.MaxJobs:
		return Status{}, ErrTooMany
	case bytes >= j.options.MaxBytes:
		return Status{}, ErrKept
	case kept >= j.options.MaxKept:
		return Status{}, ErrMany
	}
	if err := j.db.CheckRoom(pieceBytes); err != nil {
		return Status{}, err
	}
	created := j.options.Now().UTC()
	s := Status{JobRequest: r, ID: j.newID(created), State: Processing, Created: created}
	if err := j.db.ChangeState(engine.StateChange{Kind: stateKind, Name: s.ID, Value: encode(s)}); err != nil {
		return Status{}, err
	}
	one := newJob(s)
	j.jobs[s.ID] = one
	j.running.Go(func() { j.run(one) })
	return one.now(), nil
}

// usage returns how many jobs are under way, how many haven't expired, and how many bytes all files have.
func (j *Jobs) usage() (underWay, kept int, bytes int64) {
	for _, one := range j.jobs {
		s := one.now()
		bytes += s.Bytes
		if s.State != Expired {
			kept++
		}
		if s.State == Processing {
			underWay++
		}
	}
	return underWay, kept, bytes
}

// newID returns an id that no job has.
func (j *Jobs) newID(created time.Time) string {
	for {
		var random [4]byte
		rand.Read(random[:]) // it never fails
		id := created.Format("exp_20060102_150405_") + hex.EncodeToString(random[:])
		if j.jobs[id] == nil {
			return id
		}
	}
}

// Wait returns a job's status when it is no longer processing, or when the context ends.
func (j *Jobs) Wait(ctx context.Context, id string) (Status, error) {
	j.mu.Lock()
	one := j.jobs[id]
	j.mu.Unlock()
	if one == nil {
		return Status{}, ErrUnknown
	}
	select {
	case <-one.done:
	case <-ctx.Done():
	}
	return j.Status(id)
}

// Status returns the status of a job. ErrExpired, with the status, says that it has expired.
func (j *Jobs) Status(id string) (Status, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one := j.jobs[id]
	if one == nil {
		return Status{}, ErrUnknown
	}
	s := one.now()
	if s.State == Expired || s.State != Processing && !j.options.Now().Before(s.Expires) {
		s.State = Expired
		return s, ErrExpired
	}
	return s, nil
}

// Open opens the file of a completed job by its name. With a status that isn't Completed there is no file.
func (j *Jobs) Open(name string) (*os.File, Status, error) {
	id, _, _ := strings.Cut(name, ".")
	s, err := j.Status(id)
	if s.ID == "" || s.File() != name {
		return nil, Status{}, ErrUnknown
	}
	if err != nil || s.State != Completed {
		return nil, s, err
	}
	file, err := os.Open(filepath.Join(j.options.Dir, name))
	if err != nil {
		return nil, s, fmt.Errorf("open the file of an export: %w", err)
	}
	return file, s, nil
}

// Close interrupts the jobs that are under way and returns when they have stopped. They are started again by
// the next OpenJobs.
func (j *Jobs) Close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.cancel()
	j.running.Wait()
}

// tidyLoop removes what expires.
func (j *Jobs) tidyLoop() {
	ticker := time.NewTicker(tidyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-ticker.C:
			j.tidy()
		}
	}
}

// tidy removes the files of expired jobs, and forgets those that expired long ago.
func (j *Jobs) tidy() {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.options.Now()
	for id, one := range j.jobs {
		s := one.status
		switch {
		case s.State == Processing || now.Before(s.Expires):
			continue
		case s.State == Expired && now.Before(s.Expires.Add(remember)):
			continue
		}
		change := engine.StateChange{Kind: stateKind, Name: id} // forgotten
		if s.State != Expired {
			// The file goes first: after a crash in between, the job expires once more.
			if err := os.Remove(filepath.Join(j.options.Dir, s.File())); err != nil && !errors.Is(err, os.ErrNotExist) {
				j.options.Logger.Error("the file of an expired export can't be removed", "export_id", id, "error", err)
				continue
			}
			s.State, s.Bytes, s.Metrics = Expired, 0, nil // nobody sees what it was, and it may be long
			change.Value = encode(s)
		}
		if err := j.db.ChangeState(change); err != nil {
			j.options.Logger.Error("an export can't be marked as expired", "export_id", id, "error", err)
			continue
		}
		if one.status = s; change.Value == nil {
			delete(j.jobs, id)
		}
	}
}
