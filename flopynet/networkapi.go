package flopynet

import (
	"encoding/json"
	"strconv"
)

// These are the answers of FLOPY-NET's own surface about the network. Its dashboard calculates with many of the figures, so where
// it does, one that nobody knows is 0, or left out where the dashboard takes that for 0.

// TopologyLists are the parts of the network, in the form that FLOPY-NET's dashboard reads.
type TopologyLists struct {
	Nodes     []any            `json:"nodes"` // the switches and the hosts
	Links     []TopologyLink   `json:"links"`
	Switches  []TopologySwitch `json:"switches"`
	Hosts     []TopologyHost   `json:"hosts"`
	Timestamp float64          `json:"timestamp"` // when the controller told it; 0: never
}

// TopologySwitch is a switch.
type TopologySwitch struct {
	ID        string         `json:"id"`   // the dpid
	DPID      string         `json:"dpid"` // in 16 hexadecimal digits
	Type      string         `json:"type"` // switch
	Name      string         `json:"name"` // configured, or ovs-<dpid in decimal>
	FlowCount int            `json:"flow_count"`
	Ports     []TopologyPort `json:"ports"`
}

// TopologyPort is a port of a switch. What isn't told is left out.
type TopologyPort struct {
	PortNo    portNumber `json:"port_no"`
	HWAddr    string     `json:"hw_addr,omitempty"`
	Name      string     `json:"name,omitempty"`
	State     *int       `json:"state,omitempty"`
	CurrSpeed *float64   `json:"curr_speed,omitempty"` // kbit/s
}

// TopologyHost is a host.
type TopologyHost struct {
	ID   string     `json:"id"` // the MAC address
	MAC  string     `json:"mac"`
	DPID string     `json:"dpid"` // of the switch it is attached to
	Port portNumber `json:"port"`
	IP   string     `json:"ip"` // unknown: it isn't told
	IPs  []string   `json:"ips"`
	Type string     `json:"type"` // host
	Name string     `json:"name,omitempty"`
}

// TopologyLink joins two switches.
type TopologyLink struct {
	Source     string     `json:"source"` // dpid
	Target     string     `json:"target"`
	SourcePort portNumber `json:"sport"`
	TargetPort portNumber `json:"dport"`
	Type       string     `json:"type"` // direct
}

// TopologyStatistics counts the parts.
type TopologyStatistics struct {
	Nodes    int `json:"total_nodes"`
	Links    int `json:"total_links"`
	Switches int `json:"total_switches"`
	Hosts    int `json:"total_hosts"`
	GNS3     int `json:"gns3_links"` // always 0: GNS3 is not asked
	SDN      int `json:"sdn_links"`
}

// TopologyMetrics are figures that FLOPY-NET's dashboard shows beside the topology; 0 where nobody knows.
type TopologyMetrics struct {
	SDNStatus   string  `json:"sdn_status"` // connected, disconnected or unknown
	Switches    int     `json:"switches_count"`
	Flows       int     `json:"total_flows"`
	Ports       int     `json:"total_ports"`
	Latency     float64 `json:"avg_latency_ms"`
	Loss        float64 `json:"packet_loss_percent"`
	Utilization float64 `json:"bandwidth_utilization_percent"`
	Simulated   bool    `json:"simulated"` // latency and loss: the controller makes them up
}

// ProjectInfo would tell of GNS3, which is not asked.
type ProjectInfo struct {
	Name   string `json:"name"`
	ID     string `json:"id"`
	Status string `json:"status"`
}

// TopologyView is the answer about the topology as it was last polled.
type TopologyView struct {
	Nested TopologyLists `json:"topology"`
	TopologyLists
	CollectionTime float64            `json:"collection_time"`
	Source         string             `json:"source"` // sdn_controller
	Project        ProjectInfo        `json:"project_info"`
	Statistics     TopologyStatistics `json:"statistics"`
	Metrics        *TopologyMetrics   `json:"metrics,omitempty"`
	Freshness
}

// TopologySummary is the short answer.
type TopologySummary struct {
	Summary   TopologyStatistics `json:"summary"`
	Status    TopologyStatus     `json:"status"`
	Timestamp float64            `json:"timestamp"`
	Freshness
}

// TopologyStatus tells what there is a connection to.
type TopologyStatus struct {
	GNS3    bool   `json:"gns3_connected"`
	SDN     bool   `json:"sdn_connected"`
	Project string `json:"project_name"`
}

// unknownProject stands for the project of GNS3.
const unknownProject = "unknown"

// Topology returns the topology as it was last polled. Without metrics they are left out. With gns3Only there is nothing in it: GNS3
// isn't asked.
func (t *Testbed) Topology(gns3Only, metrics bool) TopologyView {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	lists := emptyTopology(n.totals.Looked)
	if !gns3Only {
		lists = n.lists(&n.topology, n.totals.Looked)
	}
	view := TopologyView{
		Nested: lists, TopologyLists: lists, CollectionTime: lists.Timestamp, Source: SDNController,
		Project: ProjectInfo{unknownProject, unknownProject, "unknown"}, Statistics: lists.statistics(), Freshness: n.freshness(),
	}
	if metrics {
		view.Metrics = n.metrics()
	}
	return view
}

// TopologySummary returns the counts alone.
func (t *Testbed) TopologySummary() TopologySummary {
	view := t.Topology(false, true)
	return TopologySummary{
		Summary: view.Statistics, Status: TopologyStatus{SDN: view.Metrics.SDNStatus == "connected", Project: unknownProject}, Timestamp: view.Timestamp, Freshness: view.Freshness,
	}
}

