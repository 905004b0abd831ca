package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseFile(t *testing.T) {
	cases := []struct {
		name, text string
		change     func(*Config) // what it does to the defaults
		wantError  string
	}{
		{name: "empty", text: ""},
		{name: "comments alone", text: "# nothing\n"},
		{name: "keys without values keep the defaults", text: "wal:\nlisten:\ndata_dir: ~\n"},
		{name: "every key", text: `
listen: ["127.0.0.1:8000", "127.0.0.1:8081"]
insecure: true
allowed_hosts: [metrics.lab]
webhooks: {allowed: [hooks.lab, 10.1.2.0/24]}
data_dir: /var/lib/collector
self_metrics: false
auth:
  keys:
    - {name: dash, role: read, secret: "dash:secret"}
    - {name: edge-7, role: write, secret: edge-secret, sources: [edge-7, spare]}
  username: floppy
  password: floppy-secret
trusted_proxies: [10.0.0.0/8, "::1"]
tls: {cert: a.pem, key: b.pem}
cors: {allowed_origins: ["https://dash.lab:3000"]}
rate_limit: {reads: 8, writes: 9, window: 1m}
log: {level: debug, access: true, slow_query: 0s}
wal:
  sync: interval
  sync_interval: 1s
storage:
  retention_days: 30
  retention_5m: 12w
  retention_1h: forever
  retention_rules:
    - {match: "debug_*", raw: 2d}
    - match: "*"
      source: edge-?
      5m: 100d
      1h: 8760h
  max_series: 5
  max_new_series_per_minute: 6
  compression_enabled: false
  batch_size: 8
  min_free_bytes: 1
cache: {query_bytes: 7}
query: {timeout: 9s, max_samples: 10, max_bytes: 1048576, max_total_bytes: 1048577}
processing: {buffer_size: 10000, flush_interval: 5s, worker_threads: 4}
exports: {max_bytes: 1000, keep: 2h}
alerting: {enabled: false, thresholds: {queue_size: 8000, ingestion_rate: 5000.5}}
flopynet:
  fl_server: {url: "http://fl-server:8081", enabled: false, interval: 1s, timeout: 2s}
  policy_engine: {url: "http://policy-engine:5000", enabled: false, interval: 3s, timeout: 4s}
  sdn_controller: {url: "https://sdn.lab/ryu", enabled: false, interval: 5s, timeout: 6s}
  events: {enabled: false, interval: 7s}
  node_ips: [fl-client-1=192.168.100.101]
  switch_names: [1=core, 0x1a=edge]
  link_capacity_bps: 1000000000
  training_mode: mock
  check_policy: false
  strict_policy: true
`, change: func(c *Config) {
			*c = Config{
				Listen: []string{"127.0.0.1:8000", "127.0.0.1:8081"}, Insecure: true,
				AllowedHosts: []string{"metrics.lab"}, Webhooks: Webhooks{Allowed: []string{"hooks.lab", "10.1.2.0/24"}}, DataDir: "/var/lib/collector",
				Auth: Auth{Keys: []APIKey{
					{Name: "dash", Role: RoleRead, Secret: "dash:secret"},
					{Name: "edge-7", Role: RoleWrite, Secret: "edge-secret", Sources: []string{"edge-7", "spare"}},
				}, Username: "floppy", Password: "floppy-secret"},
				TrustedProxies: []string{"10.0.0.0/8", "::1"}, TLS: TLS{Cert: "a.pem", Key: "b.pem"},
				CORS: CORS{AllowedOrigins: []string{"https://dash.lab:3000"}}, RateLimit: RateLimit{Reads: 8, Writes: 9, Window: time.Minute},
				Log: Log{Level: "debug", Access: true}, WAL: WAL{Sync: SyncInterval, SyncInterval: time.Second},
				Storage: Storage{
					RetentionDays: 30, Retention5m: 84 * day, Retention1h: Forever,
					RetentionRules: []RetentionRule{
						{Match: "debug_*", Raw: 2 * day},
						{Match: "*", Source: "edge-?", FiveMinutes: 100 * day, Hour: 365 * day},
					},
					MaxSeries: 5, MaxNewSeriesPerMinute: 6, BatchSize: 8, MinFreeBytes: 1,
				},
				Cache:      Cache{QueryBytes: 7},
				Query:      Query{Timeout: 9 * time.Second, MaxSamples: 10, MaxBytes: 1 << 20, MaxTotalBytes: 1<<20 + 1},
				Processing: Processing{BufferSize: 10_000, FlushInterval: 5 * time.Second, WorkerThreads: 4},
				Exports:    Exports{MaxBytes: 1000, Keep: 2 * time.Hour},
				Alerting:   Alerting{Thresholds: Thresholds{QueueSize: new(int64(8000)), IngestionRate: new(5000.5)}},
				Flopynet: Flopynet{
					FLServer:      Peer{URL: "http://fl-server:8081", Interval: time.Second, Timeout: 2 * time.Second},
					PolicyEngine:  Peer{URL: "http://policy-engine:5000", Interval: 3 * time.Second, Timeout: 4 * time.Second},
					SDNController: Peer{URL: "https://sdn.lab/ryu", Interval: 5 * time.Second, Timeout: 6 * time.Second},
					Events:        PeerEvents{Interval: 7 * time.Second},
					NodeIPs:       []string{"fl-client-1=192.168.100.101"}, SwitchNames: []string{"1=core", "0x1a=edge"},
					LinkCapacityBps: 1_000_000_000, TrainingMode: "mock", StrictPolicy: true,
				},
			}
		}},
		{name: "a bare off is text", text: "wal: {sync: off}", change: func(c *Config) { c.WAL.Sync = SyncOff }},
		{name: "JSON", text: `{"log": {"level": "warn"}}`, change: func(c *Config) { c.Log.Level = "warn" }},
		{name: "an alias", text: "data_dir: &x here\nlog: {level: *x}", change: func(c *Config) { c.DataDir, c.Log.Level = "here", "here" }},
		{name: "unknown key", text: "data_dir: x\nlsten: [a]\n", wantError: `line 2: unknown key "lsten"; the file has listen, insecure,`},
		{name: "unknown nested key", text: "wal:\n  snyc: always\n", wantError: `line 2: unknown key "wal.snyc"; wal has sync, sync_interval`},
		{name: "key given twice", text: "data_dir: a\ndata_dir: b\n", wantError: `line 2: key "data_dir" is given twice`},
		{name: "wrong type", text: "storage:\n  retention_days: soon\n", wantError: `line 2: storage.retention_days is "soon"; a whole number is expected`},
		{name: "part of a day", text: "storage: {retention_days: 5.5}", wantError: `line 1: storage.retention_days is "5.5"; a whole number is expected`},
		{name: "part of a sample", text: "alerting: {thresholds: {queue_size: &x 7.9}}", wantError: `thresholds.queue_size is "7.9"; a whole number is expected`},
		{name: "fraction by an alias", text: "alerting: {thresholds: {ingestion_rate: &x 7.9}}\nstorage: {max_series: *x}", wantError: `storage.max_series is`},
		{name: "whole in spite of its spelling", text: "processing: {buffer_size: 1e3}", change: func(c *Config) { c.Processing.BufferSize = 1000 }},
		{name: "duration without unit", text: "wal: {sync_interval: 5}", wantError: `line 1: wal.sync_interval is "5"; a duration such as 100ms`},
		{name: "text for a list", text: "listen: localhost:1", wantError: `listen is "localhost:1"; a list of texts is expected`},
		{name: "number without unit for an age", text: "storage: {retention_5m: 30}", wantError: `line 1: storage.retention_5m: "30" is no age; valid are a whole number of hours`},
		{name: "age too long", text: "storage:\n  retention_1h: 100001d\n", wantError: `line 2: storage.retention_1h: "100001d" is too long; valid are at most 100000 days, and forever`},
		{name: "list for an age", text: "storage: {retention_5m: [30d]}", wantError: "storage.retention_5m is not a single value; an age such as 12h, 30d or forever is expected"},
		{name: "age by an alias", text: "storage: {retention_5m: &x 2d, retention_1h: *x}", change: func(c *Config) { c.Storage.Retention5m, c.Storage.Retention1h = 2*day, 2*day }},
		{name: "thresholds without values", text: "alerting: {thresholds: {queue_size: , ingestion_rate: null}}"},
		{name: "text for a threshold", text: "alerting: {thresholds: {ingestion_rate: fast}}", wantError: `alerting.thresholds.ingestion_rate is "fast"; a number is expected`},
		{name: "no rules", text: "storage: {retention_rules: []}", change: func(c *Config) { c.Storage.RetentionRules = []RetentionRule{} }},
		{name: "rules without a value", text: "storage: {retention_rules: }"},
		{name: "rules that are no list", text: "storage:\n  retention_rules: {match: a}\n", wantError: "line 2: storage.retention_rules is not a list of mappings"},
		{name: "rule that is no mapping", text: "storage:\n  retention_rules: [a]\n", wantError: "line 2: storage.retention_rules[0] is not a mapping"},
		{name: "unknown key of a rule", text: "storage:\n  retention_rules:\n  - match: a\n  - metric: b\n",
			wantError: `line 4: unknown key "storage.retention_rules[1].metric"; storage.retention_rules[1] has match, source, raw, 5m, 1h`},
		{name: "wrong age in a rule", text: "storage:\n  retention_rules:\n  - match: a\n    raw: 0d\n", wantError: `line 4: storage.retention_rules[0].raw: "0d" is no age`},
		{name: "list for a section", text: "wal: [always]", wantError: "line 1: wal is not a mapping"},
		{name: "list for the file", text: "- a\n- b\n", wantError: "line 1: the file is not a mapping"},
		{name: "two documents", text: "insecure: true\n---\ninsecure: false\n", wantError: "more than one YAML document"},
		{name: "not YAML", text: "a: [", wantError: "yaml:"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := Default()
			err := parseFile([]byte(c.text), "collector.yaml", &got, newForeign(nil))
			if c.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantError) {
					t.Fatalf("error %v, want one with %q", err, c.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := Default()
			if c.change != nil {
				c.change(&want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLoadLaysOverridesOverFileOverDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(path, []byte("data_dir: from-file\nwal: {sync: interval}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	directory := "from-flag"
	got, _, err := Load(path, nil, Overrides{DataDir: &directory})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.DataDir, want.WAL.Sync = "from-flag", SyncInterval
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	if _, _, err := Load(missing, nil, Overrides{}); err == nil || !strings.Contains(err.Error(), "missing.yaml") {
		t.Errorf("error %v, want one that names the file", err)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("paint: red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Load(broken, nil, Overrides{})
	if err == nil || !strings.Contains(err.Error(), "broken.yaml: line 1: unknown key \"paint\"") {
		t.Errorf("error %v, want one with file, line and key", err)
	}
}

// FuzzParseFile checks that no text, however odd, makes the parser panic, and that what it accepts is
// either valid or refused with a reason.
func FuzzParseFile(f *testing.F) {
	f.Add("listen: [a]\nwal: {sync: off}\n")
	f.Add("a: &a [*a]\n")
	f.Add("storage: {retention_days: 1e9}\n---\n")
	f.Add("storage: {retention_5m: 90d, retention_rules: [{match: a*, raw: 2w, 1h: forever}, {match: b, source: c}]}\n")
	f.Add("? {x: y}\n: z\n<<: *b\n")
	f.Add("processing: !!binary aGk=\n")
	f.Fuzz(func(t *testing.T, text string) {
		settings := Default()
		if err := parseFile([]byte(text), "fuzz.yaml", &settings, newForeign(nil)); err != nil {
			return
		}
		if err := settings.Validate(); err == nil {
			settings.LogLevel()
			if err := settings.RetentionPolicy().Validate(); err != nil {
				t.Fatalf("the engine would refuse the retention of valid settings: %v", err)
			}
		}
	})
}
