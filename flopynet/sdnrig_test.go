package flopynet

import (
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/testbed"
)

// netRig is a simulated testbed and a collector that polls its SDN controller by hand.
type netRig struct {
	t   *testing.T
	now atomic.Int64 // nanoseconds, of both
	sim *testbed.Testbed

	youngest time.Duration // from which age on the controller knows a flow's counts
	db       *engine.DB
	bed      *Testbed
	seen     map[int]testbed.Flow // the flows that the controller told of, by their place in the simulation's list, as they were then
}

func startNetRig(t *testing.T, options testbed.Options) *netRig {
	t.Helper()
	rig := &netRig{t: t, seen: map[int]testbed.Flow{}}
	rig.now.Store(noon.UnixNano())
	if !options.StockRyu {
		rig.youngest = 2 * time.Second // it asks the switches every other second
	}
	options.Now = rig.clock
	sim, err := testbed.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	rig.sim, rig.db = sim, openEngine(t, engine.Options{Now: rig.clock})
	rig.restart()
	t.Cleanup(func() { rig.bed.Close() })
	return rig
}

func (rig *netRig) clock() time.Time { return time.Unix(0, rig.now.Load()).UTC() }

func (rig *netRig) options() Options {
	nodes := map[string]netip.Addr{
		"fl-server": netip.MustParseAddr("192.168.100.10"), "SDN_CONTROLLER": netip.MustParseAddr("192.168.100.41"), "openvswitch": netip.MustParseAddr("192.168.100.60"),
	}
	for _, client := range rig.sim.Clients() {
		nodes["fl-"+client.ID] = netip.MustParseAddr(client.IP)
	}
	return Options{
		SDNController: PeerOptions{URL: rig.sim.SDN.URL(), Interval: 5 * time.Second, Timeout: 5 * time.Second},
		NodeIPs:       nodes, Now: rig.clock, Logger: slog.New(slog.DiscardHandler),
	}
}

// restart ends the collector and starts another one over the same data.
func (rig *netRig) restart() {
	rig.t.Helper()
	if rig.bed != nil {
		rig.bed.Close()
	}
	bed, err := NewTestbed(rig.db, rig.options())
	if err != nil {
		rig.t.Fatal(err)
	}
	rig.bed = bed
}

func (rig *netRig) step(d time.Duration) { rig.now.Add(int64(d)) }

// poll has both pollers of the controller poll once, and returns what the network's met.
func (rig *netRig) poll() error {
	rig.t.Helper()
	for _, p := range rig.bed.pollers {
		p.once(rig.t.Context(), rig.clock())
	}
	return rig.bed.peers[SDNController].health.polls["network"].err
}

func (rig *netRig) mustPoll() {
	rig.t.Helper()
	if err := rig.poll(); err != nil {
		rig.t.Fatal(err)
	}
	rig.look()
}

// traffic is what the collector has counted.
func (rig *netRig) traffic() (total, fl, control int64) {
	rig.bed.network.mu.Lock()
	defer rig.bed.network.mu.Unlock()
	return rig.bed.network.traffic()
}

// look notes what the controller tells of flows now: those that are there, and whose counts it knows for sure.
func (rig *netRig) look() {
	for i, f := range rig.sim.Flows() {
		if f.Removed.IsZero() && rig.clock().Sub(f.Installed) >= rig.youngest {
			rig.seen[i] = f
		}
	}
}

// told is what the flows had counted when they were last told of. What a flow counts between that and its removal nobody can know.
func (rig *netRig) told() (fl, control int64) { return rig.sum(maps.Values(rig.seen)) }

// truth is what the simulation's flows have counted, also those that were removed.
func (rig *netRig) truth() (fl, control int64) { return rig.sum(slices.Values(rig.sim.Flows())) }

func (rig *netRig) sum(flows iter.Seq[testbed.Flow]) (fl, control int64) {
	isFL := map[string]bool{"192.168.100.10": true}
	for _, client := range rig.sim.Clients() {
		isFL[client.IP] = true
	}
	for f := range flows {
		if isFL[f.SourceIP] || isFL[f.DestinationIP] {
			fl += f.Bytes
		}
		if f.SourceIP == "192.168.100.41" || f.DestinationIP == "192.168.100.41" {
			control += f.Bytes
		}
	}
	return fl, control
}

// received is what the ports have received by now, since the switches were last restarted; those that the controller tells of.
func (rig *netRig) received(stock bool) (bytes int64) {
	for _, p := range rig.sim.Ports() {
		if stock || p.Number != testbed.LocalPort {
			bytes += p.RxBytes
		}
	}
	return bytes
}
