package flopynet

import "strconv"

// PerformanceView is the answer about the network's performance: FLOPY-NET's collector's form and its controller's in one. What
// nobody knows is left out, or 0 where the form needs a number.
type PerformanceView struct {
	Health     HealthScore      `json:"network_health"`
	Score      float64          `json:"health_score"` // as in network_health
	Latency    LatencyFigures   `json:"latency"`
	Bandwidth  BandwidthFigures `json:"bandwidth"`
	PacketLoss float64          `json:"packet_loss"` // FLOPY-NET's controller always tells 0; see latency.simulated
	Ports      PortFigures      `json:"ports"`
	PortTotals map[string]int64 `json:"port_statistics"` // sums of the ports' counters: total_rx_bytes and so on
	Flows      FlowFigures      `json:"flows"`
	Totals     figures          `json:"totals"` // since the controller's start as it says, or else what the ports have counted
	Rates      figures          `json:"rates"`  // averages since the controller's start, as it says
	Timestamp  float64          `json:"timestamp"`
	Collected  float64          `json:"collection_timestamp"`
	Source     string           `json:"source"` // sdn_controller
	Freshness
}

// HealthScore is the controller's opinion of the network: 0 to 100.
type HealthScore struct {
	Score     float64            `json:"score"`  // 0 while the status is unknown
	Status    string             `json:"status"` // excellent, good, fair, poor, or unknown: the controller tells none
	Factors   map[string]float64 `json:"factors"`
	Simulated bool               `json:"simulated"` // it follows from the latency, which the controller makes up
}

// LatencyFigures are in milliseconds, twice by different names; 0 where the controller tells none.
type LatencyFigures struct {
	Average   float64 `json:"average"`
	Minimum   float64 `json:"minimum"`
	Maximum   float64 `json:"maximum"`
	AverageMs float64 `json:"average_ms"`
	MinMs     float64 `json:"min_ms"`
	MaxMs     float64 `json:"max_ms"`
	Simulated bool    `json:"simulated"` // the controller makes them up, and its packet loss with them; false: it tells none
}

// BandwidthFigures are what ports receive and send; 0 where nobody knows. average, minimum and maximum are in Mbit/s, and like
// current_average_bps and active_ports of the ports that carried something between the last two looks.
type BandwidthFigures struct {
	Average     float64 `json:"average"`
	Minimum     float64 `json:"minimum"`
	Maximum     float64 `json:"maximum"`
	Total       float64 `json:"current_total_bps"`
	AveragePort float64 `json:"current_average_bps"`
	ActivePorts int     `json:"active_ports"`
	Peak        float64 `json:"peak_bandwidth_bps"` // the highest of a port since the controller's start, as it says
}

// PortFigures count ports, but the switches' own.
type PortFigures struct {
	Total  int      `json:"total"`
	Up     *float64 `json:"up,omitempty"` // that carry something, as the controller says
	Errors int      `json:"errors"`       // that have counted errors
}

// FlowFigures count flows.
type FlowFigures struct {
	Total  int `json:"total"`
	Active int `json:"active"` // that have counted a packet
}

// NetworkPerformance returns what is known of the network's performance.
func (t *Testbed) NetworkPerformance() PerformanceView {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	view := PerformanceView{
		Bandwidth: n.bandwidth(), PacketLoss: orZero(n.told("packet_loss", "packet_loss")),
		Latency: LatencyFigures{
			AverageMs: orZero(n.told("latency", "average_ms")), MinMs: orZero(n.told("latency", "min_ms")), MaxMs: orZero(n.told("latency", "max_ms")),
			Simulated: n.told("latency", "average_ms") != nil,
		},
		Health: healthScore(n.told("health_score", "health_score")), PortTotals: map[string]int64{}, Totals: figures{}, Rates: figures{},
		Timestamp: epochSeconds(n.totals.Measured), Collected: epochSeconds(n.totals.Measured), Source: SDNController, Freshness: n.freshness(),
	}
	view.Latency.Average, view.Latency.Minimum, view.Latency.Maximum = view.Latency.AverageMs, view.Latency.MinMs, view.Latency.MaxMs
	view.Score = view.Health.Score
	view.Flows.Total, view.Flows.Active = n.countFlows()
	n.portFigures(&view)
	if p := n.totals.Performance; p != nil {
		view.Timestamp = epochSeconds(p.At)
		if p.Figures["totals"] != nil {
			view.Totals = p.Figures["totals"]
		}
		if p.Figures["rates"] != nil {
			view.Rates = p.Figures["rates"]
		}
	}
	return view
}

