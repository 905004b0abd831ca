package httpapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

// adminJobs are those that go on behind an answer: since when, by name.
type adminJobs struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// longestJob bounds a job whose client waits for it.
const longestJob = 24 * time.Hour

func adminRoutes() []route {
	return []route{
		{method: fasthttp.MethodPost, path: "/admin/flush", about: "write the samples in memory to chunks", role: roleAdmin, mutates: true,
			handler: func(s *Server, r *request) error { return s.runJob(r, "flush", s.flush) }},
		{method: fasthttp.MethodPost, path: "/admin/compact", about: "do all maintenance there is to do", role: roleAdmin, mutates: true,
			handler: func(s *Server, r *request) error { return s.runJob(r, "compact", s.compact) }},
	}
}

// flushReport says what a flush did.
type flushReport struct {
	Samples int64 `json:"samples"` // written to chunks, as far as writes meanwhile let it be told
}

func (s *Server) flush(context.Context) (any, error) {
	before := s.db.Stats().HeadSamples
	if err := s.db.Flush(); err != nil {
		return nil, err
	}
	return flushReport{Samples: max(0, before-s.db.Stats().HeadSamples)}, nil
}

func (s *Server) compact(ctx context.Context) (any, error) {
	before := s.db.Stats().Maintenance
	if err := s.db.Maintain(ctx); err != nil {
		return nil, err
	}
	after := s.db.Stats().Maintenance
	return workOf(&after).minus(workOf(&before)), nil
}

// runJob answers once the job is done, with what it did. With wait=false it answers at once and lets the
// job go on, unless one of the same name does already.
func (s *Server) runJob(r *request, name string, job func(context.Context) (any, error)) error {
	p, err := parseParams(r.http.QueryArgs(), paramSet{"wait": false})
	if err != nil {
		return err
	}
	wait, err := p.oneOf("wait", "true", "false")
	if err != nil {
		return err
	}
	if wait == "false" {
		return s.startJob(r, name, job)
	}
	ctx, cancel := r.context(longestJob)
	defer cancel()
	done, err := job(ctx)
	if err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, struct {
		Status string  `json:"status"`
		Job    string  `json:"job"`
		Done   any     `json:"done"`
		TookMs float64 `json:"took_ms"`
	}{"success", name, done, milliseconds(s.options.Now().Sub(r.received))})
	return nil
}

// startJob runs a job in the background. It ends early when the server is stopped; the store waits for it.
func (s *Server) startJob(r *request, name string, job func(context.Context) (any, error)) error {
	if since, running := s.admin.begin(name, r.received); running {
		return newError(fasthttp.StatusConflict, "The job is under way already",
			detail{"job", name}, detail{"since", formatTime(since.UnixNano())})
	}
	id := r.id
	go func() {
		defer s.admin.end(name)
		done, err := job(s.base)
		switch {
		case err == nil:
			s.logger.Info("a job that was asked for is done", "job", name, "request_id", id, "done", done)
		case s.base.Err() != nil || errors.Is(err, engine.ErrClosed):
			s.logger.Info("a job that was asked for was cut short by the shutdown", "job", name, "request_id", id)
		default:
			s.logger.Error("a job that was asked for failed", "job", name, "request_id", id, "error", err)
		}
	}()
	r.respondValue(fasthttp.StatusAccepted, struct {
		Status string `json:"status"`
		Job    string `json:"job"`
	}{"started", name})
	return nil
}

// begin notes a job, or reports since when one of its name has been running.
func (j *adminJobs) begin(name string, now time.Time) (since time.Time, running bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if since, running = j.since[name]; running {
		return since, true
	}
	if j.since == nil {
		j.since = make(map[string]time.Time)
	}
	j.since[name] = now
	return now, false
}

func (j *adminJobs) end(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.since, name)
}
