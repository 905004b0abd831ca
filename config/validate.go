package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Limits of the numbers. A retention of maxRetentionDays still fits a time.Duration.
const (
	maxRetentionDays = 100_000
	maxSeries        = 1_000_000_000
	maxBufferSize    = 1_000_000_000
	maxBatchSize     = 1 << 20 // of the engine
	maxWorkerThreads = 1024
	maxInterval      = 24 * time.Hour
	maxExportsKeep   = 365 * 24 * time.Hour
	minFlushInterval = time.Second
	minSyncInterval  = time.Millisecond
)

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// Problem says why a setting can't be used as it is.
type Problem struct {
	Key  string // such as storage.retention_days
	Text string // what was given and what is valid, to be read behind the key
}

// Error is the problem as a sentence.
func (p *Problem) Error() string { return p.Key + " " + p.Text }

func problem(key, format string, args ...any) error {
	return &Problem{Key: key, Text: fmt.Sprintf(format, args...)}
}

// Problems returns the problems that an error of Validate is made of.
func Problems(err error) []*Problem {
	if one, ok := err.(*Problem); ok { //nolint:errorlint // one that is wrapped is looked for below
		return []*Problem{one}
	}
	var all []*Problem
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, inner := range joined.Unwrap() {
			all = append(all, Problems(inner)...)
		}
	}
	return all
}

// Validate reports every setting that can't be used, with what was given and what is valid: see Problems.
func (c Config) Validate() error {
	var problems []error
	reject := func(valid bool, key string, given any, wanted string) {
		if !valid {
			problems = append(problems, problem(key, "is %v; %s", given, wanted))
		}
	}
	_, knownLevel := logLevels[c.Log.Level]
	reject(knownLevel, "log.level", strconv.Quote(c.Log.Level), "valid are debug, info, warn and error")
	reject(c.DataDir != "", "data_dir", `""`, "it must name a directory")
	knownSync := c.WAL.Sync == SyncAlways || c.WAL.Sync == SyncInterval || c.WAL.Sync == SyncOff
	reject(knownSync, "wal.sync", strconv.Quote(c.WAL.Sync), "valid are always, interval and off")
	for _, name := range c.AllowedHosts {
		reject(name != "" && !strings.ContainsAny(name, ":/ "), "allowed_hosts", strconv.Quote(name), "it must be a name without scheme and port, such as metrics.lab")
	}
	for _, entry := range c.Webhooks.Allowed {
		_, notNetwork := netip.ParsePrefix(entry)
		_, notAddress := netip.ParseAddr(strings.Trim(entry, "[]"))
		isName := entry != "" && !strings.ContainsAny(entry, "/: *[]")
		reject(notNetwork == nil || notAddress == nil || isName, "webhooks.allowed", strconv.Quote(entry),
			"it must be a host's name, an address, or a network such as 10.1.2.0/24")
	}
	problems = append(problems,
		within("wal.sync_interval", c.WAL.SyncInterval, minSyncInterval, maxInterval),
		c.validateRetention(),
		within("storage.max_series", c.Storage.MaxSeries, 0, maxSeries),
		within("storage.max_new_series_per_minute", c.Storage.MaxNewSeriesPerMinute, 0, maxSeries),
		within("storage.batch_size", c.Storage.BatchSize, 1, maxBatchSize),
		within("storage.min_free_bytes", c.Storage.MinFreeBytes, 0, 1<<50),
		within("cache.query_bytes", c.Cache.QueryBytes, 0, 1<<50),
		within("query.timeout", c.Query.Timeout, time.Millisecond, maxInterval),
		within("query.max_samples", c.Query.MaxSamples, 1, 1<<50),
		within("query.max_bytes", c.Query.MaxBytes, 1<<20, 1<<50),
		within("query.max_total_bytes", c.Query.MaxTotalBytes, 1<<20, 1<<50),
		within("processing.buffer_size", c.Processing.BufferSize, 1, maxBufferSize),
		within("processing.flush_interval", c.Processing.FlushInterval, minFlushInterval, maxInterval),
		within("processing.worker_threads", c.Processing.WorkerThreads, 0, maxWorkerThreads),
		within("exports.max_bytes", c.Exports.MaxBytes, 1, 1<<50),
		within("exports.keep", c.Exports.Keep, time.Minute, maxExportsKeep),
		within("log.slow_query", c.Log.SlowQuery, 0, maxInterval),
		c.validateAuth(),
		c.validateThresholds(),
		c.validateNetwork(),
		c.Flopynet.validate(),
		c.validateListeners())
	return errors.Join(problems...)
}

func within[T int | int64 | time.Duration](key string, given, least, most T) error {
	if given < least || given > most {
		return problem(key, "is %v; valid are %v to %v", given, least, most)
	}
	return nil
}

func (c Config) validateThresholds() error {
	var problems []error
	thresholds := c.Alerting.Thresholds
	if queue := thresholds.QueueSize; queue != nil && *queue <= 0 {
		problems = append(problems, problem("alerting.thresholds.queue_size", "is %d; valid is a number of samples above 0, or null for none", *queue))
	}
	if rate := thresholds.IngestionRate; rate != nil && !(*rate > 0 && *rate <= math.MaxFloat64) {
		problems = append(problems, problem("alerting.thresholds.ingestion_rate", "is %v; valid is a number of samples a second above 0, or null for none", *rate))
	}
	return errors.Join(problems...)
}

func (c Config) validateListeners() error {
	if len(c.Listen) == 0 {
		return problem("listen", "is empty; give at least one host:port, such as 127.0.0.1:8000")
	}
	var problems []error
	for _, address := range c.Listen {
		_, port, err := net.SplitHostPort(address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			problems = append(problems, problem("listen", "is %q; valid is host:port with a port from 0 to 65535, such as 127.0.0.1:8000", address))
		}
	}
	return errors.Join(problems...)
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// isLoopback reports whether only this machine can reach the host. Names other than localhost count as
// reachable, whatever they resolve to at the moment.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
