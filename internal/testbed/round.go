package testbed

import (
	"fmt"
	"time"
)

// roundRun is a round under way.
type roundRun struct {
	*scenario
	number   int
	training int
	begin    time.Time
	fates    []*fate

	aggregating time.Time // when the last client had uploaded
	aggregated  time.Time
	evaluating  time.Time // when the last client had evaluated
}

// roundDetails are what only the FL server's answers need of a round.
type roundDetails struct {
	aggregating, evaluating            time.Time
	aggregation, evaluation            time.Duration
	clientEvaluations, clientTrainings []time.Duration
}

// beginRound asks whether the round may begin, and begins it or pauses the training.
func (s *scenario) beginRound(number int) {
	s.connect(number)
	if number == s.rounds(2, 5) && !s.fl.paused {
		s.policy.update("default-client-train-005")
	}
	connected := s.connectedClients()
	context := s.serverContext("model_training", number, object{"current_hour": s.now.Hour(), "current_minute": s.now.Minute()})
	denial := ""
	if number == s.rounds(1, 3)+1 && !s.fl.paused && s.options.Rounds > 3 {
		denial = "Training is not allowed during peak network hours"
	}
	s.ask(s.network.byIP[addressFL].port)
	if !s.fl.checked(s.policy.check("fl_client_training", context, denial)) {
		s.fl.log("TRAINING_PAUSED_BY_POLICY", object{
			"round": number, "reason": denial, "policy_type": "fl_client_training", "timestamp": epoch(s.now), "current_hour": s.now.Hour(),
			"policy_result": object{"allowed": false, "reason": denial},
		})
		s.fl.pause(fmt.Sprintf("Round %d: %s", number, denial))
		s.planRound(s.now.Add(s.options.RoundEvery/2), number)
		return
	}
	if s.fl.paused {
		s.fl.resume(fmt.Sprintf("Policy now allows round %d", number))
	}
	if s.fl.policies != s.policy.version {
		s.fl.log("POLICY_VERSION_UPDATED", object{"old_version": s.fl.policies, "new_version": s.policy.version, "timestamp": epoch(s.now)})
		s.fl.policies = s.policy.version
	}
	s.fl.metrics["connected_clients"] = len(connected)
	s.fl.checked(s.policy.check("fl_client_selection", s.serverContext("configure_round", number, object{"total_clients": len(connected)}), ""))
	run := &roundRun{scenario: s, number: number, training: s.training, begin: s.now}
	run.fates = s.drawFates(random(s.options.Seed, "round", s.training, number), number, connected)
	run.plan()
}

// plan plans the round's steps.
func (r *roundRun) plan() {
	every := r.options.RoundEvery
	r.then(r.begin.Add(every/100), func() {
		r.fl.log("ROUND_STARTED", object{
			"round": r.number, "total_clients": len(r.fates), "selected_clients": len(r.fates), "timestamp": r.fl.iso(),
			"round_start_time": epoch(r.begin), "config_duration": seconds(every / 100), "parameters_size": 8,
		})
	})
	r.aggregating = r.begin.Add(every / 50)
	for _, f := range r.fates {
		f.planTraining(r)
		if done := r.begin.Add(f.uploaded()); f.denied == "" && done.After(r.aggregating) {
			r.aggregating = done
		}
	}
	r.aggregating = r.aggregating.Truncate(time.Microsecond)
	r.aggregated = r.aggregating.Add(every / 40).Truncate(time.Microsecond)
	r.evaluating = r.aggregated
	for _, f := range r.fates {
		if !f.counts() {
			continue
		}
		f.planEvaluation(r)
		if done := r.aggregated.Add(f.evaluate); done.After(r.evaluating) {
			r.evaluating = done
		}
	}
	r.evaluating = r.evaluating.Truncate(time.Microsecond)
	r.then(r.aggregated, r.logAggregation)
	end := r.evaluating.Add(every / 200)
	r.then(end, r.finish)
}

// then plans a step of the round.
func (r *roundRun) then(at time.Time, do func()) { r.planFor(r.training, at, do) }

// clientContext is what a client tells the policy engine.
func (r *roundRun) clientContext(f *fate, operation string) object {
	return object{
		"operation": operation, "client_id": f.client.id, "client_ip": f.client.ip, "current_round": r.number, "server_round": r.number,
		"model": "cnn", "model_size": modelBytes, "cpu_usage": pyFloat(f.cpu), "memory_usage": pyFloat(f.memory), "config": object{},
	}
}

// planTraining plans a client's part until its model is uploaded.
func (f *fate) planTraining(r *roundRun) {
	server, own := r.network.byIP[addressFL].port, f.client.port
	r.then(r.begin.Add(f.began), func() {
		r.ask(own)
		context := r.clientContext(f, "model_training")
		if f.denied != "" {
			context["cpu_usage"] = pyFloat(97.5)
		}
		if !r.policy.check("fl_client_training", context, f.denied) {
			r.network.attempt(own, server, 3)
			return
		}
		r.network.send(server, own, modelBytes, f.download)
	})
	switch {
	case f.denied != "":
	case f.drops:
		r.then(r.begin.Add(f.uploaded()), func() { r.drop(f.client, r.number+1+f.away) })
	default:
		r.then(r.begin.Add(f.uploaded()-f.upload), func() {
			t := r.network.send(own, server, modelBytes, f.upload)
			if f.straggle > 1 {
				t.lost = 12
			}
		})
		r.then(r.begin.Add(f.uploaded()), func() { r.measure(f) })
	}
}

// planEvaluation plans a client's part after the aggregation.
func (f *fate) planEvaluation(r *roundRun) {
	r.then(r.aggregated.Add(f.began/10), func() {
		if !f.client.connected {
			return
		}
		r.ask(f.client.port)
		r.policy.check("fl_client_evaluation", r.clientContext(f, "model_evaluation"), "")
		r.network.send(r.network.byIP[addressFL].port, f.client.port, modelBytes, f.evaluate/2)
	})
}

// measure is what a client tells about its training.
func (r *roundRun) measure(f *fate) {
	m := Measurement{ClientID: f.client.id, Training: r.training, Round: r.number, Time: r.now, Values: []Value{
		{"training_time", "seconds", f.training.Seconds()},
		{"accuracy", "", f.accuracy},
		{"loss", "", f.loss},
		{"cpu_usage", "percent", f.cpu},
		{"memory_usage", "MB", f.memory},
		{"training_examples", "count", float64(f.client.examples)},
	}}
	r.measurements = append(r.measurements, m)
	if r.measured != nil {
		r.measured(m)
	}
}
