package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/flopynet"
	"github.com/flopynet/collector/model"
)

// pushed is a decision as FLOPY-NET's policy engine sends it.
const pushed = `{"id": "decision_1705314600250_4200", "policy_id": "default-client-train-005", "policy_name": "fl_client_training_policy", "component": "fl-client", ` +
	`"timestamp": 1705314600.25, "context": {"operation": "model_training", "client_id": "client-1", "server_round": 3}, "decision": "deny", "result": false, ` +
	`"reason": "Deny training during peak hours", "action_taken": "Deny training during peak hours", "execution_time": 0.21600723266601562, "request_id": "req_1"}`

func (ts *testServer) postDecisions(body string, headers ...string) reply {
	ts.t.Helper()
	return ts.do(http.MethodPost, "/policy_decisions", []byte(body), append([]string{"Content-Type", "application/json"}, headers...)...)
}

// TestPolicyDecisionIsPushed sends one as the policy engine does and finds it in all views.
func TestPolicyDecisionIsPushed(t *testing.T) {
	ts := startEvents(t)
	for range 2 { // the second time it is known
		answer := ts.postDecisions(pushed)
		want := `{"status":"success","decisions_accepted":1,"timestamp":"2024-01-15T12:00:00Z","event_ids":["policy_engine/decision_1705314600250_4200"]}`
		if answer.status != http.StatusOK || strings.TrimSpace(string(answer.body)) != want {
			t.Fatalf("%d %s, want %s", answer.status, answer.body, want)
		}
	}
	var compact json.RawMessage
	if err := json.Unmarshal([]byte(pushed), &compact); err != nil {
		t.Fatal(err)
	}
	details := string(appendJSON(nil, compact))
	for path, want := range map[string]string{
		"/policy/events": `{"events":[{"timestamp":"2024-01-15T10:30:00.250Z","policy_id":"default-client-train-005","event_type":"policy_violation","target":"client-1","result":"denied","details":` +
			details + `}],"total":1,"since":null}`,
		"/events?from=2024-01-15T10:00:00Z": `{"events":[{"event_id":"policy_engine/decision_1705314600250_4200","timestamp":"2024-01-15T10:30:00.250Z","component":"policy_engine",` +
			`"event_type":"policy_violation","level":"warning","message":"Deny training during peak hours","details":` + details + `}],"total":1,"next_cursor":null}`,
		"/metrics/query?metric=execution_time&source=policy_engine&tags=policy_id:default-client-train-005,component:fl-client&from=2024-01-15T10:30:00Z&to=2024-01-15T10:31:00Z": ``,
	} {
		answer := ts.get(path)
		if want == "" {
			if !strings.Contains(string(answer.body), `{"timestamp":"2024-01-15T10:30:00.250Z","value":0.21600723266601562}`) || !strings.Contains(string(answer.body), `"unit":"ms"`) {
				t.Errorf("%s: %s", path, answer.body)
			}
		} else if got := strings.TrimSpace(string(answer.body)); got != want {
			t.Errorf("%s:\n%s, want\n%s", path, got, want)
		}
	}
}

