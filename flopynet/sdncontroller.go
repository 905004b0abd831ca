package flopynet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// network is what is known of the network that the SDN controller runs.
type network struct {
	testbed  *Testbed
	recorder *recorder
	client   *controllerClient // nil: no controller is polled
	live     liveLook

	mu       sync.Mutex
	topology topology
	switches map[datapathID]*switchRecord
	flows    map[datapathID][]flowReading // as they were told last
	tables   map[datapathID]string        // which flows are saved, by their names
	totals   networkTotals
	fresh    bool // the last look told all
	reached  bool // it told anything
	tried    bool // there was one

	topologyChanged bool         // since it was saved
	forgotten       []datapathID // likewise

	leftOut string // what was logged last
	refused string // likewise: why samples can't be stored
}

// networkTotals are sums over the network, and what else is small.
type networkTotals struct {
	Looked   int64 `json:"looked"`   // when the controller last told anything; 0: never
	Measured int64 `json:"measured"` // when it last told of ports or flows
	Hosts    int64 `json:"hosts"`    // when it last told of hosts

	// Of switches that are forgotten.
	Ports [trafficCounters]int64 `json:"ports"`
	Flows [flowClasses]traffic   `json:"flows"`

	// Rate is the bits per second that all ports received and sent between the last two looks; nil: not known.
	Rate    *float64 `json:"rate"`
	RatedAt int64    `json:"-"` // the base of the next one
	Rated   int64    `json:"-"`

	Performance *performance `json:"performance"` // nil: the controller doesn't tell
}

func newNetwork(t *Testbed) *network {
	return &network{
		testbed: t, recorder: t.recorder(SDNController), switches: map[datapathID]*switchRecord{}, flows: map[datapathID][]flowReading{},
		tables: map[datapathID]string{},
	}
}

// monitorSDNController adds the pollers of the SDN controller.
func (t *Testbed) monitorSDNController(p *peer) {
	t.poll(p, "health", t.options.SDNController.Interval, t.recorder(SDNController), p.check)
	n := t.network
	n.client = newControllerClient(p)
	n.load()
	t.poll(p, "network", t.options.SDNController.Interval, n.recorder, n.poll)
}

// maxLook bounds the time that one look at the network may take.
const maxLook = time.Minute

// poll looks at the network and stores what it sees. What it couldn't see stays as it was.
func (n *network) poll(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, maxLook)
	defer cancel()
	l := newLook(n.testbed.options.Now().Truncate(time.Millisecond).UnixNano())
	err := n.look(looking, l)
	if ctx.Err() != nil {
		return err // closing
	}
	return errors.Join(err, n.take(ctx, l, err == nil))
}

// look asks for everything. Flows are asked for before ports, so that what a flow has counted has passed a port when that is
// asked.
func (n *network) look(ctx context.Context, l *look) error {
	parts := n.client.topologyParts(l)
	parts = append(parts,
		func(ctx context.Context) error { return n.client.askFlows(ctx, l, n.switchesOf(l)) },
		func(ctx context.Context) error { return n.client.askPorts(ctx, l, n.switchesOf(l)) },
	)
	return whileReachable(ctx, append(parts, n.client.figureParts(l)...))
}

// whileReachable runs the parts, each though others fail, unless the peer can't be reached at all.
func whileReachable(ctx context.Context, parts []func(context.Context) error) error {
	var all error
	for _, part := range parts {
		err := part(ctx)
		all = errors.Join(all, err)
		if ctx.Err() != nil || isUnreachable(err) {
			break
		}
	}
	return all
}

// switchesOf lists the switches that a look told, or else those that were there last.
func (n *network) switchesOf(l *look) []datapathID {
	n.mu.Lock()
	defer n.mu.Unlock()
	switches := n.topology.Switches
	if l.switches != nil {
		switches = *l.switches
	}
	ids := make([]datapathID, len(switches))
	for i, s := range switches {
		ids[i] = s.DPID
	}
	return ids
}

