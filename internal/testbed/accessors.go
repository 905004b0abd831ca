package testbed

import "slices"

// Rounds returns all rounds that have ended, of all trainings, in the order of their ends.
func (t *Testbed) Rounds() []Round {
	return ask(t, func(s *scenario) []Round { return slices.Clone(s.fl.allRounds) })
}

// FLEvents returns all events the FL server has ever logged, the oldest first.
func (t *Testbed) FLEvents() []Event {
	return ask(t, func(s *scenario) []Event { return slices.Clone(s.fl.allEvents) })
}

// PolicyEvents returns all events the policy engine has ever logged, the oldest first.
func (t *Testbed) PolicyEvents() []Event {
	return ask(t, func(s *scenario) []Event { return slices.Clone(s.policy.allEvents) })
}

// Decisions returns all decisions of the policy engine, the oldest first.
func (t *Testbed) Decisions() []Decision {
	return ask(t, func(s *scenario) []Decision { return slices.Clone(s.policy.all) })
}

// Measurements returns what the clients have measured, the oldest first.
func (t *Testbed) Measurements() []Measurement {
	return ask(t, func(s *scenario) []Measurement { return slices.Clone(s.measurements) })
}

// Clients returns all clients, also those that have not connected yet.
func (t *Testbed) Clients() []Client {
	return ask(t, func(s *scenario) []Client {
		clients := make([]Client, len(s.clients))
		for i, c := range s.clients {
			clients[i] = Client{ID: c.id, IP: c.ip, Connected: c.connected}
		}
		return clients
	})
}

// Hosts returns the hosts that are attached to the switches, servers and clients.
func (t *Testbed) Hosts() []Host {
	return ask(t, func(s *scenario) []Host {
		var hosts []Host
		for _, h := range s.network.present() {
			hosts = append(hosts, Host{Name: h.name, IP: h.ip, MAC: h.mac, Switch: h.port.node.dpid, Port: h.port.number})
		}
		return hosts
	})
}

// Ports returns all ports of all switches with what has passed them since the switches were started.
func (t *Testbed) Ports() []Port {
	return ask(t, func(s *scenario) []Port {
		var ports []Port
		for _, at := range s.network.nodes {
			for _, p := range at.allPorts() {
				c := s.network.portAt(p)
				one := Port{
					Switch: at.dpid, Number: p.number, Name: p.name, Up: p.up, RxPackets: c.rxPackets, TxPackets: c.txPackets,
					RxBytes: c.rxBytes, TxBytes: c.txBytes, RxDropped: c.rxDropped, TxDropped: c.txDropped,
				}
				if p.host != nil {
					one.HostIP = p.host.ip
				}
				ports = append(ports, one)
			}
		}
		return ports
	})
}

// Flows returns all flows that were ever installed, in that order.
func (t *Testbed) Flows() []Flow {
	return ask(t, func(s *scenario) []Flow {
		flows := make([]Flow, len(s.network.flows))
		for i, f := range s.network.flows {
			total := f.total(s.network)
			flows[i] = Flow{
				Switch: f.node.dpid, Priority: f.priority, SourceIP: f.match.source, DestinationIP: f.match.destination, Drop: f.drop,
				Installed: f.installed, Removed: f.removed, Packets: total.packets, Bytes: total.bytes,
				IdleTimeoutSeconds: int(f.idle.Seconds()),
			}
		}
		return flows
	})
}

// Complete tells whether the last training is over.
func (t *Testbed) Complete() bool { return ask(t, func(s *scenario) bool { return !s.fl.active }) }
