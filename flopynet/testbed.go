package flopynet

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/flopynet/collector/engine"
)

// PeerOptions says where a component is and how often it is asked.
type PeerOptions struct {
	URL      string        // such as http://192.168.100.10:8081; "": it is not polled
	Interval time.Duration // between two rounds of questions; default 5 s; negative: it is asked for nothing but its events
	Timeout  time.Duration // of one question, its whole answer included; default 5 s
}

// Options says which components there are. The zero value has none, and Logger and Now have defaults.
type Options struct {
	FLServer      PeerOptions
	PolicyEngine  PeerOptions
	SDNController PeerOptions

	// EventInterval lies between two questions for the events of the FL server and the policy engine. Default 5 s;
	// negative: they are not asked for.
	EventInterval time.Duration

	// NodeIPs are the addresses of the testbed's machines by name: fl-server, fl-client-1, sdn-controller, openvswitch and so on. A
	// component whose URL has such a name is asked there if the name isn't known otherwise.
	NodeIPs map[string]netip.Addr
	// SwitchNames are the names of switches by dpid. One without a name is ovs-<dpid>.
	SwitchNames map[uint64]string
	// LinkCapacityBps is what a link carries in each direction, in bits per second; 0: not known.
	LinkCapacityBps int64

	// CheckPolicy has the policy engine asked whether metrics may be collected: at the start, before anything is polled,
	// and again with each of its polls. While it says no, no component is polled, but for the policy engine's health.
	CheckPolicy bool
	// StrictPolicy takes a failure of that check for a no; else it is a yes.
	StrictPolicy bool

	Logger *slog.Logger     // default: nothing is logged
	Now    func() time.Time // default time.Now

	// Stored is told when samples became durable, and how many; default nobody.
	Stored func(at time.Time, samples int)
}

