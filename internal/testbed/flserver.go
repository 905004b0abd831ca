package testbed

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const mostFLEvents = 1000

// modelBytes is the size of the model, SimpleCNN.
const modelBytes = 1_824_552

// flServer is the FL server: all it ever did, its database, and what it has in memory.
type flServer struct {
	line      *timeline
	seed      uint64
	naive     bool
	rounds    int // of a training
	allEvents []Event
	allRounds []Round
	logged    int // events, those included that are forgotten

	table map[int]Round // by number: the database, in which a later training's replace the earlier's

	began   time.Time
	events  []Event
	metrics object // what is in Python's global_metrics

	active     bool // training is under way: also after a restart, which it outlives
	paused     bool
	reason     string // of the pause
	stopping   string // why the policy engine will deny the next round; empty: it won't
	stopped    int    // the round after which the policy engine stopped the training; 0: it didn't
	stopReason string
	policies   int // the version of the policies it knows
}

// start starts the process, and again after a restart.
func (s *flServer) start(policyVersion int) {
	s.began, s.policies = s.line.now, policyVersion
	s.events = nil
	s.metrics = object{
		"start_time": epoch(s.began), "current_round": 0, "connected_clients": 0, "aggregate_fit_count": 0,
		"aggregate_evaluate_count": 0, "last_round_metrics": object{}, "policy_checks_performed": 0,
		"policy_checks_allowed": 0, "policy_checks_denied": 0, "training_complete": false, "training_end_time": nil,
		"total_training_duration": pyFloat(0), "rounds_history": []any{}, "data_state": "initializing",
		"model_size_mb": pyFloat(0), "max_rounds": s.rounds,
	}
	s.log("SERVER_START", object{"host": "0.0.0.0", "port": 8080})
	s.log("CONFIG_LOADED", object{"config_summary": object{
		"model": "cnn", "dataset": "mnist", "rounds": s.rounds, "min_clients": 1, "min_available_clients": 1, "stay_alive_after_training": true,
	}})
}

// log appends an event to the buffer, which forgets the oldest when it is full.
func (s *flServer) log(kind string, details object) {
	s.logged++
	event := Event{ID: uuid(s.seed, "fl event", s.began.UnixMicro(), s.logged), Type: kind, Time: s.line.now, Details: details}
	s.allEvents = append(s.allEvents, event)
	if s.events = append(s.events, event); len(s.events) > mostFLEvents {
		s.events = s.events[1:]
	}
}

// iso is the present as the server writes it.
func (s *flServer) iso() string { return isoTime(s.line.now, s.naive) }

// store puts a round into the database.
func (s *flServer) store(r Round) {
	s.allRounds = append(s.allRounds, r)
	s.table[r.Number] = r
}

// stored returns the rounds of the database, ascending.
func (s *flServer) stored() []Round {
	rounds := make([]Round, 0, len(s.table))
	for _, number := range slices.Sorted(maps.Keys(s.table)) {
		rounds = append(rounds, s.table[number])
	}
	return rounds
}

// bump counts in global_metrics.
func (s *flServer) bump(name string) {
	count, _ := s.metrics[name].(int)
	s.metrics[name] = count + 1
}

// checked counts an answer of the policy engine.
func (s *flServer) checked(allowed bool) bool {
	s.bump("policy_checks_performed")
	if allowed {
		s.bump("policy_checks_allowed")
	} else {
		s.bump("policy_checks_denied")
	}
	return allowed
}

// pause and resume stop the training between two rounds.
func (s *flServer) pause(reason string) {
	s.paused, s.reason = true, reason
	s.log("TRAINING_PAUSED", object{"reason": reason, "paused_at_round": s.metrics["current_round"], "timestamp": s.iso()})
}

// stop is what the server does when the policy engine denies the next round: it waits.
func (s *flServer) stop(round int, metrics object) {
	s.log("TRAINING_STOPPED_BY_POLICY", object{
		"stopped_after_round": round, "reason": s.stopping, "policy_result": object{"allowed": false, "reason": s.stopping}, "final_metrics": metrics,
	})
	reason := fmt.Sprintf("Training stopped by policy after round %d: %s", round, s.stopping)
	s.pause("Policy signal: " + reason)
	s.log("TRAINING_PAUSED_BY_SIGNAL", object{"reason": reason, "paused_by": "policy_engine", "timestamp": s.iso()})
	s.stopped, s.stopReason, s.stopping = round, reason, ""
}

func (s *flServer) resume(reason string) {
	s.paused, s.reason = false, ""
	s.log("TRAINING_RESUMED", object{"reason": reason, "resumed_at_round": s.metrics["current_round"], "timestamp": s.iso()})
}
