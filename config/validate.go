package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// Limits of the numbers. A retention of maxRetentionDays still fits a time.Duration.
const (
	maxRetentionDays = 100_000
	maxSeries        = 1_000_000_000
	maxBufferSize    = 1_000_000_000
	maxWorkerThreads = 1024
	maxInterval      = 24 * time.Hour
	minFlushInterval = time.Second
	minSyncInterval  = time.Millisecond
)

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// Validate reports every setting that can't be used, with what was given and what is valid.
func (c Config) Validate() error {
	var problems []error
	reject := func(valid bool, key string, given any, wanted string) {
		if !valid {
			problems = append(problems, fmt.Errorf("%s is %v; %s", key, given, wanted))
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
	problems = append(problems,
		within("wal.sync_interval", c.WAL.SyncInterval, minSyncInterval, maxInterval),
		c.validateRetention(),
		within("storage.max_series", c.Storage.MaxSeries, 0, maxSeries),
		within("storage.max_new_series_per_minute", c.Storage.MaxNewSeriesPerMinute, 0, maxSeries),
		within("storage.min_free_bytes", c.Storage.MinFreeBytes, 0, 1<<50),
		within("cache.query_bytes", c.Cache.QueryBytes, 0, 1<<50),
		within("processing.buffer_size", c.Processing.BufferSize, 1, maxBufferSize),
		within("processing.flush_interval", c.Processing.FlushInterval, minFlushInterval, maxInterval),
		within("processing.worker_threads", c.Processing.WorkerThreads, 0, maxWorkerThreads),
		c.validateAuth(),
		c.validateListeners())
	return errors.Join(problems...)
}

func within[T int | int64 | time.Duration](key string, given, least, most T) error {
	if given < least || given > most {
		return fmt.Errorf("%s is %v; valid are %v to %v", key, given, least, most)
	}
	return nil
}

func (c Config) validateListeners() error {
	if len(c.Listen) == 0 {
		return errors.New("listen is empty; give at least one host:port, such as 127.0.0.1:8000")
	}
	var problems []error
	for _, address := range c.Listen {
		_, port, err := net.SplitHostPort(address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("listen is %q; valid is host:port with a port from 0 to 65535, such as 127.0.0.1:8000", address))
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