func (o Options) withDefaults() Options {
	for _, p := range []*PeerOptions{&o.FLServer, &o.PolicyEngine, &o.SDNController} {
		if p.Interval == 0 {
			p.Interval = defaultInterval
		}
		if p.Timeout <= 0 {
			p.Timeout = defaultInterval
		}
	}
	if o.EventInterval == 0 {
		o.EventInterval = defaultInterval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Stored == nil {
		o.Stored = func(time.Time, int) {}
	}
	return o
}

// Testbed polls the components of a FLOPY-NET and answers from what it has stored of them. The views work without Start,
// and when no component is configured.
type Testbed struct {
	db      *engine.DB
	options Options
	peers   map[string]*peer // those that are polled, by name
	pollers []*poller
	fl      *flServer
	network *network
	named   *namedClients
	clients *measuredClients

	parameters *trainingParameters

	gate      *gate          // nil: nobody is asked whether to poll
	decisions *decisionStore // those of the policy engine

	cancel context.CancelFunc
	ctx    context.Context // of all polling
	wg     sync.WaitGroup
}

// NewTestbed takes up what is known of the components from the engine. The error names an option that is wrong. What can't be read is
// logged, and begins anew.
func NewTestbed(db *engine.DB, options Options) (*Testbed, error) {
	t := newTestbed(db, options)
	for _, one := range []struct {
		name    string
		options PeerOptions
		monitor func(*peer) // adds the component's pollers
	}{
		{FLServer, t.options.FLServer, t.monitorFLServer},
		{PolicyEngine, t.options.PolicyEngine, t.monitorPolicyEngine},
		{SDNController, t.options.SDNController, t.monitorSDNController},
	} {
		asksGate := one.name == PolicyEngine && t.gate != nil
		if one.options.URL == "" || one.options.Interval < 0 && !asksGate && (one.name == SDNController || t.options.EventInterval < 0) {
			continue
		}
		p, err := newPeer(one.name, one.options, t.options.NodeIPs, t.options.Now)
		if err != nil {
			return nil, err
		}
		t.peers[one.name] = p
		one.monitor(p)
	}
	return t, nil
}

// NoTestbed returns a Testbed that polls nothing. Its views tell what others have written.
func NoTestbed(db *engine.DB, now func() time.Time) *Testbed {
	return newTestbed(db, Options{Now: now})
}

// newTestbed returns a Testbed without pollers.
func newTestbed(db *engine.DB, options Options) *Testbed {
	t := &Testbed{db: db, options: options.withDefaults(), peers: map[string]*peer{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	logger := t.options.Logger
	t.fl = openFLServer(t)
	t.named = openNamedClients(db, logger)
	t.clients = &measuredClients{db: db, now: t.options.Now, rounds: t.fl.rounds}
	t.parameters = openTrainingParameters(db, logger)
	t.gate = newGate(&t.options)
	t.decisions = newDecisionStore(t.recorder(PolicyEngine), t.named)
	t.network = newNetwork(t)
	return t
}

// poll adds a poller, unless its interval is negative. The first one of a peer is its main one: its outcome is stored as the
// peer's series up.
func (t *Testbed) poll(p *peer, name string, interval time.Duration, r *recorder, poll func(context.Context) error) {
	if interval < 0 {
		return
	}
	one := &poller{peer: p, name: name, interval: interval, poll: poll, now: t.options.Now, logger: t.options.Logger}
	if p.name != PolicyEngine { // which is asked for the gate itself
		one.gate = t.gate
	}
	if len(t.pollers) == 0 || t.pollers[len(t.pollers)-1].peer != p {
		one.after = func(at time.Time, err error) error { return recordUp(p, r, at, err) }
	}
	t.pollers = append(t.pollers, one)
}

// recordUp stores whether a peer answers, and how fast, at the time that we asked.
func recordUp(p *peer, r *recorder, at time.Time, err error) error {
	ns := at.Truncate(time.Millisecond).UnixNano()
	points := []point{{name: "up", time: ns}}
	if err == nil {
		points[0].value = 1
		if took := p.health.status().ResponseTime; took > 0 {
			points = append(points, point{name: "response_time_ms", unit: "ms", time: ns, value: float64(took) / float64(time.Millisecond)})
		}
	}
	return r.samples(points)
}

// recorder returns a recorder for a component.
func (t *Testbed) recorder(component string) *recorder {
	return newRecorder(t.db, component, t.options.Logger, t.options.Now, t.options.Stored)
}

// Start begins to poll.
func (t *Testbed) Start() {
	for _, p := range t.pollers {
		t.wg.Go(func() { p.run(t.ctx) })
	}
}

// Close stops the polling and waits for what is under way. Close it before the engine.
func (t *Testbed) Close() {
	t.cancel()
	t.wg.Wait()
	for _, p := range t.peers {
		p.close()
	}
}

// Components are the names of the components, in the order of their listing.
func Components() []string { return []string{FLServer, PolicyEngine, SDNController} }

// Peers tells how the components do, in the order of Components. One that isn't polled is unknown.
func (t *Testbed) Peers() []PeerStatus {
	var all []PeerStatus
	for _, name := range Components() {
		all = append(all, t.Peer(name))
	}
	return all
}

// Polls reports whether a component is polled, for more than its events.
func (t *Testbed) Polls(name string) bool { return t.peers[name] != nil && t.Interval(name) > 0 }

// Interval is the time between two polls of a component: negative where it is asked for its events alone.
func (t *Testbed) Interval(name string) time.Duration {
	switch name {
	case FLServer:
		return t.options.FLServer.Interval
	case PolicyEngine:
		return t.options.PolicyEngine.Interval
	case SDNController:
		return t.options.SDNController.Interval
	}
	return defaultInterval
}

// EventInterval is the time between two questions for events: negative where none are asked for.
func (t *Testbed) EventInterval() time.Duration { return t.options.EventInterval }

// PollsEvents reports whether the events of some component are asked for.
func (t *Testbed) PollsEvents() bool {
	return t.options.EventInterval > 0 && (t.peers[FLServer] != nil || t.peers[PolicyEngine] != nil)
}

// Peer tells how one component does. One that isn't polled since the policy engine denies it is unknown, and its Error says so.
func (t *Testbed) Peer(name string) PeerStatus {
	p := t.peers[name]
	if p == nil {
		return PeerStatus{Name: name, Status: StatusUnknown}
	}
	status := p.health.status()
	if since, refused := t.gate.refusal(); refused != nil && name != PolicyEngine {
		status.Status, status.Since, status.Error, status.Failures = StatusUnknown, since, "it is not polled: "+refused.Error(), 0
	}
	return status
}
