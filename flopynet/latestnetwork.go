package flopynet

import "github.com/flopynet/collector/internal/timefmt"

// LatestNetwork is how the network does, as FLOPY-NET's dashboard asks for it: its overview reads Data, its page of the network
// what stands beside it. Both calculate, so there is 0 where nobody knows.
type LatestNetwork struct {
	Timestamp  string `json:"timestamp"` // when the controller told it, or the present if it never did
	Type       string `json:"type"`
	MetricType string `json:"metric_type"`
	Component  string `json:"source_component"`

	Status       string       `json:"status"` // connected or disconnected
	Nodes        int          `json:"node_count"`
	Links        int          `json:"link_count"`
	NodeStatuses NodeStatuses `json:"node_statuses"`
	TopologyMetrics
	Collected float64 `json:"collection_timestamp"` // seconds since the epoch; 0: never

	Data NetworkRecord `json:"data"`
}

// NodeStatuses counts the switches and hosts.
type NodeStatuses struct {
	Started int `json:"started"` // that are there
	Stopped int `json:"stopped"` // hosts that have left
}

// LatestNetwork returns how the network does.
func (t *Testbed) LatestNetwork() LatestNetwork {
	record, topology := t.NetworkRecord(), t.Topology(false, true)
	l := LatestNetwork{
		Type: typeNetwork, MetricType: typeNetwork, Component: SDNController, Status: "disconnected", Nodes: len(topology.Nodes), Links: len(topology.Links),
		NodeStatuses: NodeStatuses{Started: len(topology.Nodes)}, TopologyMetrics: *topology.Metrics, Collected: record.Timestamp, Data: record,
	}
	if record.SDNStatus == "connected" {
		l.Status = record.SDNStatus
	}
	for _, host := range t.Hosts() {
		if !host.Present {
			l.NodeStatuses.Stopped++
		}
	}
	when := int64(record.Timestamp * 1e6)
	if when == 0 {
		when = t.options.Now().UnixMicro()
	}
	l.Timestamp = string(timefmt.AppendTime(nil, when*1000))
	return l
}
