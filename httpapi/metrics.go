package httpapi

import (
	"bytes"
	"math"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/internal/telemetry"
)

func metricsRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/metrics", about: "this machine and the services; our own metrics for a scraper", role: roleRead,
			handler: (*Server).getMetrics},
		{method: fasthttp.MethodGet, path: "/metrics/prometheus", about: "our own metrics in Prometheus' exposition format", role: roleRead,
			handler: (*Server).getExposition},
	}
}

// metricsSnapshot is the answer of GET /metrics.
type metricsSnapshot struct {
	Timestamp string                  `json:"timestamp"`
	System    systemSnapshot          `json:"system"`
	Services  map[string]serviceCheck `json:"services"`
}

type systemSnapshot struct {
	CPUUsage    float64          `json:"cpu_usage"`    // percent
	MemoryUsage float64          `json:"memory_usage"` // MB, of 1,048,576 bytes
	DiskUsage   float64          `json:"disk_usage"`   // MB
	NetworkIO   networkIOOfStart `json:"network_io"`
}

// networkIOOfStart counts since the machine's start.
type networkIOOfStart struct {
	BytesSent     uint64 `json:"bytes_sent"`
	BytesReceived uint64 `json:"bytes_received"`
}

// getMetrics answers GET /metrics.
func (s *Server) getMetrics(r *request) error {
	if telemetry.Asks(string(r.http.Request.Header.Peek(fasthttp.HeaderAccept))) {
		return s.getExposition(r)
	}
	if err := r.noParams(); err != nil {
		return err
	}
	ctx, cancel := r.context(healthTimeout)
	defer cancel()
	usage, err := s.machine.Measure(ctx)
	if err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, metricsSnapshot{
		Timestamp: formatTime(r.received.UnixNano()), Services: s.serviceChecks(),
		System: systemSnapshot{
			CPUUsage: math.Round(usage.CPUPercent*100) / 100, MemoryUsage: megabytes(usage.MemoryBytes), DiskUsage: megabytes(usage.DiskBytes),
			NetworkIO: networkIOOfStart{BytesSent: usage.BytesSent, BytesReceived: usage.BytesReceived},
		},
	})
	return nil
}

// megabytes is a size with two decimals.
func megabytes(n uint64) float64 { return math.Round(float64(n)/(1<<20)*100) / 100 }

// getExposition answers GET /metrics/prometheus.
func (s *Server) getExposition(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	var text bytes.Buffer
	contentType, err := s.telemetry.Write(&text, string(r.http.Request.Header.Peek(fasthttp.HeaderAccept)))
	if err != nil {
		return err
	}
	r.respond(fasthttp.StatusOK, contentType, text.Bytes())
	return nil
}

// OwnMetrics returns the collector's own metrics as they are now.
func (s *Server) OwnMetrics() ([]telemetry.Sample, error) { return s.telemetry.Samples() }

// observe counts the request among our own metrics.
func (s *Server) observe(r *request) {
	route, method := r.route, string(r.http.Method())
	if route == "" { // refused before it came to a route, or there is none: methods are whatever clients send
		route, method = "other", "other"
	}
	s.telemetry.ObserveRequest(method, route, r.http.Response.StatusCode(), s.options.Now().Sub(r.received))
}
