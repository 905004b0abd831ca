package flopynet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/testbed"
	"github.com/flopynet/collector/model"
)

// lastOf returns the newest value of each series of a metric, by its tags but the source.
func (rig *netRig) lastOf(metric string) map[string]float64 {
	rig.t.Helper()
	result, err := rig.db.Samples(rig.t.Context(), engine.SamplesRequest{
		Selection: engine.Selection{From: model.MinTime, To: model.MaxTime, Matchers: []*model.Matcher{
			model.EqualMatcher(model.NameKey, metric), model.EqualMatcher(model.SourceKey, SDNController),
		}},
		Limit: 100_000,
	})
	if err != nil {
		rig.t.Fatal(err)
	}
	last := map[string]float64{}
	for _, row := range result.Rows {
		var tags []string
		for _, tag := range result.Series[row.Series].Tags {
			if tag.Key != model.SourceKey {
				tags = append(tags, tag.Key+"="+tag.Value)
			}
		}
		last[strings.Join(tags, " ")] = row.Value
	}
	return last
}

func TestSDNSeries(t *testing.T) {
	for _, stock := range []bool{false, true} {
		t.Run(fmt.Sprint("stock Ryu ", stock), func(t *testing.T) {
			rig := startNetRig(t, testbed.Options{Seed: 1, Switches: 2, Clients: 3, StockRyu: stock})
			rig.step(30 * time.Second)
			rig.mustPoll()
			for metric, of := range map[string]func(testbed.Port) int64{
				"rx_bytes": func(p testbed.Port) int64 { return p.RxBytes }, "tx_bytes": func(p testbed.Port) int64 { return p.TxBytes },
				"rx_packets": func(p testbed.Port) int64 { return p.RxPackets }, "tx_dropped": func(p testbed.Port) int64 { return p.TxDropped },
			} {
				want := map[string]float64{}
				for _, p := range rig.sim.Ports() {
					switch number := fmt.Sprint(p.Number); {
					case p.Number != testbed.LocalPort:
						want[fmt.Sprintf("dpid=%d port=%s", p.Switch, number)] = float64(of(p))
					case stock:
						want[fmt.Sprintf("dpid=%d port=LOCAL", p.Switch)] = float64(of(p))
					}
				}
				if diff := cmp.Diff(want, rig.lastOf(metric)); diff != "" {
					t.Errorf("%s, -want +got:\n%s", metric, diff)
				}
			}
			for metric, want := range map[string]int{"switches": 2, "links": 1, "hosts": len(rig.sim.Hosts())} {
				if got := rig.lastOf(metric)[""]; got != float64(want) {
					t.Errorf("%s: %v, want %d", metric, got, want)
				}
			}
			flows := map[uint64]float64{}
			for _, f := range rig.sim.Flows() {
				if f.Removed.IsZero() {
					flows[f.Switch]++
				}
			}
			for id, want := range flows {
				if got := rig.lastOf("flow_count")[fmt.Sprint("dpid=", id)]; stock && got != want || got < want {
					t.Errorf("switch %d has %v flows, want %v", id, got, want)
				}
			}
			want := map[string]float64{"simulated=true": 0}
			if stock {
				want = map[string]float64{}
			}
			if diff := cmp.Diff(want, rig.lastOf("packet_loss")); diff != "" {
				t.Errorf("packet_loss, -want +got:\n%s", diff)
			}
			if latency := rig.lastOf("latency_average_ms"); len(latency) != len(want) {
				t.Errorf("latency: %v", latency)
			}
		})
	}
}

// topologyEvents returns the stored events, oldest first.
func (rig *netRig) topologyEvents() []engine.Event {
	rig.t.Helper()
	result, err := rig.db.Events(rig.t.Context(), engine.EventQuery{From: model.MinTime, To: model.MaxTime, Components: []string{SDNController}, Limit: 10_000})
	if err != nil {
		rig.t.Fatal(err)
	}
	return result.Events
}

