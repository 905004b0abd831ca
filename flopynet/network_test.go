package flopynet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/testbed"
	"github.com/flopynet/collector/model"
)

// TestNetworkViews compares both of the seed's views with the simulation.
func TestNetworkViews(t *testing.T) {
	for _, stock := range []bool{false, true} {
		t.Run(fmt.Sprint("stock Ryu ", stock), func(t *testing.T) {
			rig := startNetRig(t, testbed.Options{Seed: 11, Switches: 1, Clients: 3, StockRyu: stock})
			rig.bed.options.LinkCapacityBps = 100_000_000
			rig.step(30 * time.Second)
			rig.mustPoll()
			rig.step(5 * time.Second)
			before := rig.moved()
			rig.mustPoll()
			rig.step(5 * time.Second)
			rig.mustPoll()
			hosts, at := len(rig.sim.Hosts()), stamp(rig.clock().UnixNano())
			stats := rig.bed.NetworkStats()
			fl, control := rig.told()
			if got := stats.Topology; got.Devices != hosts+1 || got.ActiveConnections != hosts || got.LastTopologyUpdate == 0 {
				t.Errorf("topology %+v, there are %d hosts at one switch", got, hosts)
			}
			if got := stats.Traffic; got.TotalBytes != rig.received(stock) || stock && (got.FLTrafficBytes != fl || got.ControlTrafficBytes != control) || got.FLTrafficBytes < fl || got.LastMeasurement != at {
				t.Errorf("traffic %+v; total %d, FL %d, control %d, at %v", got, rig.received(stock), fl, control, at)
			}
			if stats.Stale || stats.ServerStatus != "" {
				t.Errorf("%+v", stats.Freshness)
			}
			want := float64(rig.moved()-before) * 8 / 5 / (2 * 100_000_000 * float64(rig.ports())) * 100
			if got := stats.Quality; got.BandwidthUtilization == nil || math.Abs(*got.BandwidthUtilization-want)/want > 1e-9 || (got.AverageLatencyMs == nil) != stock || got.Simulated == stock {
				t.Errorf("quality %+v, want a utilization of %v", got, want)
			}
			sdn := rig.bed.SDNStatus()
			if c := sdn.Controller; c.Status != "active" || *c.IPAddress != "192.168.100.41" || c.OpenflowVersion != nil || c.ConnectedSwitches != 1 || c.LastContact != at {
				t.Errorf("%+v", c)
			}
			s := sdn.Switches[0]
			if len(sdn.Switches) != 1 || s.SwitchID != "ovs-1" || *s.IPAddress != "192.168.100.60" || s.Status != "connected" || s.PortCount != 4+3 || s.FlowCount == 0 || s.FlowCount != sdn.Controller.ActiveFlows {
				t.Errorf("%+v", sdn)
			}
			rig.bed.options.SwitchNames = map[uint64]string{1: "core"}
			if got := rig.bed.SDNStatus().Switches[0].SwitchID; got != "core" {
				t.Error(got)
			}
		})
	}
}

// moved is what all ports but the switches' own have received and sent.
func (rig *netRig) moved() (bytes int64) {
	for _, p := range rig.sim.Ports() {
		if p.Number != testbed.LocalPort {
			bytes += p.RxBytes + p.TxBytes
		}
	}
	return bytes
}

// ports counts the ports of the switches, without their own.
func (rig *netRig) ports() (count int) {
	for _, p := range rig.sim.Ports() {
		if p.Number != testbed.LocalPort {
			count++
		}
	}
	return count
}

