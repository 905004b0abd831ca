package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The views of the testbed, as far as this test reads them.
type (
	statusView struct {
		ServerStatus     string    `json:"server_status"`
		CurrentRound     int       `json:"current_round"`
		TotalRounds      int       `json:"total_rounds"`
		ActiveClients    int       `json:"active_clients"`
		TrainingProgress float64   `json:"training_progress"`
		LastUpdated      time.Time `json:"last_updated"`
		Stale            bool      `json:"stale"`
	}
	clientsView struct {
		Clients []struct {
			ClientID           string    `json:"client_id"`
			IPAddress          string    `json:"ip_address"`
			Status             string    `json:"status"`
			LastSeen           time.Time `json:"last_seen"`
			RoundParticipation int       `json:"round_participation"`
			TrainingTimeAvg    *float64  `json:"training_time_avg"`
		} `json:"clients"`
	}
	networkView struct {
		Topology struct {
			Devices           int `json:"devices"`
			ActiveConnections int `json:"active_connections"`
		} `json:"topology"`
		Traffic struct {
			TotalBytes          int64 `json:"total_bytes"`
			FLTrafficBytes      int64 `json:"fl_traffic_bytes"`
			ControlTrafficBytes int64 `json:"control_traffic_bytes"`
		} `json:"traffic"`
		Quality struct {
			BandwidthUtilization *float64 `json:"bandwidth_utilization"`
		} `json:"quality"`
	}
	sdnView struct {
		Controller struct {
			Status            string `json:"status"`
			ConnectedSwitches int    `json:"connected_switches"`
			ActiveFlows       int    `json:"active_flows"`
		} `json:"controller"`
		Switches []struct {
			SwitchID  string `json:"switch_id"`
			Status    string `json:"status"`
			FlowCount int    `json:"flow_count"`
			PortCount int    `json:"port_count"`
		} `json:"switches"`
	}
	policyView struct {
		Events []struct {
			Timestamp time.Time      `json:"timestamp"`
			PolicyID  string         `json:"policy_id"`
			EventType string         `json:"event_type"`
			Target    string         `json:"target"`
			Result    string         `json:"result"`
			Details   map[string]any `json:"details"`
		} `json:"events"`
		Total int `json:"total"`
	}
	machineView struct {
		System struct {
			MemoryUsage float64 `json:"memory_usage"`
		} `json:"system"`
		Services map[string]struct {
			Status         string   `json:"status"`
			ResponseTimeMs *float64 `json:"response_time_ms"`
		} `json:"services"`
	}
)

// demo is a running collector demo.
type demo struct {
	*process
	control string // where its simulators are controlled
}

var printedCommand = regexp.MustCompile(`curl (-X POST )?'([^']+)'`)

func startDemo(t *testing.T, directory string) *demo {
	t.Helper()
	d := &demo{process: startCommand(t, command(t, nil, "demo", "--listen=127.0.0.1:0", "--data-dir="+directory, "--round-every=200ms", "--seed=11",
		"--flopynet-fl-server-interval=100ms", "--flopynet-policy-engine-interval=100ms", "--flopynet-sdn-controller-interval=100ms",
		"--flopynet-events-interval=100ms", "--self-metrics=false", "--storage-min-free-bytes=0"))}
	d.await(t, "what it prints about its simulators", func() bool { return strings.Contains(d.printed.String(), "how they are") })
	commands := printedCommand.FindAllStringSubmatch(d.printed.String(), -1)
	d.control = commands[len(commands)-1][2]
	return d
}

func (d *demo) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for this, in vain: %s; it prints\n%s\nand logs\n%s", what, d.printed.String(), tail(d.stderr.String()))
		}
	}
}

// round is the round that the FL server has come to: the truth.
func (d *demo) round(t *testing.T) int {
	t.Helper()
	var answer struct {
		Training struct {
			CurrentRound int `json:"current_round"`
		} `json:"training"`
	}
	get(t, d.control, &answer)
	return answer.Training.CurrentRound
}