// TestTopologyEvents follows hosts as they come and go, over restarts of the collector: each change is told once.
func TestTopologyEvents(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	rig := startNetRig(t, testbed.Options{Seed: seed, Rounds: 12, Clients: 4})
	want := map[string]int{"SWITCH_JOINED": 3, "LINK_ADDED": 2}
	before := map[string]bool{}
	for range 14 {
		rig.step(5 * time.Second)
		if random.IntN(3) == 0 {
			rig.restart()
		}
		rig.mustPoll()
		now := map[string]bool{}
		for _, h := range rig.sim.Hosts() {
			now[h.MAC] = true
			if !before[h.MAC] {
				want["HOST_JOINED"]++
			}
		}
		for mac := range before {
			if !now[mac] {
				want["HOST_LEFT"]++
			}
		}
		before = now
	}
	got, ids := map[string]int{}, map[string]bool{}
	for _, event := range rig.topologyEvents() {
		got[event.Type]++
		ids[event.ID] = true
		if event.Time < noon.UnixNano() || event.Time > rig.clock().UnixNano() || !strings.HasPrefix(event.ID, "sdn_controller/") {
			t.Errorf("%+v", event)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || want["HOST_LEFT"] == 0 {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, h := range rig.sim.Hosts() {
		if !slices.ContainsFunc(rig.bed.Hosts(), func(known NetworkHost) bool {
			return known.MAC == h.MAC && known.Present && known.IPs[0].String() == h.IP && known.LastSeen.Equal(rig.clock())
		}) {
			t.Errorf("%+v is not among %+v", h, rig.bed.Hosts())
		}
	}
}

// TestEventsSurviveACrash: what was noted with the topology is stored after a restart, and once.
func TestEventsSurviveACrash(t *testing.T) {
	rig := startNetRig(t, testbed.Options{Seed: 3})
	n := rig.bed.network
	l := newLook(rig.clock().UnixNano())
	if err := n.look(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	n.apply(l)
	noted := slices.Clone(n.topology.Events)
	changes, err := n.changes()
	if err != nil {
		t.Fatal(err)
	}
	if err := rig.db.ChangeState(changes...); err != nil { // and here it crashes
		t.Fatal(err)
	}
	rig.restart()
	rig.step(time.Second)
	rig.mustPoll()
	first := rig.topologyEvents()
	rig.restart()
	rig.step(time.Second)
	rig.mustPoll()
	stored := map[string]int{}
	for _, event := range rig.topologyEvents() {
		stored[fmt.Sprint(event.ID, event.Time)]++
	}
	if len(stored) != len(first) || len(noted) < 5 {
		t.Errorf("%d events were noted, %d stored, then %d", len(noted), len(first), len(stored))
	}
	for _, event := range noted {
		if stored[fmt.Sprint(event.ID, event.Time)] != 1 {
			t.Errorf("%s is stored %d times", event.ID, stored[fmt.Sprint(event.ID, event.Time)])
		}
	}
}

// TestSDNFailures has the controller fail in all ways: what it says is kept within bounds, and when it is well again all is right.
func TestSDNFailures(t *testing.T) {
	for _, stock := range []bool{false, true} {
		rig := startNetRig(t, testbed.Options{Seed: 5, StockRyu: stock, Rounds: 200})
		rig.step(20 * time.Second)
		rig.mustPoll()
		var failures []testbed.Failure
		for _, mode := range []testbed.Mode{testbed.Down, testbed.HugeGarbage, testbed.Huge, testbed.Garbage, testbed.Status500, testbed.Status503, testbed.Truncated, testbed.Redirect, testbed.RedirectAway} {
			failures = append(failures, testbed.Failure{Mode: mode, Bytes: 20 << 20})
		}
		for _, shape := range testbed.Shapes() {
			failures = append(failures, testbed.Failure{Mode: testbed.WrongShape, Shape: shape})
		}
		for _, failure := range failures {
			if err := rig.sim.SDN.Fail(failure); err != nil {
				t.Fatal(err)
			}
			rig.step(5 * time.Second)
			total, fl, _ := rig.traffic()
			err := rig.poll()
			if failure.Mode != testbed.WrongShape && err == nil {
				t.Errorf("%+v: no error", failure)
			}
			if total2, fl2, _ := rig.traffic(); total2 < total || fl2 < fl {
				t.Errorf("%+v: the traffic went back from %d, %d to %d, %d", failure, total, fl, total2, fl2)
			}
			if err := rig.sim.SDN.Heal(); err != nil {
				t.Fatal(err)
			}
		}
		rig.step(5 * time.Second)
		rig.mustPoll()
		if got := rig.lastOf("switches")[""]; got != 3 {
			t.Errorf("%v switches", got)
		}
		if rig.sim.Strays() != 0 {
			t.Error("a redirect was followed")
		}
		if series := rig.db.Stats().Series; series > 1000 {
			t.Errorf("%d series", series)
		}
	}
}

// TestWhatIsNotSavedIsSavedLater: a save that fails, as on a full disk, loses nothing that the next one has.
func TestWhatIsNotSavedIsSavedLater(t *testing.T) {
	rig := startNetRig(t, testbed.Options{Seed: 5, Rounds: 200})
	rig.step(20 * time.Second)
	n := rig.bed.network
	l := newLook(rig.now.Load())
	if err := n.look(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	n.apply(l)
	names := func() (all []string) {
		changes, err := n.changes()
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes {
			all = append(all, change.Name)
		}
		slices.Sort(all)
		return all
	}
	first, again := names(), names()
	if !slices.Equal(first, again) || len(first) != 2+2*3 {
		t.Errorf("to be saved: %v; then, since that failed: %v", first, again)
	}
	n.saved()
	if got := names(); !slices.Equal(got, []string{totalsState}) {
		t.Errorf("to be saved when all is: %v", got)
	}
}

// TestALyingControllerMakesNoMillionsOfSeries: one that tells of other switches, ports, flows and hosts each time.
func TestALyingControllerMakesNoMillionsOfSeries(t *testing.T) {
	turn := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := 1 + turn*1000
		answer := func(value any) { _ = json.NewEncoder(w).Encode(value) }
		var all []any
		switch path := r.URL.Path; {
		case path == "/v1.0/topology/switches":
			turn++
			for i := range 1000 {
				all = append(all, map[string]any{"dpid": fmt.Sprintf("%016x", base+i), "ports": []any{map[string]any{"port_no": i}}})
			}
			answer(all)
		case path == "/v1.0/topology/hosts":
			for i := range 10_000 {
				all = append(all, map[string]any{"mac": fmt.Sprintf("02:00:00:%02x:%02x:%02x", turn, i>>8, i&255), "ipv4": []string{"10.0.0.1"}})
			}
			answer(all)
		case strings.HasPrefix(path, "/stats/port/"):
			for i := range maxPorts + 1 {
				one := map[string]any{"port_no": turn*1000 + i, "tx_bytes": -1, "rx_packets": "18446744073709551615", "rx_bps": i, "tx_bps": i, "curr_speed": i}
				for _, c := range portCounters[4:] {
					one[c.name] = i
				}
				one["rx_bytes"] = 1<<62 + i
				all = append(all, one)
			}
			answer(map[string]any{"1": all})
		case path == "/stats/flows":
			flows := map[string]any{}
			for i := range 10_000 {
				flows[fmt.Sprint(turn, "_", i)] = map[string]any{"datapath_id": base + i, "priority": i, "byte_count": 1 << 62, "match": map[string]int{"in_port": i}}
			}
			answer(flows)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	db := openEngine(t, engine.Options{})
	now := noon
	bed, err := NewTestbed(db, Options{SDNController: PeerOptions{URL: server.URL}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	for range 3 {
		if err := bed.network.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Second)
	}
	n := bed.network
	if len(n.switches) > maxSwitches || len(n.topology.Hosts) > maxHosts || len(n.topology.Left) > maxHosts {
		t.Errorf("%d switches, %d hosts, %d that left", len(n.switches), len(n.topology.Hosts), len(n.topology.Left))
	}
	flows := 0
	for _, s := range n.switches {
		flows += len(s.Flows)
	}
	total, fl, control := n.traffic()
	if flows > maxFlows || total < 0 || fl < 0 || control < 0 {
		t.Errorf("%d flows; %d %d %d", flows, total, fl, control)
	}
	if series := db.Stats().Series; series > 70_000 {
		t.Errorf("%d series", series)
	}
	events, err := db.Events(t.Context(), engine.EventQuery{From: model.MinTime, To: model.MaxTime, Limit: 10_000})
	if err != nil || len(events.Events) != 3 {
		t.Errorf("%d events, %v: want one a look", len(events.Events), err)
	}
}

func TestIDs(t *testing.T) {
	for written, want := range map[string]datapathID{
		`"0000000000000010"`: 16, `"00002696755cbe4a"`: 42427655962186, `42427655962186`: 42427655962186, `1234567890123456`: 1234567890123456, `"10"`: 10, `"0x10"`: 16,
		`"00:00:00:00:00:00:00:0a"`: 10, `"a"`: 10, `18446744073709551615`: 1<<64 - 1, `"0"`: 0, `0`: 0, `-1`: 0, `1.5`: 0, `null`: 0, `""`: 0, `"LOCAL"`: 0, `[]`: 0,
	} {
		var got datapathID
		if err := json.Unmarshal([]byte(written), &got); got != want || (err == nil) != (want != 0) {
			t.Errorf("%s: %d, %v; want %d", written, got, err, want)
		}
		var saved datapathID
		if raw, _ := json.Marshal(want); want != 0 && (json.Unmarshal(raw, &saved) != nil || saved != want) {
			t.Errorf("%d was saved as %s and read as %d", want, raw, saved)
		}
	}
	for written, want := range map[string]string{
		`1`: "1", `"0000000a"`: "10", `"10"`: "10", `"LOCAL"`: "LOCAL", `4294967294`: "LOCAL", `"fffffffe"`: "LOCAL", `"0xfffffffe"`: "LOCAL", `12345678`: "12345678", `"x"`: "", `-1`: "", `4294967296`: "",
	} {
		var got portNumber
		if err := json.Unmarshal([]byte(written), &got); (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%s: %v, %v; want %s", written, got, err, want)
		}
	}
	for written, want := range map[string]counter{`18446744073709551615`: notTold, `"7"`: 7, `7.0`: 7, `1e3`: 1000, `-1`: notTold, `true`: notTold, `null`: notTold, `9223372036854775807`: 1<<63 - 1} {
		var got counter
		if err := json.Unmarshal([]byte(written), &got); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", written, got, err, want)
		}
	}
}

func TestMatchAddresses(t *testing.T) {
	for written, want := range map[string][]string{
		`{"nw_src":"10.0.0.1","nw_dst":"10.0.0.2/255.255.255.255","dl_type":2048}`: {"10.0.0.1", "10.0.0.2"},
		`{"ipv4_src":"10.0.0.0/8"}`: nil,
		`{"OFPMatch":{"length":18,"oxm_fields":[{"OXMTlv":{"field":"ipv4_dst","mask":null,"value":"10.0.0.3"}},{"OXMTlv":{"field":"ipv4_src","mask":"255.0.0.0","value":"10.0.0.0"}}],"type":1}}`: {"10.0.0.3"},
		`"OFPMatch(oxm_fields={'eth_type': 2048, 'ipv4_src': '10.0.0.4'})"`: {"10.0.0.4"},
		`null`: nil, `7`: nil, ``: nil,
	} {
		var got []string
		matchAddresses(json.RawMessage(written), func(address string) {
			if _, ok := addressOf(address); ok {
				got = append(got, address)
			}
		})
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", written, got, want)
		}
	}
}
