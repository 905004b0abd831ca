package flopynet

import (
	"math"
	"time"
)

// FLMonitoring is the training as FLOPY-NET's own API tells it.
type FLMonitoring struct {
	Timestamp           stamp   `json:"timestamp"` // of what the server told last, else the present
	TrainingActive      bool    `json:"training_active"`
	TrainingPaused      bool    `json:"training_paused"`
	CurrentRound        int     `json:"current_round"`
	MaxRounds           *int    `json:"max_rounds"`
	LatestAccuracy      float64 `json:"latest_accuracy"` // of the newest round, whichever of the server's answers told it
	LatestLoss          float64 `json:"latest_loss"`
	ConnectedClients    int     `json:"connected_clients"`
	TrainingComplete    bool    `json:"training_complete"`
	StoppedByPolicy     bool    `json:"stopped_by_policy"`
	ModelSizeMB         float64 `json:"model_size_mb"`
	StartTime           stamp   `json:"start_time"`  // of the server
	DataSource          string  `json:"data_source"` // fl_server, collector_storage or none
	FLServerAvailable   bool    `json:"fl_server_available"`
	CollectorMonitoring bool    `json:"collector_monitoring"` // the server is polled
	ServerStatus        string  `json:"server_status"`
	Stale               bool    `json:"stale,omitempty"`

	Missing []string `json:"missing,omitempty"` // what isn't known of the newest round, and therefore 0
}

// FLMonitoring tells how the training does.
func (t *Testbed) FLMonitoring() (FLMonitoring, error) {
	p, status, metrics := t.fl.progress(), t.FLStatus(), t.fl.metrics()
	newest, err := t.newestRound()
	if err != nil {
		return FLMonitoring{}, err
	}
	m := FLMonitoring{
		Timestamp: stamp(p.at), TrainingActive: p.fresh && p.active, TrainingPaused: p.paused, CurrentRound: p.current, ConnectedClients: p.clients,
		TrainingComplete: p.complete, StoppedByPolicy: p.stopped, ModelSizeMB: metrics.ModelSizeMB.value, StartTime: stamp(metrics.StartTime.or(0)).whole(time.Microsecond),
		FLServerAvailable: p.fresh, CollectorMonitoring: t.fl.peer != nil, ServerStatus: status.ServerStatus, Stale: status.Stale,
	}
	if p.max > 0 {
		m.MaxRounds = &p.max
	}
	if newest != nil {
		last := (&roundReader{}).round(newest)
		m.LatestAccuracy, m.LatestLoss, m.Missing = last.Accuracy, last.Loss, last.Missing
		if m.ModelSizeMB == 0 {
			m.ModelSizeMB = last.ModelSizeMB
		}
		if p.at == 0 {
			m.Timestamp, m.CurrentRound = last.Timestamp, last.Round
		}
	}
	if metrics.LastAccuracy.known && (newest == nil || metrics.CurrentRound.integer() != newest.number) {
		m.LatestAccuracy, m.LatestLoss, m.Missing = metrics.LastAccuracy.value, metrics.LastLoss.value, nil // the server has no table, or we can't store it
		if !metrics.LastLoss.known {
			m.Missing = []string{"loss"}
		}
	}
	switch {
	case p.fresh:
		m.DataSource = FLServer
	case p.at != 0 || newest != nil:
		m.DataSource = "collector_storage"
	default:
		m.DataSource = "none"
	}
	if m.Timestamp == 0 {
		m.Timestamp = stamp(t.options.Now().UnixNano()).whole(time.Millisecond)
	}
	return m, nil
}

// FLMetric is a round as FLOPY-NET's dashboard charts it.
type FLMetric struct {
	Timestamp        stamp    `json:"timestamp"`
	Round            int      `json:"round"`
	Training         int      `json:"training"`
	Status           string   `json:"status"`
	ClientsConnected int      `json:"clients_connected"`
	ClientsTotal     int      `json:"clients_total"`
	Accuracy         float64  `json:"accuracy"`
	Loss             float64  `json:"loss"`
	TrainingComplete bool     `json:"training_complete"`
	TrainingDuration float64  `json:"training_duration"` // seconds
	DataState        string   `json:"data_state"`
	Source           string   `json:"source"`
	ModelSizeMB      float64  `json:"model_size_mb"`
	Missing          []string `json:"missing,omitempty"`
	RawMetrics       object   `json:"raw_metrics,omitempty"`
}

// FLMetrics is the answer for the dashboard's charts.
type FLMetrics struct {
	Metrics          []FLMetric         `json:"metrics"`
	Count            int                `json:"count"`
	TotalRoundsFound int                `json:"total_rounds_found"`
	Status           string             `json:"status"`
	Summary          *FLTrainingSummary `json:"training_summary"`
}

// FLTrainingSummary sums up the rounds of an answer.
type FLTrainingSummary struct {
	TotalRounds           int        `json:"total_rounds"`
	CompletedRounds       int        `json:"completed_rounds"` // whose accuracy is known
	BestAccuracy          float64    `json:"best_accuracy"`
	LatestAccuracy        float64    `json:"latest_accuracy"`
	AverageAccuracy       float64    `json:"average_accuracy"`
	AccuracyImprovement   float64    `json:"accuracy_improvement"` // from the first to the last
	TrainingDurationTotal float64    `json:"training_duration_total"`
	RoundRange            RoundRange `json:"round_range"`
}

