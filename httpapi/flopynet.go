package httpapi

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/flopynet"
)

// flopynetRoutes are those of FLOPY-NET's own surface that belong to no component.
func flopynetRoutes() []route {
	const statusAbout = "what the collector was told to do: where it stores, what it polls and how often"
	return []route{
		{flopynet: true, method: fasthttp.MethodGet, path: "/api", about: "the surface of FLOPY-NET's collector", role: roleNone, handler: (*Server).getFlopynetIndex},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/status", about: statusAbout, role: roleRead, handler: (*Server).getFlopynetStatus},
		{flopynet: true, method: fasthttp.MethodGet, path: "/api/monitoring/status", about: "how the components do that are polled", role: roleRead,
			handler: (*Server).getMonitoringStatus},
		{method: fasthttp.MethodGet, path: "/status", about: statusAbout, role: roleRead, handler: (*Server).getStatus},
	}
}

// getFlopynetIndex answers GET /api with what FLOPY-NET's programs find there.
func (s *Server) getFlopynetIndex(r *request) error {
	endpoints := map[string]string{}
	for _, known := range allRoutes() {
		if known.flopynet || known.path == "/health" || known.path == "/status" {
			endpoints[known.method+" "+known.path] = known.about
		}
	}
	r.respondValue(fasthttp.StatusOK, map[string]any{"api": "Metrics Collector API", "name": "collector", "version": s.options.Version, "endpoints": endpoints})
	return nil
}

// statusReport is the answer of GET /status.
type statusReport struct {
	CollectorRunning bool             `json:"collector_running"`
	APIPort          int              `json:"api_port"` // at which this request came in
	StorageDir       string           `json:"storage_dir"`
	TrainingMode     string           `json:"training_mode"`
	Intervals        monitorIntervals `json:"intervals"`
	URLs             monitorURLs      `json:"urls"`
}

// monitorIntervals are in seconds; null: it isn't polled.
type monitorIntervals struct {
	Policy  *float64 `json:"policy_sec"`
	FL      *float64 `json:"fl_sec"`
	Network *float64 `json:"network_sec"`
	Event   *float64 `json:"event_sec"`
}

// monitorURLs are the addresses of what is polled; null: it isn't.
type monitorURLs struct {
	PolicyEngine  *string `json:"policy_engine"`
	FLServer      *string `json:"fl_server"`
	SDNController *string `json:"sdn_controller"`
}

// getStatus answers GET /status.
func (s *Server) getStatus(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, s.status(r))
	return nil
}

// getFlopynetStatus answers GET /api/status.
func (s *Server) getFlopynetStatus(r *request) error {
	r.respondValue(fasthttp.StatusOK, s.status(r))
	return nil
}

// status tells what the collector was told to do, to who may read.
func (s *Server) status(r *request) statusReport {
	var settings config.Config
	if s.options.Config != nil {
		settings = s.options.Config.Config()
	}
	report := statusReport{CollectorRunning: true, StorageDir: settings.DataDir, TrainingMode: settings.Flopynet.TrainingMode}
	if address, ok := r.http.LocalAddr().(*net.TCPAddr); ok {
		report.APIPort = address.Port
	}
	interval := func(polled bool, every time.Duration) *float64 {
		if !polled {
			return nil
		}
		seconds := every.Seconds()
		return &seconds
	}
	polls := func(name string) *float64 { return interval(s.testbed.Polls(name), s.testbed.Interval(name)) }
	report.Intervals = monitorIntervals{
		Policy: polls(flopynet.PolicyEngine), FL: polls(flopynet.FLServer), Network: polls(flopynet.SDNController),
		Event: interval(s.testbed.PollsEvents(), s.testbed.EventInterval()),
	}
	address := func(name string) *string { return nullableText(s.testbed.Peer(name).URL) }
	report.URLs = monitorURLs{PolicyEngine: address(flopynet.PolicyEngine), FLServer: address(flopynet.FLServer), SDNController: address(flopynet.SDNController)}
	return report
}

// monitoringStatus is the answer of GET /api/monitoring/status. FLOPY-NET's model of it has no room for null.
type monitoringStatus struct {
	Status         string            `json:"status"` // unhealthy if a service is, or what they tell can't be stored; healthy if some are, and none isn't; else unknown
	Timestamp      string            `json:"timestamp"`
	Services       map[string]string `json:"services"`
	LastCollection map[string]string `json:"last_collection"` // by type of metrics, of those that were collected since the start
}

// getMonitoringStatus answers GET /api/monitoring/status.
func (s *Server) getMonitoringStatus(r *request) error {
	status := monitoringStatus{
		Status: flopynet.StatusUnknown, Timestamp: formatTime(r.received.UnixNano()),
		Services: map[string]string{}, LastCollection: map[string]string{},
	}
	for _, peer := range s.testbed.Peers() {
		status.Services[peer.Name] = peer.Status
		if peer.Status == flopynet.StatusUnhealthy || peer.Status == flopynet.StatusHealthy && status.Status == flopynet.StatusUnknown {
			status.Status = peer.Status
		}
		if !peer.LastSuccess.IsZero() {
			status.LastCollection[flopynet.MetricType(peer.Name)] = formatTime(peer.LastSuccess.UnixNano())
		}
	}
	if s.db.Stats().WriteError != nil {
		status.Status = flopynet.StatusUnhealthy
	}
	r.respondValue(fasthttp.StatusOK, status)
	return nil
}
