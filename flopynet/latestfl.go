package flopynet

import (
	"context"

	"github.com/flopynet/collector/internal/timefmt"
)

// LatestFL is how the training does, as FLOPY-NET's dashboard asks for it in the overview: numbers where it calculates, never null.
type LatestFL struct {
	Status           string  `json:"status"` // idle, training, paused, complete, error (the server doesn't answer) or unknown (nothing was ever heard of it)
	Timestamp        string  `json:"timestamp"`
	Round            int     `json:"round"`
	MaxRounds        int     `json:"max_rounds"` // 0: not known
	Accuracy         float64 `json:"accuracy"`
	Loss             float64 `json:"loss"`
	ClientsConnected int     `json:"clients_connected"`
	ClientsTotal     int     `json:"clients_total"`
	TrainingActive   bool    `json:"training_active"`
	TrainingComplete bool    `json:"training_complete"`
	TrainingDuration float64 `json:"training_duration"` // in seconds, of the last round
	LastUpdate       string  `json:"last_update"`       // when the values were told
	Stale            bool    `json:"stale,omitempty"`   // the values are the last known ones
	ServerStatus     string  `json:"server_status"`

	RawMetrics map[string]any `json:"raw_metrics"` // the newest value of each metric of the FL server
}

// LatestFL returns how the training does. Where the FL server was never heard of, others may have written its metrics: those
// before a time are shown then.
func (t *Testbed) LatestFL(ctx context.Context, to int64) (*LatestFL, error) {
	m, err := t.FLMonitoring()
	if err != nil {
		return nil, err
	}
	row, err := t.LatestRow(ctx, FLServer, to)
	if err != nil {
		return nil, err
	}
	l := &LatestFL{
		Status: trainingState(&m), Timestamp: string(timefmt.AppendTime(nil, t.options.Now().UnixNano())), Round: m.CurrentRound, Accuracy: m.LatestAccuracy, Loss: m.LatestLoss,
		ClientsConnected: m.ConnectedClients, TrainingActive: m.TrainingActive, TrainingComplete: m.TrainingComplete, Stale: m.Stale,
		ServerStatus: m.ServerStatus, RawMetrics: map[string]any{},
	}
	if m.MaxRounds != nil {
		l.MaxRounds = *m.MaxRounds
	}
	if row != nil {
		l.Timestamp, l.RawMetrics = row.Timestamp, row.Data
		if m.DataSource == "none" {
			l.Round, l.MaxRounds, l.ClientsConnected = int(row.number("current_round")), int(row.number("max_rounds")), int(row.number("connected_clients"))
			l.Accuracy, l.Loss = row.number("accuracy"), row.number("loss")
		}
		l.TrainingDuration, l.ClientsTotal = row.number("training_duration"), int(row.number("clients"))
	}
	l.LastUpdate, l.ClientsTotal = l.Timestamp, max(l.ClientsTotal, l.ClientsConnected)
	if m.Stale { // that it doesn't answer was measured later
		l.LastUpdate = string(timefmt.AppendTime(nil, int64(m.Timestamp)))
	}
	return l, nil
}

// number is the value of a metric; 0: there is none.
func (r *HistoryRow) number(name string) float64 {
	value, _ := r.Data[name].(float64)
	return value
}

// trainingState names what the training does, in the words of the dashboard.
func trainingState(m *FLMonitoring) string {
	switch {
	case m.DataSource == "none":
		return StatusUnknown
	case !m.FLServerAvailable:
		return "error"
	case m.TrainingComplete:
		return "complete"
	case m.TrainingPaused:
		return "paused"
	case m.TrainingActive && m.CurrentRound > 0:
		return "training"
	}
	return "idle"
}
