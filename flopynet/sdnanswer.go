package flopynet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// switchAnswer is a switch of /v1.0/topology/switches or /stats/switches; of the latter, stock Ryu tells the number alone.
type switchAnswer struct {
	DPID  datapathID
	Ports []portInfo
}

// portInfo is a port of a switch.
type portInfo struct {
	Number  portNumber `json:"port_no"`
	Name    string     `json:"name,omitempty"`
	Address string     `json:"hw_addr,omitempty"`
	State   *int       `json:"state,omitempty"`      // 1: the link is down, 4: it is live (OFPPS_*); nil: not told
	Speed   *float64   `json:"curr_speed,omitempty"` // kbit/s, as OpenFlow has it; nil: not told
}

// maxNameBytes bounds the names of ports that are kept.
const maxNameBytes = 64

// UnmarshalJSON implements json.Unmarshaler.
func (p *portInfo) UnmarshalJSON(raw []byte) error {
	var told struct {
		Number  *portNumber `json:"port_no"`
		Name    text        `json:"name"`
		Address text        `json:"hw_addr"`
		State   number      `json:"state"`
		Speed   number      `json:"curr_speed"`
	}
	if err := json.Unmarshal(raw, &told); err != nil || told.Number == nil {
		return fmt.Errorf("it is no port: %w", err)
	}
	*p = portInfo{Number: *told.Number, Name: clip(string(told.Name), maxNameBytes), Address: parseMAC(string(told.Address))}
	if told.State.known {
		state := told.State.integer()
		p.State = &state
	}
	if told.Speed.known && told.Speed.value > 0 {
		p.Speed = &told.Speed.value
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *switchAnswer) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return s.DPID.UnmarshalJSON(raw)
	}
	var told struct {
		DPID  *datapathID     `json:"dpid"`
		Ports json.RawMessage `json:"ports"`
	}
	if err := json.Unmarshal(raw, &told); err != nil || told.DPID == nil {
		return fmt.Errorf("it is no switch: %w", err)
	}
	var ports list[portInfo]
	if len(told.Ports) > 0 {
		_ = ports.UnmarshalJSON(told.Ports) // something else than a list counts as none
	}
	*s = switchAnswer{DPID: *told.DPID, Ports: ports}
	return nil
}

// linkAnswer is one direction of a link.
type linkAnswer struct {
	From *attachment `json:"src"`
	To   *attachment `json:"dst"`
}

// hostAnswer is a host of /v1.0/topology/hosts.
type hostAnswer struct {
	MAC  text            `json:"mac"`
	IPv4 json.RawMessage `json:"ipv4"`
	IPv6 json.RawMessage `json:"ipv6"`
	Port *attachment     `json:"port"`
}

// portCounters are the counters of a port, by name and unit.
var portCounters = [...]struct{ name, unit string }{
	{"rx_bytes", "bytes"}, {"tx_bytes", "bytes"}, {"rx_packets", "packets"}, {"tx_packets", "packets"},
	{"rx_dropped", "packets"}, {"tx_dropped", "packets"}, {"rx_errors", ""}, {"tx_errors", ""},
	{"rx_frame_err", ""}, {"rx_over_err", ""}, {"rx_crc_err", ""}, {"collisions", ""},
}

// Where the counters of a port are. The first four tell whether it began to count anew.
const (
	rxBytes = iota
	txBytes
	rxPackets
	txPackets
	rxDropped
	txDropped
	rxErrors
	txErrors

	trafficCounters = txPackets + 1
)

