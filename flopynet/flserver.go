package flopynet

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// flServer monitors the FL server, and knows what it told last.
type flServer struct {
	testbed  *Testbed
	peer     *peer // nil: it is not polled
	recorder *recorder
	rounds   *flRounds
	sync     roundSync
	events   flEvents

	mu    sync.Mutex
	last  flLast
	fresh bool // the last try to get the status was good
}

// flLast is what the FL server told last, as it is kept.
type flLast struct {
	Status    object `json:"status,omitempty"`
	StatusAt  int64  `json:"status_at,omitempty"` // the server's time of it; ns
	Metrics   object `json:"metrics,omitempty"`   // without its lists
	MetricsAt int64  `json:"metrics_at,omitempty"`
}

// flLastState is the name of flLast in the state.
const flLastState = FLServer + "/last"

// openFLServer reads what is known of the FL server.
func openFLServer(t *Testbed) *flServer {
	logger := t.options.Logger
	return &flServer{
		testbed: t, recorder: t.recorder(FLServer), rounds: openRounds(t.db, logger),
		events: flEvents{position: restored[flEventPosition](t.db, logger, flEventsState)}, last: restored[flLast](t.db, logger, flLastState),
	}
}

// monitorFLServer adds the pollers of the FL server.
func (t *Testbed) monitorFLServer(p *peer) {
	f := t.fl
	f.peer = p
	f.sync = newRoundSync(p, f.recorder, f.rounds, t.options.Logger)
	t.poll(p, "state", t.options.FLServer.Interval, f.recorder, f.poll)
	f.events.peer, f.events.recorder = p, f.recorder
	t.poll(p, "events", t.options.EventInterval, f.recorder, f.events.poll)
}

// poll asks for all but the events. The rounds come before the status, for which the server may ask the policy engine, and so
// take longer than we wait.
func (f *flServer) poll(ctx context.Context) error {
	answered := false
	err := errorsOf(ctx, f.peer.check,
		func(ctx context.Context) error { return f.sync.poll(ctx, f.status().CurrentRound.integer()) },
		func(ctx context.Context) error { return f.pollStatus(ctx, &answered) },
		f.pollMetrics,
	)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fresh = answered
	return err
}

// flStatus is the answer to GET /status.
type flStatus struct {
	ServerStatus     text   `json:"server_status"`
	StoppedByPolicy  flag   `json:"training_stopped_by_policy"`
	Paused           flag   `json:"training_paused"`
	PauseReason      text   `json:"pause_reason"`
	StopReason       text   `json:"stop_reason"`
	CurrentRound     number `json:"current_round"`
	MaxRounds        number `json:"max_rounds"`
	RestartAllowed   flag   `json:"restart_allowed"`
	ConnectedClients number `json:"connected_clients"`
	TrainingActive   flag   `json:"training_active"`
	Timestamp        moment `json:"timestamp"`
}

// pollStatus asks for the status, and says whether it came. An old server that has none tells the most important of it in its
// metrics.
func (f *flServer) pollStatus(ctx context.Context, answered *bool) error {
	asked := f.asked()
	var raw object
	err := f.peer.get(ctx, "/status", nil, maxAnswerBytes, &raw)
	if isNotThere(err) {
		*answered = true
		return nil
	}
	if err != nil {
		return err
	}
	var status flStatus
	if err := json.Unmarshal(raw.orEmpty(), &status); err != nil {
		return err
	}
	if status.ServerStatus == "" && !status.CurrentRound.known {
		return errors.New("GET /status: its answer tells no status")
	}
	*answered = true
	at := asked
	if status.Timestamp.isPlausible() {
		at = status.Timestamp.ns
	}
	points := numbers(at, []field{
		{"current_round", "", status.CurrentRound}, {"max_rounds", "", status.MaxRounds}, {"connected_clients", "count", status.ConnectedClients},
		{"training_active", "", status.TrainingActive.number()}, {"training_paused", "", status.Paused.number()},
		{"training_stopped_by_policy", "", status.StoppedByPolicy.number()},
	})
	return errors.Join(f.recorder.samples(points), f.keep(func(last *flLast) { last.Status, last.StatusAt = raw.scalars(), at }))
}