// TestFreshness goes from never seen over known and away to known again, and over a restart of the collector.
func TestFreshness(t *testing.T) {
	rig := startNetRig(t, testbed.Options{Seed: 12})
	rig.step(20 * time.Second)
	check := func(when string, stale bool, status, controller string, devices bool) {
		t.Helper()
		stats, sdn := rig.bed.NetworkStats(), rig.bed.SDNStatus()
		if want := (Freshness{stale, status}); stats.Freshness != want || sdn.Freshness != want || sdn.Controller.Status != controller || (stats.Topology.Devices > 0) != devices {
			t.Errorf("%s: %+v %+v, %d devices; want %+v, %s", when, stats.Freshness, sdn.Controller, stats.Topology.Devices, want, controller)
		}
	}
	check("never asked", false, "unknown", "unknown", false)
	if err := rig.sim.SDN.Fail(testbed.Failure{Mode: testbed.Down}); err != nil {
		t.Fatal(err)
	}
	_ = rig.poll()
	check("never reached", false, "unreachable", "unreachable", false)
	if err := rig.sim.SDN.Heal(); err != nil {
		t.Fatal(err)
	}
	rig.mustPoll()
	check("polled", false, "", "active", true)
	total, fl, _ := rig.traffic()
	before := rig.bed.NetworkFlows()
	rig.restart()
	check("after a restart", true, "unknown", "unknown", true)
	if total2, fl2, _ := rig.traffic(); total2 != total || fl2 != fl {
		t.Errorf("after a restart: %d %d, before %d %d", total2, fl2, total, fl)
	}
	if diff := cmp.Diff(before.Flows, rig.bed.NetworkFlows().Flows); diff != "" {
		t.Errorf("the flows after a restart, -before +after:\n%s", diff)
	}
	if err := rig.sim.SDN.Fail(testbed.Failure{Mode: testbed.Status500, Path: "/stats/port"}); err != nil {
		t.Fatal(err)
	}
	_ = rig.poll()
	check("half of it answers", true, "", "active", true)
	if err := rig.sim.SDN.Heal(); err != nil {
		t.Fatal(err)
	}
	rig.mustPoll()
	check("polled again", false, "", "active", true)
	rig.step(10 * time.Minute) // as while the policy engine forbids to poll
	check("not polled for long", true, "", "active", true)
}

// TestNoController: without one the views are there, and empty.
func TestNoController(t *testing.T) {
	bed := NoTestbed(openEngine(t, engine.Options{}), func() time.Time { return noon })
	defer bed.Close()
	live, err := bed.LiveTopology(t.Context())
	if err != nil || live.Source != "last_known" || live.Stale {
		t.Errorf("%+v, %v", live, err)
	}
	for _, view := range []any{bed.NetworkStats(), bed.SDNStatus(), bed.Topology(false, true), bed.TopologySummary(), bed.NetworkFlows(), bed.NetworkPerformance(), bed.FlowStatistics(), live} {
		raw, err := json.Marshal(view)
		if err != nil || !strings.Contains(string(raw), `"server_status":"unknown"`) || strings.Contains(string(raw), `"error"`) || strings.Contains(string(raw), ":null") && !strings.Contains(string(raw), "quality") && !strings.Contains(string(raw), "controller\":{") {
			t.Errorf("%T: %s, %v", view, raw, err)
		}
	}
}