// view reads a view.
func view[T any](t *testing.T, d *demo, path string) T {
	t.Helper()
	var answer T
	get(t, d.url+path, &answer)
	return answer
}

// TestDemo starts the demonstration as a user does, looks at all that it suggests to look at, and has a component fail.
func TestDemo(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "demo")
	d := startDemo(t, directory)
	d.await(t, "each view with data", func() bool { return d.hasData(t) })
	for _, suggested := range printedCommand.FindAllStringSubmatch(d.printed.String(), -1) {
		if suggested[1] == "" {
			var anything any
			get(t, suggested[2], &anything)
		}
	}
	d.checkTraining(t)
	d.checkNetwork(t)
	d.checkPolicy(t)
	d.checkExport(t)
	d.checkReadme(t)
	d.checkFailure(t)

	before := len(accuracies(t, d))
	d.terminate(t)
	d = startDemo(t, directory)
	if now := len(accuracies(t, d)); now < before {
		t.Errorf("the second demo knows of %d rounds, where the first knew %d", now, before)
	}
	d.await(t, "the rounds of another training", func() bool { return len(accuracies(t, d)) > before+2 })
	d.await(t, "the status of another training", func() bool {
		status := view[statusView](t, d, "/fl/status")
		return !status.Stale && status.CurrentRound > 0 && status.CurrentRound <= d.round(t)
	})
	d.terminate(t)
}

func accuracies(t *testing.T, d *demo) []float64 {
	t.Helper()
	answer := view[rows](t, d, "/metrics/query?metric=accuracy&source=fl_server&from=now-1h&to=now%2B1h&epoch=ns")
	values := make([]float64, len(answer.DataPoints))
	for i, point := range answer.DataPoints {
		values[i] = point.Value
	}
	return values
}

// hasData reports whether each of the seed's views has something to tell.
func (d *demo) hasData(t *testing.T) bool {
	t.Helper()
	status, clients := view[statusView](t, d, "/fl/status"), view[clientsView](t, d, "/fl/clients")
	network, sdn := view[networkView](t, d, "/network/stats"), view[sdnView](t, d, "/network/sdn")
	measured := 0
	for _, c := range clients.Clients {
		if c.TrainingTimeAvg != nil {
			measured++
		}
	}
	machine := view[machineView](t, d, "/metrics")
	return status.CurrentRound > 3 && measured > 2 && network.Traffic.FLTrafficBytes > 1<<20 && network.Traffic.ControlTrafficBytes > 0 && network.Quality.BandwidthUtilization != nil &&
		sdn.Controller.ActiveFlows > 0 && view[policyView](t, d, "/policy/events?limit=10").Total > 10 && len(machine.Services) == 3 && len(accuracies(t, d)) > 2
}

