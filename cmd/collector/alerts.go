package main

import (
	"log/slog"
	"time"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/httpapi"
	"github.com/flopynet/collector/internal/alert"
)

// stateAlert and stateRaised are the kind and the name of the small state that the alerts which aren't over are.
const (
	stateAlert  = "alert"
	stateRaised = "raised"
)

// watchAlerts raises events when what the settings name crosses its threshold.
func watchAlerts(db *engine.DB, server *httpapi.Server, live *config.Live, logger *slog.Logger) *alert.Watcher {
	return alert.Start(alert.Options{
		Now: time.Now, Logger: logger, Store: db.WriteEvents,
		Load: func() ([]byte, error) { return db.State(stateAlert, stateRaised) },
		Keep: func(text []byte) error {
			return db.ChangeState(engine.StateChange{Kind: stateAlert, Name: stateRaised, Value: text})
		},
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
