package main

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/flopynet/collector/internal/testbed"
)

// simulation says which testbed is simulated.
type simulation struct {
	Seed       uint64        `name:"seed" placeholder:"N" help:"What happens follows from it alone: who is slow, denied or lost, what is learnt; 0 is another one each time (default 0)."`
	Rounds     int           `name:"rounds" default:"50" placeholder:"N" help:"Rounds of a training; a minute after its last the next training begins (default 50)."`
	RoundEvery time.Duration `name:"round-every" default:"3s" placeholder:"DURATION" help:"From the begin of a round to the next one's (default 3s)."`
	Clients    int           `name:"clients" default:"5" placeholder:"N" help:"FL clients, at most 150 (default 5)."`
	FL         string        `name:"listen-fl-server" default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the FL server listens (default a free port of this machine)."`
	Policy     string        `name:"listen-policy-engine" default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the policy engine listens (default a free port)."`
	SDN        string        `name:"listen-sdn-controller" default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the SDN controller listens (default a free port)."`
	Control    string        `name:"listen-control" default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the three can be told to fail (default a free port)."`
}

// trainingRest lies between the end of a training and the next one's begin.
const trainingRest = time.Minute

// start starts the simulators. The FL clients push what they measure to the collector at collectorURL, showing its key, if
// there is one.
func (s *simulation) start(collectorURL, key string, logger *slog.Logger) (*testbed.Testbed, error) {
	if s.Seed == 0 {
		s.Seed = rand.Uint64()>>32 + 1 // short enough to be typed
	}
	return testbed.New(testbed.Options{
		Seed: s.Seed, Rounds: s.Rounds, RoundEvery: s.RoundEvery, Clients: s.Clients, Rest: trainingRest,
		ListenFL: s.FL, ListenPolicy: s.Policy, ListenSDN: s.SDN, ListenControl: s.Control,
		PortStatsGaps: true, Forget: true, CollectorURL: collectorURL, CollectorKey: key, Logger: logger,
	})
}

// describe tells a person what happens.
func (s *simulation) describe(out io.Writer) {
	fmt.Fprintf(out, "  training        %d rounds, one every %v, by %d clients, and again after a rest of %v; --seed=%d\n\n",
		s.Rounds, s.RoundEvery, s.Clients, trainingRest, s.Seed)
}

// describeControl tells a person how the simulators fail.
func describeControl(out io.Writer, bed *testbed.Testbed) {
	control := bed.ControlURL()
	fmt.Fprintf(out, "  let one fail    curl -X POST '%s/fl/fail?mode=hang&for=60s'\n", control)
	fmt.Fprintf(out, "                  of fl, policy and sdn; modes are %s\n", modes())
	fmt.Fprintf(out, "  or restart      curl -X POST '%s/policy/restart'\n", control)
	fmt.Fprintf(out, "  or train anew   curl -X POST '%s/fl/train'\n", control)
	fmt.Fprintf(out, "  how they are    curl '%s'\n\n", control)
}

func modes() string {
	var names []string
	for _, mode := range testbed.Modes() {
		names = append(names, string(mode))
	}
	return strings.Join(names, " ")
}

type testbedCommand struct {
	simulation `embed:""`
	Collector  string `name:"collector" default:"http://127.0.0.1:8000" placeholder:"URL" help:"The collector, to which the FL clients push what they measure (default http://127.0.0.1:8000)."`
	Key        string `name:"collector-key" env:"TESTBED_KEY" placeholder:"SECRET" help:"Secret of a key of it with role write, if it needs one."`
}

// Run simulates a testbed until a signal ends it.
func (c testbedCommand) Run() error {
	logger := newLogger(os.Stderr, slog.LevelInfo)
	bed, err := c.start(c.Collector, c.Key, logger)
	if err != nil {
		return err
	}
	defer bed.Close()
	fmt.Printf("\n  a testbed is simulated\n\n")
	fmt.Printf("  FL server       %s\n", bed.FL.URL())
	fmt.Printf("  policy engine   %s\n", bed.Policy.URL())
	fmt.Printf("  SDN controller  %s\n", bed.SDN.URL())
	c.describe(os.Stdout)
	fmt.Printf("  collect it      %s serve %s\n\n", os.Args[0], strings.Join(pollFlags(bed), " \\\n                    "))
	describeControl(os.Stdout, bed)
	return untilSignal(logger, func(stop <-chan struct{}) error {
		<-stop
		return nil
	})
}

// pollFlags are those of collector serve that say where a testbed is.
func pollFlags(bed *testbed.Testbed) []string {
	return []string{
		"--flopynet-fl-server-url=" + bed.FL.URL(),
		"--flopynet-policy-engine-url=" + bed.Policy.URL(),
		"--flopynet-sdn-controller-url=" + bed.SDN.URL(),
		"--flopynet-node-ips=" + strings.Join(nodeIPs(bed), ","),
	}
}

// nodeIPs names the machines of the servers and of all FL clients, also of those that have not joined yet.
func nodeIPs(bed *testbed.Testbed) []string {
	var nodes []string
	clients := map[string]bool{}
	for _, client := range bed.Clients() {
		clients[client.IP] = true
		nodes = append(nodes, "fl-"+client.ID+"="+client.IP)
	}
	for _, host := range bed.Hosts() {
		if !clients[host.IP] {
			nodes = append(nodes, host.Name+"="+host.IP)
		}
	}
	return nodes
}
