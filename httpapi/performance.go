package httpapi

import (
	"fmt"
	"math"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// performanceReport is the answer of GET /system/performance. Everything in it is measured; what can't be
// is null. Texts for people have twins for programs.
type performanceReport struct {
	Ingestion   ingestionPerformance   `json:"ingestion"`
	Storage     storagePerformance     `json:"storage"`
	Queries     queryPerformance       `json:"queries"`
	Cache       cachePerformance       `json:"cache"`
	Maintenance maintenancePerformance `json:"maintenance"`
	Live        livePerformance        `json:"live"`
}

// livePerformance counts since the start, where it doesn't say now.
type livePerformance struct {
	Connections int    `json:"connections"` // WebSockets and event streams, now
	Subscribers int    `json:"subscribers"` // now, those inside the collector too
	QueuedBytes int64  `json:"queued_bytes"`
	Delivered   uint64 `json:"updates_delivered"`
	Dropped     uint64 `json:"updates_dropped"` // since a subscriber was too slow
	Overrun     uint64 `json:"updates_overrun"` // since the collector was: for each subscriber, what it didn't look at in time
}

func (s *Server) livePerformance(w *engine.WatchStats) livePerformance {
	return livePerformance{
		Connections: s.live.count(), Subscribers: w.Watchers, QueuedBytes: w.QueuedBytes,
		Delivered: w.Delivered, Dropped: w.Dropped, Overrun: w.Overrun,
	}
}

type ingestionPerformance struct {
	Rate           string  `json:"rate"` // of the last minute
	RatePerSec     float64 `json:"rate_per_second"`
	PeakRate       string  `json:"peak_rate"` // of the ten seconds with most, since the start
	PeakRatePerSec float64 `json:"peak_rate_per_second"`
	TotalMetrics   uint64  `json:"total_metrics"` // samples accepted since the data directory was made
	QueueSize      int64   `json:"queue_size"`    // samples waiting to become durable
	QueueMax       int64   `json:"queue_max"`
	Series         int     `json:"series"`         // in memory
	SeriesRefused  uint64  `json:"series_refused"` // for a limit, since the start
}

type storagePerformance struct {
	TotalSize        string   `json:"total_size"` // chunks and write-ahead log
	TotalSizeBytes   int64    `json:"total_size_bytes"`
	CompressionRatio *float64 `json:"compression_ratio"` // bytes of chunks and their keys, for each 16 of the samples in them; null: there are none
	SamplesInChunks  uint64   `json:"samples_in_chunks"` // overwritten and deleted ones count until maintenance has dropped them
	RetentionPolicy  string   `json:"retention_policy"`  // of raw samples, by default
	RetentionDays    float64  `json:"retention_days"`    // the same; 0: for ever
	OldestData       *string  `json:"oldest_data"`       // the first sample, or where retention begins while it hides some that are stored; null: there is none
	SamplesInMemory  int64    `json:"samples_in_memory"`
}

type queryPerformance struct {
	AvgResponseTime   *string  `json:"avg_response_time"` // since the start
	AvgResponseTimeMs *float64 `json:"avg_response_time_ms"`
	QueriesPerMinute  float64  `json:"queries_per_minute"` // in the last minute
	CacheHitRate      *float64 `json:"cache_hit_rate"`     // since the start
}

type cachePerformance struct {
	Hits     uint64 `json:"hits"`
	Misses   uint64 `json:"misses"`
	Entries  int    `json:"entries"`
	Bytes    int64  `json:"bytes"`
	MaxBytes int64  `json:"max_bytes"`
}

type maintenancePerformance struct {
	Job            *jobProgress   `json:"job"` // null: nothing is under way
	Partitions     partitionCount `json:"partitions"`
	PendingDeletes int            `json:"pending_deletes"`
	maintenanceWork
}

type jobProgress struct {
	Name    string  `json:"name"`
	Series  int     `json:"series"` // visited so far
	Since   string  `json:"since"`
	Seconds float64 `json:"seconds"` // it has taken so far
}

// partitionCount counts the stored partitions of each tier.
type partitionCount struct {
	Raw         int `json:"raw"`
	FiveMinutes int `json:"5m"`
	Hour        int `json:"1h"`
}

// maintenanceWork counts what maintenance has done since the start, or during a request.
type maintenanceWork struct {
	DaysJoined        int64 `json:"days_joined"`
	ChunksIn          int64 `json:"chunks_in"`
	ChunksOut         int64 `json:"chunks_out"`
	BytesIn           int64 `json:"bytes_in"`
	BytesOut          int64 `json:"bytes_out"`
	DaysRolled        int64 `json:"days_rolled"`
	Points            int64 `json:"points"`
	PartitionsDropped int64 `json:"partitions_dropped"`
	SeriesDropped     int64 `json:"series_dropped"`
	DeletesFinished   int64 `json:"deletes_finished"`
}

func workOf(m *engine.MaintenanceStats) maintenanceWork {
	return maintenanceWork{
		DaysJoined: m.DaysJoined, ChunksIn: m.ChunksIn, ChunksOut: m.ChunksOut, BytesIn: m.BytesIn, BytesOut: m.BytesOut,
		DaysRolled: m.DaysRolled, Points: m.Points,
		PartitionsDropped: m.PartitionsDropped, SeriesDropped: m.SeriesDropped, DeletesFinished: m.DeletesFinished,
	}
}

// minus returns what was done since before.
func (w maintenanceWork) minus(before maintenanceWork) maintenanceWork {
	return maintenanceWork{
		DaysJoined: w.DaysJoined - before.DaysJoined, ChunksIn: w.ChunksIn - before.ChunksIn, ChunksOut: w.ChunksOut - before.ChunksOut,
		BytesIn: w.BytesIn - before.BytesIn, BytesOut: w.BytesOut - before.BytesOut,
		DaysRolled: w.DaysRolled - before.DaysRolled, Points: w.Points - before.Points,
		PartitionsDropped: w.PartitionsDropped - before.PartitionsDropped, SeriesDropped: w.SeriesDropped - before.SeriesDropped,
		DeletesFinished: w.DeletesFinished - before.DeletesFinished,
	}
}

// getPerformance answers GET /system/performance.
func (s *Server) getPerformance(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	stats := s.db.Stats()
	report := performanceReport{
		Ingestion:   s.ingestion(&stats, r.received),
		Storage:     storagePerformanceOf(&stats, s.db.Retention()),
		Queries:     s.queryPerformance(&stats.Cache, r.received),
		Cache:       cachePerformanceOf(&stats.Cache),
		Maintenance: maintenancePerformanceOf(&stats.Maintenance, r.received),
		Live:        s.livePerformance(&stats.Watch),
	}
	r.respondValue(fasthttp.StatusOK, report)
	return nil
}

func (s *Server) ingestion(stats *engine.Stats, now time.Time) ingestionPerformance {
	rate, peak := s.samples.rate(now, meterSlot), s.samples.peak()
	return ingestionPerformance{
		Rate: formatRate(rate), RatePerSec: rate, PeakRate: formatRate(peak), PeakRatePerSec: peak,
		TotalMetrics: stats.SamplesAccepted, QueueSize: stats.WaitingSamples, QueueMax: stats.WaitingLimit,
		Series: stats.Series, SeriesRefused: stats.SeriesRefused,
	}
}

// rawSampleBytes is what a sample takes that is not compressed: its time and its value.
const rawSampleBytes = 16

func formatRate(perSecond float64) string { return fmt.Sprintf("%.0f metrics/sec", perSecond) }

func storagePerformanceOf(stats *engine.Stats, retention engine.RetentionPolicy) storagePerformance {
	size := int64(stats.DiskBytes) + stats.WALBytes
	p := storagePerformance{
		TotalSize: formatBytes(uint64(size)), TotalSizeBytes: size,
		RetentionPolicy: "forever", SamplesInMemory: stats.HeadSamples, SamplesInChunks: stats.StoredSamples,
	}
	if stats.StoredSamples > 0 {
		ratio := float64(stats.StoredBytes) / float64(stats.StoredSamples*rawSampleBytes)
		p.CompressionRatio = &ratio
	}
	if stats.HasOldest {
		oldest := formatTime(stats.Oldest)
		p.OldestData = &oldest
	}
	if raw := retention.Of(0).Tier(model.TierRaw); raw != engine.KeepForever {
		p.RetentionDays = raw.Hours() / 24
		p.RetentionPolicy = formatAge(raw)
	}
	return p
}

func (s *Server) queryPerformance(cache *engine.CacheStats, now time.Time) queryPerformance {
	perSecond := s.queries.answered.rate(now, time.Minute)
	p := queryPerformance{QueriesPerMinute: math.Round(perSecond*60*1000) / 1000, CacheHitRate: hitRate(cache)}
	if average, any := s.queries.average(); any {
		text, ms := formatShort(average), milliseconds(average)
		p.AvgResponseTime, p.AvgResponseTimeMs = &text, &ms
	}
	return p
}

// hitRate is the share of hits, nil if nobody has asked yet.
func hitRate(cache *engine.CacheStats) *float64 {
	asked := cache.Hits + cache.Misses
	if asked == 0 {
		return nil
	}
	rate := float64(cache.Hits) / float64(asked)
	return &rate
}

func cachePerformanceOf(cache *engine.CacheStats) cachePerformance {
	return cachePerformance{Hits: cache.Hits, Misses: cache.Misses, Entries: cache.Entries, Bytes: cache.Bytes, MaxBytes: cache.MaxBytes}
}

func maintenancePerformanceOf(m *engine.MaintenanceStats, now time.Time) maintenancePerformance {
	p := maintenancePerformance{
		Partitions: partitionCount{
			Raw: m.Partitions[model.TierRaw], FiveMinutes: m.Partitions[model.Tier5m], Hour: m.Partitions[model.Tier1h],
		},
		PendingDeletes:  m.PendingDeletes,
		maintenanceWork: workOf(m),
	}
	if m.Job != "" {
		p.Job = &jobProgress{
			Name: m.Job, Series: m.JobSeries, Since: formatTime(m.JobSince.UnixNano()), Seconds: now.Sub(m.JobSince).Seconds(),
		}
	}
	return p
}