// TestPolicyDecisionsAreRefused one by one, with what is wrong with each.
func TestPolicyDecisionsAreRefused(t *testing.T) {
	ts := startEvents(t)
	answer := ts.postDecisions(`{"more": 1, "decisions": [` + pushed + `, 5, {"result": true}, {"policy_id": "p"}, {"policy_id": "p", "result": 1}, {"policy_id": 7, "result": true},
		{"policy_id": "p", "result": true, "timestamp": "soon"}, {"policy_id": "p", "result": true, "context": []}, {"policy_id": "p", "result": true, "execution_time": "fast"},
		{"policy_id": "p", "decision": "perhaps"}, {"policy_id": "p", "decision": "deny", "reason": "` + strings.Repeat("x", 70_000) + `"}, {"policy_id": "p", "decision": "allow", "id": 7, "timestamp": "now-1h", "rule_evaluations": [{}]}]}`)
	var got struct {
		Status   string           `json:"status"`
		Accepted int              `json:"decisions_accepted"`
		Rejected int              `json:"decisions_rejected"`
		IDs      []string         `json:"event_ids"`
		Errors   []eventRejection `json:"errors"`
		Warnings []string         `json:"warnings"`
	}
	if err := json.Unmarshal(answer.body, &got); err != nil || answer.status != http.StatusOK || got.Status != "partial" || got.Accepted != 2 || got.Rejected != 10 {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	reasons := []string{}
	for _, e := range got.Errors {
		reasons = append(reasons, fmt.Sprint(e.Index, " ", e.Field, " ", e.Reason))
	}
	want := []string{
		"1  the decision is 5, want an object", "2 policy_id is missing; name the policy that was applied",
		"3 result is missing; give true or false, or allow or deny as decision", "4 result is 1, want true or false", "5 policy_id is 7, want a string",
		"6 timestamp " + got.Errors[5].Reason, "7 context is [], want an object", `8 execution_time is "fast", want a number of milliseconds`,
		"9 result is missing; give true or false, or allow or deny as decision", "10 reason has 70000 bytes, at most 65536 are allowed",
	}
	if diff := cmp.Diff(want, reasons); diff != "" || !strings.Contains(got.Errors[5].Reason, `"soon"`) {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"policy_engine/decision_1705314600250_4200", "policy_engine/7"}, got.IDs); diff != "" || len(got.Warnings) != 1 {
		t.Errorf("%s, warnings %v", diff, got.Warnings)
	}
	if body := string(ts.get("/policy/events?limit=1").body); !strings.Contains(body, `"timestamp":"2024-01-15T11:00:00Z"`) || !strings.Contains(body, `"target":"policy_engine","result":"allowed"`) {
		t.Errorf("%s", body)
	}
	for _, test := range []struct {
		body   string
		status int
		code   string
		want   string
	}{
		{`[{"policy_id": "p"}]`, 400, "INVALID_REQUEST", `"decisions_rejected":1`},
		{`{"policy_id": "p", "result": true, "context": NaN}`, 400, "INVALID_REQUEST", "not valid JSON"},
		{`{"decisions": 1}`, 400, "INVALID_REQUEST", `"field":"decisions"`},
		{`1`, 400, "INVALID_REQUEST", "it must be a decision, an array of decisions"},
		{"[" + strings.Repeat("{},", 10_000) + "{}]", 422, "LIMIT_EXCEEDED", `"max":10000`},
	} {
		answer := ts.postDecisions(test.body)
		answer.wantError(t, test.status, test.code)
		if !strings.Contains(string(answer.body), test.want) {
			t.Errorf("%.60s: %s", test.body, answer.body)
		}
	}
	if answer := ts.postDecisions(`[]`); answer.status != http.StatusOK || !strings.Contains(string(answer.body), `"decisions_accepted":0`) {
		t.Errorf("none: %d %s", answer.status, answer.body)
	}
}

