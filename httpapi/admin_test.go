package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

func (ts *testServer) postJSON(path string) map[string]any {
	ts.t.Helper()
	answer := ts.do(http.MethodPost, path, nil)
	if answer.status != http.StatusOK {
		ts.t.Fatalf("POST %s: %d %s", path, answer.status, answer.body)
	}
	return decodeJSON(ts.t, answer.body)
}

func TestFlushAndCompact(t *testing.T) {
	ts := startEngine(t, engine.Options{MinChunkSamples: 1, Now: func() time.Time { return time.Date(2024, 1, 20, 0, 0, 0, 0, time.UTC) }}, Options{})
	check := func(path, job string, want map[string]any) {
		t.Helper()
		got := ts.postJSON(path)
		if took, _ := got["took_ms"].(float64); got["status"] != "success" || got["job"] != job || took < 0 {
			t.Errorf("%s answers %v", path, got)
		}
		for key, value := range want {
			if done := got["done"].(map[string]any)[key]; done != value {
				t.Errorf("%s: %s is %v, want %v", path, key, done, value)
			}
		}
	}
	for _, minute := range []string{"2024-01-15T10:00:00Z", "2024-01-15T10:06:00Z"} {
		ts.write("cpu_usage", "", []string{"source", "a"}, minute, 1.0)
		check("/admin/flush", "flush", map[string]any{"samples": 1.0})
	}
	check("/api/v1/admin/flush/?wait=true", "flush", map[string]any{"samples": 0.0})
	// Two points of five minutes and one of an hour.
	check("/admin/compact", "compact", map[string]any{"days_joined": 1.0, "chunks_in": 2.0, "chunks_out": 1.0, "days_rolled": 1.0, "points": 3.0})
	check("/admin/compact", "compact", map[string]any{"days_joined": 0.0, "chunks_in": 0.0, "chunks_out": 0.0, "days_rolled": 0.0, "points": 0.0})
}

func TestAdminErrors(t *testing.T) {
	ts := startServer(t, Options{})
	for _, path := range []string{"/admin/flush", "/admin/compact"} {
		ts.do(http.MethodPost, path+"?wait=no", nil).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
		ts.do(http.MethodPost, path+"?now=true", nil).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
		ts.do(http.MethodPost, path, nil, "Sec-Fetch-Site", "cross-site").wantError(t, http.StatusForbidden, "FORBIDDEN")
		ts.get(path).wantError(t, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	}
	if err := ts.db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/admin/flush", "/admin/compact"} {
		ts.do(http.MethodPost, path, nil).wantError(t, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
	}
}

// TestOneJobAtATime starts jobs without waiting for them.
func TestOneJobAtATime(t *testing.T) {
	logger, log := newLog(slog.LevelInfo)
	proceed, ended := make(chan error), make(chan struct{})
	job := func(ctx context.Context) (any, error) {
		defer close(ended)
		select {
		case err := <-proceed:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	ts := startServer(t, Options{Logger: logger}, route{role: roleNone, method: http.MethodPost, path: "/job", handler: func(s *Server, r *request) error {
		return s.runJob(r, "test", job)
	}})
	start := func() {
		t.Helper()
		ended = make(chan struct{})
		answer := ts.do(http.MethodPost, "/job?wait=false", nil)
		if want := `{"status":"started","job":"test"}` + "\n"; answer.status != fasthttp.StatusAccepted || cmp.Diff(want, string(answer.body)) != "" {
			t.Fatalf("%d %s", answer.status, answer.body)
		}
	}
	finish := func(word string) {
		t.Helper()
		<-ended
		if line := log.wait(t, "job=test"); !strings.Contains(line, word) {
			t.Errorf("the log says %q, want %q", line, word)
		}
		for { // the log comes shortly before the end
			if _, running := ts.server.admin.begin("test", time.Time{}); !running {
				ts.server.admin.end("test")
				return
			}
		}
	}
	start()
	conflict := ts.do(http.MethodPost, "/job?wait=false", nil).wantError(t, http.StatusConflict, "CONFLICT")
	if conflict.Details["job"] != "test" || conflict.Details["since"] == nil {
		t.Errorf("details %v", conflict.Details)
	}
	proceed <- nil
	finish("is done")
	start()
	proceed <- errors.New("no luck")
	finish("no luck")
	start()
	ts.server.cancel()
	finish("cut short")
}

// manySamples are enough for a chunk.
func manySamples() (samples []any) {
	for minute := range 300 {
		samples = append(samples, fmt.Sprintf("2024-01-15T%02d:%02d:00Z", minute/60, minute%60), float64(minute))
	}
	return samples
}

func TestJobsInTheBackgroundAreDone(t *testing.T) {
	logger, log := newLog(slog.LevelInfo)
	ts := startServer(t, Options{Logger: logger})
	ts.write("cpu_usage", "", []string{"source", "a"}, manySamples()...)
	for _, path := range []string{"/admin/flush", "/admin/compact"} {
		if answer := ts.do(http.MethodPost, path+"?wait=false", nil); answer.status != fasthttp.StatusAccepted {
			t.Fatalf("%s: %d %s", path, answer.status, answer.body)
		}
		log.wait(t, "is done")
	}
	if stats := ts.db.Stats(); stats.HeadSamples != 0 || stats.Maintenance.DaysRolled != 1 {
		t.Errorf("%d samples in memory, %d days rolled up", stats.HeadSamples, stats.Maintenance.DaysRolled)
	}
}
