package httpapi

import (
	"time"

	"github.com/valyala/fasthttp"
)

// networkRoutes are those about the network that the SDN controller runs: the seed's, and FLOPY-NET's own.
func networkRoutes() []route {
	get := func(path, about string, h handler) route {
		return route{method: fasthttp.MethodGet, path: path, about: about, role: roleRead, handler: h}
	}
	flopynet := func(path, about string, h handler) route {
		endpoint := get("/api"+path, about, h)
		endpoint.flopynet = true
		return endpoint
	}
	return []route{
		get("/network/stats", "topology, traffic and quality of the network", (*Server).getNetworkStats),
		get("/network/sdn", "the SDN controller and its switches", (*Server).getSDN),
		flopynet("/network/topology", "the network's topology as it was last polled", (*Server).getTopology),
		flopynet("/network/topology/live", "the network's topology now", (*Server).getLiveTopology),
		flopynet("/network/flows", "the flows of all switches", (*Server).getNetworkFlows),
		flopynet("/performance/metrics", "the network's performance", (*Server).getNetworkPerformance),
		flopynet("/flows/statistics", "how many flows there are and how many are in use", (*Server).getFlowStatistics),
	}
}

// getNetworkStats answers GET /network/stats.
func (s *Server) getNetworkStats(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, s.testbed.NetworkStats())
	return nil
}

// getSDN answers GET /network/sdn.
func (s *Server) getSDN(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, s.testbed.SDNStatus())
	return nil
}

// getTopology answers GET /api/network/topology.
func (s *Server) getTopology(r *request) error {
	p, err := knownParams(r.http.QueryArgs(), paramSet{"source": false, "include_metrics": false, "format": false})
	if err != nil {
		return err
	}
	source, err := p.oneOf("source", "all", "sdn", "gns3")
	if err != nil {
		return err
	}
	metrics, err := p.spokenBoolean("include_metrics", true)
	if err != nil {
		return err
	}
	format, err := p.oneOf("format", "detailed", "summary")
	if err != nil {
		return err
	}
	if format == "summary" {
		r.respondValue(fasthttp.StatusOK, s.testbed.TopologySummary())
		return nil
	}
	r.respondValue(fasthttp.StatusOK, s.testbed.Topology(source == "gns3", metrics))
	return nil
}

// liveTopologyTimeout is how long a client waits for the topology; the question to the controller has a shorter time.
const liveTopologyTimeout = 30 * time.Second

// getLiveTopology answers GET /api/network/topology/live.
func (s *Server) getLiveTopology(r *request) error {
	ctx, cancel := r.context(liveTopologyTimeout)
	defer cancel()
	view, err := s.testbed.LiveTopology(ctx)
	if err != nil {
		return err
	}
	r.respondValue(fasthttp.StatusOK, view)
	return nil
}

// getNetworkFlows answers GET /api/network/flows.
func (s *Server) getNetworkFlows(r *request) error {
	r.respondValue(fasthttp.StatusOK, s.testbed.NetworkFlows())
	return nil
}

// getNetworkPerformance answers GET /api/performance/metrics.
func (s *Server) getNetworkPerformance(r *request) error {
	r.respondValue(fasthttp.StatusOK, s.testbed.NetworkPerformance())
	return nil
}

// getFlowStatistics answers GET /api/flows/statistics.
func (s *Server) getFlowStatistics(r *request) error {
	r.respondValue(fasthttp.StatusOK, s.testbed.FlowStatistics())
	return nil
}
