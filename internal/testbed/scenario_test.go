package testbed

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// paths are all that a monitor asks for.
func paths(bed *Testbed) []string {
	var urls []string
	add := func(base string, paths ...string) {
		for _, path := range paths {
			urls = append(urls, base+path)
		}
	}
	add(bed.FL.URL(), "/health", "/status", "/metrics", "/rounds", "/rounds/latest?limit=3", "/events")
	add(bed.Policy.URL(), "/health", "/metrics", "/check?component=collector&action=collect_metrics", "/events",
		"/api/v1/policy_decisions?limit=1000", "/api/v1/policy_metrics")
	add(bed.SDN.URL(), "/health", "/status", "/v1.0/topology/switches", "/v1.0/topology/links", "/v1.0/topology/hosts", "/stats/switches",
		"/stats/port/1", "/stats/port/2", "/stats/flows", "/stats/flowentry/1", "/api/performance/metrics", "/stats/flow/1")
	return urls
}

// TestSameSeedSameBytes asks one testbed at many moments and another at the last of them only: what they say then
// is the same to the byte, and not what another seed says.
func TestSameSeedSameBytes(t *testing.T) {
	options := Options{Seed: 7, Rounds: 20}
	often, oftenClock := open(t, options)
	once, onceClock := open(t, options)
	options.Seed = 8
	other, otherClock := open(t, options)
	const span = 43*time.Second + 123457*time.Microsecond
	for range 40 {
		oftenClock.advance(span / 40)
		for _, url := range paths(often) {
			get(t, url)
		}
	}
	onceClock.advance(span / 40 * 40)
	otherClock.advance(span / 40 * 40)
	differ := 0
	for i, url := range paths(often) {
		_, first := get(t, url)
		_, second := get(t, paths(once)[i])
		if string(first) != string(second) {
			t.Errorf("%s:\n%.2000s\n%.2000s", url, first, second)
		}
		if _, third := get(t, paths(other)[i]); string(first) != string(third) {
			differ++
		}
	}
	if differ < 10 {
		t.Errorf("another seed: only %d answers differ", differ)
	}
}

// TestTrainingRunsItsCourse: each round is there once, in order, with all that the scenario has in store.
func TestTrainingRunsItsCourse(t *testing.T) {
	for seed := range uint64(5) {
		bed, clock := open(t, Options{Seed: seed})
		clock.advance(10 * time.Minute)
		rounds := bed.Rounds()
		if len(rounds) != 50 || !bed.Complete() {
			t.Fatalf("seed %d: %d rounds, complete: %v", seed, len(rounds), bed.Complete())
		}
		var denied, stragglers, dropped int
		for i, r := range rounds {
			if r.Number != i+1 || r.Training != 1 || !r.Begin.Before(r.End) || r.End.Nanosecond()%1000 != 0 {
				t.Errorf("seed %d: round %d is %+v", seed, i+1, r)
			}
			if i > 0 && r.Begin.Before(rounds[i-1].End) {
				t.Errorf("seed %d: round %d begins at %v, before %v, the end of the one before", seed, r.Number, r.Begin, rounds[i-1].End)
			}
			if r.Clients != r.Successful+r.Failed || r.Successful != len(r.Participants) || r.Failed != len(r.Dropped) || r.Successful == 0 {
				t.Errorf("seed %d: round %d doesn't add up: %+v", seed, r.Number, r)
			}
			for _, id := range r.Denied {
				if slices.Contains(r.Participants, id) {
					t.Errorf("seed %d: %s takes part in round %d, which it was denied", seed, id, r.Number)
				}
			}
			denied, stragglers, dropped = denied+len(r.Denied), stragglers+len(r.Stragglers), dropped+len(r.Dropped)
		}
		if denied == 0 || stragglers == 0 || dropped == 0 {
			t.Errorf("seed %d: %d denied, %d stragglers, %d dropped: want some of each", seed, denied, stragglers, dropped)
		}
		if first, last := rounds[0], rounds[49]; last.Accuracy < first.Accuracy+0.4 || last.Loss > first.Loss-1 {
			t.Errorf("seed %d: accuracy from %g to %g, loss from %g to %g", seed, first.Accuracy, last.Accuracy, first.Loss, last.Loss)
		}
		checkEvents(t, bed, rounds)
		checkDecisions(t, bed, rounds)
	}
}

// checkEvents compares the FL server's events with its rounds.
func checkEvents(t *testing.T, bed *Testbed, rounds []Round) {
	t.Helper()
	count := map[string]int{}
	ids := map[string]bool{}
	var last time.Time
	for _, e := range bed.FLEvents() {
		count[e.Type]++
		if ids[e.ID] || len(e.ID) != 36 || e.Time.Before(last) {
			t.Errorf("event %+v: its id or its time is wrong", e)
		}
		ids[e.ID], last = true, e.Time
		if e.Type == "ROUND_COMPLETED" {
			r := rounds[e.Details["round"].(int)-1]
			if float64(e.Details["accuracy"].(pyFloat)) != r.Accuracy || e.Time.Sub(r.End) != 90*time.Microsecond {
				t.Errorf("event %+v isn't of the round %+v", e, r)
			}
		}
	}
	for _, kind := range []string{"ROUND_STARTED", "AGGREGATION_COMPLETED", "EVALUATION_COMPLETED", "ROUND_COMPLETED"} {
		if count[kind] != len(rounds) {
			t.Errorf("%d of %s in %d rounds", count[kind], kind, len(rounds))
		}
	}
	for _, kind := range []string{"SERVER_START", "CONFIG_LOADED", "TRAINING_PAUSED_BY_POLICY", "TRAINING_PAUSED", "TRAINING_RESUMED", "POLICY_VERSION_UPDATED"} {
		if count[kind] != 1 {
			t.Errorf("%d of %s", count[kind], kind)
		}
	}
}

