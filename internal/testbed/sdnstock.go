package testbed

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// stockRoutes are those of Ryu's ofctl_rest and rest_topology. There is neither /health nor /status.
func (t *Testbed) stockRoutes(mux *http.ServeMux, get func(string, func(*scenario) any)) {
	get("/v1.0/topology/switches", func(s *scenario) any {
		switches := []object{}
		for _, at := range s.network.nodes {
			ports := []object{}
			for _, p := range at.ports {
				ports = append(ports, stockPort(p))
			}
			switches = append(switches, object{"dpid": hexDPID(at.dpid), "ports": ports})
		}
		return switches
	})
	get("/v1.0/topology/links", func(s *scenario) any {
		links := []object{}
		for _, at := range s.network.nodes {
			for _, p := range at.ports {
				if p.far != nil {
					links = append(links, object{"src": stockPort(p), "dst": stockPort(p.far)})
				}
			}
		}
		return links
	})
	get("/v1.0/topology/hosts", func(s *scenario) any {
		hosts := []object{}
		for _, h := range s.network.present() {
			hosts = append(hosts, object{"mac": h.mac, "ipv4": []string{h.ip}, "ipv6": []string{}, "port": stockPort(h.port)})
		}
		return hosts
	})
	get("/stats/switches", func(s *scenario) any {
		dpids := []uint64{}
		for _, at := range s.network.nodes {
			dpids = append(dpids, at.dpid)
		}
		return dpids
	})
	stats := func(kind string, rows func(*scenario, *node) []object) {
		mux.HandleFunc("GET /stats/"+kind+"/{dpid}", func(w http.ResponseWriter, r *http.Request) {
			t.serveStock(w, r.PathValue("dpid"), rows)
		})
	}
	stats("port", func(s *scenario, at *node) []object {
		rows := []object{}
		for _, p := range at.allPorts() {
			row := s.portRow(p)
			row["port_no"] = any(p.number)
			if p.number == LocalPort {
				row["port_no"] = "LOCAL"
			}
			rows = append(rows, row)
		}
		return rows
	})
	stats("flow", func(s *scenario, at *node) []object {
		rows := []object{}
		for _, f := range s.network.flows {
			if f.node == at && f.removed.IsZero() {
				rows = append(rows, s.stockFlow(f))
			}
		}
		return rows
	})
}

// serveStock answers about a switch by its number, decimal or 0x..., as int(dpid, 0) reads it. There is no body when
// there is no such switch.
func (t *Testbed) serveStock(w http.ResponseWriter, text string, rows func(*scenario, *node) []object) {
	dpid, err := strconv.ParseUint(strings.TrimSpace(text), 0, 64)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	found := ask(t, func(s *scenario) object {
		for _, at := range s.network.nodes {
			if at.dpid == dpid {
				return object{strconv.FormatUint(dpid, 10): rows(s, at)}
			}
		}
		return nil
	})
	if found == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	writeJSON(w, http.StatusOK, found)
}

func stockPort(p *port) object {
	return object{"dpid": hexDPID(p.node.dpid), "port_no": fmt.Sprintf("%08x", p.number), "hw_addr": p.mac, "name": p.name}
}

func (s *scenario) stockFlow(f *flow) object {
	total, age := f.total(s.network), s.now.Sub(f.installed)
	m := object{}
	if f.match != (match{}) {
		m["dl_type"] = 2048
	}
	if f.match.source != "" {
		m["nw_src"] = f.match.source
	}
	if f.match.destination != "" {
		m["nw_dst"] = f.match.destination
	}
	switch {
	case f.match.icmp:
		m["nw_proto"] = 1
	case f.match.source != "" && f.match.destination != "":
		m["nw_proto"] = 6
	}
	actions := []string{}
	switch to := outputOf(f); to {
	case 0:
	case portController:
		actions = append(actions, "OUTPUT:CONTROLLER")
	case portNormal:
		actions = append(actions, "OUTPUT:NORMAL")
	case LocalPort:
		actions = append(actions, "OUTPUT:LOCAL")
	default:
		actions = append(actions, fmt.Sprintf("OUTPUT:%d", to))
	}
	return object{
		"actions": actions, "match": m, "priority": f.priority, "table_id": 0, "idle_timeout": int(f.idle.Seconds()), "hard_timeout": 0,
		"packet_count": total.packets, "byte_count": total.bytes, "duration_sec": int64(age / time.Second), "duration_nsec": int64(age % time.Second),
		"cookie": 0, "flags": 0, "length": 96,
	}
}
