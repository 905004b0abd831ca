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
		{"all interfaces", listen(":8000"), "--insecure"},
		{"IPv4 wildcard", listen("0.0.0.0:8000"), "--insecure"},
		{"IPv6 wildcard", listen("[::]:8000"), "--insecure"},
		{"another host", listen("127.0.0.1:1", "example.org:8000"), `listen is "example.org:8000", which other machines can reach`},
		{"insecure", func(c *Config) { c.Listen, c.Insecure = []string{"0.0.0.0:8000"}, true }, ""},
		{"host with port", func(c *Config) { c.AllowedHosts = []string{"ok", "metrics.lab:8000"} }, `allowed_hosts is "metrics.lab:8000"`},
		{"log level", func(c *Config) { c.Log.Level = "loud" }, `log.level is "loud"; valid are debug, info, warn and error`},
		{"sync mode", func(c *Config) { c.WAL.Sync = "sometimes" }, `wal.sync is "sometimes"; valid are always, interval and off`},
		{"sync interval", func(c *Config) { c.WAL.SyncInterval = 0 }, "wal.sync_interval is 0s; valid are 1ms to 24h0m0s"},
		{"data directory", func(c *Config) { c.DataDir = "" }, "data_dir"},
		{"retention below 0", func(c *Config) { c.Storage.RetentionDays = -1 }, "storage.retention_days is -1; valid are 0 to 100000"},
		{"longest retention", func(c *Config) { c.Storage.RetentionDays = maxRetentionDays }, ""},
		{"retention", func(c *Config) { c.Storage.RetentionDays = maxRetentionDays + 1 }, "storage.retention_days"},
		{"free space", func(c *Config) { c.Storage.MinFreeBytes = -1 }, "storage.min_free_bytes"},
		{"buffer", func(c *Config) { c.Processing.BufferSize = 0 }, "processing.buffer_size is 0; valid are 1 to"},
		{"flush", func(c *Config) { c.Processing.FlushInterval = time.Millisecond }, "processing.flush_interval is 1ms; valid are 1s to"},
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

func TestLongestRetentionFitsADuration(t *testing.T) {
	settings := Config{Storage: Storage{RetentionDays: maxRetentionDays}}
	if got := settings.Retention(); got/(24*time.Hour) != maxRetentionDays {
		t.Errorf("%d days became %v", maxRetentionDays, got)
	}
}
