package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// loadWith loads a file with this text, none for "", and variables separated by white space.
func loadWith(t *testing.T, text, environment string, given Overrides) (Config, []Remark, error) {
	t.Helper()
	path := ""
	if text != "" {
		path = filepath.Join(t.TempDir(), "collector.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(path, strings.Fields(environment), given)
}

type flopynetCase struct {
	environment string
	want        func(*Config)
	wantError   string
}

func (test flopynetCase) check(t *testing.T, name, file string) {
	t.Helper()
	got, _, err := loadWith(t, file, test.environment, Overrides{})
	if test.wantError != "" {
		if err == nil || !strings.Contains(err.Error(), test.wantError) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want one with %q", name, err, test.wantError)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	want := Default()
	test.want(&want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", name, diff)
	}
}

var variableCases = map[string]flopynetCase{
	"nothing":                  {"", func(*Config) {}, ""},
	"empty":                    {"API_PORT= FL_SERVER_URL= FL_INTERVAL_SEC= NODE_IP_A= LOG_LEVEL=", func(*Config) {}, ""},
	"pair":                     {"API_AUTH_ENABLED=true API_USERNAME=floppy API_PASSWORD=secret", func(c *Config) { c.Auth = Auth{Username: "floppy", Password: "secret"} }, ""},
	"password alone":           {"API_PASSWORD=secret", func(c *Config) { c.Auth = Auth{Username: "admin", Password: "secret"} }, ""},
	"switched off":             {"API_AUTH_ENABLED=False API_USERNAME=floppy API_PASSWORD=secret", func(*Config) {}, ""},
	"name alone":               {"API_USERNAME=floppy", func(*Config) {}, ""},
	"without password":         {"API_AUTH_ENABLED=1 API_USERNAME=floppy", nil, "API_AUTH_ENABLED is 1, and API_PASSWORD is empty"},
	"neither on nor off":       {"API_AUTH_ENABLED=perhaps API_PASSWORD=hunter2", nil, `the variable API_AUTH_ENABLED is "perhaps"; valid are true and false`},
	"CORS":                     {"ENABLE_CORS=true", func(c *Config) { c.CORS.AllowedOrigins = []string{"*"} }, ""},
	"CORS with origins":        {"ENABLE_CORS=on API_ALLOWED_ORIGINS=http://a,,http://b/", func(c *Config) { c.CORS.AllowedOrigins = []string{"http://a", "http://b"} }, ""},
	"origins alone":            {"API_ALLOWED_ORIGINS=http://a", func(c *Config) { c.CORS.AllowedOrigins = []string{"http://a"} }, ""},
	"CORS off, though origins": {"ENABLE_CORS=0 API_ALLOWED_ORIGINS=http://a", func(c *Config) { c.CORS.AllowedOrigins = []string{} }, ""},
	"CORS neither on nor off":  {"ENABLE_CORS=x", nil, "the variable ENABLE_CORS is"},

	"host":               {"API_HOST=0.0.0.0", func(c *Config) { c.Listen = []string{"0.0.0.0:8000"} }, ""},
	"IPv6 host":          {"API_HOST=::", func(c *Config) { c.Listen = []string{"[::]:8000"} }, ""},
	"IPv6 in brackets":   {"API_HOST=[::1] API_PORT=1", func(c *Config) { c.Listen = []string{"[::1]:1"} }, ""},
	"host with a port":   {"API_HOST=0.0.0.0:8000", nil, `the variable API_HOST is "0.0.0.0:8000"; valid is a host's name or address`},
	"host with a scheme": {"API_HOST=http://a", nil, "the variable API_HOST is"},
	"port":               {"API_PORT=9000", func(c *Config) { c.Listen = []string{"127.0.0.1:9000"} }, ""},
	"port, first":        {"METRICS_API_PORT=1 API_PORT=2 COLLECTOR_PORT=3", func(c *Config) { c.Listen = []string{"127.0.0.1:1"} }, ""},
	"port, second":       {"API_PORT=2 COLLECTOR_PORT=3", func(c *Config) { c.Listen = []string{"127.0.0.1:2"} }, ""},
	"port, third":        {"COLLECTOR_PORT=3", func(c *Config) { c.Listen = []string{"127.0.0.1:3"} }, ""},
	"port too large":     {"METRICS_API_PORT=65536", nil, `the variable METRICS_API_PORT is "65536"; valid is a port from 0 to 65535`},
	"Kubernetes' port":   {"METRICS_API_PORT=tcp://10.0.0.1:1 API_PORT=2", func(c *Config) { c.Listen = []string{"127.0.0.1:2"} }, ""},
	"container": {"SERVICE_TYPE=collector", func(c *Config) {
		c.Listen, c.AllowedHosts = []string{"0.0.0.0:8000"}, []string{"collector", "host.docker.internal"}
	}, ""},
	"container's address": {"SERVICE_TYPE=collector API_HOST=127.0.0.1 COLLECTOR_PORT=8001", func(c *Config) {
		c.Listen, c.AllowedHosts = []string{"127.0.0.1:8001"}, []string{"collector", "host.docker.internal"}
	}, ""},
	"another container": {"SERVICE_TYPE=fl-server", func(*Config) {}, ""},
	"API off":           {"API_ENABLED=false", func(*Config) {}, ""},
	"API undecided":     {"API_ENABLED=x", nil, "the variable API_ENABLED is"},
	"directory":         {"METRICS_OUTPUT_DIR=/logs", func(c *Config) { c.DataDir = "/logs" }, ""},

	"debug":        {"LOG_LEVEL=DEBUG", func(c *Config) { c.Log.Level = "debug" }, ""},
	"warning":      {"LOG_LEVEL=Warning", func(c *Config) { c.Log.Level = "warn" }, ""},
	"warn":         {"LOG_LEVEL=WARN", func(c *Config) { c.Log.Level = "warn" }, ""},
	"error":        {"LOG_LEVEL=error", func(c *Config) { c.Log.Level = "error" }, ""},
	"critical":     {"LOG_LEVEL=CRITICAL", func(c *Config) { c.Log.Level = "error" }, ""},
	"all":          {"LOG_LEVEL=NOTSET", func(c *Config) { c.Log.Level = "debug" }, ""},
	"no level":     {"LOG_LEVEL=loud", nil, `the variable LOG_LEVEL is "loud"; valid are DEBUG, INFO, WARNING, ERROR and CRITICAL`},
	"no Python":    {"LOG_LEVEL=10", nil, "the variable LOG_LEVEL is"},
	"FL URL":       {"FL_SERVER_URL=http://a/x/ FL_SERVER_HOST=b FL_SERVER_PORT=1", func(c *Config) { c.Flopynet.FLServer.URL = "http://a/x" }, ""},
	"FL host":      {"FL_SERVER_HOST=b", func(c *Config) { c.Flopynet.FLServer.URL = "http://b:8081" }, ""},
	"FL port":      {"FL_SERVER_HOST=::1 FL_SERVER_PORT=1", func(c *Config) { c.Flopynet.FLServer.URL = "http://[::1]:1" }, ""},
	"no FL host":   {"FL_SERVER_PORT=1", func(*Config) {}, ""},
	"bad FL URL":   {"FL_SERVER_URL=fl-server:8081", nil, `the variable FL_SERVER_URL is "fl-server:8081"; valid is http://`},
	"FL password":  {"FL_SERVER_URL=http://me:hunter2@a", nil, "the variable FL_SERVER_URL is not shown, since it may hold a password"},
	"bad FL host":  {"FL_SERVER_HOST=http://b", nil, "the variable FL_SERVER_HOST is"},
	"bad FL port":  {"FL_SERVER_PORT=0", nil, `the variable FL_SERVER_PORT is "0"; valid is a port from 1 to 65535`},
	"linked FL":    {"FL_SERVER_PORT=tcp://10.0.0.1:8081 FL_SERVER_HOST=b", func(c *Config) { c.Flopynet.FLServer.URL = "http://b:8081" }, ""},
	"policy URL":   {"POLICY_ENGINE_URL=https://a POLICY_ENGINE_HOST=b", func(c *Config) { c.Flopynet.PolicyEngine.URL = "https://a" }, ""},
	"policy host":  {"POLICY_ENGINE_HOST=b", func(c *Config) { c.Flopynet.PolicyEngine.URL = "http://b:5000" }, ""},
	"policy port":  {"POLICY_ENGINE_HOST=b POLICY_ENGINE_PORT=1", func(c *Config) { c.Flopynet.PolicyEngine.URL = "http://b:1" }, ""},
	"SDN URL":      {"SDN_CONTROLLER_URL=http://a SDN_CONTROLLER_HOST=b SDN_CONTROLLER_PORT=1", func(c *Config) { c.Flopynet.SDNController.URL = "http://a" }, ""},
	"SDN host":     {"SDN_CONTROLLER_HOST=b", func(c *Config) { c.Flopynet.SDNController.URL = "http://b:8181" }, ""},
	"SDN port":     {"SDN_CONTROLLER_HOST=b SDN_CONTROLLER_PORT=1", func(c *Config) { c.Flopynet.SDNController.URL = "http://b:1" }, ""},
	"bad SDN port": {"SDN_CONTROLLER_PORT=http", nil, "the variable SDN_CONTROLLER_PORT is"},
	"peers by their nodes": {"NODE_IP_FL_SERVER=10.0.0.1 NODE_IP_POLICY_ENGINE=10.0.0.2 NODE_IP_SDN_CONTROLLER=fd00::3 FL_SERVER_PORT=1", func(c *Config) {
		c.Flopynet.FLServer.URL, c.Flopynet.PolicyEngine.URL, c.Flopynet.SDNController.URL = "http://10.0.0.1:1", "http://10.0.0.2:5000", "http://[fd00::3]:8181"
		c.Flopynet.NodeIPs = []string{"fl-server=10.0.0.1", "policy-engine=10.0.0.2", "sdn-controller=fd00::3"}
	}, ""},
	"name before node": {"NODE_IP_FL_SERVER=10.0.0.1 FL_SERVER_HOST=b", func(c *Config) {
		c.Flopynet.FLServer.URL, c.Flopynet.NodeIPs = "http://b:8081", []string{"fl-server=10.0.0.1"}
	}, ""},
	"nodes":         {"NODE_IP_FL_CLIENT_2=10.0.0.2 NODE_IP_FL_CLIENT_1=10.0.0.1", func(c *Config) { c.Flopynet.NodeIPs = []string{"fl-client-1=10.0.0.1", "fl-client-2=10.0.0.2"} }, ""},
	"no address":    {"NODE_IP_FL_CLIENT_1=101", nil, `the variable NODE_IP_FL_CLIENT_1 is "101"; valid is an IP address such as 192.168.100.101`},
	"nameless node": {"NODE_IP_=10.0.0.1", nil, "the variable NODE_IP_ names no node"},

	"FL interval":      {"FL_INTERVAL_SEC=1", func(c *Config) { c.Flopynet.FLServer.Interval = time.Second }, ""},
	"policy interval":  {"POLICY_INTERVAL_SEC=0.25", func(c *Config) { c.Flopynet.PolicyEngine.Interval = 250 * time.Millisecond }, ""},
	"network interval": {"NETWORK_INTERVAL_SEC=180", func(c *Config) { c.Flopynet.SDNController.Interval = 3 * time.Minute }, ""},
	"event interval":   {"EVENT_INTERVAL_SEC=7", func(c *Config) { c.Flopynet.Events.Interval = 7 * time.Second }, ""},
	"no interval":      {"EVENT_INTERVAL_SEC=0", nil, `the variable EVENT_INTERVAL_SEC is "0"; valid are 0.1 to 86400 seconds`},
	"duration":         {"FL_INTERVAL_SEC=5s", nil, "the variable FL_INTERVAL_SEC is"},
	"not a number":     {"FL_INTERVAL_SEC=nan", nil, "the variable FL_INTERVAL_SEC is"},
	"FL off":           {"FL_MONITOR_ENABLED=false", func(c *Config) { c.Flopynet.FLServer.Enabled = false }, ""},
	"policy off":       {"POLICY_MONITOR_ENABLED=No", func(c *Config) { c.Flopynet.PolicyEngine.Enabled = false }, ""},
	"network off":      {"NETWORK_MONITOR_ENABLED=f", func(c *Config) { c.Flopynet.SDNController.Enabled = false }, ""},
	"events off":       {"EVENT_MONITOR_ENABLED=0", func(c *Config) { c.Flopynet.Events.Enabled = false }, ""},
	"neither":          {"EVENT_MONITOR_ENABLED=-1", nil, `the variable EVENT_MONITOR_ENABLED is "-1"; valid are true and false`},
	"training":         {"TRAINING_MODE=Mock", func(c *Config) { c.Flopynet.TrainingMode = "mock" }, ""},
	"no training":      {"TRAINING_MODE=a/b", nil, `the variable TRAINING_MODE is "a/b"; valid are`},
	"unchecked":        {"CHECK_POLICY_ENABLED=false", func(c *Config) { c.Flopynet.CheckPolicy = false }, ""},
	"strict":           {"STRICT_POLICY_MODE=true", func(c *Config) { c.Flopynet.StrictPolicy = true }, ""},
	"other case":       {"fl_interval_sec=1 node_ip_a=x fl_server_url=x", func(*Config) {}, ""},
}

func TestFlopynetVariables(t *testing.T) {
	all := ""
	for name, test := range variableCases {
		test.check(t, name, "")
		all += " " + test.environment
	}
	for _, name := range flopynetVariables {
		if !strings.Contains(all, " "+name+"=") {
			t.Errorf("no case for %s", name)
		}
	}
}

// TestAllVariablesAtFault: whoever has made two mistakes learns of both.
func TestAllVariablesAtFault(t *testing.T) {
	_, _, err := loadWith(t, "", "LOG_LEVEL=loud FL_INTERVAL_SEC=x", Overrides{})
	if err == nil || !strings.Contains(err.Error(), "LOG_LEVEL") || !strings.Contains(err.Error(), "FL_INTERVAL_SEC") {
		t.Errorf("error %v", err)
	}
}

func TestRemarksOnVariables(t *testing.T) {
	_, remarks, err := loadWith(t, "", "COLLECTOR_PORT=tcp://10.0.0.1:8000 API_ENABLED=0", Overrides{})
	want := []Remark{
		{"COLLECTOR_PORT", `it is "tcp://10.0.0.1:8000", which Kubernetes and Docker give a service of that name, and no port; it is ignored`},
		{"API_ENABLED", "the API stays on: without it, nobody could read what is collected"},
	}
	if diff := cmp.Diff(want, remarks); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

// TestPrecedence: flag or own variable before FLOPY-NET's variable before the file before the default, whichever file
// it is. The command line's parser has laid flags over own variables.
func TestPrecedence(t *testing.T) {
	own := `{"flopynet": {"fl_server": {"url": "http://file", "interval": "2s"}, "node_ips": ["a=10.0.0.1", "b=10.0.0.1"]}, "listen": ["127.0.0.1:2", "[::1]:2"]}`
	theirs := `{"fl_server": {"url": "http://file"}, "intervals": {"fl_interval_sec": 2}, "node_ips": {"a": "10.0.0.1", "b": "10.0.0.1"}, "api": {"port": 2}}`
	flag, interval := "http://flag", 4*time.Second
	given := Overrides{Flopynet: FlopynetFlags{FLServer: PeerFlags{URL: &flag, Interval: &interval}, NodeIPs: []string{"d=10.0.0.4"}}, Listen: []string{"127.0.0.1:4"}}
	const environment = "FL_SERVER_URL=http://variable FL_INTERVAL_SEC=3 NODE_IP_B=10.0.0.3 NODE_IP_C=10.0.0.3 API_PORT=3"
	type picked struct {
		URL      string
		Interval time.Duration
		Nodes    string
		Listen   string
	}
	for _, test := range []struct {
		file, environment string
		given             Overrides
		want              picked
	}{
		{"", "", Overrides{}, picked{"", 5 * time.Second, "", "127.0.0.1:8000"}},
		{own, "", Overrides{}, picked{"http://file", 2 * time.Second, "a=10.0.0.1 b=10.0.0.1", "127.0.0.1:2 [::1]:2"}},
		{theirs, "", Overrides{}, picked{"http://file", 2 * time.Second, "a=10.0.0.1 b=10.0.0.1", "127.0.0.1:2"}},
		{own, environment, Overrides{}, picked{"http://variable", 3 * time.Second, "a=10.0.0.1 b=10.0.0.3 c=10.0.0.3", "127.0.0.1:3 [::1]:3"}},
		{theirs, environment, Overrides{}, picked{"http://variable", 3 * time.Second, "a=10.0.0.1 b=10.0.0.3 c=10.0.0.3", "127.0.0.1:3"}},
		{own, environment, given, picked{"http://flag", 4 * time.Second, "d=10.0.0.4", "127.0.0.1:4"}},
		{theirs, environment, given, picked{"http://flag", 4 * time.Second, "d=10.0.0.4", "127.0.0.1:4"}},
	} {
		c, _, err := loadWith(t, test.file, test.environment, test.given)
		got := picked{c.Flopynet.FLServer.URL, c.Flopynet.FLServer.Interval, strings.Join(c.Flopynet.NodeIPs, " "), strings.Join(c.Listen, " ")}
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("file %s, variables %s: %v, -want +got:\n%s", test.file, test.environment, err, diff)
		}
	}
	// A variable of another peer or of a node says nothing about the address that a file gives.
	c, _, err := loadWith(t, own, "NODE_IP_FL_SERVER=10.0.0.9 FL_SERVER_PORT=9 API_HOST=127.0.0.2", Overrides{})
	if err != nil || c.Flopynet.FLServer.URL != "http://file" || strings.Join(c.Listen, " ") != "127.0.0.2:2" {
		t.Errorf("%v, %+v, %v", err, c.Flopynet.FLServer, c.Listen)
	}
}
