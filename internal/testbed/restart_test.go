package testbed

import (
	"strings"
	"testing"
	"time"
)

// TestFLRestart: the rounds are as they were, the events begin anew with other ids, the counters at zero, and the
// training goes on to its end.
func TestFLRestart(t *testing.T) {
	bed, clock := open(t, Options{Seed: 1})
	clock.advance(2*time.Minute + 1300*time.Millisecond) // in the middle of a round
	url := bed.FL.URL()
	_, rounds := get(t, url+"/rounds")
	before := map[any]bool{}
	for _, e := range getJSON[eventsAnswer](t, url+"/events").Events {
		before[e["event_id"]] = true
	}
	if err := bed.FL.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, after := get(t, url+"/rounds"); string(after) != string(rounds) || !strings.Contains(string(rounds), `"round":20`) {
		t.Errorf("the rounds were\n%s and are\n%s", rounds, after)
	}
	events := getJSON[eventsAnswer](t, url+"/events").Events
	if len(events) != 2 || events[0]["event_type"] != "SERVER_START" || before[events[0]["event_id"]] {
		t.Errorf("the events are %v", events)
	}
	metrics := getJSON[map[string]any](t, url+"/metrics")
	if metrics["current_round"] != 0.0 || metrics["aggregate_fit_count"] != 0.0 || metrics["start_time"] != seconds1970(clock.now()) {
		t.Errorf("the counters are %v", metrics)
	}
	undisturbed, other := open(t, Options{Seed: 1})
	clock.advance(10 * time.Minute)
	other.advance(clock.now().Sub(other.now()))
	for i, r := range undisturbed.Rounds() {
		if got := bed.Rounds()[i]; !got.End.Equal(r.End) || got.Accuracy != r.Accuracy {
			t.Errorf("round %d ended at %v, without the restart at %v", r.Number, got.End, r.End)
		}
	}
}

// TestSecondTraining: its rounds replace those of the first, from 1 on.
func TestSecondTraining(t *testing.T) {
	bed, clock := open(t, Options{Seed: 2, Rounds: 10})
	clock.advance(2 * time.Minute)
	if !bed.Complete() {
		t.Fatal("the first training isn't over")
	}
	bed.FL.Train()
	clock.advance(20 * time.Second)
	answer := getJSON[roundsAnswer](t, bed.FL.URL()+"/rounds")
	if answer.numbers() != "1 2 3 4 5 6 7 8 9 10" {
		t.Fatalf("the rounds are %s", answer.numbers())
	}
	newer := 0
	for i, r := range answer.Rounds {
		at, err := time.Parse("2006-01-02T15:04:05.999999-07:00", r.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		if at.After(noon.Add(2 * time.Minute)) {
			if newer++; newer != i+1 {
				t.Errorf("round %d is of the second training, one before isn't", r.Round)
			}
		}
	}
	if newer < 2 || newer > 5 {
		t.Errorf("%d rounds are of the second training", newer)
	}
	clock.advance(2 * time.Minute)
	rounds := bed.Rounds()
	if len(rounds) != 20 || rounds[19].Training != 2 || rounds[19].Number != 10 || !bed.Complete() {
		t.Errorf("%d rounds in all, the last is %+v", len(rounds), rounds[len(rounds)-1])
	}
	bed.FL.Train()
	clock.advance(7 * time.Second)
	bed.FL.Train() // gives up the third in its second round
	clock.advance(2 * time.Minute)
	var third, fourth int
	for _, r := range bed.Rounds() {
		switch r.Training {
		case 3:
			third++
		case 4:
			fourth++
		}
	}
	if third != 1 || fourth != 10 {
		t.Errorf("%d rounds of the third training, %d of the fourth", third, fourth)
	}
}

// TestStopByPolicy: the training stops after the round, and goes on with the next.
func TestStopByPolicy(t *testing.T) {
	bed, clock := open(t, Options{Seed: 3, Rounds: 10})
	if err := bed.FL.Resume(); err == nil {
		t.Error("a training that runs is resumed")
	}
	clock.advance(8 * time.Second)
	bed.FL.Stop("enough")
	clock.advance(time.Minute)
	stopped := len(bed.Rounds())
	status := getJSON[map[string]any](t, bed.FL.URL()+"/status")
	if stopped != 2 || status["training_stopped_by_policy"] != true || !strings.Contains(status["stop_reason"].(string), "enough") ||
		status["server_status"] != "paused" || status["restart_allowed"] != true {
		t.Errorf("after %d rounds: %v", stopped, status)
	}
	if err := bed.FL.Resume(); err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * time.Minute)
	rounds := bed.Rounds()
	if len(rounds) != 10 || rounds[9].Number != 10 || !bed.Complete() {
		t.Errorf("%d rounds", len(rounds))
	}
	var kinds []string
	for _, e := range bed.FLEvents() {
		if strings.HasPrefix(e.Type, "TRAINING_") && e.Type != "TRAINING_PAUSED_BY_POLICY" {
			kinds = append(kinds, e.Type)
		}
	}
	want := "TRAINING_STOPPED_BY_POLICY TRAINING_PAUSED TRAINING_PAUSED_BY_SIGNAL TRAINING_RESUMED TRAINING_MANUALLY_RESTARTED TRAINING_PAUSED TRAINING_RESUMED"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}

