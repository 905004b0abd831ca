package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/flopynet/collector/internal/testbed"
)

// TestDashboard has FLOPY-NET's own dashboard judge a collector that polls a simulated testbed: the checkout of FLOPY-NET
// is the one that COLLECTOR_FLOPYNET names, the Python COLLECTOR_DASHBOARD_PYTHON. make check-dashboard runs it.
func TestDashboard(t *testing.T) {
	python, checkout := os.Getenv("COLLECTOR_DASHBOARD_PYTHON"), os.Getenv("COLLECTOR_FLOPYNET")
	if python == "" || checkout == "" {
		t.Skip("COLLECTOR_DASHBOARD_PYTHON or COLLECTOR_FLOPYNET is not set; make check-dashboard sets them")
	}
	bed, err := testbed.New(testbed.Options{Seed: 1, Rounds: 10_000, RoundEvery: 500 * time.Millisecond, PortStatsGaps: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	p := startCommand(t, command(t, []string{ // as FLOPY-NET's compose file sets them
		"FL_SERVER_URL=" + bed.FL.URL(), "POLICY_ENGINE_URL=" + bed.Policy.URL(), "SDN_CONTROLLER_URL=" + bed.SDN.URL(),
		"FL_INTERVAL_SEC=1", "POLICY_INTERVAL_SEC=1", "NETWORK_INTERVAL_SEC=1", "EVENT_INTERVAL_SEC=1",
	}, "serve", "--listen=127.0.0.1:0", "--data-dir="+t.TempDir()))
	waitForTestbed(t, p)
	output, err := exec.CommandContext(t.Context(), python, "-B", filepath.Join("testdata", "dashboard_check.py"),
		"--flopynet="+checkout, "--collector="+p.url).CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Errorf("%v; the collector's log:\n%s", err, p.stderr)
	}
	p.terminate(t)
}

// waitForTestbed waits until each component has been seen: there are rounds, decisions, events, and flows.
func waitForTestbed(t *testing.T, p *process) {
	t.Helper()
	var seen struct {
		Rounds []struct{}
		Events []struct{}
		Flows  []struct{}
	}
	var decisions []struct{}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if answers(t, p.url+"/api/metrics/fl/rounds", &seen) && len(seen.Rounds) > 5 &&
			answers(t, p.url+"/api/events?source_component=FL_SERVER", &seen) && len(seen.Events) > 5 &&
			answers(t, p.url+"/api/network/flows", &seen) && len(seen.Flows) > 0 &&
			answers(t, p.url+"/api/policy/decisions", &decisions) && len(decisions) > 5 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %d rounds, %d events, %d flows, %d decisions; the collector's log:\n%s",
				patience, len(seen.Rounds), len(seen.Events), len(seen.Flows), len(decisions), p.stderr)
		}
	}
}

// answers decodes the JSON that a URL answers, and says whether it answered 200.
func answers(t *testing.T, url string, into any) bool {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return true
}
