package flopynet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/flopynet/collector/internal/testbed"
)

// TestTrafficIsNeitherLostNorDoubled compares the totals with the simulation's own counts, while flows come and go, the
// collector, the controller and the switches are restarted, and the controller is away for a while.
func TestTrafficIsNeitherLostNorDoubled(t *testing.T) {
	for _, variant := range []struct {
		name        string
		stock, gaps bool
	}{{"FLOPY-NET", false, false}, {"FLOPY-NET with gaps", false, true}, {"stock Ryu", true, false}} {
		t.Run(variant.name, func(t *testing.T) {
			for range 3 {
				seed := rand.Uint64()
				if given, err := strconv.ParseUint(os.Getenv("COLLECTOR_SEED"), 10, 64); err == nil {
					seed = given
				}
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					rig := startNetRig(t, testbed.Options{
						Seed: seed, Rounds: 20, RoundEvery: 5 * time.Second, Clients: 4, StockRyu: variant.stock, PortStatsGaps: variant.gaps,
					})
					rig.trafficRun(rand.New(rand.NewPCG(seed, 1)), variant.stock, variant.gaps)
				})
			}
		})
	}
}

func (rig *netRig) trafficRun(random *rand.Rand, stock, gaps bool) {
	t := rig.t
	var before int64 // what ports had received when the switches were restarted
	var lastTotal, lastFL, lastControl int64
	did, restarted := map[string]int{}, -4
	for step := range 40 {
		rig.step(time.Duration(2000+random.IntN(3000)) * time.Millisecond)
		action := [...]string{"poll", "poll", "collector", "controller", "switches", "away"}[random.IntN(6)]
		if step < 2 || action == "switches" && step-restarted < 4 { // soon after another restart it can't be told from traffic
			action = "poll"
		}
		did[action]++
		switch action {
		case "collector":
			rig.restart()
		case "controller":
			rig.mustPoll()
			if err := rig.sim.SDN.Restart(); err != nil {
				t.Fatal(err)
			}
		case "switches":
			rig.settle(gaps)
			before += rig.received(stock)
			rig.sim.SDN.RestartSwitches()
			restarted = step
			rig.step(time.Second)
			rig.settle(gaps) // before the ports have outgrown what they had counted
		case "away":
			if err := rig.sim.SDN.Fail(testbed.Failure{Mode: testbed.Down}); err != nil {
				t.Fatal(err)
			}
			if rig.poll() == nil {
				t.Error("a controller that is away was polled")
			}
			if err := rig.sim.SDN.Heal(); err != nil {
				t.Fatal(err)
			}
		}
		if action != "away" {
			rig.mustPoll()
		}
		total, fl, control := rig.traffic()
		if total < lastTotal || fl < lastFL || control < lastControl || total < fl {
			t.Errorf("step %d, %s: %d %d %d, before %d %d %d", step, action, total, fl, control, lastTotal, lastFL, lastControl)
		}
		toldFL, toldControl := rig.told()
		trueFL, trueControl := rig.truth()
		if trueTotal := before + rig.received(stock); fl < toldFL || control < toldControl || fl > trueFL || control > trueControl || total > trueTotal {
			t.Fatalf("step %d, %s, after %v: FL %d, told %d, true %d; control %d, told %d, true %d; total %d, true %d", step, action, did,
				fl, toldFL, trueFL, control, toldControl, trueControl, total, trueTotal)
		}
		lastTotal, lastFL, lastControl = total, fl, control
	}
	rig.settle(gaps)
	total, fl, control := rig.traffic()
	toldFL, toldControl := rig.told()
	if trueTotal := before + rig.received(stock); total != trueTotal || stock && (fl != toldFL || control != toldControl) {
		t.Errorf("after %v: total %d, FL %d, control %d; want %d %d %d", did, total, fl, control, trueTotal, toldFL, toldControl)
	}
}

// settle polls when no gap keeps the ports' counters away.
func (rig *netRig) settle(gaps bool) {
	rig.t.Helper()
	rig.mustPoll()
	for gaps && !rig.bed.network.measuredAll() {
		rig.step(500 * time.Millisecond)
		rig.mustPoll()
	}
}

// measuredAll reports whether the last look told of all ports.
func (n *network) measuredAll() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.totals.RatedAt == n.totals.Looked
}