// TestLiveTopology is asked by many at once, who share an answer, and by one who sees what the polling hasn't seen yet.
func TestLiveTopology(t *testing.T) {
	rig := startNetRig(t, testbed.Options{Seed: 13, Clients: 5})
	rig.mustPoll()
	polled := rig.bed.Topology(false, false)
	rig.step(5 * time.Minute)
	live, err := rig.bed.LiveTopology(t.Context())
	if err != nil || live.Source != "live_query" || live.Statistics.Hosts != len(rig.sim.Hosts()) || live.Statistics.Hosts <= polled.Statistics.Hosts || live.Timestamp != float64(rig.clock().UnixMilli())/1000 {
		t.Errorf("%+v, %v; %d were polled", live, err, polled.Statistics.Hosts)
	}
	if again := rig.bed.Topology(false, false); again.Statistics != polled.Statistics {
		t.Error("a look changed what was polled")
	}
	if err := rig.sim.SDN.Fail(testbed.Failure{Mode: testbed.Hang}); err != nil {
		t.Fatal(err)
	}
	before := rig.sim.SDN.Requests("/v1.0/topology/switches")
	rig.bed.network.client.peer.timeout = 300 * time.Millisecond
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if view, err := rig.bed.LiveTopology(t.Context()); err != nil || view.Source != "last_known" || !view.Stale || view.ServerStatus != "unreachable" || view.Statistics != polled.Statistics || view.Message == "" {
				t.Errorf("%+v, %v", view, err)
			}
		})
	}
	all.Wait()
	if asked := rig.sim.SDN.Requests("/v1.0/topology/switches") - before; asked < 1 || asked > 5 {
		t.Errorf("20 who asked at once led to %d requests", asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rig.bed.network.live.pending = &liveResult{done: make(chan struct{})}
	if _, err := rig.bed.LiveTopology(ctx); err == nil {
		t.Error("one who has gone got an answer")
	}
	rig.bed.network.live.pending = nil

	if err := rig.sim.SDN.Heal(); err != nil {
		t.Fatal(err)
	}
	rig.bed.gate = &gate{logger: slog.New(slog.DiscardHandler), decided: make(chan struct{})}
	rig.bed.gate.set(rig.clock(), errors.New("not today"), false)
	before = rig.sim.SDN.Requests("")
	if view, err := rig.bed.LiveTopology(t.Context()); err != nil || view.Source != "last_known" || !strings.Contains(view.Message, "not today") {
		t.Errorf("while it must not be asked: %+v, %v", view, err)
	}
	if rig.sim.SDN.Requests("") != before {
		t.Error("the controller was asked, which the policy engine denies")
	}
}

// TestFlopynetViews checks what FLOPY-NET's dashboard reads.
func TestFlopynetViews(t *testing.T) {
	rig := startNetRig(t, testbed.Options{Seed: 14, Clients: 4})
	rig.step(time.Minute)
	rig.mustPoll()
	rig.step(5 * time.Second)
	rig.mustPoll()
	topology := rig.bed.Topology(false, true)
	if len(topology.Switches) != 3 || topology.Switches[0].DPID != "0000000000000001" || len(topology.Links) != 2 || len(topology.Nodes) != 3+len(topology.Hosts) || topology.Metrics.SDNStatus != "connected" || topology.Metrics.Ports != 3*0+len(rig.sim.Ports())-3 {
		t.Errorf("%+v", topology)
	}
	if gns3 := rig.bed.Topology(true, false); len(gns3.Nodes)+len(gns3.Links)+len(gns3.Switches)+len(gns3.Hosts) != 0 || gns3.Metrics != nil {
		t.Errorf("%+v", gns3)
	}
	flows := rig.bed.NetworkFlows()
	known := map[string]int{}
	for _, raw := range flows.Flows {
		var flow struct {
			SwitchDPID string   `json:"switch_dpid"`
			Priority   *float64 `json:"priority"`
			ID         string   `json:"flow_id"`
			Match      any      `json:"match"`
		}
		if err := json.Unmarshal(raw, &flow); err != nil || len(flow.SwitchDPID) != 16 || flow.Priority == nil || flow.Match == nil {
			t.Errorf("%s, %v", raw, err)
		}
		known[flow.ID]++
	}
	if len(known) != len(flows.Flows) || flows.Summary.Total != len(known) || flows.Summary.Switches != 3 || len(known) < 20 {
		t.Errorf("%d flows with %d ids: %+v", len(flows.Flows), len(known), flows.Summary)
	}
	performance, statistics := rig.bed.NetworkPerformance(), rig.bed.FlowStatistics()
	if p := performance; !p.Latency.Simulated || p.Latency.Average != p.Latency.AverageMs || p.Health.Status == "unknown" || p.Flows.Total != len(known) || p.Totals["packets_transferred"] == 0 || p.PortTotals["total_rx_bytes"] != rig.received(false) {
		t.Errorf("%+v", p)
	}
	if s := statistics; s.Statistics.Total != len(known) || s.Utilization.Total != len(known) || s.Statistics.Active+s.Utilization.Idle != len(known) || s.Utilization.Efficiency <= 0 || len(s.Statistics.BySwitch) != 3 {
		t.Errorf("%+v", s)
	}
	record := rig.bed.NetworkRecord()
	if record.SDNStatus != "connected" || record.Switches != 3 || record.Performance.Bandwidth.Total <= 0 || len(record.Topology.Nodes) != record.Switches+record.Hosts {
		t.Errorf("%+v", record)
	}
	if b := performance.Bandwidth; b.Minimum <= 0 || b.Minimum > b.Average || b.Average > b.Maximum || math.Abs(b.AveragePort*float64(b.ActivePorts)-b.Total) > 1 {
		t.Errorf("%+v", b)
	}
	row, err := rig.bed.LatestRow(t.Context(), typeNetwork, model.MaxTime+1)
	if err != nil || row == nil {
		t.Fatal(row, err)
	}
	if topology, ok := row.Data["topology"].(TopologyLists); !ok || len(topology.Nodes) != len(record.Topology.Nodes) || row.Data["switches_count"] != 3 || row.Data["sdn_status"] != "connected" || row.Data["switches"] != 3.0 {
		t.Errorf("the latest row is %+v", row.Data)
	}
}
