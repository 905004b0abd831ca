package flopynet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// TestNewDecision reads decisions as FLOPY-NET's engine makes them, and others.
func TestNewDecision(t *testing.T) {
	const at = 1_700_000_000_000_000_000
	const denied = `{"action_taken":"Training not allowed now","component":"fl-server","context":{"server_round":24},"decision":"deny","execution_time":0.008821487426757812,` +
		`"id":"decision_1795931808813_4200","policy_id":"default-client-train-005","reason":"Training not allowed now","request_id":"req_1","result":false,"timestamp":1795931808.8131326}`
	for name, row := range map[string]struct {
		raw  string
		want engine.Event
		took string
	}{
		"a denial": {denied, engine.Event{
			ID: "policy_engine/decision_1795931808813_4200", Time: 1795931808_813132600, Type: PolicyViolation, Level: "warning",
			Message: "Training not allowed now",
		}, "execution_time [{policy_id default-client-train-005} {component fl-server}] 0.008821487426757812"},
		"a permission": {`{"id":"d1","policy_id":"p","component":"unknown","timestamp":1795931808,"decision":"allow","result":true,"reason":"r","execution_time":2}`,
			engine.Event{ID: "policy_engine/d1", Time: 1795931808e9, Type: PolicyExecuted, Level: "info", Message: "r"},
			"execution_time [{policy_id p} {component unknown}] 2"},
		"in words alone":     {`{"id":"d2","decision":"allowed"}`, engine.Event{ID: "policy_engine/d2", Time: at, Type: PolicyExecuted, Level: "info"}, ""},
		"of an older engine": {`{"id":"d3","allowed":true,"decision":5}`, engine.Event{ID: "policy_engine/d3", Time: at, Type: PolicyExecuted, Level: "info"}, ""},
		"of wrong types": {`{"id":7,"policy_id":{},"component":[],"timestamp":"soon","result":"yes","reason":null,"execution_time":null}`,
			engine.Event{ID: "policy_engine/7", Time: at, Type: PolicyViolation, Level: "warning"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecision([]byte(row.raw), at)
			row.want.Component, row.want.Details = PolicyEngine, []byte(row.raw)
			if diff := cmp.Diff(row.want, d.Event); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			took := ""
			if p, ok := d.point(); ok {
				took = fmt.Sprint(p.name, " ", p.tags, " ", p.value)
				if p.unit != "ms" || p.time != d.Event.Time {
					t.Errorf("the sample is %+v", p)
				}
			}
			if took != row.took {
				t.Errorf("the sample is %s, want %s", took, row.took)
			}
		})
	}
}

// TestDecisionsWithoutID: the same content is the same decision, in whatever order its keys came.
func TestDecisionsWithoutID(t *testing.T) {
	id := func(raw string) string { return NewDecision([]byte(raw), 1).Event.ID }
	one := id(`{"policy_id":"p","result":true,"context":{"a":1,"b":[0.10]},"timestamp":1.5}`)
	if two := id(`{"timestamp":1.5,"context":{"b":[0.10],"a":1},"result":true,"policy_id":"p"}`); two != one {
		t.Errorf("%s and %s", one, two)
	}
	for _, raw := range []string{`{"policy_id":"p","result":true,"context":{"a":1,"b":[0.10]},"timestamp":1.6}`, `{}`} {
		if id(raw) == one {
			t.Errorf("%s is taken for another one", raw)
		}
	}
	long := strings.Repeat("x", engine.MaxEventIDBytes)
	for _, raw := range []string{`{"id":"` + long + `"}`, `{"id":"a\u0000b"}`} {
		if got := id(raw); !strings.HasPrefix(got, "policy_engine/content_") {
			t.Errorf("%s has the ID %s", raw, got)
		}
	}
}

func TestOnlyWarned(t *testing.T) {
	for action, want := range map[string]bool{
		"warn": true, "Warning issued": true, "log": true, "log_only": true, "logged": true, "": false, "deny": false, "login refused": false,
		"same as the reason, warned": false,
	} {
		fields := decisionFields{ActionTaken: text(action), Reason: "same as the reason, warned"}
		if got := fields.onlyWarned(); got != want {
			t.Errorf("%q: %v", action, got)
		}
	}
}