// TestFlowsAreTold goes through the ways in which a flow may come to be told of twice.
func TestFlowsAreTold(t *testing.T) {
	const second = int64(time.Second)
	type look struct {
		at                int64 // seconds
		age, bytes        int64 // negative: not told
		ends, gone, reset bool  // reset: ports of the switch begin anew
		asleep            int64 // for so many seconds until then no flow grew older
	}
	for name, test := range map[string]struct {
		looks []look
		want  int64
	}{
		"it grows":                           {[]look{{100, 10, 5, true, false, false, 0}, {105, 15, 9, true, false, false, 0}}, 9},
		"it begins anew":                     {[]look{{100, 10, 5, true, false, false, 0}, {105, 15, 3, true, false, false, 0}}, 8},
		"another with as many bytes":         {[]look{{100, 10, 5, true, false, false, 0}, {105, 2, 5, true, false, false, 0}}, 10},
		"another after a long while":         {[]look{{100, 10, 5, true, false, false, 0}, {900, 600, 7, true, false, false, 0}}, 12},
		"a permanent one, installed over":    {[]look{{100, 10, 5, false, false, false, 0}, {105, 2, 7, false, false, false, 0}}, 7},
		"a permanent one, seen gone":         {[]look{{100, 10, 5, false, false, false, 0}, {105, 0, 0, false, true, false, 0}, {110, 2, 7, false, false, false, 0}}, 12},
		"one that the controller forgot":     {[]look{{100, 10, 5, true, false, false, 0}, {105, 0, 0, true, true, false, 0}, {110, 20, 7, true, false, false, 0}}, 7},
		"a permanent one, after a restart":   {[]look{{100, 10, 5, false, false, false, 0}, {105, 4, 7, false, false, true, 0}}, 12},
		"ages that never change":             {[]look{{100, 60, 5, true, false, false, 0}, {105, 60, 7, true, false, false, 0}, {110, 60, 9, true, false, false, 0}}, 9},
		"after a sleep of the machine":       {[]look{{100, 10, 5, true, false, false, 0}, {4000, 15, 7, true, false, false, 3895}, {4005, 20, 9, true, false, false, 3895}}, 9},
		"no ages":                            {[]look{{100, -1, 5, true, false, false, 0}, {105, -1, 7, true, false, false, 0}}, 7},
		"no counts yet":                      {[]look{{100, 10, 5, true, false, false, 0}, {105, -1, -1, true, false, false, 0}, {110, 5, 2, true, false, false, 0}}, 7},
		"no counts yet, and then as many":    {[]look{{100, 10, 5, true, false, false, 0}, {105, -1, -1, true, false, false, 0}, {110, 5, 5, true, false, false, 0}}, 10},
		"gone for longer than is remembered": {[]look{{100, 10, 5, true, false, false, 0}, {105, 0, 0, true, true, false, 0}, {1100, 0, 0, true, true, false, 0}}, 5},
	} {
		record, room := newSwitchRecord(), 10
		for _, l := range test.looks {
			at := l.at * second
			port := portReading{port: 1}
			port.counters[rxBytes] = counter(l.at)
			if l.reset {
				port.counters[rxBytes] = 1
			}
			roomForPorts := 1
			record.takePorts([]portReading{port}, at, &roomForPorts)
			other := flowReading{key: "other", bytes: 0, packets: 0, age: time.Duration(at - l.asleep*second), asked: at}
			flow := flowReading{key: "flow", bytes: counter(l.bytes), packets: notTold, age: time.Duration(l.age * second), asked: at, ends: l.ends}
			readings := []flowReading{other, flow}
			if l.gone {
				readings = readings[:1]
			}
			record.takeFlows(readings, at, &room, func(*flowReading) flowClass { return flTraffic })
		}
		if got := record.flowTotals()[flTraffic].Bytes; got != test.want || room+len(record.Flows) != 10 {
			t.Errorf("%s: %d bytes, want %d; room %d beside %d flows", name, got, test.want, room, len(record.Flows))
		}
	}
}

// TestAPortThatComesWithARestart is counted once: the others have begun anew, it has only begun.
func TestAPortThatComesWithARestart(t *testing.T) {
	record, room := newSwitchRecord(), 10
	look := func(at int64, bytes ...counter) {
		var readings []portReading
		for i, count := range bytes {
			one := portReading{port: portNumber(i + 1)}
			one.counters[rxBytes] = count
			readings = append(readings, one)
		}
		record.takePorts(readings, at, &room)
	}
	look(1, 100, 100)
	look(2, 10, 10, 50)
	if got := record.portTotals()[rxBytes]; got != 270 {
		t.Errorf("%d bytes, want 110 of each of two, and 50", got)
	}
}

// TestRoomForPorts: beyond it a port takes the place of one that is long gone, whose count stays, or is left out.
func TestRoomForPorts(t *testing.T) {
	record, room := newSwitchRecord(), 2
	for _, row := range []struct {
		at      time.Duration
		port    portNumber
		leftOut int
	}{{0, 1, 0}, {1, 2, 0}, {2, 3, 1}, {2 * absentFor, 4, 0}, {2*absentFor + 1, 5, 0}, {2*absentFor + 2, 6, 1}} {
		reading := portReading{port: row.port}
		reading.counters[rxBytes] = 10
		_, leftOut := record.takePorts([]portReading{reading}, int64(row.at), &room)
		if leftOut != row.leftOut || len(record.Ports)+room != 2 {
			t.Errorf("port %v: %d left out; %d ports, room for %d", row.port, leftOut, len(record.Ports), room)
		}
	}
	if got := record.portTotals()[rxBytes]; got != 40 {
		t.Errorf("%d bytes of four ports", got)
	}
}
