package flopynet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// TestFLStatusView has a server that was never seen, one that tells, one that is gone, and one that is not polled any more.
func TestFLStatusView(t *testing.T) {
	db := openEngine(t, engine.Options{})
	answers := flAnswers{}
	bed := flTestbed(t, db, answers, func() time.Time { return noon })
	check := func(of *Testbed, want string) {
		t.Helper()
		got, err := json.Marshal(of.FLStatus())
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	}
	check(bed, `{"server_status":"unknown","current_round":0,"total_rounds":0,"active_clients":0,"training_progress":0,"last_updated":null}`)
	_ = bed.fl.poll(t.Context())
	check(bed, `{"server_status":"unknown","current_round":0,"total_rounds":0,"active_clients":0,"training_progress":0,"last_updated":null}`)
	answers["/status"] = `{"server_status":"training","current_round":5,"max_rounds":10,"connected_clients":2,"training_active":true,"timestamp":"2025-06-16T10:30:00+00:00"}`
	_ = bed.fl.poll(t.Context())
	const known = `"current_round":5,"total_rounds":10,"active_clients":2,"training_progress":50,"last_updated":"2025-06-16T10:30:00Z"`
	check(bed, `{"server_status":"training",`+known+`}`)
	answers["/status"] = `<html>`
	_ = bed.fl.poll(t.Context())
	check(bed, `{"server_status":"unreachable",`+known+`,"stale":true}`)
	check(NoTestbed(db, time.Now), `{"server_status":"unreachable",`+known+`,"stale":true}`)
}

// TestTheStatesOfATraining has what the real server tells, which goes on calling itself active and never complete.
func TestTheStatesOfATraining(t *testing.T) {
	for _, row := range []struct {
		name, status              string
		summary                   string
		active, complete, stopped bool
	}{
		{"waiting", `"server_status":"waiting_for_clients","current_round":0,"max_rounds":5,"training_active":true`, "training", true, false, false},
		{"training", `"server_status":"training","current_round":2,"max_rounds":5,"training_active":true`, "training", true, false, false},
		{"paused", `"server_status":"paused","current_round":2,"max_rounds":5,"training_active":true,"training_paused":true`, "paused", true, false, false},
		{"stopped", `"server_status":"paused","current_round":2,"max_rounds":5,"training_active":true,"training_paused":true,"training_stopped_by_policy":true`, "stopped", false, false, true},
		{"done", `"server_status":"ready","current_round":5,"max_rounds":5,"training_active":false`, "completed", false, true, false},
		{"restarted", `"server_status":"ready","current_round":0,"max_rounds":5,"training_active":false`, "idle", false, false, false},
		{"no end", `"server_status":"ready","current_round":7,"max_rounds":0,"training_active":false`, "idle", false, false, false},
	} {
		bed := flTestbed(t, openEngine(t, engine.Options{}), flAnswers{"/status": `{` + row.status + `}`, "/rounds": `{"rounds":[]}`}, func() time.Time { return noon })
		if err := bed.fl.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		m, err := bed.FLMonitoring()
		if err != nil || m.TrainingActive != row.active || m.TrainingComplete != row.complete || m.StoppedByPolicy != row.stopped || !m.FLServerAvailable {
			t.Errorf("%s: %+v, %v", row.name, m, err)
		}
		if s, err := bed.FLSummary(10); err != nil || s.Status != row.summary {
			t.Errorf("%s: %+v, %v", row.name, s, err)
		}
	}
}

