package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/internal/testbed"
)

type demoCommand struct {
	simulation       `embed:""`
	config.Overrides `embed:""`
}

// demoDataDir is where a demo keeps its data unless told otherwise: not where a real collector does.
const demoDataDir = "demo-data"

// Run simulates a testbed and serves what it collects of it.
func (c demoCommand) Run() error {
	settings, err := c.settings()
	if err != nil {
		return err
	}
	logger, level := startLogger(settings)
	if err := claimDemoDir(settings.DataDir); err != nil {
		return err
	}
	listeners, err := listenAll(settings, logger)
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	bed, err := c.start("http://"+dialable(listeners[0].Addr()), writeKey(&settings), logger)
	if err != nil {
		return err
	}
	defer bed.Close()
	pollTestbed(&settings, bed, logger)
	ready := func(effective config.Config, locked bool) {
		printBanner(os.Stdout, effective, listeners, locked)
		c.describe(os.Stdout)
		printViews(os.Stdout, curlFor(locked), "http://"+dialable(listeners[0].Addr()))
		describeControl(os.Stdout, bed)
	}
	return untilSignal(logger, func(stop <-chan struct{}) error {
		ended := make(chan struct{})
		defer close(ended)
		return runService(settings, logger, level, listeners, ready, hush(bed, stop, ended))
	})
}

// hush has nothing pushed any more once stop is closed, and then closes the channel that it returns: the simulators would
// complain of a collector that stops. It gives up when ended is closed.
func hush(bed *testbed.Testbed, stop, ended <-chan struct{}) <-chan struct{} {
	hushed := make(chan struct{})
	go func() {
		select {
		case <-stop:
			_ = bed.PushTo("") // to nobody, with which nothing can be wrong
			close(hushed)
		case <-ended:
		}
	}()
	return hushed
}

// pollTestbed has the collector poll the simulators.
func pollTestbed(settings *config.Config, bed *testbed.Testbed, logger *slog.Logger) {
	f := &settings.Flopynet
	for _, one := range []struct {
		key, url string
		peer     *config.Peer
	}{
		{"flopynet.fl_server.url", bed.FL.URL(), &f.FLServer},
		{"flopynet.policy_engine.url", bed.Policy.URL(), &f.PolicyEngine},
		{"flopynet.sdn_controller.url", bed.SDN.URL(), &f.SDNController},
	} {
		if one.peer.URL != "" {
			logger.Warn("a demo polls its own simulators; this setting is not used", "key", one.key, "given", one.peer.URL)
		}
		one.peer.URL = one.url
	}
	f.NodeIPs = nodeIPs(bed)
}

// printViews tells a person what there is to be seen.
func printViews(out io.Writer, curl, base string) {
	title := "look"
	for _, path := range []string{
		"/fl/status", "/fl/clients", "/network/stats", "/network/sdn", "/policy/events?limit=10", "/metrics",
		"/metrics/query?metric=accuracy&source=fl_server&from=now-10m", "/api/metrics/fl/rounds", "/health",
	} {
		fmt.Fprintf(out, "  %-15s %s '%s%s'\n", title, curl, base, path)
		title = ""
	}
	fmt.Fprintln(out)
}

// demoMark is the file by which a demo knows its data directory again.
const demoMark = "DEMO"

// claimDemoDir makes the data directory if there is none. It refuses one that holds something else than a demo's data:
// simulated rounds among real ones would be hard to tell from them.
func claimDemoDir(directory string) error {
	mark := filepath.Join(directory, demoMark)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	entries, err := os.ReadDir(directory)
	switch {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("the data directory %s holds something else than the data of a demo; give another with --data-dir, as --data-dir=%s", directory, demoDataDir)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	return os.WriteFile(mark, []byte("the data of collector demo: simulated\n"), 0o600)
}

// settings are those of collector serve, with defaults that suit a demo. What FLOPY-NET's variables say is for real ones.
func (c demoCommand) settings() (config.Config, error) {
	given := c.Overrides
	otherwise(&given.DataDir, demoDataDir)
	f := &given.Flopynet
	for _, interval := range []**time.Duration{&f.FLServer.Interval, &f.PolicyEngine.Interval, &f.SDNController.Interval, &f.Events.Interval} {
		otherwise(interval, time.Second)
	}
	otherwise(&f.LinkCapacity, 100_000_000)
	otherwise(&f.TrainingMode, "simulation")
	settings, _, err := config.Load("", nil, given)
	if err == nil && settings.TLS.On() {
		err = errors.New("collector demo speaks HTTP only, since its clients trust no certificate; leave out --tls-cert")
	}
	return settings, err
}

// tellDemoDefaults has the help of collector demo tell the defaults that it has, in place of those of collector serve.
func tellDemoDefaults(program *kong.Node) {
	defaults := map[string]struct{ serve, demo string }{
		"data-dir":                         {"./data", "./" + demoDataDir},
		"flopynet-fl-server-interval":      {"5s", "1s"},
		"flopynet-policy-engine-interval":  {"5s", "1s"},
		"flopynet-sdn-controller-interval": {"5s", "1s"},
		"flopynet-events-interval":         {"5s", "1s"},
		"flopynet-link-capacity-bps":       {"0", "1000000000"},
		"flopynet-training-mode":           {"production", "simulation"},
	}
	for _, command := range program.Children {
		for _, flag := range command.Flags {
			if other, known := defaults[flag.Name]; known && command.Name == "demo" {
				flag.Help = strings.Replace(flag.Help, "(default "+other.serve+")", "(default "+other.demo+")", 1)
			}
		}
	}
}

// otherwise gives a setting a value unless it was given one.
func otherwise[T any](setting **T, value T) {
	if *setting == nil {
		*setting = &value
	}
}

// writeKey returns the secret of a key for the simulators, which it adds if one is needed.
func writeKey(settings *config.Config) string {
	if len(settings.Auth.Keys) == 0 && settings.Auth.Password == "" {
		return ""
	}
	secret := rand.Text()
	settings.Auth.Keys = append(settings.Auth.Keys, config.APIKey{Name: "demo-simulators", Role: config.RoleWrite, Secret: config.Secret(secret)})
	return secret
}