// take takes over what a look told: samples first, then the state with the events in it, then the events.
func (n *network) take(ctx context.Context, l *look, whole bool) error {
	n.mu.Lock()
	n.fresh, n.reached, n.tried = whole, l.toldAnything(), true
	if !n.reached {
		n.mu.Unlock()
		return nil
	}
	points := n.apply(l)
	changes, err := n.changes()
	events := slices.Clone(n.topology.Events)
	n.mu.Unlock()
	n.reportLeftOut(l)
	if err != nil {
		return err
	}
	if err := n.recorder.samples(points); !n.reportRefusal(err) && err != nil {
		return err
	}
	if err := n.testbed.db.ChangeState(changes...); err != nil {
		return fmt.Errorf("keep what is known of the network: %w", err)
	}
	n.saved()
	if len(events) == 0 {
		return nil
	}
	if err := n.recorder.events(ctx, events); err != nil {
		return fmt.Errorf("store changes of the topology: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.topology.Events, n.topologyChanged = nil, true // the next save takes them out
	return nil
}

// reportRefusal logs why samples can't be stored, when that changes. It reports whether it is of that kind: those samples are
// lost, and trying again is of no use.
func (n *network) reportRefusal(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	text := ""
	if ok {
		text = refused.Error()
	}
	if text != n.refused && text != "" {
		n.testbed.options.Logger.Warn("not all that the SDN controller tells can be stored", "error", text)
	}
	n.refused = text
	return ok
}

// reportLeftOut logs what exceeds the bounds, when that changes.
func (n *network) reportLeftOut(l *look) {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(l.leftOut)) {
		if count := l.leftOut[kind]; count > 0 {
			kinds = append(kinds, kind)
		}
	}
	text := strings.Join(kinds, ", ")
	if text != n.leftOut && text != "" {
		n.testbed.options.Logger.Warn("the SDN controller tells of more than is looked at", "left_out", text,
			"max_switches", maxSwitches, "max_ports_of_one", maxPorts, "max_ports", maxAllPorts, "max_links", maxLinks, "max_hosts", maxHosts, "max_flows", maxFlows)
	}
	n.leftOut = text
}

// apply takes over a look into memory, and returns the samples to store. The caller holds mu.
func (n *network) apply(l *look) []point {
	if n.topology.take(l.switches, l.links, l.hosts, l.at, n.totals.Hosts) {
		n.topologyChanged = true
	}
	n.totals.Looked = l.at
	if l.hosts != nil {
		n.totals.Hosts = l.at
	}
	if len(l.ports) > 0 || l.flows != nil {
		n.totals.Measured = l.at
	}
	series := seriesOf{at: l.at}
	complete, room := true, maxAllPorts
	for _, s := range n.switches {
		room -= len(s.Ports)
	}
	for _, s := range n.topology.Switches {
		record := n.switchRecord(s.DPID, l.at)
		readings, told := l.ports[s.DPID]
		if record == nil {
			l.leftOut["switches and ports"]++
		}
		if !told || record == nil {
			complete = false
			continue
		}
		believed, leftOut := record.takePorts(readings, l.at, &room)
		l.leftOut["switches and ports"] += leftOut
		complete = complete && len(believed) == len(readings)
		series.ports(s.DPID, believed)
	}
	n.rate(l, complete)
	n.applyFlows(l)
	n.applyFigures(l)
	n.series(&series, l)
	return series.points
}

// switchRecord returns the record of a switch, a new one if there is none; nil if there are too many.
func (n *network) switchRecord(id datapathID, at int64) *switchRecord {
	record := n.switches[id]
	if record == nil {
		if len(n.switches) >= maxSwitches && !n.forgetSwitch(at) {
			return nil
		}
		record = newSwitchRecord()
		n.switches[id] = record
	}
	record.Seen = at
	return record
}

// forgetSwitch makes room by forgetting the switch that has been gone longest. What it has counted stays counted.
func (n *network) forgetSwitch(at int64) bool {
	ids := slices.SortedFunc(maps.Keys(n.switches), func(a, b datapathID) int {
		return int(min(1, max(-1, n.switches[a].Seen-n.switches[b].Seen)))
	})
	oldest := n.switches[ids[0]]
	if at-oldest.Seen < int64(absentFor) {
		return false
	}
	for i, sum := range oldest.portTotals() {
		n.totals.Ports[i] = plus(n.totals.Ports[i], sum)
	}
	for class, sum := range oldest.flowTotals() {
		n.totals.Flows[class].add(sum)
	}
	delete(n.switches, ids[0])
	delete(n.flows, ids[0])
	n.forgotten = append(n.forgotten, ids[0])
	return true
}

// rate works out the bits per second since the look before, if both told of all ports.
func (n *network) rate(l *look, complete bool) {
	if !complete {
		return // the next rate is over a longer span
	}
	var sum int64
	for _, s := range n.topology.Switches {
		if record := n.switches[s.DPID]; record != nil {
			for number, port := range record.Ports {
				if number != localPort {
					sum = plus(sum, plus(port.total(rxBytes), port.total(txBytes)))
				}
			}
		}
	}
	if span := l.at - n.totals.RatedAt; n.totals.RatedAt != 0 && span > 0 {
		bps := max(0, float64(sum-n.totals.Rated)*8/(float64(span)/float64(time.Second)))
		n.totals.Rate = &bps
	}
	n.totals.RatedAt, n.totals.Rated = l.at, sum
}

// applyFlows takes over the flows.
func (n *network) applyFlows(l *look) {
	if l.flows == nil {
		return
	}
	room := maxFlows
	for _, s := range n.switches {
		room -= len(s.Flows)
	}
	if room < maxFlows/8 {
		room = endOldest(n.switches, room)
	}
	classify := n.classifier()
	for _, id := range slices.Sorted(maps.Keys(l.flows)) {
		record := n.switchRecord(id, l.at)
		if record == nil {
			l.leftOut["flows"] += len(l.flows[id])
			continue
		}
		l.leftOut["flows"] += record.takeFlows(l.flows[id], l.at, &room, classify)
		n.flows[id] = l.flows[id]
	}
}

// load reads what was known when the collector ended.
func (n *network) load() {
	logger := n.testbed.options.Logger
	if err := eachRestored(n.testbed.db, logger, stateKind, n.loadOne); err != nil {
		logger.Error("not all that is known of the network can be read", "error", err)
	}
	n.restoreCounts()
}
