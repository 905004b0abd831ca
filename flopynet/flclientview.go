package flopynet

import (
	"context"
	"slices"
	"strings"
	"time"
)

// What a client is doing, as far as we can tell.
const (
	ClientTraining     = "training"     // the server trains, and the client took part in its round
	ClientIdle         = "idle"         // it was heard of of late, and isn't training
	ClientDisconnected = "disconnected" // it was not heard of for clientPatience, or its host has left the network
	ClientUnknown      = "unknown"      // it was never heard of
)

// clientPatience is how long a client may be silent: three rounds of the length of the last one, and at least a minute.
const (
	clientPatience       = time.Minute
	clientPatienceRounds = 3
)

// FLClients lists the clients.
type FLClients struct {
	Clients []FLClient `json:"clients"`
	Partial bool       `json:"partial,omitempty"` // they are too many to be told of whole
	Stale   bool       `json:"stale,omitempty"`   // the FL server doesn't answer now, so what they do is a guess
}

// FLClient is one of them.
type FLClient struct {
	ClientID           string   `json:"client_id"`
	IPAddress          *string  `json:"ip_address"`
	Status             string   `json:"status"`
	LastSeen           stamp    `json:"last_seen"`           // when something named it last
	RoundParticipation int      `json:"round_participation"` // distinct rounds that it told of; if none, that it was allowed to train in
	TrainingTimeAvg    *float64 `json:"training_time_avg"`   // seconds; null if it told none

	latest   int   // round that it took part in, or was allowed to
	latestAt int64 // ns
	left     bool  // the network, and was not heard of since
}

// FLClients lists the clients by their ids.
func (t *Testbed) FLClients(ctx context.Context) (FLClients, error) {
	measured, partial, err := t.clients.list(ctx)
	if err != nil {
		return FLClients{}, err
	}
	all := map[string]*FLClient{}
	of := func(key, id string) *FLClient {
		if all[key] == nil {
			all[key] = &FLClient{ClientID: id}
		}
		return all[key]
	}
	for key, m := range measured {
		of(key, m.id).takeMeasured(m)
	}
	for key, n := range t.named.list() {
		of(key, n.ID).takeNamed(&n)
	}
	for name, address := range t.options.NodeIPs {
		key := clientKey(name)
		if !strings.HasPrefix(key, "client") {
			continue
		}
		if one := of(key, key); one.IPAddress == nil {
			text := address.String()
			one.IPAddress = &text
		}
	}
	t.takeHosts(all)
	p := t.fl.progress()
	answer := FLClients{Clients: make([]FLClient, 0, len(all)), Partial: partial, Stale: p.at != 0 && !p.fresh}
	patience := t.clientPatience()
	for _, one := range all {
		one.Status = one.status(&p, t.options.Now().UnixNano(), patience)
		answer.Clients = append(answer.Clients, *one)
	}
	slices.SortFunc(answer.Clients, func(a, b FLClient) int { return compareNatural(a.ClientID, b.ClientID) })
	return answer, nil
}

// takeMeasured takes in what metrics tell.
func (c *FLClient) takeMeasured(m *measuredClient) {
	if m.address != "" {
		c.IPAddress = &m.address
	}
	c.RoundParticipation, c.latest, c.latestAt = len(m.rounds), m.round, m.roundAt
	c.LastSeen = max(c.LastSeen, stamp(m.lastSeen))
	if isFinite(m.training) { // the times may be beyond what can be added up
		c.TrainingTimeAvg = &m.training
	}
}

// takeNamed takes in what decisions tell.
func (c *FLClient) takeNamed(n *namedClient) {
	if n.Address != "" {
		c.IPAddress = &n.Address
	}
	if n.RoundAt > c.latestAt {
		c.latest, c.latestAt = n.Round, n.RoundAt
	}
	if c.RoundParticipation == 0 {
		c.RoundParticipation = n.Rounds // it tells of none itself, as FLOPY-NET's own clients
	}
	c.LastSeen = max(c.LastSeen, stamp(n.LastSeen))
}

// takeHosts takes in which addresses of clients the SDN controller sees. It doesn't know which hosts are clients: others
// aren't listed.
func (t *Testbed) takeHosts(all map[string]*FLClient) {
	byAddress := map[string]*FLClient{}
	for _, one := range all {
		if one.IPAddress != nil {
			byAddress[*one.IPAddress] = one
		}
	}
	hosts := t.Hosts()
	var looked stamp // when it was seen last who is there
	for _, host := range hosts {
		looked = max(looked, stamp(host.LastSeen.UnixNano()))
	}
	present := map[*FLClient]bool{}
	for _, host := range hosts {
		for _, address := range host.IPs {
			if one := byAddress[address.String()]; one != nil {
				one.left = !host.Present && looked >= one.LastSeen
				one.LastSeen = max(one.LastSeen, stamp(host.LastSeen.UnixNano()))
				present[one] = present[one] || host.Present
			}
		}
	}
	for one := range present {
		one.left = one.left && !present[one] // at another port, or under another Ethernet address
	}
}

// status decides what the client is doing.
func (c *FLClient) status(p *progress, now int64, patience time.Duration) string {
	switch {
	case c.LastSeen == 0:
		return ClientUnknown
	case c.left, now-int64(c.LastSeen) > int64(patience):
		return ClientDisconnected
	case p.fresh && p.active && !p.paused && c.latest > 0 && c.latest >= p.current:
		return ClientTraining
	}
	return ClientIdle
}

// clientPatience is how long a client may be silent.
func (t *Testbed) clientPatience() time.Duration {
	last, err := t.newestRound()
	if err != nil || last == nil || !last.TrainingDuration.known {
		return clientPatience
	}
	seconds := min(max(last.TrainingDuration.value, 0), (24 * time.Hour).Seconds())
	return max(clientPatience, time.Duration(clientPatienceRounds*seconds*float64(time.Second)))
}

// compareNatural orders client-2 before client-10.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		x, y := numberAt(a), numberAt(b)
		if x != "" && y != "" {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if order := strings.Compare(x, y); order != 0 {
				return order
			}
			a, b = a[len(numberAt(a)):], b[len(numberAt(b)):]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

// numberAt returns the digits that a text begins with.
func numberAt(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}
