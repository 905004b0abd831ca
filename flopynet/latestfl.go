package flopynet

import (
	"context"
)

// LatestFL is how the training does, as FLOPY-NET's dashboard asks for it: numbers where it calculates, never null.
type LatestFL struct {
	Status           string  `json:"status"` // idle, training, paused, complete, error (the server can't be reached) or unknown (nothing was ever heard of it)
	Timestamp        string  `json:"timestamp"`
	Round            int     `json:"round"`
	MaxRounds        int     `json:"max_rounds"`
	Accuracy         float64 `json:"accuracy"`
	Loss             float64 `json:"loss"`
	ClientsConnected int     `json:"clients_connected"`
	ClientsTotal     int     `json:"clients_total"`
	TrainingActive   bool    `json:"training_active"`
	TrainingComplete bool    `json:"training_complete"`
	TrainingDuration float64 `json:"training_duration"` // in seconds, of the last round
	LastUpdate       string  `json:"last_update"`
	Stale            bool    `json:"stale,omitempty"`         // the values are the last known ones
	ServerStatus     string  `json:"server_status,omitempty"` // unreachable, where stale

	RawMetrics map[string]any `json:"raw_metrics"`
}

// LatestFL returns how the training does at a time, from what was stored of the FL server.
func (t *Testbed) LatestFL(ctx context.Context, to int64) (*LatestFL, error) {
	row, err := t.LatestRow(ctx, FLServer, to)
	if err != nil {
		return nil, err
	}
	l := &LatestFL{Status: StatusUnknown, RawMetrics: map[string]any{}}
	if row == nil {
		return l, nil
	}
	value := func(name string) float64 {
		number, _ := row.Data[name].(float64)
		return number
	}
	l.Timestamp, l.LastUpdate, l.RawMetrics = row.Timestamp, row.Timestamp, row.Data
	l.Round, l.MaxRounds = int(value("current_round")), int(value("max_rounds"))
	l.Accuracy, l.Loss, l.TrainingDuration = value("accuracy"), value("loss"), value("training_duration")
	l.ClientsConnected = int(value("connected_clients"))
	l.ClientsTotal = max(l.ClientsConnected, int(value("clients")))
	l.TrainingActive = value("training_active") != 0
	l.TrainingComplete = !l.TrainingActive && l.MaxRounds > 0 && l.Round >= l.MaxRounds
	l.Status = trainingState(l, value("training_paused") != 0)
	if p := t.Peer(FLServer); p.Status == StatusUnhealthy {
		l.Status, l.Stale, l.ServerStatus = "error", true, "unreachable"
	} else if p.URL != "" && p.LastSuccess.IsZero() {
		l.Stale = true
	}
	return l, nil
}

// trainingState names what the training does.
func trainingState(l *LatestFL, paused bool) string {
	switch {
	case l.TrainingComplete:
		return "complete"
	case paused:
		return "paused"
	case l.TrainingActive && l.Round > 0:
		return "training"
	}
	return "idle"
}
