package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// ownMetrics are what a component tells at each poll.
var ownMetrics = map[string]string{
	flopynet.FLServer: "connected_clients", flopynet.PolicyEngine: "policy_checks_total", flopynet.SDNController: "rx_bytes",
}

const (
	goOnSamples  = 5         // so many more of a component are taken for going on
	maxIllMemory = 400 << 20 // bytes that a collector may take, whatever its peers send: 128 MiB at a time is what one of them tries
)

// TestIllPeersHurtNobody has one component after the other fail in each way there is. Meanwhile the others' samples keep
// coming, and /health tells who is ill and since when.
func TestIllPeersHurtNobody(t *testing.T) {
	t.Parallel()
	for ill := range ownMetrics {
		t.Run(ill, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			e := startExperiment(t, testbed.Options{Seed: seed, Now: time.Now, Rounds: 5000, RoundEvery: 200 * time.Millisecond}, patientWithAllBut(ill)...)
			for name := range ownMetrics {
				e.awaitHealth(t, name, flopynet.StatusHealthy)
			}
			modes := testbed.Modes()
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(modes), func(i, j int) { modes[i], modes[j] = modes[j], modes[i] })
			for _, mode := range modes {
				e.ail(t, ill, mode)
			}
			if e.bed.Strays() != 0 {
				t.Errorf("%d requests followed a redirection", e.bed.Strays())
			}
			if memory := peakMemory(t, e.command.Process.Pid); memory > maxIllMemory {
				t.Errorf("the collector has taken %d MiB", memory>>20)
			} else {
				t.Logf("the collector has taken %d MiB at most", memory>>20)
			}
		})
	}
}

// ail has a component fail and recover.
func (e *experiment) ail(t *testing.T, ill string, mode testbed.Mode) {
	t.Helper()
	failed := time.Now()
	if err := e.components()[ill].Fail(testbed.Failure{Mode: mode}); err != nil {
		t.Fatal(err)
	}
	report := e.awaitHealth(t, ill, flopynet.StatusUnhealthy)
	// A poll that was under way when it failed began before that.
	if report.Since == nil || report.Since.Before(failed.Add(-patience)) || report.Since.After(time.Now()) || report.Error == nil || report.LastCheck.Before(*report.Since) {
		t.Errorf("%s failed (%s) at %v, and /health says: %s", ill, mode, failed.UTC(), spell(report))
	}
	e.othersGoOn(t, ill, fmt.Sprintf("while %s is ill (%s)", ill, mode))
	for name, service := range e.health(t) {
		if name != ill && service.Status != flopynet.StatusHealthy {
			t.Errorf("while %s is ill (%s), /health says of %s: %s", ill, mode, name, spell(service))
		}
	}
	if err := e.components()[ill].Heal(); err != nil {
		t.Fatal(err)
	}
	healed := time.Now()
	e.awaitHealth(t, ill, flopynet.StatusHealthy)
	e.await(t, fmt.Sprintf("samples of %s after it was ill (%s)", ill, mode), func() bool { return e.came(t, ill, healed) > 0 })
}

// TestAPeerThatHangsHoldsNobody has a component hang for longer than anybody would wait: what waited for it, of the others or
// of the server, would do so until the test gives up.
func TestAPeerThatHangsHoldsNobody(t *testing.T) {
	t.Parallel()
	for ill := range ownMetrics {
		t.Run(ill, func(t *testing.T) {
			e := startExperiment(t, testbed.Options{Seed: 1, Now: time.Now, Rounds: 5000, RoundEvery: 200 * time.Millisecond},
				append(patientWithAllBut(ill), timeoutFlag(ill, 10*patience))...)
			for name := range ownMetrics {
				e.awaitHealth(t, name, flopynet.StatusHealthy)
			}
			component := e.components()[ill]
			if err := component.Fail(testbed.Failure{Mode: testbed.Hang}); err != nil {
				t.Fatal(err)
			}
			before := component.Requests("")
			e.await(t, "a request that hangs", func() bool { return component.Requests("") > before })
			e.othersGoOn(t, ill, "while "+ill+" hangs")
		})
	}
}

// othersGoOn waits until all but one have had some more samples, of their state and of what they tell.
func (e *experiment) othersGoOn(t *testing.T, ill, when string) {
	t.Helper()
	from := time.Now()
	for name := range ownMetrics {
		if name != ill {
			e.await(t, fmt.Sprintf("%d samples of %s %s", goOnSamples, name, when), func() bool { return e.came(t, name, from) >= goOnSamples })
		}
	}
}

// came counts the polls of a component since a time that have left samples.
func (e *experiment) came(t *testing.T, name string, from time.Time) int {
	t.Helper()
	to := time.Now().Add(time.Hour)
	ups := 0
	for _, up := range e.samples(t, "up", name, from, to) {
		ups += int(up.value)
	}
	return min(ups, len(e.samples(t, ownMetrics[name], name, from, to)))
}

// patientWithAllBut are flags by which a component that is well is not taken for ill, since the machine is busy.
func patientWithAllBut(ill string) (flags []string) {
	for _, name := range flopynet.Components() {
		if name != ill {
			flags = append(flags, timeoutFlag(name, patience))
		}
	}
	return flags
}

func timeoutFlag(name string, timeout time.Duration) string {
	return fmt.Sprintf("--flopynet-%s-timeout=%v", strings.ReplaceAll(name, "_", "-"), timeout)
}

// spell spells what /health says of a component.
func spell(s serviceHealth) string {
	since, fault := "never", ""
	if s.Since != nil {
		since = s.Since.Format(time.RFC3339Nano)
	}
	if s.Error != nil {
		fault = *s.Error
	}
	return fmt.Sprintf("%s since %s, %d failures, %s", s.Status, since, s.Failures, fault)
}
