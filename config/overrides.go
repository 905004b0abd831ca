package config

import (
	"reflect"
	"strings"
	"time"
)

// EnvPrefix begins the name of every environment variable that is a setting.
const EnvPrefix = "COLLECTOR_"

// Overrides holds the settings given on the command line and in the environment; nil means not given.
// Its tags describe the flags to the command line parser.
type Overrides struct {
	Listen         []string       `name:"listen" env:"COLLECTOR_LISTEN" placeholder:"HOST:PORT" help:"Address to listen on; may be repeated (default 127.0.0.1:8000)."`
	Insecure       *bool          `name:"insecure" env:"COLLECTOR_INSECURE" help:"Allow listeners that other machines can reach, without any keys."`
	APIKeys        []APIKey       `name:"api-key" env:"COLLECTOR_API_KEYS" placeholder:"NAME:ROLE:SECRET" help:"Key that clients show to be let in; the role is read, write or admin. May be repeated; better given in the environment, since other users see command lines."`
	Username       *string        `name:"auth-username" env:"COLLECTOR_AUTH_USERNAME" placeholder:"NAME" help:"User name for HTTP Basic, of role admin, that goes with --auth-password (default admin)."`
	Password       *Secret        `name:"auth-password" env:"COLLECTOR_AUTH_PASSWORD" placeholder:"SECRET" help:"Password for HTTP Basic; none: there is no such user."`
	AllowedHosts   []string       `name:"allowed-hosts" env:"COLLECTOR_ALLOWED_HOSTS" placeholder:"NAME" help:"Name, beside localhost and IP addresses, by which clients may call this server; may be repeated."`
	TrustedProxies []string       `name:"trusted-proxies" env:"COLLECTOR_TRUSTED_PROXIES" placeholder:"ADDRESS" help:"Proxy, as an address or a range such as 10.0.0.0/8, whose X-Forwarded-For is believed; may be repeated."`
	TLSCert        *string        `name:"tls-cert" env:"COLLECTOR_TLS_CERT" placeholder:"FILE" help:"Certificate for HTTPS, PEM; read again when it changes."`
	TLSKey         *string        `name:"tls-key" env:"COLLECTOR_TLS_KEY" placeholder:"FILE" help:"Its private key, PEM."`
	AllowedOrigins []string       `name:"cors-allowed-origins" env:"COLLECTOR_CORS_ALLOWED_ORIGINS" placeholder:"ORIGIN" help:"Web site whose pages may read and write, such as https://dash.lab:3000; * lets all pages read. May be repeated."`
	RateReads      *int           `name:"rate-limit-reads" env:"COLLECTOR_RATE_LIMIT_READS" placeholder:"N" help:"Reading requests of a key, or of an address without one, in a window; 0 is no limit (default 0)."`
	RateWrites     *int           `name:"rate-limit-writes" env:"COLLECTOR_RATE_LIMIT_WRITES" placeholder:"N" help:"Likewise requests that write, delete or manage; 0 is no limit (default 0)."`
	RateWindow     *time.Duration `name:"rate-limit-window" env:"COLLECTOR_RATE_LIMIT_WINDOW" placeholder:"DURATION" help:"The window (default 1h)."`
	DataDir        *string        `name:"data-dir" env:"COLLECTOR_DATA_DIR" placeholder:"DIR" help:"Directory that holds all data (default ./data)."`
	SelfMetrics    *bool          `name:"self-metrics" env:"COLLECTOR_SELF_METRICS" help:"Store this machine's cpu, memory, disk and network as source \"system\" (default true; turn off with --self-metrics=false)."`
	LogLevel       *string        `name:"log-level" env:"COLLECTOR_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error (default info)."`
	LogAccess      *bool          `name:"log-access" env:"COLLECTOR_LOG_ACCESS" help:"Log each request (default false; at log level debug they are logged anyway)."`
	SlowQuery      *time.Duration `name:"log-slow-query" env:"COLLECTOR_LOG_SLOW_QUERY" placeholder:"DURATION" help:"Queries that take longer are logged with their parameters; 0 is none (default 1s)."`
	WALSync        *string        `name:"wal-sync" env:"COLLECTOR_WAL_SYNC" placeholder:"MODE" help:"When samples are forced to disk: always (before they are acknowledged), interval or off (default always)."`
	SyncInterval   *time.Duration `name:"wal-sync-interval" env:"COLLECTOR_WAL_SYNC_INTERVAL" placeholder:"DURATION" help:"How often, with --wal-sync=interval (default 1s)."`
	RetentionDays  *int           `name:"storage-retention-days" env:"COLLECTOR_STORAGE_RETENTION_DAYS" placeholder:"DAYS" help:"Samples older than this are refused and dropped; 0 accepts and keeps all (default 0)."`
	Retention5m    *Age           `name:"storage-retention-5m" env:"COLLECTOR_STORAGE_RETENTION_5M" placeholder:"AGE" help:"How long points of five minutes are kept, such as 90d or forever (default: as long as samples)."`
	Retention1h    *Age           `name:"storage-retention-1h" env:"COLLECTOR_STORAGE_RETENTION_1H" placeholder:"AGE" help:"How long points of an hour are kept (default: as long as points of five minutes)."`
	EventRetention *Age           `name:"storage-retention-events" env:"COLLECTOR_STORAGE_RETENTION_EVENTS" placeholder:"AGE" help:"How long events are kept, such as 90d (default: forever)."`
	MaxSeries      *int           `name:"storage-max-series" env:"COLLECTOR_STORAGE_MAX_SERIES" placeholder:"N" help:"Series beyond which samples of new ones are refused; 0 is no limit (default 2000000)."`
	MaxNewSeries   *int           `name:"storage-max-new-series-per-minute" env:"COLLECTOR_STORAGE_MAX_NEW_SERIES_PER_MINUTE" placeholder:"N" help:"New series a minute beyond which samples of more are refused; 0 is no limit (default 0)."`
	Compression    *bool          `name:"storage-compression-enabled" env:"COLLECTOR_STORAGE_COMPRESSION_ENABLED" help:"Compress the write-ahead log and the chunk store's tables; chunks are compressed in any case (default true)."`
	BatchSize      *int           `name:"storage-batch-size" env:"COLLECTOR_STORAGE_BATCH_SIZE" placeholder:"SAMPLES" help:"Samples that share one write and fsync of the log; a request's stay together (default 1048576)."`
	MinFreeBytes   *int64         `name:"storage-min-free-bytes" env:"COLLECTOR_STORAGE_MIN_FREE_BYTES" placeholder:"BYTES" help:"Free disk space below which writes are refused; 0 is no check (default 268435456)."`
	QueryBytes     *int64         `name:"cache-query-bytes" env:"COLLECTOR_CACHE_QUERY_BYTES" placeholder:"BYTES" help:"Memory for results of queries, which are answered again while no data changed; 0 is off (default 67108864)."`
	QueryTimeout   *time.Duration `name:"query-timeout" env:"COLLECTOR_QUERY_TIMEOUT" placeholder:"DURATION" help:"Longest time of a query; a request may ask for less (default 30s)."`
	QuerySamples   *int64         `name:"query-max-samples" env:"COLLECTOR_QUERY_MAX_SAMPLES" placeholder:"N" help:"Samples that one query may decode, points of rollups included (default 1000000000)."`
	QueryMemory    *int64         `name:"query-max-bytes" env:"COLLECTOR_QUERY_MAX_BYTES" placeholder:"BYTES" help:"Memory that one query may take, by estimate (default 536870912)."`
	QueriesMemory  *int64         `name:"query-max-total-bytes" env:"COLLECTOR_QUERY_MAX_TOTAL_BYTES" placeholder:"BYTES" help:"Memory that all queries under way may take; beyond it, one gets 503 (default 1073741824)."`
	BufferSize     *int           `name:"processing-buffer-size" env:"COLLECTOR_PROCESSING_BUFFER_SIZE" placeholder:"SAMPLES" help:"Samples waiting for their acknowledgement before writes get 503 (default 4000000)."`
	FlushInterval  *time.Duration `name:"processing-flush-interval" env:"COLLECTOR_PROCESSING_FLUSH_INTERVAL" placeholder:"DURATION" help:"How often samples in memory become chunks; durability doesn't hang on it (default 10m)."`
	WorkerThreads  *int           `name:"processing-worker-threads" env:"COLLECTOR_PROCESSING_WORKER_THREADS" placeholder:"N" help:"Goroutines of one query and of recovery, and compactions side by side; 0 is one per CPU (default 0)."`
	ExportsMax     *int64         `name:"exports-max-bytes" env:"COLLECTOR_EXPORTS_MAX_BYTES" placeholder:"BYTES" help:"Room for the files of exports; beyond it, no further export is made (default 10737418240)."`
	ExportsKeep    *time.Duration `name:"exports-keep" env:"COLLECTOR_EXPORTS_KEEP" placeholder:"DURATION" help:"How long the file of an export can be downloaded (default 24h)."`
	Alerting       *bool          `name:"alerting-enabled" env:"COLLECTOR_ALERTING_ENABLED" help:"Raise events when a threshold is crossed (default true; there is no threshold by default)."`
	AlertQueue     *int64         `name:"alerting-thresholds-queue-size" env:"COLLECTOR_ALERTING_THRESHOLDS_QUEUE_SIZE" placeholder:"SAMPLES" help:"Samples waiting for their acknowledgement beyond which an event is raised."`
	AlertRate      *float64       `name:"alerting-thresholds-ingestion-rate" env:"COLLECTOR_ALERTING_THRESHOLDS_INGESTION_RATE" placeholder:"N" help:"Samples a second beyond which an event is raised."`
	Webhooks       []string       `name:"webhooks-allowed" env:"COLLECTOR_WEBHOOKS_ALLOWED" placeholder:"HOST" help:"Host, address or network such as 10.1.2.0/24 that pipelines may send rows to, beside public addresses; may be repeated."`
	Flopynet       FlopynetFlags  `embed:"" prefix:"flopynet-" envprefix:"COLLECTOR_FLOPYNET_"`
}