func emptyTopology(at int64) TopologyLists {
	return TopologyLists{Nodes: []any{}, Links: []TopologyLink{}, Switches: []TopologySwitch{}, Hosts: []TopologyHost{}, Timestamp: epochSeconds(at)}
}

// lists puts a topology into the dashboard's form. The caller holds mu.
func (n *network) lists(topology *topology, at int64) TopologyLists {
	lists := emptyTopology(at)
	for _, s := range topology.Switches {
		one := TopologySwitch{
			ID: s.DPID.hex(), DPID: s.DPID.hex(), Type: "switch", Name: n.switchName(s.DPID), FlowCount: len(n.flows[s.DPID]), Ports: []TopologyPort{},
		}
		for _, p := range s.Ports {
			one.Ports = append(one.Ports, TopologyPort{p.Number, p.Address, p.Name, p.State, p.Speed})
		}
		lists.Switches = append(lists.Switches, one)
		lists.Nodes = append(lists.Nodes, one)
	}
	for _, h := range topology.Hosts {
		one := TopologyHost{
			ID: h.MAC, MAC: h.MAC, DPID: h.At.Switch.hex(), Port: h.At.Port, IP: "unknown", IPs: []string{}, Type: "host", Name: n.nodeName(h.Addresses),
		}
		for _, address := range h.Addresses {
			one.IPs = append(one.IPs, address.String())
		}
		if len(one.IPs) > 0 {
			one.IP = one.IPs[0]
		}
		lists.Hosts = append(lists.Hosts, one)
		lists.Nodes = append(lists.Nodes, one)
	}
	for _, l := range topology.Links {
		lists.Links = append(lists.Links, TopologyLink{l.A.Switch.hex(), l.B.Switch.hex(), l.A.Port, l.B.Port, "direct"})
	}
	return lists
}

func (l *TopologyLists) statistics() TopologyStatistics {
	return TopologyStatistics{Nodes: len(l.Nodes), Links: len(l.Links), Switches: len(l.Switches), Hosts: len(l.Hosts), SDN: len(l.Links)}
}

// metrics are the figures beside the topology. The caller holds mu.
func (n *network) metrics() *TopologyMetrics {
	m := &TopologyMetrics{SDNStatus: n.sdnStatus(), Switches: len(n.topology.Switches), Latency: orZero(n.told("latency", "average_ms")),
		Loss: orZero(n.told("packet_loss", "packet_loss")), Utilization: orZero(n.utilization()), Simulated: n.totals.Performance != nil}
	for _, s := range n.topology.Switches {
		m.Flows += len(n.flows[s.DPID])
		m.Ports += n.portCount(s)
	}
	return m
}

// sdnStatus is connected if there are switches and the controller answers. The caller holds mu.
func (n *network) sdnStatus() string {
	switch {
	case !n.tried && n.totals.Looked == 0:
		return StatusUnknown
	case n.freshness().ServerStatus == "" && len(n.topology.Switches) > 0:
		return "connected"
	}
	return "disconnected"
}

func orZero(value *float64) float64 {
	if value == nil {
		return 0
	}
	return *value
}

// FlowsView is the answer about the flows.
type FlowsView struct {
	Flows     []json.RawMessage `json:"flows"` // as the controller tells them, with flow_id, switch_dpid, switch_name and datapath_id_hex
	Summary   FlowSummary       `json:"summary"`
	Timestamp float64           `json:"timestamp"` // when the controller told it; 0: never
	Source    string            `json:"source"`    // sdn_controller
	Freshness
}

// FlowSummary counts flows.
type FlowSummary struct {
	Total      int            `json:"total_flows"`
	Switches   int            `json:"switches_with_flows"`
	ByPriority map[string]int `json:"priority_stats"`
	ByTable    map[string]int `json:"table_stats"`
}

// NetworkFlows returns the flows as they were last polled.
func (t *Testbed) NetworkFlows() FlowsView {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	view := FlowsView{
		Flows: []json.RawMessage{}, Summary: FlowSummary{ByPriority: map[string]int{}, ByTable: map[string]int{}},
		Timestamp: epochSeconds(n.totals.Looked), Source: SDNController, Freshness: n.freshness(),
	}
	for _, s := range n.topology.Switches {
		flows := n.flows[s.DPID]
		for i := range flows {
			view.Flows = append(view.Flows, n.flowRow(&flows[i]))
			view.Summary.ByPriority[strconv.Itoa(flows[i].priority)]++
			view.Summary.ByTable[strconv.Itoa(flows[i].table)]++
		}
		if len(flows) > 0 {
			view.Summary.Switches++
		}
	}
	view.Summary.Total = len(view.Flows)
	return view
}

// flowRow is a flow as the controller tells it, and what FLOPY-NET's collector adds.
func (n *network) flowRow(f *flowReading) json.RawMessage {
	row := map[string]any{}
	var told map[string]json.RawMessage
	_ = json.Unmarshal(f.raw, &told) // it was read before
	for name, value := range told {
		row[name] = value
	}
	row["flow_id"] = f.dpid.String() + "_" + strconv.Itoa(f.priority) + "_" + f.key
	row["datapath_id"], row["datapath_id_hex"], row["switch_dpid"], row["switch_name"] = uint64(f.dpid), f.dpid.hex(), f.dpid.hex(), n.switchName(f.dpid)
	row["priority"], row["table_id"] = f.priority, f.table
	if f.packets != notTold {
		row["packet_count"] = f.packets
	}
	if f.bytes != notTold {
		row["byte_count"] = f.bytes
	}
	raw, _ := json.Marshal(row) // numbers, texts and what was read
	return raw
}
