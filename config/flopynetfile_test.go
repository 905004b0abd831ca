package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// collectorFile has what FLOPY-NET's own file has, its wrong URL of the FL server included.
const collectorFile = `{
	"node_ips": {"sdn-controller": "192.168.100.41", "fl-server": "192.168.100.10", "policy-engine": "192.168.100.20", "fl-client-1": "192.168.100.101"},
	"fl_server_host": "fl-server", "fl_server_port": 8081, "policy_engine_host": "policy-engine", "collector_ip": "192.168.100.40",
	"fl_server": {"url": "http:\/\/fl-server:8085"},
	"policy_engine": {"url": "http://policy-engine:5000", "check_endpoint": "/api/check_policy", "metrics_endpoint": "/health"},
	"storage": {"format": "json", "metrics_output_dir": "/app/logs"},
	"logging": {"level": "DEBUG"},
	"limits": {"policy_history_limit": 1000},
	"features": {"check_policy_enabled": false, "policy_monitor_enabled": true, "fl_monitor_enabled": false, "network_monitor_enabled": false, "event_monitor_enabled": false, "policy_stats_enabled": true},
	"intervals": {"fl_interval_sec": 1, "policy_interval_sec": 2, "network_interval_sec": 3, "event_interval_sec": 0.5, "policy_report_interval_min": 5},
	"api": {"port": 8001, "enabled": true}
}
`