// TestDecisionPages: however the decisions lie about the pages' edges, each is stored once.
func TestDecisionPages(t *testing.T) {
	for name, row := range map[string]struct {
		count, each int // so many of one time
		most        int
	}{
		"none":                              {0, 1, 0},
		"one short page":                    {shortPage - 1, 1, 0},
		"a page":                            {decisionsPerPage, 1, 0},
		"pages":                             {2*decisionsPerPage + 7, 1, 0},
		"times that are cut by edges":       {2*decisionsPerPage + 3, 3, 0},
		"more of one time than a page has":  {decisionsPerPage + 900, decisionsPerPage + 300, 0},
		"an engine that answers with fewer": {650, 2, shortPage},
	} {
		t.Run(name, func(t *testing.T) {
			db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
			f.most = row.most
			want := map[string]int64{}
			for i := range row.count {
				d := f.decide(noon.Add(time.Duration(i/row.each)*1234567*time.Microsecond), i%3 > 0)
				want["policy_engine/"+d["id"].(string)] = NewDecision(mustJSON(t, d), 0).Event.Time
			}
			bed := bedOf(t, db, f, func() time.Time { return noon.Add(time.Hour) })
			mustPoll(t, bed, "health")
			wantDecisions(t, db, want)
			before := db.Stats().SamplesAccepted
			mustPoll(t, bed, "health")
			if written := db.Stats().SamplesAccepted - before; written != 2 { // uptime_seconds and policy_count
				t.Errorf("%d samples were written by a poll that had no decisions", written)
			}
		})
	}
}

// TestDecisionsThatAreNeverListed: an engine that answers with fewer decisions than it has of one time hides some of them, and no
// others.
func TestDecisionsThatAreNeverListed(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	f.most = shortPage
	for i := range 3 * shortPage {
		f.decide(noon.Add(time.Duration(i)*time.Second), true)
	}
	for range 2 * shortPage {
		f.decide(noon.Add(time.Hour), true)
	}
	bed := bedOf(t, db, f, func() time.Time { return noon.Add(2 * time.Hour) })
	mustPoll(t, bed, "health")
	if stored := len(eventsOf(t, db)); stored != 4*shortPage {
		t.Errorf("%d decisions are stored, want %d", stored, 4*shortPage)
	}
}

