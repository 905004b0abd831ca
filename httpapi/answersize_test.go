package httpapi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
)

// writeLongTags writes as many samples each of a few series whose tags are as long as may be.
func writeLongTags(ts *testServer, series, samples int) {
	for host := range series {
		var tags []string
		for k := range 63 {
			tags = append(tags, fmt.Sprint("tag", k), fmt.Sprint(host, strings.Repeat("x", 1000)))
		}
		ts.writeSeries("long", tags, time.Second, make([]float64, samples))
	}
}

const longRange = "from=2024-01-15T10:00:00Z&to=2024-01-15T11:00:00Z"

// TestAnswersHaveABudget asks for answers that spell long tags over and over.
func TestAnswersHaveABudget(t *testing.T) {
	ts := startEngine(t, engine.Options{MaxQueryBytes: smallAnswerBytes + 1000}, Options{})
	writeLongTags(ts, 5, 5)
	for _, path := range []string{
		"/metrics/query?metric=long&" + longRange,
		"/metrics/query?metric=long&format=csv&" + longRange,
		"/metrics/query?metric=long&granularity=1s&group_by=*&format=csv&" + longRange,
		"/metrics/query?metric=long&granularity=1s&group_by=*&" + longRange,
		"/metrics/series?metric=long",
	} {
		if got := ts.get(path).wantError(t, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED"); got.Details["limit"] != "query.max_bytes" {
			t.Errorf("%s: %v", path, got.Details)
		}
	}
	ts.getJSON("/metrics/query?metric=long&limit=2&" + longRange)
	ts.getJSON("/metrics/query?metric=long&granularity=1s&" + longRange)
	ts.getJSON("/metrics/series?metric=long&limit=1")
	one := `{"metric": "long", "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T11:00:00Z", "limit": 3}`
	small := strings.Replace(one, `"limit": 3`, `"limit": 1`, 1)
	for i, result := range ts.multi(`{"queries": [` + one + `,` + strings.Replace(one, `"limit": 3`, `"limit": 5`, 1) + `,` + small + `]}`) {
		if _, failed := result["error"]; failed != (i == 1) {
			t.Errorf("result %d: failed %v", i, failed)
		}
	}
	ts.wantNoQueryBytes()
}

// TestListsHaveABudget asks for more events and decisions at once than may be in memory.
func TestListsHaveABudget(t *testing.T) {
	ts := startEngine(t, engine.Options{MaxQueryBytes: 2 * smallAnswerBytes}, Options{})
	long := strings.Repeat("x", 100_000)
	for i := range 3 {
		ts.postDecisions(fmt.Sprintf(`{"id":"%d","policy_id":"p","result":true,"context":{"x":%q}}`, i, long))
	}
	for _, path := range []string{"/api/events", "/api/events?since_id=0", "/api/events/data", "/api/policy/decisions"} {
		if got := ts.get(path).wantError(t, http.StatusUnprocessableEntity, "LIMIT_EXCEEDED"); got.Details["limit"] != "query.max_bytes" {
			t.Errorf("%s: %v", path, got.Details)
		}
		path, _, _ = strings.Cut(path, "?")
		if got := ts.get(path + "?limit=1"); got.status != http.StatusOK || !strings.Contains(string(got.body), long) {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	ts.wantNoQueryBytes()
}

// wantNoQueryBytes waits for the last answer's being sent.
func (ts *testServer) wantNoQueryBytes() { ts.waitForQueryBytes(0, 0) }

func (ts *testServer) waitForQueryBytes(least, most int64) {
	ts.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		held := ts.db.Stats().QueryBytes
		if held >= least && held <= most {
			return
		}
		if time.Now().After(deadline) {
			ts.t.Fatalf("%d bytes are held, want %d to %d", held, least, most)
		}
	}
}

// TestAnswerIsHeldUntilItIsSent counts an answer's memory as long as its client takes its time.
func TestAnswerIsHeldUntilItIsSent(t *testing.T) {
	ts := startServer(t, Options{})
	writeLongTags(ts, 2, 300)
	for _, ending := range []string{"reads", "goes"} {
		conn, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /metrics/query?metric=long&"+longRange+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		ts.waitForQueryBytes(600*63_000, 600*70_000)
		if ending == "reads" {
			if n, err := io.Copy(io.Discard, conn); err != nil || n < 600*63_000 {
				t.Errorf("%d bytes, %v", n, err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		ts.wantNoQueryBytes()
	}
}
