package testbed

import (
	"testing"
	"time"
)

// TestNothingIsLost: at any moment what came into a switch has left it or was dropped by a flow, both ends of a
// link have counted the same, and the models that moved are in the FL server's port.
func TestNothingIsLost(t *testing.T) {
	for _, switches := range []int{1, 3, 4} {
		bed, clock := open(t, Options{Seed: 6, Switches: switches, Clients: 7})
		for step := range 200 {
			clock.advance(1357 * time.Millisecond)
			checkBalance(t, bed)
			if step == 100 {
				bed.SDN.RestartSwitches()
				for _, p := range bed.Ports() {
					if p.RxBytes != 0 || p.TxBytes != 0 || p.RxPackets != 0 || p.TxPackets != 0 {
						t.Errorf("after the restart of its switch: %+v", p)
					}
				}
			}
		}
	}
}

func checkBalance(t *testing.T, bed *Testbed) {
	t.Helper()
	type sums struct{ rx, tx, rxPackets, txPackets int64 }
	bySwitch := map[uint64]*sums{}
	var edgeRx, edgeTx, coreRx, coreTx int64
	for _, p := range bed.Ports() {
		if bySwitch[p.Switch] == nil {
			bySwitch[p.Switch] = &sums{}
		}
		s := bySwitch[p.Switch]
		s.rx, s.tx, s.rxPackets, s.txPackets = s.rx+p.RxBytes, s.tx+p.TxBytes, s.rxPackets+p.RxPackets, s.txPackets+p.TxPackets
		switch {
		case p.HostIP != "" || p.Number == LocalPort:
		case p.Switch == 1:
			coreRx, coreTx = coreRx+p.RxBytes, coreTx+p.TxBytes
		default:
			edgeRx, edgeTx = edgeRx+p.RxBytes, edgeTx+p.TxBytes
		}
	}
	if edgeRx != coreTx || edgeTx != coreRx {
		t.Errorf("over the links: sent %d and %d, received %d and %d", edgeTx, coreTx, coreRx, edgeRx)
	}
	passed, dropped, forwarded := map[uint64]int64{}, map[uint64]int64{}, map[uint64]int64{}
	for _, f := range flowsSinceRestart(bed) {
		passed[f.Switch] += f.Bytes
		if f.Drop {
			dropped[f.Switch] += f.Bytes
		} else {
			forwarded[f.Switch] += f.Packets
		}
	}
	for dpid, s := range bySwitch {
		if s.rx != s.tx+dropped[dpid] || s.rx != passed[dpid] || s.txPackets != forwarded[dpid] {
			t.Errorf("switch %d received %d, sent %d, dropped %d, its flows counted %d; %d packets sent, %d forwarded",
				dpid, s.rx, s.tx, dropped[dpid], passed[dpid], s.txPackets, forwarded[dpid])
		}
	}
}

// flowsSinceRestart are the flows installed since the switches were started last.
func flowsSinceRestart(bed *Testbed) []Flow {
	reset := ask(bed, func(s *scenario) time.Time { return s.network.reset })
	var flows []Flow
	for _, f := range bed.Flows() {
		if !f.Installed.Before(reset) {
			flows = append(flows, f)
		}
	}
	return flows
}

// TestModelsAreInTheCounters: the FL server's port has sent each model that was downloaded and received each that
// was uploaded, and little else.
func TestModelsAreInTheCounters(t *testing.T) {
	bed, clock := open(t, Options{Seed: 9})
	clock.advance(10 * time.Minute)
	var down, up, flows int64
	for _, r := range bed.Rounds() {
		down += int64(2*len(r.Participants) + len(r.Dropped)) // to train, and to evaluate
		up += int64(len(r.Participants))
	}
	model := onWire(modelBytes).bytes
	for _, p := range bed.Ports() {
		if p.HostIP != addressFL {
			continue
		}
		if sent := p.TxBytes; sent < up*model || sent > up*model+1e6 {
			t.Errorf("to the FL server went %d bytes, want %d models of %d", sent, up, model)
		}
		if received := p.RxBytes; received < down*model || received > down*model+1e6 {
			t.Errorf("from the FL server came %d bytes, want %d models of %d", received, down, model)
		}
	}
	for _, f := range bed.Flows() {
		if f.SourceIP == addressFL && f.DestinationIP != addressPolicy && f.Switch == 1 {
			flows += f.Bytes
		}
	}
	if flows != down*model {
		t.Errorf("the flows from the FL server counted %d bytes, want %d models of %d", flows, down, model)
	}
}
