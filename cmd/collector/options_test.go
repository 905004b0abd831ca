package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

// TestEngineOptions sets every setting that is the engine's to something else than its default.
func TestEngineOptions(t *testing.T) {
	day := 24 * time.Hour
	settings := config.Config{
		WAL: config.WAL{Sync: config.SyncInterval, SyncInterval: time.Millisecond},
		Storage: config.Storage{
			RetentionDays: 1, Retention5m: config.Age(2 * day), Retention1h: config.Forever,
			RetentionRules: []config.RetentionRule{{Match: "m*", Source: "s", Raw: config.Age(3 * day)}},
			MaxSeries:      4, MaxNewSeriesPerMinute: 5, BatchSize: 10,
		},
		Cache:      config.Cache{QueryBytes: 6},
		Query:      config.Query{MaxSamples: 11, MaxBytes: 12, MaxTotalBytes: 13},
		Processing: config.Processing{BufferSize: 7, FlushInterval: 8, WorkerThreads: 9},
	}
	want := engine.Options{
		Sync: engine.SyncInterval, SyncInterval: time.Millisecond,
		Retention: engine.RetentionPolicy{
			Default: engine.Retention{Raw: day, FiveMinutes: 2 * day, Hour: engine.KeepForever},
			Rules:   []engine.RetentionRule{{Match: "m*", Source: "s", Retention: engine.Retention{Raw: 3 * day}}},
		},
		MaxSeries: 4, MaxNewSeries: 5, ResultCacheBytes: 6,
		MaxWaitingSamples: 7, FlushInterval: 8, Workers: 9, MinFreeBytes: -1,
		MaxGroupSamples: 10, Uncompressed: true, MaxQuerySamples: 11, MaxQueryBytes: 12, MaxQueriesBytes: 13,
	}
	got := engineOptions(settings, slog.New(slog.DiscardHandler))
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(engine.Options{}, "Logger", "Now"), cmpopts.IgnoreUnexported(engine.Options{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
