package testbed

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// client is an FL client.
type client struct {
	id, ip    string
	port      *port
	connected bool
	returns   int // the round before which it connects, while it isn't connected
	examples  int // that it trains with
	skill     float64
}

func clientID(i int) string { return fmt.Sprintf("client-%d", i+1) }
func clientIP(i int) string { return fmt.Sprintf("192.168.100.%d", 101+i) }

func newClients(o *Options, n *network) []*client {
	clients := make([]*client, o.Clients)
	for i := range clients {
		r := random(o.Seed, "client", i)
		clients[i] = &client{
			id: clientID(i), ip: clientIP(i), port: n.byIP[clientIP(i)].port, returns: 1,
			examples: 4000 + r.IntN(9000), skill: between(r, -0.02, 0.02),
		}
	}
	if o.Clients >= 3 {
		clients[len(clients)-1].returns = 1 + (o.Rounds+4)/5
	}
	return clients
}

// fate is what becomes of a client in a round.
type fate struct {
	client   *client
	denied   string        // why; empty: it isn't
	straggle float64       // how many times as long it trains; 1: it doesn't straggle
	drops    bool          // in the middle of its training
	away     int           // rounds for which it is gone then
	began    time.Duration // since the round's begin: its check
	download time.Duration
	training time.Duration // with the download and the upload
	upload   time.Duration
	evaluate time.Duration // of the evaluation, with its download
	accuracy float64
	loss     float64
	cpu      float64
	memory   float64
}

// uploaded is when the client has uploaded its model, or was lost, since the round's begin.
func (f *fate) uploaded() time.Duration {
	if f.drops {
		return f.began + f.training/2
	}
	return f.began + f.training
}

// counts tells whether the client's model is part of the round's.
func (f *fate) counts() bool { return f.denied == "" && !f.drops }

// drawFates decides what becomes of the connected clients in a round. One at least gets through.
func (s *scenario) drawFates(r *rand.Rand, round int, connected []*client) []*fate {
	fates := make([]*fate, len(connected))
	every := float64(s.options.RoundEvery)
	progress := progressOf(round, s.options.Rounds)
	through := 0
	for i, c := range connected {
		f := &fate{client: c, straggle: 1}
		f.began = time.Duration(every * (0.02 + 0.01*float64(i)/float64(len(connected)) + between(r, 0, 0.002)))
		f.download = time.Duration(every * between(r, 0.04, 0.08))
		f.upload = time.Duration(every * between(r, 0.04, 0.08))
		train := every * between(r, 0.25, 0.38)
		f.evaluate = time.Duration(every * between(r, 0.06, 0.10))
		lucky, slow := r.Float64(), between(r, 2, 3.5)
		f.away = 1 + r.IntN(3)
		switch s.trouble(c, round, lucky, len(connected)) {
		case "denied":
			f.denied = "CPU usage is too high for training"
		case "drop":
			f.drops = true
		case "straggle":
			f.straggle = slow
		}
		f.training = f.download + time.Duration(train*f.straggle) + f.upload
		f.cpu = min(99, between(r, 45, 80)*(0.8+0.2*f.straggle))
		f.memory = between(r, 380, 620)
		f.accuracy = clamp(0.1+0.87*progress+c.skill+0.008*r.NormFloat64(), 0.01, 0.995)
		f.loss = max(0.01, 2.3*(1-progress)+0.09-c.skill+0.02*r.NormFloat64())
		if f.counts() {
			through++
		}
		fates[i] = f
	}
	if through == 0 && len(fates) > 0 {
		fates[0].denied, fates[0].drops = "", false
	}
	return fates
}

// trouble is what befalls a client in a round, if anything: what the scenario has in store for it, else what
// chance has.
func (s *scenario) trouble(c *client, round int, lucky float64, connected int) string {
	if len(s.clients) >= 3 {
		switch early := s.rounds(1, 10); {
		case c == s.clients[0] && round == early+1:
			return "straggle"
		case c == s.clients[0] && round == early+2:
			return "denied"
		case c == s.clients[1] && round == s.rounds(2, 5):
			return "drop"
		}
	}
	switch {
	case lucky < 0.05:
		return "denied"
	case lucky < 0.065 && connected > 2:
		return "drop"
	case lucky < 0.125:
		return "straggle"
	}
	return ""
}

// rounds is a share of a training's rounds.
func (s *scenario) rounds(numerator, denominator int) int {
	return (s.options.Rounds*numerator + denominator - 1) / denominator
}

func clamp(value, low, high float64) float64 { return max(low, min(high, value)) }

// connect has those clients connect that are due.
func (s *scenario) connect(round int) {
	for _, c := range s.clients {
		if c.connected || c.returns > round {
			continue
		}
		c.connected, c.port.up = true, true
		s.policy.check("fl_client_start", object{
			"operation": "client_registration", "client_id": c.id, "client_ip": c.ip, "server_host": addressFL, "server_port": 8080,
			"model": "cnn", "dataset": "mnist", "current_round": round,
		}, "")
		s.ask(c.port)
	}
}

// drop has a client vanish.
func (s *scenario) drop(c *client, returns int) {
	c.connected, c.port.up, c.returns = false, false, returns
}

// connectedClients are those that are.
func (s *scenario) connectedClients() []*client {
	var connected []*client
	for _, c := range s.clients {
		if c.connected {
			connected = append(connected, c)
		}
	}
	return connected
}
