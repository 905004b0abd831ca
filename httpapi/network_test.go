package httpapi

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

var networkPaths = []string{
	"/network/stats", "/network/sdn", "/api/network/topology", "/api/network/topology?format=summary", "/api/network/topology?source=gns3&include_metrics=false&x=1",
	"/api/network/topology/live", "/api/network/flows", "/api/performance/metrics", "/api/flows/statistics",
}

// TestNetworkWithoutController: all is there, and says that nothing is known. That the answers are as described is checked by ts.get.
func TestNetworkWithoutController(t *testing.T) {
	ts := startServer(t, Options{})
	for _, path := range networkPaths {
		if answer := ts.getJSON(path); answer["server_status"] != "unknown" || answer["stale"] != nil || answer["error"] != nil {
			t.Errorf("%s: %v", path, answer)
		}
	}
	for path, want := range map[string]string{"/network/stats?x=1": "x", "/network/sdn?limit=1": "limit", "/api/network/topology?format=xml": "format", "/api/network/topology?source=ns3": "source"} {
		if got := ts.get(path).wantError(t, http.StatusBadRequest, "INVALID_QUERY"); got.Details["parameter"] != want {
			t.Errorf("%s: %v", path, got.Details)
		}
	}
}

// TestNetworkOfTheTestbed polls a simulated controller, of FLOPY-NET's kind and a stock Ryu, until it goes away.
func TestNetworkOfTheTestbed(t *testing.T) {
	for _, stock := range []bool{false, true} {
		began := time.Now().Add(-time.Minute)
		sim := startSimulator(t, testbed.Options{Seed: 4, Start: began, StockRyu: stock})
		ts := startTestbed(t, flopynet.Options{
			SDNController: flopynet.PeerOptions{URL: sim.SDN.URL(), Interval: 20 * time.Millisecond, Timeout: 5 * time.Second},
			NodeIPs:       map[string]netip.Addr{"fl-server": netip.MustParseAddr("192.168.100.10"), "sdn-controller": netip.MustParseAddr("192.168.100.41")},
			SwitchNames:   map[uint64]string{1: "core"}, LinkCapacityBps: 1_000_000_000,
		}, Options{})
		stats := ts.until("/network/stats", func(answer map[string]any) bool {
			utilization := answer["quality"].(map[string]any)["bandwidth_utilization"]
			return answer["server_status"] == nil && utilization != nil
		})
		traffic := stats["traffic"].(map[string]any)
		if total, fl := traffic["total_bytes"].(float64), traffic["fl_traffic_bytes"].(float64); total < fl || fl <= 0 || traffic["control_traffic_bytes"].(float64) <= 0 {
			t.Errorf("%v", traffic)
		}
		if quality := stats["quality"].(map[string]any); (quality["average_latency_ms"] == nil) != stock || (quality["simulated"] == nil) != stock {
			t.Errorf("%v", quality)
		}
		for _, path := range networkPaths {
			if answer := ts.getJSON(path); answer["server_status"] != nil || answer["stale"] != nil || answer["error"] != nil {
				t.Errorf("%s: %v", path, answer)
			}
		}
		sdn := ts.getJSON("/network/sdn")
		if switches := sdn["switches"].([]any); len(switches) != 3 || switches[0].(map[string]any)["switch_id"] != "core" || switches[1].(map[string]any)["switch_id"] != "ovs-2" {
			t.Errorf("%v", sdn)
		}
		if live := ts.getJSON("/api/network/topology/live"); live["source"] != "live_query" {
			t.Errorf("%v", live)
		}
		if err := sim.SDN.Fail(testbed.Failure{Mode: testbed.Down}); err != nil {
			t.Fatal(err)
		}
		ts.until("/network/sdn", func(answer map[string]any) bool {
			return answer["stale"] == true && answer["server_status"] == "unreachable" && answer["controller"].(map[string]any)["status"] == "unreachable"
		})
		for _, path := range networkPaths {
			if answer := ts.getJSON(path); answer["stale"] != true || answer["server_status"] != "unreachable" {
				t.Errorf("%s: %v", path, answer)
			}
		}
		if after := ts.getJSON("/network/stats")["traffic"].(map[string]any); after["total_bytes"].(float64) < traffic["total_bytes"].(float64) {
			t.Errorf("%v, before %v", after, traffic)
		}
		if got := ts.getJSON("/metrics/query?metric=rx_bytes&source=sdn_controller&aggregation=last&group_by=dpid"); len(got["series"].([]any)) != 3 {
			t.Errorf("%v", got)
		}
	}
}
