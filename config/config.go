package config

import (
	"log/slog"
	"time"
)

// Config is a complete set of settings. Default gives the defaults, Load the ones a user asked for.
//
// The tag api says what PUT /config may do with a setting: "live" ones take effect at once, "restart" ones with
// the next start; "fixed" ones are shown and can't be changed; "secret" ones aren't even shown.
type Config struct {
	Listen         []string   `yaml:"listen" api:"fixed"`          // addresses, host:port; port 0 takes a free one
	Insecure       bool       `yaml:"insecure" api:"fixed"`        // allow listeners that other machines can reach, without any key
	AllowedHosts   []string   `yaml:"allowed_hosts" api:"fixed"`   // names, beside localhost, by which clients may call this server
	TrustedProxies []string   `yaml:"trusted_proxies" api:"fixed"` // addresses and ranges whose X-Forwarded-For is believed
	DataDir        string     `yaml:"data_dir" api:"fixed"`        // made if it isn't there
	SelfMetrics    bool       `yaml:"self_metrics" api:"restart"`  // store this machine's own measurements
	Auth           Auth       `yaml:"auth" api:"secret"`
	TLS            TLS        `yaml:"tls"`
	CORS           CORS       `yaml:"cors"`
	RateLimit      RateLimit  `yaml:"rate_limit"`
	Log            Log        `yaml:"log"`
	WAL            WAL        `yaml:"wal"`
	Storage        Storage    `yaml:"storage"`
	Cache          Cache      `yaml:"cache"`
	Query          Query      `yaml:"query"`
	Processing     Processing `yaml:"processing"`
	Exports        Exports    `yaml:"exports"`
	Alerting       Alerting   `yaml:"alerting"`
	Webhooks       Webhooks   `yaml:"webhooks"`
	Flopynet       Flopynet   `yaml:"flopynet"`
}

// Log says what is logged.
type Log struct {
	Level     string        `yaml:"level" api:"live"`         // debug, info, warn or error
	Access    bool          `yaml:"access" api:"restart"`     // each request, at info; otherwise at debug
	SlowQuery time.Duration `yaml:"slow_query" api:"restart"` // queries that take longer are logged, with their parameters; 0: none
}

// WAL says when written samples are forced to disk.
type WAL struct {
	Sync         string        `yaml:"sync" api:"restart"`          // always, interval or off
	SyncInterval time.Duration `yaml:"sync_interval" api:"restart"` // for interval: how much time a power failure may cost
}

// Storage says what is kept.
type Storage struct {
	RetentionDays  int             `yaml:"retention_days" api:"live"`  // samples older than this are refused and dropped; 0: all are accepted and kept
	Retention5m    Age             `yaml:"retention_5m" api:"live"`    // of points of five minutes; not set: as long as samples
	Retention1h    Age             `yaml:"retention_1h" api:"live"`    // of points of an hour; not set: as long as points of five minutes
	RetentionRules []RetentionRule `yaml:"retention_rules" api:"live"` // for some metrics or sources; the first that matches holds

	RetentionEvents Age `yaml:"retention_events" api:"live"` // of events; not set: forever

	MaxSeries             int `yaml:"max_series" api:"live"`                // beyond that many, samples of new series are refused; 0: no limit
	MaxNewSeriesPerMinute int `yaml:"max_new_series_per_minute" api:"live"` // likewise

	CompressionEnabled bool `yaml:"compression_enabled" api:"live"` // of the log's frames and of the chunk store's tables
	BatchSize          int  `yaml:"batch_size" api:"live"`          // samples that share a frame of the log and its fsync; a request's stay together

	MinFreeBytes int64 `yaml:"min_free_bytes" api:"live"` // free disk space below which writes are refused; 0: no check
}

// Cache bounds what is kept in memory to be answered again.
type Cache struct {
	QueryBytes int64 `yaml:"query_bytes" api:"live"` // of results of queries; 0: none
}

// Query bounds what queries may take.
type Query struct {
	Timeout       time.Duration `yaml:"timeout" api:"restart"`      // that a request may ask to be shorter
	MaxSamples    int64         `yaml:"max_samples" api:"live"`     // that one may decode, points of rollups included
	MaxBytes      int64         `yaml:"max_bytes" api:"live"`       // of memory that one may take, by estimate
	MaxTotalBytes int64         `yaml:"max_total_bytes" api:"live"` // that all under way may take; beyond it they get 503
}

// Processing bounds the work in flight.
type Processing struct {
	BufferSize    int           `yaml:"buffer_size" api:"live"`    // samples waiting for their acknowledgement before writes get 503
	FlushInterval time.Duration `yaml:"flush_interval" api:"live"` // how often samples in memory become chunks; durability doesn't hang on it
	WorkerThreads int           `yaml:"worker_threads" api:"live"` // goroutines of one query and of recovery, and compactions side by side; 0: one per CPU
}

// Alerting says what raises events.
type Alerting struct {
	Enabled    bool       `yaml:"enabled" api:"live"`
	Thresholds Thresholds `yaml:"thresholds"`
}

// Thresholds are values beyond which an event is raised; nil: none is.
type Thresholds struct {
	QueueSize     *int64   `yaml:"queue_size" api:"live"`     // samples that wait for their acknowledgement
	IngestionRate *float64 `yaml:"ingestion_rate" api:"live"` // samples a second
}

// Exports bounds the files of exports.
type Exports struct {
	MaxBytes int64         `yaml:"max_bytes" api:"restart"` // of all files together; beyond it, no further export is made
	Keep     time.Duration `yaml:"keep" api:"restart"`      // how long a file can be downloaded
}

// Webhooks says where pipelines may send rows, beside public addresses.
type Webhooks struct {
	Allowed []string `yaml:"allowed" api:"fixed"` // hosts' names, addresses and networks such as 10.1.2.0/24
}

// The values of WAL.Sync.
const (
	SyncAlways   = "always"   // before the acknowledgement: survives power failures
	SyncInterval = "interval" // every WAL.SyncInterval: survives kill -9
	SyncOff      = "off"      // when the operating system does it: survives kill -9
)

// defaultMaxSeries is a net under a tag that has another value in every sample. A series takes up to 600
// bytes of memory: these take 1.2 GB, which most machines have.
const defaultMaxSeries = 2_000_000

// Default returns the settings of a collector that was told nothing.
func Default() Config {
	return Config{
		Listen:      []string{"127.0.0.1:8000"},
		DataDir:     "./data",
		SelfMetrics: true,
		Auth:        Auth{Username: "admin"},
		RateLimit:   RateLimit{Window: time.Hour},
		Log:         Log{Level: "info", SlowQuery: time.Second},
		WAL:         WAL{Sync: SyncAlways, SyncInterval: time.Second},
		Storage:     Storage{MaxSeries: defaultMaxSeries, CompressionEnabled: true, BatchSize: maxBatchSize, MinFreeBytes: 256 << 20},
		Cache:       Cache{QueryBytes: 64 << 20},
		Query:       Query{Timeout: 30 * time.Second, MaxSamples: 1_000_000_000, MaxBytes: 512 << 20, MaxTotalBytes: 1 << 30},
		Processing:  Processing{BufferSize: 4_000_000, FlushInterval: 10 * time.Minute},
		Exports:     Exports{MaxBytes: 10 << 30, Keep: 24 * time.Hour},
		Alerting:    Alerting{Enabled: true},
		Flopynet:    defaultFlopynet(),
	}
}

// LogLevel returns Log.Level as slog has it. The settings must be valid.
func (c Config) LogLevel() slog.Level { return logLevels[c.Log.Level] }
