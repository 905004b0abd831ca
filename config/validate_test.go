package config

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	listen := func(addresses ...string) func(*Config) { return func(c *Config) { c.Listen = addresses } }
	rules := func(rules ...RetentionRule) func(*Config) {
		return func(c *Config) { c.Storage.RetentionRules = rules }
	}
	cases := []struct {
		name   string
		change func(*Config)
		want   string // a part of the error; empty: valid
	}{
		{"two loopback listeners", listen("127.0.0.1:8000", "[::1]:8081"), ""},
		{"any loopback address", listen("127.9.9.9:0"), ""},
		{"localhost", listen("localhost:8000"), ""},
		{"no listener", listen(), "listen is empty"},
		{"no port", listen("127.0.0.1"), `listen is "127.0.0.1"; valid is host:port`},
		{"port too large", listen("127.0.0.1:65536"), "a port from 0 to 65535"},
		{"named port", listen("127.0.0.1:http"), "a port from 0 to 65535"},
		{"webhook with a port", func(c *Config) { c.Webhooks.Allowed = []string{"hooks.lab", "10.0.0.0/8", "::1", "a:80"} }, `webhooks.allowed is "a:80"`},
		{"host with port", func(c *Config) { c.AllowedHosts = []string{"ok", "metrics.lab:8000"} }, `allowed_hosts is "metrics.lab:8000"`},
		{"origins", func(c *Config) { c.CORS.AllowedOrigins = []string{"*", "https://dash.lab", "http://[::1]:3000"} }, ""},
		{"origin with a path", func(c *Config) { c.CORS.AllowedOrigins = []string{"https://dash.lab/"} }, `cors.allowed_origins is "https://dash.lab/"; valid are *`},
		{"origin without scheme", func(c *Config) { c.CORS.AllowedOrigins = []string{"dash.lab:3000"} }, "cors.allowed_origins"},
		{"proxies", func(c *Config) { c.TrustedProxies = []string{"10.1.2.3/8", "::1", "192.168.0.1"} }, ""},
		{"proxy by name", func(c *Config) { c.TrustedProxies = []string{"proxy.lab"} }, `trusted_proxies is "proxy.lab"; valid are IP addresses`},
		{"certificate alone", func(c *Config) { c.TLS.Cert = "a.pem" }, `tls.cert is "a.pem" and tls.key is ""; give both, or none`},
		{"key alone", func(c *Config) { c.TLS.Key = "a.pem" }, "give both, or none"},
		{"reads", func(c *Config) { c.RateLimit.Reads = -1 }, "rate_limit.reads is -1; valid are 0 to"},
		{"window", func(c *Config) { c.RateLimit.Window = time.Millisecond }, "rate_limit.window is 1ms; valid are 1s to"},
		{"slow query", func(c *Config) { c.Log.SlowQuery = -1 }, "log.slow_query is -1ns; valid are 0s to"},
		{"log level", func(c *Config) { c.Log.Level = "loud" }, `log.level is "loud"; valid are debug, info, warn and error`},
		{"sync mode", func(c *Config) { c.WAL.Sync = "sometimes" }, `wal.sync is "sometimes"; valid are always, interval and off`},
		{"sync interval", func(c *Config) { c.WAL.SyncInterval = 0 }, "wal.sync_interval is 0s; valid are 1ms to 24h0m0s"},
		{"data directory", func(c *Config) { c.DataDir = "" }, "data_dir"},
		{"retention below 0", func(c *Config) { c.Storage.RetentionDays = -1 }, "storage.retention_days is -1; valid are 0 to 100000"},
		{"longest retention", func(c *Config) { c.Storage.RetentionDays = maxRetentionDays }, ""},
		{"retention", func(c *Config) { c.Storage.RetentionDays = maxRetentionDays + 1 }, "storage.retention_days"},
		{"5m below raw", func(c *Config) { c.Storage.RetentionDays, c.Storage.Retention5m = 30, 20*day }, "storage.retention_5m is 20d; it must be at least as long as raw is kept, 30d"},
		{"1h below 5m", func(c *Config) { c.Storage.RetentionDays, c.Storage.Retention1h = 30, 20*day }, "storage.retention_1h is 20d; it must be at least as long as 5m is kept, 30d"},
		{"5m alone", func(c *Config) { c.Storage.Retention5m = 20 * day }, "storage.retention_5m is 20d; it must be at least as long as raw is kept, for ever"},
		{"tiers", func(c *Config) {
			c.Storage.RetentionDays, c.Storage.Retention5m, c.Storage.Retention1h = 1, 2*day, Forever
		}, ""},
		{"rule", rules(RetentionRule{Match: "debug_*", Raw: 2 * day}), ""},
		{"rule without match", rules(RetentionRule{Match: "a"}, RetentionRule{Raw: day}), "storage.retention_rules[1].match is empty"},
		{"rule with a short 1h", rules(RetentionRule{Match: "a", Raw: 2 * day, Hour: day}), "storage.retention_rules[0].1h is 1d; it must be at least"},
		{"negative age", rules(RetentionRule{Match: "a", Raw: -1}), "storage.retention_rules[0].raw is -1ns; it must not be negative"},
		{"too many rules", rules(make([]RetentionRule, 101)...), "storage.retention_rules has 101 rules; at most 100 are allowed"},
		{"series", func(c *Config) { c.Storage.MaxSeries = -1 }, "storage.max_series is -1; valid are 0 to"},
		{"new series", func(c *Config) { c.Storage.MaxNewSeriesPerMinute = -1 }, "storage.max_new_series_per_minute is -1; valid are 0 to"},
		{"query cache", func(c *Config) { c.Cache.QueryBytes = -1 }, "cache.query_bytes is -1; valid are 0 to"},
		{"query timeout", func(c *Config) { c.Query.Timeout = 0 }, "query.timeout is 0s; valid are 1ms to"},
		{"query samples", func(c *Config) { c.Query.MaxSamples = 0 }, "query.max_samples is 0; valid are 1 to"},
		{"query memory", func(c *Config) { c.Query.MaxBytes = 1 }, "query.max_bytes is 1; valid are 1048576 to"},
		{"queries' memory", func(c *Config) { c.Query.MaxTotalBytes = 1 }, "query.max_total_bytes is 1; valid are 1048576 to"},
		{"no limits", func(c *Config) { c.Storage.MaxSeries, c.Cache.QueryBytes = 0, 0 }, ""},
		{"free space", func(c *Config) { c.Storage.MinFreeBytes = -1 }, "storage.min_free_bytes"},
		{"buffer", func(c *Config) { c.Processing.BufferSize = 0 }, "processing.buffer_size is 0; valid are 1 to"},
		{"flush", func(c *Config) { c.Processing.FlushInterval = time.Millisecond }, "processing.flush_interval is 1ms; valid are 1s to"},
		{"exports", func(c *Config) { c.Exports.MaxBytes = 0 }, "exports.max_bytes is 0; valid are 1 to"},
		{"exports kept", func(c *Config) { c.Exports.Keep = time.Second }, "exports.keep is 1s; valid are 1m0s to"},
		{"workers", func(c *Config) { c.Processing.WorkerThreads = -2 }, "processing.worker_threads is -2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			settings := Default()
			c.change(&settings)
			err := settings.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	settings := Default()
	settings.Log.Level, settings.WAL.Sync = "loud", "sometimes"
	err := settings.Validate()
	if err == nil || !strings.Contains(err.Error(), "log.level") || !strings.Contains(err.Error(), "wal.sync") {
		t.Errorf("error %v, want one with both problems", err)
	}
}
