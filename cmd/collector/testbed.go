package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
)

// openTestbed takes up what is known of FLOPY-NET's components. Nothing is polled before its Start. stored is told of
// the samples that become durable.
func openTestbed(db *engine.DB, settings config.Config, logger *slog.Logger, stored func(time.Time, int)) (*flopynet.Testbed, error) {
	options := testbedOptions(settings.Flopynet)
	options.Logger, options.Stored = logger, stored
	testbed, err := flopynet.NewTestbed(db, options)
	if err != nil {
		return nil, fmt.Errorf("taking up the testbed: %w", err)
	}
	for _, line := range polled(settings.Flopynet) {
		logger.Info("polling a component of the testbed", "peer", line.name, "url", line.peer.URL, "interval", line.peer.Interval,
			"events", line.events, "timeout", line.peer.Timeout)
	}
	return testbed, nil
}

// testbedOptions are the settings that are the testbed's.
func testbedOptions(settings config.Flopynet) flopynet.Options {
	peer := func(p config.Peer) flopynet.PeerOptions {
		interval := p.Interval
		if !p.Enabled {
			interval = -1
		}
		return flopynet.PeerOptions{URL: p.URL, Interval: interval, Timeout: p.Timeout}
	}
	options := flopynet.Options{
		FLServer: peer(settings.FLServer), PolicyEngine: peer(settings.PolicyEngine), SDNController: peer(settings.SDNController),
		EventInterval: settings.Events.Interval,
		CheckPolicy:   settings.CheckPolicy, StrictPolicy: settings.StrictPolicy,
		NodeIPs: map[string]netip.Addr{}, SwitchNames: settings.Switches(), LinkCapacityBps: settings.LinkCapacityBps,
	}
	for _, node := range settings.Nodes() {
		options.NodeIPs[node.Name] = node.Address
	}
	if !settings.Events.Enabled {
		options.EventInterval = -1
	}
	return options
}

// polledPeer is a component of which something is polled.
type polledPeer struct {
	name   string
	peer   config.Peer
	events bool // and its events, too; those alone if the peer isn't enabled
}

// polled lists the components of which something is polled.
func polled(settings config.Flopynet) []polledPeer {
	var all []polledPeer
	for _, p := range []polledPeer{
		{flopynet.FLServer, settings.FLServer, settings.Events.Enabled},
		{flopynet.PolicyEngine, settings.PolicyEngine, settings.Events.Enabled},
		{flopynet.SDNController, settings.SDNController, false},
	} {
		if p.peer.URL != "" && (p.peer.Enabled || p.events) {
			all = append(all, p)
		}
	}
	return all
}

// text says for the banner what is polled of the component.
func (p polledPeer) text(events config.PeerEvents) string {
	what := fmt.Sprintf("every %v", p.peer.Interval)
	switch {
	case !p.peer.Enabled:
		what = fmt.Sprintf("its events alone, every %v", events.Interval)
	case p.events:
		what += fmt.Sprintf(", its events every %v", events.Interval)
	}
	return fmt.Sprintf("%s at %s, %s", p.name, p.peer.URL, what)
}
