package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

var eventsNow = time.Date(2024, 1, 15, 12, 0, 0, 0, time.UTC)

func startEvents(t testing.TB) *testServer {
	t.Helper()
	clock := func() time.Time { return eventsNow }
	return startEngine(t, engine.Options{Now: clock}, Options{Now: clock})
}

func (ts *testServer) postEvents(body string, headers ...string) reply {
	ts.t.Helper()
	return ts.do(http.MethodPost, "/events", []byte(body), append([]string{"Content-Type", "application/json"}, headers...)...)
}

// TestEvents writes the shapes there are and reads them.
func TestEvents(t *testing.T) {
	ts := startEvents(t)
	for _, write := range []struct{ body, want string }{
		{`{"event_id":"one","component":"policy_engine","event_type":"policy_violation","level":"warning","timestamp":"2024-01-15T11:30:00Z","message":"too many flows","details":{"flows": 9, "a": [1, 2]}}`,
			`{"status":"success","events_accepted":1,"timestamp":"2024-01-15T12:00:00Z","event_ids":["one"]}`},
		{`[{"event_id":"two","component":"fl_server","event_type":"round_end","timestamp":1705318200},{"event_id":"one","component":"x","event_type":"y"}]`,
			`{"status":"success","events_accepted":2,"timestamp":"2024-01-15T12:00:00Z","event_ids":["two","one"]}`},
		{`{"events":[{"event_id":"three","component":"fl_server","event_type":"round_end","timestamp":"now-1m","level":null,"message":"","details":null}]}`,
			`{"status":"success","events_accepted":1,"timestamp":"2024-01-15T12:00:00Z","event_ids":["three"]}`},
		{`{"events":[]}`, `{"status":"success","events_accepted":0,"timestamp":"2024-01-15T12:00:00Z","event_ids":[]}`},
		{`[]`, `{"status":"success","events_accepted":0,"timestamp":"2024-01-15T12:00:00Z","event_ids":[]}`},
		{`[{"event_id":"old","component":"c","event_type":"t","timestamp":"2024-01-15"}]`,
			`{"status":"success","events_accepted":1,"timestamp":"2024-01-15T12:00:00Z","event_ids":["old"]}`},
	} {
		if answer := ts.postEvents(write.body); answer.status != http.StatusOK || strings.TrimSpace(string(answer.body)) != write.want {
			t.Errorf("%s: %d %s, want %s", write.body, answer.status, answer.body, write.want)
		}
	}
	const one = `{"event_id":"one","timestamp":"2024-01-15T11:30:00Z","component":"policy_engine","event_type":"policy_violation","level":"warning","message":"too many flows","details":{"flows":9,"a":[1,2]}}`
	const two = `{"event_id":"two","timestamp":"2024-01-15T11:30:00Z","component":"fl_server","event_type":"round_end","level":"info","message":null,"details":null}`
	const three = `{"event_id":"three","timestamp":"2024-01-15T11:59:00Z","component":"fl_server","event_type":"round_end","level":"info","message":null,"details":null}`
	for _, get := range []struct {
		params string
		want   []string
	}{
		{"", []string{three, two, one}},
		{"?order=oldest", []string{one, two, three}},
		{"?type=policy_violation,none&component=policy_engine&level=warning,error", []string{one}},
		{"?type=round_end&component=policy_engine", nil},
		{"?from=2024-01-15T11:30:00Z&to=2024-01-15T11:59:00Z&component=fl_server", []string{two}},
		{"?to=2024-01-15T11:30:00Z", nil},
	} {
		answer := ts.get("/api/v1/events" + get.params)
		want := fmt.Sprintf(`{"events":[%s],"total":%d,"next_cursor":null}`, strings.Join(get.want, ","), len(get.want))
		if answer.status != http.StatusOK || strings.TrimSpace(string(answer.body)) != want {
			t.Errorf("%s: %d %s\nwant %s", get.params, answer.status, answer.body, want)
		}
	}
	if answer := ts.get("/events?epoch=ms&level=warning"); !strings.Contains(string(answer.body), `"timestamp":1705318200000,`) {
		t.Errorf("epoch=ms: %s", answer.body)
	}
}

func TestEventsAreGivenAnID(t *testing.T) {
	ts := startEvents(t)
	answer := ts.postEvents(`[{"component":"c","event_type":"t","timestamp":"now-1s"},{"component":"c","event_type":"t","timestamp":"now-1s"}]`)
	var written struct {
		IDs []string `json:"event_ids"`
	}
	if err := json.Unmarshal(answer.body, &written); err != nil || len(written.IDs) != 2 || written.IDs[0] == written.IDs[1] {
		t.Fatalf("%s: %v", answer.body, err)
	}
	for _, id := range written.IDs {
		if body := string(ts.get("/events").body); !strings.Contains(body, `"event_id":"`+id+`"`) {
			t.Errorf("%s is not in %s", id, body)
		}
	}
}

