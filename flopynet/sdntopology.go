package flopynet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/flopynet/collector/engine"
)

// What is kept of a network at most. A controller that tells of more has the rest left out, which is logged; so it can't
// make series or state without end.
const (
	maxSwitches = 128
	maxPorts    = 256  // of a switch
	maxAllPorts = 4096 // of all switches, with a dozen series each
	maxLinks    = 4096
	maxHosts    = 4096
	maxFlows    = 4096 // of all switches

	maxTopologyEvents = 200  // of one look; when more has changed, one event says so
	maxEventsWaiting  = 2000 // while they can't be stored
)

// topology is what there is in the network, as the controller told last.
type topology struct {
	Changed  int64         `json:"changed"` // when it last changed, or was seen for the first time; 0: never seen
	Switches []*switchInfo `json:"switches"`
	Links    []linkInfo    `json:"links"`
	Hosts    []*hostInfo   `json:"hosts"`
	Left     []*hostInfo   `json:"left"` // hosts that are gone, the last ones last

	// Events of the changes. They are in the same state as what they tell of, and written from here, so that a crash
	// neither loses nor repeats one.
	Events []engine.Event `json:"events,omitempty"`
}

type switchInfo struct {
	DPID  datapathID `json:"dpid"`
	Ports []portInfo `json:"ports"`
}

// linkInfo joins two ports. A link is there once, whichever directions the controller tells: the lower end is A.
type linkInfo struct {
	A attachment `json:"a"`
	B attachment `json:"b"`
}

type hostInfo struct {
	MAC       string       `json:"mac"`
	Addresses []netip.Addr `json:"ip"`
	At        attachment   `json:"at"`
	Seen      int64        `json:"seen,omitempty"` // when it was last there, of one that is gone
}

// switchesOf sorts what was told of switches, each once.
func switchesOf(told []switchAnswer) (all []*switchInfo, leftOut int) {
	byID := map[datapathID]*switchInfo{}
	for _, one := range told {
		if one.DPID == 0 {
			continue
		}
		ports := slices.SortedFunc(slices.Values(one.Ports), func(a, b portInfo) int { return cmp.Compare(a.Number, b.Number) })
		ports = slices.CompactFunc(ports, func(a, b portInfo) bool { return a.Number == b.Number })
		leftOut += max(0, len(ports)-maxPorts)
		byID[one.DPID] = &switchInfo{DPID: one.DPID, Ports: ports[:min(len(ports), maxPorts)]}
	}
	ids := slices.Sorted(maps.Keys(byID))
	leftOut += max(0, len(ids)-maxSwitches)
	for _, id := range ids[:min(len(ids), maxSwitches)] {
		all = append(all, byID[id])
	}
	return all, leftOut
}

// linksOf sorts what was told of links, each once.
func linksOf(told []linkAnswer) (all []linkInfo, leftOut int) {
	for _, one := range told {
		if one.From == nil || one.To == nil || one.From.Switch == 0 || one.To.Switch == 0 {
			continue
		}
		link := linkInfo{*one.From, *one.To}
		if compareAttachments(link.A, link.B) > 0 {
			link.A, link.B = link.B, link.A
		}
		all = append(all, link)
	}
	slices.SortFunc(all, func(a, b linkInfo) int {
		return cmp.Or(compareAttachments(a.A, b.A), compareAttachments(a.B, b.B))
	})
	all = slices.Compact(all)
	return all[:min(len(all), maxLinks)], max(0, len(all)-maxLinks)
}

func compareAttachments(a, b attachment) int {
	return cmp.Or(cmp.Compare(a.Switch, b.Switch), cmp.Compare(a.Port, b.Port))
}

// hostsOf sorts what was told of hosts, each once.
func hostsOf(told []hostAnswer) (all []*hostInfo, leftOut int) {
	byMAC := map[string]*hostInfo{}
	for _, one := range told {
		mac := parseMAC(string(one.MAC))
		if mac == "" {
			continue
		}
		host := &hostInfo{MAC: mac, Addresses: append(parseAddresses(one.IPv4), parseAddresses(one.IPv6)...)}
		if one.Port != nil {
			host.At = *one.Port
		}
		byMAC[mac] = host
	}
	macs := slices.Sorted(maps.Keys(byMAC))
	for _, mac := range macs[:min(len(macs), maxHosts)] {
		all = append(all, byMAC[mac])
	}
	return all, max(0, len(macs)-maxHosts)
}