// Apply replaces the settings that were given.
func (o Overrides) Apply(c *Config) {
	if o.Listen != nil {
		c.Listen = o.Listen
	}
	if o.AllowedHosts != nil {
		c.AllowedHosts = o.AllowedHosts
	}
	if o.APIKeys != nil {
		c.Auth.Keys = o.APIKeys
	}
	replace(&c.Auth.Username, o.Username)
	replace(&c.Auth.Password, o.Password)
	if o.Webhooks != nil {
		c.Webhooks.Allowed = o.Webhooks
	}
	replace(&c.Insecure, o.Insecure)
	if o.TrustedProxies != nil {
		c.TrustedProxies = o.TrustedProxies
	}
	if o.AllowedOrigins != nil {
		c.CORS.AllowedOrigins = o.AllowedOrigins
	}
	replace(&c.TLS.Cert, o.TLSCert)
	replace(&c.TLS.Key, o.TLSKey)
	replace(&c.RateLimit.Reads, o.RateReads)
	replace(&c.RateLimit.Writes, o.RateWrites)
	replace(&c.RateLimit.Window, o.RateWindow)
	replace(&c.Log.Access, o.LogAccess)
	replace(&c.Log.SlowQuery, o.SlowQuery)
	replace(&c.DataDir, o.DataDir)
	replace(&c.SelfMetrics, o.SelfMetrics)
	replace(&c.Log.Level, o.LogLevel)
	replace(&c.WAL.Sync, o.WALSync)
	replace(&c.WAL.SyncInterval, o.SyncInterval)
	replace(&c.Storage.RetentionDays, o.RetentionDays)
	replace(&c.Storage.Retention5m, o.Retention5m)
	replace(&c.Storage.Retention1h, o.Retention1h)
	replace(&c.Storage.RetentionEvents, o.EventRetention)
	replace(&c.Storage.MaxSeries, o.MaxSeries)
	replace(&c.Storage.MaxNewSeriesPerMinute, o.MaxNewSeries)
	replace(&c.Storage.CompressionEnabled, o.Compression)
	replace(&c.Storage.BatchSize, o.BatchSize)
	replace(&c.Storage.MinFreeBytes, o.MinFreeBytes)
	replace(&c.Cache.QueryBytes, o.QueryBytes)
	replace(&c.Query.Timeout, o.QueryTimeout)
	replace(&c.Query.MaxSamples, o.QuerySamples)
	replace(&c.Query.MaxBytes, o.QueryMemory)
	replace(&c.Query.MaxTotalBytes, o.QueriesMemory)
	replace(&c.Processing.BufferSize, o.BufferSize)
	replace(&c.Processing.FlushInterval, o.FlushInterval)
	replace(&c.Processing.WorkerThreads, o.WorkerThreads)
	replace(&c.Exports.MaxBytes, o.ExportsMax)
	replace(&c.Exports.Keep, o.ExportsKeep)
	o.Flopynet.apply(&c.Flopynet)
	replace(&c.Alerting.Enabled, o.Alerting)
	if o.AlertQueue != nil {
		c.Alerting.Thresholds.QueueSize = o.AlertQueue
	}
	if o.AlertRate != nil {
		c.Alerting.Thresholds.IngestionRate = o.AlertRate
	}
}

func replace[T any](setting, given *T) {
	if given != nil {
		*setting = *given
	}
}

// UnknownEnvironment returns the names in environ ("NAME=value") that begin with EnvPrefix and are no
// setting. They are worth a warning, not an error: Kubernetes and Docker links define such names for a
// service that is called collector (COLLECTOR_SERVICE_HOST).
func UnknownEnvironment(environ []string) []string {
	known := map[string]bool{EnvPrefix + "CONFIG": true, EnvPrefix + "PORT": true, EnvPrefix + "IP": true} // the latter two are FLOPY-NET's
	eachFlag(reflect.TypeFor[Overrides](), "", "", func(_, variable string) { known[variable] = true })
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, EnvPrefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// eachFlag calls visit with the names of every flag and its variable, as the command line's parser makes them.
func eachFlag(flags reflect.Type, prefix, envPrefix string, visit func(flag, variable string)) {
	for field := range flags.Fields() {
		if _, embedded := field.Tag.Lookup("embed"); embedded {
			eachFlag(field.Type, prefix+field.Tag.Get("prefix"), envPrefix+field.Tag.Get("envprefix"), visit)
			continue
		}
		visit(prefix+field.Tag.Get("name"), envPrefix+field.Tag.Get("env"))
	}
}