// checkTraining compares what the views of FL tell with each other and with the simulator.
func (d *demo) checkTraining(t *testing.T) {
	t.Helper()
	then := d.round(t)
	var status statusView
	d.await(t, fmt.Sprintf("round %d in /fl/status", then), func() bool {
		status = view[statusView](t, d, "/fl/status")
		return status.CurrentRound >= then
	})
	inAPI := view[struct {
		CurrentRound     int     `json:"current_round"`
		MaxRounds        int     `json:"max_rounds"`
		LatestAccuracy   float64 `json:"latest_accuracy"`
		ConnectedClients int     `json:"connected_clients"`
	}](t, d, "/api/metrics/fl/status")
	later := view[statusView](t, d, "/fl/status")
	if now := d.round(t); status.CurrentRound > inAPI.CurrentRound || inAPI.CurrentRound > later.CurrentRound || later.CurrentRound > now {
		t.Errorf("one after the other: round %d in /fl/status, %d in /api/metrics/fl/status, %d in /fl/status, %d at the server", status.CurrentRound, inAPI.CurrentRound, later.CurrentRound, now)
	}
	if want := 100 * float64(status.CurrentRound) / 50; status.TotalRounds != 50 || inAPI.MaxRounds != 50 || status.TrainingProgress != want {
		t.Errorf("round %d of %d and %d is %v %%", status.CurrentRound, status.TotalRounds, inAPI.MaxRounds, status.TrainingProgress)
	}
	if status.Stale || !slices.Contains([]string{"training", "paused", "ready"}, status.ServerStatus) || time.Since(status.LastUpdated) > patience {
		t.Errorf("the status of a server that is well: %+v", status)
	}
	d.await(t, fmt.Sprintf("%d rounds and the accuracy %v in the series", inAPI.CurrentRound-1, inAPI.LatestAccuracy), func() bool {
		series := accuracies(t, d)
		return len(series) >= inAPI.CurrentRound-1 && slices.Contains(series, inAPI.LatestAccuracy)
	})
	clients := view[clientsView](t, d, "/fl/clients").Clients
	if len(clients) < status.ActiveClients || status.ActiveClients < 1 || status.ActiveClients > 5 {
		t.Errorf("%d clients of %d are active", status.ActiveClients, len(clients))
	}
	for i, c := range clients {
		want := fmt.Sprintf("192.168.100.%d", 101+i)
		if c.ClientID != fmt.Sprintf("client-%d", i+1) || c.IPAddress != want || c.RoundParticipation > d.round(t)+1 ||
			c.TrainingTimeAvg != nil && (*c.TrainingTimeAvg <= 0 || *c.TrainingTimeAvg > 2) {
			t.Errorf("client %d: %+v", i, c)
		}
	}
}

// checkNetwork compares the two views of the network with each other and with what is simulated: three switches in a star.
func (d *demo) checkNetwork(t *testing.T) {
	t.Helper()
	network, sdn := view[networkView](t, d, "/network/stats"), view[sdnView](t, d, "/network/sdn")
	if total, fl := network.Traffic.TotalBytes, network.Traffic.FLTrafficBytes; total < fl || fl == 0 || network.Traffic.ControlTrafficBytes == 0 {
		t.Errorf("traffic: %+v", network.Traffic)
	}
	if later := view[networkView](t, d, "/network/stats"); later.Traffic.TotalBytes < network.Traffic.TotalBytes {
		t.Errorf("the traffic shrinks from %d to %d bytes", network.Traffic.TotalBytes, later.Traffic.TotalBytes)
	}
	if hosts := network.Topology.Devices - 3; hosts < 4+2 || hosts > 4+5 || network.Topology.ActiveConnections != hosts+2 {
		t.Errorf("three switches with two links, four servers and at most five clients are %+v", network.Topology)
	}
	flows, ids := 0, []string{}
	for _, s := range sdn.Switches {
		flows += s.FlowCount
		ids = append(ids, s.SwitchID)
		if s.Status != "connected" || s.PortCount < 2 {
			t.Errorf("switch %+v", s)
		}
	}
	if strings.Join(ids, " ") != "ovs-1 ovs-2 ovs-3" || sdn.Controller.ConnectedSwitches != 3 || sdn.Controller.ActiveFlows != flows || sdn.Controller.Status != "active" {
		t.Errorf("switches %v with %d flows under %+v", ids, flows, sdn.Controller)
	}
}

// checkPolicy looks at the decisions: they are of clients and components that there are.
func (d *demo) checkPolicy(t *testing.T) {
	t.Helper()
	var known []string
	for _, c := range view[clientsView](t, d, "/fl/clients").Clients {
		known = append(known, c.ClientID)
	}
	events := view[policyView](t, d, "/policy/events?limit=1000").Events
	clients := 0
	for i, event := range events {
		if i > 0 && event.Timestamp.After(events[i-1].Timestamp) {
			t.Errorf("%v comes after %v", event.Timestamp, events[i-1].Timestamp)
		}
		if slices.Contains(known, event.Target) {
			clients++
		} else if event.Target != "fl-server" {
			t.Errorf("a decision about %q, which is neither of %v nor the server: %+v", event.Target, known, event)
		}
		if executed := event.EventType == "policy_executed"; executed != (event.Result == "allowed") || !executed && event.Result != "denied" || event.PolicyID == "" {
			t.Errorf("%+v", event)
		}
	}
	if clients == 0 || clients == len(events) {
		t.Errorf("%d of %d decisions are about clients", clients, len(events))
	}
	if some := view[policyView](t, d, "/policy/events?limit=10"); len(some.Events) != 10 || some.Total < len(events) {
		t.Errorf("%d events of %d with limit=10", len(some.Events), some.Total)
	}
}

