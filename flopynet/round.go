package flopynet

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
)

// roundRow is a row of the FL server's table of rounds.
type roundRow struct {
	Number           number `json:"round"`
	Timestamp        moment `json:"timestamp"`
	Status           text   `json:"status"`
	Accuracy         number `json:"accuracy"`
	Loss             number `json:"loss"`
	TrainingDuration number `json:"training_duration"` // seconds
	ModelSizeMB      number `json:"model_size_mb"`
	Clients          number `json:"clients"`
	Successful       number `json:"successful_clients"`
	Failed           number `json:"failed_clients"`
	Aggregation      number `json:"aggregation_duration"` // seconds
	Evaluation       number `json:"evaluation_duration"`  // seconds
	RawMetrics       object `json:"raw_metrics"`
}

// rawRoundMetrics is what we read of a row's raw_metrics.
type rawRoundMetrics struct {
	PhaseDurations phaseDurations `json:"phase_durations"`
	Evaluated      number         `json:"evaluation_results_count"`
}

// phaseDurations are those of a round's parts, in seconds.
type phaseDurations struct {
	Aggregation number `json:"aggregation"`
	Evaluation  number `json:"evaluation"`
}

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (d *phaseDurations) UnmarshalJSON(raw []byte) error {
	type plain phaseDurations
	if json.Unmarshal(raw, (*plain)(d)) != nil {
		*d = phaseDurations{}
	}
	return nil
}

// round is a round of training that has ended.
type round struct {
	roundRow
	number   int
	time     int64 // when it ended; ns
	training int64 // ordinal of the training it belongs to; 0: not placed yet
	raw      object
}

// Bounds of a row.
const (
	maxRoundNumber = 999_999_999
	maxRoundBytes  = 64 << 10 // of a row as it is kept
)

// readRound reads a row. One without a number or a time is no round.
func readRound(raw object) (*round, error) {
	r := &round{raw: raw}
	if err := json.Unmarshal(raw, &r.roundRow); err != nil {
		return nil, err
	}
	value := r.Number.value
	if !r.Number.known || value < 1 || value > maxRoundNumber || value != math.Trunc(value) {
		return nil, fmt.Errorf("a round has no number that could be one")
	}
	if !r.Timestamp.isPlausible() {
		return nil, fmt.Errorf("round %.0f has no time that could be one", value)
	}
	r.number, r.time = int(value), r.Timestamp.ns
	var metrics rawRoundMetrics
	if r.RawMetrics != nil && json.Unmarshal(r.RawMetrics, &metrics) == nil {
		if !r.Aggregation.known {
			r.Aggregation = metrics.PhaseDurations.Aggregation
		}
		if !r.Evaluation.known {
			r.Evaluation = metrics.PhaseDurations.Evaluation
		}
		if !r.Successful.known {
			r.Successful = metrics.Evaluated
		}
	}
	return r, nil
}

// shrink drops what a row has beside our own fields, if it is too large to be kept.
func (r *round) shrink() error {
	if len(r.raw) <= maxRoundBytes {
		return nil
	}
	kept := map[string]any{
		"round": r.number, "timestamp": string(timefmt.AppendTime(nil, r.time)), "status": r.Status[:min(len(r.Status), 100)],
		"raw_metrics": map[string]string{"left_out": fmt.Sprintf("the row has %d bytes, of which at most %d are kept", len(r.raw), maxRoundBytes)},
	}
	for name, value := range map[string]number{
		"accuracy": r.Accuracy, "loss": r.Loss, "training_duration": r.TrainingDuration, "model_size_mb": r.ModelSizeMB, "clients": r.Clients,
		"successful_clients": r.Successful, "failed_clients": r.Failed, "aggregation_duration": r.Aggregation, "evaluation_duration": r.Evaluation,
	} {
		if value.known {
			kept[name] = value.value
		}
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	small, err := readRound(raw)
	if err != nil {
		return err
	}
	small.training = r.training
	*r = *small
	return nil
}

// points are the round's numbers, at the time it ended.
func (r *round) points() []point {
	points := []point{{name: "round", time: r.time, value: float64(r.number)}}
	for _, one := range []struct {
		name, unit string
		value      number
	}{
		{"accuracy", "", r.Accuracy}, {"loss", "", r.Loss}, {"training_duration", "s", r.TrainingDuration}, {"model_size_mb", "MB", r.ModelSizeMB},
		{"clients", "count", r.Clients}, {"aggregation_duration", "s", r.Aggregation}, {"evaluation_duration", "s", r.Evaluation},
	} {
		if one.value.known {
			points = append(points, point{name: one.name, unit: one.unit, time: r.time, value: one.value.value})
		}
	}
	return points
}

// roundKind and trainingKind are the kinds of state in which rounds and trainings are kept: a round under
// <training>/<number>, a training under its ordinal, both with leading zeros, so that they sort.
const (
	roundKind    = "fl_round"
	trainingKind = "fl_training"
)

func trainingName(ordinal int64) string { return fmt.Sprintf("%016d", ordinal) }

// parseTrainingName is the inverse of trainingName.
func parseTrainingName(name string) (ordinal int64, err error) {
	if _, err := fmt.Sscanf(name, "%d", &ordinal); err != nil || trainingName(ordinal) != name {
		return 0, fmt.Errorf("%w: the state %s has the name %q", engine.ErrCorrupt, trainingKind, name)
	}
	return ordinal, nil
}

func roundName(training int64, number int) string {
	return fmt.Sprintf("%s/%010d", trainingName(training), number)
}

// parseRoundName is the inverse of roundName.
func parseRoundName(name string) (training int64, number int, err error) {
	if _, err := fmt.Sscanf(name, "%016d/%010d", &training, &number); err != nil || roundName(training, number) != name {
		return 0, 0, fmt.Errorf("%w: the state %s has the name %q", engine.ErrCorrupt, roundKind, name)
	}
	return training, number, nil
}

// openRound reads a round that is kept.
func openRound(name string, value []byte) (*round, error) {
	training, _, err := parseRoundName(name)
	if err != nil {
		return nil, err
	}
	r, err := readRound(value)
	if err != nil {
		return nil, fmt.Errorf("%w: the state %s %q: %w", engine.ErrCorrupt, roundKind, name, err)
	}
	r.training = training
	return r, nil
}