// healthScore puts a name to the controller's score.
func healthScore(told *float64) HealthScore {
	health := HealthScore{Status: "unknown", Factors: map[string]float64{}}
	if told == nil {
		return health
	}
	health.Score, health.Status, health.Simulated = *told, "poor", true
	for _, grade := range []struct {
		from float64
		name string
	}{{90, "excellent"}, {75, "good"}, {50, "fair"}} {
		if *told >= grade.from {
			health.Status = grade.name
			break
		}
	}
	return health
}

// bandwidth is what the ports carry. The caller holds mu.
func (n *network) bandwidth() BandwidthFigures {
	b := BandwidthFigures{Total: orZero(n.bitsPerSecond()), Peak: orZero(n.told("bandwidth", "peak_bandwidth_bps"))}
	var sum float64
	for _, s := range n.topology.Switches {
		record := n.switches[s.DPID]
		if record == nil {
			continue
		}
		for number, p := range record.Ports {
			if number == localPort || p.Seen != record.Told || p.Rate <= 0 {
				continue
			}
			rate := p.Rate / 1e6
			if b.ActivePorts == 0 || rate < b.Minimum {
				b.Minimum = rate
			}
			b.Maximum = max(b.Maximum, rate)
			b.ActivePorts++
			sum += p.Rate
		}
	}
	if b.ActivePorts > 0 {
		b.AveragePort = sum / float64(b.ActivePorts)
		b.Average = b.AveragePort / 1e6
	}
	return b
}

// portFigures adds up the ports. The caller holds mu.
func (n *network) portFigures(view *PerformanceView) {
	view.Ports.Up = n.told("ports", "up")
	for _, s := range n.topology.Switches {
		view.Ports.Total += n.portCount(s)
		record := n.switches[s.DPID]
		if record == nil {
			continue
		}
		for number, p := range record.Ports {
			if p.Seen != record.Told {
				continue // it isn't there any more
			}
			if number != localPort && p.Last[rxErrors].amount()+p.Last[txErrors].amount() > 0 {
				view.Ports.Errors++
			}
			for i, c := range portCounters {
				if p.Last[i] != notTold {
					view.PortTotals["total_"+c.name] = plus(view.PortTotals["total_"+c.name], int64(p.Last[i]))
				}
			}
		}
	}
	view.Totals = figures{
		"bytes_transferred":   float64(plus(view.PortTotals["total_rx_bytes"], view.PortTotals["total_tx_bytes"])),
		"packets_transferred": float64(plus(view.PortTotals["total_rx_packets"], view.PortTotals["total_tx_packets"])),
		"total_errors":        float64(plus(view.PortTotals["total_rx_errors"], view.PortTotals["total_tx_errors"])),
	}
}

// countFlows counts the flows of the switches that are there, and of them those that have counted a packet. The caller holds mu.
func (n *network) countFlows() (total, active int) {
	for _, s := range n.topology.Switches {
		total += len(n.flows[s.DPID])
		for i := range n.flows[s.DPID] {
			if n.flows[s.DPID][i].packets > 0 {
				active++
			}
		}
	}
	return total, active
}

// FlowStatisticsView is the answer about the use of flows.
type FlowStatisticsView struct {
	Statistics  FlowStatistics  `json:"flow_statistics"`
	Utilization FlowUtilization `json:"utilization_metrics"`
	Collected   float64         `json:"collection_timestamp"`
	Source      string          `json:"source"` // sdn_controller
	Freshness
}

// FlowStatistics count flows.
type FlowStatistics struct {
	Total      int            `json:"total_flows"`
	Active     int            `json:"active_flows"`     // that have counted a packet
	BySwitch   map[string]int `json:"flows_per_switch"` // by dpid in 16 hexadecimal digits
	ByPriority map[string]int `json:"priority_distribution"`
	ByTable    map[string]int `json:"table_distribution"`
}

