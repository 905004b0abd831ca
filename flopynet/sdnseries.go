package flopynet

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/flopynet/collector/model"
)

// seriesOf gathers the samples of one look.
type seriesOf struct {
	at     int64
	points []point
}

func (s *seriesOf) add(name, unit string, value float64, tags ...model.Tag) {
	s.points = append(s.points, point{name: name, unit: unit, tags: tags, time: s.at, value: value})
}

// ports adds the counters of a switch's ports. A counter that isn't told has no sample.
func (s *seriesOf) ports(id datapathID, readings []portReading) {
	for _, r := range readings {
		tags := model.Tags{{Key: "dpid", Value: id.String()}, {Key: "port", Value: r.port.String()}}
		for i, c := range portCounters {
			if r.counters[i] != notTold {
				s.add(c.name, c.unit, float64(r.counters[i]), tags...)
			}
		}
		for _, figure := range []struct {
			name, unit string
			n          number
		}{{"rx_bps", "bit/s", r.rx}, {"tx_bps", "bit/s", r.tx}, {"curr_speed", "kbit/s", r.speed}} {
			if figure.n.known {
				s.add(figure.name, figure.unit, figure.n.value, tags...)
			}
		}
	}
}

// figure is a number that a controller tells of itself: where it is found, and the series it becomes.
type figure struct {
	in, name     string
	series, unit string
	simulated    bool // the controller makes it up
}

// performanceFigures are those of /api/performance/metrics that are kept. Its latency follows from the bandwidth and its packet
// loss is constant: their series have the tag simulated.
var performanceFigures = [...]figure{ //nolint:gochecknoglobals // a constant
	{in: "bandwidth", name: "current_total_bps", series: "current_total_bps", unit: "bit/s"},
	{in: "bandwidth", name: "current_average_bps", series: "current_average_bps", unit: "bit/s"},
	{in: "bandwidth", name: "peak_bandwidth_bps", series: "peak_bandwidth_bps", unit: "bit/s"},
	{in: "bandwidth", name: "active_ports", series: "active_ports"},
	{in: "latency", name: "average_ms", series: "latency_average_ms", unit: "ms", simulated: true},
	{in: "latency", name: "min_ms", series: "latency_min_ms", unit: "ms", simulated: true},
	{in: "latency", name: "max_ms", series: "latency_max_ms", unit: "ms", simulated: true},
	{in: "packet_loss", name: "packet_loss", series: "packet_loss", simulated: true},
	{in: "health_score", name: "health_score", series: "health_score", simulated: true}, // it follows from the latency
	{in: "flows", name: "total", series: "flows_total"},
	{in: "flows", name: "active", series: "flows_active"},
	{in: "ports", name: "total", series: "ports_total"},
	{in: "ports", name: "up", series: "ports_up"},
	{in: "ports", name: "errors", series: "ports_errors"},
	{in: "totals", name: "bytes_transferred", series: "bytes_transferred", unit: "bytes"},
	{in: "totals", name: "packets_transferred", series: "packets_transferred", unit: "packets"},
	{in: "totals", name: "flows_created", series: "flows_created"},
	{in: "totals", name: "total_errors", series: "total_errors"},
	{in: "totals", name: "uptime_seconds", series: "uptime_seconds", unit: "s"},
	{in: "rates", name: "bytes_per_second", series: "bytes_per_second", unit: "bytes/s"},
	{in: "rates", name: "packets_per_second", series: "packets_per_second", unit: "packets/s"},
	{in: "rates", name: "flows_per_hour", series: "flows_per_hour"},
}

// performance are the controller's figures by where they are found and their names, and when it worked them out.
type performance struct {
	At      int64              `json:"at"`
	Figures map[string]figures `json:"figures"`
}

// get returns a figure, if it is told.
func (p *performance) get(in, name string) (float64, bool) {
	if p == nil {
		return 0, false
	}
	value, ok := p.Figures[in][name]
	return value, ok
}

// applyFigures takes over what the controller tells of itself. The caller holds mu.
func (n *network) applyFigures(l *look) {
	told := l.performance
	if told == nil {
		return
	}
	all := map[string]figures{
		"bandwidth": told.Bandwidth, "latency": told.Latency, "flows": told.Flows, "ports": told.Ports, "totals": told.Totals, "rates": told.Rates,
	}
	for name, one := range map[string]number{"packet_loss": told.PacketLoss, "health_score": told.Health} {
		if one.known {
			all[name] = figures{name: one.value}
		}
	}
	kept := &performance{At: told.Time.or(l.at), Figures: map[string]figures{}}
	for _, f := range performanceFigures {
		if value, ok := all[f.in][f.name]; ok {
			if kept.Figures[f.in] == nil {
				kept.Figures[f.in] = figures{}
			}
			kept.Figures[f.in][f.name] = value
		}
	}
	n.totals.Performance = kept
}