// TestTheAccuracyWithoutRounds is the one that the server's metrics tell, where it has no table of rounds or is further on than
// what we have of it.
func TestTheAccuracyWithoutRounds(t *testing.T) {
	db := openEngine(t, engine.Options{})
	answers := flAnswers{
		"/status":  `{"server_status":"training","current_round":7,"max_rounds":10,"training_active":true}`,
		"/metrics": `{"current_round":7,"last_round_accuracy":0.7,"last_round_loss":0.3}`,
	}
	bed := flTestbed(t, db, answers, func() time.Time { return noon })
	for _, step := range []struct {
		rounds         string
		accuracy, loss float64
		missing        int
	}{
		{"", 0.7, 0.3, 0},
		{`{"round":6,"timestamp":"2024-01-15T12:00:06","accuracy":0.6,"loss":0.4}`, 0.7, 0.3, 0},
		{`{"round":7,"timestamp":"2024-01-15T12:00:07","accuracy":0.75,"loss":0.25}`, 0.75, 0.25, 3}, // its clients, duration and size
		{`{"round":8,"timestamp":"2024-01-15T12:00:08","accuracy":0.8,"loss":0.2}`, 0.7, 0, 1},       // it tells a loss that is no number
	} {
		answers["/rounds"] = `{"rounds":[` + step.rounds + `]}`
		if step.loss == 0 {
			answers["/metrics"] = `{"current_round":7,"last_round_accuracy":0.7,"last_round_loss":NaN}`
		}
		if err := bed.fl.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		m, err := bed.FLMonitoring()
		if err != nil || m.LatestAccuracy != step.accuracy || m.LatestLoss != step.loss || len(m.Missing) != step.missing {
			t.Errorf("with %s: %+v, %v", step.rounds, m, err)
		}
	}
}

