package flopynet

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/flopynet/collector/engine"
)

// training is one run of the FL server from round 1 on, as far as we have its rounds.
type training struct {
	Ordinal   int64 `json:"-"`          // trainings sort by it
	First     int   `json:"first"`      // numbers of rounds
	Last      int   `json:"last"`       //
	Count     int   `json:"count"`      // of rounds that we have
	FirstTime int64 `json:"first_time"` // when the earliest round ended; ns
	LastTime  int64 `json:"last_time"`  // when the latest did
}

// add takes a further round in.
func (t *training) add(r *round) {
	if t.Count == 0 {
		t.First, t.Last, t.FirstTime, t.LastTime = r.number, r.number, r.time, r.time
	}
	t.First, t.Last = min(t.First, r.number), max(t.Last, r.number)
	t.FirstTime, t.LastTime = min(t.FirstTime, r.time), max(t.LastTime, r.time)
	t.Count++
}

// Ordinals lie ordinalStride apart, so that a training that was found late finds a place before one that was found earlier.
const (
	ordinalStride = 1000
	maxTrainings  = 100_000
)

// flRounds are all rounds that we have, of all trainings: the details in the engine's state, the trainings in memory too.
type flRounds struct {
	db     *engine.DB
	logger *slog.Logger

	mu        sync.RWMutex
	trainings []training // by ordinal
	unread    error      // why it isn't known which there are; nil: it is
}

// openRounds reads which trainings there are.
func openRounds(db *engine.DB, logger *slog.Logger) *flRounds {
	f := &flRounds{db: db, logger: logger}
	if err := f.read(); err != nil {
		logger.Error("the rounds of training can't be read; it is tried again", "error", err)
	}
	return f
}

// readable tries again to read which trainings there are, where they couldn't be read. As long as they can't, no round must be
// stored: it would take the place of one that we have.
func (f *flRounds) readable() error {
	f.mu.RLock()
	unread := f.unread
	f.mu.RUnlock()
	if unread == nil {
		return nil
	}
	return f.read()
}

// read reads which trainings there are. What can't be read of one is worked out from its rounds.
func (f *flRounds) read() error {
	var trainings []training
	var damaged []string
	leftOut := func(name string, err error) {
		f.logger.Error("what is known of a training can't be read; it is worked out from its rounds", "training", name, "error", err)
		damaged = append(damaged, name)
	}
	err := f.db.ReadStates(engine.StateRange{Kind: trainingKind, Damaged: leftOut}, func(name string, value []byte) error {
		if t, err := readTraining(name, value); err != nil {
			leftOut(name, err)
		} else {
			trainings = append(trainings, t)
		}
		return nil
	})
	for _, name := range damaged {
		t, outcome := f.workOut(name)
		if err = errors.Join(err, outcome); t.Count > 0 {
			trainings = append(trainings, t)
		}
	}
	slices.SortFunc(trainings, func(a, b training) int { return compareOrdinal(a, b.Ordinal) })
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unread = err; err == nil {
		f.trainings = trainings
	}
	return err
}

// readTraining reads a training that is kept.
func readTraining(name string, value []byte) (training, error) {
	var t training
	if err := json.Unmarshal(value, &t); err != nil {
		return training{}, err
	}
	var err error
	t.Ordinal, err = parseTrainingName(name)
	return t, err
}

// workOut puts a training together from its rounds, without those that are damaged. It has none if the name is no training's.
func (f *flRounds) workOut(name string) (training, error) {
	ordinal, err := parseTrainingName(name)
	if err != nil {
		return training{}, nil //nolint:nilerr // what has such a name holds nothing of ours
	}
	t := training{Ordinal: ordinal}
	states := engine.StateRange{Kind: roundKind, From: roundName(ordinal, 0), To: roundName(ordinal+1, 0), Damaged: func(string, error) {}}
	return t, f.db.ReadStates(states, func(name string, value []byte) error {
		if r, err := openRound(name, value); err == nil {
			t.add(r)
		}
		return nil
	})
}

// list returns the trainings, by ordinal.
func (f *flRounds) list() []training {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Clone(f.trainings)
}

// newest returns the training that began last.
func (f *flRounds) newest() (training, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if len(f.trainings) == 0 {
		return training{}, false
	}
	return f.trainings[len(f.trainings)-1], true
}

// newestRound returns the last round of the training that began last, nil if there is none.
func (t *Testbed) newestRound() (*round, error) {
	newest, ok := t.fl.rounds.newest()
	if !ok {
		return nil, nil
	}
	return t.fl.rounds.get(newest.Ordinal, newest.Last)
}

// maxLookups bounds in how many trainings a round is looked for. Only one whose times surround the round's can have it, which
// are two if the server's clock went back.
const maxLookups = 64

// find returns the round with this number and time, nil if we don't have it. The trainings are those that list returned, and may
// be some more.
func (f *flRounds) find(trainings []training, number int, time int64) (*round, error) {
	lookups := 0
	for i := range slices.Backward(trainings) {
		t := &trainings[i]
		if number < t.First || number > t.Last || time < t.FirstTime || time > t.LastTime {
			continue
		}
		if lookups++; lookups > maxLookups {
			return nil, nil
		}
		r, err := f.get(t.Ordinal, number)
		if err != nil || r != nil && (r.time == time || r.time == 0) { // a damaged one is taken for it, and so is replaced
			return r, err
		}
	}
	return nil, nil
}

// get returns a round of a training, nil if we don't have it. One that is damaged has no time.
func (f *flRounds) get(training int64, number int) (*round, error) {
	name := roundName(training, number)
	value, err := f.db.State(roundKind, name)
	if err == nil && value == nil {
		return nil, nil
	}
	var r *round
	if err == nil {
		r, err = openRound(name, value)
	}
	if errors.Is(err, engine.ErrCorrupt) {
		return &round{number: number, training: training}, nil
	}
	return r, err
}

// store makes rounds durable, all or none. Each has been placed in a training. changed are those that we had: they
// count no second time.
func (f *flRounds) store(fresh, changed []*round) error {
	list := f.list()
	changes := make([]engine.StateChange, 0, len(fresh)+len(changed)+1)
	touched := map[int64]bool{}
	for _, r := range fresh {
		at, found := slices.BinarySearchFunc(list, r.training, compareOrdinal)
		if !found {
			if len(list) >= maxTrainings {
				return fmt.Errorf("it has begun more than %d trainings; no further ones are kept", maxTrainings)
			}
			list = slices.Insert(list, at, training{Ordinal: r.training})
		}
		list[at].add(r)
		touched[r.training] = true
	}
	for _, r := range slices.Concat(fresh, changed) {
		changes = append(changes, engine.StateChange{Kind: roundKind, Name: roundName(r.training, r.number), Value: r.raw})
	}
	for i := range list {
		if touched[list[i].Ordinal] {
			value, err := json.Marshal(&list[i])
			if err != nil {
				return err
			}
			changes = append(changes, engine.StateChange{Kind: trainingKind, Name: trainingName(list[i].Ordinal), Value: value})
		}
	}
	if err := f.db.ChangeState(changes...); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trainings = list
	return nil
}

func compareOrdinal(t training, ordinal int64) int {
	switch {
	case t.Ordinal < ordinal:
		return -1
	case t.Ordinal > ordinal:
		return 1
	}
	return 0
}