// series adds the samples that are not a port's. The caller holds mu.
func (n *network) series(s *seriesOf, l *look) {
	for id, flows := range l.flows {
		record := n.switches[id]
		if record == nil {
			continue
		}
		tag := model.Tag{Key: "dpid", Value: id.String()}
		var all traffic
		for _, some := range record.flowTotals() {
			all.add(some)
		}
		s.add("flow_count", "", float64(len(flows)), tag)
		s.add("flow_bytes", "bytes", float64(all.Bytes), tag)
		s.add("flow_packets", "packets", float64(all.Packets), tag)
	}
	if l.switches != nil {
		s.add("switches", "", float64(len(n.topology.Switches)))
	}
	if l.links != nil {
		s.add("links", "", float64(len(n.topology.Links)))
	}
	if l.hosts != nil {
		s.add("hosts", "", float64(len(n.topology.Hosts)))
	}
	if l.flows != nil {
		s.add("flows", "", float64(l.flowCount))
	}
	if l.flows != nil || len(l.ports) > 0 {
		total, fl, control := n.traffic()
		s.add("total_bytes", "bytes", float64(total))
		s.add("fl_traffic_bytes", "bytes", float64(fl))
		s.add("control_traffic_bytes", "bytes", float64(control))
	}
	n.figureSeries(s, l)
}

// figureSeries adds the controller's own figures, at the times it says.
func (n *network) figureSeries(s *seriesOf, l *look) {
	if l.performance != nil {
		told := seriesOf{at: n.totals.Performance.At}
		for _, f := range performanceFigures {
			if value, ok := n.totals.Performance.get(f.in, f.name); ok {
				told.add(f.series, f.unit, value, simulatedTag(f.simulated)...)
			}
		}
		s.points = append(s.points, told.points...)
	}
	if l.status == nil {
		return
	}
	told := seriesOf{at: l.status.Time.or(l.at)}
	for _, f := range []struct {
		name string
		n    number
	}{
		{"switches_connected", l.status.Switches}, {"hosts_learned", l.status.Hosts}, {"links_discovered", l.status.Links},
		{"policies_active", l.status.Policies},
	} {
		if f.n.known {
			told.add(f.name, "", f.n.value)
		}
	}
	if available := l.status.PolicyEngine; available.known {
		told.add("policy_engine_available", "", boolValue(available.value))
	}
	s.points = append(s.points, told.points...)
}

func simulatedTag(simulated bool) []model.Tag {
	if !simulated {
		return nil
	}
	return []model.Tag{{Key: "simulated", Value: "true"}}
}

func boolValue(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// traffic returns what all ports have received, and what the flows of the FL and of the controller have counted, in bytes and
// once per switch on the way. What flows have counted has passed ports, also while the ports can't be asked. The caller holds mu.
func (n *network) traffic() (total, fl, control int64) {
	total = n.totals.Ports[rxBytes]
	classes := n.totals.Flows
	for _, s := range n.switches {
		total = plus(total, s.portTotals()[rxBytes])
		for class, some := range s.flowTotals() {
			classes[class].add(some)
		}
	}
	for class, some := range classes {
		if flowClass(class)&flTraffic != 0 {
			fl = plus(fl, some.Bytes)
		}
		if flowClass(class)&controlTraffic != 0 {
			control = plus(control, some.Bytes)
		}
	}
	return max(total, fl, control), fl, control
}

// classifier tells whose traffic a flow is by the addresses that it is for. The caller holds mu.
func (n *network) classifier() func(*flowReading) flowClass {
	o := &n.testbed.options
	classes := map[netip.Addr]flowClass{}
	for name, address := range o.NodeIPs {
		switch name := nodeKind(name); {
		case name == "fl-server", name == "fl-client", strings.HasPrefix(name, "fl-client-"):
			classes[address] |= flTraffic
		case name == "sdn-controller":
			classes[address] |= controlTraffic
		}
	}
	for address, class := range map[string]flowClass{o.FLServer.URL: flTraffic, o.SDNController.URL: controlTraffic} {
		if host, ok := hostAddress(address); ok {
			classes[host] |= class
		}
	}
	byMAC := map[string]flowClass{}
	for _, hosts := range [][]*hostInfo{n.topology.Left, n.topology.Hosts} {
		for _, h := range hosts {
			byMAC[h.MAC] = 0
			for _, address := range h.Addresses {
				byMAC[h.MAC] |= classes[address]
			}
		}
	}
	return func(r *flowReading) flowClass {
		var class flowClass
		matchAddresses(r.match, func(written string) {
			if address, ok := addressOf(written); ok {
				class |= classes[address]
			} else if mac := parseMAC(written); mac != "" {
				class |= byMAC[mac]
			}
		})
		return class
	}
}

// nodeKind is a node's name as it is compared.
func nodeKind(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

// hostAddress returns the IP address that a URL names, if it is one.
func hostAddress(address string) (netip.Addr, bool) {
	parsed, err := url.Parse(address)
	if err != nil {
		return netip.Addr{}, false
	}
	return addressOf(parsed.Hostname())
}
