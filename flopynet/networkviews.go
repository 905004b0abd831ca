package flopynet

import (
	"net/netip"
	"time"
)

// Freshness says whether a view shows what is now. All is well while it is empty.
type Freshness struct {
	Stale        bool   `json:"stale,omitempty"`         // figures are the last known
	ServerStatus string `json:"server_status,omitempty"` // unreachable: it didn't answer when it was last asked; unknown: it has not been asked since the start, or may not be
}

// NetworkStats is what is known of the network as a whole. Figures that nobody knows are nil.
type NetworkStats struct {
	Topology NetworkTopology `json:"topology"`
	Traffic  NetworkTraffic  `json:"traffic"`
	Quality  NetworkQuality  `json:"quality"`
	Freshness
}

// NetworkTopology counts what there is.
type NetworkTopology struct {
	Devices            int   `json:"devices"`              // switches and hosts
	ActiveConnections  int   `json:"active_connections"`   // links and attachments of hosts
	LastTopologyUpdate stamp `json:"last_topology_update"` // when it was last seen to have changed
}

// NetworkTraffic is what was carried since the collector first looked and began with what the switches had counted by then. Each
// byte counts at every switch on its way.
type NetworkTraffic struct {
	TotalBytes          int64 `json:"total_bytes"`           // received by all ports
	FLTrafficBytes      int64 `json:"fl_traffic_bytes"`      // of flows with an address of the FL server or a client
	ControlTrafficBytes int64 `json:"control_traffic_bytes"` // of flows with the controller's address
	LastMeasurement     stamp `json:"last_measurement"`
}

// NetworkQuality is how well it is carried.
type NetworkQuality struct {
	AverageLatencyMs     *float64 `json:"average_latency_ms"`
	PacketLossPercentage *float64 `json:"packet_loss_percentage"`
	BandwidthUtilization *float64 `json:"bandwidth_utilization"` // what all ports receive and send, in percent of what they could
	Simulated            bool     `json:"simulated,omitempty"`   // latency and packet loss are the controller's, which makes them up
}

// NetworkStats returns what is known of the network.
func (t *Testbed) NetworkStats() NetworkStats {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	total, fl, control := n.traffic()
	stats := NetworkStats{
		Topology: NetworkTopology{
			Devices: len(n.topology.Switches) + len(n.topology.Hosts), ActiveConnections: n.connections(),
			LastTopologyUpdate: stamp(n.topology.Changed),
		},
		Traffic: NetworkTraffic{
			TotalBytes: total, FLTrafficBytes: fl, ControlTrafficBytes: control, LastMeasurement: stamp(n.totals.Measured),
		},
		Quality: NetworkQuality{
			AverageLatencyMs: n.told("latency", "average_ms"), PacketLossPercentage: n.told("packet_loss", "packet_loss"),
			BandwidthUtilization: n.utilization(),
		},
		Freshness: n.freshness(),
	}
	stats.Quality.Simulated = stats.Quality.AverageLatencyMs != nil || stats.Quality.PacketLossPercentage != nil
	return stats
}

// SDNStatus is what is known of the SDN controller and its switches.
type SDNStatus struct {
	Controller SDNControllerStatus `json:"controller"`
	Switches   []SDNSwitch         `json:"switches"`
	Freshness
}

// SDNControllerStatus is how the controller does. What it doesn't tell is nil.
type SDNControllerStatus struct {
	Status            string  `json:"status"` // active, unreachable or unknown
	IPAddress         *string `json:"ip_address"`
	OpenflowVersion   *string `json:"openflow_version"` // always nil: no controller tells it
	ConnectedSwitches int     `json:"connected_switches"`
	ActiveFlows       int     `json:"active_flows"` // that the controller lists
	LastContact       stamp   `json:"last_contact"`
}

// SDNSwitch is a switch.
type SDNSwitch struct {
	SwitchID  string  `json:"switch_id"`  // its configured name, or ovs-<dpid in decimal>
	IPAddress *string `json:"ip_address"` // as configured
	Status    string  `json:"status"`     // connected
	FlowCount int     `json:"flow_count"`
	PortCount int     `json:"port_count"` // without its own
}

// SDNStatus returns what is known of the SDN controller and its switches.
func (t *Testbed) SDNStatus() SDNStatus {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	fresh := n.freshness()
	status := SDNStatus{
		Controller: SDNControllerStatus{
			Status: "active", IPAddress: n.controllerAddress(), ConnectedSwitches: len(n.topology.Switches), LastContact: stamp(n.totals.Looked),
		},
		Switches:  []SDNSwitch{},
		Freshness: fresh,
	}
	if fresh.ServerStatus != "" {
		status.Controller.Status = fresh.ServerStatus
	}
	for _, s := range n.topology.Switches {
		one := SDNSwitch{
			SwitchID: n.switchName(s.DPID), IPAddress: n.switchAddress(s.DPID), Status: "connected", FlowCount: len(n.flows[s.DPID]), PortCount: n.portCount(s),
		}
		status.Controller.ActiveFlows += one.FlowCount
		status.Switches = append(status.Switches, one)
	}
	return status
}