// checkExport exports what the experiment has given.
func (d *demo) checkExport(t *testing.T) {
	t.Helper()
	export := view[struct {
		Status       string `json:"status"`
		DownloadURL  string `json:"download_url"`
		RecordsCount int    `json:"records_count"`
	}](t, d, "/export/metrics?start_date="+url.QueryEscape(time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))+
		"&end_date="+url.QueryEscape(time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	if export.Status != "completed" || export.RecordsCount < 100 {
		t.Errorf("%+v", export)
	}
}

// checkFailure has the FL server fail as the demonstration says, and recover.
func (d *demo) checkFailure(t *testing.T) {
	t.Helper()
	fail := ""
	for _, suggested := range printedCommand.FindAllStringSubmatch(d.printed.String(), -1) {
		if strings.Contains(suggested[2], "/fail?") {
			fail = suggested[2]
		}
	}
	if got := answer(t, http.MethodPost, strings.Replace(fail, "mode=hang", "mode=500", 1), ""); !strings.Contains(got, `"mode":"500"`) {
		t.Fatalf("POST %s is answered %s", fail, got)
	}
	before := view[statusView](t, d, "/fl/status").CurrentRound
	d.await(t, "a stale status", func() bool {
		status := view[statusView](t, d, "/fl/status")
		return status.Stale && status.ServerStatus == "unreachable" && status.CurrentRound >= before && status.TotalRounds == 50
	})
	answer(t, http.MethodPost, d.control+"/fl/heal", "")
	d.await(t, "a fresh status", func() bool { return !view[statusView](t, d, "/fl/status").Stale })
}

// checkReadme runs what the README shows of the demonstration: the answers have the shape that they have there.
func (d *demo) checkReadme(t *testing.T) {
	t.Helper()
	text, _ := readme(t)
	examples := readmeExample.FindAllStringSubmatch(text, -1)
	if want := strings.Count(text, "$ curl"); len(examples) != want || want == 0 {
		t.Errorf("%d examples that can be run among %d commands", len(examples), want)
	}
	for _, example := range examples {
		var shown, got any
		if err := json.Unmarshal([]byte(example[4]), &shown); err != nil {
			t.Errorf("the README shows for %s: %v in %s", example[2], err, example[4])
			continue
		}
		get(t, strings.Replace(example[2], "http://127.0.0.1:8000", d.url, 1), &got)
		if difference := shapeDifference("", shown, got); difference != "" {
			t.Errorf("%s answers %v, which is not what the README shows: %s", example[2], got, difference)
		}
	}
}

// shapeDifference tells where two answers differ in their keys or in the types of their values; a null has every type. Of
// arrays the first elements are compared.
func shapeDifference(path string, a, b any) string {
	if a == nil || b == nil {
		return ""
	}
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return fmt.Sprintf("%s is %v, not %v", path, b, a)
	}
	switch a := a.(type) {
	case map[string]any:
		b := b.(map[string]any)
		if x, y := slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)); !slices.Equal(x, y) {
			return fmt.Sprintf("%s has the keys %v, not %v", path, y, x)
		}
		for key := range a {
			if key == "details" { // of one decision, which are others in the next
				continue
			}
			if difference := shapeDifference(path+"."+key, a[key], b[key]); difference != "" {
				return difference
			}
		}
	case []any:
		if b := b.([]any); len(a) > 0 && len(b) > 0 {
			return shapeDifference(path+"[0]", a[0], b[0])
		}
	}
	return ""
}