// RoundRange is from the lowest number to the highest.
type RoundRange struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// FLMetrics returns the newest rounds that a query selects, in ascending order.
func (t *Testbed) FLMetrics(q RoundsQuery) (FLMetrics, error) {
	found, err := t.LatestFLRounds(q)
	if err != nil {
		return FLMetrics{}, err
	}
	answer := FLMetrics{Metrics: make([]FLMetric, len(found.Rounds)), Count: len(found.Rounds), TotalRoundsFound: found.Total, Status: "success"}
	for i := range found.Rounds {
		r := &found.Rounds[i]
		state := "training"
		if r.TrainingComplete {
			state = "training_complete"
		}
		answer.Metrics[i] = FLMetric{
			Timestamp: r.Timestamp, Round: r.Round, Training: r.Training, Status: r.Status, ClientsConnected: r.ClientsConnected,
			ClientsTotal: r.ClientsTotal, Accuracy: r.Accuracy, Loss: r.Loss, TrainingComplete: r.TrainingComplete,
			TrainingDuration: r.TrainingDuration, DataState: state, Source: r.DataSource, ModelSizeMB: r.ModelSizeMB, Missing: r.Missing,
			RawMetrics: r.RawMetrics,
		}
	}
	summary := SumUp(found.Rounds)
	answer.Summary = &summary
	return answer, nil
}

// FLSummary is the newest training in a few numbers.
type FLSummary struct {
	LatestAccuracy   float64 `json:"latest_accuracy"`
	LatestLoss       float64 `json:"latest_loss"`
	TotalRounds      int     `json:"total_rounds"` // of the newest training, that we have
	Status           string  `json:"status"`       // no_data, unreachable, training, paused, stopped, completed or idle
	BestAccuracy     float64 `json:"best_accuracy"`
	AverageAccuracy  float64 `json:"average_accuracy"`
	CurrentRound     int     `json:"current_round"`
	MaxRounds        *int    `json:"max_rounds"`
	ConnectedClients int     `json:"connected_clients"`
	TrainingComplete bool    `json:"training_complete"`
	Timestamp        stamp   `json:"timestamp"`
	Stale            bool    `json:"stale,omitempty"`
}

// FLSummary sums up the newest rounds of the newest training, as many as the limit at most.
func (t *Testbed) FLSummary(limit int) (FLSummary, error) {
	found, err := t.LatestFLRounds(RoundsQuery{Limit: limit})
	if err != nil {
		return FLSummary{}, err
	}
	m, err := t.FLMonitoring()
	if err != nil {
		return FLSummary{}, err
	}
	sum := SumUp(found.Rounds)
	s := FLSummary{
		LatestAccuracy: m.LatestAccuracy, LatestLoss: m.LatestLoss, TotalRounds: found.Total, BestAccuracy: sum.BestAccuracy,
		AverageAccuracy: sum.AverageAccuracy, CurrentRound: m.CurrentRound, MaxRounds: m.MaxRounds, ConnectedClients: m.ConnectedClients,
		TrainingComplete: m.TrainingComplete, Timestamp: m.Timestamp, Stale: m.Stale, Status: "idle",
	}
	switch {
	case m.DataSource == "none":
		s.Status = "no_data"
	case !m.FLServerAvailable:
		s.Status = serverUnreachable
	case m.StoppedByPolicy:
		s.Status = "stopped"
	case m.TrainingComplete:
		s.Status = "completed"
	case m.TrainingActive && m.TrainingPaused:
		s.Status = "paused"
	case m.TrainingActive:
		s.Status = "training"
	}
	return s, nil
}

// SumUp sums up rounds, which are in ascending or in descending order.
func SumUp(rounds []FLRound) FLTrainingSummary {
	s := FLTrainingSummary{TotalRounds: len(rounds)}
	var first, last *FLRound
	sum := 0.0
	for i := range rounds {
		r := &rounds[i]
		if i == 0 {
			s.RoundRange = RoundRange{r.Round, r.Round}
		}
		s.RoundRange = RoundRange{min(s.RoundRange.Min, r.Round), max(s.RoundRange.Max, r.Round)}
		if r.FLRoundParts != nil {
			s.TrainingDurationTotal = bounded(s.TrainingDurationTotal + r.TrainingDuration)
		}
		if len(r.Missing) > 0 && r.Missing[0] == "accuracy" {
			continue
		}
		s.CompletedRounds++
		sum = bounded(sum + r.Accuracy)
		s.BestAccuracy = math.Max(s.BestAccuracy, r.Accuracy)
		if first == nil || r.Timestamp < first.Timestamp {
			first = r
		}
		if last == nil || r.Timestamp > last.Timestamp {
			last = r
		}
	}
	if last != nil {
		s.LatestAccuracy, s.AccuracyImprovement = last.Accuracy, bounded(last.Accuracy-first.Accuracy)
		s.AverageAccuracy = sum / float64(s.CompletedRounds)
	}
	return s
}

// bounded is the value, or the largest number that JSON has where it is beyond: who tells such has no business with exact sums.
func bounded(value float64) float64 { return max(-math.MaxFloat64, min(math.MaxFloat64, value)) }
