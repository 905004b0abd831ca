package main

import (
	"log/slog"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/httpapi"
	"github.com/flopynet/collector/internal/alert"
)

// watchAlerts raises events when what the settings name crosses its threshold.
func watchAlerts(db *engine.DB, server *httpapi.Server, live *config.Live, logger *slog.Logger) *alert.Watcher {
	return alert.Start(alert.Options{
		Now: time.Now, Logger: logger, Store: db.WriteEvents,
		Figures: func() []alert.Figure {
			queue := alert.Figure{Name: "queue_size", Unit: "samples", Value: float64(db.TakeWaitingPeak())}
			rate := alert.Figure{Name: "ingestion_rate", Unit: "samples/s", Value: server.IngestionRate()}
			if settings := live.Config().Alerting; settings.Enabled {
				if most := settings.Thresholds.QueueSize; most != nil {
					threshold := float64(*most)
					queue.Threshold = &threshold
				}
				rate.Threshold = settings.Thresholds.IngestionRate
			}
			return []alert.Figure{queue, rate}
		},
	})
}