// TestFLRoundsAgainstAModel asks at random for rounds of three trainings.
func TestFLRoundsAgainstAModel(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{}
	s := syncOf(t, db, table)
	var all []FLRound
	for training, rounds := range []int{12, 1, 30} {
		table.set(1, rounds, time.Duration(training)*time.Hour, `,"loss":2,"clients":3,"training_duration":1,"model_size_mb":4,"raw_metrics":{"evaluation_results_count":2}`)
		if err := s.poll(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= rounds; n++ {
			at := noon.Add(time.Duration(training)*time.Hour + time.Duration(n-1)*time.Second)
			var accuracy float64
			_, _ = fmt.Sscanf(fmt.Sprintf("0.%d", n), "%f", &accuracy)
			all = append(all, FLRound{Round: n, Training: training + 1, Timestamp: stamp(at.UnixNano()), Accuracy: accuracy})
		}
	}
	bed := NoTestbed(db, time.Now)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		q := RoundsQuery{Training: random.IntN(5) - 1, Descending: random.IntN(2) == 0, Offset: random.IntN(2) * random.IntN(20), Limit: 1 + random.IntN(40)}
		if random.IntN(2) == 0 {
			q.From, q.To = random.IntN(20), random.IntN(40)
		}
		if random.IntN(3) == 0 {
			least := random.Float64()
			q.MinAccuracy = &least
		}
		if random.IntN(3) == 0 {
			q.FromTime = noon.Add(time.Duration(random.IntN(7300)) * time.Second).UnixNano()
		}
		if random.IntN(3) == 0 {
			q.ToTime = noon.Add(time.Duration(random.IntN(7300)) * time.Second).UnixNano()
		}
		var want []string
		for i := range all {
			r := &all[i]
			if q.Training == 0 && r.Training != 3 || q.Training > 0 && r.Training != q.Training || r.Round < q.From || q.To > 0 && r.Round > q.To ||
				q.MinAccuracy != nil && r.Accuracy < *q.MinAccuracy || int64(r.Timestamp) < q.FromTime || q.ToTime > 0 && int64(r.Timestamp) >= q.ToTime {
				continue
			}
			want = append(want, fmt.Sprintf("%d/%d %d %v", r.Training, r.Round, r.Timestamp, r.Accuracy))
		}
		if q.Descending {
			slices.Reverse(want)
		}
		total := len(want)
		want = want[min(q.Offset, len(want)):]
		want = want[:min(q.Limit, len(want))]
		answer, err := bed.FLRounds(q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range answer.Rounds {
			r := &answer.Rounds[i]
			got = append(got, fmt.Sprintf("%d/%d %d %v", r.Training, r.Round, r.Timestamp, r.Accuracy))
			if *r.SuccessfulClients != 2 || *r.FailedClients != 1 || r.Missing != nil || r.TrainingComplete != (r.Training < 3) {
				t.Fatalf("%+v", r)
			}
		}
		if !slices.Equal(got, want) || answer.Total != total || answer.Latest != 30 || answer.Trainings != 3 {
			t.Fatalf("%+v: %v, want %v; %d of %d", q, got, want, answer.Total, total)
		}
	}
}

// TestADivergedRound has no accuracy, and says so where its place is taken by 0.
func TestADivergedRound(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{rows: map[int]string{1: `{"round":1,"timestamp":"2024-01-15T12:00:00","accuracy":null,"loss":NaN,"clients":2,"raw_metrics":{"aggregated_loss":NaN}}`}}
	if err := syncOf(t, db, table).poll(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	answer, err := NoTestbed(db, time.Now).FLMetrics(RoundsQuery{Limit: 10})
	if err != nil || len(answer.Metrics) != 1 {
		t.Fatal(answer, err)
	}
	if diff := gocmp.Diff([]string{"accuracy", "loss", "training_duration", "model_size_mb"}, answer.Metrics[0].Missing); diff != "" || answer.Summary.CompletedRounds != 0 {
		t.Error(diff, answer.Summary)
	}
	if got := samplesOf(t, db, FLServer); got["accuracy"] != "" || got["loss"] != "" || got["clients"] != " 0:2" {
		t.Error(got)
	}
}

// TestFLConfigTellsWhatIsTold takes the three sources in turn away.
func TestFLConfigTellsWhatIsTold(t *testing.T) {
	db := openEngine(t, engine.Options{})
	got, err := json.Marshal(NoTestbed(db, func() time.Time { return noon }).FLConfig())
	if err != nil || !strings.Contains(string(got), `"fl_server":{},"policy_engine":{}`) || !strings.Contains(string(got), `"batch_size":null`) ||
		!strings.Contains(string(got), `"data_sources":[],"status":"unknown"`) {
		t.Errorf("nothing is known: %s, %v", got, err)
	}
	answers := flAnswers{
		"/status":  `{"server_status":"training","current_round":5,"max_rounds":1000,"training_active":true,"timestamp":"2024-01-15T12:00:00+00:00"}`,
		"/metrics": `{"current_round":5,"model_size_mb":1.5}`, "/rounds": `{"rounds":[]}`,
		"/events": `{"events":[{"event_id":"a","timestamp":"2024-01-15T11:00:00+00:00","event_type":"CONFIG_LOADED","details":{"config_summary":{"model":"cnn","dataset":"mnist","rounds":200,"min_clients":2}}}]}`,
		"/api/v1/policies": `[{"id":"p-7","rules":[{"match":{"operation":"training_configuration","condition":"x"},"parameters":{"batch_size":64}},
			{"match":{"operation":"training_configuration"},"parameters":{"batch_size":32,"momentum":0.9}}, 7, {"match":{},"parameters":{"batch_size":1}}]}]`,
	}
	bed := flTestbed(t, db, answers, func() time.Time { return noon })
	for _, poll := range []func() error{
		func() error { return bed.fl.poll(t.Context()) }, func() error { return bed.fl.events.poll(t.Context()) },
	} {
		if err := poll(); err != nil {
			t.Fatal(err)
		}
	}
	bed.parameters.peer = bed.peers[FLServer] // which has that path, too
	if err := bed.parameters.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, of := range []*Testbed{bed, NoTestbed(db, func() time.Time { return noon })} {
		c := of.FLConfig()
		source := sourceDirect
		if of != bed {
			source = sourceStored
		}
		if diff := gocmp.Diff([]string{sourceEvents, source, sourceParameters}, c.DataSources); diff != "" || c.Status != "comprehensive" {
			t.Error(diff, c.Status)
		}
		text, err := json.Marshal([]section{c.FLServer, c.FederationConfig, c.TrainingParameters, c.ModelConfig, c.PolicyEngine})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`"model":"cnn"`, `"server_host":null`, `"total_rounds":1000`, `"rounds":200`, `"batch_size":32`, `"momentum":0.9`, `"learning_rate":null`,
			`"model_type":"cnn"`, `"architecture":null`, `"policy_id":"p-7"`, `"min_available_clients":null`,
		} {
			if !strings.Contains(string(text), want) {
				t.Errorf("no %s in %s", want, text)
			}
		}
	}
}

func TestCompareNatural(t *testing.T) {
	names := []string{"client-10", "b", "client-2", "client-02x", "client-1", "", "client-1-3", "client-1-20", "7"}
	want := []string{"", "7", "b", "client-1", "client-1-3", "client-1-20", "client-2", "client-02x", "client-10"}
	for range 20 {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		slices.SortFunc(names, compareNatural)
		if diff := gocmp.Diff(want, names); diff != "" {
			t.Fatal(diff)
		}
	}
	if cmp.Compare(compareNatural("a1", "a1"), 0) != 0 {
		t.Error("a text is not itself")
	}
}