// portReading is what a port has counted.
type portReading struct {
	port     portNumber
	counters [len(portCounters)]counter
	rx, tx   number // bits per second, as the controller works them out; stock Ryu doesn't
	speed    number // kbit/s
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *portReading) UnmarshalJSON(raw []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	if err := p.port.UnmarshalJSON(orNull(fields["port_no"])); err != nil {
		return err
	}
	for i, c := range portCounters {
		_ = p.counters[i].UnmarshalJSON(orNull(fields[c.name])) // these never fail
	}
	_ = p.rx.UnmarshalJSON(orNull(fields["rx_bps"]))
	_ = p.tx.UnmarshalJSON(orNull(fields["tx_bps"]))
	_ = p.speed.UnmarshalJSON(orNull(fields["curr_speed"]))
	return nil
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// flowReading is an entry of a switch's flow table.
type flowReading struct {
	dpid            datapathID
	table, priority int
	ends            bool // it has a timeout
	packets, bytes  counter
	age             time.Duration // since its installation, at the time measured; negative: not told
	measured        moment        // as the controller's clock shows; stock Ryu asks the switch at once
	asked           int64         // when we asked
	match           json.RawMessage
	raw             object // the whole, as it came
	key             string // see flowKey
}

// maxFlowBytes bounds a flow; a longer one is left out.
const maxFlowBytes = 8 << 10

// UnmarshalJSON implements json.Unmarshaler.
func (f *flowReading) UnmarshalJSON(raw []byte) error {
	var told struct {
		DPID        *datapathID     `json:"datapath_id"`
		Table       number          `json:"table_id"`
		Priority    number          `json:"priority"`
		Idle        number          `json:"idle_timeout"`
		Hard        number          `json:"hard_timeout"`
		Packets     *counter        `json:"packet_count"`
		Bytes       *counter        `json:"byte_count"`
		Seconds     number          `json:"duration_sec"`
		Nanoseconds number          `json:"duration_nsec"`
		Updated     moment          `json:"last_updated"`
		Created     moment          `json:"created_time"`
		Match       json.RawMessage `json:"match"`
	}
	if len(raw) > maxFlowBytes {
		return fmt.Errorf("it has %d bytes, at most %d are read", len(raw), maxFlowBytes)
	}
	if err := json.Unmarshal(raw, &told); err != nil {
		return err
	}
	*f = flowReading{
		table: told.Table.integer(), priority: told.Priority.integer(), ends: told.Idle.value > 0 || told.Hard.value > 0,
		packets: notTold, bytes: notTold, age: -1, measured: told.Updated, match: told.Match,
	}
	if told.DPID != nil {
		f.dpid = *told.DPID
	}
	if told.Packets != nil {
		f.packets = *told.Packets
	}
	if told.Bytes != nil {
		f.bytes = *told.Bytes
	}
	if told.Seconds.known && told.Seconds.value >= 0 {
		f.age = secondsOf(told.Seconds) + time.Duration(told.Nanoseconds.integer())
	}
	if !f.measured.known {
		f.measured = told.Created
	}
	f.key = flowKey(f.table, f.priority, f.match)
	return f.raw.UnmarshalJSON(bytes.ToValidUTF8(raw, []byte("\uFFFD")))
}

// secondsOf is a span of whole seconds, 0 if it isn't a sensible one.
func secondsOf(n number) time.Duration {
	if n.value < 0 || n.value > float64(1<<33) {
		return 0
	}
	return time.Duration(n.integer()) * time.Second
}

// matchAddresses calls found with each single address that a match names, IP or Ethernet, in any of the forms that
// controllers write it in: fields such as nw_src, ipv4_src or eth_dst, Ryu's list of OXM fields, or Python's text of it.
func matchAddresses(raw json.RawMessage, found func(string)) {
	var match any
	if json.Unmarshal(orNull(raw), &match) == nil {
		walkMatch(match, found, 0)
	}
}

// maxMatchDepth is deeper than any match is nested.
const maxMatchDepth = 8

func walkMatch(value any, found func(string), depth int) {
	if depth > maxMatchDepth {
		return
	}
	switch value := value.(type) {
	case map[string]any:
		if mask, ok := value["mask"].(string); ok && !isWholeMask(mask) {
			return // many addresses
		}
		for _, inner := range value {
			walkMatch(inner, found, depth+1)
		}
	case []any:
		for _, inner := range value {
			walkMatch(inner, found, depth+1)
		}
	case string:
		for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune("'\"(){}[]=, ", r) }) {
			address, mask, masked := strings.Cut(word, "/")
			if !masked || isWholeMask(mask) {
				found(address)
			}
		}
	}
}

// isWholeMask reports whether a mask leaves one address.
func isWholeMask(mask string) bool {
	return slices.Contains([]string{"32", "128", "255.255.255.255", "ff:ff:ff:ff:ff:ff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, mask)
}

// addressOf reads an IP address, in its shortest form.
func addressOf(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	return address.Unmap(), err == nil
}
