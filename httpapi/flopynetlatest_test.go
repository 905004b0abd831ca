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
	if told := ts.getJSON("/fl/status")["last_updated"]; down["last_update"] != told {
		t.Errorf("what was told at %v is said to be of %v", told, down["last_update"])
	}
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

// TestLatestNetwork compares with the simulation, also after the controller has gone down.
func TestLatestNetwork(t *testing.T) {
	simulated := startSimulator(t, testbed.Options{Seed: 1, Start: time.Now().Add(-time.Minute), Switches: 2, Clients: 3})
	ts := startTestbed(t, flopynet.Options{SDNController: flopynet.PeerOptions{URL: simulated.SDN.URL(), Interval: 20 * time.Millisecond}}, Options{})
	const path = "/api/metrics/latest?type=network"
	if before := ts.getJSON(path); at(before, "status") != "success" || at(before, "metrics", "data", "sdn_status") == nil {
		t.Errorf("at the start: %v", before)
	}
	hosts := float64(len(simulated.Hosts()))
	check := func(answer map[string]any) {
		t.Helper()
		metrics := at(answer, "metrics")
		if at(metrics, "switches_count") != 2.0 || at(metrics, "node_count") != 2+hosts || at(metrics, "node_statuses", "started") != 2+hosts || at(metrics, "link_count") == 0.0 ||
			at(metrics, "data", "hosts_count") != hosts || at(metrics, "data", "switches_count") != 2.0 || at(metrics, "data", "up") == nil {
			t.Errorf("%v", answer)
		}
	}
	running := ts.until(path, func(answer map[string]any) bool {
		return at(answer, "metrics", "data", "hosts_count") == hosts && at(answer, "metrics", "data", "up") == 1.0 && at(answer, "metrics", "link_count") != 0.0
	})
	check(running)
	if at(running, "metrics", "status") != "connected" || at(running, "metrics", "data", "sdn_status") != "connected" || at(running, "metrics", "data", "stale") != nil {
		t.Errorf("%v", running)
	}
	if err := simulated.SDN.Fail(testbed.Failure{Mode: testbed.Down}); err != nil {
		t.Fatal(err)
	}
	check(ts.until(path, func(answer map[string]any) bool {
		return at(answer, "metrics", "status") == "disconnected" && at(answer, "metrics", "data", "stale") == true
	}))
}
