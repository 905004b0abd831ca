package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
)

// views are the document's views of the testbed. Their data come from components that tell exactly its figures, and from
// pushes.
func views() []example {
	const halfPast = "2025-06-16T10:30:00Z"
	return []example{{
		name: "1-metrics", now: "2025-06-16T10:29:55Z", prepare: prepareServices,
		vary: map[string]string{ // this machine's
			"system.cpu_usage": anyNumber, "system.memory_usage": anyNumber, "system.disk_usage": anyNumber,
			"system.network_io.bytes_sent": anyNumber, "system.network_io.bytes_received": anyNumber,
		},
	}, {
		name: "1-fl-status", now: halfPast, prepare: func(c *conformance) { c.training() },
	}, {
		name: "1-fl-clients", now: halfPast, prepare: prepareClients,
	}, {
		name: "1-policy-events", now: halfPast, target: "/policy/events?limit=10&since=2025-06-16T10:00:00Z", prepare: prepareDecisions,
		beside: []string{"events*.details.*"}, // what else a decision has
	}}
}

// fakePeer answers with these texts; 404 for other paths, and 500 for all while there are none.
type fakePeer struct {
	*httptest.Server
	answers atomic.Pointer[map[string]string]
	before  func(path string) // called ahead of each answer
}

func newFakePeer(t testing.TB, answers map[string]string) *fakePeer {
	t.Helper()
	p := &fakePeer{}
	p.answers.Store(&answers)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.before != nil {
			p.before(r.URL.Path)
		}
		answers := *p.answers.Load()
		switch text, known := answers[r.URL.Path]; {
		case known:
			fmt.Fprint(w, text)
		case answers == nil:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// poll has the server's testbed be one that polls these components, once in the time of a test unless an interval says
// otherwise.
func (c *conformance) poll(options flopynet.Options) {
	c.t.Helper()
	for _, peer := range []*flopynet.PeerOptions{&options.FLServer, &options.PolicyEngine, &options.SDNController} {
		if peer.Interval == 0 {
			peer.Interval = time.Hour
		}
		peer.Timeout = time.Minute
	}
	options.Now = func() time.Time { return time.Unix(0, c.clock.Load()).UTC() }
	bed, err := flopynet.NewTestbed(c.db, options)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(bed.Close)
	c.server.testbed = bed
	bed.Start()
}

// healthy waits until a component was polled, and all that was asked of it went well.
func (c *conformance) healthy(name string) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		switch peer := c.server.testbed.Peer(name); {
		case peer.Status == flopynet.StatusHealthy:
			return
		case peer.Status == flopynet.StatusUnhealthy || time.Now().After(deadline):
			c.t.Fatalf("%s is %+v", name, peer)
		}
	}
}

// flAnswers are those of an FL server that trains the fifth round of ten, with two clients.
func flAnswers() map[string]string {
	return map[string]string{
		"/health": `{"status": "healthy", "timestamp": 1750069800.0}`,
		"/status": `{"server_status": "training", "training_stopped_by_policy": false, "training_paused": false, "current_round": 5, "max_rounds": 10, "connected_clients": 2,
			"training_active": true, "timestamp": "2025-06-16T10:30:00+00:00"}`,
		"/metrics":       `{"current_round": 5, "max_rounds": 10, "connected_clients": 2, "last_round_metrics": {}}`,
		"/rounds":        `{"rounds": [], "total_rounds": 0, "returned_rounds": 0, "latest_round": 0, "pagination": {"limit": 1000, "offset": 0, "has_more": false}}`,
		"/rounds/latest": `{"rounds": [], "latest_round": 0}`,
	}
}

// training polls an FL server that trains.
func (c *conformance) training() {
	peer := newFakePeer(c.t, flAnswers())
	peer.Start()
	nodes := map[string]netip.Addr{"fl-client-1": netip.MustParseAddr("192.168.100.101"), "fl-client-2": netip.MustParseAddr("192.168.100.102")}
	c.poll(flopynet.Options{FLServer: flopynet.PeerOptions{URL: peer.URL}, EventInterval: -1, NodeIPs: nodes})
	c.healthy(flopynet.FLServer)
}

// prepareServices has two components take as long for their answers as the document says: by the clock, which moves only when
// both have been asked, for the one and then, when that was polled, for the other.
func prepareServices(c *conformance) {
	const asked = "2025-06-16T10:29:55Z"
	began := mustTime(c.t, asked)
	both := make(chan struct{})
	first := newFakePeer(c.t, map[string]string{
		"/health": `{"status": "ok", "version": 1}`, "/metrics": `{"version": "1.0.0", "policy_count": 5}`, "/api/v1/policy_decisions": `[]`, "/api/v1/policy_metrics": `[]`,
	})
	second := newFakePeer(c.t, flAnswers())
	first.before = func(path string) {
		if path == "/health" {
			<-both
			c.clock.Store(began + 15e6)
		}
	}
	second.before = func(path string) {
		if path == "/health" {
			close(both)
			for deadline := time.Now().Add(time.Minute); c.server.testbed.Peer(flopynet.PolicyEngine).Status != flopynet.StatusHealthy && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			c.clock.Store(began + 32e6)
		}
	}
	first.Start()
	second.Start()
	c.poll(flopynet.Options{FLServer: flopynet.PeerOptions{URL: second.URL}, PolicyEngine: flopynet.PeerOptions{URL: first.URL}, EventInterval: -1})
	c.healthy(flopynet.FLServer)
	c.at("2025-06-16T10:30:00Z")
}

// prepareClients has the clients push how long they trained, as FLOPY-NET's do.
func prepareClients(c *conformance) {
	for client, seconds := range map[string][]float64{"client-1": {118.5, 119.5, 120.5, 121.5, 122.5}, "client-2": {97.2, 98.2, 98.2, 99.2}} {
		last := map[string]string{"client-1": "10:29:45", "client-2": "10:29:30"}[client]
		for i, taken := range seconds {
			at := "2025-06-16T" + last + "Z"
			if i < len(seconds)-1 {
				at = fmt.Sprintf("2025-06-16T10:%02d:00Z", 10+i)
			}
			c.post("/metrics", fmt.Sprintf(`{"source": "fl_clients", "timestamp": %q, "metrics": [{"name": "training_time", "value": %v, "unit": "s", "tags": {"client_id": %q, "round": "%d"}}]}`,
				at, taken, client, i+1))
		}
	}
	c.training()
}

// prepareDecisions has the policy engine push a decision, and somebody write of a threshold that was passed.
func prepareDecisions(c *conformance) {
	c.post("/policy_decisions", `{"id": "decision_1750069785000_0001", "policy_id": "client_validation", "policy_name": "client_validation", "component": "fl-client", "timestamp": 1750069785,
		"context": {"client_id": "fl-client-1"}, "decision": "allow", "result": true, "reason": "Allowed by 1 rule(s)", "client_id": "client-1", "validation_result": "passed"}`)
	c.post("/events", `{"timestamp": "2025-06-16T10:29:30Z", "component": "policy_engine", "event_type": "policy_violation", "level": "warning",
		"details": {"policy_id": "network_quality", "target": "network_link_1", "metric": "latency", "value": 105, "threshold": 100}}`)
}