// freshness tells whether what is known is what the controller tells now. The caller holds mu.
func (n *network) freshness() Freshness {
	options := &n.testbed.options
	if n.testbed.gate.isClosed() {
		return Freshness{n.totals.Looked != 0, StatusUnknown}
	}
	switch age := options.Now().UnixNano() - n.totals.Looked; {
	case n.totals.Looked == 0 && !n.tried:
		return Freshness{ServerStatus: StatusUnknown}
	case !n.tried:
		return Freshness{true, StatusUnknown}
	case !n.reached:
		return Freshness{n.totals.Looked != 0, serverUnreachable}
	case !n.fresh || age > int64(3*options.SDNController.Interval+options.SDNController.Timeout):
		return Freshness{Stale: true}
	}
	return Freshness{}
}

// connections counts links, and hosts that are attached. The caller holds mu.
func (n *network) connections() int {
	count := len(n.topology.Links)
	for _, h := range n.topology.Hosts {
		if h.At.Switch != 0 {
			count++
		}
	}
	return count
}

// told is a figure of the controller's, nil if it doesn't tell it. The caller holds mu.
func (n *network) told(in, name string) *float64 {
	if value, ok := n.totals.Performance.get(in, name); ok {
		return &value
	}
	return nil
}

// bitsPerSecond is what all ports receive and send: as we see it, or else as the controller says. FLOPY-NET's says 0 whenever it has
// just forgotten its counters. The caller holds mu.
func (n *network) bitsPerSecond() *float64 {
	if n.totals.Rate != nil {
		return n.totals.Rate
	}
	return n.told("bandwidth", "current_total_bps")
}

// utilization is what all ports receive and send, in percent of what they could; nil where that isn't known. The caller holds mu.
func (n *network) utilization() *float64 {
	ports := 0
	for _, s := range n.topology.Switches {
		ports += n.portCount(s)
	}
	capacity, current := 2*float64(n.testbed.options.LinkCapacityBps)*float64(ports), n.bitsPerSecond()
	if capacity <= 0 || current == nil {
		return nil
	}
	percent := bounded(*current / capacity * 100)
	return &percent
}

func (n *network) switchName(id datapathID) string {
	if name := n.testbed.options.SwitchNames[uint64(id)]; name != "" {
		return name
	}
	return "ovs-" + id.String()
}

// switchAddress is the configured address of the node that is called as the switch is, or openvswitch if there is but one.
func (n *network) switchAddress(id datapathID) *string {
	names := []string{n.switchName(id), "ovs-" + id.String(), "openvswitch-" + id.String()}
	if len(n.topology.Switches) == 1 {
		names = append(names, "openvswitch")
	}
	return n.nodeAddress(names...)
}

// controllerAddress is the configured one, or that of its URL.
func (n *network) controllerAddress() *string {
	if configured := n.nodeAddress("sdn-controller"); configured != nil {
		return configured
	}
	address, ok := hostAddress(n.testbed.options.SDNController.URL)
	if !ok {
		return nil
	}
	text := address.String()
	return &text
}

// nodeAddress is the configured address of the first of the nodes that has one.
func (n *network) nodeAddress(names ...string) *string {
	for _, name := range names {
		for node, address := range n.testbed.options.NodeIPs {
			if nodeKind(node) == nodeKind(name) {
				text := address.String()
				return &text
			}
		}
	}
	return nil
}

// nodeName is the configured name of a host, "" if it has none.
func (n *network) nodeName(addresses []netip.Addr) string {
	for _, address := range addresses {
		for name, of := range n.testbed.options.NodeIPs {
			if of == address {
				return name
			}
		}
	}
	return ""
}

// portCount counts a switch's ports, as the topology or else the counters tell them. The caller holds mu.
func (n *network) portCount(s *switchInfo) int {
	count := 0
	for _, p := range s.Ports {
		if p.Number != localPort {
			count++
		}
	}
	record := n.switches[s.DPID]
	if len(s.Ports) > 0 || record == nil {
		return count
	}
	for number, p := range record.Ports {
		if number != localPort && p.Seen == record.Told {
			count++
		}
	}
	return count
}

// epochSeconds is a time as FLOPY-NET's own answers have it: seconds since the epoch, 0 if there is none.
func epochSeconds(ns int64) float64 { return float64(ns/int64(time.Microsecond)) / 1e6 }
