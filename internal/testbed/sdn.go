package testbed

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// statsEvery is how often the controller asks the switches, and topologyEvery how often it forgets what they said.
const (
	statsEvery    = 2 * time.Second
	topologyEvery = 10 * time.Second
)

func (t *Testbed) sdnRoutes() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, answer func(*scenario) any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, ask(t, answer)) })
	}
	if t.options.StockRyu {
		t.stockRoutes(mux, get)
		return mux
	}
	switches := func(s *scenario) any { return s.topologySwitches() }
	links := func(s *scenario) any { return s.topologyLinks() }
	hosts := func(s *scenario) any { return s.topologyHosts() }
	get("/v1.0/topology/switches", switches)
	get("/v1.0/topology/links", links)
	get("/v1.0/topology/hosts", hosts)
	get("/stats/switches", switches)
	get("/stats/links", links)
	get("/stats/hosts", hosts)
	get("/stats/flows", func(s *scenario) any { return s.flowEntries(nil) })
	get("/api/performance/metrics", func(s *scenario) any { return s.performance() })
	get("/status", func(s *scenario) any {
		return object{
			"switches_connected": len(s.network.nodes), "hosts_learned": len(s.network.present()), "links_discovered": len(s.topologyLinks()),
			"policies_active": 2, "policy_engine_available": true, "policy_engine_url": "http://policy-engine:5000", "timestamp": epoch(s.now),
		}
	})
	get("/health", func(s *scenario) any {
		return object{
			"status": "healthy", "uptime_seconds": seconds(s.now.Sub(s.controllerBegan)), "switches": len(s.network.nodes),
			"policy_engine_connected": true, "timestamp": epoch(s.now),
		}
	})
	mux.HandleFunc("GET /stats/port/{dpid}", func(w http.ResponseWriter, r *http.Request) {
		t.serveSwitch(w, r, func(s *scenario, at *node) object { return object{r.PathValue("dpid"): s.portRows(at)} })
	})
	mux.HandleFunc("GET /stats/flowentry/{dpid}", func(w http.ResponseWriter, r *http.Request) {
		dpid, err := readDPID(r.PathValue("dpid"))
		if err != nil {
			writeJSON(w, http.StatusBadRequest, object{"error": "Invalid DPID format: " + err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object {
			known := s.flowEntries(&dpid)
			entries := []object{}
			for _, key := range slices.Sorted(maps.Keys(known)) {
				entries = append(entries, known[key])
			}
			return object{strconv.FormatUint(dpid, 10): entries}
		}))
	})
	return mux
}

// readDPID reads a switch's number as FLOPY-NET's controller does: hexadecimal first, so that "10" is switch 16.
func readDPID(text string) (uint64, error) {
	clean := strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(text, "0x", ""), ":", ""))
	dpid, err := strconv.ParseUint(clean, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid literal for int() with base 10: '%s'", text)
	}
	return dpid, nil
}

func (t *Testbed) serveSwitch(w http.ResponseWriter, r *http.Request, answer func(*scenario, *node) object) {
	text := r.PathValue("dpid")
	dpid, err := readDPID(text)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, object{"error": "Invalid DPID format: " + err.Error()})
		return
	}
	found := ask(t, func(s *scenario) object {
		for _, at := range s.network.nodes {
			if at.dpid == dpid {
				return answer(s, at)
			}
		}
		return nil
	})
	if found == nil {
		writeJSON(w, http.StatusNotFound, object{"error": fmt.Sprintf("Switch %s not found", text)})
		return
	}
	writeJSON(w, http.StatusOK, found)
}

func hexDPID(dpid uint64) string { return fmt.Sprintf("%016x", dpid) }

func (s *scenario) topologySwitches() []object {
	switches := []object{}
	for _, at := range s.network.nodes {
		ports := []object{}
		for _, p := range at.ports {
			state := 4 // live
			if !p.up {
				state = 1 // link down
			}
			ports = append(ports, object{"port_no": p.number, "hw_addr": p.mac, "name": p.name, "state": state})
		}
		switches = append(switches, object{"dpid": hexDPID(at.dpid), "ports": ports})
	}
	return switches
}

// topologyLinks tells each link twice, once for each direction, with numbers where the hosts have text.
func (s *scenario) topologyLinks() []object {
	links := []object{}
	for _, at := range s.network.nodes {
		for _, p := range at.ports {
			if p.far != nil {
				links = append(links, object{
					"src": object{"dpid": at.dpid, "port_no": p.number}, "dst": object{"dpid": p.far.node.dpid, "port_no": p.far.number},
				})
			}
		}
	}
	return links
}

func (s *scenario) topologyHosts() []object {
	hosts := []object{}
	for _, h := range s.network.present() {
		hosts = append(hosts, object{
			"mac": h.mac, "ipv4": []string{h.ip}, "port": object{"dpid": hexDPID(h.port.node.dpid), "port_no": h.port.number},
		})
	}
	return hosts
}