func mustJSON(t *testing.T, value any) []byte {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// wantDecisions compares the stored decisions with their times by ID.
func wantDecisions(t *testing.T, db *engine.DB, want map[string]int64) {
	t.Helper()
	got := map[string]int64{}
	for id, e := range eventsOf(t, db) {
		if strings.HasPrefix(id, "policy_engine/decision_") {
			got[id] = e.Time
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%.3000s", diff)
	}
}

// TestDecisionsBeyondABoundOnPages: a poll takes its share, and the next ones go on where it came to.
func TestDecisionsBeyondABoundOnPages(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	f.most = shortPage // so that it takes fewer of them
	want := map[string]int64{}
	add := func(n int, from time.Time) {
		for i := range n {
			d := f.decide(from.Add(time.Duration(i)*time.Second), true)
			want["policy_engine/"+d["id"].(string)] = NewDecision(mustJSON(t, d), 0).Event.Time
		}
	}
	add(3*maxDecisionPages*shortPage, noon)
	now := noon.Add(2 * time.Hour)
	clock := func() time.Time { return now }
	f.metrics["uptime_seconds"] = now.Sub(noon).Seconds()
	for polls := 0; ; polls++ {
		bed := bedOf(t, db, f, clock) // a restart each time
		mustPoll(t, bed, "health")
		stored := len(eventsOf(t, db))
		if most := (polls + 1) * 2 * maxDecisionPages * shortPage; stored > most {
			t.Fatalf("%d polls stored %d, more than %d", polls+1, stored, most)
		}
		if stored == len(want) {
			break
		}
		if polls > 20 {
			t.Fatalf("%d of %d are stored", stored, len(want))
		}
		add(10, now.Add(time.Second)) // and it goes on
		now = now.Add(time.Minute)
		f.metrics["uptime_seconds"] = now.Sub(noon).Seconds()
	}
	wantDecisions(t, db, want)
}

// TestDecisionsWithWrongClocks: neither a time far in the future nor an engine that starts again with an earlier clock
// hides what comes afterwards, nor do two clocks that are wrong for a while.
func TestDecisionsWithWrongClocks(t *testing.T) {
	db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
	now := noon
	bed := bedOf(t, db, f, func() time.Time { return now })
	want := map[string]int64{}
	decide := func(at time.Time) {
		d := f.decide(at, true)
		want["policy_engine/"+d["id"].(string)] = NewDecision(mustJSON(t, d), 0).Event.Time
	}
	decide(noon.AddDate(50, 0, 0))
	mustPoll(t, bed, "health")
	decide(noon.Add(time.Second))
	now = noon.Add(5 * time.Second)
	mustPoll(t, bed, "health")
	wantDecisions(t, db, want)

	now = noon.Add(time.Minute) // the engine starts again, three days ago
	f.decisions, f.metrics = nil, map[string]any{"uptime_seconds": 2}
	decide(noon.AddDate(0, 0, -3))
	mustPoll(t, bed, "health")
	now = now.Add(time.Minute)
	f.metrics["uptime_seconds"] = 62
	decide(noon.AddDate(0, 0, -3).Add(time.Minute))
	mustPoll(t, bed, "health")
	wantDecisions(t, db, want)

	now = now.AddDate(1, 0, 0) // both clocks are a year ahead, and then right again
	f.metrics["uptime_seconds"] = 72
	decide(now)
	mustPoll(t, bed, "health")
	now = now.AddDate(-1, 0, 0).Add(10 * time.Second)
	f.metrics["uptime_seconds"] = 82
	decide(now)
	mustPoll(t, bed, "health")
	wantDecisions(t, db, want)
	if client := bed.named.list()["client-1"]; client.LastSeen > now.AddDate(1, 0, 0).UnixNano() {
		t.Errorf("a client was last seen at %v", time.Unix(0, client.LastSeen))
	}
}

// TestDecisionsOnce runs an engine that decides, lists late, pushes, fails and starts again, and a collector that polls,
// and starts again at any time. Whatever was pushed or listed at a poll that went well is stored once, with its time.
func TestDecisionsOnce(t *testing.T) {
	for range 6 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			db, f := openEngine(t, engine.Options{}), startFakeEngine(t)
			now := noon
			clock := func() time.Time { return now }
			bed := bedOf(t, db, f, clock)
			started := now
			want, listed := map[string]int64{}, map[string]int64{}
			for range 200 {
				now = now.Add(time.Duration(random.IntN(20_000_000)) * time.Microsecond)
				f.metrics["uptime_seconds"] = now.Sub(started).Seconds()
				switch random.IntN(12) {
				case 0, 1, 2, 3, 4:
					for range 1 + random.IntN(120) {
						late := time.Duration(random.IntN(int(lateness/time.Microsecond)/2)) * time.Microsecond
						d := f.decide(now.Add(-late).Truncate(time.Second/4), random.IntN(3) > 0)
						raw := mustJSON(t, d)
						decision := NewDecision(raw, 0)
						listed[decision.Event.ID] = decision.Event.Time
						if random.IntN(4) == 0 {
							if err := bed.StoreDecisions(t.Context(), []Decision{decision}, nil); err != nil {
								t.Fatal(err)
							}
							want[decision.Event.ID] = decision.Event.Time
						}
					}
				case 5:
					f.broken = true
				case 6:
					f.broken = false
				case 7:
					f.decisions, started = nil, now
					clear(listed)
				case 8:
					bed.Close()
					bed = bedOf(t, db, f, clock)
				default:
					if err := pollOf(t, bed, "health").poll(t.Context()); (err != nil) != f.broken {
						t.Fatal(err)
					}
					if !f.broken {
						for id, at := range listed {
							want[id] = at
						}
					}
				}
			}
			f.broken = false
			f.metrics["uptime_seconds"] = now.Sub(started).Seconds()
			mustPoll(t, bed, "health")
			for id, at := range listed {
				want[id] = at
			}
			wantDecisions(t, db, want)
		})
	}
}

// TestDecisionSeriesAreBounded: an engine that names a new policy each time makes no series without end.
func TestDecisionSeriesAreBounded(t *testing.T) {
	db := openEngine(t, engine.Options{})
	bed := NoTestbed(db, func() time.Time { return noon })
	var decisions []Decision
	for i := range maxDecisionSeries + 50 {
		raw := fmt.Sprintf(`{"id":"d%d","policy_id":"p%d","component":"c","timestamp":%d,"result":true,"execution_time":1}`, i, i, noon.Unix()+int64(i))
		decisions = append(decisions, NewDecision([]byte(raw), 0))
	}
	if err := bed.StoreDecisions(t.Context(), decisions, nil); err != nil {
		t.Fatal(err)
	}
	rows := policySamples(t, db, "execution_time")
	series := map[string]int{}
	for _, row := range rows {
		series[strings.Join(strings.Fields(row)[:2], " ")]++
	}
	if len(rows) != len(decisions) || len(series) != maxDecisionSeries+1 || series["component:other policy_id:other"] != 50 {
		t.Errorf("%d samples of %d series, %d of the common one", len(rows), len(series), series["component:other policy_id:other"])
	}
}