// take takes over what a look has told; nil is what it couldn't tell. It returns whether anything has changed, and notes
// events of it.
func (t *topology) take(switches *[]*switchInfo, links *[]linkInfo, hosts *[]*hostInfo, at, hostsBefore int64) bool {
	changes := topologyChanges{at: at}
	portsChanged := false
	if switches != nil {
		changes.switches(t.Switches, *switches)
		portsChanged = !slices.EqualFunc(t.Switches, *switches, sameSwitch)
		t.Switches = *switches
	}
	if links != nil {
		changes.links(t.Links, *links)
		t.Links = *links
	}
	if hosts != nil {
		keepAddresses(t.Hosts, *hosts)
		left := changes.hosts(t.Hosts, *hosts)
		t.forget(left, hostsBefore)
		t.Hosts = *hosts
		t.Left = slices.DeleteFunc(t.Left, func(h *hostInfo) bool { return findHost(t.Hosts, h.MAC) != nil })
	}
	if len(changes.events) == 0 && !portsChanged && t.Changed != 0 {
		return false
	}
	t.Changed = at
	t.Events = append(t.Events, changes.bounded()...)
	t.Events = t.Events[max(0, len(t.Events)-maxEventsWaiting):]
	return true
}

// keepAddresses gives hosts the addresses they had where none are told now: FLOPY-NET's controller forgets a host's whenever
// the host sends a packet that isn't IP.
func keepAddresses(before, after []*hostInfo) {
	for _, host := range after {
		if was := findHost(before, host.MAC); was != nil && len(host.Addresses) == 0 {
			host.Addresses = was.Addresses
		}
	}
}

// forget keeps hosts that have left, as many as may be there.
func (t *topology) forget(left []*hostInfo, seen int64) {
	for _, host := range left {
		gone := *host
		gone.Seen = seen
		t.Left = append(t.Left, &gone)
	}
	t.Left = slices.Clone(t.Left[max(0, len(t.Left)-maxHosts):])
}

func findHost(hosts []*hostInfo, mac string) *hostInfo {
	at, found := slices.BinarySearchFunc(hosts, mac, func(h *hostInfo, mac string) int { return cmp.Compare(h.MAC, mac) })
	if !found {
		return nil
	}
	return hosts[at]
}

func sameSwitch(a, b *switchInfo) bool {
	return a.DPID == b.DPID && slices.EqualFunc(a.Ports, b.Ports, func(a, b portInfo) bool {
		return a.Number == b.Number && a.Name == b.Name && a.Address == b.Address && equalTold(a.State, b.State) && equalTold(a.Speed, b.Speed)
	})
}

