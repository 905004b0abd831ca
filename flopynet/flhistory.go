package flopynet

import (
	"slices"

	"github.com/flopynet/collector/engine"
)

// AllTrainings stands for all of them in RoundsQuery.Training.
const AllTrainings = -1

// RoundsQuery selects rounds. The zero value selects those of the newest training.
type RoundsQuery struct {
	Training     int      // the how-manieth, from 1; 0: the newest; or AllTrainings
	From, To     int      // numbers of the first and the last; To 0: no end
	FromTime     int64    // when they ended: not before, in nanoseconds since the epoch
	ToTime       int64    // and before that; 0: no end
	MinAccuracy  *float64 // nil: any, also one that isn't known
	MaxAccuracy  *float64
	Descending   bool // the newest first; trainings likewise
	Offset       int  // how many of those that match to leave out
	Limit        int  // most rounds in the answer; there are fewer when they are large
	WithMetrics  bool // raw_metrics too
	WithoutParts bool // no durations and sizes either
}

// FLRounds is the answer to a RoundsQuery.
type FLRounds struct {
	Rounds    []FLRound
	Total     int // that match, before Offset and Limit
	Latest    int // number of the last round of the newest training; 0: none
	Trainings int // that there are
}

// FLRound is a round as FLOPY-NET's own API tells it, to which each number is one: what isn't known is 0 there, and listed in
// Missing.
type FLRound struct {
	Round            int      `json:"round"`
	Training         int      `json:"training"` // the how-manieth, from 1
	Timestamp        stamp    `json:"timestamp"`
	Status           string   `json:"status"`
	Accuracy         float64  `json:"accuracy"`
	Loss             float64  `json:"loss"`
	Clients          int      `json:"clients"`
	ClientsConnected int      `json:"clients_connected"`
	ClientsTotal     int      `json:"clients_total"`
	TrainingComplete bool     `json:"training_complete"` // the training that it belongs to is over
	DataSource       string   `json:"data_source"`
	Missing          []string `json:"missing,omitempty"`
	*FLRoundParts
}

// FLRoundParts is what else a round has.
type FLRoundParts struct {
	TrainingDuration    float64  `json:"training_duration"` // seconds, of the whole round
	ModelSizeMB         float64  `json:"model_size_mb"`
	SuccessfulClients   *int     `json:"successful_clients"`
	FailedClients       *int     `json:"failed_clients"`
	AggregationDuration *float64 `json:"aggregation_duration"` // seconds
	EvaluationDuration  *float64 `json:"evaluation_duration"`  // seconds
	RawMetrics          object   `json:"raw_metrics,omitempty"`
}

// RoundBytes is what rounds take in an answer, about.
func RoundBytes(rounds []FLRound) int {
	size := 0
	for i := range rounds {
		size += listedRoundBytes
		if rounds[i].FLRoundParts != nil {
			size += len(rounds[i].RawMetrics)
		}
	}
	return size
}

// MetricBytes is RoundBytes for rounds as they are charted.
func MetricBytes(metrics []FLMetric) int {
	size := len(metrics) * listedRoundBytes
	for i := range metrics {
		size += len(metrics[i].RawMetrics)
	}
	return size
}

// listedRoundBytes is what a round takes without its raw_metrics.
const listedRoundBytes = 600

// FLRounds returns rounds, from what is stored.
func (t *Testbed) FLRounds(q RoundsQuery) (FLRounds, error) {
	if err := t.fl.rounds.readable(); err != nil {
		return FLRounds{}, err
	}
	list := t.fl.rounds.list()
	answer := FLRounds{Rounds: []FLRound{}, Trainings: len(list)}
	if len(list) > 0 {
		answer.Latest = list[len(list)-1].Last
	}
	reader := roundReader{db: t.db, query: q, answer: &answer, complete: t.fl.progress().complete}
	for i := range list {
		at := i
		if q.Descending {
			at = len(list) - 1 - i
		}
		if q.Training == 0 && at != len(list)-1 || q.Training > 0 && at != q.Training-1 {
			continue
		}
		reader.rank, reader.isNewest = at+1, at == len(list)-1
		if err := reader.read(&list[at]); err != nil {
			return FLRounds{}, err
		}
	}
	return answer, nil
}

