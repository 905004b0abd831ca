package testbed

import (
	"math"
	"time"
)

// scenario is the testbed's world. It knows nothing of HTTP.
type scenario struct {
	options *Options
	timeline
	fl      flServer
	policy  policyEngine
	network *network
	clients []*client

	controllerBegan time.Time
	controllerBoot  int
	totalsAtBoot    totals // of the network, when the controller was started
	flowsFound      int    // on the switches, by the controller when it was started

	training     int // the number of the last; what is planned for an earlier one doesn't happen
	measurements []Measurement
	measured     func(Measurement) // nil: nobody is told
}

func newScenario(o *Options) *scenario {
	s := &scenario{options: o}
	s.now = o.Start
	idle := max(time.Second, (3 * o.RoundEvery).Round(time.Second))
	s.network = newNetwork(&s.timeline, o.Switches, o.Clients, idle)
	s.clients = newClients(o, s.network)
	s.policy = policyEngine{line: &s.timeline, seed: o.Seed, version: 1}
	s.policy.start()
	s.fl = flServer{line: &s.timeline, seed: o.Seed, naive: o.NaiveTimes, rounds: o.Rounds, table: map[int]Round{}}
	s.fl.start(s.policy.version)
	s.startController()
	for _, question := range []string{"training_configuration", "server_start"} {
		kind := "fl_server_control"
		if question == "training_configuration" {
			kind = "fl_training_parameters"
		}
		s.fl.checked(s.policy.check(kind, s.serverContext(question, 0, object{"max_rounds": o.Rounds}), ""))
		s.ask(s.network.byIP[addressFL].port)
	}
	s.train()
	return s
}

// train begins a training, and ends the one before if it is under way.
func (s *scenario) train() {
	if s.training++; s.training > 1 && s.options.Forget {
		s.forget()
	}
	s.fl.active, s.fl.paused, s.fl.reason = true, false, ""
	s.fl.stopping, s.fl.stopped = "", 0
	s.fl.metrics["training_complete"], s.fl.metrics["training_end_time"] = false, nil
	s.fl.metrics["current_round"], s.fl.metrics["data_state"] = 0, "training"
	for _, c := range s.clients {
		if s.training > 1 {
			c.returns = 1
		}
	}
	s.planRound(s.now.Add(s.options.RoundEvery/50), 1)
}

// planRound plans a round, unless another training has begun by then.
func (s *scenario) planRound(at time.Time, number int) {
	s.planFor(s.training, at, func() { s.beginRound(number) })
}

// planFor plans something for a training.
func (s *scenario) planFor(training int, at time.Time, do func()) {
	s.plan(at, func() {
		if s.training == training {
			do()
		}
	})
}

// resumeStopped goes on with a training that the policy engine stopped. It tells whether there is one.
func (s *scenario) resumeStopped() bool {
	if s.fl.stopped == 0 {
		return false
	}
	round := s.fl.stopped
	s.fl.stopped = 0
	s.fl.resume("Manual restart requested via API")
	s.fl.log("TRAINING_MANUALLY_RESTARTED", object{"reason": "Manual restart via API", "timestamp": s.fl.iso(), "restart_from_round": round})
	if round >= s.options.Rounds {
		s.complete(s.now)
		return true
	}
	s.planRound(s.now.Add(s.options.RoundEvery/5), round+1)
	return true
}

// complete ends a training.
func (s *scenario) complete(began time.Time) {
	s.fl.active = false
	m := s.fl.metrics
	m["training_complete"], m["training_end_time"], m["data_state"] = true, epoch(s.now), "training_complete"
	m["total_training_duration"] = seconds(s.now.Sub(began))
	s.stayAlive()
	if s.options.Rest > 0 {
		s.planFor(s.training, s.now.Add(s.options.Rest), s.train)
	}
}

// forget drops what the trainings before the one that begins have left, but for what components still tell.
func (s *scenario) forget() {
	s.fl.allRounds, s.fl.allEvents, s.policy.allEvents, s.policy.all, s.measurements = nil, nil, nil, nil, nil
	last := map[string]*flow{} // the controller tells the last of each key
	for _, f := range s.network.flows {
		last[s.flowKey(f)] = f
	}
	s.network.forget(func(f *flow) bool { return !f.removed.IsZero() && last[s.flowKey(f)] != f })
}

// stayAlive has the server ask every minute whether it may stay up.
func (s *scenario) stayAlive() {
	s.planFor(s.training, s.now.Add(time.Minute), func() {
		s.fl.checked(s.policy.check("fl_server_control", s.serverContext("server_stay_alive", s.options.Rounds, object{"max_rounds": s.options.Rounds}), ""))
		s.ask(s.network.byIP[addressFL].port)
		s.stayAlive()
	})
}

// ask is the traffic of a question to the policy engine.
func (s *scenario) ask(from *port) {
	engine := s.network.byIP[addressPolicy].port
	s.network.send(from, engine, 700, s.options.RoundEvery/100)
	s.network.send(engine, from, 1100, s.options.RoundEvery/100)
}

// serverContext is what the FL server tells the policy engine.
func (s *scenario) serverContext(operation string, round int, more object) object {
	context := object{
		"operation": operation, "server_id": "fl-server", "current_round": round, "server_round": round, "model": "cnn", "dataset": "mnist",
		"available_clients": len(s.connectedClients()),
	}
	for key, value := range more {
		context[key] = value
	}
	return context
}

// progressOf is how much of what there is to learn has been learnt after a round: from 0 to 1.
func progressOf(round, rounds int) float64 { return 1 - math.Exp(-5*float64(round)/float64(rounds)) }

// startController starts the SDN controller, and again after a restart.
func (s *scenario) startController() {
	s.controllerBoot++
	s.controllerBegan = s.now
	s.totalsAtBoot = s.network.totals()
	s.network.peak, s.flowsFound = 0, 0
	for _, f := range s.network.tables {
		if f.installed.Before(s.now) {
			s.flowsFound++
		}
	}
}
