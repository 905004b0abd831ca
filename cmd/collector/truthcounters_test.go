package main

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// counterSeries reads the raw samples of a port's counter from all ports: by "dpid/port".
func (e *experiment) counterSeries(t *testing.T, metric string) map[string][]sample {
	t.Helper()
	from, to := e.ofExperiment()
	query := url.Values{
		"metric": {metric}, "source": {flopynet.SDNController}, "epoch": {"ns"}, "limit": {"100000"},
		"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)},
	}
	var answer struct {
		DataPoints []struct {
			Timestamp int64             `json:"timestamp"`
			Value     float64           `json:"value"`
			Tags      map[string]string `json:"tags"`
		} `json:"data_points"`
		NextCursor *string `json:"next_cursor"`
	}
	get(t, e.url+"/metrics/query?"+query.Encode(), &answer)
	if answer.NextCursor != nil {
		t.Fatalf("%s has more than 100,000 samples", metric)
	}
	series := map[string][]sample{}
	for _, point := range answer.DataPoints {
		port := point.Tags["dpid"] + "/" + point.Tags["port"]
		series[port] = append(series[port], sample{point.Timestamp, point.Value})
	}
	return series
}

// compareCounters compares the ports' counters with those of the switches while the world stands still. gaps says that the
// controller may have forgotten them at this moment: then what is known is what they were before.
func (e *experiment) compareCounters(t *testing.T, gaps bool) {
	t.Helper()
	since := time.Now()
	e.await(t, "the counters of a world that stands still", func() bool {
		return len(e.samples(t, "switches", flopynet.SDNController, since, time.Now().Add(time.Hour))) > 1
	})
	for metric, value := range map[string]func(testbed.Port) int64{
		"rx_bytes":   func(p testbed.Port) int64 { return p.RxBytes },
		"tx_packets": func(p testbed.Port) int64 { return p.TxPackets },
		"tx_dropped": func(p testbed.Port) int64 { return p.TxDropped },
	} {
		series := e.counterSeries(t, metric)
		for _, port := range e.bed.Ports() {
			if port.Number == testbed.LocalPort {
				continue
			}
			name := fmt.Sprintf("%d/%d", port.Switch, port.Number)
			all, want := series[name], float64(value(port))
			delete(series, name)
			if len(all) == 0 {
				t.Errorf("%s of port %s has no samples", metric, name)
				continue
			}
			if last := all[len(all)-1].value; last > want || !gaps && last != want {
				t.Errorf("%s of port %s is %v, and the switch has counted %v", metric, name, last, want)
			}
			if !slices.IsSortedFunc(all, func(a, b sample) int { return int(max(-1, min(1, a.value-b.value))) }) {
				t.Errorf("%s of port %s goes back, though no switch was restarted", metric, name)
			}
		}
		for name := range series {
			t.Errorf("there are samples of %s of a port %s, which there isn't", metric, name)
		}
	}
}

// compareTraffic compares the views of the network with the switches' counters, and with each other.
func (e *experiment) compareTraffic(t *testing.T) {
	t.Helper()
	var total float64
	for _, port := range e.bed.Ports() {
		if port.Number != testbed.LocalPort {
			total += float64(port.RxBytes)
		}
	}
	var network networkView
	get(t, e.url+"/network/stats", &network)
	if got := float64(network.Traffic.TotalBytes); got != total {
		t.Errorf("/network/stats has %v bytes, and the switches' ports have received %v", got, total)
	}
	clients, control := map[string]bool{"192.168.100.10": true}, "192.168.100.41"
	for _, client := range e.bed.Clients() {
		clients[client.IP] = true
	}
	var fl, controlled int64
	for _, flow := range e.bed.Flows() {
		if clients[flow.SourceIP] || clients[flow.DestinationIP] {
			fl += flow.Bytes
		}
		if flow.SourceIP == control || flow.DestinationIP == control {
			controlled += flow.Bytes
		}
	}
	// Where rounds take a tenth of a second, a flow is removed and installed again before the controller has asked the switches
	// once, which it does every other second: what the first one counted last, nobody is told.
	if got := network.Traffic; got.FLTrafficBytes > fl || got.FLTrafficBytes < fl/2 || got.ControlTrafficBytes != controlled {
		t.Errorf("/network/stats has %d bytes of FL and %d of the controller, and the flows have counted %d and %d", got.FLTrafficBytes, got.ControlTrafficBytes, fl, controlled)
	}
	if hosts := len(e.bed.Hosts()); network.Topology.Devices != 3+hosts || network.Topology.ActiveConnections != 2+hosts {
		t.Errorf("three switches with two links and %d hosts are %+v", hosts, network.Topology)
	}
}
