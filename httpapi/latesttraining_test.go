package httpapi

import (
	"testing"
	"time"

	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/internal/testbed"
)

// TestLatestTraining follows a training that is over, of a server that then goes down, and comes back for another one.
func TestLatestTraining(t *testing.T) {
	simulated := startSimulator(t, testbed.Options{Seed: 1, Start: time.Now().Add(-time.Hour), Rounds: 3, Clients: 2})
	ts := startTestbed(t, flopynet.Options{FLServer: flopynet.PeerOptions{URL: simulated.FL.URL(), Interval: 20 * time.Millisecond}, EventInterval: -1}, Options{})
	latest := func(status string) map[string]any {
		return ts.until("/api/metrics/latest?type=fl_server", func(l map[string]any) bool { return l["status"] == status })
	}
	ts.untilServices("healthy", flopynet.FLServer)
	done := latest("complete")
	rounds := simulated.Rounds()
	last := rounds[len(rounds)-1]
	if done["round"] != float64(last.Number) || done["accuracy"] != last.Accuracy || done["loss"] != last.Loss || done["training_complete"] != true || done["clients_connected"] != 2.0 {
		t.Errorf("%v, want %+v", done, last)
	}
	if err := simulated.FL.Fail(testbed.Failure{Mode: testbed.Down}); err != nil {
		t.Fatal(err)
	}
	down := latest("error")
	if down["stale"] != true || down["server_status"] != "unreachable" || down["accuracy"] != last.Accuracy || down["round"] != float64(last.Number) {
		t.Errorf("while it is down: %v", down)
	}
	if err := simulated.FL.Heal(); err != nil {
		t.Fatal(err)
	}
	if again := latest("complete"); again["stale"] != nil {
		t.Errorf("when it is back: %v", again)
	}
}
