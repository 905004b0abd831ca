package flopynet

import (
	"encoding/json"
	"fmt"
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
	db *engine.DB

	mu        sync.RWMutex
	trainings []training // by ordinal
}

// openRounds reads which trainings there are.
func openRounds(db *engine.DB) (*flRounds, error) {
	all := &flRounds{db: db}
	return all, db.EachState(trainingKind, func(name string, value []byte) error {
		var t training
		if err := json.Unmarshal(value, &t); err != nil {
			return fmt.Errorf("%w: the state %s %q: %w", engine.ErrCorrupt, trainingKind, name, err)
		}
		if _, err := fmt.Sscanf(name, "%d", &t.Ordinal); err != nil || trainingName(t.Ordinal) != name {
			return fmt.Errorf("%w: the state %s has the name %q", engine.ErrCorrupt, trainingKind, name)
		}
		all.trainings = append(all.trainings, t)
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
		if err != nil || r != nil && r.time == time {
			return r, err
		}
	}
	return nil, nil
}

// get returns a round of a training, nil if we don't have it.
func (f *flRounds) get(training int64, number int) (*round, error) {
	name := roundName(training, number)
	value, err := f.db.State(roundKind, name)
	if err != nil || value == nil {
		return nil, err
	}
	return openRound(name, value)
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
