package httpapi

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flopynet/collector/engine"
)

// logAccess logs the request and its answer: for debugging, or as the access log; what we could not do for a
// client is worth a warning. The parameters are left out, since there may be a key among them.
func (s *Server) logAccess(r *request) {
	level := s.accessLevel()
	if r.cause != nil {
		level = slog.LevelWarn
	}
	if !s.logger.Enabled(s.base, level) {
		return
	}
	response := &r.http.Response
	fields := append(r.logFields(), "status", response.StatusCode())
	if response.IsBodyStream() || r.stream != nil { // it has only begun, and looking at its size would read it
		fields = append(fields, "streamed", true)
	} else {
		fields = append(fields, "bytes", len(response.Body()))
	}
	fields = append(fields, "duration", s.options.Now().Sub(r.received))
	if r.cause != nil {
		fields = append(fields, "error", r.cause)
	}
	s.logger.Log(s.base, level, "request", fields...)
}

// accessLevel is that of what is said of every request.
func (s *Server) accessLevel() slog.Level {
	if s.options.LogAccess {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// logFields are those by which a request is found again in any of the logs.
func (r *request) logFields() []any {
	fields := []any{"request_id", r.id, "method", string(r.http.Method()), "path", string(r.http.Path()), "client", r.client().String()}
	if name := r.keyName(); name != "" {
		fields = append(fields, "key", name)
	}
	return fields
}

// maxLoggedBytes bounds what the log shows of a query.
const maxLoggedBytes = 2000

// logSlowQuery logs a query that took longer than is usual, with what it asked for.
func (s *Server) logSlowQuery(r *request, took time.Duration, err error) {
	if s.options.SlowQuery <= 0 || took < s.options.SlowQuery {
		return
	}
	fields := append(r.logFields(), "parameters", r.loggedParameters(), "duration", took,
		"series", r.read.series.Load(), "samples", r.read.samples.Load())
	if r.asked != "" {
		fields = append(fields, "body", r.asked)
	}
	if err != nil {
		fields = append(fields, "error", err)
	}
	s.logger.Warn("slow query", fields...)
}

// loggedParameters returns the parameters as they may be logged.
func (r *request) loggedParameters() string {
	var text strings.Builder
	for name, value := range r.http.QueryArgs().All() {
		if string(name) == keyParameter {
			value = []byte("(hidden)")
		}
		if text.Len() > 0 {
			text.WriteByte('&')
		}
		text.Write(name)
		text.WriteByte('=')
		text.Write(value)
		if text.Len() > maxLoggedBytes {
			return text.String()[:maxLoggedBytes] + "..."
		}
	}
	return text.String()
}

// noteBody keeps the beginning of a query's body for the slow-query log. One that changes something, as a pipeline
// does, may have a secret in it.
func (r *request) noteBody(body []byte) {
	if r.asks && r.server.options.SlowQuery > 0 {
		r.asked = string(body[:min(len(body), maxLoggedBytes)])
	}
}

// readStats counts what a request has read, for the slow-query log.
type readStats struct {
	series  atomic.Int64 // that matched
	samples atomic.Int64 // decoded, or returned raw
}

// readStatsKey is under which request.context carries the request's readStats.
type readStatsKey struct{}

// noteRead counts what was read for the request of the context.
func noteRead(ctx context.Context, series, samples int) {
	if stats, ok := ctx.Value(readStatsKey{}).(*readStats); ok {
		stats.series.Add(int64(series))
		stats.samples.Add(int64(samples))
	}
}

// noteAggregate is noteRead of an aggregation; one out of the cache has read nothing.
func noteAggregate(ctx context.Context, result *engine.AggregateResult) {
	samples := result.Explain.SamplesDecoded
	if result.Explain.Cached {
		samples = 0
	}
	noteRead(ctx, result.SeriesCount, samples)
}
