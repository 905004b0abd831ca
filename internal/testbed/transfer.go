package testbed

import (
	"math/bits"
	"slices"
	"time"
)

// Sizes on the wire.
const (
	packetPayload = 1448 // bytes of a full TCP segment
	packetHeaders = 66   // Ethernet, IP, TCP
)

type amount struct{ packets, bytes int64 }

// onWire is what a payload is in packets.
func onWire(payload int64) amount {
	packets := max(1, (payload+packetPayload-1)/packetPayload)
	return amount{packets, payload + packets*packetHeaders}
}

// transfer moves an amount of bytes from a port to another, evenly from begin to end; or, with an amount per
// second, without end.
type transfer struct {
	begin, end time.Time
	size       amount
	perSecond  bool
	hops       []hop
	flowOf     func(*node, *port) *flow
	blocked    bool  // the first switch drops it
	lost       int64 // packets that the first switch drops at its exit, for it is congested
	done       bool

	folded  amount // is in the counters of ports and flows already
	skipped amount // moved before the switches were restarted
}

// hop is a switch that a transfer passes.
type hop struct {
	in, out *port // out: nil if it is dropped there
	flow    *flow
}

// moved tells what has moved by some time.
func (t *transfer) moved(by time.Time) (packets, bytes int64) {
	elapsed := by.Sub(t.begin)
	switch {
	case elapsed <= 0:
		return 0, 0
	case t.perSecond:
		return share(t.size.packets, elapsed, time.Second), share(t.size.bytes, elapsed, time.Second)
	case !by.Before(t.end):
		return t.size.packets, t.size.bytes
	}
	whole := t.end.Sub(t.begin)
	return share(t.size.packets, elapsed, whole), share(t.size.bytes, elapsed, whole)
}

// share is n*part/whole, rounded down.
func share(n int64, part, whole time.Duration) int64 {
	high, low := bits.Mul64(uint64(n), uint64(part))
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return int64(quotient)
}

// count adds to c what packets and bytes of this transfer are to a port.
func (t *transfer) count(p *port, packets, bytes int64, c *counters) {
	for _, h := range t.hops {
		if h.in == p {
			c.rxPackets += packets
			c.rxBytes += bytes
		}
		if h.out == p {
			c.txPackets += packets
			c.txBytes += bytes
		}
	}
}

// send has a transfer begin now.
func (n *network) send(from, to *port, payload int64, takes time.Duration) *transfer {
	t := &transfer{
		begin: n.line.now, end: n.line.now.Add(max(takes, time.Microsecond)).Truncate(time.Microsecond), size: onWire(payload),
		hops: path(from, to),
	}
	source, destination := from.host.ip, to.host.ip
	t.flowOf = func(at *node, out *port) *flow {
		return n.install(at, match{source: source, destination: destination}, out, false)
	}
	n.start(t)
	return t
}

// attempt is the few packets by which a host finds that it may not speak to another.
func (n *network) attempt(from, to *port, packets int64) {
	t := &transfer{
		begin: n.line.now, end: n.line.now.Add(time.Millisecond), size: amount{packets, packets * 74},
		hops: []hop{{in: from}}, blocked: true,
	}
	source, destination := from.host.ip, to.host.ip
	t.flowOf = func(at *node, _ *port) *flow {
		return n.install(at, match{source: source, destination: destination}, nil, true)
	}
	n.start(t)
}

// openSession is the OpenFlow session of a switch: it never ends.
func (n *network) openSession(from, to *port, perSecond amount, m match) {
	t := &transfer{begin: n.line.now, size: perSecond, perSecond: true, hops: path(from, to)}
	t.flowOf = func(at *node, out *port) *flow { return n.install(at, m, out, false) }
	n.start(t)
}

func (n *network) start(t *transfer) {
	n.active = append(n.active, t)
	for _, p := range t.ports() {
		p.recent = append(p.recent, t)
	}
	n.route(t)
	if !t.perSecond {
		n.line.plan(t.end, func() { n.finish(t) })
	}
}

// ports returns those that a transfer passes.
func (t *transfer) ports() []*port {
	ports := make([]*port, 0, 2*len(t.hops))
	for _, h := range t.hops {
		ports = append(ports, h.in)
		if h.out != nil {
			ports = append(ports, h.out)
		}
	}
	return ports
}

// without removes a transfer from a list, in which it is once.
func without(list []*transfer, t *transfer) []*transfer {
	if i := slices.Index(list, t); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	return list
}

// route gives each hop its flow.
func (n *network) route(t *transfer) {
	for i := range t.hops {
		h := &t.hops[i]
		h.flow = t.flowOf(h.in.node, h.out)
		h.flow.transfers = append(h.flow.transfers, t)
	}
}

// finish moves what a transfer has moved into the counters.
func (n *network) finish(t *transfer) {
	t.done = true
	for _, h := range t.hops {
		if h.out != nil {
			n.notePeak(h.out)
		}
	}
	packets, bytes := t.size.packets-t.folded.packets, t.size.bytes-t.folded.bytes
	for _, h := range t.hops {
		h.flow.counted.packets += packets
		h.flow.counted.bytes += bytes
		h.flow.transfers = without(h.flow.transfers, t)
		h.flow.used(n)
		t.count(h.in, packets, bytes, &h.in.counts)
		if h.out != nil {
			t.count(h.out, packets, bytes, &h.out.counts)
		}
	}
	if first := t.hops[0].out; first != nil {
		first.counts.txDropped += t.lost
	}
	t.folded = t.size
	n.line.plan(t.end.Add(rateSpan), func() {
		n.active = without(n.active, t)
		for _, p := range t.ports() {
			p.recent = without(p.recent, t)
		}
	})
}