func TestFlopynetsFile(t *testing.T) {
	got, remarks, err := loadWith(t, collectorFile, "", Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen, want.DataDir, want.Log.Level = []string{"127.0.0.1:8001"}, "/app/logs", "debug"
	f := &want.Flopynet
	f.FLServer = Peer{URL: "http://192.168.100.10:8081", Interval: time.Second, Timeout: 5 * time.Second}
	f.PolicyEngine = Peer{URL: "http://policy-engine:5000", Enabled: true, Interval: 2 * time.Second, Timeout: 5 * time.Second}
	f.SDNController = Peer{URL: "http://192.168.100.41:8181", Interval: 3 * time.Second, Timeout: 5 * time.Second}
	f.Events = PeerEvents{Interval: 500 * time.Millisecond}
	f.CheckPolicy = false
	f.NodeIPs = []string{"collector=192.168.100.40", "fl-client-1=192.168.100.101", "fl-server=192.168.100.10", "policy-engine=192.168.100.20", "sdn-controller=192.168.100.41"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantRemarks := []Remark{
		{"policy_engine.check_endpoint policy_engine.metrics_endpoint storage.format limits.policy_history_limit features.policy_stats_enabled intervals.policy_report_interval_min",
			"these keys of FLOPY-NET's configuration file change nothing here"},
		{"fl_server.url", "it is http://fl-server:8085, but the port that is given beside it makes http://192.168.100.10:8081, which is polled; leave the port out to have the URL polled"},
	}
	if diff := cmp.Diff(wantRemarks, remarks); diff != "" {
		t.Errorf("remarks, -want +got:\n%s", diff)
	}
}

var fileCases = map[string]struct {
	file string
	flopynetCase
}{
	"URLs": {`{"fl_server": {"url": "http://a:1/"}, "policy_engine": {"url": "http://b:2/x"}, "sdn_controller_url": "https://c"}`, flopynetCase{"", func(c *Config) {
		c.Flopynet.FLServer.URL, c.Flopynet.PolicyEngine.URL, c.Flopynet.SDNController.URL = "http://a:1", "http://b:2/x", "https://c"
	}, ""}},
	"without sections": {`{"fl_server_url": "http://a:1", "policy_engine_url": "http://b:2", "sdn_controller": {"url": "https://c"}, "storage_dir": "d", "log_level": "WARNING", "api_port": 9,
		"training_mode": "Mock", "strict_policy_mode": true, "check_policy_enabled": false, "fl_monitor_enabled": false, "fl_interval_sec": 60}`, flopynetCase{"", func(c *Config) {
		c.Flopynet.FLServer.URL, c.Flopynet.PolicyEngine.URL, c.Flopynet.SDNController.URL = "http://a:1", "http://b:2", "https://c"
		c.DataDir, c.Log.Level, c.Listen = "d", "warn", []string{"127.0.0.1:9"}
		c.Flopynet.TrainingMode, c.Flopynet.StrictPolicy, c.Flopynet.CheckPolicy = "mock", true, false
		c.Flopynet.FLServer.Enabled, c.Flopynet.FLServer.Interval = false, time.Minute
	}, ""}},
	"sections before the same without": {`{"fl_interval_sec": 60, "intervals": {"fl_interval_sec": 6}}`, flopynetCase{"", func(c *Config) { c.Flopynet.FLServer.Interval = 6 * time.Second }, ""}},
	"hosts": {`{"fl_server_host": "a", "policy_engine_host": "b", "policy_engine_port": 6, "sdn_controller_host": "::1", "sdn_controller_port": "7"}`, flopynetCase{"", func(c *Config) {
		c.Flopynet.FLServer.URL, c.Flopynet.PolicyEngine.URL, c.Flopynet.SDNController.URL = "http://a:8081", "http://b:6", "http://[::1]:7"
	}, ""}},
	"port of a variable, host of the file": {`{"node_ips": {"fl-server": "10.0.0.1"}}`, flopynetCase{"FL_SERVER_PORT=7", func(c *Config) {
		c.Flopynet.FLServer.URL, c.Flopynet.NodeIPs = "http://10.0.0.1:7", []string{"fl-server=10.0.0.1"}
	}, ""}},
	"URL before node": {`{"fl_server": {"url": "http://a:1"}, "node_ips": {"fl-server": "10.0.0.1"}}`, flopynetCase{"", func(c *Config) {
		c.Flopynet.FLServer.URL, c.Flopynet.NodeIPs = "http://a:1", []string{"fl-server=10.0.0.1"}
	}, ""}},
	"collector among the nodes": {`{"collector_ip": "10.0.0.1", "node_ips": {"collector": "10.0.0.2"}}`, flopynetCase{"", func(c *Config) { c.Flopynet.NodeIPs = []string{"collector=10.0.0.2"} }, ""}},
	"container": {`{"api": {"port": 9}}`, flopynetCase{"SERVICE_TYPE=collector", func(c *Config) {
		c.Listen, c.AllowedHosts = []string{"0.0.0.0:9"}, []string{"collector", "host.docker.internal"}
	}, ""}},
	"nulls":              {`{"fl_server": null, "policy_engine": {"url": null}, "node_ips": {"a": null}, "collector_ip": null, "api": {"port": null}}`, flopynetCase{"", func(*Config) {}, ""}},
	"only the directory": {`{"storage": {"metrics_output_dir": "/x"}}`, flopynetCase{"", func(c *Config) { c.DataDir = "/x" }, ""}},
	"byte order mark":    {"\ufeff" + `{"logging": {"level": "error"}}`, flopynetCase{"", func(c *Config) { c.Log.Level = "error" }, ""}},
	"trailing comma":     {`{"logging": {"level": "error"},}`, flopynetCase{"", func(c *Config) { c.Log.Level = "error" }, ""}},
	"surrogates":         {`{"storage": {"metrics_output_dir": "\ud83d\ude00\u0041\/"}}`, flopynetCase{"", func(c *Config) { c.DataDir = "😀A/" }, ""}},
	"own, as JSON":       {`{"storage": {"retention_days": 3}, "log": {"level": "error"}, "data_dir": "a\/b"}`, flopynetCase{"", func(c *Config) { c.Storage.RetentionDays, c.Log.Level, c.DataDir = 3, "error", "a/b" }, ""}},
	"own, with tabs":     {"{\n\t\"storage\": {\n\t\t\"retention_days\": 3\n\t}\n}", flopynetCase{"", func(c *Config) { c.Storage.RetentionDays = 3 }, ""}},
	"empty object":       {`{}`, flopynetCase{"", func(*Config) {}, ""}},

	"port's type":       {"{\"api\":\n{\"port\": true}}", flopynetCase{"", nil, `line 2: api.port is "true"; valid is a port from 0 to 65535`}},
	"level's type":      {`{"logging": {"level": 10}}`, flopynetCase{"", nil, `line 1: logging.level is "10"; a text is expected`}},
	"unknown level":     {`{"logging": {"level": "loud"}}`, flopynetCase{"", nil, `logging.level is "loud"; valid are DEBUG`}},
	"directory's type":  {`{"storage": {"metrics_output_dir": 5}}`, flopynetCase{"", nil, "storage.metrics_output_dir is"}},
	"URL's type":        {`{"fl_server": {"url": ["http://a"]}}`, flopynetCase{"", nil, "line 1: fl_server.url is not a single value"}},
	"overridden type":   {`{"fl_server": {"url": 5}}`, flopynetCase{"FL_SERVER_URL=http://a", nil, `fl_server.url is "5"; a text is expected`}},
	"bad URL":           {`{"policy_engine": {"url": "policy-engine"}}`, flopynetCase{"", nil, `policy_engine.url is "policy-engine"; valid is http://`}},
	"password":          {`{"policy_engine": {"url": "http://a:hunter2@b"}}`, flopynetCase{"", nil, "policy_engine.url is not shown"}},
	"switch's type":     {`{"features": {"fl_monitor_enabled": "perhaps"}}`, flopynetCase{"", nil, `features.fl_monitor_enabled is "perhaps"; valid are true and false`}},
	"interval's type":   {`{"intervals": {"fl_interval_sec": "5s"}}`, flopynetCase{"", nil, `intervals.fl_interval_sec is "5s"; valid are 0.1 to 86400 seconds`}},
	"node's type":       {`{"node_ips": {"fl-server": 10}}`, flopynetCase{"", nil, `node_ips.fl-server is "10"; valid is an IP address`}},
	"node's name":       {`{"node_ips": {"a b": "10.0.0.1"}}`, flopynetCase{"", nil, "node_ips.a b names no node"}},
	"nodes as a list":   {`{"node_ips": ["10.0.0.1"]}`, flopynetCase{"", nil, "line 1: node_ips is not a mapping of keys to values"}},
	"section's type":    {`{"intervals": 5}`, flopynetCase{"", nil, "intervals is not a mapping"}},
	"key given twice":   {`{"api": {"port": 1, "port": 2}}`, flopynetCase{"", nil, `line 1: key "api.port" is given twice`}},
	"section twice":     {`{"api": {"port": 1}, "api": {}}`, flopynetCase{"", nil, `line 1: key "api" is given twice`}},
	"of both":           {`{"api": {"port": 1}, "auth": {}}`, flopynetCase{"", nil, "auth is a key of this collector's and api one of FLOPY-NET's"}},
	"of both, storage":  {`{"storage": {"metrics_output_dir": "x", "max_series": 5}}`, flopynetCase{"", nil, "storage.max_series is a key of this collector's and storage.metrics_output_dir one of FLOPY-NET's"}},
	"own, misspelt":     {`{"lsten": []}`, flopynetCase{"", nil, `unknown key "lsten"`}},
	"own, in YAML":      {"fl_server:\n  url: http://a\n", flopynetCase{"", nil, `line 1: unknown key "fl_server"`}},
	"neither nor":       {`["a"]`, flopynetCase{"", nil, "the file is not a mapping"}},
	"not JSON":          {`{"api": {"port": 1}`, flopynetCase{"", nil, "collector.json: yaml:"}},
	"names the file":    {`{"api": {"port": -1}}`, flopynetCase{"", nil, "collector.json: line 1: api.port is"}},
	"API's switch type": {`{"api": {"enabled": 7}}`, flopynetCase{"", nil, `api.enabled is "7"; valid are true and false`}},
}

func TestFlopynetsFileByKey(t *testing.T) {
	all := ""
	for name, test := range fileCases {
		test.check(t, name, test.file)
		all += test.file
	}
	for section, keys := range flopynetKeys {
		for _, key := range keys {
			if !strings.Contains(all+collectorFile, `"`+key+`"`) && !strings.HasSuffix(key, "_enabled") && !strings.HasSuffix(key, "_interval_sec") {
				t.Errorf("no case for %s of section %q", key, section)
			}
		}
	}
}

func TestRemarksOnFile(t *testing.T) {
	_, remarks, err := loadWith(t, "{\"colour\": {\"a\": 1},\n \"api\": {\"port\": 9, \"enabled\": false,\n \"host\": \"x\"}, \"policy_engine\": {}}", "", Overrides{})
	want := []Remark{
		{"colour", "this key, in line 1 of the configuration file, is not known as one of FLOPY-NET's, and is ignored"},
		{"api.host", "this key, in line 3 of the configuration file, is not known as one of FLOPY-NET's, and is ignored"},
		{"api.enabled", "the API stays on: without it, nobody could read what is collected"},
	}
	if diff := cmp.Diff(want, remarks); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

// FuzzFlopynetsFile checks that no text makes the reading of FLOPY-NET's file panic, that what is taken gives valid
// settings once Validate agrees, and that reading it again gives the same.
func FuzzFlopynetsFile(f *testing.F) {
	f.Add(collectorFile)
	for _, test := range fileCases {
		f.Add(test.file)
	}
	f.Add(`{"api": &x {"port": *x}}`)
	f.Add(`{? {a: b} : c, "api": {? [] : 1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		read := func() (Config, []Remark, error) {
			settings, flopynet := Default(), newForeign(nil)
			err := parseFile([]byte(text), "fuzz.json", &settings, flopynet)
			if err == nil {
				err = flopynet.apply(&settings)
			}
			return settings, flopynet.remarks, err
		}
		settings, remarks, err := read()
		again, remarksAgain, errAgain := read()
		if diff := cmp.Diff(settings, again) + cmp.Diff(remarks, remarksAgain); diff != "" || (err == nil) != (errAgain == nil) {
			t.Fatalf("%v, %v, -first +second:\n%s", err, errAgain, diff)
		}
		if err != nil {
			return
		}
		if settings.Validate() == nil && len(settings.Flopynet.Nodes()) != len(settings.Flopynet.NodeIPs) {
			t.Fatalf("nodes %q of valid settings are read as %v", settings.Flopynet.NodeIPs, settings.Flopynet.Nodes())
		}
	})
}
