package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
)

func opsRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/", about: "this list", role: roleNone, handler: (*Server).getIndex},
		{method: fasthttp.MethodGet, path: "/health", about: "state of the collector and its components", role: roleNone, handler: (*Server).getHealth},
		{method: fasthttp.MethodGet, path: "/system/performance", about: "measurements of writing, storing, reading and maintenance",
			role: roleRead, handler: (*Server).getPerformance},
		{method: fasthttp.MethodGet, path: "/livez", about: "200 while the process runs", role: roleNone, handler: (*Server).getLive},
		{method: fasthttp.MethodGet, path: "/readyz", about: "200 when requests are welcome, else 503", role: roleNone, handler: (*Server).getReady},
	}
}

// respondValue answers with a value as JSON.
func (r *request) respondValue(status int, value any) {
	r.respond(status, typeJSON, append(appendJSON(nil, value), '\n'))
}

// appendJSON appends a value of our own as JSON.
func appendJSON(dst []byte, value any) []byte {
	out, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("answer %T: %v", value, err))
	}
	return append(dst, out...)
}

// getIndex answers GET / with the endpoints there are.
func (s *Server) getIndex(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	type endpoint struct {
		Method string `json:"method"`
		Path   string `json:"path"`
		About  string `json:"about"`
	}
	endpoints := []endpoint{}
	for _, known := range allRoutes() {
		endpoints = append(endpoints, endpoint{known.method, known.path, known.about})
	}
	r.respondValue(fasthttp.StatusOK, map[string]any{
		"service": "collector", "version": s.options.Version, "bases": []string{"/", "/api/v1"}, "endpoints": endpoints,
	})
	return nil
}

func (s *Server) getLive(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, map[string]string{"status": "alive"})
	return nil
}

func (s *Server) getReady(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	if !s.ready.Load() {
		failure := newError(fasthttp.StatusServiceUnavailable, "Not ready", detail{"issue", "the collector is starting or stopping"})
		failure.retryAfter = 1
		return failure
	}
	r.respondValue(fasthttp.StatusOK, map[string]string{"status": "ready"})
	return nil
}

// getHealth answers GET /health: 200, or 503 when the collector cannot do its work.
func (s *Server) getHealth(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	ctx, cancel := r.context(healthTimeout)
	defer cancel()
	report := s.health(ctx, r.received)
	status := fasthttp.StatusOK
	if report.Status != statusHealthy {
		status = fasthttp.StatusServiceUnavailable
	}
	if r.requireRole(roleRead) != nil {
		r.respondValue(status, report.brief())
		return nil
	}
	r.respondValue(status, report)
	return nil
}

// healthTimeout bounds the read by which the store's health is tried.
const healthTimeout = 5 * time.Second

// timed runs probe and returns how long it took.
func (s *Server) timed(ctx context.Context, probe func(context.Context) error) (time.Duration, error) {
	start := s.options.Now()
	err := probe(ctx)
	return s.options.Now().Sub(start), err
}
