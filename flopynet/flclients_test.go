package flopynet

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/testbed"
	"github.com/flopynet/collector/model"
)

// push stores a client's sample, as POST /metrics does.
func push(t *testing.T, db *engine.DB, name string, at int64, value float64, tags ...model.Tag) {
	t.Helper()
	r := newRecorder(db, "fl_client", NoTestbed(db, time.Now).options.Logger, time.Now, func(time.Time, int) {})
	if err := r.samples([]point{{name: name, time: at, value: value, tags: tags}}); err != nil {
		t.Fatal(err)
	}
}

func clientsOf(t *testing.T, bed *Testbed) []string {
	t.Helper()
	answer, err := bed.FLClients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range answer.Clients {
		c := &answer.Clients[i]
		text, err := json.Marshal([]any{c.ClientID, c.IPAddress, c.Status, c.LastSeen, c.RoundParticipation, c.TrainingTimeAvg})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
	}
	return got
}

// TestFLClientsFromWhatNamesThem has a client for each way in which one can be known, and for each status.
func TestFLClientsFromWhatNamesThem(t *testing.T) {
	db := openEngine(t, engine.Options{})
	now := noon
	answers := flAnswers{
		"/status": `{"server_status":"training","current_round":5,"max_rounds":10,"training_active":true,"timestamp":"2024-01-15T12:00:00"}`,
		"/rounds": `{"rounds":[{"round":5,"timestamp":"2024-01-15T11:59:50","training_duration":30}]}`,
	}
	bed := flTestbed(t, db, answers, func() time.Time { return now })
	bed.options.NodeIPs = map[string]netip.Addr{
		"fl-client-1": netip.MustParseAddr("192.168.100.101"), "FL_CLIENT_7": netip.MustParseAddr("192.168.100.107"), "fl-server": netip.MustParseAddr("192.168.100.10"),
	}
	if err := bed.fl.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := int64(time.Second)
	id := func(client string) model.Tag { return model.Tag{Key: "client_id", Value: client} }
	for n := 1; n <= 5; n++ { // rounds 1 to 5, the last one twice
		push(t, db, "round", noon.UnixNano()-int64(60-10*n)*second, float64(n), id("client-1"))
		push(t, db, "training_time", noon.UnixNano()-int64(60-10*n)*second, float64(10*n), id("client-1"))
	}
	push(t, db, "round", noon.UnixNano()-9*second, 5, id("client-1"))
	for _, n := range []string{"3", "4"} {
		push(t, db, "accuracy", noon.UnixNano()-30*second, 0.5, id("client-2"), model.Tag{Key: "round", Value: n}, model.Tag{Key: "client_ip", Value: "192.168.100.102"})
	}
	push(t, db, "cpu_usage", noon.UnixNano()-91*second, 50, id("client-10")) // more than three rounds ago
	decide := func(context string, at int64, allowed bool) Decision {
		return NewDecision(fmt.Appendf(nil, `{"id":"d%d","timestamp":%d.5,"result":%v,"context":%s}`, at, noon.Unix()+at, allowed, context), noon.Add(time.Minute).UnixNano())
	}
	err := bed.StoreDecisions(t.Context(), []Decision{
		decide(`{"client_id":"client-3","client_ip":"192.168.100.103","operation":"model_training","current_round":5,"server_round":5}`, -20, true),
		decide(`{"client_id":"client-4","client_ip":"no address","operation":"model_training","current_round":5}`, -20, false),
		decide(`{"client_id":"client-3","operation":"model_training","current_round":2}`, -40, true), // late
		decide(`{"server_id":"s"}`, -1, true), decide(`{"client_id":7}`, -5, true), decide(`null`, -5, true),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`["7",null,"idle","2024-01-15T11:59:55.500Z",0,null]`,
		`["client-1","192.168.100.101","training","2024-01-15T11:59:51Z",5,30]`,
		`["client-2","192.168.100.102","idle","2024-01-15T11:59:30Z",2,null]`,
		`["client-3","192.168.100.103","training","2024-01-15T11:59:40.500Z",2,null]`,
		`["client-4",null,"idle","2024-01-15T11:59:40.500Z",0,null]`,
		`["client-7","192.168.100.107","unknown",null,0,null]`,
		`["client-10",null,"disconnected","2024-01-15T11:58:29Z",0,null]`,
	}
	if diff := cmp.Diff(want, clientsOf(t, bed)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Nobody trains while the server doesn't answer, and a restart forgets no client.
	again := NoTestbed(db, func() time.Time { return now })
	again.options.NodeIPs = bed.options.NodeIPs
	for i, from := range []int{1, 3} {
		want[from] = []string{`["client-1","192.168.100.101","idle","2024-01-15T11:59:51Z",5,30]`, `["client-3","192.168.100.103","idle","2024-01-15T11:59:40.500Z",2,null]`}[i]
	}
	if diff := cmp.Diff(want, clientsOf(t, again)); diff != "" {
		t.Errorf("after a restart, -want +got:\n%s", diff)
	}
	if answer, err := again.FLClients(t.Context()); err != nil || !answer.Stale {
		t.Errorf("%+v, %v", answer, err)
	}
}

// TestTrainingEnds: trainings found late, and clocks that were set back, have later ends before earlier ones.
func TestTrainingEnds(t *testing.T) {
	times := endsOf([]training{{Ordinal: 1, LastTime: 10}, {Ordinal: 2, LastTime: 40}, {Ordinal: 3, LastTime: 30}, {Ordinal: 4, LastTime: 50}})
	for ns, want := range map[int64]int64{0: 1, 10: 1, 11: 2, 35: 2, 40: 2, 41: 4, 50: 4, 60: 4} {
		if got := times.at(ns); got != trainingName(want) {
			t.Errorf("at %d: %s, want %d", ns, got, want)
		}
	}
	if none := endsOf(nil); none.at(7) != "" {
		t.Error("there is none")
	}
}

// TestManyNamedClients is a peer that invents clients: those that were seen last are known.
func TestManyNamedClients(t *testing.T) {
	db := openEngine(t, engine.Options{})
	logger := slog.New(slog.DiscardHandler)
	named := openNamedClients(db, logger)
	var seen []sighting
	for i := range maxClients + 500 {
		seen = append(seen, sighting{id: "client-" + strconv.Itoa(i), at: noon.UnixNano() + int64(i)})
	}
	for range 2 {
		if err := named.saw(seen); err != nil {
			t.Fatal(err)
		}
	}
	last := "client-" + strconv.Itoa(maxClients+499) // whose like must not be kept out by those before
	for when, clients := range map[string]map[string]namedClient{"now": named.list(), "after a restart": openNamedClients(db, logger).list()} {
		if len(clients) > maxClients || len(clients) < maxClients/2 || clients[last].ID != last {
			t.Errorf("%s: %d clients, %s is %+v", when, len(clients), last, clients[last])
		}
	}
}

// TestFLClientsAgainstTheTruth has the simulator's clients measured and decided about through two trainings.
func TestFLClientsAgainstTheTruth(t *testing.T) {
	var now atomic.Int64
	now.Store(noon.UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()).UTC() }
	sim, err := testbed.New(testbed.Options{Seed: 7, Now: clock, Rounds: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	db := openEngine(t, engine.Options{})
	bed, err := NewTestbed(db, Options{
		FLServer: PeerOptions{URL: sim.FL.URL()}, PolicyEngine: PeerOptions{URL: sim.Policy.URL()}, SDNController: PeerOptions{URL: sim.SDN.URL()}, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	pushed := 0
	poll := func() {
		for _, p := range bed.pollers {
			if err := p.poll(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		all := sim.Measurements()
		for _, m := range all[pushed:] {
			tag := model.Tag{Key: "client_id", Value: m.ClientID}
			push(t, db, "round", m.Time.UnixNano(), float64(m.Round), tag)
			for _, v := range m.Values {
				push(t, db, v.Name, m.Time.UnixNano(), v.Value, tag)
			}
		}
		pushed = len(all)
	}
	for step := range 60 {
		if step == 30 {
			sim.FL.Train()
		}
		now.Add(int64(4 * time.Second))
		poll()
	}
	type truth struct {
		rounds   map[[2]int]bool
		time     float64
		times    int
		lastSeen time.Time
		address  string
		allowed  []any // rounds
	}
	want := map[string]*truth{}
	of := func(id string) *truth {
		if want[id] == nil {
			want[id] = &truth{rounds: map[[2]int]bool{}}
		}
		return want[id]
	}
	for _, m := range sim.Measurements() {
		one := of(m.ClientID)
		one.rounds[[2]int{m.Training, m.Round}] = true
		for _, v := range m.Values {
			if v.Name == "training_time" {
				one.time, one.times = one.time+v.Value, one.times+1
			}
		}
		if m.Time.After(one.lastSeen) {
			one.lastSeen = m.Time
		}
	}
	for _, d := range sim.Decisions() {
		id, ok := d.Context["client_id"].(string)
		if !ok {
			continue
		}
		one := of(id)
		one.address, _ = d.Context["client_ip"].(string)
		if round := d.Context["server_round"]; d.Allowed && d.Context["operation"] == "model_training" && (len(one.allowed) == 0 || one.allowed[len(one.allowed)-1] != round) {
			one.allowed = append(one.allowed, round)
		}
		if d.Time.After(one.lastSeen) {
			one.lastSeen = d.Time
		}
	}
	attached := map[string]bool{}
	for _, host := range sim.Hosts() {
		attached[host.IP] = true
	}
	answer, err := bed.FLClients(t.Context())
	if err != nil || len(answer.Clients) != len(want) || answer.Partial || answer.Stale {
		t.Fatalf("%+v, %v; want %d clients", answer, err, len(want))
	}
	for i := range answer.Clients {
		got := &answer.Clients[i]
		one := want[got.ClientID]
		if named := bed.named.list()[got.ClientID]; named.Rounds != len(one.allowed) {
			t.Errorf("%s was allowed to train in %d rounds, want %v", got.ClientID, named.Rounds, one.allowed)
		}
		if attached[one.address] {
			one.lastSeen = clock() // the controller sees it
		} else if got.Status != ClientDisconnected {
			t.Errorf("%s has left the network, and is %s", got.ClientID, got.Status)
		}
		if got.RoundParticipation != len(one.rounds) || math.Abs(*got.TrainingTimeAvg-one.time/float64(one.times)) > 1e-6 ||
			attached[one.address] && time.Duration(one.lastSeen.UnixNano()-int64(got.LastSeen)).Abs() > time.Second || int64(got.LastSeen) < one.lastSeen.Add(-time.Second).UnixNano() || *got.IPAddress != one.address {
			t.Errorf("%+v: %s, mean %v; want %+v of %d", got, *got.IPAddress, *got.TrainingTimeAvg, one, len(one.rounds))
		}
	}
}

// TestClientsThatTakeLongToRead serve for a while; those that don't are read each time.
func TestClientsThatTakeLongToRead(t *testing.T) {
	db := openEngine(t, engine.Options{})
	for _, row := range []struct{ step, want int }{{1, 2}, {100, 1}} { // ms that pass at each look at the clock, clients of the second answer
		now := noon
		bed := NoTestbed(db, func() time.Time { now = now.Add(time.Duration(row.step) * time.Millisecond); return now })
		count := func() int {
			clients, _, err := bed.clients.list(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return len(clients)
		}
		push(t, db, "accuracy", noon.UnixNano(), 1, model.Tag{Key: clientTag, Value: "client-1"})
		before := count()
		push(t, db, "accuracy", noon.UnixNano(), 1, model.Tag{Key: clientTag, Value: fmt.Sprint("client-of-step-", row.step)})
		if got := count() - before; got != row.want-1 {
			t.Errorf("a step of %d ms: %d more clients", row.step, got)
		}
		if now = now.Add(time.Minute); count() != before+1 {
			t.Errorf("a step of %d ms: what was read serves for ever", row.step)
		}
	}
}