func equalTold[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// topologyChanges gathers the events of one look.
type topologyChanges struct {
	at     int64
	events []engine.Event
}

// note adds an event. Its id follows from what has changed and when.
func (c *topologyChanges) note(kind, level, key, message string, details any) {
	raw, _ := json.Marshal(details) // structs of texts and numbers
	c.events = append(c.events, engine.Event{
		ID:   fmt.Sprintf("%s/%s_%s_%d", SDNController, strings.ToLower(kind), key, time.Duration(c.at).Milliseconds()),
		Time: c.at, Component: SDNController, Type: kind, Level: level, Message: message, Details: raw,
	})
}

// bounded returns the events, or one that stands for too many.
func (c *topologyChanges) bounded() []engine.Event {
	if len(c.events) <= maxTopologyEvents {
		return c.events
	}
	counts := map[string]int{}
	for _, event := range c.events {
		counts[event.Type]++
	}
	one := topologyChanges{at: c.at}
	one.note("TOPOLOGY_CHANGED", "warning", "many", fmt.Sprintf("%d changes at once", len(c.events)), counts)
	return one.events
}

func (c *topologyChanges) switches(before, after []*switchInfo) {
	has := func(all []*switchInfo, id datapathID) bool {
		return slices.ContainsFunc(all, func(s *switchInfo) bool { return s.DPID == id })
	}
	for _, s := range after {
		if !has(before, s.DPID) {
			c.note("SWITCH_JOINED", "info", s.DPID.String(), fmt.Sprintf("switch %v joined", s.DPID), s)
		}
	}
	for _, s := range before {
		if !has(after, s.DPID) {
			c.note("SWITCH_LEFT", "warning", s.DPID.String(), fmt.Sprintf("switch %v left", s.DPID), s)
		}
	}
}

func (c *topologyChanges) links(before, after []linkInfo) {
	was, is := setOf(before), setOf(after)
	tell := func(kind, level, verb string, l linkInfo) {
		key := fmt.Sprintf("%v-%v_%v-%v", l.A.Switch, l.A.Port, l.B.Switch, l.B.Port)
		c.note(kind, level, key, fmt.Sprintf("the link of switch %v port %v with switch %v port %v %s",
			l.A.Switch, l.A.Port, l.B.Switch, l.B.Port, verb), l)
	}
	for _, l := range after {
		if !was[l] {
			tell("LINK_ADDED", "info", "appeared", l)
		}
	}
	for _, l := range before {
		if !is[l] {
			tell("LINK_REMOVED", "warning", "disappeared", l)
		}
	}
}

func setOf[T comparable](all []T) map[T]bool {
	set := make(map[T]bool, len(all))
	for _, one := range all {
		set[one] = true
	}
	return set
}

// hosts returns those that left.
func (c *topologyChanges) hosts(before, after []*hostInfo) (left []*hostInfo) {
	for _, h := range after {
		was := findHost(before, h.MAC)
		switch {
		case was == nil:
			c.note("HOST_JOINED", "info", h.MAC, fmt.Sprintf("host %s joined at switch %v port %v", h.label(), h.At.Switch, h.At.Port), h)
		case was.At != h.At:
			c.note("HOST_MOVED", "info", h.MAC, fmt.Sprintf("host %s moved from switch %v port %v to switch %v port %v", h.label(),
				was.At.Switch, was.At.Port, h.At.Switch, h.At.Port), h)
		case !slices.Equal(was.Addresses, h.Addresses):
			c.note("HOST_ADDRESS_CHANGED", "info", h.MAC, fmt.Sprintf("host %s has the addresses %v, before %v", h.MAC, h.Addresses, was.Addresses), h)
		}
	}
	for _, h := range before {
		if findHost(after, h.MAC) == nil {
			left = append(left, h)
			c.note("HOST_LEFT", "info", h.MAC, fmt.Sprintf("host %s left switch %v port %v", h.label(), h.At.Switch, h.At.Port), h)
		}
	}
	return left
}

// label is how a host is called in a message.
func (h *hostInfo) label() string {
	if len(h.Addresses) > 0 {
		return h.Addresses[0].String()
	}
	return h.MAC
}

// NetworkHost is a host that the SDN controller knows of, or knew.
type NetworkHost struct {
	MAC      string
	IPs      []netip.Addr // none: not told
	Switch   uint64       // dpid; 0: not told
	Port     uint32
	LastSeen time.Time // when the controller last told of it
	Present  bool      // it was there at the last look
}

// Hosts returns the hosts in the network and those that have left, in the order of their Ethernet addresses.
func (t *Testbed) Hosts() []NetworkHost {
	n := t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []NetworkHost
	add := func(hosts []*hostInfo, present bool) {
		for _, h := range hosts {
			seen := h.Seen
			if present {
				seen = n.totals.Hosts
			}
			all = append(all, NetworkHost{
				MAC: h.MAC, IPs: slices.Clone(h.Addresses), Switch: uint64(h.At.Switch), Port: uint32(h.At.Port), LastSeen: time.Unix(0, seen).UTC(), Present: present,
			})
		}
	}
	add(n.topology.Hosts, true)
	add(n.topology.Left, false)
	slices.SortFunc(all, func(a, b NetworkHost) int { return cmp.Compare(a.MAC, b.MAC) })
	return all
}
