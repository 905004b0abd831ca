package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
	stretchTicks = 6
	maxIllMemory = 400 << 20 // bytes that a collector may take, whatever its peers send: 128 MiB at a time is what one of them tries
)

// TestIllPeersHurtNobody has one component after the other fail in each way there is. Meanwhile the others' samples keep
// coming as they did when all were well, and /health tells who is ill and since when.
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
			e.awaitRounds(t, 1)
			var well map[string]int
			e.await(t, "a stretch in which all have samples", func() bool {
				well = e.stretch(t)
				return slices.Min(slices.Collect(maps.Values(well))) > stretchTicks/2
			})
			t.Logf("samples while all are well: %v", well)
			modes := testbed.Modes()
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(modes), func(i, j int) { modes[i], modes[j] = modes[j], modes[i] })
			for _, mode := range modes {
				e.ail(t, ill, mode, well)
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
func (e *experiment) ail(t *testing.T, ill string, mode testbed.Mode, well map[string]int) {
	t.Helper()
	failed := time.Now()
	if err := e.components()[ill].Fail(testbed.Failure{Mode: mode}); err != nil {
		t.Fatal(err)
	}
	report := e.awaitHealth(t, ill, flopynet.StatusUnhealthy)
	// A poll that was under way when it failed began before that.
	if earliest := failed.Add(-4 * pollTimeout); report.Since == nil || report.Since.Before(earliest) || report.Since.After(time.Now()) || report.Error == nil {
		t.Errorf("%s failed (%s) at %v, and /health says: %s", ill, mode, failed.UTC(), spell(report))
	}
	// A busy machine may be unfair to a component for a while, but not again and again.
	var fewer []string
	for range 3 {
		if fewer = e.fewer(t, ill, well); len(fewer) == 0 {
			break
		}
	}
	for _, complaint := range fewer {
		t.Errorf("while %s is ill (%s): %s; the collector's log:\n%s", ill, mode, complaint, tail(e.stderr.String()))
	}
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
	e.await(t, fmt.Sprintf("samples of %s after it was ill (%s)", ill, mode), func() bool {
		return len(e.samples(t, ownMetrics[ill], ill, healed, time.Now().Add(time.Second))) > 0
	})
}

// fewer tells of what the others have far fewer samples in a stretch than when all were well.
func (e *experiment) fewer(t *testing.T, ill string, well map[string]int) (complaints []string) {
	t.Helper()
	during := e.stretch(t)
	for name, before := range well {
		if now := during[name]; now < before/2-1 && !strings.HasPrefix(name, ill+" ") {
			complaints = append(complaints, fmt.Sprintf("%s has %d samples in a time in which it had %d", name, now, before))
		}
	}
	return complaints
}

// patientWithAllBut are flags by which a component that is well is not taken for ill, since the machine is busy.
func patientWithAllBut(ill string) (flags []string) {
	for _, name := range flopynet.Components() {
		if name != ill {
			flags = append(flags, fmt.Sprintf("--flopynet-%s-timeout=%v", strings.ReplaceAll(name, "_", "-"), patience))
		}
	}
	return flags
}

// stretch counts the samples that the components have in a while. The while is measured by something that takes its time
// likewise when the machine is busy: requests to the collector, with pauses.
func (e *experiment) stretch(t *testing.T) map[string]int {
	t.Helper()
	from := time.Now()
	for range stretchTicks {
		time.Sleep(pollEvery)
		e.health(t)
	}
	to := time.Now()
	counts := map[string]int{}
	for name, metric := range ownMetrics {
		ups := 0
		for _, up := range e.samples(t, "up", name, from, to) {
			ups += int(up.value)
		}
		counts[name+" up"] = ups
		counts[name+" "+metric] = len(e.samples(t, metric, name, from, to))
	}
	return counts
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