// TestPolicyDecisionsAreAnsweredOnce under a key of the client's.
func TestPolicyDecisionsAreAnsweredOnce(t *testing.T) {
	ts := startEvents(t)
	first := ts.postDecisions(pushed, "Idempotency-Key", "k")
	again := ts.postDecisions(pushed, "Idempotency-Key", "k")
	if string(first.body) != string(again.body) || again.header.Get(headerReplayed) != "true" {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	ts.postDecisions(`[]`, "Idempotency-Key", "k").wantError(t, http.StatusConflict, "CONFLICT")
	if events := ts.do(http.MethodPost, "/events", []byte(`[]`), "Content-Type", "application/json", "Idempotency-Key", "k"); events.status != http.StatusOK {
		t.Errorf("the key of another route: %d %s", events.status, events.body)
	}
}

// TestPolicyDecisionsNeedAKeyForThePolicyEngine: a device's key doesn't speak for it.
func TestPolicyDecisionsNeedAKeyForThePolicyEngine(t *testing.T) {
	ts := startEvents(t)
	boss := bearer(ts.makeKey(`{"name":"boss","role":"admin"}`))
	device := bearer(ts.makeKey(`{"name":"edge","role":"write","sources":["edge-7"]}`, boss...))
	engines := bearer(ts.makeKey(`{"name":"engine","role":"write","sources":["policy_engine"]}`, boss...))
	reader := bearer(ts.makeKey(`{"name":"dash","role":"read"}`, boss...))
	if refused := ts.postDecisions(pushed, device...); refused.status != http.StatusBadRequest || !strings.Contains(string(refused.body), "may not write as") {
		t.Errorf("%d %s", refused.status, refused.body)
	}
	ts.postDecisions(pushed, reader...).wantError(t, http.StatusForbidden, "FORBIDDEN")
	ts.postDecisions(pushed).wantError(t, http.StatusUnauthorized, "UNAUTHORIZED")
	if accepted := ts.postDecisions(pushed, engines...); accepted.status != http.StatusOK {
		t.Errorf("%d %s", accepted.status, accepted.body)
	}
}

// TestPolicyEventsView reads decisions and violations as the seed shows them.
func TestPolicyEventsView(t *testing.T) {
	ts := startEvents(t)
	write := func(id, kind, component, details string, at time.Time) {
		event := engine.Event{ID: id, Type: kind, Component: component, Time: at.UnixNano(), Details: []byte(details)}
		if err := ts.db.WriteEvents(t.Context(), []engine.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2025, 6, 16, 10, 29, 45, 0, time.UTC)
	write("a", "policy_executed", "policy_engine", `{"policy_id":"client_validation","context":{"client_id":"client-1"},"result":true}`, at)
	write("b", "policy_violation", "policy_engine", `{"policy_id":"network_quality","target":"network_link_1","metric":"latency","value":105,"threshold":100}`, at.Add(-15*time.Second))
	write("c", "policy_violation", "policy_engine", `{"policy_id":"p","component":"network","context":{"target":"sw1"},"result":false,"reason":"r","action_taken":"log"}`, at.Add(-time.Minute))
	write("d", "policy_violation", "policy_engine", `{"component":"fl-server","decision":"deny"}`, at.Add(-time.Hour))
	write("e", "POLICY_LOADED", "policy_engine", `{}`, at)
	write("f", "policy_violation", "elsewhere", `{}`, at)
	type row = map[string]any
	rows := func(path string) (list []string, answer row) {
		answer = ts.getJSON(path)
		for _, e := range answer["events"].([]any) {
			one := e.(row)
			list = append(list, fmt.Sprint(one["timestamp"], " ", one["policy_id"], " ", one["event_type"], " ", one["target"], " ", one["result"]))
		}
		return list, answer
	}
	all := []string{
		"2025-06-16T10:29:45Z client_validation policy_executed client-1 allowed", "2025-06-16T10:29:30Z network_quality policy_violation network_link_1 warning",
		"2025-06-16T10:28:45Z p policy_violation sw1 warning", "2025-06-16T09:29:45Z <nil> policy_violation fl-server denied",
	}
	for path, want := range map[string]struct {
		events []string
		total  float64
		since  any
	}{
		"/policy/events":                                      {all, 4, nil},
		"/api/v1/policy/events/?limit=2":                      {all[:2], 4, nil},
		"/policy/events?limit=10&since=2025-06-16T10:00:00Z":  {all[:3], 3, "2025-06-16T10:00:00Z"},
		"/policy/events?limit=1000&since=2025-06-16T10:29:45": {all[:1], 1, "2025-06-16T10:29:45"},
		"/policy/events?since=2025-06-16T12:29:45%2B02:00":    {all[:1], 1, "2025-06-16T12:29:45+02:00"},
		"/policy/events?since=2026-01-01":                     {nil, 0, "2026-01-01"},
	} {
		got, answer := rows(path)
		if diff := cmp.Diff(want.events, got); diff != "" || answer["total"] != want.total || answer["since"] != want.since {
			t.Errorf("%s: total %v, since %v, -want +got:\n%s", path, answer["total"], answer["since"], diff)
		}
	}
	for _, params := range []string{"limit=0", "limit=1001", "limit=x", "since=yesterday", "sinc=now", "since=now&since=now"} {
		ts.get("/policy/events?"+params).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
}

// FuzzPolicyDecisions: whatever is sent, nothing panics, what is accepted can be read back, and the views of it are JSON.
func FuzzPolicyDecisions(f *testing.F) {
	for _, seed := range []string{
		pushed, `[]`, `{"decisions":[` + pushed + `]}`, `{"policy_id":"p","result":true,"id":"\u0000"}`, `{"policy_id":"p","decision":"ALLOW","context":{"client_id":[1]},"id":1e400}`,
		`{"policy_id":"p","allowed":false,"timestamp":-1}`, `{"POLICY_ID":"p","Result":true}`, `[[]]`, `{"policy_id":"p","policy_id":null,"result":true,"result":null}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	ts := startEvents(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &request{server: ts.server, received: eventsNow}
		given := &eventSubmission{noun: "decision", decisions: []flopynet.Decision{}}
		if err := given.decode(body, r.decodeDecision); err != nil {
			return
		}
		if len(given.events) != len(given.decisions) {
			t.Fatalf("%d events of %d decisions", len(given.events), len(given.decisions))
		}
		if err := ts.server.testbed.StoreDecisions(t.Context(), given.decisions, nil); err != nil {
			t.Fatalf("what was accepted can't be stored: %v", err)
		}
		list, err := ts.server.testbed.PolicyEvents(t.Context(), model.MinTime, maxPolicyEvents)
		if err != nil || len(given.events) > 0 && len(list.Events) == 0 {
			t.Fatalf("%d events, %v", len(list.Events), err)
		}
		decisions, err := ts.server.testbed.Decisions(t.Context(), flopynet.DecisionQuery{From: model.MinTime, To: model.MaxTime, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal([]any{list, decisions}); err != nil {
			t.Fatal(err)
		}
	})
}