// FlowUtilization says how many of the flows are in use.
type FlowUtilization struct {
	Efficiency float64 `json:"efficiency_percentage"` // active of all flows
	Rating     string  `json:"efficiency_rating"`     // excellent from 80, good from 60, fair from 40, else poor
	Idle       int     `json:"idle_flows"`
	FlowStatistics
}

// FlowStatistics returns how many flows there are and how many are in use.
func (t *Testbed) FlowStatistics() FlowStatisticsView {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	s := FlowStatistics{BySwitch: map[string]int{}, ByPriority: map[string]int{}, ByTable: map[string]int{}}
	s.Total, s.Active = n.countFlows()
	for _, at := range n.topology.Switches {
		flows := n.flows[at.DPID]
		s.BySwitch[at.DPID.hex()] = len(flows)
		for i := range flows {
			s.ByPriority[strconv.Itoa(flows[i].priority)]++
			s.ByTable[strconv.Itoa(flows[i].table)]++
		}
	}
	use := FlowUtilization{Rating: "poor", Idle: s.Total - s.Active, FlowStatistics: s}
	if s.Total > 0 {
		use.Efficiency = float64(s.Active) / float64(s.Total) * 100
	}
	switch {
	case use.Efficiency >= 80:
		use.Rating = "excellent"
	case use.Efficiency >= 60:
		use.Rating = "good"
	case use.Efficiency >= 40:
		use.Rating = "fair"
	}
	return FlowStatisticsView{Statistics: s, Utilization: use, Collected: epochSeconds(n.totals.Measured), Source: SDNController, Freshness: n.freshness()}
}

// NetworkRecord is what is known of the network, as FLOPY-NET's collector stores it for its dashboard's overview.
type NetworkRecord struct {
	Timestamp   float64             `json:"timestamp"`
	Status      string              `json:"status"` // ok, or error: the controller doesn't answer, or has no switches
	SDNStatus   string              `json:"sdn_status"`
	Switches    int                 `json:"switches_count"`
	Hosts       int                 `json:"hosts_count"`
	Links       int                 `json:"links_count"`
	Loss        float64             `json:"packet_loss_percent"`
	Topology    TopologyLists       `json:"topology"`
	Performance NetworkRecordFigure `json:"performance_metrics"`
	Freshness
}

// NetworkRecordFigure are the figures of a NetworkRecord; 0 where nobody knows.
type NetworkRecordFigure struct {
	Latency   LatencyFigures `json:"latency"`
	Bandwidth struct {
		Total       float64 `json:"total_mbps"`
		Average     float64 `json:"average_mbps"`
		Maximum     float64 `json:"max_mbps"`
		ActivePorts int     `json:"active_ports"`
	} `json:"bandwidth"`
	Flows FlowFigures `json:"flows"`
}

// NetworkRecord returns what is known of the network.
func (t *Testbed) NetworkRecord() NetworkRecord {
	performance, topology := t.NetworkPerformance(), t.Topology(false, true)
	record := NetworkRecord{
		Timestamp: topology.Timestamp, Status: "error", SDNStatus: topology.Metrics.SDNStatus, Switches: len(topology.Switches), Hosts: len(topology.Hosts),
		Links: len(topology.Links), Loss: performance.PacketLoss, Topology: topology.TopologyLists, Freshness: topology.Freshness,
	}
	if record.SDNStatus == "connected" {
		record.Status = "ok"
	}
	record.Performance.Latency, record.Performance.Flows = performance.Latency, performance.Flows
	b, of := &record.Performance.Bandwidth, &performance.Bandwidth
	b.Total, b.Average, b.Maximum, b.ActivePorts = of.Total/1e6, of.Average, of.Maximum, of.ActivePorts
	return record
}

// put adds the record to the network's latest row, which has a time of its own.
func (r NetworkRecord) put(data map[string]any) {
	if r.Stale {
		data["stale"] = true
	}
	data["status"], data["sdn_status"] = r.Status, r.SDNStatus
	data["switches_count"], data["hosts_count"], data["links_count"] = r.Switches, r.Hosts, r.Links
	data["packet_loss_percent"], data["topology"], data["performance_metrics"] = r.Loss, r.Topology, r.Performance
}
