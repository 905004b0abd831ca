package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidateFlopynet(t *testing.T) {
	url := func(text string) func(*Flopynet) { return func(f *Flopynet) { f.FLServer.URL = text } }
	nodes := func(entries ...string) func(*Flopynet) { return func(f *Flopynet) { f.NodeIPs = entries } }
	switches := func(entries ...string) func(*Flopynet) { return func(f *Flopynet) { f.SwitchNames = entries } }
	for name, test := range map[string]struct {
		change func(*Flopynet)
		want   string // a part of the error; empty: valid
	}{
		"no URL":               {url(""), ""},
		"name":                 {url("http://fl-server"), ""},
		"base path":            {url("https://[::1]:8081/fl/v1"), ""},
		"without scheme":       {url("fl-server:8081"), `flopynet.fl_server.url is "fl-server:8081"; valid is http://`},
		"address alone":        {url("192.168.100.10:8081"), `flopynet.fl_server.url is "192.168.100.10:8081"; valid is http://`},
		"another scheme":       {url("tcp://10.0.0.1:8081"), `is "tcp://10.0.0.1:8081"; valid is http://`},
		"without host":         {url("http://:8081"), "with a host"},
		"query":                {url("http://a/?b=c"), "valid is http://"},
		"empty query":          {url("http://a?"), "valid is http://"},
		"fragment":             {url("http://a#"), "valid is http://"},
		"space":                {url("http://a b"), "valid is http://"},
		"control character":    {url("http://a\n"), "valid is http://"},
		"port too large":       {url("http://a:65536"), `is "http://a:65536"; its port must be a number from 1 to 65535`},
		"port 0":               {url("http://a:0"), "its port must be"},
		"colon without port":   {url("http://a:"), "its port must be"},
		"password":             {url("http://u:hunter2@a"), "flopynet.fl_server.url is not shown"},
		"other peers' URLs":    {func(f *Flopynet) { f.PolicyEngine.URL, f.SDNController.URL = "x", "y" }, `flopynet.sdn_controller.url is "y"`},
		"interval too short":   {func(f *Flopynet) { f.PolicyEngine.Interval = time.Millisecond }, "flopynet.policy_engine.interval is 1ms; valid are 100ms to 24h"},
		"no timeout":           {func(f *Flopynet) { f.SDNController.Timeout = 0 }, "flopynet.sdn_controller.timeout is 0s; valid are 10ms to 10m"},
		"events too rare":      {func(f *Flopynet) { f.Events.Interval = 25 * time.Hour }, "flopynet.events.interval is 25h0m0s"},
		"capacity below 0":     {func(f *Flopynet) { f.LinkCapacityBps = -1 }, "flopynet.link_capacity_bps is -1"},
		"training mode":        {func(f *Flopynet) { f.TrainingMode = "a b" }, `flopynet.training_mode is "a b"; valid are`},
		"nodes":                {nodes("fl-client-1=192.168.100.101", "b=::1"), ""},
		"node without address": {nodes("fl-client-1"), `flopynet.node_ips is "fl-client-1"; valid is name=address`},
		"node by name":         {nodes("a=b"), `flopynet.node_ips is "a=b"`},
		"node without name":    {nodes("=10.0.0.1"), "flopynet.node_ips"},
		"node twice":           {nodes("a=10.0.0.1", "a=10.0.0.2"), `is "a=10.0.0.2"; that name is given twice`},
		"switches":             {switches("1=a", "0x1A=b", "0000000000000010=c", "18446744073709551615=d"), ""},
		"dpid too large":       {switches("18446744073709551616=d"), `flopynet.switch_names is "18446744073709551616=d"; valid is dpid=name`},
		"no dpid":              {switches("core=1"), "flopynet.switch_names"},
		"no switch's name":     {switches("1="), `flopynet.switch_names is "1="`},
		"switch twice":         {switches("16=a", "0x10=b"), `is "0x10=b"; that dpid is given twice`},
	} {
		settings := Default()
		test.change(&settings.Flopynet)
		err := settings.Validate()
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		}
	}
}

func TestNodesAndSwitches(t *testing.T) {
	settings := Flopynet{
		NodeIPs:     []string{"fl-client-1=192.168.100.101", "six=::ffff:10.0.0.1"},
		SwitchNames: []string{"1=core", "0x1A=edge", "0000000000000010=spare"},
	}
	wantNodes := []Node{{"fl-client-1", netip.MustParseAddr("192.168.100.101")}, {"six", netip.MustParseAddr("10.0.0.1")}}
	if diff := cmp.Diff(wantNodes, settings.Nodes(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("nodes, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[uint64]string{1: "core", 26: "edge", 16: "spare"}, settings.Switches()); diff != "" {
		t.Errorf("switches, -want +got:\n%s", diff)
	}
}

func TestLoadTrimsURLs(t *testing.T) {
	url := " http://fl-server:8081/base// "
	got, _, err := Load("", nil, Overrides{Flopynet: FlopynetFlags{FLServer: PeerFlags{URL: &url}}})
	if err != nil || got.Flopynet.FLServer.URL != "http://fl-server:8081/base" {
		t.Errorf("%v, %q", err, got.Flopynet.FLServer.URL)
	}
}

// TestPatchLeavesPeersAddresses: through the API everything about a peer can be changed but where it is.
func TestPatchLeavesPeersAddresses(t *testing.T) {
	settings := Default()
	if err := settings.Patch([]byte(`{"flopynet":{"fl_server":{"url":"","interval":"1s"},"node_ips":["a=10.0.0.1"],"check_policy":false}}`)); err != nil {
		t.Fatal(err)
	}
	if f := settings.Flopynet; f.FLServer.Interval != time.Second || len(f.NodeIPs) != 1 || f.CheckPolicy {
		t.Errorf("%+v", f)
	}
	for _, peer := range []string{"fl_server", "policy_engine", "sdn_controller"} {
		err := settings.Patch([]byte(`{"flopynet":{"` + peer + `":{"url":"http://169.254.169.254"}}}`))
		if err == nil || err.Error() != "flopynet."+peer+".url can't be set through the API" {
			t.Errorf("%s: %v", peer, err)
		}
	}
}