// checkDecisions compares the policy engine's decisions about the clients' training with the rounds.
func checkDecisions(t *testing.T, bed *Testbed, rounds []Round) {
	t.Helper()
	got := map[string]bool{}
	for _, d := range bed.Decisions() {
		if id, isClient := d.Context["client_id"].(string); isClient && d.PolicyType == "fl_client_training" {
			got[fmt.Sprint(d.Context["current_round"], id, d.Allowed)] = true
			r := rounds[d.Context["current_round"].(int)-1]
			if d.Time.Before(r.Begin) || d.Time.After(r.End) {
				t.Errorf("the decision %+v isn't within its round %+v", d, r)
			}
		}
	}
	want := 0
	for _, r := range rounds {
		for _, allowed := range slices.Concat(r.Participants, r.Dropped) {
			if want++; !got[fmt.Sprint(r.Number, allowed, true)] {
				t.Errorf("round %d: %s took part without permission", r.Number, allowed)
			}
		}
		for _, denied := range r.Denied {
			if want++; !got[fmt.Sprint(r.Number, denied, false)] {
				t.Errorf("round %d: %s was denied by nobody", r.Number, denied)
			}
		}
	}
	if want != len(got) {
		t.Errorf("%d decisions about clients, want %d", len(got), want)
	}
}

// TestStragglersTakeLonger: a round with one lasts longer than any without.
func TestStragglersTakeLonger(t *testing.T) {
	bed, clock := open(t, Options{Seed: 3})
	clock.advance(10 * time.Minute)
	var with, without time.Duration
	for _, r := range bed.Rounds() {
		if took := r.End.Sub(r.Begin); len(r.Stragglers) == 0 {
			without = max(without, took)
		} else if with == 0 || took < with {
			with = took
		}
	}
	if with <= without {
		t.Errorf("the shortest round with a straggler took %v, the longest without %v", with, without)
	}
}

// TestMeasurements: each client that counted has measured its training once, at a time of that round.
func TestMeasurements(t *testing.T) {
	bed, clock := open(t, Options{Seed: 4})
	clock.advance(10 * time.Minute)
	measured := map[string]int{}
	rounds := bed.Rounds()
	for _, m := range bed.Measurements() {
		measured[fmt.Sprint(m.Round, m.ClientID)]++
		if r := rounds[m.Round-1]; m.Time.Before(r.Begin) || m.Time.After(r.End) {
			t.Errorf("%+v isn't within its round %+v", m, r)
		}
	}
	for _, r := range rounds {
		for _, id := range r.Participants {
			if measured[fmt.Sprint(r.Number, id)] != 1 {
				t.Errorf("round %d: %d measurements of %s", r.Number, measured[fmt.Sprint(r.Number, id)], id)
			}
			delete(measured, fmt.Sprint(r.Number, id))
		}
	}
	if len(measured) != 0 {
		t.Errorf("measured by those who took no part: %v", measured)
	}
}

// TestTopologyFollowsTheClients: a client's host is there when it is connected, and then only.
func TestTopologyFollowsTheClients(t *testing.T) {
	bed, clock := open(t, Options{Seed: 5})
	seen := map[int]bool{}
	for range 120 {
		clock.advance(2500 * time.Millisecond)
		type host struct {
			IPv4 []string `json:"ipv4"`
		}
		there := map[string]bool{}
		for _, h := range getJSON[[]host](t, bed.SDN.URL()+"/v1.0/topology/hosts") {
			there[h.IPv4[0]] = true
		}
		connected := 0
		for _, c := range bed.Clients() {
			if there[c.IP] != c.Connected {
				t.Errorf("%+v: its host is there: %v", c, there[c.IP])
			}
			if c.Connected {
				connected++
			}
		}
		seen[connected] = true
		if !there[addressFL] || len(there) != 4+connected {
			t.Errorf("%d hosts with %d clients", len(there), connected)
		}
	}
	if len(seen) < 2 {
		t.Errorf("the number of clients was always the same: %v", seen)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		options Options
		names   string
	}{
		{Options{Rounds: -1}, "rounds: -1"},
		{Options{RoundEvery: time.Microsecond}, "at least 10ms"},
		{Options{Clients: 151}, "clients: 151"},
		{Options{Switches: 65}, "switches: 65"},
		{Options{ListenSDN: "nowhere"}, `"nowhere"`},
		{Options{CollectorURL: "collector:8000"}, `"collector:8000"`},
		{Options{CollectorURL: "ftp://collector"}, `"ftp://collector"`},
		{Options{ListenFL: "256.0.0.1:1"}, "256.0.0.1"},
	} {
		bed, err := New(c.options)
		if err == nil {
			bed.Close()
			t.Errorf("%+v is accepted", c.options)
		} else if !strings.Contains(err.Error(), c.names) {
			t.Errorf("%v doesn't name %s", err, c.names)
		}
	}
}
