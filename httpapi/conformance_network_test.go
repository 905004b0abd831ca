package httpapi

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/model"
)

// networkExamples are the document's views of the network. Their figures are told by a controller of one switch and four hosts.
func networkExamples() []example {
	return []example{{
		name: "1-network-stats", now: "2025-06-16T10:25:00Z",
		prepare: func(c *conformance) {
			c.network() // when the topology was seen to have changed
			c.at("2025-06-16T10:30:00Z")
			c.network()
		},
		beside: []string{"quality.simulated"},
	}, {
		name: "1-network-sdn", now: "2025-06-16T10:29:50Z", prepare: (*conformance).network,
		vary: map[string]string{"controller.openflow_version": "null"}, // no controller tells it
	}}
}

// network polls the controller once, with a new testbed over what is known already.
func (c *conformance) network() {
	c.t.Helper()
	peer := newFakePeer(c.t, controllerAnswers())
	peer.Start()
	c.server.testbed.Close()
	c.poll(flopynet.Options{
		SDNController:   flopynet.PeerOptions{URL: peer.URL},
		LinkCapacityBps: 12_500_000, NodeIPs: map[string]netip.Addr{
			"fl-server": netip.MustParseAddr("192.168.100.10"), "sdn-controller": netip.MustParseAddr("192.168.100.41"), "openvswitch": netip.MustParseAddr("192.168.100.60"),
		},
	})
	c.healthy(flopynet.SDNController)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		told, err := c.db.Events(c.t.Context(), engine.EventQuery{From: model.MinTime, To: model.MaxTime, Components: []string{flopynet.SDNController}, Limit: 1})
		if err != nil || time.Now().After(deadline) {
			c.t.Fatal(err, c.server.testbed.NetworkStats())
		}
		if len(told.Events) > 0 && c.server.testbed.NetworkStats().Freshness == (flopynet.Freshness{}) { // what is stored last is there
			return
		}
	}
}

// controllerAnswers are those of FLOPY-NET's controller, with what the document's figures add up from.
func controllerAnswers() map[string]string {
	var hosts, ports []string
	for i, address := range []string{"192.168.100.10", "192.168.100.20", "192.168.100.101", "192.168.100.102"} {
		hosts = append(hosts, fmt.Sprintf(`{"mac": "aa:00:00:00:00:%02x", "ipv4": [%q], "ipv6": [], "port": {"dpid": "0000000000000001", "port_no": "%08x"}}`, i+1, address, i+1))
		ports = append(ports, fmt.Sprintf(`{"port_no": %d, "rx_packets": 20000, "tx_packets": 20000, "rx_bytes": %d, "tx_bytes": 1, "rx_dropped": 18446744073709551615, "tx_dropped": 0,
			"rx_errors": 18446744073709551615, "tx_errors": 0, "duration_sec": 60, "duration_nsec": 0, "rx_bps": 0, "tx_bps": 0}`, i+1, 104857600/4))
	}
	var flows []string
	for i := range 12 {
		field, address, carried := "ipv4_dst", fmt.Sprint("192.168.100.", 150+i), 1000
		switch i {
		case 0, 1:
			field, address, carried = []string{"ipv4_src", "ipv4_dst"}[i], "192.168.100.10", 52428800/2
		case 2:
			address, carried = "192.168.100.41", 1048576
		}
		flows = append(flows, fmt.Sprintf(`"1_20_%d": {"datapath_id": 1, "priority": 20, "idle_timeout": 300, "hard_timeout": 0, "packet_count": 10, "byte_count": %d, "duration_sec": 60,
			"duration_nsec": 5, "match": {"OFPMatch": {"length": 10, "oxm_fields": [{"OXMTlv": {"field": %q, "mask": null, "value": %q}}], "type": 1}}, "actions": []}`, -i, carried, field, address))
	}
	return map[string]string{
		"/health":                 `{"status": "healthy", "timestamp": 1750069800.5}`,
		"/v1.0/topology/switches": `[{"dpid": "0000000000000001", "ports": [{"dpid": "0000000000000001", "port_no": "00000001"}, {"port_no": "00000002"}, {"port_no": "00000003"}, {"port_no": "00000004"}]}]`,
		"/v1.0/topology/links":    `[]`, "/v1.0/topology/hosts": "[" + strings.Join(hosts, ",") + "]", "/stats/port/0x1": `{"0x1": [` + strings.Join(ports, ",") + "]}",
		"/stats/flows": "{" + strings.Join(flows, ",") + "}",
		"/api/performance/metrics": `{"bandwidth": {"current_total_bps": 25800000.0}, "latency": {"average_ms": 12.5, "min_ms": 5, "max_ms": 50}, "packet_loss": 0.01,
			"flows": {"total": 12, "active": 12}, "health_score": 85}`,
		"/status": `{"switches_connected": 1, "hosts_learned": 4, "links_discovered": 0, "policies_active": 2, "policy_engine_available": true}`,
	}
}