// flMetrics is what we read of the answer to GET /metrics.
type flMetrics struct {
	CurrentRound      number `json:"current_round"`
	MaxRounds         number `json:"max_rounds"`
	ConnectedClients  number `json:"connected_clients"`
	FitCount          number `json:"aggregate_fit_count"`
	EvaluateCount     number `json:"aggregate_evaluate_count"`
	ChecksPerformed   number `json:"policy_checks_performed"`
	ChecksAllowed     number `json:"policy_checks_allowed"`
	ChecksDenied      number `json:"policy_checks_denied"`
	TrainingComplete  flag   `json:"training_complete"`
	TotalDuration     number `json:"total_training_duration"`
	LastAggregation   number `json:"last_aggregation_duration"`
	LastEvaluation    number `json:"last_evaluation_duration"`
	LastRoundDuration number `json:"last_round_total_duration"`
	ModelSizeMB       number `json:"model_size_mb"`
	LastAccuracy      number `json:"last_round_accuracy"`
	LastLoss          number `json:"last_round_loss"`
	DataState         text   `json:"data_state"`
	TrainingStats     object `json:"last_client_training_stats"`

	// What the server's configuration is, if it tells.
	Model               text   `json:"model"`
	Dataset             text   `json:"dataset"`
	MinClients          number `json:"min_clients"`
	MinAvailableClients number `json:"min_available_clients"`
	StayAlive           flag   `json:"stay_alive_after_training"`
	Host                text   `json:"host"`
	Port                number `json:"port"`
	MetricsPort         number `json:"metrics_port"`
	StartTime           moment `json:"start_time"`
	ModelConfig         object `json:"model_config"`
}

// flTimes are how long the clients trained in the last round.
type flTimes struct {
	Total   number `json:"total_time"`
	Average number `json:"average_time"`
	Min     number `json:"min_time"`
	Max     number `json:"max_time"`
	Count   number `json:"count"`
}

// pollMetrics asks for the counters. They bear no time: theirs is when we asked.
func (f *flServer) pollMetrics(ctx context.Context) error {
	asked := f.asked()
	var raw object
	err := f.peer.get(ctx, "/metrics", nil, maxLargeAnswerBytes, &raw)
	if isNotThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var m flMetrics
	if err := json.Unmarshal(raw.orEmpty(), &m); err != nil {
		return err
	}
	if !m.CurrentRound.known && !m.FitCount.known {
		return errors.New("GET /metrics: its answer tells none of the metrics")
	}
	var times flTimes
	if m.TrainingStats != nil {
		_ = json.Unmarshal(m.TrainingStats, &times) // its fields never fail
	}
	fields := []field{
		{"aggregate_fit_count", "count", m.FitCount}, {"aggregate_evaluate_count", "count", m.EvaluateCount},
		{"policy_checks_performed", "count", m.ChecksPerformed}, {"policy_checks_allowed", "count", m.ChecksAllowed},
		{"policy_checks_denied", "count", m.ChecksDenied}, {"training_complete", "", m.TrainingComplete.number()},
		{"total_training_duration", "s", m.TotalDuration}, {"last_aggregation_duration", "s", m.LastAggregation},
		{"last_evaluation_duration", "s", m.LastEvaluation}, {"last_round_total_duration", "s", m.LastRoundDuration},
		{"last_client_training_stats_total_time", "s", times.Total}, {"last_client_training_stats_average_time", "s", times.Average},
		{"last_client_training_stats_min_time", "s", times.Min}, {"last_client_training_stats_max_time", "s", times.Max},
		{"last_client_training_stats_count", "count", times.Count},
	}
	if f.status().ServerStatus == "" {
		fields = append(fields, field{"current_round", "", m.CurrentRound}, field{"max_rounds", "", m.MaxRounds},
			field{"connected_clients", "count", m.ConnectedClients})
	}
	return errors.Join(f.recorder.samples(numbers(asked, fields)),
		f.keep(func(last *flLast) { last.Metrics, last.MetricsAt = raw.scalars(), asked }))
}

// field is a number of an answer and the name of its series.
type field struct {
	name, unit string
	value      number
}

// numbers are the points of those fields that are known.
func numbers(at int64, fields []field) []point {
	points := make([]point, 0, len(fields))
	for _, one := range fields {
		if one.value.known {
			points = append(points, point{name: one.name, unit: one.unit, time: at, value: one.value.value})
		}
	}
	return points
}

// asked is the present, in whole milliseconds: finer times of ours take more room and tell nothing.
func (f *flServer) asked() int64 {
	return f.testbed.options.Now().Truncate(time.Millisecond).UnixNano()
}

// keep changes what is known last, and makes it durable. It is shown also when it can't be.
func (f *flServer) keep(change func(*flLast)) error {
	f.mu.Lock()
	change(&f.last)
	last := f.last
	f.mu.Unlock()
	return saveState(f.testbed.db, flLastState, last)
}

// known returns what the server told last, and whether that is of now.
func (f *flServer) known() (last flLast, fresh bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.fresh && !f.testbed.gate.isClosed() // else nobody has asked since
}

// status is the last one.
func (f *flServer) status() flStatus {
	last, _ := f.known()
	var status flStatus
	_ = json.Unmarshal(last.Status.orEmpty(), &status) // its fields never fail
	return status
}

// metrics are the last ones.
func (f *flServer) metrics() flMetrics {
	last, _ := f.known()
	var m flMetrics
	_ = json.Unmarshal(last.Metrics.orEmpty(), &m) // its fields never fail
	return m
}
