package config

import (
	"log/slog"
	"time"
)

// Config is a complete set of settings. Default gives the defaults, Load the ones a user asked for.
type Config struct {
	Listen       []string   `yaml:"listen"`        // addresses, host:port; port 0 takes a free one
	Insecure     bool       `yaml:"insecure"`      // allow listeners that other machines can reach
	AllowedHosts []string   `yaml:"allowed_hosts"` // names, beside localhost, by which clients may call this server
	DataDir      string     `yaml:"data_dir"`      // made if it isn't there
	SelfMetrics  bool       `yaml:"self_metrics"`  // store this machine's own measurements
	Log          Log        `yaml:"log"`
	WAL          WAL        `yaml:"wal"`
	Storage      Storage    `yaml:"storage"`
	Processing   Processing `yaml:"processing"`
}

// Log says what is logged.
type Log struct {
	Level string `yaml:"level"` // debug, info, warn or error
}

// WAL says when written samples are forced to disk.
type WAL struct {
	Sync         string        `yaml:"sync"`          // always, interval or off
	SyncInterval time.Duration `yaml:"sync_interval"` // for interval: how much time a power failure may cost
}

// Storage says what is kept.
type Storage struct {
	RetentionDays int   `yaml:"retention_days"` // samples older than this are refused; 0: all are accepted and kept
	MinFreeBytes  int64 `yaml:"min_free_bytes"` // free disk space below which writes are refused; 0: no check
}

// Processing bounds the work in flight.
type Processing struct {
	BufferSize    int           `yaml:"buffer_size"`    // samples waiting for their acknowledgement before writes get 503
	FlushInterval time.Duration `yaml:"flush_interval"` // how often samples in memory become chunks; durability doesn't hang on it
	WorkerThreads int           `yaml:"worker_threads"` // goroutines of one query and of recovery; 0: one per CPU
}

// The values of WAL.Sync.
const (
	SyncAlways   = "always"   // before the acknowledgement: survives power failures
	SyncInterval = "interval" // every WAL.SyncInterval: survives kill -9
	SyncOff      = "off"      // when the operating system does it: survives kill -9
)

// Default returns the settings of a collector that was told nothing.
func Default() Config {
	return Config{
		Listen:      []string{"127.0.0.1:8000"},
		DataDir:     "./data",
		SelfMetrics: true,
		Log:         Log{Level: "info"},
		WAL:         WAL{Sync: SyncAlways, SyncInterval: time.Second},
		Storage:     Storage{MinFreeBytes: 256 << 20},
		Processing:  Processing{BufferSize: 4_000_000, FlushInterval: 10 * time.Minute},
	}
}

// LogLevel returns Log.Level as slog has it. The settings must be valid.
func (c Config) LogLevel() slog.Level { return logLevels[c.Log.Level] }

// Retention returns Storage.RetentionDays as a duration.
func (c Config) Retention() time.Duration {
	return time.Duration(c.Storage.RetentionDays) * 24 * time.Hour
}
