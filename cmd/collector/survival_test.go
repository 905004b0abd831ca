package main

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// TestExperimentIsComplete polls a training of 50 rounds and compares all that is stored with what has happened.
func TestExperimentIsComplete(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	e := startExperiment(t, testbed.Options{Seed: seed, RoundEvery: 100 * time.Millisecond})
	e.await(t, "the end of the training", e.bed.Complete)
	all := e.settle(t, nil)
	if len(all.rounds) != 50 {
		t.Fatalf("the training had %d rounds", len(all.rounds))
	}
	e.compare(t, all)
	e.compareCounters(t, false)
	e.compareTraffic(t)
	e.terminate(t)
	e.startCollector(t) // nothing changes by a restart, though all is polled again
	e.awaitHealth(t, flopynet.FLServer, flopynet.StatusHealthy)
	e.awaitHealth(t, flopynet.PolicyEngine, flopynet.StatusHealthy)
	e.compare(t, all)
}

// outages are ways to fail that tell no lies: what is learnt after them is the truth again.
var outages = []testbed.Mode{
	testbed.Down, testbed.Hang, testbed.Drip, testbed.HugeGarbage, testbed.Garbage, testbed.Status500, testbed.Status503, testbed.Status429,
	testbed.Truncated, testbed.Redirect, testbed.RedirectAway,
}

// TestExperimentSurvives is the same with a collector that is killed, components that fail each in turn, and such as are
// restarted. What a component forgets before anybody could read it is lost; nothing else is.
func TestExperimentSurvives(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	e := startExperiment(t, testbed.Options{Seed: seed, RoundEvery: 200 * time.Millisecond, PortStatsGaps: true})
	crash := func() {
		e.kill(t)
		e.startCollector(t)
	}
	e.awaitRounds(t, 2)

	names := slices.Sorted(maps.Keys(e.components()))
	for turn := range 2 {
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for i, name := range names {
			mode := outages[random.IntN(len(outages))]
			t.Logf("%s fails: %s", name, mode)
			if err := e.components()[name].Fail(testbed.Failure{Mode: mode}); err != nil {
				t.Fatal(err)
			}
			e.awaitRounds(t, 3)
			e.awaitHealth(t, name, flopynet.StatusUnhealthy)
			if i == turn {
				t.Log("the collector crashes")
				crash()
				e.awaitRounds(t, 1)
			}
			if err := e.components()[name].Heal(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond) // at any moment of a poll
		t.Log("the collector crashes")
		crash()
	}

	for _, name := range names {
		e.settle(t, nil)
		t.Logf("%s is restarted, when all that it knew had been read", name)
		if err := e.components()[name].Restart(); err != nil {
			t.Fatal(err)
		}
		e.clock.goOn()
		e.awaitRounds(t, 2)
	}

	lost := e.forgetUnread(t)
	e.await(t, "the end of the training", e.bed.Complete)
	all := e.settle(t, lost)
	if len(all.rounds) != 50 {
		t.Fatalf("the training had %d rounds", len(all.rounds))
	}
	e.compare(t, all)
	e.compareCounters(t, true)
}

// forgetUnread has the FL server and the policy engine restart while the collector is dead. It returns the IDs of what they
// have forgotten by that, which nobody can know any more. Rounds are not among it: the FL server keeps them.
func (e *experiment) forgetUnread(t *testing.T) (lost map[string]bool) {
	t.Helper()
	known := map[string]bool{}
	for _, all := range e.settle(t, nil).all() {
		for _, one := range all {
			known[one.id] = true
		}
	}
	e.kill(t)
	e.clock.goOn()
	e.awaitRounds(t, 3)
	e.clock.stop()
	lost = map[string]bool{}
	for component, all := range truthOf(e.bed, nil).all() {
		before := len(lost)
		for _, one := range all {
			lost[one.id] = lost[one.id] || !known[one.id]
		}
		maps.DeleteFunc(lost, func(_ string, is bool) bool { return !is })
		t.Logf("%s is restarted with %d events and decisions that nobody has read", component, len(lost)-before)
		if len(lost) == before {
			t.Errorf("%s loses nothing: this test tests nothing", component)
		}
		if err := e.components()[component].Restart(); err != nil {
			t.Fatal(err)
		}
	}
	e.startCollector(t)
	e.clock.goOn()
	return lost
}
