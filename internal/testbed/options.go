package testbed

import (
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Options say what a Testbed is. The zero value is a training of 50 rounds of five seconds by five clients
// behind three switches, which starts now.
type Options struct {
	Seed uint64
	Now  func() time.Time // nil: time.Now

	Start      time.Time     // when the scenario began; zero: when New was called. What lies before Now has happened
	Rounds     int           // of a training; 0: 50
	RoundEvery time.Duration // from the begin of a round to the next, unless it lasts longer; 0: five seconds; at least 10 milliseconds
	Rest       time.Duration // from the end of a training to the begin of the next; 0: there is no next
	Clients    int           // 0: five; at most 150
	Switches   int           // 0: three; at most 64

	// Where to listen, as host:port; empty: a free port of 127.0.0.1.
	ListenFL, ListenPolicy, ListenSDN, ListenControl string

	// NaiveTimes leaves the offset +00:00 off the FL server's times, as its older versions do.
	NaiveTimes bool
	// StockRyu has the SDN controller answer as Ryu's own ofctl_rest and rest_topology do, rather than as FLOPY-NET's.
	StockRyu bool
	// PortStatsGaps has /stats/port tell zeros for two seconds of every ten, as FLOPY-NET's controller does, which
	// forgets the counters when it discovers the topology.
	PortStatsGaps bool

	// CollectorURL is where the FL clients push their metrics and the policy engine its decisions; empty: nobody
	// pushes. It may have a path: /metrics and /policy_decisions are appended. Testbed.PushTo changes it.
	CollectorURL string
	CollectorKey string // sent as a bearer's token; empty: none

	// Forget drops with each training what Testbed's accessors have of those before, which would fill the memory of one
	// that runs for days.
	Forget bool

	Logger *slog.Logger // nil: none
}

const (
	mostClients  = 150 // addresses from .101 to .250
	mostSwitches = 64
)

func (o *Options) complete() error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Start.IsZero() {
		o.Start = o.Now()
	}
	o.Start = o.Start.UTC().Truncate(time.Microsecond)
	setDefault(&o.Rounds, 50)
	setDefault(&o.RoundEvery, 5*time.Second)
	setDefault(&o.Clients, 5)
	setDefault(&o.Switches, 3)
	for _, listen := range []*string{&o.ListenFL, &o.ListenPolicy, &o.ListenSDN, &o.ListenControl} {
		setDefault(listen, "127.0.0.1:0")
		if _, _, err := net.SplitHostPort(*listen); err != nil {
			return fmt.Errorf("listen address %q: %w", *listen, err)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Rounds < 0:
		return fmt.Errorf("rounds: %d, must be at least 1", o.Rounds)
	case o.RoundEvery < 10*time.Millisecond:
		return fmt.Errorf("time between rounds: %v, must be at least 10ms", o.RoundEvery)
	case o.Rest < 0:
		return fmt.Errorf("rest between trainings: %v, must not be negative", o.Rest)
	case o.Clients < 0 || o.Clients > mostClients:
		return fmt.Errorf("clients: %d, must be 1 to %d", o.Clients, mostClients)
	case o.Switches < 0 || o.Switches > mostSwitches:
		return fmt.Errorf("switches: %d, must be 1 to %d", o.Switches, mostSwitches)
	}
	return nil
}

func setDefault[T comparable](option *T, value T) {
	var zero T
	if *option == zero {
		*option = value
	}
}
