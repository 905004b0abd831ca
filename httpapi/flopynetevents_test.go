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
)

// writeMixedEvents writes events of several components, of which the third has a time before the others'.
func (ts *testServer) writeMixedEvents() {
	ts.t.Helper()
	for i, e := range []engine.Event{
		{ID: "fl_server/1", Component: "fl_server", Type: "ROUND_COMPLETED", Level: "info", Details: []byte(`{"round":1}`)},
		{ID: "policy_engine/d1", Component: "policy_engine", Type: "policy_violation", Level: "warning", Message: "no"},
		{ID: "fl_server/0", Component: "fl_server", Type: "SERVER_START", Level: "info", Time: eventsNow.Add(-time.Hour).UnixNano()},
		{ID: "alert", Component: "collector", Type: "alert", Level: "error", Message: "queue"},
		{ID: "mine", Component: "FL_SERVER", Type: "ROUND_COMPLETED", Level: "debug"},
	} {
		if e.Time == 0 {
			e.Time = eventsNow.Add(time.Duration(i) * time.Second).UnixNano()
		}
		if err := ts.db.WriteEvents(ts.t.Context(), []engine.Event{e}); err != nil {
			ts.t.Fatal(err)
		}
		if i == 2 {
			if err := ts.db.Flush(); err != nil {
				ts.t.Fatal(err)
			}
		}
	}
}

