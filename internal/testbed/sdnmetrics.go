package testbed

import (
	"slices"
	"time"
)

// totals are sums over the network, as the controller adds them up.
type totals struct{ bytes, packets int64 }

// totals adds what the ports received and sent and what the flows counted: each byte several times, as the
// controller does.
func (n *network) totals() totals {
	t := n.forgotten
	for _, at := range n.nodes {
		for _, p := range at.ports {
			c := n.portAt(p)
			t.bytes += c.rxBytes + c.txBytes
			t.packets += c.rxPackets + c.txPackets
		}
	}
	for _, f := range n.flows {
		if f.installed.Before(n.reset) {
			continue // counted before the switches were restarted
		}
		total := f.total(n)
		t.bytes += total.bytes
		t.packets += total.packets
	}
	return t
}

// forget drops removed flows, but for what they have counted.
func (n *network) forget(which func(*flow) bool) {
	n.flows = slices.DeleteFunc(n.flows, func(f *flow) bool {
		if !which(f) {
			return false
		}
		if !f.installed.Before(n.reset) {
			n.forgotten.bytes += f.counted.bytes
			n.forgotten.packets += f.counted.packets
		}
		return true
	})
}

// present are the hosts whose port is up.
func (n *network) present() []*host {
	var present []*host
	for _, h := range n.hosts {
		if h.port.up {
			present = append(present, h)
		}
	}
	return present
}

// performance is what the controller calls so: the latency follows from the bandwidth, the loss is always 0.
func (s *scenario) performance() object {
	n := s.network
	var sum, active, ports int64
	var latencies []float64
	for _, at := range n.nodes {
		for _, p := range at.ports {
			ports++
			rx, tx := n.rateAt(p)
			if rx+tx == 0 {
				continue
			}
			active++
			sum += rx + tx
			latencies = append(latencies, clamp(50-float64(rx+tx)/1e6, 5, 100))
		}
	}
	average := pyFloat(0)
	if active > 0 {
		average = pyFloat(float64(sum) / float64(active))
	}
	latency, mean := latencyOf(latencies)
	health := 100
	switch {
	case mean > 50:
		health -= 20
	case mean > 30:
		health -= 10
	}
	if float64(active) < float64(ports)*0.8 {
		health -= 15
	}
	entries, used := s.flowEntries(nil), 0
	for _, entry := range entries {
		if packets, _ := entry["packet_count"].(int64); packets > 0 {
			used++
		}
	}
	return object{
		"bandwidth": object{
			"current_total_bps": pyFloat(sum), "current_average_bps": average, "active_ports": active, "peak_bandwidth_bps": pyFloat(n.peak),
		},
		"latency": latency, "packet_loss": 0, "flows": object{"total": len(entries), "active": used},
		"ports":        object{"total": ports, "up": active, "errors": 0},
		"health_score": health, "timestamp": epoch(s.now), "totals": s.controllerTotals(), "rates": s.controllerRates(),
	}
}

func latencyOf(of []float64) (latency object, mean float64) {
	if len(of) == 0 {
		return object{"average_ms": 0, "min_ms": 0, "max_ms": 0}, 0
	}
	least, most := of[0], of[0]
	for _, one := range of {
		mean += one
		least, most = min(least, one), max(most, one)
	}
	mean /= float64(len(of))
	return object{"average_ms": pyFloat(mean), "min_ms": pyFloat(least), "max_ms": pyFloat(most)}, mean
}

// sinceBoot is what the controller has seen pass since its start. When the switches begin anew it is as if nothing
// had passed before.
func (s *scenario) sinceBoot() (t totals, uptime time.Duration) {
	t = s.network.totals()
	if !s.network.reset.After(s.controllerBegan) {
		t.bytes -= s.totalsAtBoot.bytes
		t.packets -= s.totalsAtBoot.packets
	}
	return t, s.now.Sub(s.controllerBegan)
}

func (s *scenario) controllerTotals() object {
	t, uptime := s.sinceBoot()
	megabytes := float64(t.bytes) / (1 << 20)
	return object{
		"bytes_transferred": t.bytes, "megabytes_transferred": rounded(megabytes, 2), "gigabytes_transferred": rounded(megabytes/1024, 3),
		"packets_transferred": t.packets, "flows_created": s.flowsFound, "total_errors": 0, "uptime_seconds": rounded(uptime.Seconds(), 1),
		"uptime_minutes": rounded(uptime.Minutes(), 1), "uptime_hours": rounded(uptime.Hours(), 2),
	}
}

func (s *scenario) controllerRates() object {
	t, uptime := s.sinceBoot()
	if uptime <= 0 {
		return object{"bytes_per_second": 0, "packets_per_second": 0, "flows_per_hour": 0}
	}
	return object{
		"bytes_per_second": pyFloat(float64(t.bytes) / uptime.Seconds()), "packets_per_second": pyFloat(float64(t.packets) / uptime.Seconds()),
		"flows_per_hour": pyFloat(float64(s.flowsFound) / uptime.Hours()),
	}
}