// LatestFLRounds returns the newest of the rounds that a query selects, yet in ascending order.
func (t *Testbed) LatestFLRounds(q RoundsQuery) (FLRounds, error) {
	q.Descending = true
	answer, err := t.FLRounds(q)
	slices.Reverse(answer.Rounds)
	return answer, err
}

// roundReader reads the rounds of one training after the other.
type roundReader struct {
	db       *engine.DB
	query    RoundsQuery
	answer   *FLRounds
	complete bool // the newest training is

	rank     int
	isNewest bool
	size     int // of the rounds in the answer, as they are kept; in bytes
}

// maxRoundsBytes is what the rounds of an answer take, as they are kept, until no more are added. Those that are left out count as
// ones behind the limit.
const maxRoundsBytes = 32 << 20

// read reads the rounds of a training. Those that can only be counted aren't decoded.
func (r *roundReader) read(t *training) error {
	q := &r.query
	from, to := max(q.From, 0), maxRoundNumber
	if q.To > 0 {
		to = min(to, q.To)
	}
	if from > to || q.ToTime != 0 && t.FirstTime >= q.ToTime || t.LastTime < q.FromTime {
		return nil
	}
	filters := q.MinAccuracy != nil || q.MaxAccuracy != nil || q.FromTime != 0 || q.ToTime != 0
	states := engine.StateRange{Kind: roundKind, From: roundName(t.Ordinal, from), To: roundName(t.Ordinal, to+1), Newest: q.Descending}
	return r.db.ReadStates(states, func(name string, value []byte) error {
		inPage := r.answer.Total >= q.Offset && len(r.answer.Rounds) < q.Limit && r.size < maxRoundsBytes
		if !filters && !inPage {
			r.answer.Total++
			return nil
		}
		one, err := openRound(name, value)
		if err != nil {
			return err
		}
		if !q.passes(one) {
			return nil
		}
		r.answer.Total++
		if inPage {
			r.answer.Rounds, r.size = append(r.answer.Rounds, r.round(one)), r.size+len(value)
		}
		return nil
	})
}

// passes reports whether a round is one that the query selects.
func (q *RoundsQuery) passes(r *round) bool {
	switch {
	case r.time < q.FromTime, q.ToTime != 0 && r.time >= q.ToTime:
		return false
	case q.MinAccuracy != nil && (!r.Accuracy.known || r.Accuracy.value < *q.MinAccuracy):
		return false
	case q.MaxAccuracy != nil && (!r.Accuracy.known || r.Accuracy.value > *q.MaxAccuracy):
		return false
	}
	return true
}

// round spells a round.
func (r *roundReader) round(one *round) FLRound {
	status := string(one.Status)
	if status == "" {
		status = "complete" // the table has no others
	}
	clients := max(one.Clients.integer(), 0)
	told := FLRound{
		Round: one.number, Training: r.rank, Timestamp: stamp(one.time), Status: status, Accuracy: one.Accuracy.value, Loss: one.Loss.value,
		Clients: clients, ClientsConnected: clients, ClientsTotal: clients, TrainingComplete: r.complete || !r.isNewest, DataSource: FLServer,
	}
	for _, field := range []struct {
		name  string
		value number
	}{
		{"accuracy", one.Accuracy}, {"loss", one.Loss}, {"clients", one.Clients}, {"training_duration", one.TrainingDuration},
		{"model_size_mb", one.ModelSizeMB},
	} {
		if !field.value.known {
			told.Missing = append(told.Missing, field.name)
		}
	}
	if !r.query.WithoutParts {
		told.FLRoundParts = one.parts(r.query.WithMetrics)
	}
	return told
}

// parts are what else a round has.
func (r *round) parts(withMetrics bool) *FLRoundParts {
	parts := &FLRoundParts{
		TrainingDuration: r.TrainingDuration.value, ModelSizeMB: r.ModelSizeMB.value,
		AggregationDuration: r.Aggregation.pointer(), EvaluationDuration: r.Evaluation.pointer(),
	}
	if r.Successful.known {
		successful := r.Successful.integer()
		parts.SuccessfulClients = &successful
		if failed := r.Clients.integer() - successful; r.Clients.known && failed >= 0 {
			parts.FailedClients = &failed
		}
	}
	if r.Failed.known {
		failed := r.Failed.integer()
		parts.FailedClients = &failed
	}
	if withMetrics {
		parts.RawMetrics = r.RawMetrics
	}
	return parts
}
