package flopynet

import (
	"context"

	"github.com/flopynet/collector/internal/timefmt"
)

// LatestNetwork is how the network does, as FLOPY-NET's dashboard asks for it: its overview reads Data, its page of the network
// what stands beside it. Both calculate, so there is 0 where nobody knows.
type LatestNetwork struct {
	Timestamp  string `json:"timestamp"` // of the newest sample, or the present if there is none
	Type       string `json:"type"`
	MetricType string `json:"metric_type"`
	Component  string `json:"source_component"`

	Status       string       `json:"status"` // connected or disconnected
	Nodes        int          `json:"node_count"`
	Links        int          `json:"link_count"`
	NodeStatuses NodeStatuses `json:"node_statuses"`
	TopologyMetrics
	Collected float64 `json:"collection_timestamp"` // seconds since the epoch; 0: never

	Data map[string]any `json:"data"` // of LatestRow, and what is known of the network: zeros if nothing is
}

// NodeStatuses counts the switches and hosts.
type NodeStatuses struct {
	Started int `json:"started"` // that are there
	Stopped int `json:"stopped"` // hosts that have left
}

// LatestNetwork returns how the network does, with the samples before a time.
func (t *Testbed) LatestNetwork(ctx context.Context, to int64) (*LatestNetwork, error) {
	row, err := t.LatestRow(ctx, typeNetwork, to)
	if err != nil {
		return nil, err
	}
	record, topology := t.NetworkRecord(), t.Topology(false, true)
	l := &LatestNetwork{
		Type: typeNetwork, MetricType: typeNetwork, Component: SDNController, Status: "disconnected", Nodes: len(topology.Nodes), Links: len(topology.Links),
		NodeStatuses: NodeStatuses{Started: len(topology.Nodes)}, TopologyMetrics: *topology.Metrics, Collected: record.Timestamp, Data: map[string]any{},
	}
	if row != nil {
		l.Timestamp, l.Data = row.Timestamp, row.Data
	} else {
		l.Timestamp = string(timefmt.AppendTime(nil, t.options.Now().UnixNano()))
	}
	record.put(l.Data)
	if record.SDNStatus == "connected" {
		l.Status = record.SDNStatus
	}
	for _, host := range t.Hosts() {
		if !host.Present {
			l.NodeStatuses.Stopped++
		}
	}
	return l, nil
}
