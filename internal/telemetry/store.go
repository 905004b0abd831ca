package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// storeCollector exposes the measurements of a store.
type storeCollector struct{ stats func() engine.Stats }

// figure is a measurement that is one number.
type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*engine.Stats) float64
}

func counter(name, help string, value func(*engine.Stats) float64) figure {
	return figure{prometheus.NewDesc("collector_"+name+"_total", help, nil, nil), prometheus.CounterValue, value}
}

func gauge(name, help string, value func(*engine.Stats) float64) figure {
	return figure{prometheus.NewDesc("collector_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

// figures lists them all.
func figures() []figure {
	type stats = engine.Stats
	return []figure{
		counter("samples_accepted", "Samples acknowledged since the data directory was made.", func(s *stats) float64 { return float64(s.SamplesAccepted) }),
		gauge("samples_waiting", "Samples written and not yet acknowledged.", func(s *stats) float64 { return float64(s.WaitingSamples) }),
		gauge("samples_waiting_limit", "Samples waiting beyond which writes are refused.", func(s *stats) float64 { return float64(s.WaitingLimit) }),
		gauge("head_samples", "Samples in memory that are not in chunks yet.", func(s *stats) float64 { return float64(s.HeadSamples) }),
		gauge("series", "Series known in memory.", func(s *stats) float64 { return float64(s.Series) }),
		counter("series_refused", "New series refused for a limit.", func(s *stats) float64 { return float64(s.SeriesRefused) }),
		gauge("writable", "1 while writes are accepted.", func(s *stats) float64 { return boolean(s.WriteError == nil) }),
		gauge("wal_size_bytes", "Size of the write-ahead log.", func(s *stats) float64 { return float64(s.WALBytes) }),
		gauge("wal_segments", "Segments of the write-ahead log.", func(s *stats) float64 { return float64(s.WALSegments) }),
		gauge("chunk_store_size_bytes", "Size of the chunk store on disk.", func(s *stats) float64 { return float64(s.DiskBytes) }),
		gauge("last_flush_timestamp_seconds", "When samples in memory were last written to chunks; 0 is not since the start.", lastFlush),
		counter("result_cache_hits", "Results of queries that were in the cache.", func(s *stats) float64 { return float64(s.Cache.Hits) }),
		counter("result_cache_misses", "Results of queries that were not in the cache.", func(s *stats) float64 { return float64(s.Cache.Misses) }),
		gauge("result_cache_entries", "Results in the cache.", func(s *stats) float64 { return float64(s.Cache.Entries) }),
		gauge("result_cache_size_bytes", "Memory that the cache of results takes.", func(s *stats) float64 { return float64(s.Cache.Bytes) }),
		gauge("result_cache_limit_bytes", "Memory that the cache of results may take.", func(s *stats) float64 { return float64(s.Cache.MaxBytes) }),
		gauge("maintenance_running", "1 while a job of maintenance is under way.", func(s *stats) float64 { return boolean(s.Maintenance.Job != "") }),
		gauge("deletes_pending", "Deletes whose space has not come back yet.", func(s *stats) float64 { return float64(s.Maintenance.PendingDeletes) }),
		counter("maintenance_partitions_joined", "Days whose chunks were joined.", func(s *stats) float64 { return float64(s.Maintenance.DaysJoined) }),
		counter("maintenance_partitions_rolled_up", "Days that were rolled up.", func(s *stats) float64 { return float64(s.Maintenance.DaysRolled) }),
		counter("maintenance_chunks_read", "Chunks that were joined.", func(s *stats) float64 { return float64(s.Maintenance.ChunksIn) }),
		counter("maintenance_chunks_written", "Chunks that joined ones became.", func(s *stats) float64 { return float64(s.Maintenance.ChunksOut) }),
		counter("maintenance_read_bytes", "Bytes of chunks that were joined.", func(s *stats) float64 { return float64(s.Maintenance.BytesIn) }),
		counter("maintenance_written_bytes", "Bytes of chunks that joined ones became.", func(s *stats) float64 { return float64(s.Maintenance.BytesOut) }),
		counter("maintenance_points_written", "Points computed by rollups.", func(s *stats) float64 { return float64(s.Maintenance.Points) }),
		counter("maintenance_partitions_dropped", "Expired partitions that were dropped.", func(s *stats) float64 { return float64(s.Maintenance.PartitionsDropped) }),
		counter("maintenance_series_dropped", "Series without samples that were dropped.", func(s *stats) float64 { return float64(s.Maintenance.SeriesDropped) }),
		counter("maintenance_deletes_finished", "Deletes whose space has come back.", func(s *stats) float64 { return float64(s.Maintenance.DeletesFinished) }),
	}
}

func lastFlush(s *engine.Stats) float64 {
	if s.LastFlush.IsZero() {
		return 0
	}
	return float64(s.LastFlush.UnixNano()) / 1e9
}

func boolean(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func fsyncDesc() *prometheus.Desc {
	return prometheus.NewDesc("collector_wal_fsync_duration_seconds", "How long fsyncs of the write-ahead log took.", nil, nil)
}

func partitionsDesc() *prometheus.Desc {
	return prometheus.NewDesc("collector_partitions", "Stored partitions, by tier.", []string{"tier"}, nil)
}

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range figures() {
		out <- f.desc
	}
	out <- fsyncDesc()
	out <- partitionsDesc()
}

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(out chan<- prometheus.Metric) {
	stats := c.stats()
	for _, f := range figures() {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&stats))
	}
	buckets := make(map[float64]uint64, len(engine.FsyncBounds))
	below := uint64(0)
	for i, bound := range engine.FsyncBounds {
		below += stats.WALFsyncTimes[i]
		buckets[bound.Seconds()] = below
	}
	out <- prometheus.MustNewConstHistogram(fsyncDesc(), stats.WALFsyncs, stats.WALFsyncTime.Seconds(), buckets)
	for tier, count := range stats.Maintenance.Partitions {
		out <- prometheus.MustNewConstMetric(partitionsDesc(), prometheus.GaugeValue, float64(count), model.Tier(tier).String())
	}
}
