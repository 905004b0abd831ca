package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testbedVariables are those that FLOPY-NET's compose file gives its collector, as far as they aren't about Docker, with addresses
// where nobody answers.
var testbedVariables = []string{
	"SERVICE_TYPE=collector", "NETWORK_MONITOR_ENABLED=true", "FL_SERVER_HOST=127.0.0.1", "FL_SERVER_PORT=1", "POLICY_ENGINE_HOST=policy-engine",
	"POLICY_ENGINE_URL=http://127.0.0.1:1", "SDN_CONTROLLER_URL=http://127.0.0.1:1", "LOG_LEVEL=INFO", "COLLECTOR_IP=40",
	"NODE_IP_FL_SERVER=192.168.100.10", "NODE_IP_FL_CLIENT_1=192.168.100.101", "POLICY_INTERVAL_SEC=5", "FL_INTERVAL_SEC=4", "NETWORK_INTERVAL_SEC=5", "EVENT_INTERVAL_SEC=3",
	"API_PORT=0", // any that is free
}

// TestAnswersAsFlopynetsCollector: with FLOPY-NET's variables it refuses to be open to all by accident, says what
// to do about it, and with either remedy serves other machines, and containers by its name.
func TestAnswersAsFlopynetsCollector(t *testing.T) {
	_, stderr, code := runToEnd(t, testbedVariables, "serve", "--data-dir="+t.TempDir())
	if code != exitFailed || !strings.Contains(stderr, "listen is 0.0.0.0:0, which other machines can reach") ||
		!strings.Contains(stderr, "API_USERNAME and API_PASSWORD") || !strings.Contains(stderr, "COLLECTOR_INSECURE=true") {
		t.Errorf("exit code %d, said: %s", code, stderr)
	}
	for _, remedy := range [][]string{{"COLLECTOR_INSECURE=true"}, {"API_USERNAME=admin", "API_PASSWORD=securepassword"}} {
		directory := filepath.Join(t.TempDir(), "logs")
		environment := append(append([]string{"METRICS_OUTPUT_DIR=" + directory}, testbedVariables...), remedy...)
		p := startCommand(t, command(t, environment, "serve"))
		url := strings.NewReplacer("[::]", "127.0.0.1", "0.0.0.0", "127.0.0.1").Replace(p.url)
		var got struct {
			Flopynet struct {
				FLServer struct {
					URL      string `json:"url"`
					Interval string `json:"interval"`
				} `json:"fl_server"`
				NodeIPs []string `json:"node_ips"`
			} `json:"flopynet"`
		}
		askAs(t, url+"/config", "collector:8000", &got)
		if f := got.Flopynet; f.FLServer.URL != "http://127.0.0.1:1" || f.FLServer.Interval != "4s" || len(f.NodeIPs) != 2 {
			t.Errorf("with %s: %+v", remedy, f)
		}
		p.terminate(t)
		if _, err := os.Stat(filepath.Join(directory, "wal")); err != nil {
			t.Errorf("with %s: %v", remedy, err)
		}
		if log := p.stderr.String(); strings.Contains(log, "is no setting") {
			t.Errorf("with %s a variable of FLOPY-NET's is taken for a mistake: %s", remedy, log)
		}
	}
}

// TestServesWithFlopynetsFile: the file holds, and what of it can't is logged.
func TestServesWithFlopynetsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "collector_config.json")
	text := `{"fl_server": {"url": "http://127.0.0.1:1"}, "features": {"fl_monitor_enabled": false}, "api": {"enabled": false, "port": 0}, "colour": "red"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startCommand(t, command(t, nil, "serve", "--config="+file, "--data-dir="+t.TempDir()))
	var got struct {
		Flopynet struct {
			FLServer map[string]any `json:"fl_server"`
		} `json:"flopynet"`
	}
	get(t, p.url+"/config", &got)
	want := map[string]any{"url": "http://127.0.0.1:1", "enabled": false, "interval": "5s", "timeout": "5s"}
	if diff := cmp.Diff(want, got.Flopynet.FLServer); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p.terminate(t)
	log := p.stderr.String()
	for _, want := range []string{`level=WARN msg="the API stays on`, "setting=api.enabled", "setting=colour", "line 1 of the configuration file"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log: %s", want, log)
		}
	}
}

// TestPeersByFlagAndVariable: the parser puts the prefixes before the names of a peer's flags as the rule for names
// wants it, and they go before FLOPY-NET's.
func TestPeersByFlagAndVariable(t *testing.T) {
	environment := []string{
		"COLLECTOR_FLOPYNET_POLICY_ENGINE_URL=http://127.0.0.2:1", "POLICY_ENGINE_URL=http://127.0.0.3:1", "POLICY_INTERVAL_SEC=9",
		"COLLECTOR_FLOPYNET_SDN_CONTROLLER_TIMEOUT=3s", "COLLECTOR_FLOPYNET_NODE_IPS=a=10.0.0.1,b=10.0.0.2", "NODE_IP_C=10.0.0.3",
		"COLLECTOR_FLOPYNET_EVENTS_INTERVAL=2s", "COLLECTOR_FLOPYNET_SWITCH_NAMES=1=variable",
	}
	p := startCommand(t, command(t, environment, "serve", "--listen=127.0.0.1:0", "--data-dir="+t.TempDir(), "--self-metrics=false",
		"--flopynet-policy-engine-interval=1s", "--flopynet-events-enabled=false", "--flopynet-fl-server-url=http://[::1]:1/",
		"--flopynet-switch-names=1=core", "--flopynet-switch-names=0x1a=edge", "--flopynet-link-capacity-bps=1000", "--flopynet-check-policy=false"))
	var got map[string]any
	get(t, p.url+"/config", &got)
	peer := func(url, interval, timeout string) map[string]any {
		return map[string]any{"url": url, "enabled": true, "interval": interval, "timeout": timeout}
	}
	want := map[string]any{
		"fl_server": peer("http://[::1]:1", "5s", "5s"), "policy_engine": peer("http://127.0.0.2:1", "1s", "5s"), "sdn_controller": peer("", "5s", "3s"),
		"events": map[string]any{"enabled": false, "interval": "2s"}, "node_ips": []any{"a=10.0.0.1", "b=10.0.0.2"}, "switch_names": []any{"1=core", "0x1a=edge"},
		"link_capacity_bps": 1000.0, "training_mode": "production", "check_policy": false, "strict_policy": false,
	}
	if diff := cmp.Diff(want, got["flopynet"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p.terminate(t)
}

// askAs asks as FLOPY-NET's dashboard does, which sends a password to whoever it asks, by this name of the server.
func askAs(t *testing.T, url, host string, into any) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	request.SetBasicAuth("admin", "securepassword")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", response.Status, err)
	}
}
