package testbed

import "time"

// Priorities of flows, as FLOPY-NET's controller gives them.
const (
	priorityMiss    = 0
	priorityAllow   = 20
	priorityDrop    = 30
	priorityICMP    = 40
	priorityControl = 1000
)

// match says which packets a flow is for.
type match struct {
	source, destination string // IP addresses; empty: any
	icmp                bool
}

// entry is a place in a switch's table.
type entry struct {
	node  *node
	match match
}

// flow is an entry in a switch's table.
type flow struct {
	node      *node
	priority  int
	match     match
	out       *port // nil: the packets go where the switch thinks, or nowhere
	drop      bool
	idle      time.Duration // 0: it stays
	installed time.Time
	lastUsed  time.Time
	removed   time.Time

	counted   amount      // by transfers that have ended
	transfers []*transfer // under way
}

// installDefaults installs the flows that each switch has from its start, and the sessions with the controller.
func (n *network) installDefaults() {
	first := len(n.flows) == 0
	for _, at := range n.nodes {
		for _, f := range []*flow{
			{priority: priorityMiss}, {priority: priorityICMP, match: match{icmp: true}},
			{priority: priorityControl, match: match{destination: addressController}},
			{priority: priorityControl, match: match{source: addressController}},
		} {
			f.node, f.installed = at, n.line.now
			n.add(f)
		}
	}
	if !first {
		return
	}
	controller := n.byIP[addressController].port
	for _, at := range n.nodes {
		n.openSession(at.local, controller, amount{packets: 4, bytes: 1200}, match{destination: addressController})
		n.openSession(controller, at.local, amount{packets: 2, bytes: 300}, match{source: addressController})
	}
}

// install returns the flow of a switch for a match, a new one if there is none.
func (n *network) install(at *node, m match, out *port, drop bool) *flow {
	if f := n.tables[entry{at, m}]; f != nil {
		if f.drop == drop {
			return f
		}
		f.freeze(n) // the controller replaces it, since the policy has another opinion now
	}
	f := &flow{node: at, priority: priorityAllow, match: m, out: out, drop: drop, idle: n.idle, installed: n.line.now, lastUsed: n.line.now}
	if drop {
		f.priority = priorityDrop
	}
	n.add(f)
	return f
}

func (n *network) add(f *flow) {
	n.flows = append(n.flows, f)
	n.tables[entry{f.node, f.match}] = f
}

// used notes that a flow was used, and has it removed if it isn't again.
func (f *flow) used(n *network) {
	f.lastUsed = n.line.now
	if f.idle == 0 {
		return
	}
	n.line.plan(n.line.now.Add(f.idle), func() {
		if len(f.transfers) == 0 && n.line.now.Sub(f.lastUsed) >= f.idle {
			f.freeze(n)
		}
	})
}

// freeze removes a flow.
func (f *flow) freeze(n *network) {
	if f.removed.IsZero() {
		f.counted = f.total(n)
		f.removed, f.transfers = n.line.now, nil
		delete(n.tables, entry{f.node, f.match})
	}
}

// total is what a flow has counted at the present.
func (f *flow) total(n *network) amount {
	total := f.counted
	if !f.removed.IsZero() {
		return total
	}
	for _, t := range f.transfers {
		packets, bytes := t.moved(n.line.now)
		total.packets += packets - t.folded.packets
		total.bytes += bytes - t.folded.bytes
	}
	return total
}