// TestFlopynetEvents lists events of all components by all that can choose them.
func TestFlopynetEvents(t *testing.T) {
	ts := startEvents(t)
	ts.writeMixedEvents()
	for params, want := range map[string]struct {
		ids   string
		total float64
	}{
		"":                                   {"mine alert policy_engine/d1 fl_server/1 fl_server/0", 5},
		"?limit=2":                           {"mine alert", 5},
		"?limit=2&offset=1":                  {"alert policy_engine/d1", 5},
		"?offset=9":                          {"", 5},
		"?limit=0":                           {"", 5},
		"?limit=1000000&no_such_parameter=1": {"mine alert policy_engine/d1 fl_server/1 fl_server/0", 5},
		"?source_component=FL_SERVER":        {"mine fl_server/1 fl_server/0", 3},
		"?component=fl_server":               {"mine fl_server/1 fl_server/0", 3},
		"?component=Fl_Server":               {"mine fl_server/1 fl_server/0", 3},
		"?component=POLICY_ENGINE":           {"policy_engine/d1", 1},
		"?component=COLLECTOR":               {"alert", 1},
		"?source_component=collector&component=fl_server": {"alert", 1},
		"?event_level=WARNING":                            {"policy_engine/d1", 1},
		"?level=warn":                                     {"policy_engine/d1", 1},
		"?level=LOUD":                                     {"", 0},
		"?event_type=ROUND_COMPLETED&limit=1":             {"mine", 2},
		"?start_time=2024-01-15T12:00:01Z":                {"mine alert policy_engine/d1", 3},
		"?end_time=2024-01-15T12:00:01Z":                  {"policy_engine/d1 fl_server/1 fl_server/0", 3},
		"?start_time=1705320001&end_time=1705320001":      {"policy_engine/d1", 1},
		"?start_time=2024-01-16":                          {"", 0},
		"?start=2024-01-15T12:00:01Z&end=1705320001":      {"policy_engine/d1", 1}, // as the dashboard's get_system_events calls them
	} {
		answer := ts.getJSON("/api/events" + params)
		ids := []string{}
		for _, e := range answer["events"].([]any) {
			ids = append(ids, e.(map[string]any)["event_id"].(string))
		}
		if got := strings.Join(ids, " "); got != want.ids || answer["total"] != want.total {
			t.Errorf("%s: %s, total %v; want %s, %v", params, got, answer["total"], want.ids, want.total)
		}
	}
	one := ts.getJSON("/api/events/?offset=3&limit=1")["events"].([]any)[0].(map[string]any)
	delete(one, "id")
	if diff := cmp.Diff(map[string]any{
		"event_id": "fl_server/1", "timestamp": "2024-01-15T12:00:00Z", "source_component": "FL_SERVER", "component": "FL_SERVER", "event_type": "ROUND_COMPLETED",
		"event_level": "info", "level": "info", "message": `ROUND_COMPLETED: {"round":1}`, "details": map[string]any{"round": 1.0},
	}, one); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, params := range []string{"limit=x", "limit=-1", "offset=-1", "offset=1.5", "since_id=abc", "since_id=-1", "start_time=soon", "end_time=soon", "start=soon", "start=1&start_time=1"} {
		ts.get("/api/events?"+params).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
	ts.get("/api/v1/api/events").wantError(t, http.StatusNotFound, "RESOURCE_NOT_FOUND")
}

// TestFlopynetEventsSince follows the events by their ids, in small steps, as FLOPY-NET's dashboard does: it misses none, also of
// those that have earlier times than others that were written before.
func TestFlopynetEventsSince(t *testing.T) {
	ts := startEvents(t)
	since, got := 0.0, []string{}
	follow := func() {
		for {
			events := ts.getJSON(fmt.Sprintf("/api/events?limit=2&since_id=%.0f", since))["events"].([]any)
			for _, e := range events {
				one := e.(map[string]any)
				got = append(got, one["event_id"].(string))
				since = max(since, one["id"].(float64))
			}
			if len(events) == 0 {
				return
			}
		}
	}
	follow()
	ts.writeMixedEvents()
	follow()
	ts.postEvents(`[{"event_id":"late","component":"c","event_type":"t","timestamp":"2020-01-01"},{"event_id":"new","component":"c","event_type":"t"}]`)
	follow()
	if want := "fl_server/1 policy_engine/d1 fl_server/0 alert mine late new"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if answer := ts.getJSON("/api/events?since_id=0&offset=5&limit=1"); answer["total"] != 7.0 || answer["events"].([]any)[0].(map[string]any)["event_id"] != "late" {
		t.Errorf("behind an offset: %v", answer)
	}
}

func TestFlopynetEventSummaryAndData(t *testing.T) {
	ts := startEvents(t)
	for params, want := range map[string]string{"?component=none": `{"by_component":{},"by_source_component":{},"by_level":{},"by_event_level":{},"total":0}`} {
		if got := strings.TrimSpace(string(ts.get("/api/events/summary" + params).body)); got != want {
			t.Errorf("%s: %s", params, got)
		}
	}
	if got := strings.TrimSpace(string(ts.get("/api/events/data").body)); got != `[]` {
		t.Errorf("no events are %s", got)
	}
	ts.writeMixedEvents()
	const all = `{"FL_SERVER":3,"POLICY_ENGINE":1,"collector":1}`
	const levels = `{"debug":1,"error":1,"info":2,"warning":1}`
	for params, want := range map[string]string{
		"":                  `{"by_component":` + all + `,"by_source_component":` + all + `,"by_level":` + levels + `,"by_event_level":` + levels + `,"total":5}`,
		"?event_level=INFO": `{"by_component":{"FL_SERVER":2},"by_source_component":{"FL_SERVER":2},"by_level":{"info":2},"by_event_level":{"info":2},"total":2}`,
	} {
		if got := strings.TrimSpace(string(ts.get("/api/events/summary" + params).body)); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
	var list []map[string]any
	if err := json.Unmarshal(ts.get("/api/events/data?limit=2").body, &list); err != nil || len(list) != 2 || list[1]["event_id"] != "alert" {
		t.Errorf("%v, %v", list, err)
	}
	ts.get("/api/events/data?limit=many").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	ts.get("/api/events/summary?start_time=soon").wantError(t, http.StatusBadRequest, "INVALID_QUERY")
}

// TestFlopynetDecisions reads decisions back as they came, by what is in them.
func TestFlopynetDecisions(t *testing.T) {
	ts := startEvents(t)
	if got := strings.TrimSpace(string(ts.get("/api/policy/decisions").body)); got != `[]` {
		t.Errorf("no decisions are %s", got)
	}
	ts.postDecisions(pushed)
	for i := range 1200 {
		policy := "p" + fmt.Sprint(i%100)
		ts.postDecisions(fmt.Sprintf(`{"id":"d%d","policy_id":"%s","component":"fl-server","timestamp":%d,"result":%v,"reason":"r"}`, i, policy, 1705315000+i, i%2 == 0))
	}
	ts.postDecisions(`{"id":"quoted","policy_id":"p\u0031","component":"fl-server","timestamp":1705310000,"result":true}`)
	ts.postEvents(`{"event_id":"own","component":"policy_engine","event_type":"policy_violation","timestamp":1705319000,"message":"too much"}`)
	list := func(params string) (ids []string, rows []map[string]any) {
		t.Helper()
		answer := ts.get("/api/policy/decisions" + params)
		if err := json.Unmarshal(answer.body, &rows); err != nil || answer.status != http.StatusOK {
			t.Fatalf("%s: %d %s", params, answer.status, answer.body)
		}
		for _, row := range rows {
			ids = append(ids, row["id"].(string))
		}
		return ids, rows
	}
	for params, want := range map[string]int{
		"": 500, "?limit=2": 2, "?limit=1000000": 1203, "?policy_id=p1&limit=1000": 13, "?policy_id=p1&result=allow": 1, "?policy_id=p2&result=ALLOWED": 12, "?policy_id=p2&result=deny": 0,
		"?component=fl-client": 1, "?component=fl-server&limit=5000": 1201, "?component=policy_engine": 1, "?policy_id=nobody": 0, "?start_time=1705316198": 3, "?end_time=1705314600.25": 2,
		"?start_time=2024-01-15T10:30:00.250Z&end_time=2024-01-15T10:30:00.250Z": 1, "?limit=0": 0,
	} {
		if ids, _ := list(params); len(ids) != want {
			t.Errorf("%s: %d, want %d", params, len(ids), want)
		}
	}
	_, rows := list("?component=fl-client")
	var want map[string]any
	if err := json.Unmarshal([]byte(pushed), &want); err != nil {
		t.Fatal(err)
	}
	want["decision_id"], want["action"], want["allowed"] = want["id"], "deny", false
	if diff := cmp.Diff(want, rows[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, rows = list("?limit=1")
	if diff := cmp.Diff(map[string]any{"id": "own", "decision_id": "own", "timestamp": 1705319000.0, "component": "policy_engine", "decision": "deny", "action": "deny",
		"result": false, "allowed": false, "reason": "too much"}, rows[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, params := range []string{"limit=x", "limit=-3", "result=perhaps", "start_time=soon"} {
		ts.get("/api/policy/decisions?"+params).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
}