// TestPolicyRestart loses decisions, events and counters, but not the version.
func TestPolicyRestart(t *testing.T) {
	bed, clock := open(t, Options{Seed: 4})
	clock.advance(5 * time.Minute)
	decided := len(bed.Decisions())
	if err := bed.Policy.Restart(); err != nil {
		t.Fatal(err)
	}
	if left := getJSON[[]any](t, bed.Policy.URL()+"/api/v1/policy_decisions"); len(left) != 0 {
		t.Errorf("%d decisions are left", len(left))
	}
	events := getJSON[eventsAnswer](t, bed.Policy.URL()+"/events").Events
	if len(events) != len(policies)+1 || events[len(policies)]["type"] != "ENGINE_START" {
		t.Errorf("the events are %v", events)
	}
	metrics := getJSON[map[string]any](t, bed.Policy.URL()+"/metrics")
	if metrics["policy_checks_total"] != 0.0 || metrics["policy_version"] != 2.0 || metrics["uptime_seconds"] != 0.0 || metrics["latest_application_timestamp"] != 0.0 {
		t.Errorf("the counters are %v", metrics)
	}
	clock.advance(2 * time.Minute)
	if all := len(bed.Decisions()); all <= decided {
		t.Errorf("%d decisions, %d before the restart", all, decided)
	}
}

// TestSDNRestart: the switches' counters and flows go on, under other keys; the controller's totals begin anew.
func TestSDNRestart(t *testing.T) {
	bed, clock := open(t, Options{Seed: 5})
	clock.advance(time.Minute)
	url := bed.SDN.URL()
	_, ports := get(t, url+"/stats/port/1")
	flows := getJSON[map[string]map[string]any](t, url+"/stats/flows")
	if err := bed.SDN.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, after := get(t, url+"/stats/port/1"); string(after) != string(ports) {
		t.Errorf("the ports were\n%s and are\n%s", ports, after)
	}
	after := getJSON[map[string]map[string]any](t, url+"/stats/flows")
	removed := 0
	for _, f := range bed.Flows() {
		if !f.Removed.IsZero() {
			removed++
		}
	}
	if len(after) < 20 || len(after) > len(flows) {
		t.Errorf("%d flows, %d before, %d were ever removed", len(after), len(flows), removed)
	}
	var bytes float64
	for key, f := range after {
		if flows[key] != nil || f["instructions"] == nil || f["actions"] != nil || f["table_id"] == nil {
			t.Errorf("%s: %v, should be a flow that was found under another key", key, f)
		}
		bytes += f["byte_count"].(float64)
	}
	var want int64
	for _, f := range bed.Flows() {
		if f.Removed.IsZero() {
			want += f.Bytes
		}
	}
	if int64(bytes) != want {
		t.Errorf("the flows have %.0f bytes, want %d", bytes, want)
	}
	totals := getJSON[map[string]any](t, url+"/api/performance/metrics")["totals"].(map[string]any)
	if totals["bytes_transferred"] != 0.0 || totals["flows_created"] != float64(len(after)) {
		t.Errorf("the totals are %v", totals)
	}
}
