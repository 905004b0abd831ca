package flopynet

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
)

// TestWhatIsPolled: a negative interval leaves a component its events alone, and one of which nothing is asked is none.
func TestWhatIsPolled(t *testing.T) {
	db := openEngine(t, engine.Options{})
	peer := func(interval time.Duration) PeerOptions {
		return PeerOptions{URL: "http://127.0.0.1:1", Interval: interval}
	}
	for name, row := range map[string]struct {
		options    Options
		itself     []string // polled for more than events
		events     bool
		configured []string
	}{
		"all":         {Options{FLServer: peer(0), PolicyEngine: peer(0), SDNController: peer(0)}, Components(), true, Components()},
		"none":        {Options{}, nil, false, nil},
		"no events":   {Options{FLServer: peer(0), EventInterval: -1}, []string{FLServer}, false, []string{FLServer}},
		"events only": {Options{FLServer: peer(-1), PolicyEngine: peer(-1), SDNController: peer(-1)}, nil, true, []string{FLServer, PolicyEngine}},
		"off":         {Options{FLServer: peer(-1), SDNController: peer(-1), EventInterval: -1}, nil, false, nil},
	} {
		testbed, err := NewTestbed(db, row.options)
		if err != nil {
			t.Fatal(err)
		}
		var itself, configured []string
		for _, peer := range testbed.Peers() {
			if testbed.Polls(peer.Name) {
				itself = append(itself, peer.Name)
			}
			if peer.URL != "" {
				configured = append(configured, peer.Name)
			}
		}
		if !slices.Equal(itself, row.itself) || !slices.Equal(configured, row.configured) || testbed.PollsEvents() != row.events {
			t.Errorf("%s: polls %v of %v, events %v", name, itself, configured, testbed.PollsEvents())
		}
		for _, p := range testbed.pollers {
			if p.interval <= 0 {
				t.Errorf("%s: %s is polled every %v", name, p.name, p.interval)
			}
		}
		testbed.Close()
	}
}

// TestWhatCannotBeStoredIsLoggedOnce: a state that can't be stored is logged when that begins, not with each poll.
func TestWhatCannotBeStoredIsLoggedOnce(t *testing.T) {
	db := openEngine(t, engine.Options{MaxSeries: 1})
	var log bytes.Buffer
	options := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, p := range []*PeerOptions{&options.FLServer, &options.PolicyEngine} {
		p.URL = "http://127.0.0.1:1"
	}
	testbed, err := NewTestbed(db, options)
	if err != nil {
		t.Fatal(err)
	}
	defer testbed.Close()
	for _, p := range testbed.pollers {
		for range 3 {
			p.once(t.Context(), time.Now()) // the one series that there may be is the first peer's
		}
	}
	if got := strings.Count(log.String(), "can't be stored; it will"); got != 1 || !strings.Contains(log.String(), "peer=policy_engine") {
		t.Errorf("%d lines about it in the log:\n%s", got, &log)
	}
}
