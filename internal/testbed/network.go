package testbed

import (
	"fmt"
	"slices"
	"time"
)

// LocalPort is the number of a switch's own port (OFPP_LOCAL).
const LocalPort = 0xfffffffe

// Addresses in the testbed.
const (
	addressFL         = "192.168.100.10"
	addressPolicy     = "192.168.100.20"
	addressCollector  = "192.168.100.40"
	addressController = "192.168.100.41"
)

// network is what the switches do. It goes on whatever becomes of the controller.
type network struct {
	line      *timeline
	idle      time.Duration // after which an unused flow is removed
	reset     time.Time     // when the switches began to count
	nodes     []*node
	hosts     []*host // those that are or were attached
	byIP      map[string]*host
	flows     []*flow         // all that ever were, in the order of their installation
	tables    map[entry]*flow // those that are installed
	forgotten totals          // of flows that are no longer in flows
	active    []*transfer     // and those that ended less than rateSpan ago
	peak      int64           // highest rate of a port since the controller's start, in bits per second
}

// node is a switch.
type node struct {
	dpid  uint64
	ports []*port // by number, from 1
	local *port
}

type port struct {
	node   *node
	number int
	name   string
	mac    string
	host   *host // nil: a switch is there
	far    *port // nil: a host is there
	up     bool
	counts counters
	recent []*transfer // that pass it, or did less than rateSpan ago
	peaked time.Time   // when its rate was last compared with the peak
}

type counters struct{ rxPackets, txPackets, rxBytes, txBytes, rxDropped, txDropped int64 }

type host struct {
	name, ip, mac string
	port          *port
}

// newNetwork builds a star: the servers are at the first switch, the clients at the others in turn.
func newNetwork(line *timeline, switches, clients int, idle time.Duration) *network {
	n := &network{line: line, idle: idle, reset: line.now, byIP: map[string]*host{}, tables: map[entry]*flow{}}
	for i := range switches {
		at := &node{dpid: uint64(i + 1)}
		at.local = &port{node: at, number: LocalPort, name: fmt.Sprintf("br%d", at.dpid), mac: macOf(2, i+1, 0), up: true}
		n.nodes = append(n.nodes, at)
	}
	core := n.nodes[0]
	for _, edge := range n.nodes[1:] {
		near, far := n.addPort(core), n.addPort(edge)
		near.far, far.far = far, near
		near.up, far.up = true, true
	}
	for i, server := range []struct{ name, ip string }{
		{"fl-server", addressFL}, {"policy-engine", addressPolicy}, {"collector", addressCollector}, {"sdn-controller", addressController},
	} {
		n.attach(&host{name: server.name, ip: server.ip, mac: macOf(4, 0, i+1)}, core)
	}
	for i := range clients {
		at := core
		if switches > 1 {
			at = n.nodes[1+i%(switches-1)]
		}
		n.attach(&host{name: clientID(i), ip: clientIP(i), mac: macOf(4, 1, i+1)}, at)
	}
	for _, h := range n.hosts[:4] {
		h.port.up = true
	}
	n.installDefaults()
	return n
}

func macOf(kind, high, low int) string {
	return fmt.Sprintf("02:42:c0:%02x:%02x:%02x", kind, high, low)
}

func (n *network) addPort(at *node) *port {
	number := len(at.ports) + 1
	p := &port{node: at, number: number, name: fmt.Sprintf("ovs%d-eth%d", at.dpid, number), mac: macOf(3, int(at.dpid), number)}
	at.ports = append(at.ports, p)
	return p
}

func (n *network) attach(h *host, at *node) {
	h.port = n.addPort(at)
	h.port.host = h
	n.hosts = append(n.hosts, h)
	n.byIP[h.ip] = h
}

// path returns the ports a packet goes in and out by, switch by switch.
func path(from, to *port) []hop {
	if from.node == to.node {
		return []hop{{in: from, out: to}}
	}
	hops := []hop{{in: from}}
	for last := &hops[0]; last.in.node != to.node; last = &hops[len(hops)-1] {
		last.out = uplink(last.in.node, to.node)
		hops = append(hops, hop{in: last.out.far})
	}
	hops[len(hops)-1].out = to
	return hops
}

// uplink is the port of a switch that leads to another: in a star its only one, or the core's to that one.
func uplink(from, to *node) *port {
	for _, p := range from.ports {
		if p.far != nil && (p.far.node == to || from.dpid != 1) {
			return p
		}
	}
	panic(fmt.Sprintf("testbed: no way from switch %d to %d", from.dpid, to.dpid))
}

// portAt returns a port's counters at the present.
func (n *network) portAt(p *port) counters {
	c := p.counts
	for _, t := range p.recent {
		packets, bytes := t.moved(n.line.now)
		t.count(p, packets-t.folded.packets, bytes-t.folded.bytes, &c)
	}
	return c
}

// rateSpan is the span over which the controller takes a port's rate.
const rateSpan = 2 * time.Second

// rateAt returns the bits per second a port received and sent lately.
func (n *network) rateAt(p *port) (rx, tx int64) {
	var c counters
	for _, t := range p.recent {
		_, now := t.moved(n.line.now)
		_, before := t.moved(n.line.now.Add(-rateSpan))
		t.count(p, 0, now-max(before, t.skipped.bytes), &c)
	}
	return c.rxBytes * 8 / int64(rateSpan/time.Second), c.txBytes * 8 / int64(rateSpan/time.Second)
}

// notePeak compares a port's rate with the highest so far, though not all the time.
func (n *network) notePeak(p *port) {
	if n.line.now.Sub(p.peaked) < rateSpan/10 {
		return
	}
	p.peaked = n.line.now
	rx, tx := n.rateAt(p)
	n.peak = max(n.peak, rx+tx)
}

// restart sets all counters back and forgets all flows, as switches do that were switched off and on.
func (n *network) restart() {
	n.reset, n.forgotten = n.line.now, totals{}
	for _, f := range n.flows {
		f.freeze(n)
	}
	for _, at := range n.nodes {
		at.local.counts = counters{}
		for _, p := range at.ports {
			p.counts = counters{}
		}
	}
	n.installDefaults()
	for _, t := range slices.Clone(n.active) {
		packets, bytes := t.moved(n.line.now)
		t.folded, t.skipped = amount{packets, bytes}, amount{packets, bytes}
		if !t.done {
			n.route(t)
		}
	}
}

// allPorts returns the ports, the local one last.
func (at *node) allPorts() []*port { return append(slices.Clone(at.ports), at.local) }