// TestEventPages follows cursors, which stay what they are while events come in.
func TestEventPages(t *testing.T) {
	ts := startEvents(t)
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("e%02d", i)
		ts.postEvents(fmt.Sprintf(`{"event_id":"%s","component":"c","event_type":"t","timestamp":"now-%ds"}`, id, 30-i/3))
		want = append(want, id)
		if i == 10 {
			if err := ts.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, order := range []string{"oldest", "newest"} {
		var got []string
		cursor := ""
		for {
			page := ts.getJSON("/events?limit=7&order=" + order + cursor)
			for _, e := range page["events"].([]any) {
				got = append(got, e.(map[string]any)["event_id"].(string))
			}
			if page["total"] != float64(25) {
				t.Errorf("total %v", page["total"])
			}
			next, more := page["next_cursor"].(string)
			if !more {
				break
			}
			cursor = "&cursor=" + next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", order, diff)
		}
		slices.Reverse(want)
		ts.get("/events?type=other&order="+order+cursor).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
}

func TestEventRefusals(t *testing.T) {
	ts := startEvents(t)
	answer := ts.postEvents(`{"extra":1,"events":[{"event_type":"t"},{"component":"c","event_type":"t","kind":1},5,`+
		`{"component":"c","event_type":"t","level":"warn"},{"event_id":"x","component":1,"event_type":"t"},`+
		`{"component":"c","event_type":"t","timestamp":"yesterday"},{"component":"c","event_type":"t","timestamp":{}},{"component":"c","event_type":"t","details":[]},`+
		`{"component":"c","event_type":"`+strings.Repeat("x", 257)+`"}]}`, "Content-Type", "text/plain")
	var got struct {
		Status   string           `json:"status"`
		Accepted int              `json:"events_accepted"`
		Rejected int              `json:"events_rejected"`
		Errors   []eventRejection `json:"errors"`
		Warnings []string         `json:"warnings"`
	}
	if err := json.Unmarshal(answer.body, &got); err != nil || answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	want := []eventRejection{
		{0, "", "component", "is missing"},
		{2, "", "", "the event is 5, want an object"},
		{3, "", "level", `is "warn", want one of debug, info, warning, error, critical`},
		{4, "x", "component", "is 1, want a string"},
		{5, "", "timestamp", got.Errors[4].Reason},
		{6, "", "timestamp", "is {}; it must be a time as a string, or a number since the epoch"},
		{7, "", "details", "is [], want an object"},
		{8, "", "event_type", "has 257 bytes, at most 256 are allowed"},
	}
	if diff := cmp.Diff(want, got.Errors); diff != "" || !strings.Contains(got.Errors[4].Reason, `"yesterday"`) {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Status != "partial" || got.Accepted != 1 || got.Rejected != 8 || len(got.Warnings) != 2 {
		t.Errorf("%s", answer.body)
	}
	for _, test := range []struct {
		body   string
		status int
		code   string
		want   string
	}{
		{`{"events":[{"component":"c"}]}`, 400, "INVALID_REQUEST", `"errors":[{"index":0,"field":"event_type","reason":"is missing"}]`},
		{`{"component":"c","event_type":"t","message":"` + strings.Repeat("x", 70_000) + `"}`, 422, "LIMIT_EXCEEDED", "at most 65536"},
		{`{"events":{}}`, 400, "INVALID_REQUEST", `"field":"events"`},
		{`"text"`, 400, "INVALID_REQUEST", "an event, an array"},
		{`[{]`, 400, "INVALID_REQUEST", "not valid JSON"},
		{"", 400, "INVALID_REQUEST", "not valid JSON"},
		{"[" + strings.Repeat("{},", 10_000) + "{}]", 422, "LIMIT_EXCEEDED", `"max":10000`},
	} {
		answer := ts.postEvents(test.body)
		answer.wantError(t, test.status, test.code)
		if !strings.Contains(string(answer.body), test.want) {
			t.Errorf("%.60s: %s", test.body, answer.body)
		}
	}
	for _, params := range []string{"level=warn", "limit=0", "limit=10001", "order=up", "typ=x", "cursor=abc", "from=2024-01-15&to=2024-01-14", "type=a,,b", "epoch=d", "timeout=0"} {
		ts.get("/events?"+params).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
	}
	ts.do(http.MethodPost, "/events?x=1", []byte("[]")).wantError(t, http.StatusBadRequest, "INVALID_QUERY")
}
