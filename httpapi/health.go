package httpapi

import (
	"context"
	"runtime/metrics"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// The states of the collector.
const (
	statusHealthy   = "healthy"
	statusUnhealthy = "unhealthy"
)

// healthReport is the answer of GET /health. Texts for people have twins for programs.
type healthReport struct {
	Status           string                   `json:"status"`
	Service          string                   `json:"service"`
	Version          string                   `json:"version"`
	CollectorVersion string                   `json:"collector_version"`
	Timestamp        string                   `json:"timestamp"`
	Uptime           string                   `json:"uptime"`
	UptimeSeconds    int64                    `json:"uptime_seconds"`
	LastCollection   *string                  `json:"last_collection"` // null: nothing was collected since the start
	Components       healthComponents         `json:"components"`
	Monitors         monitors                 `json:"monitors"`
	Services         map[string]serviceHealth `json:"services"` // the components that are polled
}

// briefHealth is the answer to those who would need a key and have none.
type briefHealth struct {
	Status        string `json:"status"`
	Service       string `json:"service"`
	Version       string `json:"version"`
	Uptime        string `json:"uptime"`
	UptimeSeconds int64  `json:"uptime_seconds"`
}

func (h *healthReport) brief() briefHealth {
	return briefHealth{h.Status, h.Service, h.Version, h.Uptime, h.UptimeSeconds}
}

// healthComponents are the parts of the collector. Users of the service that stood here before know two
// of them by the names of the programs it used: influxdb is our store, redis the cache of results.
type healthComponents struct {
	Storage          storeHealth     `json:"storage"`
	WAL              walHealth       `json:"wal"`
	MetricsProcessor processorHealth `json:"metrics_processor"`
	InfluxDB         storeHealth     `json:"influxdb"`
	Redis            cacheHealth     `json:"redis"`
}

type storeHealth struct {
	Status            string  `json:"status"`
	Engine            string  `json:"engine"`
	Error             string  `json:"error,omitempty"`
	ResponseTime      string  `json:"response_time"` // of a read
	ResponseTimeMs    float64 `json:"response_time_ms"`
	DatabaseSize      string  `json:"database_size"` // chunks and write-ahead log
	DatabaseSizeBytes int64   `json:"database_size_bytes"`
	Series            int     `json:"series"`
	SamplesAccepted   uint64  `json:"samples_accepted"`
	LastFlush         *string `json:"last_flush"`
}

type cacheHealth struct {
	Status           string   `json:"status"` // connected, or off: its size is set to 0
	Engine           string   `json:"engine"`
	ResponseTime     string   `json:"response_time"` // of asking for its state, and the store's
	ResponseTimeMs   float64  `json:"response_time_ms"`
	MemoryUsage      string   `json:"memory_usage"`
	MemoryUsageBytes int64    `json:"memory_usage_bytes"`
	MemoryMaxBytes   int64    `json:"memory_max_bytes"`
	Entries          int      `json:"entries"`
	HitRate          *float64 `json:"hit_rate"` // null: nobody has asked yet
}

type walHealth struct {
	Status      string  `json:"status"`
	Error       string  `json:"error,omitempty"`
	Size        string  `json:"size"`
	SizeBytes   int64   `json:"size_bytes"`
	Fsyncs      uint64  `json:"fsyncs"`
	FsyncTime   string  `json:"fsync_time"` // on average
	FsyncTimeMs float64 `json:"fsync_time_ms"`
}

type processorHealth struct {
	Status               string  `json:"status"`
	QueueSize            int64   `json:"queue_size"` // samples waiting to become durable
	QueueMax             int64   `json:"queue_max"`
	ProcessingRate       string  `json:"processing_rate"`
	ProcessingRatePerSec float64 `json:"processing_rate_per_second"`
	SamplesInMemory      int64   `json:"samples_in_memory"` // not in chunks yet
	HeapUsage            string  `json:"heap_usage"`        // of the whole process
	HeapUsageBytes       uint64  `json:"heap_usage_bytes"`
}

// health measures the collector.
func (s *Server) health(ctx context.Context, now time.Time) healthReport {
	readTime, readErr := s.timed(ctx, s.probe)
	var stats engine.Stats
	statsTime, _ := s.timed(ctx, func(context.Context) error {
		stats = s.db.Stats()
		return nil
	})
	uptime := now.Sub(s.started)
	rate := s.samples.rate(now, meterSlot)
	store := storeHealthOf(&stats, readTime, readErr)
	report := healthReport{
		Status: statusHealthy, Service: "collector",
		Version: s.options.Version, CollectorVersion: s.options.Version,
		Timestamp: formatTime(now.UnixNano()),
		Uptime:    formatUptime(uptime), UptimeSeconds: int64(uptime / time.Second),
		LastCollection: s.lastCollection(),
		Monitors:       s.monitors(), Services: s.services(),
		Components: healthComponents{
			Storage: store, InfluxDB: store,
			WAL:              walHealthOf(&stats),
			MetricsProcessor: processorHealthOf(&stats, rate),
			Redis:            cacheHealthOf(&stats.Cache, statsTime),
		},
	}
	if readErr != nil || stats.WriteError != nil {
		report.Status = statusUnhealthy
	}
	return report
}

func storeHealthOf(stats *engine.Stats, readTime time.Duration, readErr error) storeHealth {
	h := storeHealth{
		Status: "connected", Engine: "embedded", Error: errorText(readErr),
		ResponseTime: formatShort(readTime), ResponseTimeMs: milliseconds(readTime),
		DatabaseSizeBytes: int64(stats.DiskBytes) + stats.WALBytes,
		Series:            stats.Series, SamplesAccepted: stats.SamplesAccepted, LastFlush: nullableTime(stats.LastFlush),
	}
	h.DatabaseSize = formatBytes(uint64(h.DatabaseSizeBytes))
	if readErr != nil {
		h.Status = "failing"
	}
	return h
}

func walHealthOf(stats *engine.Stats) walHealth {
	var fsync time.Duration
	if stats.WALFsyncs > 0 {
		fsync = stats.WALFsyncTime / time.Duration(stats.WALFsyncs)
	}
	h := walHealth{
		Status: "running", Error: errorText(stats.WriteError),
		Size: formatBytes(uint64(stats.WALBytes)), SizeBytes: stats.WALBytes,
		Fsyncs: stats.WALFsyncs, FsyncTime: formatShort(fsync), FsyncTimeMs: milliseconds(fsync),
	}
	if stats.WriteError != nil {
		h.Status = "refusing writes"
	}
	return h
}

func processorHealthOf(stats *engine.Stats, rate float64) processorHealth {
	heap := heapBytes()
	h := processorHealth{
		Status: "running", QueueSize: stats.WaitingSamples, QueueMax: stats.WaitingLimit,
		ProcessingRate: formatRate(rate), ProcessingRatePerSec: rate,
		SamplesInMemory: stats.HeadSamples, HeapUsage: formatBytes(heap), HeapUsageBytes: heap,
	}
	if stats.WriteError != nil {
		h.Status = "stopped"
	}
	return h
}

func cacheHealthOf(cache *engine.CacheStats, statsTime time.Duration) cacheHealth {
	h := cacheHealth{
		Status: "connected", Engine: "embedded",
		ResponseTime: formatShort(statsTime), ResponseTimeMs: milliseconds(statsTime),
		MemoryUsage: formatBytes(uint64(cache.Bytes)), MemoryUsageBytes: cache.Bytes, MemoryMaxBytes: cache.MaxBytes,
		Entries: cache.Entries, HitRate: hitRate(cache),
	}
	if cache.MaxBytes == 0 {
		h.Status = "off"
	}
	return h
}

// probe reads from the store as a query does.
func (s *Server) probe(ctx context.Context) error {
	now := s.now()
	_, err := s.db.Select(ctx, engine.Selection{
		Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "collector_health_probe")},
		From:     now - int64(time.Hour), To: now,
	})
	return err
}

// lastCollection returns when samples last came in.
func (s *Server) lastCollection() *string {
	if stored := s.stored.Load(); stored != 0 {
		return nullableTime(time.Unix(0, stored))
	}
	return nil
}

func nullableTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := string(timefmt.AppendTime(nil, t.UnixNano()))
	return &text
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// heapBytes returns how much memory the process' live and not yet collected objects take.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