// portRows are the counters of a switch's ports, without the local one.
func (s *scenario) portRows(at *node) []object {
	gap := s.options.PortStatsGaps && s.now.Sub(s.controllerBegan)%topologyEvery < statsEvery
	rows := []object{}
	for _, p := range at.ports {
		row := s.portRow(p)
		rx, tx := s.network.rateAt(p)
		row["port_no"], row["rx_bps"], row["tx_bps"], row["duration_nsec"] = p.number, pyFloat(rx), pyFloat(tx), 0
		if gap {
			for _, name := range []string{"rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped", "rx_bps", "tx_bps"} {
				row[name] = 0
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (s *scenario) portRow(p *port) object {
	c := s.network.portAt(p)
	up := s.now.Sub(s.network.reset)
	return object{
		"rx_packets": c.rxPackets, "tx_packets": c.txPackets, "rx_bytes": c.rxBytes, "tx_bytes": c.txBytes,
		"rx_dropped": c.rxDropped, "tx_dropped": c.txDropped, "rx_errors": 0, "tx_errors": 0, "rx_frame_err": 0, "rx_over_err": 0,
		"rx_crc_err": 0, "collisions": 0, "duration_sec": int64(up / time.Second), "duration_nsec": int64(up % time.Second),
	}
}

// flowEntries are the flows the controller knows, of one switch or of all: also those that the switches have
// removed, which it never forgets.
func (s *scenario) flowEntries(dpid *uint64) map[string]object {
	entries := map[string]object{}
	for _, f := range s.network.flows {
		if dpid != nil && f.node.dpid != *dpid || !f.removed.IsZero() && f.removed.Before(s.controllerBegan) {
			continue
		}
		entries[s.flowKey(f)] = s.flowEntry(f)
	}
	return entries
}

// flowKey has Python's hash of the match, which is another after each start of the process.
func (s *scenario) flowKey(f *flow) string {
	sum := digest(s.options.Seed, "flow", s.controllerBoot, f.node.dpid, f.priority, f.match)
	return fmt.Sprintf("%d_%d_%d", f.node.dpid, f.priority, int64(binary.LittleEndian.Uint64(sum[:8])))
}

// flowEntry tells a flow that this controller installed otherwise than one that it found on the switch; a flow
// that is too young for the switch to have been asked has no counts.
func (s *scenario) flowEntry(f *flow) object {
	entry := object{
		"datapath_id": f.node.dpid, "priority": f.priority, "idle_timeout": int(f.idle.Seconds()), "hard_timeout": 0,
		"match": openFlowMatch(f.match),
	}
	until := s.now
	if !f.removed.IsZero() {
		until = f.removed
	}
	age := until.Sub(f.installed)
	counted := func() {
		total := f.total(s.network)
		entry["packet_count"], entry["byte_count"] = total.packets, total.bytes
		entry["duration_sec"], entry["duration_nsec"] = int64(age/time.Second), int64(age%time.Second)
	}
	if f.installed.Before(s.controllerBegan) {
		entry["table_id"], entry["instructions"], entry["created_time"] = 0, flowActions(f), epoch(s.controllerBegan)
		counted()
		return entry
	}
	entry["actions"], entry["timestamp"] = flowActions(f), epoch(f.installed)
	if age >= statsEvery {
		counted()
		entry["last_updated"] = epoch(until)
	}
	return entry
}

// openFlowMatch is Ryu's to_jsondict of a match.
func openFlowMatch(m match) object {
	fields := []object{}
	add := func(name string, value any) {
		fields = append(fields, object{"OXMTlv": object{"field": name, "mask": nil, "value": value}})
	}
	if m != (match{}) {
		add("eth_type", 2048)
	}
	if m.source != "" {
		add("ipv4_src", m.source)
	}
	if m.destination != "" {
		add("ipv4_dst", m.destination)
	}
	switch {
	case m.icmp:
		add("ip_proto", 1)
	case m.source != "" && m.destination != "":
		add("ip_proto", 6)
	}
	return object{"OFPMatch": object{"type": 1, "length": 4 + 8*len(fields), "oxm_fields": fields}}
}

// Ports of OpenFlow that aren't.
const (
	portNormal     = 0xfffffffa
	portController = 0xfffffffd
)

// outputOf is the port a flow sends its packets to; 0: none.
func outputOf(f *flow) int {
	switch {
	case f.drop:
		return 0
	case f.out != nil:
		return f.out.number
	case f.priority == priorityMiss:
		return portController
	}
	return portNormal
}

func flowActions(f *flow) []object {
	to := outputOf(f)
	if to == 0 {
		return []object{}
	}
	return []object{{"type": "OUTPUT", "port": to, "max_len": 65509, "description": fmt.Sprintf("Output to port %d", to)}}
}
