package main

import (
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

// openConfig lays what was changed through the API over the settings given, and says where they differ.
func openConfig(given config.Config, logger *slog.Logger) (*config.Live, error) {
	live, overruled, err := config.OpenLive(given)
	if err != nil {
		return nil, err
	}
	for _, o := range overruled {
		now := o.Given
		if now == "" {
			now = "the default"
		}
		logger.Warn("a setting that was changed through the API is forgotten, since flags, environment or file say something else than they did then",
			"key", o.Key, "changed_to", o.Change, "now", now)
	}
	if changed := live.Changed(); len(changed) > 0 {
		logger.Info("settings that were changed through the API hold", "keys", strings.Join(changed, " "))
	}
	return live, nil
}

// applier puts changed settings in force.
type applier struct {
	db     *engine.DB
	level  *slog.LevelVar
	logger *slog.Logger
}

func (a *applier) apply(before, after config.Config) {
	a.level.Set(after.LogLevel())
	if tuning := tuningOf(after); tuning != tuningOf(before) {
		if err := a.db.Reconfigure(tuning); err != nil {
			a.logger.Error("changed settings don't hold before the next start", "error", err) // config allows less than the engine
		}
	}
	if age := after.Storage.RetentionEvents; age != before.Storage.RetentionEvents {
		if err := a.db.SetEventRetention(time.Duration(age)); err != nil {
			a.logger.Error("the changed retention of events doesn't hold before the next start", "error", err)
		}
	}
	if policy := after.RetentionPolicy(); !reflect.DeepEqual(policy, before.RetentionPolicy()) {
		if err := a.db.SetRetention(policy); err != nil {
			a.logger.Error("the changed retention doesn't hold before the next start", "error", err)
		}
	}
}

// tuningOf returns what of the settings the engine can change while it runs.
func tuningOf(settings config.Config) engine.Tuning {
	tuning := engine.Tuning{
		MaxWaitingSamples: settings.Processing.BufferSize,
		MaxGroupSamples:   settings.Storage.BatchSize,
		FlushInterval:     settings.Processing.FlushInterval,
		Workers:           settings.Processing.WorkerThreads,
		Uncompressed:      !settings.Storage.CompressionEnabled,
		MaxSeries:         settings.Storage.MaxSeries,
		MaxNewSeries:      settings.Storage.MaxNewSeriesPerMinute,
		MinFreeBytes:      settings.Storage.MinFreeBytes,
		ResultCacheBytes:  settings.Cache.QueryBytes,
		MaxQuerySamples:   settings.Query.MaxSamples,
		MaxQueryBytes:     settings.Query.MaxBytes,
		MaxQueriesBytes:   settings.Query.MaxTotalBytes,
	}
	if tuning.MinFreeBytes == 0 {
		tuning.MinFreeBytes = -1 // the engine's way to say that nothing is checked
	}
	return tuning
}
